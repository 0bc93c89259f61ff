// Dates, sizes and codes as people read them, by Intl in the language in use.
import { computed, signal } from "@preact/signals";
import { locale, t } from "./i18n";
import { dayOf } from "./state/day";

const DAY_MS = 86_400_000;

const formats = computed(() => ({
  clock: new Intl.DateTimeFormat(locale.value, { timeStyle: "short" }),
  exact: new Intl.DateTimeFormat(locale.value, { dateStyle: "medium", timeStyle: "medium" }),
  day: new Intl.DateTimeFormat(locale.value, { weekday: "long", day: "numeric", month: "long" }),
  dayWithYear: new Intl.DateTimeFormat(locale.value, { day: "numeric", month: "long", year: "numeric" }),
  short: new Intl.DateTimeFormat(locale.value, { day: "numeric", month: "short" }),
  relative: new Intl.RelativeTimeFormat(locale.value, { numeric: "auto" }),
  list: new Intl.ListFormat(locale.value, { type: "conjunction" }),
}));

export const clock = (ms: number): string => formats.value.clock.format(ms);
export const exactTime = (ms: number): string => formats.value.exact.format(ms);
export const nameList = (names: string[]): string => formats.value.list.format(names);

/** The day that it is, so that "Today" becomes "Yesterday" on pages that stay open. */
const today = signal(dayOf(Date.now()));
/** Counts up while the page is open: what says "ago" reads it, so that it stays true. */
const ticks = signal(0);
setInterval(() => {
  today.value = dayOf(Date.now());
  ticks.value++;
}, 30_000);

export function dayName(ms: number): string {
  const days = Math.round((today.value - dayOf(ms)) / DAY_MS);
  if (days === 0) return t("day.today");
  if (days === 1) return t("day.yesterday");
  const sameYear = new Date(ms).getFullYear() === new Date(today.value).getFullYear();
  return (sameYear ? formats.value.day : formats.value.dayWithYear).format(ms);
}

/** For the conversation list: the clock today, else the date. */
export function shortTime(ms: number): string {
  return dayOf(ms) === today.value ? clock(ms) : formats.value.short.format(ms);
}

/** "3 minutes ago", "this minute". */
export function ago(ms: number): string {
  void ticks.value;
  const seconds = Math.round((ms - Date.now()) / 1000);
  const units: [Intl.RelativeTimeFormatUnit, number][] = [
    ["day", 86_400],
    ["hour", 3_600],
    ["minute", 60],
  ];
  for (const [unit, size] of units) {
    if (-seconds >= size) return formats.value.relative.format(Math.round(seconds / size), unit);
  }
  return formats.value.relative.format(0, "minute");
}

/** The first 16 digits of an id in groups: enough for people to tell devices apart. */
export function shortCode(id: string): string {
  return (id.slice(0, 16).match(/.{4}/g) ?? [id]).join(" ");
}

/** One or two letters for an avatar: of the first and last word of the name. */
export function initials(name: string): string {
  const words = name.split(/[\s._-]+/u).filter(Boolean);
  const letters = [words[0], words.length > 1 ? words[words.length - 1] : undefined];
  return letters.map((word) => (word ? ([...word][0] ?? "") : "")).join("").toLocaleUpperCase(locale.value) || "?";
}

/** A stable hue (degrees) for a name, away from the red that means failure. */
export function hueOf(name: string): number {
  let hash = 2166136261;
  for (const char of name.normalize("NFC")) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 16777619);
  const hues = [55, 95, 135, 175, 215, 255, 295, 335];
  return hues[(hash >>> 0) % hues.length] ?? 205;
}
