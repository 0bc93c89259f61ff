// Two trackers behind one proxy, by two names: each is its own world, their pages and WebSockets go through the proxy, and
// a tracker that dies and comes back behind it is found again by the page that stayed open.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { askOnce, figure, startProxy } from "../integration/proxy-kit.mjs";
import { request } from "../integration/proxy-wire.mjs";
import { PASSWORD, Tracker, eventually, inWorld } from "./world.mjs";

const pictures = fileURLToPath(new URL("../../build/test/browser", import.meta.url));

/** A second tracker, and a proxy with a name for each; they end with the test. */
async function behindProxy(t, world, scenario) {
  const second = new Tracker(join(world.folder, "second"));
  try {
    await second.start();
    const host = (name, tracker) => `host "${name}" {\n  proxy_pass ${tracker.url};\n  health_check path=/healthz interval=500ms;\n}\n`;
    const proxy = await startProxy(t, host("one.test", world.tracker) + host("two.test", second));
    const base = (name) => `http://${name}:${proxy.port}`;
    await scenario({ proxy, second, one: base("one.test"), two: base("two.test") });
  } finally {
    await second.kill();
  }
}

/** The pages as they look then, for people to see. */
async function picture(name, tab) {
  mkdirSync(pictures, { recursive: true });
  await tab.page.screenshot({ path: join(pictures, `proxy-${name}.png`) });
}

const tunnels = (proxy, tracker) => figure(proxy, "weaprous_proxy_upstream_active_requests", `:${tracker.port}"`);

test("two trackers by two names behind one proxy: people of one see each other and write, and nobody of the other", (t) =>
  inWorld(t, (world) =>
    behindProxy(t, world, async ({ proxy, second, one, two }) => {
      // Without direct links what they write goes page, proxy, tracker, proxy, page.
      const an = await world.register("An", { base: one, direct: false });
      const binh = await world.register("Bình", { base: one, direct: false });
      const other = await world.register("An", { base: two }); // the name is free there
      await Promise.all([an.linked("Bình", "via relay"), binh.linked("An", "via relay")]);
      await an.say("Chào Bình, through the proxy 👋");
      await binh.seesVia("Chào Bình, through the proxy 👋", /via relay/);
      await binh.say("and back");
      await an.seesVia("and back", /via relay/);
      await an.marked("Chào Bình, through the proxy 👋", "delivered");
      await other.say("only here");
      await other.marked("only here", "handed");
      for (const tab of [an, binh]) assert.deepEqual(await tab.texts(), ["Chào Bình, through the proxy 👋", "and back"]);
      assert.deepEqual(await other.texts(), ["only here"]);
      assert.deepEqual((await an.members()).map(({ account }) => account).sort(), ["An", "Bình"]);
      assert.deepEqual([await tunnels(proxy, world.tracker), await tunnels(proxy, second)], [2, 1], "each page's WebSocket goes through the proxy");
      await picture("chat", an);
    }),
  ));

test("a tracker is killed behind the proxy and comes back: the open page finds it again, and nothing is lost", (t) =>
  inWorld(t, (world) =>
    behindProxy(t, world, async ({ proxy, one }) => {
      const an = await world.register("An", { base: one, direct: false });
      const binh = await world.register("Binh", { base: one, direct: false });
      await Promise.all([an.linked("Binh", "via relay"), binh.linked("An", "via relay")]);
      await an.say("before");
      await binh.sees("before");

      await world.tracker.kill();
      await eventually(async () => assert.doesNotMatch((await an.page.locator(".pill").innerText()).trim(), /Online/), 30_000);
      await an.say("while it is away");
      await an.marked("while it is away", "queued");
      const stranger = await world.person("stranger");
      const tab = await stranger.tab("/login", one);
      await eventually(async () => assert.match(await tab.page.locator("body").innerText(), /502|503/), 5000);
      await picture("down", tab);
      assert.equal((await askOnce(proxy, request("GET", "/healthz", "two.test"))).status, 200, "the other tracker is not concerned");
      await picture("away", an);

      await world.tracker.start();
      await Promise.all([an.connection("Online", 30_000), binh.connection("Online", 30_000)]);
      await binh.sees("while it is away", 30_000);
      await binh.say("after");
      await an.sees("after", 30_000);
      for (const page of [an, binh]) assert.deepEqual(await page.texts(), ["before", "while it is away", "after"]);
      assert.equal(await tunnels(proxy, world.tracker), 2);
      await tab.page.reload();
      await tab.enter("login", "An", PASSWORD);
      await tab.ready();
      await tab.sees("after", 30_000);
      await picture("back", tab);
    }),
  ));
