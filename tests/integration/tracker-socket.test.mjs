// docs/protocol/tracker-socket.md against the real program: greeting, presence, introductions, the relay, bad input.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { decode } from "cborg";
import { PATIENCE_MS, Socket, ask, newDevice, online, post, proofOf, register, signatureIsGood, startTracker, within } from "./tracker-kit.mjs";

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const relayIs = (relay) => (message) => message.type === "bytes" && message.data.readUInt32BE(0) === relay;

/** A tracker with some people online. */
async function people(t, names, options) {
  const tracker = await startTracker(t, options);
  const found = { tracker };
  for (const name of names) found[name] = await online(t, tracker, await register(tracker, name), { label: `${name}'s browser` });
  return found;
}

async function openRelay(from, to) {
  const { relay } = await from.socket.ask("relay-open", { to: to.device.id });
  const told = await to.socket.next("relay-open");
  assert.deepEqual(told, { type: "relay-open", from: from.device.id, relay });
  return relay;
}

// --- the way in ---

test("without a session 401, from another site 403, as a plain request the same and else 426", async (t) => {
  const tracker = await startTracker(t);
  const cookie = await register(tracker, "alice");
  assert.deepEqual(await new Socket(tracker).end(), { status: 401 });
  assert.deepEqual(await new Socket(tracker, { cookie: `session=${"a".repeat(64)}` }).end(), { status: 401 });
  for (const origin of ["http://evil.example", "null", `http://127.0.0.1:${tracker.port + 1}`, "http://127.0.0.1"])
    assert.deepEqual(await new Socket(tracker, { cookie, origin }).end(), { status: 403 }, origin);
  const own = new Socket(tracker, { cookie, origin: tracker.url });
  await own.next("welcome");
  await own.close();
  assert.equal((await ask(tracker, "GET", "/ws")).status, 401);
  assert.equal((await ask(tracker, "GET", "/ws", { headers: { Cookie: cookie } })).status, 426);
  assert.equal((await ask(tracker, "GET", "/ws", { headers: { Cookie: cookie, Origin: "http://evil.example" } })).status, 403);
});

test("the welcome names the tracker and its channel; the certificate is signed by it and can be checked by anyone", async (t) => {
  const { tracker, alice } = await people(t, ["alice"]);
  const { welcome, hello, device } = alice;
  assert.match(welcome.tracker, /^[0-9a-f]{64}$/);
  assert.match(welcome.nonce, /^[0-9a-f]{64}$/);
  assert.equal(welcome.account, "alice");
  assert.ok(Math.abs(welcome.time_ms - Date.now()) < 5000);
  assert.equal(welcome.channels.length, 1);
  assert.equal(welcome.channels[0].name, "general");
  assert.match(welcome.channels[0].id, /^[0-9a-f]{64}$/);

  const [fields, signature] = decode(Buffer.from(hello.certificate, "hex"));
  assert.ok(signatureIsGood(welcome.tracker, "weaprous.certificate.1", fields, signature));
  const [version, account, certified, authority, issued, expires] = decode(fields);
  assert.equal(version, 1);
  assert.equal(Buffer.from(account).toString(), "alice");
  assert.equal(Buffer.from(certified).toString("hex"), device.id);
  assert.equal(Buffer.from(authority).toString("hex"), welcome.tracker);
  assert.ok(Math.abs(Number(issued) - Date.now() / 1000) < 60);
  assert.ok(Math.abs(Number(expires) - Number(issued) - hello.expires_s) < 60);

  const cookie = (await post(tracker, "/login", { username: "alice", password: "correct horse battery" })).headers["set-cookie"][0].split(";")[0];
  const again = await online(t, tracker, cookie, { device });
  assert.notEqual(again.welcome.nonce, welcome.nonce, "a nonce is used once");
  assert.equal(again.hello.certificate, hello.certificate, "a certificate that is good for long stays");
});

