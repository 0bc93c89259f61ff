// Registered-and-durable messages a second through the tracker's replica (bench-replica tracker ...), beside a bare
// SQLite writer with one transaction for each row, in turn, on the same disk; and redis with appendfsync always when
// redis-server is installed. Medians of the rounds and ratios.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Tracker, eventually } from "../tests/browser/world.mjs";
import { inFolder, median, report, root } from "./common.mjs";

const ROUNDS = 5;
const ENTRIES = 20_000;
const WINDOW = 64; // of each device; above 256 the core asks its disk again, which is not what is measured
const DEVICES = [1, 4, 16, 64];
const program = join(root, "build/bench/bench/bench-replica");
const here = join(root, "build/bench/data");
const run = (...args) => JSON.parse(execFileSync(program, args.map(String), { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] }));

async function replica(devices) {
  return inFolder(async (folder) => {
    const tracker = new Tracker(folder);
    await tracker.start();
    try {
      return run("tracker", tracker.port, devices, Math.min(ENTRIES, 2500 * devices), WINDOW);
    } finally {
      await tracker.end("SIGTERM");
    }
  }, here);
}

const bare = () => inFolder((folder) => run("sqlite", join(folder, "bare.db"), ENTRIES / 4), here);

/** XADD of the same size, 50 clients, one command each at a time. */
async function redis() {
  return inFolder(async (folder) => {
    const port = "18474";
    const server = spawn("redis-server", ["--port", port, "--bind", "127.0.0.1", "--dir", folder, "--appendonly", "yes", "--appendfsync", "always", "--save", ""], { stdio: "ignore" });
    const gone = once(server, "exit");
    try {
      await eventually(() => execFileSync("redis-cli", ["-p", port, "ping"], { stdio: ["ignore", "ignore", "ignore"] }));
      const out = execFileSync("redis-benchmark", ["-p", port, "-c", "50", "-n", String(ENTRIES), "--csv", "XADD", "s", "*", "e", "x".repeat(340)], { encoding: "utf8" });
      return { per_second: Number(out.trim().split("\n").pop().split(",")[1].replaceAll('"', "")) };
    } finally {
      server.kill("SIGTERM");
      await gone;
    }
  }, here);
}

mkdirSync(here, { recursive: true });
const contenders = [...DEVICES.map((n) => [`replica, ${n} device${n > 1 ? "s" : ""}`, () => replica(n)]), ["bare SQLite, a transaction each", bare]];
if (spawnSync("redis-server", ["--version"]).status === 0) contenders.push(["redis XADD, appendfsync always, 50 clients", redis]);
const results = new Map(contenders.map(([name]) => [name, []]));
for (let round = 0; round < ROUNDS; round++) for (const [name, measure] of contenders) results.get(name).push(await measure());

const base = median(results.get("bare SQLite, a transaction each").map((result) => result.per_second));
for (const [name, rows] of results) {
  const rate = median(rows.map((row) => row.per_second));
  const waits = rows[0].p50_ms === undefined ? "" : `, acknowledged after p50 ${median(rows.map((row) => row.p50_ms))} ms, p99 ${median(rows.map((row) => row.p99_ms))} ms`;
  report(name, `${Math.round(rate)} a second (${(rate / base).toFixed(2)} of bare SQLite)${waits}`);
}
