// The parts of the protocol between two and more browser cores: what a page could do with them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { decode } from "cborg";
import * as oracle from "../golden/oracle.mjs";
import { instantiateWorld } from "./instances.mjs";
import { loadModules } from "./load.mjs";
import { connect, createDevice, createLeafRows, createWorld } from "./world.mjs";

const { createFiles } = await loadModules("files");

const general = (world) => ({ type: "public", authority: world.tracker, name: "general" });
const seqsOf = (device, author) => device.store.rows().filter((row) => row.author === author.core.device).map(({ seq }) => seq);

test("who was away for long has the newest first, and older ones when they are asked for", async () => {
  const world = await createWorld();
  const an = await createDevice(world, "an", { seed: 1 });
  for (let i = 1; i <= 600; i++) an.say(`message ${i}`);
  await world.clock.pass(1000);
  const binh = await createDevice(world, "binh", { seed: 2, open: { spec: general(world), onDemand: true } });
  const { cut } = connect(an, binh);
  await world.clock.pass(3000);
  const first = binh.texts();
  assert.ok(first.includes("message 600") && first.length < 600, `${first.length} messages came by themselves`);
  const gap = binh.of("gap").at(-1);
  assert.deepEqual({ author: gap.author, account: gap.account }, { author: an.core.device, account: "an" });
  assert.ok(gap.from <= gap.seq);
  const have = seqsOf(binh, an);
  for (let seq = gap.from; seq <= gap.seq; seq++) assert.ok(!have.includes(seq), `${seq} is called missing and is here`);

  const oldest = Math.min(...binh.of("deliver").filter(({ entry }) => entry.author === an.core.device && entry.seq > 1).map(({ entry }) => entry.place));
  const token = binh.shell.command({ kind: "history", channel: world.channel, count: 40, before: oldest });
  await world.clock.pass(3000);
  const [answer] = binh.of("history");
  assert.deepEqual({ token: answer.token, count: answer.count, failed: answer.failed }, { token, count: 40, failed: undefined });
  assert.equal(binh.texts().length, first.length + 40);
  assert.deepEqual(seqsOf(binh, an).slice(-first.length - 40), Array.from({ length: first.length + 40 }, (_, i) => 601 - first.length - 40 + i + 1));

  // Nobody is linked: said at once. What is here goes on after a restart.
  cut();
  await world.clock.pass(1000);
  binh.shell.command({ kind: "history", channel: world.channel, count: 40 });
  await world.clock.pass(1000);
  assert.equal(binh.of("history").at(-1).failed, "TIMEOUT");
  binh.shell.stop("restart");
  const again = await createDevice(world, "binh", { seed: 2, store: binh.store, open: { spec: general(world), onDemand: true } });
  assert.ok(again.restored.every(Boolean), "every record fits");
  const after = again.of("gap").at(-1);
  assert.deepEqual([after.from, after.seq], [binh.of("gap").at(-1).from, binh.of("gap").at(-1).seq]);
  connect(an, again);
  for (let i = 0; i < 40; i++) {
    again.shell.command({ kind: "history", channel: world.channel, count: 100 });
    await world.clock.pass(1000);
    if (again.of("history").at(-1).failed === "NOT_FOUND") break;
  }
  assert.deepEqual(seqsOf(again, an), Array.from({ length: 601 }, (_, i) => i + 1));
  const closed = again.of("gap").at(-1);
  assert.ok(closed.from > closed.seq, "no gap any more");
});

const direct = (world, account, other) => ({ type: "direct", authority: world.tracker, account, other });

/** Devices of a world, each linked to each, in one direct conversation besides the public channel. */
async function conversation(accounts, [one, other]) {
  const { tools } = await instantiateWorld();
  const world = await createWorld();
  const spec = direct(world, one, other);
  const channel = tools.channelId(spec);
  const devices = [];
  for (const [i, account] of accounts.entries()) devices.push(await createDevice(world, account, { seed: i + 1 }));
  for (const [i, a] of devices.entries()) for (const b of devices.slice(0, i)) connect(a, b);
  await world.clock.pass(1000);
  const texts = (device) => device.texts((entry) => entry.channel === channel && !entry.locked);
  const say = (device, text) => device.shell.command({ kind: "send", channel, entryKind: 3, body: world.bodyOf(text) });
  return { world, spec, channel, devices, texts, say };
}

