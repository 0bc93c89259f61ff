import { signal } from "@preact/signals";
import { readSetting, writeSetting } from "./settings";

export const themes = ["system", "light", "dark"] as const;
export type Theme = (typeof themes)[number];

const stored = readSetting("theme");
export const theme = signal<Theme>(stored === "light" || stored === "dark" ? stored : "system");

export function setTheme(next: Theme): void {
  theme.value = next;
  writeSetting("theme", next === "system" ? "" : next);
  if (next === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
}