test("a false proof is refused, and so is the device of another account; the right one still gets in", async (t) => {
  const { tracker, alice } = await people(t, ["alice"]);
  const socket = new Socket(tracker, { cookie: await register(tracker, "mallory") });
  t.after(() => socket.ws.terminate());
  const welcome = await socket.next("welcome");
  const device = newDevice();
  const good = proofOf(device, welcome);
  const bad = {
    "another device's signature": { device: device.id, proof: proofOf(newDevice(), welcome) },
    "another device's id": { device: alice.device.id, proof: good },
    "another nonce": { device: device.id, proof: proofOf(device, { ...welcome, nonce: alice.welcome.nonce }) },
    "another tracker": { device: device.id, proof: proofOf(device, { ...welcome, tracker: alice.device.id }) },
    "another account": { device: device.id, proof: proofOf(device, { ...welcome, account: "alice" }) },
    "one bit changed": { device: device.id, proof: (good[0] === "0" ? "1" : "0") + good.slice(1) },
    "too short": { device: device.id, proof: good.slice(2) },
    "not hexadecimal": { device: "z".repeat(64), proof: good },
    "no proof": { device: device.id },
    "no device": { proof: good },
    "numbers": { device: 5, proof: 6 },
  };
  for (const [what, fields] of Object.entries(bad)) {
    const answer = await socket.ask("hello", fields);
    assert.equal(answer.status, "error", what);
    assert.ok(answer.message.length > 10, what);
  }
  const stolen = await socket.ask("hello", { device: alice.device.id, proof: proofOf(alice.device, welcome) });
  assert.equal(stolen.status, "error");
  assert.match(stolen.message, /another account/);
  assert.equal((await socket.ask("hello", { device: device.id, proof: good })).status, "success");
  assert.equal((await socket.ask("hello", { device: device.id, proof: good })).status, "error", "hello is said once");
});

test("before hello only ping is answered", async (t) => {
  const { tracker, alice } = await people(t, ["alice"]);
  const cookie = await register(tracker, "bob");
  const socket = new Socket(tracker, { cookie });
  t.after(() => socket.ws.terminate());
  await socket.next("welcome");
  assert.equal((await socket.ask("ping")).status, "success");
  for (const type of ["signal", "relay-open"]) {
    const answer = await socket.ask(type, { to: alice.device.id, attempt: "1", description: {} });
    assert.equal(answer.status, "error", type);
    assert.match(answer.message, /hello/);
  }
  socket.sendBytes(0, Buffer.from("wprs\x01"));
  assert.equal((await socket.end()).code, 1008);
  assert.equal(alice.socket.seen.length, 0, "nothing reached anybody");
});

// --- presence ---

test("who comes and goes is told to the others, with name and label", async (t) => {
  const { tracker, alice } = await people(t, ["alice"]);
  assert.deepEqual(alice.presence.devices, []);
  const bob = await online(t, tracker, await register(tracker, "bob"), { label: "Bob\u202e's\u0007 phone" });
  assert.equal(bob.presence.devices.length, 1);
  const { device, account, label, status, seen_ms } = bob.presence.devices[0];
  assert.deepEqual({ device, account, label, status }, { device: alice.device.id, account: "alice", label: "alice's browser", status: "online" });
  assert.ok(Math.abs(seen_ms - Date.now()) < 5000);

  const came = await alice.socket.next("presence");
  assert.equal(came.full, false);
  assert.equal(came.devices.length, 1);
  assert.equal(came.devices[0].device, bob.device.id);
  assert.equal(came.devices[0].status, "online");
  assert.equal(came.devices[0].label, "Bob's phone", "without what could mislead");
  bob.socket.ws.terminate();
  const went = await alice.socket.next("presence");
  assert.equal(went.devices[0].device, bob.device.id);
  assert.equal(went.devices[0].status, "offline");
});

test("two hundred devices see each other whole, in frames of at most 64 KiB", async (t) => {
  const tracker = await startTracker(t);
  const cookie = await register(tracker, "crowd");
  const label = "é".repeat(80);
  const devices = [];
  for (let i = 0; i < 200; i++) devices.push(await online(t, tracker, cookie, { label }));
  const last = new Socket(tracker, { cookie });
  t.after(() => last.ws.terminate());
  const sizes = [];
  last.ws.on("message", (data) => sizes.push(data.length));
  const device = newDevice();
  await last.ask("hello", { device: device.id, proof: proofOf(device, await last.next("welcome")) });
  const seen = new Set();
  for (let first = true; seen.size < 200; first = false) {
    const part = await last.next("presence");
    assert.equal(part.full, first);
    for (const other of part.devices) seen.add(other.device);
  }
  assert.deepEqual([...seen].sort(), devices.map((other) => other.device.id).sort());
  assert.ok(Math.max(...sizes) <= 65536);
});

