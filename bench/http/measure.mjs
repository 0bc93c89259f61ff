// Processes on a core of their own, what they cost, and load against them.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { root } from "../common.mjs";

export const SERVER_CORE = 0;
export const LOAD_CORE = 1;
const CALM_MS = 200;
const programs = join(root, "build/bench/bench");
const pinned = availableParallelism() > 1;
const privileged = process.getuid() === 0;

export const program = (name) => join(programs, name);

/** Whatever ends the measurement ends what it started, and their children. */
const running = new Set();
process.on("exit", () => {
  for (const child of running)
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {} // it has just ended
});
for (const [signal, number] of [["SIGHUP", 1], ["SIGINT", 2], ["SIGTERM", 15]]) process.on(signal, () => process.exit(128 + number));

const REAL_TIME = ["chrt", "--fifo"];

/** Starts a program on a core, at a raised priority where that is allowed; hurried: before all that is not. */
export function start(core, command, args, { hurried = false, ...options } = {}) {
  const words = [command, ...args];
  if (hurried && privileged) words.unshift(...REAL_TIME, "1");
  if (pinned) words.unshift("taskset", "-c", String(core));
  if (privileged) words.unshift("nice", "-n", "-10");
  const child = spawn(words[0], words.slice(1), { detached: true, stdio: ["pipe", "pipe", "pipe"], ...options });
  // The scheduler shares between sessions first: a nice value counts only within one.
  if (privileged && existsSync(`/proc/${child.pid}/autogroup`)) writeFileSync(`/proc/${child.pid}/autogroup`, "-10");
  running.add(child);
  child.once("close", () => running.delete(child));
  child.errors = "";
  child.stderr?.on("data", (text) => (child.errors += text));
  return child;
}

export function firstLine(child, what) {
  return new Promise((resolve, reject) => {
    let text = "";
    child.stdout.on("data", (part) => {
      text += part;
      if (text.includes("\n")) resolve(text.slice(0, text.indexOf("\n")));
    });
    child.once("exit", () => reject(new Error(`${what} ended: ${child.errors}`)));
  });
}

export function ended(child) {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => child.once("exit", resolve));
}

export async function stop(child) {
  child.removeAllListeners("exit");
  const gone = ended(child);
  child.kill("SIGTERM");
  await Promise.race([gone, delay(8000)]);
  if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
}

const given = new Set();
/** A port that nobody listens on and that was not given before. */
export async function freePort() {
  for (;;) {
    const server = createServer();
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address();
    await new Promise((resolve) => server.close(resolve));
    if (given.has(port)) continue;
    given.add(port);
    return port;
  }
}

/** The threads of a process; none when it has ended meanwhile, as helpers of servers do. */
function tasks(pid) {
  try {
    return readdirSync(`/proc/${pid}/task`).map((task) => `/proc/${pid}/task/${task}`);
  } catch {
    return [];
  }
}

/** What a file of /proc says; nothing when its process or thread has ended meanwhile. */
function said(file) {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/** The process and all that descend from it. */
export function family(pid) {
  const members = [pid];
  for (const member of members)
    for (const task of tasks(member)) members.push(...said(`${task}/children`).split(" ").filter(Boolean).map(Number));
  return members;
}

/** Microseconds of processor time, user and system, of the whole family so far. */
export function cpu(pid) {
  let ns = 0;
  for (const member of family(pid)) for (const task of tasks(member)) ns += Number(said(`${task}/schedstat`).split(" ")[0]);
  return ns / 1000;
}

function memory(pid, field) {
  let kilobytes = 0;
  for (const member of family(pid)) kilobytes += Number(new RegExp(`^${field}: +(\\d+)`, "m").exec(said(`/proc/${member}/smaps_rollup`))?.[1] ?? 0);
  return kilobytes * 1024;
}
/** Puts a family before all ordinary processes, or back: then latencies are its own, and not those of whoever else runs here. */
export function hurry(pid, hurried) {
  if (!privileged) return;
  const kind = hurried ? [...REAL_TIME, "--all-tasks", "--pid", "1"] : ["chrt", "--other", "--all-tasks", "--pid", "0"];
  for (const member of family(pid)) spawnSync(kind[0], [...kind.slice(1), String(member)]);
}

/** Bytes of the family's proportional set size: its own memory, and its share of what others map too. */
export const pss = (pid) => memory(pid, "Pss");
/** Bytes that it has written: heap and data, without files. */
export const anonymous = (pid) => memory(pid, "Anonymous");

/** Waits until the family does nothing. */
export async function calm(pid) {
  for (let i = 0; i < 50; i++) {
    const before = cpu(pid);
    await delay(CALM_MS);
    if (cpu(pid) - before < CALM_MS * 10) return;
  }
  throw new Error("a server that is not asked anything does not come to rest");
}

function loadArguments(load) {
  return Object.entries(load).flatMap(([name, value]) => (value === true ? [`--${name}`] : value === false ? [] : [`--${name}`, String(value)]));
}

/** Runs load against a server: CPU for each request in microseconds, requests a second, latencies. */
export async function measure(pid, load) {
  let before = cpu(pid);
  const child = start(LOAD_CORE, program("bench-load"), loadArguments(load), { hurried: load.shared });
  let text = "";
  child.stdout.on("data", (part) => (text += part));
  if (load.message) {
    await firstLine(child, "the load"); // opening the connections is not measured
    await calm(pid);
    before = cpu(pid);
    child.stdin.end();
  }
  await ended(child);
  await delay(20); // what the last requests left behind
  const used = cpu(pid) - before;
  if (child.exitCode !== 0) throw new Error(`the load failed: ${child.errors}`);
  const result = JSON.parse(text.trim().split("\n").at(-1));
  if (result.errors > 0) throw new Error(`${result.errors} of ${result.requests} answers were wrong`);
  return { us: used / result.requests, rate: result.requests / result.seconds, p50: result.p50_us, p99: result.p99_us, requests: result.requests };
}

/** Opens connections and keeps them until `release` is called. */
export async function hold(load) {
  const child = start(LOAD_CORE, program("bench-load"), loadArguments(load));
  const { held } = JSON.parse(await firstLine(child, "the load"));
  return {
    held,
    async release() {
      child.removeAllListeners("exit");
      child.stdin.end();
      await ended(child);
    },
  };
}

/** System calls for each request. */
export async function calls(pid, load) {
  const tracer = spawn("strace", ["-c", "-f", ...family(pid).flatMap((member) => ["-p", String(member)])], { stdio: ["ignore", "ignore", "pipe"] });
  let text = "";
  const attached = new Promise((resolve) => tracer.stderr.on("data", (part) => (text += part).includes("attached") && resolve()));
  const gone = ended(tracer);
  await Promise.race([attached, gone]);
  const { requests } = await measure(pid, { ...load, seconds: 1 });
  tracer.kill("SIGINT");
  await gone;
  const total = /^100\.00 +\S+ +(?:\d+ +)?(\d+)(?: +\d+)? +total$/m.exec(text);
  if (!total) throw new Error(`strace said: ${text}`);
  return Number(total[1]) / requests;
}

export const has = (command) => spawnSync("sh", ["-c", `command -v ${command}`], { env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` } }).status === 0;

/** Makes a certificate for 127.0.0.1 (ECDSA P-256). */
export function makeCertificate(folder) {
  const [certificate, key] = [join(folder, "certificate.pem"), join(folder, "key.pem")];
  execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate], { stdio: "ignore" });
  return { certificate, key };
}
