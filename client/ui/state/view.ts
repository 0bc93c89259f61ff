// What is open on the page: the right column, dialogs, and which message is looked at.
import { computed, effect, signal } from "@preact/signals";
import type { Channel, Id } from "../../node/api";
import { channels } from "./chat";
import { deskHash, route } from "./route";
import { readSetting, writeSetting } from "./settings";

// Room is counted in text sizes, not pixels: at 200 % text a screen of 1,280 px has room for one column.
const THREE_COLUMNS_REM = 56.25; // 900 px at the usual 16
const TWO_COLUMNS_REM = 37.5;

const ruler = document.createElement("i");
ruler.className = "ruler"; // as wide as the window, as high as the text
document.body.append(ruler);

function measureRoom(): number {
  return ruler.offsetWidth / (ruler.offsetHeight || 16);
}

const room = signal(measureRoom());
new ResizeObserver(() => (room.value = measureRoom())).observe(ruler);

export const isWide = computed(() => room.value >= THREE_COLUMNS_REM);
/** One column: the list or the conversation, as the address says. */
export const isNarrow = computed(() => room.value < TWO_COLUMNS_REM);

export type SidePanel = { show: "members" } | { show: "message"; channel: Id; id: Id } | null;

export const sidePanel = signal<SidePanel>(null);

const membersIfRoom = (): SidePanel => (isWide.value && readSetting("side") !== "closed" ? { show: "members" } : null);
effect(() => {
  sidePanel.value = membersIfRoom();
});

/** A message that the conversation is to be opened at. */
export const goal = signal<{ channel: Id; id: Id } | null>(null);

export const shortcutsOpen = signal(false);

/** The conversation on the screen; wide screens always have one. */
export const openChannel = computed<Channel | null>(() => {
  const named = channels.value.find((channel) => channel.name === route.value.channel);
  return named ?? channels.value[0] ?? null;
});

/** The search page, for the conversation that is open. */
export const searchHash = (everywhere = false): string =>
  deskHash("search", everywhere || route.value.desk ? undefined : openChannel.value?.name);

/** What had the focus before the panel opened, to give it back. */
let opener: HTMLElement | null = null;

export function toggleMembers(): void {
  if (sidePanel.value?.show === "members") closeSide();
  else {
    opener = document.activeElement as HTMLElement | null;
    sidePanel.value = { show: "members" };
    writeSetting("side", "");
  }
}

export function showMessage(channel: Id, id: Id): void {
  opener = document.activeElement as HTMLElement | null;
  sidePanel.value = { show: "message", channel, id };
}

/** Closes the panel; a message's details make room for the members again where there is room. */
export function closeSide(): void {
  const backToMembers = sidePanel.value?.show === "message" && isWide.value && readSetting("side") !== "closed";
  sidePanel.value = backToMembers ? { show: "members" } : null;
  if (!backToMembers && isWide.value) writeSetting("side", "closed");
  opener?.focus();
  opener = null;
}
