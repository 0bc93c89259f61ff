// Pipes for the core's links: the replica's and the relayed ones inside the tracker's socket, the direct ones
// through a tab's RTCPeerConnection. Carries out the core's wishes (connect) and tells it what came of them.
import { fromUtf8, randomBytes, toHex, toUtf8, type Bytes } from "./bytes";
import type { Clock } from "./clock";
import { TRANSMIT_ROOM, type LinkPath } from "./core";
import { RTC_WINDOW_BYTES, type FromWorker, type Switches, type ToWorker } from "./protocol";
import type { Pipe, Shell } from "./shell";
import type { Signal, Tracker } from "./tracker";
import type { Id } from "./api";

/** A tab that can make direct connections. */
export interface RtcTab {
  post(message: FromWorker, transfer?: Transferable[]): void;
}

type FromTab = Extract<ToWorker, { t: `rtc-${string}` }>;

export interface Links {
  connect(device: Id, path: LinkPath): void;
  trackerUp(tracker: Id): void;
  trackerDown(): void;
  trackerBytes(relay: number, bytes: Bytes): void;
  relayOpened(from: Id, relay: number): void;
  relayClosed(relay: number): void;
  signal(from: Id, signal: Signal): void;
  /** The same, brought by other devices: anybody may have written it. */
  signalBytes(from: Id, bytes: Uint8Array): void;
  fromTab(tab: RtcTab, message: FromTab): void;
  tabGone(tab: RtcTab): void;
}

interface Attempt {
  tab: RtcTab;
  device: Id;
  name: string;
  initiator: boolean;
  link?: number;
  /** What the data channel would take now. */
  room: number;
}

const REPLICA = 0;
/** The replica has moved to another process of the tracker, or had no room: its link is begun again, in the same socket. */
const RELINK_FIRST_MS = 150;
const RELINK_MAX_MS = 15_000;
const RELINK_STEADY_MS = 10_000; // a link that lasted so long was a good one
const OPENING = -1; // no link has this number
const ATTEMPTS_MAX = 512;
const ATTEMPTS_OF_DEVICE_MAX = 4;
const ATTEMPT_NAME_MAX = 64;
const SOCKET_POLL_MS = 10;

