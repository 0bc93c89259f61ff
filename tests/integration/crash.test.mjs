// The tracker is killed at random moments under load; disks fail, clocks jump. What was acknowledged is there, once.
//   CRASH_KILLS=500   how often it is killed in the first two tests together (20 without it)
import assert from "node:assert/strict";
import { existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { checkAcknowledged, checkIntegrity, checkRead, questionToCopy, startCrowd, tool } from "./crowd-kit.mjs";
import { ask, newFolder, startTracker } from "./tracker-kit.mjs";

const KILLS = Number(process.env.CRASH_KILLS ?? 20);
const KILLS_OF_A_WORLD = 50; // then new people begin anew, for the time that a long history takes
const KILL_WITHIN_MS = 900;
const FAULTS = Math.ceil(KILLS / 4); // rounds in which the disk fails
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

let seed = Number(process.env.CRASH_SEED ?? Date.now() % 1e9);
console.log(`# CRASH_SEED=${seed}`);
function random(bound) {
  seed = (seed * 1103515245 + 12345) % 2147483648;
  return Math.floor((seed / 2147483648) * bound);
}

/** A folder with `count` trackers and a crowd; tracker i can be started again on its port. */
async function world(t, count, options = {}) {
  const folder = newFolder();
  const start = (port, more = {}) => startTracker(t, { subcommand: "tracker", folder, args: ["--server-port", String(port)], ...options, ...more });
  const trackers = [];
  for (let i = 0; i < count; i++) trackers.push(await start(0));
  const database = join(folder, "data/weaprous.db");
  const crowd = await startCrowd(t, trackers.map((tracker) => tracker.port), options.crowd);
  return {
    trackers,
    crowd,
    database,
    async again(i, more) {
      trackers[i] = await start(trackers[i].port, more);
    },
    async kill(i) {
      await trackers[i].end("SIGKILL");
      await sleep(20); // what it had sent has arrived
    },
    async end() {
      crowd.end();
      for (const tracker of trackers) await tracker.end("SIGKILL").catch(() => {});
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** At the end: all come back, everything is acknowledged, and a newcomer reads each message once. */
async function checkAll(crowd, database) {
  const report = await crowd.tell("wait");
  assert.ok(report.settled, `not everything was acknowledged: ${JSON.stringify({ ...report, devices: report.devices.filter((d) => d.acknowledged < d.written) })}`);
  checkAcknowledged(report, database);
  checkRead(await crowd.tell("read"));
  checkIntegrity(database);
  return report.messages;
}

test(`one tracker killed ${Math.ceil(KILLS / 2)} times`, { timeout: KILLS * 8000 + 60_000 }, async (t) => {
  let messages = 0, atKill = 0;
  for (let killed = 0; killed < KILLS / 2; ) {
    const here = await world(t, 1);
    for (let i = 0; i < KILLS_OF_A_WORLD && killed < KILLS / 2; i++, killed++) {
      await sleep(random(KILL_WITHIN_MS));
      await here.kill(0);
      const report = await here.crowd.tell("report");
      atKill += checkAcknowledged(report, here.database, questionToCopy);
      checkIntegrity(here.database, questionToCopy);
      await here.again(0);
    }
    messages += await checkAll(here.crowd, here.database);
    await here.end();
  }
  t.diagnostic(`${messages} messages, ${atKill} looked for at the moment of a kill`);
  assert.ok(atKill > 0);
});

test(`two trackers, one of them killed ${Math.floor(KILLS / 2)} times`, { timeout: KILLS * 8000 + 60_000 }, async (t) => {
  let messages = 0;
  for (let killed = 0; killed < Math.floor(KILLS / 2); ) {
    const here = await world(t, 2);
    for (let i = 0; i < KILLS_OF_A_WORLD && killed < Math.floor(KILLS / 2); i++, killed++) {
      await sleep(random(KILL_WITHIN_MS));
      const which = random(2);
      await here.kill(which);
      checkAcknowledged(await here.crowd.tell("report"), here.database);
      await sleep(random(KILL_WITHIN_MS));
      await here.again(which);
    }
    messages += await checkAll(here.crowd, here.database);
    await here.end();
  }
  t.diagnostic(`${messages} messages`);
});

// Of a thousand writes and syncs: so many find the disk full, report an error, are cut short.
const BAD_DISKS = [[300, 0, 0], [0, 200, 0], [0, 0, 500], [60, 60, 200], [1000, 0, 0]];

test(`${FAULTS} times the disk is full, breaks, and writes halves: the tracker goes on, and is killed in the midst of it`, { timeout: FAULTS * 15_000 + 60_000 }, async (t) => {
  const control = join(newFolder(), "faults");
  const disk = (...numbers) => writeFileSync(control, `${numbers.join(" ")}\n`);
  disk(0, 0, 0);
  const here = await world(t, 1, { env: { LD_PRELOAD: tool("faultfs.so"), FAULTFS: control }, crowd: { devices: 20, pauseMs: 250 } });
  t.after(() => rmSync(join(control, ".."), { recursive: true, force: true }));
  let failures = 0;
  for (let i = 0; i < FAULTS; i++) {
    disk(...BAD_DISKS[i % BAD_DISKS.length]);
    await sleep(300 + random(700));
    assert.equal(here.trackers[0].child.exitCode, null, `the tracker ended by itself: ${here.trackers[0].err}`);
    if (random(2)) {
      failures += /not kept|failed/.test(here.trackers[0].err);
      await here.kill(0);
      checkAcknowledged(await here.crowd.tell("report"), here.database, questionToCopy);
      checkIntegrity(here.database, questionToCopy);
      disk(0, 0, 0);
      await here.again(0);
    } else {
      disk(0, 0, 0);
      checkAcknowledged(await here.crowd.tell("report"), here.database, questionToCopy);
    }
    await sleep(random(500));
  }
  failures += /not kept|failed/.test(here.trackers[0].err);
  assert.ok(failures, "the disk has really failed");
  const messages = await checkAll(here.crowd, here.database);
  t.diagnostic(`${messages} messages`);
  await here.end();
});

/** libfaketime, as Debian's package faketime has it. */
function faketime() {
  for (const folder of readdirSync("/usr/lib").map((name) => join("/usr/lib", name, "faketime")))
    if (existsSync(join(folder, "libfaketimeMT.so.1"))) return join(folder, "libfaketimeMT.so.1");
  return undefined;
}
const STEPS = ["+1h", "-1h", "+2d", "-10m", "+0"];

test("the clock of the tracker jumps forth and back, and it is killed in between", { timeout: 120_000 }, async (t) => {
  const library = faketime();
  assert.ok(library, "the package faketime is not installed");
  const clock = join(newFolder(), "clock");
  const set = (offset) => writeFileSync(clock, `${offset}\n`);
  set("+0");
  t.after(() => rmSync(join(clock, ".."), { recursive: true, force: true }));
  const env = { LD_PRELOAD: library, FAKETIME_TIMESTAMP_FILE: clock, FAKETIME_NO_CACHE: "1", FAKETIME_DONT_FAKE_MONOTONIC: "1" };
  const here = await world(t, 1, { env, crowd: { devices: 20, pauseMs: 250 } });
  for (const [i, step] of STEPS.entries()) {
    set(step);
    await sleep(700);
    const { headers } = await ask(here.trackers[0], "GET", "/healthz");
    if (step === "+1h") assert.ok(Date.parse(headers.date) > Date.now() + 3_000_000, `the clock of the tracker jumped: ${headers.date}`);
    if (i % 2) {
      await here.kill(0);
      checkAcknowledged(await here.crowd.tell("report"), here.database, questionToCopy);
      await here.again(0);
    }
    await sleep(700);
    const report = await here.crowd.tell("wait");
    assert.ok(report.settled, `everybody is there at ${step}`);
  }
  const messages = await checkAll(here.crowd, here.database);
  t.diagnostic(`${messages} messages`);
  await here.end();
});
