// What the measurements share: numbers in words, and folders that go away.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));

export function percentile(values, part) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
}
export const median = (values) => percentile(values, 0.5);

/** Calls `work(folder)` with a fresh folder that is removed afterwards. */
export async function inFolder(work, parent = tmpdir()) {
  const folder = mkdtempSync(join(parent, "weaprous-bench-"));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  process.once("exit", remove);
  try {
    return await work(folder);
  } finally {
    process.off("exit", remove);
    remove();
  }
}

export function report(what, value) {
  console.log(`${what.padEnd(58)} ${value}`);
}
