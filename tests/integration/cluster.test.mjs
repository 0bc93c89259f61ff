// Several `weaprous tracker` on one data folder: what happens at one is seen at the others, and when one dies the others go on.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { checkAcknowledged, checkIntegrity, checkRead, startCrowd } from "./crowd-kit.mjs";
import { PASSWORD, ask, cookieOf, newDevice, newFolder, online, post, register, run, startTracker, within } from "./tracker-kit.mjs";

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

/** `to` knows that `from` is online; what is at another tracker is known a moment later. */
const sees = (to, from) => to.socket.next(presenceOf(from.device.id, "online"), "that somebody is there");

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

test("friends, blocks and conversations count at every process at once", async (t) => {
  const [a, b] = await cluster(t);
  const alice = await online(t, a, await register(a, "alice"));
  const bob = await online(t, b, await register(b, "bob"));
  for (const { socket, welcome } of [alice, bob]) await socket.ask("channel-leave", { channel: welcome.channels[0].id });
  await alice.socket.next((message) => message.full && message.devices.length === 0, "alice sees nobody");
  const hears = async (state) => {
    await alice.socket.next(presenceOf(bob.device.id, state), `bob is ${state} for alice`);
    await bob.socket.next(presenceOf(alice.device.id, state), `alice is ${state} for bob`);
  };
  for (const { socket } of [alice, bob]) socket.seen.length = 0;
  await alice.socket.ask("session", { account: "bob", open: true });
  await bob.socket.ask("session", { account: "alice", open: true });
  await hears("online");
  await bob.socket.ask("session", { account: "alice", open: false });
  await hears("offline");
  await alice.socket.ask("friend-ask", { account: "bob" });
  await bob.socket.next((message) => message.type === "friend" && message.state === "asking", "the request");
  await bob.socket.ask("friend-accept", { account: "alice" });
  await hears("online");
  alice.socket.seen.length = 0;
  await alice.socket.ask("block", { account: "bob" });
  await bob.socket.next(presenceOf(alice.device.id, "offline"), "alice is gone for bob");
  await alice.socket.next((message) => message.full && message.devices.length === 0, "alice sees nobody any more");
  assert.equal((await bob.socket.ask("relay-open", { to: alice.device.id })).code, 404);
});

test("one that starts later, and one that ends, are seen by all; three agree", async (t) => {
  const trackers = await cluster(t, 2);
  const alice = await online(t, trackers[0], await register(trackers[0], "alice"));
  trackers.push(await startTracker(t, { subcommand: "tracker", folder: trackers.folder }));
  const cookie = await register(trackers[2], "carol");
  const carol = await online(t, trackers[2], cookie);
  assert.deepEqual(carol.presence.devices.map((row) => row.account), ["alice"]);
  await alice.socket.next(presenceOf(carol.device.id, "online"), "carol comes");
  assert.deepEqual(await trackers[2].end("SIGTERM"), { code: 0, signal: null });
  await alice.socket.next(presenceOf(carol.device.id, "offline"), "carol's tracker ends");
  const again = await online(t, trackers[1], cookie, { device: carol.device });
  assert.deepEqual(again.presence.devices.map((row) => row.account), ["alice"]);
  await alice.socket.next(presenceOf(carol.device.id, "online"), "carol is back elsewhere");
  await until("only the sockets of two are left", () => readdirSync(join(trackers.folder, "data/bus")).length === 2);
});

// --- signals and relays ---

