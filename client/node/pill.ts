// What the connection pill says. Trouble is shown after 2 s, so that short blips do not flicker; recovery at once.
// Green needs a round trip within the last 30 s, not an open socket.
import type { Clock } from "./clock";
import type { Connection } from "./api";
import type { TrackerState } from "./tracker";

export interface Facts {
  /** Something that no network can mend. */
  halted?: "other-tab" | "storage-failed";
  /** Nothing can be written to the disk at present. */
  unsaved: boolean;
  tracker: TrackerState;
  /** When the tracker last answered something, 0 for never. */
  answeredAt: number;
  /** Attempts in a row that came to nothing. */
  failures: number;
  retryAt?: number;
  peers: number;
  /** False when the browser itself says that there is no network. */
  network: boolean;
}

const TROUBLE_SHOWN_AFTER_MS = 2000;
const FRESH_MS = 30_000;
const FAILURES_OFFLINE = 3;
const RANK = { online: 3, limited: 2, connecting: 1, offline: 0 } as const;

/** What is true now. */
export function judge(facts: Facts, now: number): Connection {
  const { halted, unsaved, tracker, answeredAt, failures, retryAt, peers, network } = facts;
  if (halted) return { state: "offline", reason: halted, peers };
  if (tracker === "logged-out") return { state: "offline", reason: "logged-out", peers };
  if (unsaved) return { state: "limited", reason: "storage-failed", peers };
  if (tracker === "online" && now - answeredAt < FRESH_MS) return { state: "online", reason: "ok", peers };
  if (tracker === "idle") return { state: "connecting", reason: "starting", peers };
  if (!network) return { state: peers > 0 ? "limited" : "offline", reason: "no-network", peers };
  const again = retryAt === undefined ? {} : { retryAt };
  if (peers > 0) return { state: "limited", reason: "tracker-unreachable", peers, ...again };
  if (failures < FAILURES_OFFLINE) return { state: "connecting", reason: "tracker-connecting", peers, ...again };
  return { state: "offline", reason: "tracker-unreachable", peers, ...again };
}

export interface Pill {
  update(facts: Facts): void;
  value(): Connection;
  stop(): void;
}

export function createPill(clock: Clock, changed: (connection: Connection) => void): Pill {
  let shown: Connection = { state: "connecting", reason: "starting", peers: 0 };
  let latest: Facts | undefined;
  let troubleSince: number | undefined;
  let cancel = (): void => {};

  function show(next: Connection): void {
    troubleSince = undefined;
    if (JSON.stringify(next) === JSON.stringify(shown)) return;
    shown = next;
    changed(next);
  }

  function look(): void {
    cancel();
    cancel = () => {};
    if (!latest) return;
    const now = clock.now();
    const next = judge(latest, now);
    if (next.state === "online") cancel = clock.after(latest.answeredAt + FRESH_MS - now, look);
    const worse = RANK[next.state] < RANK[shown.state];
    const blip = next.reason === "tracker-unreachable" || next.reason === "tracker-connecting" || next.reason === "no-network";
    if (!worse || !blip) return show(next);
    troubleSince ??= now;
    const left = troubleSince + TROUBLE_SHOWN_AFTER_MS - now;
    if (left <= 0) return show(next);
    cancel = clock.after(left, look);
  }

  return {
    update(facts) {
      latest = facts;
      look();
    },
    value: () => shown,
    stop() {
      cancel();
      latest = undefined;
    },
  };
}
