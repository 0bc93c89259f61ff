// The tracker's socket (docs/protocol/tracker-socket.md) as a state machine: connects, greets, keeps a round trip
// going, reconnects with growing pauses. It knows nothing of the core: link bytes and signals go through hooks.
import type { Clock } from "./clock";
import type { Id, News } from "./api";
import type { Room } from "./rooms";
import { concat, fromHex, idBytes, type Bytes } from "./bytes";

export interface Welcome {
  tracker: Id;
  account: string;
  nonce: string;
  version: string;
  channels: Room[];
}

export interface PresenceDevice {
  device: Id;
  account: string;
  label: string;
  status: "online" | "offline";
  seen_ms?: number;
}

export type Signal = { attempt: string } & (
  | { description: RTCSessionDescriptionInit }
  | { candidate: RTCIceCandidateInit | null }
);

export type TrackerState =
  | "idle" // not started, or stopped
  | "connecting" // until the hello is answered
  | "online"
  | "waiting" // for the next attempt, see retryAt
  | "logged-out"; // no session: the page has to log in

export interface TrackerHooks {
  /** Prove the device with greet(). */
  welcome(welcome: Welcome): void;
  online(certificate: Bytes): void;
  /** This device was logged out for good: the tracker takes it no more. */
  revoked(): void;
  presence(full: boolean, devices: PresenceDevice[]): void;
  news(news: News): void;
  signal(from: Id, signal: Signal): void;
  relayOpened(from: Id, relay: number): void;
  relayClosed(relay: number): void;
  bytes(relay: number, bytes: Bytes): void;
  /** After the socket of an online tracker went away. */
  down(): void;
  changed(): void;
}

/** What is used of a WebSocket. */
export interface Socket {
  binaryType: string;
  readonly bufferedAmount: number;
  onopen: ((event: Event) => unknown) | null;
  onmessage: ((event: MessageEvent) => unknown) | null;
  onclose: ((event: CloseEvent) => unknown) | null;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
}

export interface Tracker {
  start(): void;
  /** Attempts at once when waiting or logged out; otherwise checks that the other side still answers. */
  retry(): void;
  /** Leaves this socket and connects again after a pause: the link inside it came to nothing. */
  renew(text: string): void;
  stop(next: "idle" | "logged-out"): void;
  /** Answers the welcome. */
  greet(device: Id, proof: string, label: string): void;
  /** A call (docs/api.md); rejects with the words of a refusal. */
  ask(type: string, fields: Record<string, unknown>): Promise<Record<string, unknown>>;
  signal(to: Id, signal: Signal): Promise<void>;
  relayOpen(to: Id): Promise<number>;
  relayClose(relay: number, text: string): void;
  bytes(relay: number, bytes: Bytes): void;
  /** Bytes that the socket would take now. */
  room(): number;
  state(): TrackerState;
  /** When the other side last answered something that was asked, 0 for never. */
  answeredAt(): number;
  retryAt(): number | undefined;
  /** Attempts in a row that came to nothing. */
  failures(): number;
}

const RETRY_FIRST_MS = 500;
/** A tracker that is started again is found within 3 s; one that is away for long is asked less often. */
const RETRY_MAX_MS = 3000;
const RETRY_LONG_MS = 15_000;
const RETRY_LONG_AFTER = 20;
const REPLACED_PAUSE_MS = 5000;
const RENEW_PAUSE_MS = 2000;
/** A server that is started again asks for pauses, so that not all come at once. */
const ASKED_PAUSE_MAX_MS = 60_000;
const GREET_WITHIN_MS = 10_000;
const ASK_AFTER_MS = 12_000;
const ANSWER_WITHIN_MS = 8000;
const GONE = 410;
const SEND_BUFFER_BYTES_MAX = 256 * 1024;

interface Answer {
  type: string;
  id?: number;
  status?: "success" | "error";
  message?: string;
}

type FromTracker = Answer & Record<string, unknown>;

