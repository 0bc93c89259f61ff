// No direct link can be made: the same link runs through the tracker, says so, and moves when it can.
import assert from "node:assert/strict";
import { test } from "node:test";
import { inWorld } from "./world.mjs";

test("without a direct link within 5 s the link runs via the relay, says so, and moves to direct when it can", (t) =>
  inWorld(t, async (world) => {
    const an = await world.register("An", { direct: false });
    const binh = await world.register("Binh", { direct: false });
    const began = Date.now();
    await Promise.all([an.linked("Binh", "via relay"), binh.linked("An", "via relay")]);
    const took = Date.now() - began;
    assert.ok(took < 9000, `the relay took ${took} ms`);
    await an.say("through the relay");
    await binh.seesVia("through the relay", /via relay/);
    await an.marked("through the relay", "delivered");

    await an.allowDirect(true);
    await binh.allowDirect(true);
    await Promise.all([an.networkChanged(), binh.networkChanged()]);
    await Promise.all([an.linked("Binh", "direct", 40_000), binh.linked("An", "direct", 40_000)]);
    await an.say("now directly");
    await binh.seesVia("now directly", /direct/);
    await binh.say("and back");
    await an.seesVia("and back", /direct/);
  }));

test("what is written while the link moves from the relay to direct arrives once and in order", (t) =>
  inWorld(t, async (world) => {
    const an = await world.register("An", { direct: false });
    const binh = await world.register("Binh", { direct: false });
    await Promise.all([an.linked("Binh", "via relay"), binh.linked("An", "via relay")]);
    await Promise.all([an.allowDirect(true), binh.allowDirect(true)]);
    await Promise.all([an.networkChanged(), binh.networkChanged()]);
    const expected = [];
    const moved = binh.linked("An", "direct", 40_000).then(() => true);
    let done = false;
    moved.then(() => (done = true));
    for (let i = 1; i <= 200 && (!done || i <= 20); i++) {
      await an.say(`m ${i}`);
      expected.push(`m ${i}`);
    }
    await moved;
    await binh.sees(expected.at(-1));
    const seen = (await binh.texts()).filter((text) => expected.includes(text));
    assert.deepEqual(seen, expected.slice(-seen.length));
    assert.ok(seen.length >= Math.min(expected.length, 20));
  }));
