// libweaprous against a bare epoll loop, nginx, h2o and lighttpd: what a request costs the server.
//
// Server on one core, load on the other; the contenders in turn, round after round; CPU time (user and system, all
// processes of the contender) for each request. Ratios are medians of the ratios within each round, because the
// machine's speed drifts. "ours again" is a second instance of the same program: what differs there is noise.
import { chmodSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { inFolder, median } from "./common.mjs";
import { h2o, JSON_ANSWER, JSON_PATH, lighttpd, loop, missing, nginx, ours, packages, TREE_PATH, world } from "./http/contenders.mjs";
import { anonymous, calls, calm, cpu, has, hold, makeCertificate, measure, pss, stop } from "./http/measure.mjs";
import { congestion, isolate } from "./isolate.mjs";

const IDLE_CONNECTIONS = 15000;
const RATE = 20000;

const file = (kilobytes) => ({ path: `/${kilobytes}k.bin`, bytes: kilobytes * 1024 });
const json = { path: JSON_PATH, bytes: JSON_ANSWER.length };
const served = ["ours", "nginx", "h2o", "lighttpd"];

/** what: the answer the loop gives; port: the kind of listener; goals: greatest ratio to that contender. */
const workloads = {
  static1k: { title: "static 1 KB", what: "1k", load: file(1), who: ["ours", "loop", "nginx", "h2o", "lighttpd", "ours again"], goals: { nginx: 0.73, loop: 1.1 } },
  browser: { title: "static 1 KB, 9 request fields", what: "1k", load: { ...file(1), fields: true }, who: ["ours", "loop", "nginx", "h2o", "lighttpd"], goals: {} },
  many: { title: "static 1 KB, 512 connections", what: "1k", load: { ...file(1), connections: 512 }, who: ["ours", "loop", "nginx", "h2o", "lighttpd"], goals: {} },
  static10k: { title: "static 10 KB", what: "10k", load: file(10), who: ["ours", "loop", "nginx", "h2o", "lighttpd"], goals: { nginx: 0.8 } },
  static100k: { title: "static 100 KB", what: "100k", load: file(100), who: ["ours", "loop", "nginx", "h2o", "lighttpd"], goals: { nginx: 0.95 } },
  json: { title: "routed JSON, written (nginx: `return`)", what: "json", load: json, who: ["ours", "loop", "nginx", "ours again"], goals: { loop: 1.08 } },
  tree: { title: "the same by a tree (`wr_respond_json`)", what: "json", load: { ...json, path: TREE_PATH }, who: ["ours", "loop"], goals: {} },
  close: { title: "new connection each, 1 KB", what: "close", load: { ...file(1), close: true }, who: ["ours", "loop", "nginx", "lighttpd"], goals: { nginx: 0.75 } },
  deferred: { title: "the same, all with deferred accept", what: "deferred", port: "deferred", load: { ...file(1), close: true }, who: ["ours", "loop", "nginx", "h2o"], goals: {} },
  tls1k: { title: "TLS keep-alive 1 KB", port: "tls", load: { ...file(1), tls: true }, who: served, goals: { nginx: 0.92 } },
  tls100k: { title: "TLS keep-alive 100 KB", port: "tls", load: { ...file(100), tls: true }, who: served, goals: { nginx: 0.6 } },
  handshake: { title: "TLS full handshake, 1 KB, close", port: "tls", load: { ...file(1), tls: true, close: true }, who: served, goals: { nginx: 1.0 } },
  workers: { title: "two workers, static 1 KB", what: "1k", load: file(1), who: ["two workers", "ours"], goals: { ours: 1.05 } },
};

const { values: options } = parseArgs({
  options: { rounds: { type: "string", default: "5" }, seconds: { type: "string", default: "1.5" }, only: { type: "string" }, help: { type: "boolean" } },
});
if (options.help) {
  console.log(`scripts/bench http [--rounds=5] [--seconds=1.5] [--only=NAME,...]; names: ${[...Object.keys(workloads), "rate", "calls", "memory"].join(" ")}`);
  process.exit(0);
}
const rounds = Number(options.rounds);
const seconds = Number(options.seconds);
const chosen = (name) => !options.only || options.only.split(",").includes(name);

const portOf = (contender, workload) => contender.ports[workload.what] ?? contender.ports[workload.port ?? "plain"];
const loadOf = (contender, workload) => ({ port: portOf(contender, workload), ...workload.load });

/** One measurement of each contender of this workload, beginning with another one each time. */
async function takeRound(contenders, workload, round, samples, extra = {}) {
  const present = workload.who.map((name) => contenders.get(name)).filter((c) => c && portOf(c, workload));
  const first = round % Math.max(present.length, 1);
  for (const contender of [...present.slice(first), ...present.slice(0, first)]) {
    const sample = await measure(contender.pid, { ...loadOf(contender, workload), seconds, ...extra });
    samples.get(contender.name)?.push(sample) ?? samples.set(contender.name, [sample]);
  }
}

const ratio = (samples, a, b) => median(samples.get(a).map((sample, i) => sample.us / samples.get(b)[i].us));
const row = (cells) => console.log(`| ${cells.join(" | ")} |`);

function compared(samples, workload, against) {
  const [subject] = workload.who;
  if (!samples.has(subject) || !samples.has(against) || subject === against) return "";
  const value = ratio(samples, subject, against);
  const goal = workload.goals[against];
  return goal === undefined ? value.toFixed(2) : `${value.toFixed(2)} (${goal.toFixed(2)}${value <= goal ? "" : ", missed"})`;
}

function tableOfCpu(results) {
  console.log(`\nCPU us for each request and thousand requests a second, medians; in brackets the goal.\n`);
  row(["", "ours", "loop", "nginx", "h2o", "lighttpd", "ours / nginx", "ours / loop"]);
  row(["---", ...Array(7).fill("--:")]);
  for (const [name, samples] of results) {
    if (name === "workers") continue;
    const cell = (who) => (samples.has(who) ? `${median(samples.get(who).map((s) => s.us)).toFixed(2)}, ${(median(samples.get(who).map((s) => s.rate)) / 1000).toFixed(0)}k` : "");
    row([workloads[name].title, ...["ours", "loop", "nginx", "h2o", "lighttpd"].map(cell), compared(samples, workloads[name], "nginx"), compared(samples, workloads[name], "loop")]);
  }
  console.log("");
  for (const [name, samples] of results)
    if (samples.has("ours again")) console.log(`Noise, ${workloads[name].title}: ours again / ours ${ratio(samples, "ours again", "ours").toFixed(2)}.`);
  const two = results.get("workers");
  if (two) console.log(`Two workers on the one core / one worker: ${compared(two, workloads.workers, "ours")}.`);
}

async function rates(contenders) {
  const workload = { what: "1k", load: { ...file(1), rate: RATE }, who: ["ours", "loop", "nginx", "h2o", "lighttpd"] };
  const samples = new Map();
  for (let round = 0; round < rounds; round++) await takeRound(contenders, workload, round, samples);
  console.log(`\n${RATE} requests a second of 1 KB, each due at a time of its own (64 connections; medians of the rounds).\n`);
  row(["", ...samples.keys()]);
  row(["---", ...[...samples].map(() => "--:")]);
  for (const part of ["p50", "p99"]) row([`${part}, us`, ...[...samples.values()].map((list) => median(list.map((s) => s[part])))]);
  row(["CPU us for each request", ...[...samples.values()].map((list) => median(list.map((s) => s.us)).toFixed(1))]);
}

async function systemCalls(contenders) {
  console.log("\nSystem calls for each request (strace -c).\n");
  row(["", "ours", "loop", "nginx", "h2o", "lighttpd"]);
  row(["---", ...Array(5).fill("--:")]);
  for (const name of ["static1k", "json", "static100k", "deferred", "tls1k"]) {
    const cells = [];
    for (const who of ["ours", "loop", "nginx", "h2o", "lighttpd"]) {
      const contender = workloads[name].who.includes(who) && contenders.get(who);
      cells.push(contender && portOf(contender, workloads[name]) ? (await calls(contender.pid, loadOf(contender, workloads[name]))).toFixed(2) : "");
    }
    row([workloads[name].title, ...cells]);
  }
}

async function heap(port) {
  const answer = await fetch(`http://127.0.0.1:${port}/memory`, { headers: { connection: "close" } });
  return (await answer.json()).heap;
}

/** Own bytes of each of many idle connections of a fresh server. */
async function idle(w, start, load, kind) {
  const contender = await start(w);
  try {
    const port = contender.ports[kind];
    if (!port) return undefined;
    const isOurs = contender.name === "ours";
    await measure(contender.pid, { ...load, websocket: false, path: "/1k.bin", port, seconds: 0.2 });
    await calm(contender.pid);
    const before = { anonymous: anonymous(contender.pid), heap: isOurs ? await heap(contender.ports.plain) : 0 };
    const held = await hold({ ...load, port, hold: Math.min(IDLE_CONNECTIONS, contender.connectionsMax) });
    await calm(contender.pid);
    const after = { anonymous: anonymous(contender.pid), heap: isOurs ? await heap(contender.ports.plain) : 0 };
    await held.release();
    return { anonymous: (after.anonymous - before.anonymous) / held.held, heap: (after.heap - before.heap) / held.held };
  } finally {
    await stop(contender.child);
  }
}

async function idleServer(start) {
  const contender = await start();
  try {
    await measure(contender.pid, { port: contender.ports.plain, path: "/1k.bin", connections: 1, seconds: 0.05 });
    await calm(contender.pid);
    return pss(contender.pid);
  } finally {
    await stop(contender.child);
  }
}

/** CPU us of the server for each WebSocket that is opened. */
async function opening(contender) {
  const before = cpu(contender.pid);
  const held = await hold({ port: contender.ports.socket ?? contender.ports.plain, path: "/socket", websocket: true, hold: IDLE_CONNECTIONS });
  await calm(contender.pid);
  const used = cpu(contender.pid) - before;
  await held.release();
  await calm(contender.pid);
  return used / held.held;
}

async function memory(w, starters) {
  const bytes = (value) => (value === undefined ? "" : `${Math.round(value)}`);
  console.log(`\nMemory of the programs themselves, the kernel's share left out: PSS when idle, and by how much ${IDLE_CONNECTIONS} idle connections (lighttpd: 9500) add to the anonymous pages, for each.\n`);
  row(["", ...starters.keys()]);
  row(["---", ...[...starters].map(() => "--:")]);
  const each = async (f) => {
    const cells = [];
    for (const [name, start] of starters) cells.push(await f(start, name));
    return cells;
  };
  for (const [title, place] of [["idle server, plain HTTP only, MB", { ...w, certificate: undefined }], ["idle server with TLS, MB", w]])
    row([title, ...(await each(async (start) => ((await idleServer(() => start(place))) / 1e6).toFixed(1)))]);
  const ourHeap = [];
  for (const [title, load, kind, who] of [
    ["idle connection, bytes", { path: "/1k.bin" }, "plain", [...starters.keys()]],
    ["idle TLS connection, bytes", { path: "/1k.bin", tls: true }, "tls", [...starters.keys()]],
    ["idle WebSocket, bytes", { path: "/socket", websocket: true }, "plain", ["ours"]],
  ]) {
    const cells = await each(async (start, name) => {
      if (!who.includes(name)) return "";
      const result = await idle(w, start, load, kind);
      if (result && name === "ours") ourHeap.push(`${title.replace(", bytes", "")} ${Math.round(result.heap)}`);
      return bytes(result?.anonymous);
    });
    row([title, ...cells]);
  }
  console.log(`\nOf our heap alone (mallinfo2, the allocator's overhead included): ${ourHeap.join(", ")} bytes. Goals: 500 and 600 bytes, and 3 MB for the idle server.`);
  const pair = [await ours(w), await loop(w)];
  const spent = [[], []];
  for (let round = 0; round < Math.min(rounds, 3); round++) for (const [i, contender] of pair.entries()) spent[i].push(await opening(contender));
  for (const contender of pair) await stop(contender.child);
  console.log(`Opening a WebSocket: ${median(spent[0]).toFixed(1)} us of CPU (goal 27), the bare loop with a fixed answer ${median(spent[1]).toFixed(1)} us.`);
}

function heading() {
  const model = /^model name\s*: (.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1];
  console.log(`${new Date().toISOString().slice(0, 10)}, ${model}, Linux ${readFileSync("/proc/sys/kernel/osrelease", "utf8").trim()}, loopback with ${congestion()}; ${rounds} rounds of ${seconds} s, 64 connections unless it is said.`);
}

async function main(folder) {
  const w = world(folder, makeCertificate(folder));
  const absent = missing();
  if (absent.length) console.log(`Without ${absent.join(", ")}, which is not installed: apt-get install --no-install-recommends ${absent.flatMap((name) => packages[name]).join(" ")} (switch their services off afterwards).`);
  const starters = new Map(Object.entries({ ours, nginx, h2o, lighttpd }).filter(([name]) => !absent.includes(name)));
  const contenders = new Map();
  try {
    for (const [name, start] of starters) contenders.set(name, await start(w));
    contenders.set("loop", await loop(w));
    contenders.set("ours again", await ours(w, { name: "ours again" }));
    contenders.set("two workers", await ours(w, { name: "two workers", workers: 2 }));
    for (const { pid } of contenders.values()) await calm(pid);
    heading();
    const results = new Map(Object.keys(workloads).filter(chosen).map((name) => [name, new Map()]));
    for (let round = 0; round < rounds; round++) for (const [name, samples] of results) await takeRound(contenders, workloads[name], round, samples);
    if (results.size) tableOfCpu(results);
    if (chosen("rate")) await rates(contenders);
    if (chosen("calls") && has("strace")) await systemCalls(contenders);
  } finally {
    for (const { child } of contenders.values()) await stop(child);
  }
  if (chosen("memory")) await memory(w, starters);
}

isolate(import.meta.url);
await inFolder((folder) => {
  // A server that gives up its rights must still be able to read.
  chmodSync(folder, 0o755);
  return main(folder);
});
