// Contenders in turn, round after round: how they are measured, and the tables.
//
// Ratios are medians of the ratios within each round, because the machine's speed drifts. A workload is
//   { title, who: names, the first one is judged; load: options of bench-load; goals: greatest ratio to a contender;
//     what / port: which port of a contender, by answer or by kind of listener }
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { median } from "./common.mjs";
import { calls, hurry, measure } from "./http/measure.mjs";
import { congestion } from "./isolate.mjs";

export const portOf = (contender, workload) => contender.ports[workload.what] ?? contender.ports[workload.port ?? "plain"];
const loadOf = (contender, workload) => ({ port: portOf(contender, workload), ...workload.load });

export const row = (cells) => console.log(`| ${cells.join(" | ")} |`);
export function header(cells) {
  row(["", ...cells]);
  row(["---", ...cells.map(() => "--:")]);
}

const ratio = (samples, a, b, part = "us") => median(samples.get(a).map((sample, i) => sample[part] / samples.get(b)[i][part]));
const told = (value, goal) => (goal === undefined ? value.toFixed(2) : `${value.toFixed(2)} (${goal.toFixed(2)}${value <= goal ? "" : ", missed"})`);

export class Comparison {
  /** further: what --only may name besides the workloads; columns: who has one; against: to whom ratios are shown. */
  constructor({ name, workloads, further, columns, against, seconds }) {
    const { values } = parseArgs({
      options: { rounds: { type: "string", default: "5" }, seconds: { type: "string", default: seconds }, only: { type: "string" }, help: { type: "boolean" } },
    });
    if (values.help) {
      console.log(`scripts/bench ${name} [--rounds=5] [--seconds=${seconds}] [--only=NAME,...]; names: ${[...Object.keys(workloads), ...further].join(" ")}`);
      process.exit(0);
    }
    Object.assign(this, { workloads, columns, against, rounds: Number(values.rounds), seconds: Number(values.seconds), only: values.only?.split(","), results: new Map() });
  }

  chosen(name) {
    return !this.only || this.only.includes(name);
  }

  heading() {
    const model = /^model name\s*: (.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1];
    const load = readFileSync("/proc/loadavg", "utf8").split(" ")[0];
    console.log(
      `${new Date().toISOString().slice(0, 10)}, ${model}, Linux ${readFileSync("/proc/sys/kernel/osrelease", "utf8").trim()}, loopback with ${congestion()}; ${this.rounds} rounds of ${this.seconds} s, 64 connections unless it is said; load average before: ${load}.`,
    );
  }

  /** One measurement of each contender of this workload, beginning with another one each time. */
  async #takeRound(contenders, workload, round, samples) {
    const present = workload.who.map((name) => contenders.get(name)).filter((c) => c && portOf(c, workload));
    const first = round % Math.max(present.length, 1);
    for (const contender of [...present.slice(first), ...present.slice(0, first)]) {
      const sample = await measure(contender.pid, { seconds: this.seconds, ...loadOf(contender, workload) });
      samples.get(contender.name)?.push(sample) ?? samples.set(contender.name, [sample]);
    }
  }

  /** Measures the workloads that are chosen and that `wanted` names. */
  async take(contenders, wanted = Object.keys(this.workloads)) {
    const taken = wanted.filter((name) => this.chosen(name));
    for (const name of taken) this.results.set(name, new Map());
    for (let round = 0; round < this.rounds; round++) for (const name of taken) await this.#takeRound(contenders, this.workloads[name], round, this.results.get(name));
  }

  #compared(samples, workload, against, part = "us") {
    const [subject] = workload.who;
    if (!samples.has(subject) || !samples.has(against) || subject === against) return "";
    return told(ratio(samples, subject, against, part), workload.goals?.[against]);
  }

  /** What is not a comparison with itself. */
  #shown() {
    return [...this.results].filter(([name]) => this.columns.includes(this.workloads[name].who[0]));
  }

  table() {
    if (!this.#shown().length) return;
    console.log(`\nCPU us for each request and thousand requests a second, medians; in brackets the goal.\n`);
    header([...this.columns, ...this.against.map((name) => `ours / ${name}`)]);
    for (const [name, samples] of this.#shown()) {
      const workload = this.workloads[name];
      const cell = (who) => (samples.has(who) ? `${median(samples.get(who).map((s) => s.us)).toFixed(2)}, ${(median(samples.get(who).map((s) => s.rate)) / 1000).toFixed(0)}k` : "");
      row([workload.title, ...this.columns.map(cell), ...this.against.map((who) => this.#compared(samples, workload, who))]);
    }
  }

  /** What is said of our own programs beside each other. */
  notes() {
    console.log("");
    for (const [name, samples] of this.results) {
      const { title, who, goals } = this.workloads[name];
      if (samples.has("ours again")) console.log(`Noise, ${title}: ours again / ours ${ratio(samples, "ours again", "ours").toFixed(2)}.`);
      if (!this.columns.includes(who[0]) && samples.has(who[0])) console.log(`${title}: ${told(ratio(samples, who[0], who[1]), goals[who[1]])}.`);
    }
  }

  /** Latency at a fixed rate, and what the first contender's p99 is to the goals'; behind: processes that all of them need. */
  async rates(contenders, workload, behind = []) {
    const samples = new Map();
    const processes = workload.load.shared ? [...behind, ...[...contenders.values()].map(({ pid }) => pid)] : [];
    for (const pid of processes) hurry(pid, true);
    // More and shorter rounds: what stops the machine for a moment spoils fewer of them.
    const part = { ...workload, load: { ...workload.load, seconds: this.seconds / 2 } };
    for (let round = 0; round < 2 * this.rounds + 1; round++) await this.#takeRound(contenders, part, round, samples);
    for (const pid of processes) hurry(pid, false);
    const ordered = [...new Set([...this.columns, ...workload.who])].filter((name) => samples.has(name));
    console.log(`\n${workload.title}, each due at a time of its own (medians of the rounds).\n`);
    header(ordered);
    for (const part of ["p50", "p99"]) row([`${part}, us`, ...ordered.map((name) => median(samples.get(name).map((s) => s[part])))]);
    row(["CPU us for each request", ...ordered.map((name) => median(samples.get(name).map((s) => s.us)).toFixed(1))]);
    for (const against of Object.keys(workload.goals ?? {})) if (samples.has(against) && samples.has(workload.who[0])) console.log(`\np99, ours / ${against}: ${this.#compared(samples, workload, against, "p99")}.`);
  }

  async systemCalls(contenders, names) {
    console.log("\nSystem calls for each request (strace -c).\n");
    header(this.columns);
    for (const name of names) {
      const workload = this.workloads[name];
      const cells = [];
      for (const who of this.columns) {
        const contender = workload.who.includes(who) && contenders.get(who);
        cells.push(contender && portOf(contender, workload) ? (await calls(contender.pid, loadOf(contender, workload))).toFixed(2) : "");
      }
      row([workload.title, ...cells]);
    }
  }
}
