// The shell's tracker socket and links against the real `weaprous up`: what a browser's worker does, without the
// browser. Runs the program that WEAPROUS names, else the release build. Server and devices keep traces; each must
// replay at its end, the server's too, which is killed.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import WebSocket from "ws";
import { instantiateWorld } from "./instances.mjs";
import { loadModules } from "./load.mjs";
import { replayTrace, startTracker } from "./program.mjs";
import { createMemoryStore } from "./world.mjs";

const { createTracker, createLinks, createShell, systemClock, toHex, fromHex, concat, toUtf8, cborEncode, cborDecode } =
  await loadModules("tracker", "links", "shell", "clock", "bytes", "cbor");
const PASSWORD = "correct horse battery staple";
const folder = mkdtempSync(join(tmpdir(), "weaprous-node-"));
const server = { port: 0, child: undefined, lives: 0, trace: "" };
const devices = [];

async function startServer() {
  server.trace = join(folder, `server-${++server.lives}.trace`);
  Object.assign(server, await startTracker(folder, server.port, ["--trace", server.trace]));
}

async function killServer() {
  const gone = new Promise((resolve) => server.child.once("exit", resolve));
  server.child.kill("SIGKILL");
  await gone;
  const { calls, complete } = replayTrace(readFileSync(server.trace));
  assert.ok(calls > 20 && !complete, `${calls} calls of the server were replayed`);
}

before(startServer);
after(async () => {
  await killServer();
  rmSync(folder, { recursive: true, force: true });
});

/** A browser's socket has no error event that must be listened to. */
const openSocket = (options) => Object.assign(new WebSocket(address("/ws", "ws"), options), { onerror() {} });
const address = (path, scheme = "http") => `${scheme}://127.0.0.1:${server.port}${path}`;

async function register(username) {
  const answer = await fetch(address("/register"), {
    method: "POST",
    headers: { accept: "application/json", "content-type": "application/json" },
    body: JSON.stringify({ username, password: PASSWORD }),
    redirect: "manual",
  });
  const cookie = /session=[^;]+/.exec(answer.headers.get("set-cookie") ?? "")?.[0];
  assert.ok(cookie, `no session for ${username}: ${answer.status}`);
  return cookie;
}

/** What device.ts does, with a store in memory and no tabs. */
async function device(cookie, { replica = true, seed = crypto.getRandomValues(new Uint8Array(32)), store = createMemoryStore(), friends = [] } = {}) {
  const { tools } = await instantiateWorld();
  const clock = systemClock();
  const trace = [];
  const options = {
    identitySeed: seed, randomSeed: crypto.getRandomValues(new Uint8Array(32)), directPatienceMs: 50,
    trace: (piece) => trace.push(piece),
  };
  const core = tools.create(options, clock.now());
  const log = { texts: [], delivered: [], peers: [], states: [], online: [], members: [], decisions: [] };
  const listeners = new Set();
  const told = () => listeners.forEach((look) => look());
  let welcome;
  for (const record of store.records()) core.restore(record, clock.now());
  const shell = createShell(core, store, clock, {
    action(action) {
      if (action.kind === "connect") links.connect(action.device, action.path);
      if (action.kind === "delivered") log.delivered.push(action);
      if (action.kind === "peer") log.peers.push(action);
      if (action.kind === "deliver" && action.entry.kind === 1) log.members.push(action.entry);
      if (action.kind === "deliver" && action.entry.kind === 10) log.decisions.push(action.entry);
      if (action.kind === "deliver" && action.entry.kind === 3 && !action.entry.locked) {
        log.texts.push({ ...action.entry, text: new TextDecoder().decode(cborDecode(action.entry.body)[0]) });
      }
      told();
    },
    crashed(error) {
      throw error;
    },
  });
  const tracker = createTracker({
    open: () => openSocket({ headers: { cookie } }),
    session: async () => (await fetch(address("/ws"), { headers: { cookie } })).status !== 401,
    clock,
    random: Math.random,
    hooks: {
      welcome(next) {
        welcome = next;
        const proof = tools.sign(seed, "weaprous.hello.1", concat(fromHex(next.nonce), fromHex(next.tracker), toUtf8(next.account)));
        tracker.greet(core.device, toHex(proof), "node:test");
      },
      online(certificate) {
        log.certificate = tools.certificateParse(certificate);
        shell.command({ kind: "certificate", bytes: certificate });
        for (const account of friends) shell.command({ kind: "relation", account, relation: "friend" });
        for (const { id, name, type } of welcome.channels) {
          if (type === "private") continue; // the replica brings it
          assert.equal(tools.channelId({ type: "public", authority: welcome.tracker, name }), id);
          shell.command({ kind: "join", channel: id, authority: welcome.tracker, name });
        }
        links.trackerUp(welcome.tracker);
      },
      presence(full, list) {
        log.online.push(...list);
        for (const { device: id, status } of list) {
          if (id !== core.device) shell.command({ kind: "peer", device: id, online: status === "online" });
        }
      },
      signal: (from, signal) => links.signal(from, signal),
      relayOpened: (from, relay) => links.relayOpened(from, relay),
      relayClosed: (relay) => links.relayClosed(relay),
      bytes: (relay, bytes) => links.trackerBytes(relay, bytes),
      down: () => links.trackerDown(),
      news() {},
      changed() {
        log.states.push(tracker.state());
        told();
      },
    },
  });
  const links = createLinks({
    shell, tracker, clock,
    tab: () => undefined,
    switches: () => ({ direct: true, relay: true, replica, avoid: [] }),
    accountOf: () => undefined,
    connecting() {},
    ice: () => [],
  });
  const made = {
    core, shell, tools, log, tracker, welcome: () => welcome,
    say: (text) => shell.command({ kind: "send", channel: welcome.channels[0].id, entryKind: 3, body: cborEncode([toUtf8(text)]) }),
    stop() {
      if (made.stopped) return;
      made.stopped = true;
      shell.stop("done");
      tracker.stop("idle");
      const { calls, actions, complete } = replayTrace(Buffer.concat(trace));
      assert.ok(calls > 10 && actions > 2 && complete, `${calls} calls of a device were replayed, ${actions} actions`);
    },
    /** Waits until `look` gives something. */
    until: (look, what) =>
      new Promise((resolve, reject) => {
        const deadline = setTimeout(() => reject(new Error(`waited too long: ${what}\n${JSON.stringify(log).slice(0, 2000)}`)), 15_000);
        const check = () => {
          const found = look(log);
          if (!found) return;
          clearTimeout(deadline);
          listeners.delete(check);
          resolve(found);
        };
        listeners.add(check);
        check();
      }),
  };
  devices.push(made);
  tracker.start();
  await made.until(() => tracker.state() === "online", "online");
  return made;
}
const text = (wanted) => (log) => log.texts.find((entry) => entry.text === wanted);

