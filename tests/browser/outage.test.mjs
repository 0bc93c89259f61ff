// The tracker dies, comes back, forgets: people go on, and in the end everybody has everything once, in one order.
import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, inWorld } from "./world.mjs";

const sameTexts = (tabs, count) =>
  eventually(async () => {
    const [first, ...others] = await Promise.all(tabs.map((tab) => tab.texts()));
    assert.equal(first.length, count, `${tabs[0].who}: ${first}`);
    assert.equal(new Set(first).size, count, "nothing twice");
    for (const [i, other] of others.entries()) assert.deepEqual(other, first, `${tabs[i + 1].who} and ${tabs[0].who}`);
    return first;
  }, 30_000);

test("tracker killed in mid-chat: people go on, the page says so; back again: nothing lost, nothing doubled, one order", (t) =>
  inWorld(t, async (world) => {
    const an = await world.register("An");
    const binh = await world.register("Binh");
    await Promise.all([an.linked("Binh", "direct"), binh.linked("An", "direct")]);
    await an.say("before");
    await binh.sees("before");

    await world.tracker.kill();
    for (let i = 1; i <= 5; i++) {
      await an.say(`an ${i}`);
      await binh.say(`binh ${i}`);
    }
    await binh.sees("an 5");
    await an.sees("binh 5");
    await an.marked("an 5", "delivered");
    const sentence = await an.connection("Limited");
    assert.match(sentence, /tracker/i);
    assert.match(sentence, /\b1\b|one/i);

    await world.tracker.start();
    await Promise.all([an.connection("Online", 30_000), binh.connection("Online", 30_000)]);
    await an.say("after");
    await binh.sees("after");
    const chi = await world.register("Chi");
    await sameTexts([an, binh, chi], 12);

    // What was written while it was away is on the tracker's disk now: it survives it and both authors.
    await an.person.context.close();
    await binh.person.context.close();
    await chi.person.context.close();
    await world.tracker.kill();
    await world.tracker.start();
    const dung = await world.register("Dung");
    await sameTexts([dung], 12);
    await dung.seesVia("binh 3", /tracker/);
  }));

test("a message written with nobody there waits, and goes out when the tracker is back", (t) =>
  inWorld(t, async (world) => {
    const an = await world.register("An");
    await an.connection("Online");
    await world.tracker.kill();
    await an.connection("Offline", 30_000).catch(() => an.connection("Limited"));
    await an.say("waiting");
    await an.marked("waiting", "queued");
    await world.tracker.start();
    await an.marked("waiting", "handed", 30_000);
    const binh = await world.register("Binh");
    await binh.sees("waiting");
    await an.marked("waiting", "delivered");
  }));

test("the tracker's replica is lost: its peers fill it again, and a late comer gets everything", (t) =>
  inWorld(t, async (world) => {
    const an = await world.register("An");
    const binh = await world.register("Binh");
    for (let i = 1; i <= 5; i++) await an.say(`an ${i}`);
    for (let i = 1; i <= 5; i++) await binh.say(`binh ${i}`);
    await sameTexts([an, binh], 10);
    await an.marked("an 5", "delivered");

    await world.tracker.end("SIGTERM");
    const removed = world.tracker.forgetEntries();
    assert.ok(removed >= 10, `${removed} rows removed`);
    await world.tracker.start();
    await Promise.all([an.connection("Online", 30_000), binh.connection("Online", 30_000)]);
    const chi = await world.register("Chi");
    await sameTexts([an, binh, chi], 10);

    // Only the tracker is left: what a new device gets now, the tracker holds.
    for (const tab of [an, binh, chi]) await tab.person.context.close();
    const dung = await world.register("Dung");
    await sameTexts([dung], 10);
  }));

test("a late comer gets the history from a peer while the author is away", (t) =>
  inWorld(t, async (world) => {
    const an = await world.register("An");
    const binh = await world.register("Binh");
    await binh.linked("An", "direct");
    await an.say("from An");
    await binh.sees("from An");
    await an.person.context.close();
    await world.tracker.end("SIGTERM");
    world.tracker.forgetEntries();
    await world.tracker.start();
    await binh.connection("Online", 30_000);
    const chi = await world.register("Chi");
    await chi.sees("from An", 30_000);
  }));

test("with the tracker down, a third person not linked to the author gets the message through another", (t) =>
  inWorld(t, async (world) => {
    const an = await world.register("An");
    const binh = await world.register("Binh");
    await Promise.all([an.linked("Binh", "direct"), binh.linked("An", "direct")]);
    await an.allowDirect(false); // from now on An's browser makes no new direct link
    const chi = await world.register("Chi");
    await Promise.all([chi.linked("Binh", "direct"), binh.linked("Chi", "direct")]);
    await world.tracker.kill();
    await eventually(async () => assert.doesNotMatch((await chi.member("An"))[0].state, /direct|relay/), 30_000);
    await an.say("pass it on");
    assert.equal((await chi.seesVia("pass it on", /handed on by Binh/)).account, "An");
    await chi.say("it came");
    await an.sees("it came");
  }));