export function createLinks(options: {
  shell: Shell;
  tracker: Tracker;
  clock: Clock;
  /** The tab that makes the next direct connection, if there is one. */
  tab: () => RtcTab | undefined;
  switches: () => Switches;
  accountOf: (device: Id) => string | undefined;
  /** A connection to the device is being made, or not any more. */
  connecting: (device: Id, on: boolean) => void;
  ice: () => RTCIceServer[];
}): Links {
  const { shell, tracker, clock, switches } = options;
  const relays = new Map<number, number>(); // relay number -> link
  const attempts = new Map<string, Attempt>();
  let cancelPoll: (() => void) | undefined;
  let replica: { device: Id; since: number; pause: number } | undefined; // while the tracker is there
  let cancelRelink = (): void => {};

  const avoided = (device: Id): boolean => switches().avoid.includes(options.accountOf(device) ?? "");

  /** A WebSocket does not say when its buffer has room again. */
  function pollSocket(): void {
    cancelPoll ??= clock.after(SOCKET_POLL_MS, () => {
      cancelPoll = undefined;
      if (tracker.room() < TRANSMIT_ROOM) {
        if (tracker.state() === "online") pollSocket();
        return;
      }
      for (const link of [...relays.values()]) shell.writable(link);
    });
  }

  function socketPipe(relay: number): Pipe {
    return {
      room() {
        const room = tracker.room();
        if (room < TRANSMIT_ROOM) pollSocket();
        return room;
      },
      write: (bytes) => tracker.bytes(relay, bytes),
      close(text) {
        if (!relays.delete(relay)) return;
        // Bytes of the old link may be on their way still, so a new one needs a new socket.
        if (relay === REPLICA) tracker.renew(text);
        else tracker.relayClose(relay, text);
      },
    };
  }

  function dropRelay(relay: number): void {
    const link = relays.get(relay);
    if (link === undefined) return;
    relays.delete(relay);
    shell.linkDown(link);
  }

  /** A number that is in use already means that the tracker has lost count: the newer one is right. */
  function useRelay(relay: number, path: LinkPath, initiator: boolean, expected: Id, binding: string): void {
    dropRelay(relay);
    // The link's first bytes go out inside linkUp, and it may even end there.
    relays.set(relay, OPENING);
    try {
      const link = shell.linkUp({ path, initiator, expected, binding }, socketPipe(relay));
      if (relays.get(relay) === OPENING) relays.set(relay, link);
    } catch {
      relays.delete(relay);
      if (relay !== REPLICA) tracker.relayClose(relay, "no room for another link");
    }
  }

  function linkReplica(): void {
    if (!replica || !switches().replica) return;
    replica.since = clock.now();
    useRelay(REPLICA, "tracker", true, replica.device, "tracker");
  }

  /** Everybody's link ends when the replica moves, so each begins again after a pause of its own. */
  function relinkReplica(): void {
    if (!replica) return;
    if (clock.now() - replica.since > RELINK_STEADY_MS) replica.pause = RELINK_FIRST_MS;
    cancelRelink();
    cancelRelink = clock.after(replica.pause * (0.5 + randomBytes(1)[0]! / 256), linkReplica);
    replica.pause = Math.min(2 * replica.pause, RELINK_MAX_MS);
  }

  function failed(device: Id, path: LinkPath): void {
    options.connecting(device, false);
    try {
      shell.command({ kind: "connect-failed", device, path });
    } catch {
      // The core has forgotten the device meanwhile.
    }
  }

  /** By the tracker, or over the links that there are when it is away. */
  async function send(to: Id, signal: Signal): Promise<void> {
    if (tracker.state() === "online") return tracker.signal(to, signal);
    shell.command({ kind: "signal", device: to, bytes: toUtf8(JSON.stringify(signal)) });
  }

  async function openRelay(device: Id): Promise<void> {
    options.connecting(device, true);
    try {
      const relay = await tracker.relayOpen(device);
      options.connecting(device, false);
      useRelay(relay, "relay", true, device, "relay");
    } catch {
      failed(device, "relay");
    }
  }

  function dial(device: Id): void {
    const tab = options.tab();
    if (!tab || attempts.size >= ATTEMPTS_MAX) return failed(device, "direct");
    const name = toHex(randomBytes(8));
    attempts.set(`${device}/${name}`, { tab, device, name, initiator: true, room: RTC_WINDOW_BYTES });
    options.connecting(device, true);
    tab.post({ t: "rtc-dial", attempt: `${device}/${name}`, ice: options.ice() });
  }

  function ofDevice(device: Id): number {
    let count = 0;
    for (const attempt of attempts.values()) if (attempt.device === device && attempt.link === undefined) count++;
    return count;
  }

  function acceptOffer(from: Id, name: string, description: RTCSessionDescriptionInit): void {
    const tab = options.tab();
    if (!tab || attempts.size >= ATTEMPTS_MAX || ofDevice(from) >= ATTEMPTS_OF_DEVICE_MAX) return;
    const id = `${from}/${name}`;
    attempts.set(id, { tab, device: from, name, initiator: false, room: RTC_WINDOW_BYTES });
    tab.post({ t: "rtc-accept", attempt: id, description, ice: options.ice() });
  }

  function takeSignal(from: Id, signal: Signal): void {
    if (!switches().direct || avoided(from) || typeof signal.attempt !== "string") return;
    if (signal.attempt.length > ATTEMPT_NAME_MAX) return;
    const id = `${from}/${signal.attempt}`;
    const attempt = attempts.get(id);
    if (attempt && "description" in signal) {
      attempt.tab.post({ t: "rtc-signal", attempt: id, description: signal.description });
    } else if (attempt && "candidate" in signal) {
      attempt.tab.post({ t: "rtc-signal", attempt: id, candidate: signal.candidate });
    } else if ("description" in signal && signal.description?.type === "offer") {
      acceptOffer(from, signal.attempt, signal.description);
    }
  }

  function endAttempt(id: string, attempt: Attempt): void {
    attempts.delete(id);
    if (attempt.link !== undefined) shell.linkDown(attempt.link);
    else if (attempt.initiator) failed(attempt.device, "direct");
  }

  function directPipe(id: string, attempt: Attempt): Pipe {
    return {
      room: () => attempt.room,
      write(bytes) {
        attempt.room -= bytes.length;
        attempt.tab.post({ t: "rtc-data", attempt: id, bytes: bytes.buffer }, [bytes.buffer]);
      },
      close() {
        if (attempts.get(id) === attempt) attempts.delete(id);
        attempt.tab.post({ t: "rtc-close", attempt: id });
      },
    };
  }

  function opened(id: string, attempt: Attempt, binding: string): void {
    if (attempt.link !== undefined) return;
    const { device, initiator } = attempt;
    if (initiator) options.connecting(device, false);
    try {
      attempt.link = shell.linkUp({ path: "direct", initiator, expected: device, binding }, directPipe(id, attempt));
    } catch {
      attempt.tab.post({ t: "rtc-close", attempt: id });
      endAttempt(id, attempt);
    }
  }

  return {
    connect(device, path) {
      const allowed = path === "direct" ? switches().direct : switches().relay;
      const possible = path === "direct" || tracker.state() === "online";
      if (!allowed || !possible || avoided(device)) return failed(device, path);
      if (path === "direct") dial(device);
      else void openRelay(device);
    },
    trackerUp(device) {
      replica = { device, since: 0, pause: RELINK_FIRST_MS };
      linkReplica();
    },
    trackerDown() {
      cancelRelink();
      replica = undefined;
      for (const relay of [...relays.keys()]) dropRelay(relay);
    },
    trackerBytes(relay, bytes) {
      const link = relays.get(relay);
      if (link !== undefined) shell.receive(link, bytes);
    },
    relayOpened(from, relay) {
      if (!switches().relay || avoided(from)) return tracker.relayClose(relay, "not wanted");
      useRelay(relay, "relay", false, from, "relay");
    },
    relayClosed(relay) {
      dropRelay(relay);
      if (relay === REPLICA) relinkReplica();
    },
    signal: takeSignal,
    signalBytes(from, bytes) {
      try {
        const signal: unknown = JSON.parse(fromUtf8(bytes));
        if (typeof signal === "object" && signal !== null) takeSignal(from, signal as Signal);
      } catch {
        // Not of our making.
      }
    },
    fromTab(tab, message) {
      const id = message.attempt;
      const attempt = attempts.get(id);
      if (!attempt || attempt.tab !== tab) return;
      switch (message.t) {
        case "rtc-signal": {
          const what = "description" in message ? { description: message.description } : { candidate: message.candidate };
          send(attempt.device, { attempt: attempt.name, ...what }).catch(() => {
            if (!("description" in message) || attempts.get(id) !== attempt || attempt.link !== undefined) return;
            tab.post({ t: "rtc-close", attempt: id });
            endAttempt(id, attempt);
          });
          return;
        }
        case "rtc-open":
          return opened(id, attempt, message.binding);
        case "rtc-data":
          if (attempt.link !== undefined) shell.receive(attempt.link, new Uint8Array(message.bytes));
          return;
        case "rtc-credit":
          attempt.room += message.bytes;
          if (attempt.link !== undefined) shell.writable(attempt.link);
          return;
        case "rtc-closed":
          return endAttempt(id, attempt);
      }
    },
    tabGone(tab) {
      for (const [id, attempt] of [...attempts]) if (attempt.tab === tab) endAttempt(id, attempt);
    },
  };
}