test("a device that connects again replaces its older socket, and nobody sees it go offline", async (t) => {
  const { tracker, alice, bob } = await people(t, ["alice", "bob"]);
  const relay = await openRelay(alice, bob);
  const cookie = (await post(tracker, "/login", { username: "bob", password: "correct horse battery" })).headers["set-cookie"][0].split(";")[0];
  const again = await online(t, tracker, cookie, { device: bob.device });
  const goodbye = await bob.socket.next("goodbye");
  assert.equal(goodbye.reason, "replaced");
  assert.equal((await bob.socket.end()).code, 1000);
  assert.equal((await alice.socket.next("relay-close")).relay, relay, "relays of the older socket have ended");
  await openRelay(alice, again);
  const told = alice.socket.seen.filter((message) => message.type === "presence").flatMap((message) => message.devices);
  assert.ok(told.every((device) => device.status === "online"), JSON.stringify(told));
});

test("logging out ends the sockets of that session and of no other", async (t) => {
  const tracker = await startTracker(t);
  const cookie = await register(tracker, "alice");
  const other = (await post(tracker, "/login", { username: "alice", password: "correct horse battery" })).headers["set-cookie"][0].split(";")[0];
  const [first, second, third] = [await online(t, tracker, cookie), await online(t, tracker, cookie), await online(t, tracker, other)];
  assert.equal((await post(tracker, "/logout", {}, { headers: { Cookie: cookie } })).status, 200);
  for (const { socket } of [first, second]) {
    assert.equal((await socket.next("goodbye")).reason, "logged-out");
    await socket.end();
  }
  assert.equal((await third.socket.ask("ping")).status, "success");
  assert.deepEqual(await new Socket(tracker, { cookie }).end(), { status: 401 });
});

// --- signalling ---

test("candidates wait for the description of their attempt, and then come in order", async (t) => {
  const { alice, bob } = await people(t, ["alice", "bob"]);
  const to = bob.device.id;
  const send = (fields) => alice.socket.ask("signal", { to, ...fields });
  for (const [attempt, n] of [["a", 1], ["a", 2], ["b", 9]])
    assert.equal((await send({ attempt, candidate: { candidate: `c${n}` } })).status, "success");
  await bob.socket.ask("ping");
  assert.equal(bob.socket.seen.filter((message) => message.type === "signal").length, 0, "held back");
  await send({ attempt: "a", description: { type: "offer", sdp: "v=0" } });
  await send({ attempt: "a", candidate: { candidate: "c3" } });
  await send({ attempt: "a", candidate: null });
  const got = [];
  for (let i = 0; i < 5; i++) got.push(await bob.socket.next("signal"));
  const from = alice.device.id;
  assert.deepEqual(got, [
    { type: "signal", from, attempt: "a", description: { type: "offer", sdp: "v=0" } },
    { type: "signal", from, attempt: "a", candidate: { candidate: "c1" } },
    { type: "signal", from, attempt: "a", candidate: { candidate: "c2" } },
    { type: "signal", from, attempt: "a", candidate: { candidate: "c3" } },
    { type: "signal", from, attempt: "a", candidate: null },
  ]);
  await bob.socket.ask("ping");
  assert.equal(bob.socket.seen.filter((message) => message.type === "signal").length, 0, "attempt b still waits");
});

