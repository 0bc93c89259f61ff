// Two people, two browsers, one tracker: they find each other, write over a direct link, and what the page says
// about each message is true.
import assert from "node:assert/strict";
import { test } from "node:test";
import { PASSWORD, always, eventually, inWorld } from "./world.mjs";

test("two people register, see each other in #general and write both ways over a direct link", (t) =>
  inWorld(t, async (world) => {
    const an = await world.register("An");
    const binh = await world.register("Bình");
    await Promise.all([an.linked("Bình", "direct"), binh.linked("An", "direct")]);
    for (const tab of [an, binh]) assert.match(await tab.page.locator("body").innerText(), /general/);

    await an.say("Chào Bình!");
    assert.equal((await binh.seesVia("Chào Bình!", /direct/)).account, "An");
    await binh.say("Chào An 👋");
    await an.seesVia("Chào An 👋", /direct/);
    assert.deepEqual(await an.texts(), await binh.texts());
  }));

test("the messages do not travel through the tracker: they arrive while it is frozen", (t) =>
  inWorld(t, async (world) => {
    const an = await world.register("An");
    const binh = await world.register("Binh");
    await Promise.all([an.linked("Binh", "direct"), binh.linked("An", "direct")]);
    world.tracker.freeze();
    await an.say("not through the tracker");
    await binh.seesVia("not through the tracker", /direct/, 5000);
    await an.marked("not through the tracker", "delivered", 5000);
    await binh.say("nor back");
    await an.sees("nor back", 5000);
  }));

test("marks: queued on this disk, then with the replica, delivered only when another person's device has it", (t) =>
  inWorld(t, async (world) => {
    const an = await world.register("An");
    await an.connection("Online");
    world.tracker.freeze();
    await an.say("first");
    await an.marked("first", "queued");
    await always(async () => assert.equal((await an.about("first"))[0].mark, "queued"), 1500);
    world.tracker.thaw();
    await an.marked("first", "handed");
    await always(async () => assert.equal((await an.about("first"))[0].mark, "handed"), 1500);
    const binh = await world.register("Binh");
    await binh.sees("first");
    await an.marked("first", "delivered");
  }));

test("somebody who comes later gets the history from the tracker's replica, in the same order", (t) =>
  inWorld(t, async (world) => {
    const an = await world.register("An");
    for (let i = 1; i <= 20; i++) await an.say(`line ${i}`);
    await an.marked("line 20", "handed");
    await an.person.context.close();
    const binh = await world.register("Binh");
    await binh.sees("line 20");
    await binh.sees("line 1");
    const lines = (await binh.texts()).filter((text) => /^line \d+$/.test(text));
    assert.deepEqual(
      lines,
      Array.from({ length: 20 }, (_, i) => `line ${i + 1}`),
    );
    await binh.seesVia("line 7", /tracker/);
  }));

test("markup and control characters in messages and names are text, never page", (t) =>
  inWorld(t, async (world) => {
    const attacks = [
      "<img src=x onerror=\"window.owned='img'\">",
      "<script>window.owned='script'</script>",
      "</div><svg/onload=window.owned='svg'>",
      "javascript:window.owned='link' http://lan.test/\"onmouseover=\"window.owned=1",
      "{{constructor.constructor('window.owned=1')()}} ${window.owned=1}",
      "\u202Egnp.exe\u0000\u0007 end",
    ];
    const an = await world.register("An");
    const binh = await world.register("O.Brien");
    await an.linked("O.Brien", "direct");
    for (const text of attacks.slice(0, 5)) {
      await an.say(text);
      await binh.sees(text);
    }
    await an.say(attacks[5]);
    await eventually(async () => assert.ok((await binh.texts()).some((text) => text.endsWith(" end"))));
    for (const tab of [an, binh]) {
      assert.equal(await tab.page.evaluate(() => window.owned), undefined);
      assert.equal(await tab.page.locator(".messages").locator("img[src=x], script, svg[onload], [onmouseover]").count(), 0);
    }

    for (const name of ["<b>x</b>", "a\u0000b", "Binh\u200b", "a\u202eb", "  An", ""]) {
      const answer = await fetch(`${world.tracker.url}/register`, {
        method: "POST",
        headers: { "content-type": "application/x-www-form-urlencoded", accept: "application/json" },
        body: new URLSearchParams({ username: name, password: PASSWORD }),
      });
      assert.equal(answer.status, 400, `name ${JSON.stringify(name)}`);
      assert.ok((await answer.json()).message.length > 10);
    }
    const person = await world.person("eve");
    const tab = await person.tab("/register");
    await tab.enter("register", "<i>eve</i>", PASSWORD);
    await tab.page.getByRole("alert").first().waitFor();
    assert.notEqual((await tab.page.getByRole("alert").first().innerText()).trim(), "");
    assert.equal(await tab.page.locator("i", { hasText: "eve" }).count(), 0);
  }));

test("a wrong password, a taken name and a logout are said in words", (t) =>
  inWorld(t, async (world) => {
    const an = await world.register("An");
    const stranger = await world.person("stranger");
    const tab = await stranger.tab("/login");
    await tab.enter("login", "An", "not the password");
    await tab.page.getByRole("alert").first().waitFor();
    const again = await stranger.tab("/register");
    await again.enter("register", "An", PASSWORD);
    await again.page.getByRole("alert").first().waitFor();

    await an.inAccount((dialog) => dialog.getByRole("button", { name: "Log out" }).click());
    await an.page.locator('input[name="password"]').waitFor();
    await an.page.goto(world.tracker.url);
    await an.page.locator('input[name="password"]').waitFor();
  }));
