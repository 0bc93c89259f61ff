// Starts the program that serves the site of the conformance table.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
export const program = process.env.CONFORMANCE_SERVER ?? join(root, "build/asan/tests/conformance/conformance-server");

/** Rejects with `what` when the promise takes too long. */
export function within(promise, what, ms = 30_000) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing within ${ms} ms: ${what}`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** {child, port, ended, errors()}; it does not keep this process alive, and ends with it. */
export async function start(words = ["default"], { env = {}, command = program } = {}) {
  const child = spawn(command, words, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  let errors = "";
  child.stderr.on("data", (bytes) => (errors += bytes));
  const ended = new Promise((resolve) => {
    child.on("error", (error) => resolve({ error }));
    child.on("close", (code, signal) => resolve({ code, signal }));
  });
  const [line] = await within(Promise.race([once(child.stdout, "data"), ended.then((end) => [JSON.stringify(end)])]), "the server");
  const port = Number(/:(\d+)\//.exec(String(line))?.[1]);
  if (!port) throw new Error(`the server said ${line} ${errors}`);
  for (const handle of [child, child.stdout, child.stderr]) handle.unref();
  process.on("exit", () => child.kill("SIGKILL"));
  return { child, port, ended, errors: () => errors };
}

/** Ends it as a person would; throws when it did not end well (a sanitizer's complaint, a crash). */
export async function stop(server) {
  server.child.kill("SIGTERM");
  const end = await within(server.ended, "the end of the server");
  if (end.code !== 0) throw new Error(`the server ended with ${JSON.stringify(end)}: ${server.errors()}`);
}

/** The same numbers for the same seed (mulberry32). */
export function randomOf(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