test("signals are refused in words when nobody can get them, and held ones are bounded", async (t) => {
  const { alice, bob } = await people(t, ["alice", "bob"]);
  const refused = async (fields, words) => {
    const answer = await alice.socket.ask("signal", fields);
    assert.equal(answer.status, "error", JSON.stringify(fields));
    assert.match(answer.message, words);
  };
  const to = bob.device.id;
  await refused({ to: newDevice().id, attempt: "1", description: {} }, /not online/);
  await refused({ to: alice.device.id, attempt: "1", description: {} }, /own device/);
  await refused({ to: "xyz", attempt: "1", description: {} }, /64 hexadecimal/);
  await refused({ attempt: "1", description: {} }, /64 hexadecimal/);
  await refused({ to, attempt: "x".repeat(33), description: {} }, /1 to 32/);
  await refused({ to, attempt: "", description: {} }, /1 to 32/);
  await refused({ to, attempt: 1, description: {} }, /1 to 32/);
  await refused({ to, attempt: "1" }, /either/);
  await refused({ to, attempt: "1", description: {}, candidate: {} }, /either/);
  await refused({ to, attempt: "1", description: "text" }, /either/);
  await refused({ to, attempt: "1", description: null }, /either/);
  const candidate = { candidate: "x".repeat(1000) };
  for (let i = 0; i < 64; i++) assert.equal((await alice.socket.ask("signal", { to, attempt: "many", candidate })).status, "success");
  await refused({ to, attempt: "many", candidate }, /too many/i);
  const big = { candidate: "x".repeat(40_000) };
  for (let i = 0; i < 1; i++) assert.equal((await alice.socket.ask("signal", { to, attempt: `big${i}`, candidate: big })).status, "success");
  await refused({ to, attempt: "bigger", candidate: big }, /too many/i);
  assert.equal(bob.socket.seen.filter((message) => message.type === "signal").length, 0);
});

// --- the relay ---

test("relay bytes go both ways, whole and in order, and only between the two", async (t) => {
  const { alice, bob, carol } = await people(t, ["alice", "bob", "carol"]);
  const relay = await openRelay(alice, bob);
  assert.ok(Number.isInteger(relay) && relay > 0 && relay < 2 ** 32);
  const parts = [Buffer.alloc(0), randomBytes(1), randomBytes(1000), randomBytes(65536), randomBytes(7)];
  for (const [from, to] of [[alice, bob], [bob, alice]]) {
    for (const part of parts) from.socket.sendBytes(relay, part);
    for (const part of parts) {
      const { data } = await to.socket.next(relayIs(relay), "relay bytes");
      assert.ok(data.subarray(4).equals(part), `${part.length} bytes`);
    }
  }
  carol.socket.sendBytes(relay, Buffer.from("not mine"));
  await carol.socket.ask("ping");
  await bob.socket.ask("ping");
  for (const { socket } of [alice, bob]) assert.ok(!socket.seen.some((message) => message.type === "bytes"));

  bob.socket.send({ type: "relay-close", relay, message: "enough" });
  assert.deepEqual(await alice.socket.next("relay-close"), { type: "relay-close", relay, message: "enough" });
  alice.socket.sendBytes(relay, Buffer.from("on its way when it closed"));
  alice.socket.send({ type: "relay-close", relay, message: "" });
  assert.equal((await alice.socket.ask("ping")).status, "success", "crossing closes are nothing bad");
  assert.ok(!bob.socket.seen.some((message) => message.type === "bytes"));
});

test("a relay to a device that is not online is refused; one whose other end goes away is closed", async (t) => {
  const { alice, bob } = await people(t, ["alice", "bob"]);
  const answer = await alice.socket.ask("relay-open", { to: newDevice().id });
  assert.equal(answer.status, "error");
  assert.match(answer.message, /not online/);
  const relays = [await openRelay(alice, bob), await openRelay(bob, alice), await openRelay(alice, bob)];
  assert.equal(new Set(relays).size, 3);
  bob.socket.ws.terminate();
  const closed = [];
  for (let i = 0; i < 3; i++) closed.push((await alice.socket.next("relay-close")).relay);
  assert.deepEqual(closed.sort(), relays.sort());
  assert.equal((await alice.socket.ask("relay-open", { to: bob.device.id })).status, "error");
});

const rssOf = (pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]) * 1024;

