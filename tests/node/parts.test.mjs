// The parts of the protocol between two and more browser cores: what a page could do with them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { connect, createDevice, createMemoryStore, createWorld } from "./world.mjs";

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
