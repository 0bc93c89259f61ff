// sim/mutants.mjs [option...]: shows that the simulator can fail. Each intended bug of sim/mutants.txt is built into
// the core by itself, and the simulator must find it within so many seeds. `scripts/sim --mutants` runs it.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const build = join(root, "build/mutants");
const tree = join(build, "tree"); // a copy: whoever works on the source meanwhile does not get into it
const usage = `usage: scripts/sim --mutants [--only NAME,...] [--seeds N] [--check] [--quick] [--jobs N]
Builds each intended bug of sim/mutants.txt into the core and runs the simulator until it finds it.
  --only NAMES  these only
  --seeds N     that many seeds for each, at most (default 1000)
  --check       only looks whether every one still fits the source
  --quick       those that are marked as quick, and --check for all
  --jobs N      that many at one time (default: one for each processor)
The last line is "N passed, N failed": caught, and survived or no longer fitting.`;

const SECONDS_MAX = 900; // of one mutant
const PIECE_SECONDS_MAX = 240; // of some seeds: longer means that it hangs

/** Paragraphs "NAME: what it does", "file PATH", perhaps "world NAME", "options WORDS", "quick", and lines of the source
 *  with ' ', '-' or '+' before each, as in a diff; what stands there must be in the file once. */
function parseTable(text) {
  const mutants = [];
  for (const part of text.split(/\n(?=\S+: )/)) {
    const lines = part.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    const head = /^(\S+): (.*)$/.exec(lines.shift() ?? "");
    if (!head) continue;
    const mutant = { name: head[1], brief: head[2], file: "", options: [], quick: false, before: [], after: [] };
    for (const line of lines) {
      const [word, ...rest] = line.split(" ");
      if (/^[ +-]/.test(line)) {
        if (line[0] !== "+") mutant.before.push(line.slice(1));
        if (line[0] !== "-") mutant.after.push(line.slice(1));
      } else if (word === "file") mutant.file = rest.join(" ");
      else if (word === "world") mutant.options.push("--world", rest[0]);
      else if (word === "options") mutant.options.push(...rest);
      else if (word === "quick") mutant.quick = true;
      else throw new Error(`${mutant.name}: what is "${line}"?`);
    }
    mutants.push(mutant);
  }
  return mutants;
}

/** The changed source, or why there is none. */
function apply(mutant, from) {
  const file = join(from, mutant.file);
  if (!existsSync(file)) return { problem: `there is no file ${mutant.file}` };
  const source = readFileSync(file, "utf8");
  const before = `\n${mutant.before.join("\n")}\n`;
  const found = source.split(before).length - 1;
  if (found !== 1) return { problem: `its lines are in ${mutant.file} ${found} times, not once` };
  return { text: source.replace(before, () => `\n${mutant.after.join("\n")}\n`) };
}

function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, encoding: "utf8", maxBuffer: 1 << 26, ...options });
  if (result.status !== 0) throw new Error(`${command} ${args.join(" ")}\n${result.stdout}${result.stderr}`);
  return result.stdout;
}

/** What is the same stays untouched, with its time, and is not compiled again; what changed has a new time. */
function copyPart(from, to) {
  if (!statSync(from).isDirectory()) {
    const bytes = readFileSync(from);
    if (!existsSync(to) || !bytes.equals(readFileSync(to))) writeFileSync(to, bytes);
    return;
  }
  mkdirSync(to, { recursive: true });
  const names = readdirSync(from);
  for (const old of readdirSync(to)) if (!names.includes(old)) rmSync(join(to, old), { recursive: true });
  for (const name of names) copyPart(join(from, name), join(to, name));
}

function copyTree() {
  mkdirSync(tree, { recursive: true });
  for (const part of ["CMakeLists.txt", "CMakePresets.json", "cmake", "src", "sim"]) copyPart(join(root, part), join(tree, part));
}

/** The simulator as it is, and how its parts are made. */
function buildPlain() {
  run("cmake", ["--preset", "release", "-S", tree, "-B", build, "-DCMAKE_INTERPROCEDURAL_OPTIMIZATION=OFF"], { cwd: tree });
  run("ninja", ["-C", build, "sim/sim"]);
  const compile = new Map();
  for (const { file, command } of JSON.parse(readFileSync(join(build, "compile_commands.json"), "utf8"))) compile.set(file, command.split(" ").filter((word) => word !== ""));
  const link = run("ninja", ["-C", build, "-t", "commands", "sim/sim"]).trimEnd().split("\n").at(-1);
  return { program: join(build, "sim/sim"), failing: new Map(), compile, link: link.split(" ").filter((word) => !["", "&&", ":"].includes(word)) };
}

const valueAt = (words, option, value) => Object.assign([...words], { [words.indexOf(option) + 1]: value });

/** A simulator with this bug in it. What was linked before the archives is not taken out of them again. */
function buildMutant({ compile, link }, mutant, text) {
  const folder = join(build, "with", mutant.name);
  mkdirSync(folder, { recursive: true });
  const source = join(folder, basename(mutant.file));
  const object = `${source}.o`;
  const program = join(folder, "sim");
  writeFileSync(source, text);
  let words = compile.get(join(tree, mutant.file));
  if (!words) throw new Error(`${mutant.file} is not compiled`);
  words = valueAt(valueAt(words, "-o", object), "-c", source);
  for (const option of ["-MF", "-MT"]) if (words.includes(option)) words = valueAt(words, option, `${object}.d`);
  execFileSync(words[0], [...words.slice(1), "-w"], { cwd: build, stdio: ["ignore", "ignore", "inherit"] });
  const linked = valueAt(link, "-o", program);
  linked.splice(linked.indexOf(program) + 1, 0, object);
  execFileSync(linked[0], linked.slice(1), { cwd: build, stdio: ["ignore", "ignore", "inherit"] });
  return program;
}

