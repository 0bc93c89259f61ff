// Words: one file per language, picked once and switched live. A text is a string with {names}, or plural
// forms of Intl.PluralRules chosen by {n}.
import { batch, computed, signal } from "@preact/signals";
import type en from "./locales/en.json";
import { readSetting, writeSetting } from "./state/settings";

export type Key = keyof typeof en;
type Text = string | { other: string; one?: string; many?: string };
type Values = Record<string, string | number>;

export const languages = { en: "English", vi: "Tiếng Việt", pt: "Português" } as const;
export type Language = keyof typeof languages;

type Texts = Record<Key, Text>;

/** One of them is fetched, at the start; the others when they are chosen. */
const files: Record<Language, () => Promise<{ default: Texts }>> = {
  en: () => import("./locales/en.json"),
  vi: () => import("./locales/vi.json"),
  pt: () => import("./locales/pt.json"),
};
const texts = signal<Partial<Texts>>({});

function preferred(): Language {
  const wanted = [readSetting("language"), ...navigator.languages];
  for (const tag of wanted) {
    const base = tag?.split("-")[0] ?? "";
    if (base in languages) return base as Language;
  }
  return "en";
}

export const language = signal<Language>(preferred());

/** The tag for Intl: the browser's own regional form of the language where it has one (pt-BR, en-GB). */
export const locale = computed(
  () => navigator.languages.find((tag) => tag.split("-")[0] === language.value) ?? language.value,
);

const plurals = computed(() => new Intl.PluralRules(locale.value));
const numbers = computed(() => new Intl.NumberFormat(locale.value));

/** Has to be done before anything is drawn. */
export async function loadWords(next: Language = language.peek()): Promise<void> {
  const words = (await files[next]()).default;
  batch(() => {
    texts.value = words;
    language.value = next;
  });
}

export function setLanguage(next: Language): void {
  writeSetting("language", next);
  loadWords(next).catch(() => undefined); // the server is away: it counts from the next visit on
}

/** Words of a part of the page that is fetched when it is opened; its keys begin with the name of the part. */
export function wordsOf<K extends string>(more: Record<Language, Record<K, Text>>): (key: K, values?: Values) => string {
  return (key, values = {}) => filled(more[language.value][key], values);
}

/** The text of a key in the language in use, with {names} filled in. */
export function t(key: Key, values: Values = {}): string {
  return filled(texts.value[key] ?? key, values);
}

function filled(text: Text, values: Values): string {
  const form =
    typeof text === "string"
      ? text
      : (text[plurals.value.select(Number(values.n ?? 0)) as "one" | "many" | "other"] ?? text.other);
  return form.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    if (value === undefined) return whole;
    return typeof value === "number" ? numbers.value.format(value) : value;
  });
}