test("a direct conversation reaches all devices of both accounts and nobody else, and no store holds its text for others", async () => {
  const { world, spec, channel, devices, texts, say } = await conversation(["an", "an", "binh", "chi"], ["an", "binh"]);
  const [an, phone, binh, chi] = devices;
  for (const device of [an, phone]) device.shell.command({ kind: "relation", account: "binh", relation: "friend" });
  binh.shell.command({ kind: "relation", account: "an", relation: "friend" });
  an.shell.command({ kind: "open", spec });
  await world.clock.pass(5000);
  const brought = binh.of("channel").find((action) => action.channel === channel);
  assert.deepEqual(brought, { kind: "channel", channel, spec, removed: false });
  say(an, "between us");
  await world.clock.pass(5000);
  say(binh, "of course");
  await world.clock.pass(5000);
  for (const device of [an, phone, binh]) assert.deepEqual(texts(device), ["between us", "of course"], device.account);
  assert.deepEqual(texts(chi), []);
  assert.equal(chi.store.rows().filter((row) => row.channel === channel).length, 0);
  assert.throws(() => chi.shell.command({ kind: "open", spec }));
  assert.deepEqual(binh.core.members(channel), ["an", "binh"]);

  // What is stored is what was sent; only the keys open it.
  const row = binh.store.rows().find((row) => row.channel === channel && row.author === an.core.device && row.kind === 3);
  assert.ok(!Buffer.from(row.record).includes("between us"));
  assert.equal(world.textOf(binh.core.view(row.record)), "between us");
  assert.equal(chi.core.view(row.record), undefined);

  // And after a restart.
  binh.shell.stop("restart");
  const again = await createDevice(world, "binh", { seed: 3, store: binh.store });
  assert.ok(again.restored.every(Boolean));
  assert.equal(world.textOf(again.core.view(row.record)), "between us");
});

test("an independent program reads what the core has sealed", async () => {
  const { world, spec, channel, devices } = await conversation(["an", "binh"], ["an", "binh"]);
  const [an, binh] = devices;
  for (const [device, other] of [[an, "binh"], [binh, "an"]]) device.shell.command({ kind: "relation", account: other, relation: "friend" });
  an.shell.command({ kind: "open", spec });
  await world.clock.pass(3000);
  an.shell.command({ kind: "send", channel, entryKind: 3, body: world.bodyOf("between us") });
  await world.clock.pass(1000);
  const fieldsOf = (kind) => an.store.rows().filter((row) => row.channel === channel && row.kind === kind && row.author === an.core.device)
    .map(({ record }) => decode(decode(record)[5])[0]);
  const id = oracle.unhex(channel);
  const given = fieldsOf(5).map((fields) => oracle.openKey(id, decode(fields).at(-1), new Uint8Array(32).fill(2))).filter(Boolean);
  assert.equal(given.length, 1, "one box for binh's device");
  assert.equal(oracle.hex(oracle.epochId(id, given[0])), oracle.hex(given[0].id), "it holds the key that it promises");
  const [text] = fieldsOf(3);
  assert.equal(new TextDecoder().decode(decode(oracle.openBody(given[0], text))[0]), "between us");
});

test("a request is asked, answered, ended, and both sides hear the same", async () => {
  const { world, spec, channel, devices } = await conversation(["an", "binh"], ["an", "binh"]);
  const [an, binh] = devices;
  an.shell.command({ kind: "open", spec });
  await world.clock.pass(3000);
  an.shell.command({ kind: "request", channel, line: "Một câu hỏi", online: true });
  await world.clock.pass(3000);
  const asked = an.of("session").at(-1);
  const asking = binh.of("session").at(-1);
  assert.deepEqual([asked.state, asked.account, asking.state, asking.account, asking.line], ["asked", "binh", "asking", "an", "Một câu hỏi"]);
  assert.equal(asked.session, asking.session);
  assert.ok(asking.until > world.clock.now());
  binh.shell.command({ kind: "answer", channel, session: asking.session, accept: true });
  await world.clock.pass(3000);
  assert.deepEqual([an, binh].map((device) => device.of("session").at(-1).state), ["open", "open"]);
  an.shell.command({ kind: "logout" });
  await world.clock.pass(3000);
  for (const device of [an, binh]) {
    const { state, reason } = device.of("session").at(-1);
    assert.deepEqual([state, reason], ["ended", "logout"]);
  }
});

test("a request is declined, or gets no answer, and the reason is told", async () => {
  const { world, spec, channel, devices } = await conversation(["an", "binh"], ["an", "binh"]);
  const [an, binh] = devices;
  an.shell.command({ kind: "open", spec });
  await world.clock.pass(3000);
  an.shell.command({ kind: "request", channel, line: "", online: true });
  await world.clock.pass(3000);
  binh.shell.command({ kind: "answer", channel, session: binh.of("session").at(-1).session, accept: false });
  await world.clock.pass(3000);
  assert.deepEqual([an.of("session").at(-1).state, an.of("session").at(-1).reason], ["ended", "declined"]);
  an.shell.command({ kind: "request", channel, line: "", online: true });
  await world.clock.pass(70_000);
  for (const device of [an, binh]) assert.equal(device.of("session").at(-1).reason, "no-answer");
});

