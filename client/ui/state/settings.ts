// Small choices of this browser, kept in localStorage; when it is refused they last as long as the page.
const memory = new Map<string, string>();
const PREFIX = "weaprous.";

export function readSetting(name: string): string | null {
  try {
    return localStorage.getItem(PREFIX + name) ?? memory.get(name) ?? null;
  } catch {
    return memory.get(name) ?? null;
  }
}

/** An empty value removes the setting. */
export function writeSetting(name: string, value: string): void {
  if (value) memory.set(name, value);
  else memory.delete(name);
  try {
    if (value) localStorage.setItem(PREFIX + name, value);
    else localStorage.removeItem(PREFIX + name);
  } catch {
    // Refused or full: the copy in memory has it.
  }
}
