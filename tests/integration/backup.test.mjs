// `weaprous backup`, `restore` and `doctor`, beside a server that is running.
import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { PASSWORD, newFolder, post, register, run, startTracker } from "./tracker-kit.mjs";

const login = (tracker, name) =>
  post(tracker, "/login", { username: name, password: PASSWORD }, { Accept: "application/json" });

async function succeeds(args) {
  const result = await run(args);
  assert.equal(result.code, 0, `${args.join(" ")}: ${result.err}`);
  return result.out;
}

async function refuses(args, words) {
  const result = await run(args);
  assert.equal(result.code, 1, args.join(" "));
  assert.match(result.err, words);
  assert.match(result.err, /^[^\n]+\.\n$/);
}

test("a backup is made of a running server, and put back at its next start", async (t) => {
  const tracker = await startTracker(t);
  const data = join(tracker.folder, "data"), copy = join(tracker.folder, "copy.db");
  await register(tracker, "an");
  const out = await succeeds(["backup", copy, "--data", data]);
  assert.match(out, /holds accounts 1, devices 0, channels 1, messages 0/);
  assert.equal(statSync(copy).mode & 0o777, 0o600);
  await refuses(["backup", copy, "--data", data], /is there already/);

  await register(tracker, "binh");
  assert.match(await succeeds(["restore", copy, "--data", data]), /goes on with the data of before/);
  assert.equal((await login(tracker, "binh")).status, 200, "the running server is not disturbed");
  await tracker.end("SIGTERM");

  const again = await startTracker(t, { folder: tracker.folder });
  assert.match(again.err, /are now those that were restored/);
  assert.equal((await login(again, "an")).status, 200);
  assert.equal((await login(again, "binh")).status, 401);
  await again.end("SIGTERM");

  // What was there before is kept, and can be put back in turn.
  const before = join(data, "before-restore.db");
  await succeeds(["restore", before, "--data", data]);
  const third = await startTracker(t, { folder: tracker.folder });
  assert.equal((await login(third, "binh")).status, 200);
});

test("what is no backup is not put in the place of the data", async (t) => {
  const tracker = await startTracker(t);
  const data = join(tracker.folder, "data"), copy = join(tracker.folder, "copy.db");
  await register(tracker, "an");
  await succeeds(["backup", copy, "--data", data]);
  await tracker.end("SIGTERM");

  const bytes = readFileSync(copy), bad = join(tracker.folder, "bad.db");
  writeFileSync(bad, bytes.subarray(0, bytes.length / 2));
  await refuses(["restore", bad, "--data", data], /is damaged/);
  const spoilt = Buffer.from(bytes);
  spoilt.fill(0x5a, 4096 * 3, 4096 * 6);
  writeFileSync(bad, spoilt);
  await refuses(["restore", bad, "--data", data], /is damaged/);
  writeFileSync(bad, "no database at all\n".repeat(100));
  await refuses(["restore", bad, "--data", data], /is damaged, or is not a database/);
  await refuses(["restore", join(tracker.folder, "nothing"), "--data", data], /There is no/);
  await refuses(["restore", tracker.folder, "--data", data], /is not a regular file/);
  assert.equal(existsSync(join(data, "restored.db")), false);

  const again = await startTracker(t, { folder: tracker.folder });
  assert.equal((await login(again, "an")).status, 200);
});

test("the doctor says what is wrong and what to do", async (t) => {
  const tracker = await startTracker(t);
  const data = join(tracker.folder, "data");
  const look = async (...args) => {
    const result = await run(["doctor", "--json", "--data", data, ...args]);
    const lines = result.out.trim().split("\n").map((line) => JSON.parse(line));
    const of = (check) => lines.filter((line) => line.check === check);
    return { ...result, lines, of };
  };
  const port = String(tracker.port);
  const good = await look("--server-port", port);
  assert.equal(good.code, good.lines.some((line) => line.verdict === "problem") ? 1 : 0);
  assert.equal(good.of("data")[0].verdict, "ok");
  assert.equal(good.of("database")[0].verdict, "ok");
  assert.match(good.of("port")[0].text, /answers and is ready/);
  for (const line of good.lines) assert.ok(line.verdict === "ok" ? !line.remedy : line.remedy, JSON.stringify(line));

  chmodSync(data, 0o755);
  assert.equal((await look("--server-port", port)).of("data")[0].verdict, "warning");
  chmodSync(data, 0o700);

  const other = createServer((socket) => socket.end("SSH-2.0-other\r\n"));
  await new Promise((resolve) => other.listen(0, "127.0.0.1", resolve));
  t.after(() => other.close());
  const taken = await look("--server-port", String(other.address().port));
  assert.equal(taken.code, 1);
  assert.equal(taken.of("port")[0].verdict, "problem");
  assert.match(taken.of("port")[0].remedy, /ss -ltnp/);

  const nowhere = await look("--server-port", port, "--name", "nowhere.invalid");
  assert.equal(nowhere.of("name")[0].verdict, "problem");

  await tracker.end("SIGTERM");
  assert.match((await look("--server-port", port)).of("port")[0].text, /is free/);
  const database = join(data, "weaprous.db");
  writeFileSync(database, readFileSync(database).fill(7, 5000, 30000));
  const damaged = await look("--server-port", port);
  assert.equal(damaged.code, 1);
  assert.equal(damaged.of("database")[0].verdict, "problem");
  assert.match(damaged.of("database")[0].remedy, /weaprous restore/);

  const empty = join(newFolderFor(t), "empty");
  mkdirSync(empty);
  const text = await run(["doctor", "--data", empty]);
  assert.match(text.out, /\d+ checks: \d+ ok/);
});

function newFolderFor(t) {
  const folder = newFolder();
  t.after(() => import("node:fs").then((fs) => fs.rmSync(folder, { recursive: true, force: true })));
  return folder;
}
