// The core alone: entries applied in a second beside libsodium's verify, natively and in Chromium; what an entry costs
// in memory and on the wire; a newcomer to a large channel; and the simulator's worlds (docs/performance.md). CPU time
// natively; in Chromium the two contenders take turns, since the machine's speed drifts.
//
//   scripts/bench core [--only apply|browser|newcomer|worlds]
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import http from "node:http";
import { join } from "node:path";
import { build } from "esbuild";
import { inFolder, median, report, root } from "./common.mjs";

const ROUNDS = 5;
const ENTRIES = 100_000;
const AUTHORS = 5_000;
const BROWSER_ENTRIES = 30_000;
const WORLDS = [["class", 5], ["regions", 5], ["swarm", 3], ["channel-1000", 2], ["channel-10000", 1]];
const program = join(root, "build/bench/bench/bench-core");
const only = process.argv.includes("--only") ? process.argv[process.argv.indexOf("--only") + 1] : undefined;
const wanted = (name) => only === undefined || only === name;
const run = (...args) => JSON.parse(execFileSync(program, args.map(String), { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] }));
const thousands = (n) => Math.round(n).toLocaleString("en");
const middle = (rows, key) => median(rows.map((row) => row[key]));

function apply() {
  const rows = Array.from({ length: ROUNDS }, () => run("apply", ENTRIES, AUTHORS));
  const [first] = rows;
  report("entries applied, native, one core", `${thousands(middle(rows, "apply_per_second"))} a second (goal 25,000)`);
  report("libsodium's verify alone, in the same runs", `${thousands(middle(rows, "verify_per_second"))} a second`);
  report("ratio", `${middle(rows, "ratio").toFixed(3)} (${rows.map((row) => row.ratio.toFixed(3)).sort().join(" ")})`);
  report("entries restored from a disk in memory", `${thousands(middle(rows, "restore_per_second"))} a second`);
  report("memory of an entry, authors and tables included", `${first.memory_per_entry} bytes`);
  report("an entry with a text of 60 bytes, on the wire", `${first.wire_per_entry} bytes; framed ${first.wire_in_per_entry}, answers ${first.wire_back_per_entry}`);
}

/** In a page: the entries come over HTTP first, then nothing but the core is measured. */
async function browser() {
  const { chromium } = await import("playwright-core");
  const wasm = join(root, "build/release/wasm/weaprous-core.wasm");
  if (!existsSync(wasm)) throw new Error(`${wasm} is missing: scripts/build makes it`);
  await inFolder(async (folder) => {
    const record = join(folder, "record");
    const recorded = run("record", BROWSER_ENTRIES, Math.round((BROWSER_ENTRIES * AUTHORS) / ENTRIES), record);
    const bundled = await build({ entryPoints: [join(root, "bench/core/browser.ts")], bundle: true, write: false, minify: true, format: "iife", globalName: "bench", logLevel: "error" });
    const files = {
      "/": ["text/html", "<!doctype html><title>bench</title><script src=/bench.js></script>"],
      "/bench.js": ["text/javascript", bundled.outputFiles[0].contents],
      "/core.wasm": ["application/wasm", readFileSync(wasm)],
      "/record": ["application/octet-stream", readFileSync(record)],
    };
    const server = http.createServer((request, response) => {
      const [type, body] = files[request.url] ?? [];
      if (!type) return response.writeHead(404).end();
      response.writeHead(200, { "content-type": type }).end(body);
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    const opened = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, args: ["--no-sandbox", "--disable-gpu"] });
    try {
      const rows = [];
      for (let round = 0; round < ROUNDS; round++) {
        const page = await opened.newPage();
        await page.goto(`http://127.0.0.1:${server.address().port}/`);
        const row = await page.evaluate((config) => globalThis.bench.apply(config), recorded);
        rows.push({ ...row, ratio: row.apply_per_second / row.verify_per_second });
        await page.close();
      }
      report(`entries applied, Chromium ${opened.version()}`, `${thousands(middle(rows, "apply_per_second"))} a second (goal 12,000)`);
      report("libsodium-wrappers' verify alone, in the same pages", `${thousands(middle(rows, "verify_per_second"))} a second`);
      report("ratio", `${middle(rows, "ratio").toFixed(3)} (${rows.map((row) => row.ratio.toFixed(3)).sort().join(" ")})`);
    } finally {
      await opened.close();
      server.close();
    }
  });
}

function newcomer() {
  const result = run("newcomer", ENTRIES, AUTHORS);
  const line = (name, came) =>
    report(name, came
      ? `${came.seconds.toFixed(2)} s on the line, ${thousands(came.bytes_down)} bytes down, ${thousands(came.bytes_up)} up, CPU ${thousands(came.cpu_ms)} ms (holder ${thousands(came.holder_cpu_ms)})`
      : "did not come");
  line("newcomer: the last 50 are shown", result.last_50);
  line("newcomer: all are there", result.all);
  line("reconnect, nothing new", result.unchanged);
}

/** Worlds of the simulator; CPU time, one core, sham cryptography. */
function worlds() {
  const simulator = join(root, "build/release/sim/sim");
  if (!existsSync(simulator)) execFileSync("ninja", ["-C", join(root, "build/release"), "-j2", "sim"], { stdio: ["ignore", "ignore", "inherit"] });
  const figuresOf = (world, seed) => {
    const out = execFileSync(simulator, ["--world", world, "--seed", String(seed), "--json"], { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
    return JSON.parse(out.split("\n").find((line) => line.startsWith("{")));
  };
  for (const [world, seeds] of WORLDS) {
    const rows = Array.from({ length: seeds }, (_, i) => figuresOf(world, i + 1));
    const of = (key) => rows.map((row) => row[key]).reduce((a, b) => a + b, 0) / rows.length;
    const parts = [
      `${thousands(of("events_per_s"))} events/s`,
      `hops ${of("hops_mean").toFixed(1)} (at most ${Math.max(...rows.map((row) => row.hops_max))})`,
      `delay ${thousands(of("delay_mean_ms"))} ms`,
      `copies ${of("copies_per_entry").toFixed(2)}`,
      `${thousands(of("bytes_per_node_s"))} B/s for each node (idle ${thousands(of("idle_bytes_per_node_s"))})`,
    ];
    if (world === "regions") parts.push(`recovered after ${of("recovery_mean_s").toFixed(1)} s (at most ${Math.max(...rows.map((row) => row.recovery_max_s)).toFixed(1)})`);
    if (world === "swarm") parts.push(`sender uploads ${of("file-sender-uploads").toFixed(2)} times the file`);
    report(`world ${world}, ${seeds} seed${seeds > 1 ? "s" : ""}`, parts.join(", "));
  }
}

if (wanted("apply")) apply();
if (wanted("browser")) await browser();
if (wanted("newcomer")) {
  console.log(`-- ${thousands(ENTRIES)} entries by ${thousands(AUTHORS)} authors; 40 ms round trip, 100 Mbit/s`);
  newcomer();
}
if (wanted("worlds")) worlds();
