// What the page imports: openNode() finds or starts the worker, gives the commands and events of api.ts, and
// runs direct connections on the worker's behalf.
import { NO_SWITCHES, PROTOCOL, WORKER_NAME, WORKER_URL, type FromWorker, type Switches, type ToWorker } from "./protocol";
import { createRtc, type Rtc } from "./rtc";
import { nodeError } from "./errors";
import type { Commands, Events, Node, Status } from "./api";

declare const __VERSION__: string;

export interface OpenOptions {
  /** Who is logged in, when the page knows it for sure: history is then shown before the tracker answers. */
  account?: string;
}

interface Channel {
  post(message: ToWorker, transfer?: Transferable[]): void;
}

const HELLO_WITHIN_MS = 15_000;
const RESTARTS_MAX = 3;
const RESTART_PAUSE_MS = 300;
const LAST_ACCOUNT = "weaprous.account";
const TEST_SWITCHES = "weaprous.test";

/** Browsers may refuse storage altogether. */
function remembered(name: string): string | null {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

function remember(name: string, value: string): void {
  try {
    if (value) localStorage.setItem(name, value);
    else localStorage.removeItem(name);
  } catch {
    // Only a convenience is lost.
  }
}

/** Test configuration: localStorage "weaprous.test" or the address's ?test= holds a JSON object with some of
 *  {"direct":false,"relay":false,"replica":false,"avoid":["account"]}. It forces the relay, or several hops; it opens nothing. */
function readSwitches(): Switches {
  const text = new URLSearchParams(location.search).get("test") ?? remembered(TEST_SWITCHES);
  if (!text) return NO_SWITCHES;
  try {
    const { direct = true, relay = true, replica = true, avoid = [] } = JSON.parse(text) as Partial<Switches>;
    return { direct: direct === true, relay: relay === true, replica: replica === true, avoid: avoid.map(String) };
  } catch {
    return NO_SWITCHES;
  }
}

function startWorker(receive: (message: FromWorker) => void, failed: (reason: string) => void): Channel {
  const onmessage = ({ data }: MessageEvent<FromWorker>): void => receive(data);
  const onerror = (): void => failed(`${WORKER_URL} could not be started`);
  try {
    const worker = new SharedWorker(WORKER_URL, { name: WORKER_NAME });
    worker.onerror = onerror;
    worker.port.onmessage = onmessage;
    return { post: (message, transfer = []) => worker.port.postMessage(message, transfer) };
  } catch {
    // Missing on some phones, refused by some privacy settings: a worker for this tab alone.
    const worker = new Worker(WORKER_URL, { name: WORKER_NAME });
    worker.onmessage = onmessage;
    worker.onerror = onerror;
    return { post: (message, transfer = []) => worker.postMessage(message, transfer) };
  }
}

interface Listeners {
  on: Node["on"];
  tell<E extends keyof Events>(name: E, value: Events[E]): void;
}

function createListeners(): Listeners {
  const all = new Map<string, Set<(value: never) => void>>();
  return {
    on(event, listener) {
      const set = all.get(event) ?? new Set();
      all.set(event, set);
      set.add(listener as (value: never) => void);
      return () => void set.delete(listener as (value: never) => void);
    },
    tell(name, value) {
      for (const listener of [...(all.get(name) ?? [])]) (listener as (value: unknown) => void)(value);
    },
  };
}

interface Calls {
  call(method: string, params: unknown): Promise<unknown>;
  answered(message: Extract<FromWorker, { t: "answer" }>): void;
}

function createCalls(post: (message: ToWorker) => void): Calls {
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  let next = 1;
  return {
    call: (method, params) =>
      new Promise((resolve, reject) => {
        const id = next++;
        waiting.set(id, { resolve, reject });
        post({ t: "call", id, method, params });
      }),
    answered({ id, value, error }) {
      const call = waiting.get(id);
      waiting.delete(id);
      if (error) call?.reject(nodeError(error.code, error.message));
      else call?.resolve(value);
    },
  };
}

/** Page life that the worker has to know about. */
function watchPage(post: (message: ToWorker) => void, hello: () => void, rtc: Rtc): void {
  document.addEventListener("visibilitychange", () =>
    post({ t: "visible", visible: document.visibilityState === "visible" }),
  );
  addEventListener("online", () => post({ t: "network" }));
  addEventListener("offline", () => post({ t: "network" }));
  addEventListener("pagehide", () => {
    rtc.closeAll();
    post({ t: "bye" });
  });
  addEventListener("pageshow", (event) => {
    if (event.persisted) hello();
  });
}

/** Without this a browser may clear the identity under pressure; missing on insecure origins. */
function askToKeepStorage(): void {
  if ("storage" in navigator && typeof navigator.storage.persist === "function") {
    navigator.storage.persist().catch(() => {});
  }
}

function createCommands(calls: Calls, settled: (method: string, value: unknown) => void): Commands {
  const command = (method: keyof Commands) => async (params?: unknown) => {
    const value = await calls.call(method, params);
    settled(method, value);
    return value;
  };
  return {
    status: command("status"), history: command("history"), send: command("send"), gaps: command("gaps"),
    holders: command("holders"), markRead: command("markRead"), retry: command("retry"), logout: command("logout"),
    open: command("open"), sessions: command("sessions"), request: command("request"), accept: command("accept"),
    decline: command("decline"), end: command("end"), relate: command("relate"),
    traceStart: command("traceStart"), traceStop: command("traceStop"),
  } as Commands;
}

let opened: { node: Promise<Node>; again: (options: OpenOptions) => void } | undefined;

/** Resolves when the worker has answered; rejects with a NodeError when there can be none. A second call, after
 *  another login on the same page, gives the same node. */
export function openNode(options: OpenOptions = {}): Promise<Node> {
  if (opened) opened.again(options);
  else opened = open(options);
  return opened.node;
}

function open(options: OpenOptions): NonNullable<typeof opened> {
  let again = (_options: OpenOptions): void => {};
  const node = new Promise<Node>((resolve, reject) => {
    const listeners = createListeners();
    let channel: Channel | undefined;
    let restarts = 0;
    let otherTab = false;
    let account = options.account ?? ""; // that this page shows
    const post = (message: ToWorker, transfer?: Transferable[]): void => channel?.post(message, transfer);
    const rtc = createRtc(post);
    const calls = createCalls(post);
    const failed = (reason: string): void => reject(nodeError("WORKER", reason));
    const timer = setTimeout(() => failed("The page's worker does not answer."), HELLO_WITHIN_MS);

    const hello = (): void => {
      const lastAccount = remembered(LAST_ACCOUNT);
      post({
        t: "hello",
        version: __VERSION__,
        protocol: PROTOCOL,
        rtc: typeof RTCPeerConnection !== "undefined",
        visible: document.visibilityState === "visible",
        switches: readSwitches(),
        ...(options.account ? { account: options.account } : {}),
        ...(lastAccount ? { lastAccount } : {}),
      });
    };
    const start = (): void => {
      channel = startWorker(receive, failed);
      hello();
    };
    const node: Node = {
      commands: createCommands(calls, (method, value) => {
        if (method === "logout") remember(LAST_ACCOUNT, "");
        if (method === "logout") account = "";
        if (method !== "status") return;
        account = (value as Status).account || account;
        remember(LAST_ACCOUNT, account);
      }),
      on: listeners.on,
    };

    function greeted(message: Extract<FromWorker, { t: "hello" }>): void {
      clearTimeout(timer);
      if (message.protocol !== PROTOCOL && restarts >= RESTARTS_MAX) {
        return failed("Other tabs run another version of this page. Close them, then reload this one.");
      }
      if (message.protocol === PROTOCOL) resolve(node);
    }

    /** A tab that waited for another one begins anew. */
    function event(message: Extract<FromWorker, { t: "event" }>): void {
      if (message.name === "connection") {
        const waits = message.value.reason === "other-tab";
        if (otherTab && !waits) return location.reload();
        otherTab = waits;
      }
      listeners.tell(message.name, message.value);
    }

    function receive(message: FromWorker): void {
      switch (message.t) {
        case "hello": return greeted(message);
        case "answer": return calls.answered(message);
        case "event": return event(message);
        case "account":
          if (account && account !== message.account) location.reload();
          return;
        case "renewed": return location.reload();
        case "ping": return post({ t: "pong" });
        case "restart":
          if (++restarts <= RESTARTS_MAX) setTimeout(start, RESTART_PAUSE_MS);
          else failed("The page's worker is of another version. Reload the page.");
          return;
        default: rtc.handle(message);
      }
    }

    try {
      start();
    } catch (error) {
      return failed(`This browser cannot start the page's worker: ${String(error)}`);
    }
    again = (next) => {
      options = next;
      account = next.account ?? "";
      hello();
    };
    watchPage(post, hello, rtc);
    askToKeepStorage();
  });
  node.catch(() => (opened = undefined));
  return { node, again: (next) => again(next) };
}
