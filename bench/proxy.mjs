// `weaprous proxy` against bare forwarders, nginx, HAProxy and h2o: what a request through it costs the proxy.
//
// Proxy on one core; load and the server behind on the other. See compare.mjs for how it is measured. "ours again" is
// a second instance of the same program: what differs there is noise. WEAPROUS names another program than that of the
// release build, WEAPROUS_AGAIN another one for "ours again": two versions in turn.
import { chmodSync } from "node:fs";
import { inFolder } from "./common.mjs";
import { Comparison, header, row } from "./compare.mjs";
import { installed } from "./http/contenders.mjs";
import { calm, has, hold, makeCertificate, stop } from "./http/measure.mjs";
import { idle, idleServer } from "./idle.mjs";
import { isolate } from "./isolate.mjs";
import { forwarder, h2o, haproxy, nginx, nginx64k, ours, oursAgain, PAIRS, POST_BYTES, proxied, splicer, twoWorkers } from "./proxy/contenders.mjs";

const IDLE_CONNECTIONS = 9500; // our proxy keeps half of its descriptors for servers
const RATE = 8000;
const MESSAGE_BYTES = 64;
const SOCKETS_MANY = 512;
const PAIR_BYTES = 1536;

const all = ["ours", "forwarder", "nginx", "nginx 64k", "haproxy", "h2o"];
const passing = ["ours", "forwarder", "nginx", "haproxy", "h2o"];
const small = { bytes: 100 };

const workloads = {
  small: { title: "100 B", what: "100b", load: small, who: [...all, "ours again"], goals: { nginx: 0.9, haproxy: 0.9 } },
  browser: { title: "100 B, 9 request fields", what: "100b", load: { ...small, fields: true }, who: ["ours", "forwarder", "nginx", "haproxy"] },
  many: { title: "100 B, 512 connections", what: "100b", load: { ...small, connections: 512 }, who: ["ours", "forwarder", "nginx", "haproxy"] },
  "10k": { title: "10 KB", what: "10k", load: { bytes: 10240 }, who: all },
  "100k": { title: "100 KB", what: "100k", load: { bytes: 102400 }, who: ["ours", "forwarder", "splice", "nginx", "nginx 64k", "haproxy", "h2o", "ours again"], goals: { haproxy: 0.6 } },
  "1m": { title: "1 MB", what: "1m", load: { bytes: 1048576 }, who: ["ours", "forwarder", "splice", "nginx 64k", "haproxy"] },
  post: { title: "POST of 1 KB, answer 100 B", what: "post", load: { ...small, post: POST_BYTES }, who: ["ours", "forwarder", "nginx", "haproxy"] },
  new: { title: "new client connection each, 100 B", what: "100b", load: { ...small, close: true }, who: ["ours", "forwarder", "nginx", "haproxy", "h2o"], goals: { nginx: 0.85 } },
  deferred: { title: "the same, all with deferred accept", what: "deferred", load: { ...small, close: true }, who: ["ours", "nginx", "haproxy", "h2o"] },
  websocket: { title: `WebSocket message of ${MESSAGE_BYTES} B, there and back`, what: "echo", load: { message: MESSAGE_BYTES }, who: [...passing, "ours again"], goals: { forwarder: 1.05 } },
  sockets: { title: `the same, ${SOCKETS_MANY} connections`, what: "echo", load: { message: MESSAGE_BYTES, connections: SOCKETS_MANY }, who: passing, goals: { forwarder: 1.05 } },
  tls: { title: "TLS in front, 1 KB", what: "tls", load: { bytes: 1024, tls: true }, who: ["ours", "nginx", "haproxy", "h2o"] },
  workers: { title: "Two workers on the one core / one worker, 100 B", what: "100b", load: small, who: ["two workers", "ours"], goals: { ours: 1.05 } },
  crowd: { title: `100 B, beside ${IDLE_CONNECTIONS} idle connections`, what: "100b", load: small, who: ["ours", "nginx", "haproxy"] },
};

const fixedRate = { title: `${RATE} requests a second of 100 B`, what: "100b", load: { ...small, rate: RATE, shared: true }, who: [...all, "ours again"], goals: { nginx: 1 } };

