// The tracker is killed at random moments under load; disks fail, clocks jump. What was acknowledged is there, once.
//   CRASH_KILLS=500   how often it is killed in the first two tests together (20 without it)
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { checkAcknowledged, checkIntegrity, question, questionToCopy, startCrowd } from "./crowd-kit.mjs";
import { newFolder, startTracker } from "./tracker-kit.mjs";

const KILLS = Number(process.env.CRASH_KILLS ?? 20);
const KILLS_OF_A_WORLD = 50; // then new people begin anew, for the time that a long history takes
const KILL_WITHIN_MS = 900;
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
  const read = await crowd.tell("read");
  assert.deepEqual([read.missing, read.doubled], [[], []]);
  assert.equal(read.once, read.messages);
  checkIntegrity(database);
  return read.messages;
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
