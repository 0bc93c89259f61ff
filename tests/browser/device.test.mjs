// One browser is one device: over reloads, restarts, and several tabs.
import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { PASSWORD, eventually, inWorld } from "./world.mjs";

test("a reload keeps the device, the history and the marks", (t) =>
  inWorld(t, async (world) => {
    const an = await world.register("An");
    const binh = await world.register("Binh");
    await an.linked("Binh", "direct");
    await an.say("mine");
    await binh.say("theirs");
    await an.sees("theirs");
    await an.marked("mine", "delivered");
    const device = await an.device();
    const texts = await an.texts();
    assert.ok(device.length >= 8, device);

    await an.page.reload();
    await an.ready();
    await eventually(async () => assert.deepEqual(await an.texts(), texts));
    assert.equal(await an.device(), device);
    await an.marked("mine", "delivered");
    await an.linked("Binh", "direct", 30_000);
    await an.say("after the reload");
    await binh.sees("after the reload");
    await binh.oneDevice("An");
  }));

test("the history is on this browser's own disk: it is there when the tracker has forgotten it, and fills it again", (t) =>
  inWorld(t, async (world) => {
    const profile = mkdtempSync(join(world.folder, "profile-"));
    const an = await world.register("An", { profile });
    for (const text of ["one", "two", "three"]) await an.say(text);
    await an.marked("three", "handed");
    await an.person.context.close();
    await world.tracker.end("SIGTERM");
    world.tracker.forgetEntries();
    await world.tracker.start();

    const again = await world.person("An", { profile });
    const tab = await again.tab();
    await tab.ready();
    await eventually(async () => assert.deepEqual(await tab.texts(), ["one", "two", "three"]));
    await tab.connection("Online");
    const binh = await world.register("Binh", { direct: false });
    await eventually(async () => assert.deepEqual(await binh.texts(), ["one", "two", "three"]));
  }));

test("a second browser is another device of the same account, and gets what the first wrote", (t) =>
  inWorld(t, async (world) => {
    const an = await world.register("An");
    await an.say("from the desk");
    await an.marked("from the desk", "handed");
    const phone = await world.login("An", { viewport: { width: 390, height: 2000 } });
    await phone.sees("from the desk");
    const binh = await world.register("Binh");
    await eventually(async () => assert.match((await binh.member("An"))[0].devices, /2 devices/));
    await phone.say("from the phone");
    for (const tab of [an, binh]) assert.equal((await tab.sees("from the phone")).account, "An");
    await phone.marked("from the phone", "delivered");
  }));

test("closing the browser and coming back keeps identity, history and login", (t) =>
  inWorld(t, async (world) => {
    const profile = mkdtempSync(join(world.folder, "profile-"));
    const an = await world.register("An", { profile });
    await an.say("remember me");
    await an.marked("remember me", "handed");
    const device = await an.device();
    await an.person.context.close();

    const again = await world.person("An", { profile });
    const tab = await again.tab();
    await tab.ready();
    await tab.sees("remember me");
    assert.equal(await tab.device(), device);
    await tab.say("back again");
    await tab.marked("back again", "handed");
    const binh = await world.register("Binh");
    await binh.sees("remember me");
    await binh.sees("back again");
    await binh.oneDevice("An");
  }));

test("two tabs are one device; when the tab that owns WebRTC closes, the other takes over", (t) =>
  inWorld(t, async (world) => {
    const an = await world.register("An");
    const binh = await world.register("Binh");
    await Promise.all([an.linked("Binh", "direct"), binh.linked("An", "direct")]);
    const second = await an.person.tab();
    await second.ready();
    assert.equal(await second.device(), await an.device());
    await binh.oneDevice("An");

    await an.say("first tab");
    await second.say("second tab");
    for (const tab of [an, second, binh]) {
      await tab.sees("first tab");
      await tab.sees("second tab");
    }
    await binh.say("to both");
    for (const tab of [an, second]) await tab.sees("to both");

    await an.page.close();
    await Promise.all([second.linked("Binh", "direct", 40_000), binh.linked("An", "direct", 40_000)]);
    world.tracker.freeze(); // so that it cannot have come another way
    await second.say("from the tab that is left");
    await binh.seesVia("from the tab that is left", /direct/);
    await binh.say("and to it");
    await second.sees("and to it");
    world.tracker.thaw();
    await binh.oneDevice("An");
  }));

test("without SharedWorker a second tab says so, writes nothing, and takes over when the first closes", (t) =>
  inWorld(t, async (world) => {
    const an = await world.register("An", { init: () => delete window.SharedWorker });
    await an.say("in the first tab");
    await an.marked("in the first tab", "handed");
    const device = await an.device();
    const second = await an.person.tab();
    await second.page.getByText(/already open in another tab/).waitFor();
    assert.equal(await second.composer.count(), 0, "nothing can be written in the second tab");

    await an.page.close();
    await second.ready(30_000);
    await second.sees("in the first tab");
    assert.equal(await second.device(), device);
    await second.say("in the second tab");
    await second.marked("in the second tab", "handed");
  }));

test("a device that was logged out for good begins again as a new one at its next login, and gets the history anew", (t) =>
  inWorld(t, async (world) => {
    const an = await world.register("An");
    await an.say("from the desk");
    const phone = await world.login("An");
    await phone.sees("from the desk");
    const device = await phone.device();
    const call = (tab, type, fields = {}) =>
      tab.page.evaluate(
        async ([path, body]) => (await fetch(path, { method: "POST", body, headers: { Accept: "application/json" } })).json(),
        [`/call/${type}`, JSON.stringify(fields)],
      );
    const { sessions } = await call(phone, "account-sessions");
    const lost = sessions.find(({ current }) => current).device;
    assert.equal((await call(an, "device-end", { device: lost })).status, "success");
    await eventually(async () => assert.equal((await call(phone, "account")).status, "error"));

    await phone.page.goto(`${world.tracker.url}/login`);
    await phone.enter("login", "An", PASSWORD);
    await phone.ready();
    await eventually(async () => assert.notEqual(await phone.device(), device));
    await phone.connection("Online");
    await phone.sees("from the desk");
    await phone.say("from the new key");
    await an.sees("from the new key");
    const { devices } = await call(an, "account-sessions");
    assert.equal(devices.length, 2);
    assert.ok(!devices.some(({ device: id }) => id === lost));
  }));