test("signals cross: candidates wait for their description, whoever is nowhere is refused", async (t) => {
  const [a, b] = await cluster(t);
  const alice = await online(t, a, await register(a, "alice"));
  const bob = await online(t, b, await register(b, "bob"));
  await sees(alice, bob);
  const send = (fields) => alice.socket.ask("signal", { to: bob.device.id, attempt: "1", ...fields });
  for (const fields of [{ candidate: { candidate: "early" } }, { description: { type: "offer", sdp: "v=0" } }, { candidate: null }])
    assert.equal((await send(fields)).status, "success");
  const got = [];
  for (let i = 0; i < 3; i++) got.push(await bob.socket.next("signal"));
  const from = alice.device.id;
  assert.deepEqual(got, [
    { type: "signal", from, attempt: "1", description: { type: "offer", sdp: "v=0" } },
    { type: "signal", from, attempt: "1", candidate: { candidate: "early" } },
    { type: "signal", from, attempt: "1", candidate: null },
  ]);
  assert.match((await alice.socket.ask("signal", { to: newDevice().id, attempt: "1", description: {} })).message, /not online/);
});

const relayIs = (relay) => (message) => message.type === "bytes" && message.data.readUInt32BE(0) === relay;

async function openRelay(from, to) {
  const answer = await from.socket.ask("relay-open", { to: to.device.id });
  assert.equal(answer.status, "success", answer.message);
  const told = await to.socket.next("relay-open");
  assert.equal(told.from, from.device.id);
  return [answer.relay, told.relay];
}

test("a relay crosses: bytes both ways, closed by either side, and by the end of a tracker", async (t) => {
  const [a, b] = await cluster(t);
  const alice = await online(t, a, await register(a, "alice"));
  const bob = await online(t, b, await register(b, "bob"));
  await sees(alice, bob);
  let [here, there] = await openRelay(alice, bob);
  alice.socket.sendBytes(here, Buffer.from("to bob"));
  assert.equal((await bob.socket.next(relayIs(there), "bytes for bob")).data.subarray(4).toString(), "to bob");
  for (const text of ["one", "two", "three"]) bob.socket.sendBytes(there, Buffer.from(text));
  for (const text of ["one", "two", "three"])
    assert.equal((await alice.socket.next(relayIs(here), "bytes for alice")).data.subarray(4).toString(), text);
  bob.socket.send({ type: "relay-close", relay: there, message: "enough" });
  assert.deepEqual(await alice.socket.next("relay-close"), { type: "relay-close", relay: here, message: "enough" });

  [here, there] = await openRelay(bob, alice);
  alice.socket.ws.terminate();
  const closed = await bob.socket.next("relay-close");
  assert.deepEqual([closed.relay, closed.message], [here, "That device has gone offline."]);
  await bob.socket.next(presenceOf(alice.device.id, "offline"), "alice goes");
  assert.match((await bob.socket.ask("relay-open", { to: alice.device.id })).message, /not online/);

  const carol = await online(t, a, await register(a, "carol"));
  await sees(bob, carol);
  for (let i = 0; i < 8; i++) [here, there] = await openRelay(carol, bob);
  assert.match((await carol.socket.ask("relay-open", { to: bob.device.id })).message, /Too many relays/);
  assert.match((await bob.socket.ask("relay-open", { to: carol.device.id })).message, /Too many relays/);
  await b.end("SIGKILL");
  for (let i = 0; i < 8; i++) await carol.socket.next("relay-close");
  assert.match((await carol.socket.ask("relay-open", { to: bob.device.id })).message, /not online/);
});

