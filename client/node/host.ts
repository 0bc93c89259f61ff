// The worker's centre: tabs on one side, one account's device and the tracker's socket on the other.
import type { Clock } from "./clock";
import type { CoreTools } from "./core";
import { nodeError } from "./errors";
import { createDevice, type Device } from "./device";
import type { RtcTab } from "./links";
import { createPill } from "./pill";
import { createRecording, type Recording } from "./recording";
import { NO_SWITCHES, PROTOCOL, type FromWorker, type Switches, type ToWorker } from "./protocol";
import { createTracker, type Socket, type Welcome } from "./tracker";
import type { Commands, Events, NodeError, Status } from "./api";

export interface PortLike {
  postMessage(message: FromWorker, transfer: Transferable[]): void;
  onmessage: ((event: MessageEvent<ToWorker>) => unknown) | null;
}

export interface HostOptions {
  version: string;
  clock: Clock;
  /** There is one worker for the whole browser; else there is one for each tab. */
  singleton: boolean;
  /** What this browser is called, for people. */
  label: string;
  loadTools: () => Promise<CoreTools>;
  openSocket: () => Socket;
  session: () => Promise<boolean | number | undefined>;
  network: () => boolean;
  /** Ends the worker. */
  exit: () => void;
}

interface Tab extends RtcTab {
  rtc: boolean;
  visible: boolean;
  alive: boolean;
  /** When the tab was last looked at, and last heard. */
  seenAt: number;
  heardAt: number;
}

const PING_MS = 3000;
/** Frozen and crashed tabs do not answer; their connections are given to another one. */
const SILENT_MS = 8000;
const LAST_ACCOUNT_AFTER_MS = 2000;
const SETTLE_MS = 3000;
const SETTLE_STEP_MS = 250;
const REOPEN_MS = 500;
const REOPEN_MAX_MS = 30_000;

