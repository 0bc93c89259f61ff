// sim/nightly.mjs [--scale F] [--jobs N]: thousands of worlds of every kind, and whether each rare branch of the core
// (src/core/probe.h) was taken in one of them. `scripts/sim --nightly` builds the simulator and runs it.
import { spawn } from "node:child_process";
import { availableParallelism, cpus } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const program = process.env.SIM ?? join(root, "build/release/sim/sim");
const usage = `usage: scripts/sim --nightly [--scale F] [--jobs N]
Runs thousands of worlds of every kind. It fails when one of them does, and when a rare branch of the core was taken in none.
  --scale F  that many times the usual number of worlds (default 1; 0.02 takes a few minutes)
  --jobs N   that many at one time (default: one for each processor)
The last line is "N passed, N failed": worlds and branches.`;

/** Options, and how many seeds. */
const RUNS = [
  [[], 5000],
  [["--faults", "4089", "--activities", "11"], 1000], // broken disks, crashes and gaps: what a start finds then
  [["--crypto", "real"], 200],
  [["--world", "pair"], 1000],
  [["--world", "class"], 200],
  [["--world", "outage"], 200],
  [["--world", "churn"], 200],
  [["--world", "regions"], 200],
  [["--world", "hostile"], 400],
  [["--world", "swarm"], 40],
  [["--world", "backlog"], 20],
  [["--world", "crowd"], 20],
  [["--world", "channel-1000"], 4],
];
/** One device has no memory for one allocation and so many after it: [device, first one, step to the next point, after it]. */
const HUNGER = [[1, 1, 3, 0], [0, 1, 37, 0], [1, 40, 37, 36]];
const HUNGER_SEEDS = "2..5";
const HUNGER_POINTS = 200;

/** What no world can reach: it takes more devices, conversations or bytes than a world has. Unit tests do. */
const UNREACHABLE = new Set(["ROOM_MADE", "INTRODUCE_NO_ROOM"]);

const totals = { passed: 0, failed: 0 };
const probes = new Map();

function runSim(options) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...options, "--coverage"], { stdio: ["ignore", "pipe", "inherit"] });
    let result;
    createInterface({ input: child.stdout }).on("line", (line) => {
      const probe = /^probe (\S+) +(\d+) times in (\d+) worlds$/.exec(line);
      const sum = /^(\d+) passed, (\d+) failed$/.exec(line);
      if (probe) {
        const known = probes.get(probe[1]) ?? { times: 0, worlds: 0 };
        probes.set(probe[1], { times: known.times + Number(probe[2]), worlds: known.worlds + Number(probe[3]) });
      } else if (sum) {
        result = { passed: Number(sum[1]), failed: Number(sum[2]) };
      } else if (/^FAILED|^ {2}(again|after)/.test(line)) {
        console.log(line);
      }
    });
    child.on("error", reject);
    child.on("close", (status, signal) => {
      if (!result) {
        console.log(`FAILED: sim ${options.join(" ")}: ${signal ?? `exit status ${status}`}`);
        result = { passed: 0, failed: 1 };
      }
      totals.passed += result.passed;
      totals.failed += result.failed;
      resolve(result);
    });
  });
}

async function runWorlds(scale, jobs) {
  for (const [options, seeds] of RUNS) {
    const began = Date.now();
    const last = Math.max(1, Math.round(seeds * scale));
    const { passed, failed } = await runSim([...options, "--seeds", `1..${last}`, "--jobs", String(jobs), "--shrink", "60"]);
    const took = ((Date.now() - began) / 1000).toFixed(0);
    console.log(`${failed === 0 ? "ok: " : "FAILED: "}${options.join(" ") || "mixed"}: ${passed} passed, ${failed} failed, ${took} s`);
  }
  const points = Math.max(1, Math.round(HUNGER_POINTS * scale));
  for (const [device, first, step, more] of HUNGER) {
    for (let i = 0; i < points; i++) await runSim(["--seeds", HUNGER_SEEDS, "--jobs", String(jobs), "--fail", `${device}:${first + i * step}+${more}`]);
  }
}

function tellProbes() {
  const rows = [...probes].sort((a, b) => a[1].worlds - b[1].worlds);
  for (const [name, { times, worlds }] of rows) console.log(`probe ${name.padEnd(22)} ${String(times).padStart(12)} times in ${worlds} worlds`);
  for (const [name, { times }] of rows) {
    if (UNREACHABLE.has(name)) continue;
    if (times > 0) totals.passed++;
    else totals.failed++;
    if (times === 0) console.log(`FAILED: no world has reached ${name}`);
  }
}

const { values } = parseArgs({
  options: {
    scale: { type: "string", default: "1" }, help: { type: "boolean", short: "h" },
    jobs: { type: "string", default: String((availableParallelism?.() ?? cpus().length) || 1) },
  },
});
if (values.help) {
  console.log(usage);
} else {
  await runWorlds(Number(values.scale), Number(values.jobs));
  tellProbes();
  console.log(`${totals.passed} passed, ${totals.failed} failed`);
  process.exitCode = totals.failed > 0 ? 1 : 0;
}