test("two devices without a link exchange signals over a third", async () => {
  const world = await createWorld();
  const [an, binh, chi] = [await createDevice(world, "an", { seed: 1 }), await createDevice(world, "binh", { seed: 2 }), await createDevice(world, "chi", { seed: 3 })];
  connect(an, binh);
  connect(binh, chi);
  await world.clock.pass(2000);
  an.shell.command({ kind: "signal", device: chi.core.device, bytes: new TextEncoder().encode("an offer") });
  await world.clock.pass(2000);
  assert.deepEqual(chi.of("signal").map(({ device, bytes }) => [device, new TextDecoder().decode(bytes)]), [[an.core.device, "an offer"]]);
  assert.equal(binh.of("signal").length, 0);
});

test("the ledger says who holds how much of one's own, also of who is not linked", async () => {
  const world = await createWorld();
  const [an, binh, chi] = [await createDevice(world, "an", { seed: 1 }), await createDevice(world, "binh", { seed: 2 }), await createDevice(world, "chi", { seed: 3 })];
  connect(an, binh, { path: "lan" });
  connect(binh, chi);
  await world.clock.pass(2000);
  an.say("one");
  an.say("two");
  await world.clock.pass(60_000);
  const { own, rows } = an.core.ledger(world.channel);
  assert.equal(own, 3);
  const row = (device) => rows.find((one) => one.device === device.core.device);
  const whole = { from: 1, seq: 3, replica: false };
  assert.deepEqual(row(binh), { device: binh.core.device, account: "binh", path: "lan", ...whole });
  assert.deepEqual(row(chi), { device: chi.core.device, account: "chi", path: "none", ...whole });
  assert.equal(row(an), undefined);
  const told = an.of("delivered").filter(({ device }) => device === chi.core.device).at(-1);
  assert.deepEqual([told.path, told.account, told.seq], ["none", "chi", 3]);
});

test("a file goes from one browser core to others, on over a restart, and is the same", async () => {
  const world = await createWorld();
  const { tools } = await instantiateWorld();
  const size = 5 * 65536 + 4321;
  const content = Uint8Array.from({ length: size }, (_, i) => (i * 31 + (i >> 9)) & 255);
  const source = { size, read: async (from, upTo) => content.slice(from, upTo) };
  const rows = [createLeafRows(), createLeafRows(), createLeafRows()];
  const files = rows.map((row) => createFiles(row, tools.tree));
  const person = (i, more = {}) => createDevice(world, ["an", "binh", "chi"][i], { seed: i + 1, leaves: files[i], ...more });
  const an = await person(0);
  const binh = await person(1);
  const root = await files[0].hold(source);
  an.shell.command({ kind: "file-hold", channel: world.channel, root, size });
  const link = connect(an, binh);
  await world.clock.pass(1000);
  // The disk is full after two leaves: said in words, and gone on with when told so.
  rows[1].room = 2;
  const bitmap = await files[1].begin({ root, channel: world.channel, size });
  binh.shell.command({ kind: "file-fetch", channel: world.channel, root, size, bitmap });
  await world.clock.pass(5000);
  const stuck = binh.of("file").at(-1);
  assert.deepEqual([stuck.state, stuck.code, stuck.total], ["paused", "DISK_FULL", 6]);
  assert.ok(stuck.leaves >= 2 && stuck.text.length > 10, JSON.stringify(stuck));
  link.cut();
  await world.clock.pass(1000);
  binh.shell.stop("restart");

  rows[1].room = Infinity;
  const again = await person(1, { store: binh.store });
  const [row] = await files[1].fetched();
  assert.deepEqual(row, { root, channel: world.channel, size });
  again.shell.command({ kind: "file-fetch", ...row, bitmap: await files[1].begin(row) });
  connect(an, again);
  await world.clock.pass(10_000);
  assert.equal(again.of("file").at(-1).state, "done");
  assert.deepEqual(await files[1].read(root, 0, size), content);
  assert.deepEqual(await files[1].read(root, 65530, 65540), content.slice(65530, 65540));
  assert.equal(rows[1].writes.filter((leaf, i, all) => all.indexOf(leaf) !== i).length, 0, "no leaf was fetched twice");

  // Whoever has it serves it: the first device is not needed any more.
  an.shell.stop("gone");
  const chi = await person(2);
  chi.shell.command({ kind: "file-fetch", channel: world.channel, root, size, bitmap: await files[2].begin({ root, channel: world.channel, size }) });
  connect(again, chi);
  await world.clock.pass(10_000);
  assert.deepEqual(await files[2].read(root, 0, size), content);
});
