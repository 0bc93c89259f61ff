// Several `weaprous tracker` on one data folder: what happens at one is seen at the others, and when one dies the others go on.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { PASSWORD, Socket, ask, cookieOf, newDevice, newFolder, online, post, program, proofOf, register, run, startTracker, within } from "./tracker-kit.mjs";

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Trackers on one folder, in the order of their start; the first holds the replica. */
async function cluster(t, count = 2, { args = [], folder = newFolder() } = {}) {
  const trackers = [];
  for (let i = 0; i < count; i++) trackers.push(await startTracker(t, { subcommand: "tracker", folder, args: ["--verbose", ...args] }));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return Object.assign(trackers, { folder });
}

async function login(tracker, username) {
  const response = await post(tracker, "/login", { username, password: PASSWORD });
  assert.equal(response.status, 200, response.text);
  return cookieOf(response);
}

/** Asks until it is so, at most `ms`. */
async function until(what, check, ms = 10_000) {
  for (const end = Date.now() + ms; ; await sleep(20)) {
    const result = await check();
    if (result) return result;
    if (Date.now() > end) assert.fail(`not within ${ms} ms: ${what}`);
  }
}

const presenceOf = (device, status) => (message) =>
  message.type === "presence" && message.devices.some((row) => row.device === device && row.status === status);

test("who registers at one is logged in at the other; logging out anywhere ends the sockets everywhere", async (t) => {
  const [a, b] = await cluster(t);
  const cookie = await register(a, "alice");
  assert.equal((await ask(b, "GET", "/", { headers: { Cookie: cookie } })).status, 200);
  const other = await login(b, "alice");
  const [here, there, stays] = [await online(t, a, cookie), await online(t, b, cookie), await online(t, a, other)];
  assert.equal((await post(b, "/logout", {}, { headers: { Cookie: cookie } })).status, 200);
  for (const { socket } of [here, there]) {
    assert.equal((await socket.next("goodbye")).reason, "logged-out");
    await socket.end();
  }
  assert.equal((await stays.socket.ask("ping")).status, "success");
  assert.equal((await ask(a, "GET", "/", { headers: { Cookie: cookie } })).status, 401);
});

test("presence crosses: who comes, who goes, who was there before, and a device that moves is never offline", async (t) => {
  const [a, b] = await cluster(t);
  const alice = await online(t, a, await register(a, "alice"), { label: "Alice's laptop" });
  const bobCookie = await register(b, "bob");
  const bob = await online(t, b, bobCookie, { label: "Bob's phone" });
  assert.deepEqual(bob.presence.devices.map(({ account, label, device }) => [account, label, device]), [["alice", "Alice's laptop", alice.device.id]]);
  const came = (await alice.socket.next(presenceOf(bob.device.id, "online"), "bob comes")).devices[0];
  assert.deepEqual([came.account, came.label], ["bob", "Bob's phone"]);

  const moved = await online(t, a, bobCookie, { device: bob.device });
  assert.equal((await bob.socket.next("goodbye")).reason, "replaced");
  assert.equal((await bob.socket.end()).code, 1000);
  await alice.socket.next(presenceOf(bob.device.id, "online"), "bob is there again");
  const back = await online(t, b, bobCookie, { device: bob.device });
  assert.equal((await moved.socket.next("goodbye")).reason, "replaced");
  await alice.socket.next(presenceOf(bob.device.id, "online"), "and again");
  await alice.socket.ask("ping");
  assert.equal(alice.socket.seen.filter(presenceOf(bob.device.id, "offline")).length, 0);

  back.socket.ws.terminate();
  await alice.socket.next(presenceOf(bob.device.id, "offline"), "bob goes");
  const late = await online(t, b, bobCookie);
  assert.deepEqual(late.presence.devices.map((row) => row.device), [alice.device.id]);
});
