// libweaprous against a bare epoll loop, nginx, h2o and lighttpd: what a request costs the server.
//
// Server on one core, load on the other; the contenders in turn, round after round; CPU time (user and system, all
// processes of the contender) for each request. Ratios are medians of the ratios within each round, because the
// machine's speed drifts. "ours again" is a second instance of the same program: what differs there is noise.
import { chmodSync } from "node:fs";
import { inFolder, median } from "./common.mjs";
import { Comparison, header, row } from "./compare.mjs";
import { h2o, installed, JSON_ANSWER, JSON_PATH, lighttpd, loop, nginx, ours, TREE_PATH, world } from "./http/contenders.mjs";
import { calm, cpu, has, hold, makeCertificate, stop } from "./http/measure.mjs";
import { idle, idleServer } from "./idle.mjs";
import { isolate } from "./isolate.mjs";

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
  workers: { title: "Two workers on the one core / one worker, static 1 KB", what: "1k", load: file(1), who: ["two workers", "ours"], goals: { ours: 1.05 } },
};

const fixedRate = { title: `${RATE} requests a second of 1 KB`, what: "1k", load: { ...file(1), rate: RATE }, who: ["ours", "loop", "nginx", "h2o", "lighttpd"] };

const comparison = new Comparison({
  name: "http",
  workloads,
  further: ["rate", "calls", "memory"],
  columns: ["ours", "loop", "nginx", "h2o", "lighttpd"],
  against: ["nginx", "loop"],
  seconds: "1.5",
});

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
  console.log(`\nMemory of the programs themselves, the kernel's share left out: PSS when idle, and what each of ${IDLE_CONNECTIONS} idle connections (lighttpd: 9500) adds: bytes from the allocator / of anonymous pages.\n`);
  header([...starters.keys()]);
  const each = async (title, f) => {
    const cells = [];
    for (const [name, start] of starters) cells.push(await f(start, name));
    row([title, ...cells]);
  };
  for (const [title, place] of [["idle server, plain HTTP only, MB", { ...w, certificate: undefined }], ["idle server with TLS, MB", w]])
    await each(title, async (start) => ((await idleServer(start, place, { kind: "plain", load: file(1) })) / 1e6).toFixed(1));
  const load = { path: "/1k.bin", hold: IDLE_CONNECTIONS };
  for (const [title, kind, extra, who] of [
    ["idle connection, bytes", "plain", {}, [...starters.keys()]],
    ["idle TLS connection, bytes", "tls", { tls: true }, [...starters.keys()]],
    ["idle WebSocket, bytes", "plain", { path: "/socket", websocket: true }, ["ours"]],
  ])
    await each(title, async (start, name) => {
      const bytes = who.includes(name) && (await idle(start, w, { kind, load: { ...load, ...extra }, warm: { path: "/1k.bin", tls: kind === "tls" } }));
      return bytes ? `${Math.round(bytes.heap)} / ${Math.round(bytes.anonymous)}` : "";
    });
  console.log("\nGoals for ours: 500 and 600 bytes (connection, WebSocket), and 3 MB for the idle server.");
  const pair = [await ours(w), await loop(w)];
  const spent = [[], []];
  for (let round = 0; round < Math.min(comparison.rounds, 3); round++) for (const [i, contender] of pair.entries()) spent[i].push(await opening(contender));
  for (const contender of pair) await stop(contender.child);
  console.log(`Opening a WebSocket: ${median(spent[0]).toFixed(1)} us of CPU (goal 27), the bare loop with a fixed answer ${median(spent[1]).toFixed(1)} us.`);
}

async function main(folder) {
  const w = world(folder, makeCertificate(folder));
  const starters = installed({ ours, nginx, h2o, lighttpd });
  const contenders = new Map();
  try {
    for (const [name, start] of starters) contenders.set(name, await start(w));
    contenders.set("loop", await loop(w));
    contenders.set("ours again", await ours(w, { name: "ours again" }));
    contenders.set("two workers", await ours(w, { name: "two workers", workers: 2 }));
    for (const { pid } of contenders.values()) await calm(pid);
    comparison.heading();
    await comparison.take(contenders);
    comparison.table();
    comparison.notes();
    if (comparison.chosen("rate")) await comparison.rates(contenders, fixedRate);
    if (comparison.chosen("calls") && has("strace")) await comparison.systemCalls(contenders, ["static1k", "json", "static100k", "deferred", "tls1k"]);
  } finally {
    for (const { child } of contenders.values()) await stop(child);
  }
  if (comparison.chosen("memory")) await memory(w, starters);
}

isolate(import.meta.url);
await inFolder((folder) => {
  // A server that gives up its rights must still be able to read.
  chmodSync(folder, 0o755);
  return main(folder);
});
