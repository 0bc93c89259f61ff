// One message to many WebSockets: libweaprous against nats-server and a loop that only writes.
//
// Server on one core, load on the other, the contenders in turn; CPU time of the server for each delivery. Ratios are
// medians of the ratios within each round.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { inFolder, median } from "./common.mjs";
import { calm, cpu, ended, firstLine, freePort, has, LOAD_CORE, program, SERVER_CORE, start, stop } from "./http/measure.mjs";
import { congestion, isolate } from "./isolate.mjs";

const SUBSCRIBERS = 1000;
const PATH = { env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin`, GOMAXPROCS: "1" } };

const workloads = {
  sixteen: { title: "16 messages of 64 bytes under way", load: { "under-way": 16 }, goal: 0.65 },
  one: { title: "one at a time", load: { "under-way": 1 }, goal: 0.65 },
  large: { title: "16 of 4000 bytes", load: { "under-way": 16, bytes: 4000 } },
  rate: { title: "100 messages a second (100,000 deliveries)", load: { rate: 100 } },
};

const { values: options } = parseArgs({
  options: { rounds: { type: "string", default: "5" }, seconds: { type: "string", default: "2" }, only: { type: "string" }, help: { type: "boolean" } },
});
if (options.help) {
  console.log(`scripts/bench fanout [--rounds=5] [--seconds=2] [--only=NAME,...]; names: ${Object.keys(workloads).join(" ")}`);
  process.exit(0);
}
const rounds = Number(options.rounds);
const chosen = Object.entries(workloads).filter(([name]) => !options.only || options.only.split(",").includes(name));

async function ours(name = "ours") {
  const child = start(SERVER_CORE, program("bench-fanout-server"), []);
  return { name, child, protocol: "websocket", port: Number(await firstLine(child, "our server")) };
}

async function loop() {
  const child = start(SERVER_CORE, program("bench-fanout-loop"), []);
  return { name: "loop", child, protocol: "raw", port: Number(await firstLine(child, "the loop")) };
}

async function nats(folder) {
  const port = await freePort();
  const child = start(SERVER_CORE, "nats-server", ["-a", "127.0.0.1", "-p", String(port), "-l", join(folder, "nats.log")], PATH);
  const log = () => readFileSync(join(folder, "nats.log"), { encoding: "utf8", flag: "a+" });
  for (let i = 0; i < 100 && !log().includes("Server is ready"); i++) await delay(50);
  return { name: "nats", child, protocol: "nats", port };
}

/** CPU nanoseconds of the server for each delivery, deliveries a second, microseconds to the last subscriber. */
async function measure(contender, load) {
  const words = Object.entries({ port: contender.port, protocol: contender.protocol, subscribers: SUBSCRIBERS, seconds: options.seconds, ...load });
  const before = cpu(contender.child.pid);
  const child = start(LOAD_CORE, program("bench-fanout-load"), words.flatMap(([name, value]) => [`--${name}`, String(value)]));
  let text = "";
  child.stdout.on("data", (part) => (text += part));
  await ended(child);
  await calm(contender.child.pid); // its connections are closed
  const used = cpu(contender.child.pid) - before;
  if (child.exitCode !== 0) throw new Error(`the load failed: ${child.errors}`);
  const result = JSON.parse(text);
  return { ns: ((used - contender.opening) * 1000) / result.deliveries, rate: result.deliveries / result.seconds, p50: result.p50_us, p99: result.p99_us };
}

/** What opening and closing the connections costs the server, which is not the deliveries'. */
async function opening(contender) {
  contender.opening = 0;
  const one = await measure(contender, { "under-way": 1, seconds: 0 });
  return one.ns * SUBSCRIBERS / 1000; // one message was delivered as well
}

const row = (cells) => console.log(`| ${cells.join(" | ")} |`);

await isolate(import.meta.url);
await inFolder(async (folder) => {
  const contenders = [await ours(), await loop(), await ours("ours again")];
  if (has("nats-server")) contenders.push(await nats(folder));
  else console.log("Without nats-server: apt-get install --no-install-recommends nats-server (switch its service off afterwards).");
  try {
    console.log(`${new Date().toISOString().slice(0, 10)}, loopback with ${congestion()}; ${SUBSCRIBERS} subscribers, ${rounds} rounds of ${options.seconds} s.\n`);
    for (const contender of contenders) contender.opening = median([await opening(contender), await opening(contender), await opening(contender)]);
    const results = new Map(chosen.map(([name]) => [name, new Map(contenders.map(({ name }) => [name, []]))]));
    for (let round = 0; round < rounds; round++)
      for (const [name, { load }] of chosen)
        for (let i = 0; i < contenders.length; i++) {
          const contender = contenders[(i + round) % contenders.length];
          results.get(name).get(contender.name).push(await measure(contender, load));
        }
    row(["", ...contenders.map(({ name }) => name), "ours / nats", "ours / loop"]);
    row(["---", ...Array(contenders.length + 2).fill("--:")]);
    for (const [name, { title, goal }] of chosen) {
      const samples = results.get(name);
      const middle = (who, part) => median(samples.get(who).map((sample) => sample[part]));
      const ratio = (who) => (samples.has(who) ? median(samples.get("ours").map((sample, i) => sample.ns / samples.get(who)[i].ns)) : NaN);
      const told = (value, limit) => (Number.isNaN(value) ? "" : `${value.toFixed(2)}${limit ? ` (goal ${limit}${value <= limit ? "" : ", missed"})` : ""}`);
      row([`${title}: CPU ns for each delivery`, ...contenders.map((c) => middle(c.name, "ns").toFixed(0)), told(ratio("nats"), goal), told(ratio("loop"))]);
      row(["deliveries a second", ...contenders.map((c) => `${(middle(c.name, "rate") / 1000).toFixed(0)}k`), "", ""]);
      row(["to the last subscriber, p50 / p99 ms", ...contenders.map((c) => `${(middle(c.name, "p50") / 1000).toFixed(1)} / ${(middle(c.name, "p99") / 1000).toFixed(1)}`), "", ""]);
    }
  } finally {
    for (const { child } of contenders) await stop(child);
  }
});
