// Devices folded into people: what the member list shows.
import { computed } from "@preact/signals";
import type { Path, Peer } from "../../node/api";
import { account, peers } from "./chat";

export interface Member {
  account: string;
  me: boolean;
  devices: Peer[];
  state: "linked" | "connecting" | "online" | "offline" | "unknown";
  /** The best link to any device. */
  path: Path;
  rttMs?: number;
  seenAt?: number;
}

const pathRank: Record<Path, number> = { none: 0, own: 0, tracker: 1, relay: 2, direct: 3, lan: 4 };

function memberOf(name: string, devices: Peer[]): Member {
  const best = devices.reduce((a, b) => (pathRank[b.path] > pathRank[a.path] ? b : a));
  const seen = Math.max(0, ...devices.map((peer) => peer.seenAt ?? 0));
  const has = (test: (peer: Peer) => boolean): boolean => devices.some(test);
  const state = pathRank[best.path]
    ? "linked"
    : has((peer) => peer.connecting)
      ? "connecting"
      : has((peer) => peer.presence === "online")
        ? "online"
        : has((peer) => peer.presence === "unknown")
          ? "unknown"
          : "offline";
  return {
    account: name,
    me: name === account.value,
    devices,
    state,
    path: best.path,
    ...(best.rttMs === undefined ? {} : { rttMs: best.rttMs }),
    ...(seen > 0 ? { seenAt: seen } : {}),
  };
}

/** Everybody else, by name; other devices of this account are one more person-row marked `me`. */
export const members = computed<Member[]>(() => {
  const byName = new Map<string, Peer[]>();
  for (const peer of peers.value.values()) {
    if (!peer.account) continue;
    const devices = byName.get(peer.account);
    if (devices) devices.push(peer);
    else byName.set(peer.account, [peer]);
  }
  const all = [...byName].map(([name, devices]) => memberOf(name, devices));
  return all.sort((a, b) => a.account.localeCompare(b.account));
});

/** People (not devices) with a link that needs no tracker. */
export const linkedPeople = computed(() => {
  const names = new Set<string>();
  for (const peer of peers.value.values()) {
    if (peer.path === "direct" || peer.path === "lan") names.add(peer.account);
  }
  return names.size;
});

/** With no tracker to ask, "nobody is here" would be a guess. */
export const unsure = computed(() => members.value.some((m) => !m.me && m.state === "unknown"));

export const here = computed(() => members.value.filter((m) => m.state !== "offline" && m.state !== "unknown"));
export const away = computed(() => members.value.filter((m) => m.state === "offline" || m.state === "unknown"));