const comparison = new Comparison({
  name: "proxy",
  workloads,
  further: ["rate", "calls", "memory"],
  columns: ["ours", "forwarder", "splice", "nginx", "nginx 64k", "haproxy", "h2o"],
  against: ["nginx", "haproxy", "forwarder"],
  seconds: "1",
});

/** The workload that has many connections of which nothing is heard beside it. */
async function takeCrowd(contenders) {
  if (!comparison.chosen("crowd")) return;
  const crowds = [];
  const crowded = new Map();
  for (const name of workloads.crowd.who) {
    const contender = contenders.get(name);
    if (!contender) continue;
    try {
      crowds.push(await hold({ port: contender.ports["100b"], ...small, hold: IDLE_CONNECTIONS }));
      crowded.set(name, contender);
    } catch (error) {
      console.log(`Without ${name} beside idle connections: ${error.message}`);
    }
  }
  await comparison.take(crowded, ["crowd"]);
  for (const held of crowds) await held.release();
}

async function memory(w, starters) {
  console.log(`\nMemory of the programs themselves, the kernel's share left out: PSS when idle, and what each connection of a client that nothing is heard of adds: bytes from the allocator / of anonymous pages.\n`);
  header([...starters.keys()]);
  row(["idle proxy, MB", ...(await inTurn(starters, async (start) => ((await idleServer(start, w, { kind: "100b", load: small })) / 1e6).toFixed(1)))]);
  const held = (title, kind, load, left = []) =>
    inTurn(starters, async (start, name) => {
      const bytes = !left.includes(name) && (await idle(start, w, { kind, load, warm: { ...small, kind: "100b" } }));
      return bytes ? `${Math.round(bytes.heap)} / ${Math.round(bytes.anonymous)}` : "";
    }).then((cells) => row([title, ...cells]));
  await held(`idle client, of ${IDLE_CONNECTIONS}; few connections to the server`, "100b", { ...small, hold: IDLE_CONNECTIONS }, ["forwarder"]);
  await held(`idle pair: client and kept connection to the server, of ${PAIRS}`, "late", { ...small, hold: PAIRS, late: true });
  await held(`idle WebSocket, of ${PAIRS}`, "echo", { hold: PAIRS, websocket: true });
  console.log(`\nGoal for ours: ${PAIR_BYTES} bytes for each pair.`);
}

async function inTurn(starters, f) {
  const results = [];
  for (const [name, start] of starters) results.push(await f(start, name));
  return results;
}

async function main(folder) {
  const { w, backend } = await proxied(folder, makeCertificate(folder));
  const starters = installed({ ours, forwarder, nginx, "nginx 64k": nginx64k, haproxy, h2o });
  const further = { splice: splicer, "ours again": oursAgain, "two workers": twoWorkers };
  const contenders = new Map();
  try {
    for (const [name, start] of [...starters, ...Object.entries(further)])
      try {
        contenders.set(name, await start(w));
      } catch (error) {
        if (name === "ours") throw error;
        console.log(`Without ${name}: ${error.message}`);
        starters.delete(name);
      }
    for (const { pid } of contenders.values()) await calm(pid);
    comparison.heading();
    await comparison.take(
      contenders,
      Object.keys(workloads).filter((name) => name !== "crowd"),
    );
    await takeCrowd(contenders);
    comparison.table();
    comparison.notes();
    if (comparison.chosen("rate")) await comparison.rates(contenders, fixedRate, [backend.pid]);
    if (comparison.chosen("calls") && has("strace")) await comparison.systemCalls(contenders, ["small", "10k", "100k", "post", "new", "websocket"]);
    for (const { child } of contenders.values()) await stop(child);
    if (comparison.chosen("memory")) await memory(w, starters);
  } finally {
    for (const { child } of contenders.values()) await stop(child);
    await stop(backend);
  }
}

isolate(import.meta.url);
await inFolder((folder) => {
  // A server that gives up its rights must still be able to read.
  chmodSync(folder, 0o755);
  return main(folder);
});