// Whoever stays on line hands on what others wrote, so each test is left by its own devices: the next one
// may then say by whom a message came.
afterEach(() => {
  for (const each of devices.splice(0)) each.stop();
});

test("a device is certified under its account's name", async () => {
  const an = await device(await register("an"));
  assert.equal(an.log.certificate.account, "an");
  assert.equal(an.log.certificate.device, an.core.device);
  assert.equal(an.log.certificate.authority, an.welcome().tracker);
});

test("the replica takes messages and hands them to somebody who comes later", async () => {
  const binh = await device(await register("binh"));
  binh.say("for whoever comes");
  const handed = await binh.until((log) => log.delivered.find(({ replica, seq }) => replica && seq >= 2), "handed to the replica");
  assert.equal(handed.device, binh.welcome().tracker);
  binh.stop();
  const chi = await device(await register("chi"));
  const came = await chi.until(text("for whoever comes"), "the history");
  assert.equal(came.account, "binh");
  assert.equal(came.path, "tracker");
});

test("what is sent through a classic route is an ordinary message, marked, and at once with who is linked", async () => {
  const cookie = await register("classic");
  const reader = await device(await register("reader"));
  const send = (message) =>
    fetch(address("/send-channel-message"), { method: "POST", headers: { cookie }, body: new URLSearchParams({ channel_name: "general", message }) });
  for (const message of ["by curl", "and again"]) {
    const answer = await send(message);
    assert.equal(answer.status, 200, await answer.text());
    const came = await reader.until(text(message), message);
    assert.equal(came.account, "classic");
    assert.equal(came.path, "tracker");
    assert.deepEqual(cborDecode(came.body)[1], [1], "the mark");
  }
  const [first, second] = reader.log.texts.filter(({ account }) => account === "classic");
  assert.deepEqual([first.author, first.seq + 1], [second.author, second.seq]);
  reader.say("an answer");
  await reader.until((log) => log.delivered.find(({ replica, seq }) => replica && seq >= 2), "handed to the replica");
  assert.equal((await send("after the answer")).status, 200);
  const last = await reader.until(text("after the answer"), "the third message");
  assert.ok(last.place > reader.log.texts.find((entry) => entry.text === "an answer").place, "it stands behind what was known when it was written");
});

