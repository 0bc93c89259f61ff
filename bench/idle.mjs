// What idle connections cost a contender in memory of its own; the kernel's share is left out.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { anonymous, calm, family, hold, measure, program, pss, stop } from "./http/measure.mjs";

const ASK = 39; // SIGRTMIN + 5, which bench/heap.c answers
const PATIENCE_MS = 2000;
let asked = 0;

const lines = (file) => (existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : []);

/** Bytes that the family has from the allocator, and of anonymous pages after it gave back what it could. */
async function memory(pid, file) {
  const before = lines(file).length;
  const members = family(pid);
  for (const member of members) process.kill(member, ASK);
  for (let waited = 0; lines(file).length < before + members.length; waited += 20) {
    if (waited > PATIENCE_MS) throw new Error("a contender does not say how much memory it has");
    await delay(20);
  }
  const heap = lines(file).slice(before).reduce((sum, line) => sum + Number(line), 0);
  return { heap, anonymous: anonymous(pid) };
}

/** Bytes of each connection that `load` holds on that kind of port of a fresh contender, which `warm` was asked of before. */
export async function idle(start, w, { kind, load, warm }) {
  const file = join(w.folder, `heap-${++asked}`);
  const contender = await start({ ...w, env: { LD_PRELOAD: program("libbench-heap.so"), BENCH_HEAP: file } });
  try {
    const port = contender.ports[kind];
    if (!port) return undefined;
    await measure(contender.pid, { seconds: 0.2, ...warm, port: contender.ports[warm.kind ?? kind], kind: false });
    await calm(contender.pid);
    const before = await memory(contender.pid, file);
    const held = await hold({ ...load, port, hold: Math.min(load.hold, contender.connectionsMax) });
    await calm(contender.pid);
    const after = await memory(contender.pid, file);
    await held.release();
    return { heap: (after.heap - before.heap) / held.held, anonymous: (after.anonymous - before.anonymous) / held.held };
  } finally {
    await stop(contender.child);
  }
}

/** PSS of a contender that has answered one request. */
export async function idleServer(start, w, { kind, load }) {
  const contender = await start(w);
  try {
    await measure(contender.pid, { ...load, port: contender.ports[kind], connections: 1, seconds: 0.05 });
    await calm(contender.pid);
    return pss(contender.pid);
  } finally {
    await stop(contender.child);
  }
}
