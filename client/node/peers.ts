// Who is there: devices as the tracker's presence, the core's links and the entries show them, as one list. What
// cannot be known is called unknown: without the tracker, a device that is not linked may be anywhere.
import type { PeerRow } from "./idb";
import type { PresenceDevice } from "./tracker";
import type { LinkPath } from "./commands";
import type { Id, Peer } from "./api";

interface Known {
  account: string;
  label: string;
  replica: boolean;
  /** What the tracker said last; meaningless while it cannot be asked. */
  online: boolean;
  path: LinkPath;
  connecting: boolean;
  rttMs?: number;
  seenAt?: number;
}

export interface Peers {
  restore(rows: PeerRow[]): void;
  presence(full: boolean, devices: PresenceDevice[]): void;
  trackerDown(): void;
  /** The core's word about a link; "none": there is none now. */
  linked(device: Id, account: string, replica: boolean, path: LinkPath, rttMs?: number): void;
  connecting(device: Id, on: boolean): void;
  /** An entry of this device was seen. */
  author(device: Id, account: string): void;
  account(device: Id): string | undefined;
  list(): Peer[];
  /** Devices of other people that are linked now. */
  linkedOthers(): number;
}

/** A change of only this much of seenAt is not worth a write. */
const SEEN_STEP_MS = 60_000;

export function createPeers(options: {
  self: Id;
  account: string;
  now: () => number;
  changed: (peer: Peer) => void;
  save: (row: PeerRow) => void;
}): Peers {
  const { self, now, changed, save } = options;
  const known = new Map<Id, Known>();
  const saved = new Map<Id, PeerRow>();
  const drawn = new Map<Id, string>();
  let trackerHere = false;

  function presenceOf(peer: Known): Peer["presence"] {
    if (peer.path !== "none") return "online";
    if (!trackerHere) return "unknown";
    return peer.online ? "online" : "offline";
  }

  function view(device: Id, peer: Known): Peer {
    const { account, label, path, rttMs, seenAt } = peer;
    const presence = presenceOf(peer);
    return {
      device, account, label, path, presence,
      connecting: peer.connecting && path === "none" && presence !== "offline",
      ...(rttMs !== undefined && path !== "none" ? { rttMs } : {}),
      ...(seenAt !== undefined ? { seenAt } : {}),
    };
  }

  function remember(device: Id, peer: Known): void {
    const { account, label, seenAt = 0 } = peer;
    const old = saved.get(device);
    if (old?.account === account && old.label === label && seenAt - old.seenAt < SEEN_STEP_MS) return;
    const row = { device, account, label, seenAt };
    saved.set(device, row);
    save(row);
  }

  /** Tells about the device when what is drawn of it has changed. */
  function tell(device: Id, peer: Known): void {
    if (device === self || peer.replica || !peer.account) return;
    const peerView = view(device, peer);
    const text = JSON.stringify({ ...peerView, rttMs: peerView.rttMs && Math.round(peerView.rttMs) });
    if (drawn.get(device) === text) return;
    drawn.set(device, text);
    remember(device, peer);
    changed(peerView);
  }

  function get(device: Id): Known {
    let peer = known.get(device);
    if (!peer) {
      peer = { account: "", label: "", replica: false, online: false, path: "none", connecting: false };
      known.set(device, peer);
    }
    return peer;
  }

  function update(device: Id, changes: Partial<Known>): void {
    const peer = get(device);
    Object.assign(peer, changes);
    tell(device, peer);
  }

  return {
    restore(rows) {
      for (const row of rows) {
        saved.set(row.device, row);
        const { account, label, seenAt } = row;
        Object.assign(get(row.device), { account, label, ...(seenAt > 0 ? { seenAt } : {}) });
      }
    },
    presence(full, devices) {
      trackerHere = true;
      const named = new Set(devices.map(({ device }) => device));
      for (const { device, account, label, status, seen_ms: seen } of devices) {
        const online = status === "online";
        const gone = online ? {} : { connecting: false }; // an attempt may go on for a while; nobody waits for that
        update(device, { account, label, online, ...gone, seenAt: online ? now() : (seen ?? now()) });
      }
      if (!full) return;
      for (const [device, peer] of known) {
        if (!named.has(device)) Object.assign(peer, { online: false, connecting: false });
        tell(device, peer);
      }
    },
    trackerDown() {
      trackerHere = false;
      for (const [device, peer] of known) tell(device, peer);
    },
    linked(device, account, replica, path, rttMs) {
      const before = known.get(device)?.path ?? "none";
      const named = account ? { account } : {};
      const seen = path !== "none" || before !== "none" ? { seenAt: now() } : {};
      update(device, { ...named, ...seen, replica, path, rttMs });
    },
    connecting: (device, on) => update(device, { connecting: on }),
    author(device, account) {
      if (get(device).account !== account) update(device, { account });
    },
    account: (device) => (device === self ? options.account : known.get(device)?.account),
    list() {
      const all: Peer[] = [];
      for (const [device, peer] of known) {
        if (device !== self && !peer.replica && peer.account) all.push(view(device, peer));
      }
      return all;
    },
    linkedOthers() {
      let count = 0;
      for (const peer of known.values()) {
        if (peer.path !== "none" && !peer.replica && peer.account !== options.account) count++;
      }
      return count;
    },
  };
}
