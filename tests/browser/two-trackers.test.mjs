// Two trackers on one data folder behind one proxy, with real browsers: whoever is at one sees whoever is at the other,
// and when the process that holds the replica is killed the pages go on at the other one, without a word lost.
import assert from "node:assert/strict";
import { test } from "node:test";
import { figure, startProxy } from "../integration/proxy-kit.mjs";
import { Tracker, eventually, inWorld } from "./world.mjs";

/** Both trackers and the proxy before them; the first one holds the replica. */
async function behindProxy(t, world, scenario) {
  const second = new Tracker(world.tracker.folder, "tracker");
  try {
    await second.start();
    const proxy = await startProxy(
      t,
      `host "chat.test" {\n  proxy_pass ${world.tracker.url};\n  proxy_pass ${second.url};\n  dist_policy round-robin;\n  health_check path=/healthz interval=500ms;\n}\n`,
    );
    const sockets = (tracker) => figure(proxy, "weaprous_proxy_upstream_active_requests", `:${tracker.port}"`);
    await scenario({ first: world.tracker, second, base: `http://chat.test:${proxy.port}`, sockets });
  } finally {
    await second.kill();
  }
}

/** People registered through the proxy until both trackers have some of them; `count` at least. */
async function people(world, base, trackers, sockets, count) {
  const tabs = [];
  for (let i = 0; i < 8; i++) {
    tabs.push(await world.register(`Person${i}`, { base, direct: false }));
    const spread = await Promise.all(trackers.map(sockets));
    if (tabs.length >= count && spread.every((n) => n > 0)) return tabs;
  }
  assert.fail("the proxy sent everybody to the same tracker");
}

test("people at two trackers of one folder see each other and write; what one wrote before the other came is there", (t) =>
  inWorld(
    t,
    (world) =>
      behindProxy(t, world, async ({ first, second, base, sockets }) => {
        const tabs = await people(world, base, [first, second], sockets, 2);
        const [an, ...others] = tabs;
        await an.say("hello to both");
        for (const tab of others) await tab.sees("hello to both");
        await others.at(-1).say("hello back");
        await an.sees("hello back");
        // A relay between the two: direct links are switched off.
        await Promise.all(others.map((tab) => an.linked(tab.who, "via relay")));
        for (const tab of tabs) assert.equal((await tab.members()).length, tabs.length, `${tab.who} sees all`);
        const late = await world.login("Person0", { base, direct: false }); // the session of a second browser, at whichever
        await late.sees("hello to both");
        await late.sees("hello back");
        assert.deepEqual(await late.texts(), ["hello to both", "hello back"]);
      }),
    "tracker",
  ));

test("the process with the replica is killed: the pages are online again at the other one, and every message is there once", (t) =>
  inWorld(
    t,
    (world) =>
      behindProxy(t, world, async ({ first, second, base, sockets }) => {
        const tabs = await people(world, base, [first, second], sockets, 2);
        const an = tabs[0], binh = tabs.at(-1);
        await an.say("before");
        for (const tab of tabs) await tab.sees("before");
        await first.kill();
        const killed = Date.now();
        await an.say("in between, one");
        await binh.say("in between, two");
        await eventually(() => assert.match(second.output, /has the replica now/), 3000);
        t.diagnostic(`taken over within ${Date.now() - killed} ms`);
        for (const tab of tabs) await tab.connection("Online", 30_000);
        for (const tab of tabs) for (const text of ["in between, one", "in between, two"]) await tab.sees(text, 30_000);
        t.diagnostic(`all was read by all within ${Date.now() - killed} ms`);
        await an.say("after");
        for (const tab of tabs) await tab.sees("after");
        await an.marked("after", "delivered", 30_000);
        const newcomer = await world.login("Person1", { base, direct: false });
        for (const text of ["before", "in between, one", "in between, two", "after"]) await newcomer.sees(text, 30_000);
        for (const tab of [...tabs, newcomer]) {
          const texts = await tab.texts();
          assert.deepEqual([texts.length, texts[0], texts.at(-1)], [4, "before", "after"], `${tab.who}: ${texts}`);
        }
        assert.equal(await sockets(first), 0);
      }),
    "tracker",
  ));
