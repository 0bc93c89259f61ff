// Drives crowd.c: many devices that write through one or more trackers; and looks at what the database has.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { within } from "./tracker-kit.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
/** A program or library that tests/integration/CMakeLists.txt makes. */
export const tool = (name) => join(process.env.WEAPROUS_TOOLS ?? join(root, "build/dev/tests/integration"), name);

/** Devices that have joined and write on, in a process of their own; tell(command) answers as crowd.c says. */
export async function startCrowd(t, ports, { accounts = 5, devices = 50, pauseMs = 500 } = {}) {
  const words = [ports.join(","), accounts, devices, pauseMs].map(String);
  const child = spawn(tool("crowd"), words, { stdio: ["pipe", "pipe", process.env.CROWD_STDERR ? "inherit" : "ignore"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = (what) =>
    within(
      lines.next().then(({ value, done }) => {
        if (done) throw new Error(`the crowd ended before: ${what}`);
        return JSON.parse(value);
      }),
      what,
      120_000,
    );
  t.after(() => child.kill("SIGKILL"));
  child.on("error", () => {});
  child.stdin.on("error", () => {});
  assert.equal((await next("all devices online")).ready, true);
  return {
    tell(command) {
      child.stdin.write(`${command}\n`);
      return next(command);
    },
    end: () => child.kill("SIGKILL"),
  };
}

/** Rows of an SQL question to a database that may be in use. */
export function question(database, sql) {
  return execFileSync("sqlite3", ["-readonly", "-cmd", ".timeout 5000", database, sql], { encoding: "utf8", maxBuffer: 1 << 26 }).trim();
}

/** The same, of a copy as it is on the disk now: as the next process will find it after a crash. */
export function questionToCopy(database, sql) {
  const folder = mkdtempSync(join(tmpdir(), "weaprous-copy-"));
  try {
    for (const end of ["", "-wal"]) if (existsSync(database + end)) copyFileSync(database + end, join(folder, `copy.db${end}`));
    return execFileSync("sqlite3", [join(folder, "copy.db"), sql], { encoding: "utf8", maxBuffer: 1 << 26 }).trim();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const FEEDS = "SELECT lower(hex(author)), group_concat(seq) FROM entries GROUP BY author";

/** Every entry that a device knows as acknowledged is there; `ask` as question. */
export function checkAcknowledged(report, database, ask = question) {
  const feeds = new Map(
    ask(database, FEEDS)
      .split("\n")
      .filter(Boolean)
      .map((row) => row.split("|"))
      .map(([author, numbers]) => [author, new Set(numbers.split(",").map(Number))]),
  );
  let count = 0;
  for (const { id, acknowledged, newest } of report.devices) {
    const feed = feeds.get(id) ?? new Set();
    for (const [from, to] of [[1, acknowledged], newest]) {
      for (let seq = Math.max(1, from); seq <= to; seq++, count++) assert.ok(feed.has(seq), `${seq} of ${id} was acknowledged and is not there`);
    }
  }
  return count;
}

export function checkIntegrity(database, ask = question) {
  assert.equal(ask(database, "PRAGMA integrity_check; PRAGMA foreign_key_check;"), "ok");
}

/** Of what all have written a newcomer got each message once. */
export function checkRead({ messages, once, missing, doubled }) {
  const some = (list) => `${list.length} (${list.slice(0, 10).join(", ")} ...)`;
  assert.ok(!missing.length && !doubled.length, `of ${messages} messages ${some(missing)} are missing and ${some(doubled)} came more than once`);
  assert.equal(once, messages);
}