function isWelcome(message: object): message is Welcome {
  const { tracker, account, nonce, channels } = message as Partial<Welcome>;
  return (
    idBytes(tracker) !== undefined &&
    typeof account === "string" && account !== "" &&
    typeof nonce === "string" && fromHex(nonce) !== undefined &&
    Array.isArray(channels) && channels.every(({ id, name }) => idBytes(id) !== undefined && typeof name === "string")
  );
}

export function createTracker(options: {
  open: () => Socket;
  /** Whether there is a session: a page is not told why an upgrade was refused. Undefined: cannot be asked. A
   *  number: there is one, and the socket may be tried again after so many milliseconds. */
  session: () => Promise<boolean | number | undefined>;
  clock: Clock;
  random: () => number;
  hooks: TrackerHooks;
}): Tracker {
  const { open, session, clock, random, hooks } = options;
  let state: TrackerState = "idle";
  let socket: Socket | undefined;
  let failures = 0;
  let heardAt = 0; // anything at all
  let answeredAt = 0; // a round trip
  let retryAt: number | undefined;
  let nextId = 1;
  let pauseMs: number | undefined; // asked for by a goodbye
  const waiting = new Map<number, { resolve: (answer: FromTracker) => void; reject: (error: Error) => void }>();
  let cancelRetry = (): void => {};
  let cancelWatch = (): void => {};

  function enter(next: TrackerState): void {
    state = next;
    hooks.changed();
  }

  function send(message: Record<string, unknown>): void {
    socket?.send(JSON.stringify(message));
  }

  function request(message: Record<string, unknown>): Promise<FromTracker> {
    return new Promise((resolve, reject) => {
      if (!socket) return reject(new Error("the tracker is not connected"));
      const id = nextId++;
      waiting.set(id, { resolve, reject });
      send({ ...message, id });
    });
  }

  /** Lets go of the socket without waiting for its close event, which can take minutes on a dead network. */
  function drop(reason: string, next: TrackerState): void {
    const wasOnline = state === "online";
    state = next;
    cancelWatch();
    cancelRetry();
    retryAt = undefined;
    const old = socket;
    socket = undefined;
    if (old) {
      old.onopen = old.onmessage = old.onclose = null;
      try {
        old.close(1000, reason);
      } catch {
        // It was never open.
      }
    }
    for (const { reject } of waiting.values()) reject(new Error(reason));
    waiting.clear();
    if (wasOnline) hooks.down();
  }

  function connect(): void {
    cancelRetry();
    retryAt = undefined;
    pauseMs = undefined;
    let greeted: Socket;
    try {
      greeted = open();
    } catch {
      return lost("the socket cannot be opened");
    }
    socket = greeted;
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => receive(data as string | ArrayBuffer);
    socket.onclose = () => lost("the tracker closed the socket");
    cancelWatch = clock.after(GREET_WITHIN_MS, () => lost("the tracker did not answer"));
    if (state !== "connecting") enter("connecting");
  }

  /** The socket is gone or useless: find out whether a login would help, else try again later. */
  function lost(reason: string): void {
    const early = state === "connecting";
    drop(reason, "waiting");
    const longest = failures < RETRY_LONG_AFTER ? RETRY_MAX_MS : RETRY_LONG_MS;
    const pause = pauseMs ?? Math.min(longest, RETRY_FIRST_MS * 2 ** failures) * (0.5 + random() / 2);
    failures++;
    tryAfter(pause);
    if (early) void askSession();
  }

  function tryAfter(pause: number): void {
    cancelRetry();
    retryAt = Math.round(clock.now() + pause);
    cancelRetry = clock.after(pause, connect);
    hooks.changed();
  }

  async function askSession(): Promise<void> {
    const there = await session().catch(() => undefined);
    if (state !== "waiting") return;
    if (typeof there === "number") return tryAfter(Math.min(there, ASKED_PAUSE_MAX_MS));
    if (there !== false) return;
    cancelRetry();
    retryAt = undefined;
    enter("logged-out");
  }

  /** A round trip every now and then, whatever else comes in: that is what "online" means. */
  function askLater(): void {
    cancelWatch();
    cancelWatch = clock.after(ASK_AFTER_MS, ask);
  }

  function ask(): void {
    const askedAt = clock.now();
    request({ type: "ping" }).catch(() => {});
    cancelWatch();
    cancelWatch = clock.after(ANSWER_WITHIN_MS, () => {
      // Behind a lot of relayed bytes an answer may take its time; silence is something else.
      if (heardAt > askedAt) askLater();
      else lost("the tracker does not answer");
    });
  }

  function receive(data: string | ArrayBuffer): void {
    heardAt = clock.now();
    if (typeof data !== "string") {
      if (data.byteLength > 4) hooks.bytes(new DataView(data).getUint32(0), new Uint8Array(data, 4));
      return;
    }
    let message: FromTracker;
    try {
      message = JSON.parse(data) as FromTracker;
    } catch {
      return lost("the tracker sent something that is not JSON");
    }
    if (typeof message.id === "number") return answered(message.id, message);
    push(message);
  }

  function answered(id: number, message: FromTracker): void {
    const request = waiting.get(id);
    waiting.delete(id);
    answeredAt = clock.now();
    if (state === "online") askLater();
    if (message.status === "success") request?.resolve(message);
    else request?.reject(Object.assign(new Error(message.message ?? "the tracker refused"), { code: message.code }));
  }

  function push(message: FromTracker): void {
    switch (message.type) {
      case "welcome":
        if (!isWelcome(message)) return lost("the tracker's welcome is not in the agreed form");
        // The greeting may take as long as opening the database does.
        cancelWatch();
        cancelWatch = clock.after(GREET_WITHIN_MS, () => lost("the greeting took too long"));
        return hooks.welcome(message);
      case "presence":
        if (Array.isArray(message.devices)) hooks.presence(message.full === true, message.devices as PresenceDevice[]);
        return;
      case "signal":
        return hooks.signal(message.from as Id, message as unknown as Signal);
      case "relay-open":
        return hooks.relayOpened(message.from as Id, message.relay as number);
      case "relay-close":
        return hooks.relayClosed(message.relay as number);
      case "goodbye":
        return goodbye(message.reason as string, message.retry_ms);
      default:
        return hooks.news(message);
    }
  }

  function goodbye(reason: string, retryMs: unknown): void {
    if (typeof retryMs === "number") pauseMs = Math.min(Math.max(0, retryMs), ASKED_PAUSE_MAX_MS);
    if (reason === "replaced") pauseMs = REPLACED_PAUSE_MS;
    if (reason !== "logged-out") return;
    drop("logged out", "logged-out");
    hooks.changed();
  }

  return {
    start() {
      if (state === "idle") connect();
    },
    retry() {
      if (state === "waiting" || state === "logged-out") {
        failures = 0;
        connect();
      } else if (state === "online") {
        ask();
      }
    },
    renew(text) {
      if (state !== "online") return;
      pauseMs = RENEW_PAUSE_MS;
      lost(text);
    },
    stop(next) {
      if (state === next) return;
      drop("closed by the page", next);
      hooks.changed();
    },
    greet(device, proof, label) {
      request({ type: "hello", device, proof, label }).then(
        (answer) => {
          failures = 0;
          state = "online";
          askLater();
          hooks.online(fromHex(String(answer.certificate)) ?? new Uint8Array(0));
          hooks.changed();
        },
        (error: { code?: unknown }) => {
          if (state !== "connecting") return;
          if (error.code === GONE) hooks.revoked();
          else lost("the tracker refused the hello");
        },
      );
    },
    ask: (type, fields) => request({ ...fields, type }),
    signal: async (to, signal) => void (await request({ type: "signal", to, ...signal })),
    relayOpen: async (to) => (await request({ type: "relay-open", to })).relay as number,
    relayClose: (relay, text) => send({ type: "relay-close", relay, message: text }),
    bytes(relay, bytes) {
      const head = new Uint8Array(4);
      new DataView(head.buffer).setUint32(0, relay);
      socket?.send(concat(head, bytes));
    },
    room: () => (socket ? Math.max(0, SEND_BUFFER_BYTES_MAX - socket.bufferedAmount) : 0),
    state: () => state,
    answeredAt: () => answeredAt,
    retryAt: () => retryAt,
    failures: () => failures,
  };
}
