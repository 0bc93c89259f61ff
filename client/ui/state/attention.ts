// Telling people that something came: the polite live region for readers of the open page, and a system
// notification when the page is not looked at.
import { signal } from "@preact/signals";
import type { Message } from "../../node/api";
import { t } from "../i18n";
import { readSetting, writeSetting } from "./settings";

const MERGE_MS = 700;
const SPOKEN_MAX = 3;

/** What the live region says now. */
export const spoken = signal("");
let waiting: Message[] = [];

export function announce(message: Message): void {
  if (waiting.push(message) === 1) setTimeout(speak, MERGE_MS);
}

function speak(): void {
  const batch = waiting;
  waiting = [];
  spoken.value =
    batch.length > SPOKEN_MAX
      ? t("live.many", { n: batch.length })
      : batch.map((message) => `${message.account}: ${message.text}`).join(". ");
}

export type Permission = "unsupported" | "off" | "on" | "refused";

function currentPermission(): Permission {
  if (!("Notification" in window) || !window.isSecureContext) return "unsupported";
  if (Notification.permission === "denied") return "refused";
  return Notification.permission === "granted" && readSetting("notify") === "on" ? "on" : "off";
}

export const notifications = signal<Permission>(currentPermission());

/** Somebody wrote and was not yet asked about notifications: the time to offer them. */
export const offerNotifications = signal(false);

export function declineNotifications(): void {
  writeSetting("notify-offered", "yes");
  offerNotifications.value = false;
}

/** Only ever from a click of the user. */
export async function switchNotifications(on: boolean): Promise<void> {
  if (on && Notification.permission === "default") await Notification.requestPermission();
  declineNotifications();
  writeSetting("notify", on ? "on" : "");
  notifications.value = currentPermission();
}

export function notify(message: Message): void {
  if (notifications.value === "off" && !readSetting("notify-offered")) offerNotifications.value = true;
  if (notifications.value !== "on" || (document.visibilityState === "visible" && document.hasFocus())) return;
  // The tag makes several tabs show one notification.
  const shown = new Notification(message.account, { body: message.text.slice(0, 200), tag: message.id, icon: "/favicon.svg" });
  shown.onclick = () => {
    window.focus();
    shown.close();
  };
}