test("one device cannot take all relays of another", async (t) => {
  const { alice, bob, mallory } = await people(t, ["alice", "bob", "mallory"]);
  let opened = 0;
  for (let i = 0; i < 1100; i++) opened += (await mallory.socket.ask("relay-open", { to: bob.device.id })).status === "success";
  assert.ok(opened >= 2, `${opened} relays`);
  const answer = await alice.socket.ask("relay-open", { to: bob.device.id });
  assert.equal(answer.status, "success", answer.message);
  alice.socket.sendBytes(answer.relay, Buffer.from("hello"));
  await bob.socket.next(relayIs(answer.relay));
});

test("a receiver that does not read holds the sender back, costs no memory, and loses nothing", async (t) => {
  const { tracker, alice, bob, carol } = await people(t, ["alice", "bob", "carol"], { args: ["--relay-rate", "1000000000"] });
  const relay = await openRelay(alice, bob);
  const other = await openRelay(carol, alice);
  const before = rssOf(tracker.child.pid);
  bob.socket.ws.pause();
  const FRAMES = 1500;
  const frame = Buffer.alloc(60_000);
  for (let i = 0; i < FRAMES; i++) {
    frame.writeUInt32BE(i);
    alice.socket.sendBytes(relay, frame);
  }
  await sleep(700);
  assert.ok(alice.socket.ws.bufferedAmount > 40_000_000, `the sender still holds ${alice.socket.ws.bufferedAmount} bytes`);
  assert.ok(rssOf(tracker.child.pid) - before < 16_000_000, "the tracker holds little");
  carol.socket.sendBytes(other, Buffer.from("hello"));
  await alice.socket.next(relayIs(other), "others get through to the sender");
  bob.socket.ws.resume();
  for (let i = 0; i < FRAMES; i++) {
    const { data } = await bob.socket.next(relayIs(relay), `frame ${i}`);
    assert.equal(data.length, 60_004);
    assert.equal(data.readUInt32BE(4), i);
  }
  assert.equal((await alice.socket.ask("ping")).status, "success");
});

test("a slow receiver that leaves lets the sender go on", async (t) => {
  const { alice, bob } = await people(t, ["alice", "bob"], { args: ["--relay-rate", "1000000000"] });
  const relay = await openRelay(alice, bob);
  bob.socket.ws.pause();
  for (let i = 0; i < 400; i++) alice.socket.sendBytes(relay, Buffer.alloc(60_000));
  await sleep(300);
  assert.ok(alice.socket.ws.bufferedAmount > 1_000_000);
  bob.socket.ws.terminate();
  await alice.socket.next("relay-close");
  assert.equal((await alice.socket.ask("ping")).status, "success");
});

test("nobody is pushed out by what others do to it while it does not read", async (t) => {
  const { tracker, alice, bob } = await people(t, ["alice", "bob"], { args: ["--relay-rate", "1000000000"] });
  const relay = await openRelay(alice, bob);
  bob.socket.ws.pause();
  for (let i = 0; i < 400; i++) alice.socket.sendBytes(relay, Buffer.alloc(60_000)); // fills the kernel, and bob's queue
  await sleep(300);

  // Sixty more devices send one large frame each, over a relay of their own.
  const cookie = await register(tracker, "mallory");
  const crowd = await Promise.all(Array.from({ length: 60 }, () => online(t, tracker, cookie)));
  for (const { socket } of crowd) {
    const opened = await socket.ask("relay-open", { to: bob.device.id });
    if (opened.status === "success") socket.sendBytes(opened.relay, Buffer.alloc(65_000));
  }
  // And one opens relays and closes them with a long text, again and again.
  for (let i = 0; i < 2000; i++) {
    const opened = await crowd[0].socket.ask("relay-open", { to: bob.device.id });
    if (opened.status !== "success") break;
    crowd[0].socket.send({ type: "relay-close", relay: opened.relay, message: "x".repeat(500) });
  }

  let ended;
  void bob.socket.closed.then((end) => (ended = end));
  bob.socket.ws.resume();
  assert.equal((await bob.socket.ask("ping")).status, "success", JSON.stringify(ended));
});