/** Runs seeds; what was wrong, or undefined. */
function runSeeds(program, options, first, last) {
  return new Promise((resolve) => {
    const child = spawn(program, [...options, "--seeds", `${first}..${last}`], { stdio: ["ignore", "pipe", "pipe"], detached: true });
    // Each world runs in a process of its own: all of them have to end.
    const end = () => {
      try {
        process.kill(-child.pid, "SIGKILL");
      } catch {
        // They have.
      }
    };
    let out = "";
    const found = () => /FAILED: seed (\d+): (.*)/.exec(out);
    const deadline = setTimeout(end, PIECE_SECONDS_MAX * 1000);
    child.stdout.on("data", (bytes) => {
      out += bytes;
      if (found() && out.endsWith("\n")) end();
    });
    child.stderr.on("data", (bytes) => (out += bytes));
    child.on("close", (status, signal) => {
      clearTimeout(deadline);
      const failed = found();
      if (failed) resolve({ seed: failed[1], words: failed[2] });
      else if (signal === "SIGKILL") resolve({ seed: `${first}..${last}`, words: `hangs: nothing within ${PIECE_SECONDS_MAX} s` });
      else if (signal) resolve({ seed: `${first}..${last}`, words: `${signal}: ${out.trim().split("\n").at(-1)}` });
      else if (status !== 0) resolve({ seed: `${first}..${last}`, words: `exit status ${status}: ${out.trim().split("\n").at(-1)}` });
      else resolve(undefined);
    });
  });
}

/** Runs seeds as runSeeds does; where the program died or hung, by which of them. */
async function findSeed(program, options, first, last) {
  const found = await runSeeds(program, options, first, last);
  if (!found || /^\d+$/.test(found.seed)) return found;
  for (let seed = first; seed <= last; seed++) {
    const alone = await runSeeds(program, options, seed, seed);
    if (alone) return { ...alone, seed: String(seed) };
  }
  return undefined; // none of these seeds alone: the machine was slow
}

/** What the simulator finds without a bug as well is none of this one's. */
async function isPlain(plain, options, { seed }) {
  const key = `${options.join(" ")} --seed ${seed}`;
  plain.failing.set(key, plain.failing.get(key) ?? (await runSeeds(plain.program, options, seed, seed)));
  return plain.failing.get(key) !== undefined;
}

/** Few seeds first: most bugs are found at once. */
async function hunt(plain, program, options, seeds) {
  const until = Date.now() + SECONDS_MAX * 1000;
  for (let first = 1, size = 10; first <= seeds && Date.now() < until; size = Math.min(size * 2, 100)) {
    const last = Math.min(first + size - 1, seeds);
    const found = await findSeed(program, options, first, last);
    if (found && !(await isPlain(plain, options, found))) return found;
    first = found ? Number(found.seed) + 1 : last + 1;
  }
  return undefined;
}

async function main() {
  const { values } = parseArgs({
    options: {
      only: { type: "string" }, seeds: { type: "string", default: "1000" }, check: { type: "boolean" }, quick: { type: "boolean" },
      jobs: { type: "string", default: String((availableParallelism?.() ?? cpus().length) || 1) }, help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) return void console.log(usage);
  const from = values.check ? root : tree;
  if (!values.check) copyTree();
  const all = parseTable(readFileSync(join(from, "sim/mutants.txt"), "utf8"));
  const names = values.only?.split(",");
  const unknown = names?.filter((name) => !all.some((mutant) => mutant.name === name)) ?? [];
  if (unknown.length > 0) throw new Error(`there is no mutant ${unknown.join(", ")}`);
  let passed = 0;
  let failed = 0;
  const say = (mutant, good, words) => {
    if (good) passed++;
    else failed++;
    console.log(`${good ? "ok: " : "FAILED: "}${mutant.name.padEnd(24)} ${words}`);
  };
  const fitting = [];
  for (const mutant of all) {
    if (names && !names.includes(mutant.name)) continue;
    const { text, problem } = apply(mutant, from);
    if (problem) say(mutant, false, problem);
    else if (values.check || (values.quick && !mutant.quick)) say(mutant, true, "fits the source");
    else fitting.push({ mutant, text });
  }
  if (fitting.length > 0) {
    const plain = buildPlain();
    const work = async () => {
      for (let next = fitting.shift(); next; next = fitting.shift()) {
        const { mutant, text } = next;
        const began = Date.now();
        let program;
        try {
          program = buildMutant(plain, mutant, text);
        } catch {
          say(mutant, false, "is not C, see above");
          continue;
        }
        const found = await hunt(plain, program, mutant.options, Number(values.seeds));
        const took = `${((Date.now() - began) / 1000).toFixed(0)} s`;
        if (found) say(mutant, true, `seed ${String(found.seed).padEnd(6)} ${took.padStart(5)}  ${mutant.brief}\n${" ".repeat(29)}${found.words}`);
        else say(mutant, false, `SURVIVED ${values.seeds} seeds, ${took}: ${mutant.brief}`);
      }
    };
    await Promise.all(Array.from({ length: Math.max(1, Number(values.jobs)) }, work));
    for (const [options, found] of plain.failing)
      if (found) say({ name: "(no bug)" }, false, `sim ${options}: ${found.words}`);
  }
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed > 0 ? 1 : 0;
}

main().catch((error) => {
  console.error(error.message);
  console.log("0 passed, 1 failed");
  process.exitCode = 1;
});