test("two devices that cannot link directly talk through the relay, and it closes when one leaves", async () => {
  const [dung, em] = [await device(await register("dung"), { replica: false }), await device(await register("em"), { replica: false })];
  await dung.until((log) => log.peers.find(({ device: id, path }) => id === em.core.device && path === "relay"), "a relayed link");
  dung.say("through the relay");
  const came = await em.until(text("through the relay"), "the message");
  assert.equal(came.path, "relay");
  assert.equal(came.from, dung.core.device);
  for (let i = 0; i < 100; i++) em.say(`${i} ${"x".repeat(8000)}`); // more than one socket buffer
  await dung.until((log) => log.texts.some((entry) => entry.text.startsWith("99 ")), "a lot of messages");
  em.stop();
  await dung.until((log) => log.peers.at(-1).device === em.core.device && log.peers.at(-1).path === "none", "the link is gone");
});

test("a tracker that is killed and started again is found, and everything written meanwhile reaches it", async () => {
  const giang = await device(await register("giang"));
  giang.say("before");
  await giang.until((log) => log.delivered.some(({ replica, seq }) => replica && seq >= 2), "handed");
  await killServer();
  await giang.until(() => giang.tracker.state() === "waiting", "the loss is noticed");
  giang.say("meanwhile");
  await startServer();
  await giang.until(() => giang.tracker.state() === "online", "online again");
  await giang.until((log) => log.delivered.some(({ replica, seq }) => replica && seq >= 3), "handed after the restart");
  const late = await device(await register("hoa"));
  await late.until(text("meanwhile"), "the message of the outage");
  assert.deepEqual(late.log.texts.filter((entry) => entry.account === "giang").map((entry) => entry.text), ["before", "meanwhile"]);
});

test("a message that was damaged on the tracker's disk comes back, and all that followed it", async () => {
  const kim = await device(await register("kim"));
  for (const words of ["one", "two", "three"]) kim.say(`kim ${words}`);
  await kim.until((log) => log.delivered.some(({ replica, seq }) => replica && seq >= 4), "handed");
  await killServer();
  execFileSync("sqlite3", [join(folder, "weaprous.db"), `UPDATE entries SET record = x'00' WHERE author = x'${kim.core.device}' AND seq = 3`]);
  kim.log.delivered.length = 0;
  await startServer();
  await kim.until((log) => log.delivered.some(({ replica, seq }) => replica && seq >= 4), "handed again");
  const late = await device(await register("lan"));
  await late.until(text("kim three"), "the last message");
  assert.deepEqual(late.log.texts.filter((entry) => entry.account === "kim").map((entry) => entry.text), ["kim one", "kim two", "kim three"]);
});

test("the server keeps a direct conversation for who is away, over a restart, and cannot read it", async () => {
  const [cookieOne, cookieOther] = [await register("nam"), await register("oanh")];
  const one = await device(cookieOne, { friends: ["oanh"] });
  const seed = crypto.getRandomValues(new Uint8Array(32));
  const store = createMemoryStore();
  const other = await device(cookieOther, { friends: ["nam"], seed, store });
  const spec = { type: "direct", authority: one.welcome().tracker, account: "nam", other: "oanh" };
  const channel = one.tools.channelId(spec);
  const say = (words) => one.shell.command({ kind: "send", channel, entryKind: 3, body: cborEncode([toUtf8(words)]) });
  const kept = (seq) => (log) => log.delivered.some((mark) => mark.replica && mark.channel === channel && mark.seq >= seq);
  one.shell.command({ kind: "open", spec });
  await one.until((log) => log.members.find((entry) => entry.channel === channel && entry.account === "oanh"), "the other one takes part");
  say("nobody else may read this");
  await other.until(text("nobody else may read this"), "the first message");
  other.stop();
  say("and you find this when you are back");
  const { seq } = await one.until(text("and you find this when you are back"), "on the own disk");
  await one.until(kept(seq), "kept by the server");
  one.stop();
  await killServer();
  await startServer();
  const again = await device(cookieOther, { friends: ["nam"], seed, store });
  await again.until(text("and you find this when you are back"), "the message from the server");
  again.stop();
  await killServer();
  const written = readdirSync(folder).map((name) => readFileSync(join(folder, name)));
  assert.ok(written.some((bytes) => bytes.includes(Buffer.from(channel, "hex"))), "the server has the conversation");
  for (const words of ["nobody else may read", "you find this"]) {
    assert.ok(!written.some((bytes) => bytes.includes(words)), `the server's files and trace hold: ${words}`);
  }
  await startServer();
});