test("who does not take its answers is asked no more questions, and gets them all when it reads", async (t) => {
  const { alice } = await people(t, ["alice"]);
  const { ws } = alice.socket;
  const PINGS = 400_000;
  let answers = 0;
  ws.removeAllListeners("message");
  ws.on("message", () => answers++);
  ws.pause();
  for (let id = 1; id <= PINGS; id++) ws.send(`{"type":"ping","id":${id}}`);
  for (let held = 0, now = 1; now > 0 && held !== now; await sleep(500)) [held, now] = [now, ws.bufferedAmount];
  assert.ok(ws.bufferedAmount > 1_000_000, `the sender still holds ${ws.bufferedAmount} bytes`);
  ws.resume();
  for (let waited = 0; answers < PINGS && waited < PATIENCE_MS && ws.readyState === ws.OPEN; waited += 50) await sleep(50);
  assert.equal(answers, PINGS);
});

test("an account that has used up its relay quota is slowed to its rate, without loss; others are not", async (t) => {
  const { alice, bob, carol } = await people(t, ["alice", "bob", "carol"], { args: ["--relay-rate", "200000"] });
  const relay = await openRelay(alice, bob);
  const began = Date.now();
  for (let i = 0; i < 28; i++) alice.socket.sendBytes(relay, Buffer.alloc(50_000, i)); // 800 KB at once, 600 KB at the rate
  const relayOfCarol = await openRelay(carol, bob);
  carol.socket.sendBytes(relayOfCarol, Buffer.from("hello"));
  await bob.socket.next(relayIs(relayOfCarol), "carol's bytes");
  const carolTook = Date.now() - began;
  for (let i = 0; i < 28; i++) assert.equal((await bob.socket.next(relayIs(relay), `frame ${i}`)).data[4], i);
  const took = Date.now() - began;
  assert.ok(carolTook < 1000, `carol waited ${carolTook} ms`);
  assert.ok(took > 2000 && took < 8000, `${took} ms`);
});

test("what goes to the replica counts for the quota too", async (t) => {
  const { alice, bob } = await people(t, ["alice", "bob"], { args: ["--relay-rate", "200000"] });
  const began = Date.now();
  for (let i = 0; i < 28; i++) alice.socket.sendBytes(0, Buffer.alloc(50_000));
  assert.equal((await bob.socket.ask("ping")).status, "success");
  const bobTook = Date.now() - began;
  assert.equal((await alice.socket.ask("ping")).status, "success");
  const took = Date.now() - began;
  assert.ok(bobTook < 1000, `bob waited ${bobTook} ms`);
  assert.ok(took > 2000 && took < 8000, `${took} ms`);
});

// --- the replica ---

test("relay 0 is the replica: what is no link is closed with a reason, and a new one can begin", async (t) => {
  const { alice } = await people(t, ["alice"]);
  const { socket } = alice;
  const frame = (len) => Buffer.concat([Buffer.from([len >> 8, len & 255]), randomBytes(len)]);
  for (let round = 0; round < 3; round++) {
    socket.sendBytes(0, Buffer.from("wprs\x01"));
    const { data } = await socket.next(relayIs(0), "the replica's first bytes");
    assert.equal(data.subarray(4, 9).toString("latin1"), "wprs\x01");
    /* Any 32 bytes are a good first message of the handshake; no random ones are a good third. */
    socket.sendBytes(0, frame(32));
    await socket.next(relayIs(0), "the second message of the handshake");
    socket.sendBytes(0, frame(200));
    const closed = await socket.next("relay-close");
    assert.equal(closed.relay, 0);
    assert.ok(closed.message.length > 5, closed.message);
    socket.sendBytes(0, randomBytes(500)); // was on its way
  }
  socket.sendBytes(0, Buffer.from("wprs\x01"));
  await socket.next(relayIs(0), "the replica's first bytes");
  socket.send({ type: "relay-close", relay: 0, message: "" });
  assert.equal((await socket.ask("ping")).status, "success");
  socket.sendBytes(0, Buffer.from("wprs\x07"));
  const closed = await socket.next("relay-close");
  assert.match(closed.message, /version/);
});

// --- bad input ---

