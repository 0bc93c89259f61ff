// The connection as it is shown: trouble only after it has lasted two seconds, recovery at once.
import { computed, effect, signal } from "@preact/signals";
import type { Connection } from "../../node/api";
import { connection, peers } from "./chat";

const TROUBLE_MS = 2000;
const rank: Record<Connection["state"], number> = { online: 0, limited: 1, connecting: 2, offline: 3 };

export const shownConnection = signal<Connection>(connection.peek());
let timer = 0;

effect(() => {
  const next = connection.value;
  clearTimeout(timer);
  const worse = rank[next.state] > rank[shownConnection.peek().state];
  if (worse) timer = window.setTimeout(() => (shownConnection.value = next), TROUBLE_MS);
  else shownConnection.value = next;
});

/** People (not devices) with a link that needs no tracker. */
export const linkedPeople = computed(() => {
  const names = new Set<string>();
  for (const peer of peers.value.values()) {
    if (peer.path === "direct" || peer.path === "lan") names.add(peer.account);
  }
  return names.size;
});