const residentBytes = (tracker) => 1024 * Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${tracker.child.pid}/status`, "utf8"))[1]);

test("a receiver that reads nothing holds back its sender at the other tracker, and nobody else; then all comes, in order", async (t) => {
  const [a, b] = await cluster(t, 2, { args: ["--relay-rate", String(1 << 30)] });
  const alice = await online(t, a, await register(a, "alice"));
  const bob = await online(t, b, await register(b, "bob"));
  const carol = await online(t, a, await register(a, "carol"));
  await sees(alice, bob);
  const [here, there] = await openRelay(alice, bob);
  const [beside, besideThere] = await openRelay(carol, bob);
  const COUNT = 400;
  const piece = Buffer.alloc(60_000);
  const before = [residentBytes(a), residentBytes(b)];
  bob.socket.ws.pause();
  for (let i = 0; i < COUNT; i++) {
    piece.writeUInt32BE(i);
    alice.socket.sendBytes(here, Buffer.from(piece));
  }
  let waiting = Infinity;
  await until("alice's bytes go no further", async () => {
    const now = alice.socket.ws.bufferedAmount;
    await sleep(300);
    const still = now > 0 && now === alice.socket.ws.bufferedAmount && now === waiting;
    waiting = now;
    return still;
  });
  assert.ok(waiting > 10_000_000, `${waiting} of ${COUNT * 60_000} bytes wait at alice`);
  const grown = [residentBytes(a) - before[0], residentBytes(b) - before[1]];
  assert.ok(Math.max(...grown) < 16_000_000, `the trackers hold ${grown} bytes more`);
  assert.equal((await carol.socket.ask("ping")).status, "success");
  const dave = await online(t, b, await register(b, "dave"));
  await sees(carol, dave);
  const [quick, quickThere] = await openRelay(carol, dave);
  carol.socket.sendBytes(quick, Buffer.from("not held back"));
  await dave.socket.next(relayIs(quickThere), "bytes for dave");

  bob.socket.ws.resume();
  for (let i = 0; i < COUNT; i++) {
    const { data } = await bob.socket.next(relayIs(there), `piece ${i}`);
    assert.deepEqual([data.length, data.readUInt32BE(4)], [60_004, i]);
  }
  carol.socket.sendBytes(beside, Buffer.from("after"));
  await bob.socket.next(relayIs(besideThere), "bytes beside");
  t.diagnostic(`${waiting} bytes waited at the sender; the trackers grew by ${grown}`);
});

// --- the replica ---

const words = ({ count, p50_ms, p99_ms, max_ms }) => `${count} messages, p50 ${p50_ms.toFixed(1)} ms, p99 ${p99_ms.toFixed(1)} ms, max ${max_ms.toFixed(1)} ms`;

test("what is written at one tracker is read at the other as soon as at the same one", async (t) => {
  const [a, b] = await cluster(t);
  const crowd = await startCrowd(t, [a.port, b.port], { accounts: 2, devices: 6, pauseMs: 300 });
  await crowd.tell("report"); // what came while they joined does not count
  await sleep(4000);
  const { across, beside } = await crowd.tell("report");
  t.diagnostic(`across: ${words(across)}; beside: ${words(beside)}`);
  assert.ok(across.count > 50 && beside.count > 50);
  // 100 ms at most on a machine that is not busy with something else.
  assert.ok(across.p50_ms < beside.p50_ms + 100 && across.p50_ms < 1000, words(across));
});

test("when the process with the replica is killed the other takes over within 3 s, and nothing is lost", async (t) => {
  const [a, b] = await cluster(t);
  const crowd = await startCrowd(t, [a.port, b.port], { accounts: 2, devices: 20, pauseMs: 400 });
  const database = join(a.folder, "data/weaprous.db");
  await sleep(1000);
  const killed = Date.now();
  await a.end("SIGKILL");
  await until("the other one has the replica", () => b.err.includes("has the replica now"), 3000);
  t.diagnostic(`the replica was taken over after ${Date.now() - killed} ms`);
  checkAcknowledged(await crowd.tell("report"), database);
  const after = await crowd.tell("wait");
  t.diagnostic(`all are there and acknowledged after ${Date.now() - killed} ms`);
  assert.ok(after.settled);
  assert.ok(after.devices.every((device) => device.port === b.port));
  checkRead(await crowd.tell("read"));
  checkIntegrity(database);
});

test("when the process with the replica is ended it hands over, and comes back as one of the others", async (t) => {
  const [a, b] = await cluster(t);
  const crowd = await startCrowd(t, [a.port, b.port], { accounts: 2, devices: 10, pauseMs: 300 });
  const ended = Date.now();
  assert.deepEqual(await a.end("SIGTERM"), { code: 0, signal: null });
  await until("the other one has the replica", () => b.err.includes("has the replica now"), 3000);
  t.diagnostic(`handed over after ${Date.now() - ended} ms`);
  assert.match(b.err, /INFO a process that shares the data is gone \(\d+\): it was ended/);
  const again = await startTracker(t, { subcommand: "tracker", folder: a.folder, args: ["--verbose", "--server-port", String(a.port)] });
  assert.ok((await crowd.tell("wait")).settled);
  await crowd.tell(`ports ${a.port}`);
  await b.end("SIGTERM");
  await until("the first one has it again", () => again.err.includes("has the replica now"), 3000);
  checkRead(await crowd.tell("read"));
});

test("when the process without the replica is killed, who was there goes on at the other one", async (t) => {
  const [a, b] = await cluster(t);
  const crowd = await startCrowd(t, [a.port, b.port], { accounts: 2, devices: 10, pauseMs: 300 });
  await b.end("SIGKILL");
  await until("all have come over", async () => {
    const { settled, devices } = await crowd.tell("wait");
    return settled && devices.every((device) => device.port === a.port);
  });
  assert.doesNotMatch(a.err, /has the replica now/, "it had it all the time");
  checkRead(await crowd.tell("read"));
});

// --- the folder ---

test("the bus is for its owner only; sockets of processes that died are no obstacle and go away", async (t) => {
  const trackers = await cluster(t);
  const bus = join(trackers.folder, "data/bus");
  const mode = (path) => statSync(path).mode & 0o777;
  assert.equal(mode(bus), 0o700);
  assert.deepEqual(readdirSync(bus).map((name) => mode(join(bus, name))), [0o600, 0o600]);
  for (const tracker of trackers) await tracker.end("SIGKILL");
  assert.equal(readdirSync(bus).length, 2, "nobody could remove them");
  writeFileSync(join(bus, "no socket"), "");
  chmodSync(bus, 0o755);
  const next = await startTracker(t, { subcommand: "tracker", folder: trackers.folder });
  assert.equal((await ask(next, "GET", "/healthz")).status, 200);
  assert.equal(mode(bus), 0o700, "made right again");
  await until("the sockets of the dead are gone", () => readdirSync(bus).filter((name) => /^[0-9a-f]{16}$/.test(name)).length === 1);
});

const FRAME = { hello: 2, refused: 4 };
const MARK = "weaprous.bus.1";
function frame(kind, ...parts) {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part)));
  const head = Buffer.alloc(5);
  head.writeUInt32BE(body.length);
  head[4] = kind;
  return Buffer.concat([head, body]);
}

test("a process of another version is refused in words, whoever was first", async (t) => {
  const [a] = await cluster(t, 1);
  const bus = join(a.folder, "data/bus");
  const [name] = readdirSync(bus);
  const socket = createConnection(join(bus, name));
  const ids = Buffer.alloc(16, 7);
  socket.write(frame(FRAME.hello, MARK, ids, "9.9.9"));
  const answer = await within(new Promise((resolve) => socket.once("data", resolve)), "the refusal");
  assert.equal(answer[4], FRAME.refused);
  const version = /\d+\.\d+\.\d+/.exec((await run(["version"])).out)[0];
  assert.match(answer.toString(), new RegExp(`is weaprous 9\\.9\\.9 .* is weaprous ${version.replaceAll(".", "\\.")}: .*same version`));
  await until("it is logged", () => a.err.includes("9.9.9"));
  socket.destroy();

  const folder = newFolder();
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, "data/bus"), { recursive: true, mode: 0o700 });
  const other = createServer((peer) => peer.once("data", () => peer.write(frame(FRAME.refused, [2], "Process 1 is weaprous 9.9.9."))));
  await new Promise((resolve) => other.listen(join(folder, "data/bus/0123456789abcdef"), resolve));
  t.after(() => other.close());
  const refused = await run(["tracker", "--server-port", "0", "--data", join(folder, "data")]);
  assert.deepEqual([refused.code, refused.out, refused.err], [1, "", "Process 1 is weaprous 9.9.9.\n"]);
  assert.ok(!readdirSync(join(folder, "data")).some((name) => name.endsWith(".db")), "the database was not touched");
});

test("nonsense on the bus ends that connection and nothing else", async (t) => {
  const [a, b] = await cluster(t);
  const bus = join(a.folder, "data/bus");
  const hello = frame(FRAME.hello, MARK, Buffer.from("0123456789abcdef"), /\d+\.\d+\.\d+/.exec((await run(["version"])).out)[0]);
  const nonsense = [Buffer.from("GET / HTTP/1.1\r\n\r\n"), frame(FRAME.hello, "short"), frame(1, "before the hello"), frame(9, "no kind"),
    Buffer.concat([hello, Buffer.from([255, 255, 255, 255, 1])])];
  for (const name of readdirSync(bus)) {
    for (const bytes of nonsense) {
      const socket = createConnection(join(bus, name));
      socket.on("error", () => {});
      socket.resume();
      socket.write(bytes);
      await within(new Promise((resolve) => socket.once("close", resolve)), `the end after ${bytes.toString("hex")}`);
    }
    // Well-formed frames of every kind of message with nothing sensible in them.
    const socket = createConnection(join(bus, name));
    socket.on("error", () => {});
    socket.write(hello);
    for (let kind = 0; kind < 256; kind++) for (const len of [0, 3, 7, 40]) socket.write(frame(1, [kind], Buffer.alloc(len, kind * 37 + len)));
    await sleep(200);
    socket.destroy();
  }
  const alice = await online(t, a, await register(a, "alice"));
  const bob = await online(t, b, await register(b, "bob"));
  await alice.socket.next(presenceOf(bob.device.id, "online"), "the two still know each other");
});

test("trackers share a folder; whoever must be alone is refused, and refuses, in words", async (t) => {
  const [a] = await cluster(t, 1);
  const data = join(a.folder, "data");
  const up = await run(["up", "--server-port", "0", "--data", data]);
  assert.equal(up.code, 1);
  assert.match(up.err, /^Another weaprous \(process \d+\) is using the data folder .*\n$/);
  await a.end("SIGTERM");
  const alone = await startTracker(t, { folder: a.folder });
  const shared = await run(["tracker", "--server-port", "0", "--data", data]);
  assert.deepEqual([shared.code, shared.err], [1, up.err.replace(/\d+/, alone.child.pid)]);
});

test("the port has two names and a default, and --help tells", async () => {
  const help = await run(["tracker", "--help"]);
  assert.equal(help.code, 0);
  for (const words of ["--server-ip", "--server-port", "--tracker-port", "--host", "--data", "9000", "127.0.0.1"]) assert.ok(help.out.includes(words), words);
  const wrong = await run(["tracker", "--tracker-port", "99999"]);
  assert.equal(wrong.code, 2);
});

// --- everything else ---

for (const name of ["channels", "classic", "people"])
  test(`what ${name}.test.mjs asks of a tracker holds at one that has another beside it, with the replica`, async () => {
    const { NODE_TEST_CONTEXT, ...env } = process.env; // else it would report to this process
    const file = fileURLToPath(new URL(`${name}.test.mjs`, import.meta.url));
    const args = ["--require", fileURLToPath(new URL("../webcrypto.cjs", import.meta.url)), "--test", "--test-reporter=tap", file];
    const child = spawn(process.execPath, args, { env: { ...env, WEAPROUS_BESIDE: "1" }, stdio: ["ignore", "pipe", "inherit"] });
    let out = "";
    child.stdout.on("data", (bytes) => (out += bytes));
    const code = await within(new Promise((resolve) => child.once("close", resolve)), file, 120_000);
    assert.equal(code, 0, out.split("\n").filter((line) => /^not ok|error/.test(line)).join("\n"));
    assert.match(out, /^# pass [1-9]/m);
  });