export function createHost(options: HostOptions): { connect(port: PortLike): void; networkChanged(): void } {
  const { clock, version } = options;
  const tabs = new Set<Tab>();
  let device: Device | undefined;
  let reopened = 0; // how often in a row
  let readyAt: number | undefined;
  let storageFailed = false;
  let renewed = false; // the pages have seen another device object, and perhaps texts that were never stored
  let opening: string | undefined; // the account whose device is being made, or is there
  let making: Promise<Device | undefined> = Promise.resolve(undefined);
  let switches: Switches = NO_SWITCHES;
  let lastAccount: string | undefined;
  let welcome: Welcome | undefined;
  let settling: (() => void)[] = [];
  let recording: Recording | undefined;

  function tellAll(message: FromWorker): void {
    for (const tab of tabs) if (tab.alive) tab.post(message);
  }

  function emit<E extends keyof Events>(name: E, value: Events[E]): void {
    tellAll({ t: "event", name, value } as FromWorker);
  }

  const pill = createPill(clock, (connection) => emit("connection", connection));

  const tracker = createTracker({
    open: options.openSocket,
    session: options.session,
    clock,
    random: Math.random,
    hooks: {
      welcome: (next) => void welcomed(next),
      online: (certificate) => device?.online(certificate),
      revoked: () => void device?.revoked(),
      presence: (full, devices) => device?.presence(full, devices),
      news: (news) => device?.news(news),
      signal: (from, signal) => device?.links()?.signal(from, signal),
      relayOpened: (from, relay) => device?.links()?.relayOpened(from, relay),
      relayClosed: (relay) => device?.links()?.relayClosed(relay),
      bytes: (relay, bytes) => device?.links()?.trackerBytes(relay, bytes),
      down: () => device?.trackerDown(),
      changed,
    },
  });

  /** Something that the pill or a waiting status call depends on is different now. */
  function changed(): void {
    const state = device?.state();
    const retryAt = tracker.retryAt();
    if (state === "ready") storageFailed = false;
    pill.update({
      ...(state === "other-tab" ? { halted: state } : storageFailed ? { halted: "storage-failed" as const } : {}),
      tracker: tracker.state(),
      answeredAt: tracker.answeredAt(),
      unsaved: device?.unsaved() ?? false,
      failures: tracker.failures(),
      ...(retryAt === undefined ? {} : { retryAt }),
      peers: device?.linkedOthers() ?? 0,
      network: options.network(),
    });
    // Where another tab is this device, the tracker is that tab's.
    if (state === "other-tab") tracker.stop("idle");
    if (state === "ready") {
      readyAt ??= clock.now();
      tracker.start();
      if (renewed) tellAll({ t: "renewed" });
      renewed = false;
    }
    if (settled()) for (const wake of settling.splice(0)) wake();
  }

  /** Whether a status call has something to say: a first start knows its channels only from the tracker. */
  function settled(): boolean {
    const state = tracker.state();
    if (state === "logged-out" || storageFailed) return true;
    if (!device || device.state() === "opening") return false;
    if (device.state() !== "ready") return true;
    return device.channels().length > 0 || state === "online" || state === "waiting";
  }

  /** The device of this account; whoever asks while it is being made waits for it. */
  function useAccount(account: string): Promise<Device | undefined> {
    if (opening === account) return making;
    opening = account;
    making = makeDevice(account);
    return making;
  }

  async function makeDevice(account: string): Promise<Device | undefined> {
    const old = device;
    device = undefined;
    if (old) await old.close("another account is used now");
    tellAll({ t: "account", account });
    let tools: CoreTools;
    try {
      tools = await options.loadTools();
    } catch (error) {
      if (opening === account) opening = undefined;
      emit("warning", { code: "LOAD", text: `The core could not be loaded: ${String(error)}` });
      return undefined;
    }
    if (opening !== account) return undefined;
    device = createDevice({
      account, tools, tracker, clock, label: options.label, emit, changed,
      singleton: options.singleton,
      switches: () => switches,
      trace: recording?.attach(),
      tab: bestTab,
      broken: (why) => reopen(account, why),
    });
    changed();
    return device;
  }

  /** The core, the lease or the storage was lost: everything is made again from what is stored, after a pause that
   *  grows as long as that does not hold. */
  function reopen(account: string, why?: "storage-failed"): void {
    if (opening !== account) return;
    const old = device;
    device = undefined;
    opening = undefined;
    storageFailed = why === "storage-failed";
    tracker.stop("idle");
    changed();
    if (readyAt !== undefined && clock.now() - readyAt > REOPEN_MAX_MS) reopened = 0;
    readyAt = undefined;
    renewed = true;
    const pause = Math.min(REOPEN_MAX_MS, REOPEN_MS * 2 ** reopened++);
    void old?.close("started again");
    clock.after(pause, () => {
      if (opening === undefined && tracker.state() === "idle" && aliveTabs() > 0) void useAccount(account);
    });
  }

  async function welcomed(next: Welcome): Promise<void> {
    welcome = next;
    const used = await useAccount(next.account);
    const current = (): boolean => welcome === next && device === used && tracker.state() === "connecting";
    await used?.greet(next, current).catch(() => {}); // said by the device's state
  }

  /** The tab that owns the next direct connection: one that is looked at, else the one looked at last. */
  function bestTab(): RtcTab | undefined {
    const better = (a: Tab, b: Tab): boolean => (a.visible === b.visible ? a.seenAt > b.seenAt : a.visible);
    let best: Tab | undefined;
    for (const tab of tabs) if (tab.rtc && tab.alive && (!best || better(tab, best))) best = tab;
    return best;
  }

  // --- commands ---

  async function status(): Promise<Status> {
    // A long history takes its time to open; the tracker is waited for only so long.
    const patience = clock.now() + SETTLE_MS;
    while (!settled() && (clock.now() < patience || device?.state() === "opening")) {
      await new Promise<void>((resolve) => {
        settling.push(resolve);
        clock.after(SETTLE_STEP_MS, resolve);
      });
    }
    return {
      account: device?.account ?? "",
      device: device?.id() ?? "",
      connection: pill.value(),
      channels: device?.channels() ?? [],
      peers: device?.peers() ?? [],
      version,
      recording: recording !== undefined,
    };
  }

  function opened(): Device {
    if (storageFailed) throw nodeError("storage-failed", "The browser's storage cannot be used.");
    if (!device) throw nodeError("CLOSED", "No account is open yet.");
    return device;
  }

  const commands: Commands = {
    status,
    history: async (params) => opened().commands.history(params),
    send: async (params) => opened().commands.send(params),
    gaps: async (params) => opened().commands.gaps(params),
    holders: async (params) => opened().commands.holders(params),
    markRead: async (params) => opened().commands.markRead(params),
    open: async (params) => opened().commands.open(params),
    sessions: async () => opened().commands.sessions(),
    request: async (params) => opened().commands.request(params),
    accept: async (params) => opened().commands.accept(params),
    decline: async (params) => opened().commands.decline(params),
    end: async (params) => opened().commands.end(params),
    relate: async (params) => opened().commands.relate(params),
    async retry() {
      tracker.retry();
      device?.networkChanged();
    },
    async traceStart() {
      const { account } = opened();
      recording = createRecording();
      emit("recording", { on: true });
      // Not reopen: nothing was lost, so the pages stay as they are.
      opening = undefined;
      tracker.stop("idle");
      await useAccount(account);
    },
    async traceStop() {
      if (!recording) throw nodeError("NOT_FOUND", "No trace is being recorded.");
      const taken = { file: recording.file(), full: recording.full() };
      recording = undefined;
      emit("recording", { on: false });
      return taken;
    },
    async logout() {
      tracker.stop("logged-out");
      const old = device;
      device = undefined;
      opening = undefined;
      lastAccount = undefined;
      await old?.close("logged out");
      changed();
    },
  };

  async function call(tab: Tab, id: number, method: string, params: unknown): Promise<void> {
    try {
      if (!Object.hasOwn(commands, method)) throw nodeError("NOT_FOUND", `no command ${method}`);
      const command = commands[method as keyof Commands] as (params: unknown) => Promise<unknown>;
      tab.post({ t: "answer", id, value: await command(params) });
    } catch (error) {
      const { code = "FAILED", message } = error as Partial<NodeError> & Error;
      tab.post({ t: "answer", id, error: { code: String(code), message } });
    }
  }

  // --- tabs ---

  function hello(tab: Tab, message: Extract<ToWorker, { t: "hello" }>): void {
    tab.alive = true;
    tabs.add(tab);
    if (message.version !== version && aliveTabs() === 1) return makeRoom(tab);
    Object.assign(tab, { rtc: message.rtc, visible: message.visible, seenAt: clock.now() });
    tab.post({ t: "hello", version, protocol: PROTOCOL });
    if (message.version !== version) {
      tab.post({
        t: "event",
        name: "warning",
        value: { code: "VERSION", text: "Other tabs run another version of this page. Close or reload them." },
      });
    }
    switches = message.switches;
    lastAccount = message.lastAccount ?? lastAccount;
    if (message.account) void useAccount(message.account);
    const state = tracker.state();
    if (state === "logged-out") tracker.retry();
    else if (device?.state() !== "other-tab") tracker.start();
    clock.after(LAST_ACCOUNT_AFTER_MS, useLastAccount);
    changed();
  }

  /** The only tab is of another version: it starts a worker of its own when this one is gone. */
  function makeRoom(tab: Tab): void {
    const old = device;
    bye(tab);
    void (old?.close("another version takes over") ?? Promise.resolve()).then(() => {
      tab.post({ t: "restart" });
      options.exit();
    });
  }

  /** Without the tracker nobody says who is logged in; what was here last can still be read and written. */
  function useLastAccount(): void {
    if (opening !== undefined || !lastAccount) return;
    const state = tracker.state();
    if (state === "waiting" || (state === "connecting" && !welcome)) void useAccount(lastAccount);
  }

  function aliveTabs(): number {
    let count = 0;
    for (const tab of tabs) if (tab.alive) count++;
    return count;
  }

  function gone(tab: Tab): void {
    tab.alive = false;
    device?.links()?.tabGone(tab);
  }

  /** The last tab takes the worker with it: leave a tidy table while there is still time. */
  function bye(tab: Tab): void {
    tabs.delete(tab);
    gone(tab);
    if (aliveTabs() > 0) return;
    const old = device;
    device = undefined;
    opening = undefined;
    tracker.stop("idle");
    void old?.close("the page was closed");
  }

  function receive(tab: Tab, message: ToWorker): void {
    tab.heardAt = clock.now();
    if (message.t === "hello") return hello(tab, message);
    if (!tab.alive && tabs.has(tab)) tab.alive = true; // was frozen, is back
    switch (message.t) {
      case "call":
        return void call(tab, message.id, message.method, message.params);
      case "visible":
        tab.visible = message.visible;
        tab.seenAt = clock.now();
        // Perhaps the machine slept: is the other side still there?
        if (message.visible && tracker.state() !== "logged-out") tracker.retry();
        return;
      case "network":
        return networkChanged();
      case "bye":
        return bye(tab);
      case "pong":
        return;
      default:
        device?.links()?.fromTab(tab, message);
    }
  }

  function networkChanged(): void {
    if (options.network() && tracker.state() !== "logged-out") tracker.retry();
    device?.networkChanged();
    changed();
  }

  function pingTabs(): void {
    for (const tab of tabs) {
      if (tab.alive && clock.now() - tab.heardAt > SILENT_MS) gone(tab);
      tab.post({ t: "ping" });
    }
    clock.after(PING_MS, pingTabs);
  }
  clock.after(PING_MS, pingTabs);

  return {
    networkChanged,
    connect(port) {
      const now = clock.now();
      const tab: Tab = {
        rtc: false, visible: false, alive: false, seenAt: now, heardAt: now,
        post: (message, transfer = []) => port.postMessage(message, transfer),
      };
      port.onmessage = ({ data }) => receive(tab, data);
    },
  };
}
