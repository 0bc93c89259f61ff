// A storm of devices that come back to `weaprous up` at once: how long until all are there again, how long other requests take
// meanwhile, and what an idle device costs in memory.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { PASSWORD, Tracker } from "../tests/browser/world.mjs";
import { inFolder, percentile, report, root } from "./common.mjs";

const { values: options } = parseArgs({ options: { devices: { type: "string", default: "15000" }, help: { type: "boolean" } } });
if (options.help) {
  console.log("usage: scripts/bench presence [--devices N]");
  process.exit(0);
}
const COUNT = Number(options.devices);
const GOALS = { storm_ms: 10_000, p99_ms: 250, bytes: 1229 };
const ASK_HEAP = 39; // SIGRTMIN + 5, which bench/heap.c answers
const program = join(root, "build/bench/bench/bench-presence");
const heapLibrary = join(root, "build/bench/bench/libbench-heap.so");

/** Requests of somebody else, one after the other; milliseconds of each. */
function probe(url, cookie) {
  const took = [];
  let on = true;
  const ended = (async () => {
    while (on) {
      const began = performance.now();
      const answer = await fetch(`${url}/call/friends`, { method: "POST", headers: { cookie, "content-type": "application/json" }, body: "{}" });
      if (answer.status !== 200) throw new Error(`a request beside the storm was answered with ${answer.status}`);
      await answer.text();
      took.push(performance.now() - began);
      await delay(10);
    }
  })();
  return { end: async () => ((on = false), await ended, took) };
}

async function heap(pid, file) {
  const lines = () => (existsSync(file) ? readFileSync(file, "utf8").trim().split("\n").filter(Boolean) : []);
  const before = lines().length;
  process.kill(pid, ASK_HEAP);
  for (let waited = 0; lines().length === before; waited += 20) {
    if (waited > 5000) throw new Error("the tracker does not say how much memory it has");
    await delay(20);
  }
  return Number(lines().at(-1));
}

/** Milliseconds of the processor that a process has used. */
function used(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

function within(what, value, goal, unit) {
  report(what, `${value} ${unit} (goal ${goal})`);
  if (value > goal) process.exitCode = 1;
}

await inFolder(async (folder) => {
  const tracker = new Tracker(folder);
  await tracker.start();
  await tracker.end("SIGTERM");
  const seeded = spawnSync(program, ["seed", join(folder, "weaprous.db"), String(COUNT)], { stdio: "inherit" });
  if (seeded.status !== 0) throw new Error("the accounts could not be made");
  const file = join(folder, "heap");
  process.env.LD_PRELOAD = heapLibrary;
  process.env.BENCH_HEAP = file;
  await tracker.start();
  delete process.env.LD_PRELOAD;
  const login = await fetch(`${tracker.url}/register`, { method: "POST", headers: { accept: "application/json" }, body: new URLSearchParams({ username: "probe", password: PASSWORD }) });
  const cookie = /session=[^;]+/.exec(login.headers.get("set-cookie"))[0];

  const child = spawn(program, ["run", String(new URL(tracker.url).port), String(COUNT)], { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const storm = async (words) => {
    child.stdin.write(words);
    const { value } = await lines.next();
    const result = JSON.parse(value);
    if (result.ready !== COUNT) throw new Error(`only ${result.ready} of ${COUNT} devices came: ${value}`);
    return result;
  };
  const before = await heap(tracker.child.pid, file);
  const first = await storm("go\n");
  report(`${COUNT} devices that come for the first time`, `${first.ms} ms, ${first.refused} times asked to come later`);
  await delay(15_000); // what is told afterwards, how many there are
  const after = await heap(tracker.child.pid, file);

  const requests = probe(tracker.url, cookie);
  await delay(500);
  const usedBefore = used(tracker.child.pid);
  const again = await storm("drop\ngo\n");
  const usedAfter = used(tracker.child.pid);
  const took = await requests.end();
  within(`${COUNT} devices that are cut off and come back at once`, again.ms, GOALS.storm_ms, `ms, ${again.refused} times asked to come later`);
  report("  the tracker's processor time in it", `${usedAfter - usedBefore} ms`);
  within("  another request meanwhile, p99", Math.round(percentile(took, 0.99)), GOALS.p99_ms, `ms of ${took.length}, median ${Math.round(percentile(took, 0.5))}`);
  within("each idle device with presence in one channel", Math.round((after - before) / COUNT), GOALS.bytes, "bytes from the allocator");
  child.stdin.write("quit\n");
  child.kill("SIGKILL");
  await tracker.end("SIGTERM");
});