test("what breaks the form ends the socket with 1008 and a reason, and the service goes on", async (t) => {
  const { tracker, alice } = await people(t, ["alice"]);
  const cookie = await register(tracker, "mallory");
  const bad = {
    "no JSON": "{", "no object": "[]", "a number": "5", "no type": "{}", "type is no text": '{"type":1,"id":1}',
    "no id": '{"type":"ping"}', "id 0": '{"type":"ping","id":0}', "negative id": '{"type":"ping","id":-1}',
    "id is text": '{"type":"ping","id":"1"}', "fraction": '{"type":"ping","id":1.5}', "unknown without id": '{"type":"x"}',
    "key twice": '{"type":"ping","id":1,"id":2}', "NUL": '{"type":"ping\\u0000","id":1}', "two values": '{"type":"ping","id":1}{}',
    "deep": "[".repeat(30_000), "close without number": '{"type":"relay-close"}', "close of text": '{"type":"relay-close","relay":"1"}',
    "close of negative": '{"type":"relay-close","relay":-1}', "close of too large": '{"type":"relay-close","relay":4294967296}',
    "short binary": Buffer.from([0, 0, 1]), "empty binary": Buffer.alloc(0),
    "text over 64 KiB": `{"type":"ping","id":1,"x":"${"x".repeat(65537 - 29)}"}`,
  };
  for (const [what, frame] of Object.entries(bad)) {
    const { socket } = await online(t, tracker, cookie);
    socket.ws.send(frame);
    const { code, reason } = await socket.end();
    assert.equal(code, 1008, `${what}: ${code} ${reason}`);
    assert.ok(reason.length > 10, what);
  }
  for (const frame of ["x".repeat(70_000), Buffer.alloc(65_541)]) {
    const { socket } = await online(t, tracker, cookie);
    socket.ws.send(frame);
    assert.equal((await socket.end()).code, 1009);
  }
  const unknown = await alice.socket.ask("dance");
  assert.equal(unknown.status, "error");
  assert.equal((await alice.socket.ask("ping")).status, "success");
  assert.equal((await ask(tracker, "GET", "/healthz")).status, 200);
});

test("random frames from many sockets harm nobody", async (t) => {
  const { tracker, alice, bob } = await people(t, ["alice", "bob"]);
  const cookie = await register(tracker, "mallory");
  const words = ["hello", "signal", "relay-open", "relay-close", "ping", "welcome", "", "presence"];
  const seed = (Date.now() & 0xffff) | 1;
  t.diagnostic(`seed ${seed}`);
  let state = seed;
  const random = (n) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state >> 8) % n;
  };
  const values = () => [null, true, -1, 0, 1e300, "x".repeat(random(300)), [], {}, alice.device.id, [[[]]], { type: "offer" }][random(11)];
  for (let i = 0; i < 150; i++) {
    const { socket } = await online(t, tracker, cookie);
    for (let n = 0; n < 10; n++) {
      const message = { type: words[random(words.length)], id: 1 + random(5) };
      for (const key of ["to", "attempt", "description", "candidate", "relay", "device", "proof", "label", "message"])
        if (random(2)) message[key] = values();
      if (random(3)) socket.ws.send(JSON.stringify(message));
      else socket.ws.send(randomBytes(random(200)));
    }
    if (random(2)) socket.ws.terminate();
    else await Promise.race([socket.close(), sleep(PATIENCE_MS)]);
  }
  const relay = await openRelay(alice, bob);
  alice.socket.sendBytes(relay, Buffer.from("still here"));
  assert.equal((await bob.socket.next(relayIs(relay))).data.subarray(4).toString(), "still here");
  assert.equal(tracker.child.exitCode, null);
});

// --- the end ---

test("at the end every socket is told, and the program leaves with 0", async (t) => {
  const { tracker, alice, bob } = await people(t, ["alice", "bob"]);
  await openRelay(alice, bob);
  const early = new Socket(tracker, { cookie: await register(tracker, "carol") });
  await early.next("welcome");
  const ending = tracker.end("SIGINT");
  for (const socket of [alice.socket, bob.socket, early]) {
    const goodbye = await within(socket.next("goodbye"), "goodbye");
    assert.equal(goodbye.reason, "shutting-down");
    assert.equal((await socket.end()).code, 1001);
  }
  assert.deepEqual(await ending, { code: 0, signal: null });
  assert.equal(tracker.err, "");
});
