// What is open on the page: the right column, dialogs, and which message is looked at.
import { computed, signal } from "@preact/signals";
import type { Channel, Id } from "../../node/api";
import { channels } from "./chat";
import { route } from "./route";
import { readSetting, writeSetting } from "./settings";

const wide = matchMedia("(min-width: 56.25em)");

export const isWide = signal(wide.matches);
wide.addEventListener("change", (event) => {
  isWide.value = event.matches;
  sidePanel.value = event.matches && readSetting("side") !== "closed" ? { show: "members" } : null;
});

export type SidePanel = { show: "members" } | { show: "message"; channel: Id; id: Id } | null;

export const sidePanel = signal<SidePanel>(wide.matches && readSetting("side") !== "closed" ? { show: "members" } : null);
export const shortcutsOpen = signal(false);

/** The conversation on the screen; wide screens always have one. */
export const openChannel = computed<Channel | null>(() => {
  const named = channels.value.find((channel) => channel.name === route.value.channel);
  return named ?? channels.value[0] ?? null;
});

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