/** One of the calls of docs/api.md. */
async function call(cookie, type, fields) {
  const answer = await fetch(address(`/call/${type}`), {
    method: "POST",
    headers: { accept: "application/json", "content-type": "application/json", cookie },
    body: JSON.stringify(fields),
  });
  const json = await answer.json();
  assert.equal(answer.status, 200, `${type}: ${JSON.stringify(json)}`);
  return json;
}

test("a private room: who is let in reads what was said before, who is thrown out nothing more; the server reads nothing", async () => {
  const [cookieOne, cookieOther] = [await register("phuc"), await register("quang")];
  const room = (await call(cookieOne, "channel-create", { name: "backstage", policy: "approval" })).channel;
  const store = createMemoryStore();
  const [one, other] = [await device(cookieOne), await device(cookieOther, { store })];
  // What came locked is not delivered again when its key comes.
  const shown = (words) => () =>
    store.records().some((record) => {
      const view = other.core.view(record);
      return view?.kind === 3 && !view.locked && !view.withdrawn && new TextDecoder().decode(cborDecode(view.body)[0]) === words;
    });
  const joined = (account) => (log) => log.members.find((entry) => entry.channel === room.id && entry.account === account);
  const say = (who, words) => who.shell.command({ kind: "send", channel: room.id, entryKind: 3, body: cborEncode([toUtf8(words)]) });
  await one.until(joined("phuc"), "the room from the server, by itself");
  say(one, "before anybody was here");
  await one.until(text("before anybody was here"), "on the own disk");
  await call(cookieOther, "channel-join", { channel: room.id, note: "let me in" });
  await call(cookieOne, "channel-approve", { channel: room.id, account: "quang" });
  await other.until(shown("before anybody was here"), "what was said before");
  say(other, "thank you, @phuc");
  await one.until(text("thank you, @phuc"), "the answer");
  for (let tries = 0; ; tries++) {
    const state = (await call(cookieOne, "unread", {})).channels.find(({ channel }) => channel === room.id);
    if (state.unread === 1) break;
    assert.ok(tries < 200, JSON.stringify(state));
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  await call(cookieOne, "channel-kick", { channel: room.id, account: "quang" });
  await one.until((log) => log.decisions.some(({ channel }) => channel === room.id), "the decision in the room");
  say(one, "without him");
  await one.until(text("without him"), "on the own disk");
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert.ok(!shown("without him")());
  const written = readdirSync(folder).map((name) => readFileSync(join(folder, name)));
  for (const words of ["before anybody was here", "thank you, @phuc"]) assert.ok(!written.some((bytes) => bytes.includes(words)), words);
});

test("the server keeps no conversation of an account that does not want it", async () => {
  const [cookieOne, cookieOther] = [await register("son"), await register("thu")];
  const [one, other] = [await device(cookieOne, { friends: ["thu"] }), await device(cookieOther, { friends: ["son"] })];
  const spec = { type: "direct", authority: one.welcome().tracker, account: "son", other: "thu" };
  const channel = one.tools.channelId(spec);
  const say = (words) => one.shell.command({ kind: "send", channel, entryKind: 3, body: cborEncode([toUtf8(words)]) });
  const entries = () => Number(execFileSync("sqlite3", [join(folder, "weaprous.db"), `SELECT COUNT(*) FROM entries WHERE channel = x'${channel}'`]));
  one.shell.command({ kind: "open", spec });
  await one.until((log) => log.members.find((entry) => entry.channel === channel && entry.account === "thu"), "the other one takes part");
  say("kept for now");
  const { seq } = await one.until(text("kept for now"), "on the own disk");
  await one.until((log) => log.delivered.some((mark) => mark.replica && mark.channel === channel && mark.seq >= seq), "kept by the server");
  assert.ok(entries() > 0);
  assert.equal((await call(cookieOther, "keep-conversations", { keep: false })).keep, false);
  for (let tries = 0; entries() > 0; tries++) {
    assert.ok(tries < 200, "the server still has it");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  say("from device to device");
  await other.until(text("from device to device"), "over the relay");
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert.equal(entries(), 0);
  assert.equal((await call(cookieOther, "keep-conversations", {})).keep, false);
});

test("without a session there is no socket, and the state says so", async () => {
  const clock = systemClock();
  let told;
  const loggedOut = new Promise((resolve) => (told = resolve));
  const hooks = { changed: () => tracker.state() === "logged-out" && told(true), down() {} };
  const tracker = createTracker({
    open: () => openSocket(),
    session: async () => (await fetch(address("/ws"))).status !== 401,
    clock, random: Math.random, hooks,
  });
  tracker.start();
  assert.equal(await loggedOut, true);
  tracker.stop("idle");
});
