// The page itself: on a plain http:// name of a LAN, for every reader, in three languages.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";
import { inWorld } from "./world.mjs";

const axeFile = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

test("two people chat on a plain http:// LAN name, where crypto.subtle is missing", (t) =>
  inWorld(t, async (world) => {
    const base = `http://lan.test:${world.tracker.port}`;
    const an = await world.register("An", { base });
    const binh = await world.register("Binh", { base });
    assert.equal(await an.page.evaluate(() => isSecureContext || "subtle" in crypto), false);
    await Promise.all([an.linked("Binh", "direct"), binh.linked("An", "direct")]);
    await an.say("over the LAN");
    await binh.seesVia("over the LAN", /direct/);
    await an.marked("over the LAN", "delivered");
    await an.page.reload();
    await an.ready();
    await an.sees("over the LAN");
  }));

/** What axe says about the page as it stands. */
async function violations(tab) {
  // Through the developer tools: the page's policy forbids foreign scripts, which is right.
  await tab.page.evaluate(readFileSync(axeFile, "utf8"));
  const result = await tab.page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return result.violations.map((rule) => `${rule.id}: ${rule.nodes.map((node) => node.html.slice(0, 120)).join(" | ")}`);
}

/** What can be opened beside the messages. */
function panels(tab, width) {
  const { page } = tab;
  const list = [
    ["message details", () => tab.messages.last().locator(".text").click()],
    ["members", () => (width < 900 ? page.locator(".conversation-head").getByRole("button", { name: "Members" }).click() : null)],
    ["keyboard shortcuts", () => page.keyboard.press("Control+/")],
  ];
  const back = () => (width < 600 ? page.locator("a.back").click() : null); // to the list of conversations
  return [
    ...list,
    ["connection", async () => (await back(), page.locator(".pill").click())],
    ["account", () => page.locator("button.account").click()],
  ];
}

for (const colorScheme of ["light", "dark"])
  for (const width of [1280, 390])
    test(`axe finds nothing on login and chat, ${colorScheme}, ${width} px wide, and nothing is wider than the window`, (t) =>
      inWorld(t, async (world) => {
        const options = { colorScheme, viewport: { width, height: 800 } };
        const visitor = await world.person("visitor", options);
        const login = await visitor.tab("/login");
        await login.page.locator("input[name=password]").waitFor();
        assert.deepEqual(await violations(login), [], "login");
        const an = await world.register("An", options);
        const binh = await world.register("Binh", options);
        await an.say("A message with a long-word-" + "x".repeat(200));
        await binh.sees("A message with a long-word-" + "x".repeat(200));
        await an.say(`and \`code\` with a block\n\`\`\`c\n${"wide ".repeat(60)}\n\`\`\``);
        await an.say("and a short one");
        await binh.sees("and a short one");
        for (const tab of [an, binh]) {
          assert.deepEqual(await violations(tab), [], `chat of ${tab.who}`);
          const wide = await tab.page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
          assert.ok(wide <= 0, `${wide} px wider than the window`);
        }
        for (const [name, open] of panels(an, width)) {
          await open();
          assert.deepEqual(await violations(an), [], name);
          await an.page.keyboard.press("Escape");
        }
      }));

test("the language is the browser's, can be switched to vi and pt, and stays after a reload", (t) =>
  inWorld(t, async (world) => {
    const an = await world.register("An");
    const words = async () => (await an.page.locator("body").innerText()) + (await an.composer.getAttribute("placeholder"));
    const seen = { en: await words() };
    assert.equal(await an.page.locator("html").getAttribute("lang"), "en");
    for (const language of ["vi", "pt"]) {
      await an.page.locator("button.account").click();
      await an.page.locator("dialog[open] select").selectOption(language);
      await an.page.keyboard.press("Escape");
      await an.page.locator(`html[lang="${language}"]`).waitFor();
      seen[language] = await words();
    }
    assert.equal(new Set(Object.values(seen)).size, 3);
    await an.page.reload();
    await an.ready();
    await an.page.locator('html[lang="pt"]').waitFor();

    const vi = await world.person("Vy", { locale: "vi-VN" });
    const tab = await vi.tab("/login");
    await tab.page.locator('html[lang="vi"]').waitFor();
    assert.match(await tab.page.locator("body").innerText(), /đăng/i);
  }));

test("the login works by keyboard alone, and Shift+Enter makes a line", (t) =>
  inWorld(t, async (world) => {
    const person = await world.person("An");
    const tab = await person.tab("/register");
    const { keyboard } = tab.page;
    await tab.page.getByLabel("Name").waitFor();
    await keyboard.type("An"); // the first field has the focus
    await keyboard.press("Tab");
    await keyboard.type("a long enough password");
    const create = tab.page.getByRole("button", { name: "Create account" });
    for (let i = 0; i < 5 && !(await create.evaluate((button) => button === document.activeElement)); i++) await keyboard.press("Tab");
    await keyboard.press("Enter");
    await tab.ready();
    await tab.composer.focus();
    await tab.page.keyboard.type("two");
    await tab.page.keyboard.press("Shift+Enter");
    await tab.page.keyboard.type("lines");
    await tab.page.keyboard.press("Enter");
    await tab.sees("two\nlines");
  }));

test("code keeps its lines and spaces, is copied whole, and Enter inside an open block makes a line", (t) =>
  inWorld(t, async (world) => {
    const an = await world.register("An");
    const binh = await world.register("Binh", { base: `http://lan.test:${world.tracker.port}` });
    const code = 'if (a < b)  {\n\treturn "<b>x</b>";   // **so**\n\n}';
    await an.composer.fill("see `a  <i>b</i>` **now**\n```c");
    await an.composer.press("Enter");
    assert.equal(await an.composer.inputValue(), "see `a  <i>b</i>` **now**\n```c\n");
    await an.say(`see \`a  <i>b</i>\` **now**\n\`\`\`c\n${code}\n\`\`\``);
    const text = binh.messages.locator(".text");
    await text.locator("pre").waitFor();
    assert.equal(await text.locator("pre").textContent(), code);
    assert.equal(await text.locator("pre").innerText(), code, "the lines are drawn as lines");
    assert.equal(await text.locator("code").first().textContent(), "a  <i>b</i>");
    assert.equal(await text.locator("strong").textContent(), "now");
    assert.equal(await text.locator("i, b").count(), 0);
    await text.locator("pre").hover();
    await text.getByRole("button", { name: "Copy code" }).click();
    await text.getByRole("button", { name: "Copied" }).waitFor();
    await binh.composer.focus();
    await binh.page.keyboard.press("Control+v");
    assert.equal(await binh.composer.inputValue(), code);
  }));

test("on a phone the list of conversations shows the draft that waits, and the members' panel has the invite link", (t) =>
  inWorld(t, async (world) => {
    const an = await world.register("An", { viewport: { width: 390, height: 844 } });
    await an.composer.fill("half a sentence");
    await an.page.locator("a.back").click();
    const row = an.page.locator(".channel-row");
    await row.getByText("half a sentence").waitFor();
    assert.equal(await row.getAttribute("aria-current"), null, "no conversation is open");
    await row.click();
    assert.equal(await an.composer.inputValue(), "half a sentence");
    await an.page.locator(".conversation-head").getByRole("button", { name: "Members" }).click();
    await an.page.getByRole("button", { name: "Copy invite link" }).click();
    await an.page.getByRole("button", { name: "Copied" }).waitFor();
    await an.page.keyboard.press("Escape");
    await an.composer.fill("");
    await an.composer.focus();
    await an.page.keyboard.press("Control+v");
    assert.equal(await an.composer.inputValue(), `${world.tracker.url}/#/c/general`);
  }));

test("an empty room says who is here, who is awaited, and does not guess when there is no tracker to ask", (t) =>
  inWorld(t, async (world) => {
    const an = await world.register("An");
    const empty = an.page.locator(".empty h2");
    const head = an.page.locator(".conversation-head .faint");
    const says = async (locator, words) => locator.filter({ hasText: words }).waitFor();
    await says(empty, "Nobody else is here yet");
    const binh = await world.register("Binh");
    await says(empty, "Binh is here");
    await says(head, "1 other person here");
    await binh.page.close();
    await says(empty, "Nobody else is here yet");
    await says(head, "Nobody else is here");
    await world.tracker.kill();
    await an.connection("Offline", 30_000);
    await says(empty, "Nobody is connected to you");
    await says(head, "Nobody is connected to you");
    await an.say("first");
    await empty.waitFor({ state: "detached" });
  }));

test("writing a long text keeps the end of the messages in view", (t) =>
  inWorld(t, async (world) => {
    const an = await world.register("An", { viewport: { width: 1280, height: 800 } });
    for (let i = 1; i <= 25; i++) await an.say(`message ${i}`);
    const nextFrame = () => an.page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
    for (let i = 0; i < 9; i++) {
      await an.composer.press("Shift+Enter");
      await an.page.keyboard.type("line");
      await nextFrame();
    }
    const bottom = (selector) => an.page.locator(selector).last().evaluate((element) => element.getBoundingClientRect().bottom);
    assert.ok((await bottom("article.message .bubble")) <= (await bottom(".scroller")), "the last message is above the composer");
    assert.equal(await an.page.locator(".jump").count(), 0, "nothing to jump to");
  }));

test("what somebody else writes leaves a reader's place alone, what the reader writes is shown", (t) =>
  inWorld(t, async (world) => {
    const an = await world.register("An", { viewport: { width: 1280, height: 800 } });
    const binh = await world.register("Binh");
    for (let i = 1; i <= 60; i++) await an.say(`message ${i}`);
    await binh.sees("message 60");
    await an.sees("message 60");
    await an.page.locator(".scroller").evaluate((scroller) => (scroller.scrollTop = scroller.scrollHeight / 2));
    const jump = an.page.locator(".jump");
    await jump.waitFor();
    const place = () =>
      an.messages.evaluateAll((rows) => {
        const row = rows.find((one) => one.getBoundingClientRect().top > 200);
        return `${row.querySelector(".text").textContent} at ${Math.round(row.getBoundingClientRect().top)}`;
      });
    const before = await place();
    await binh.say("from below");
    await jump.filter({ hasText: "1 new message" }).waitFor();
    assert.equal(await place(), before);
    await an.say("mine");
    await an.sees("mine");
    await jump.waitFor({ state: "detached" });
    assert.equal((await an.texts()).at(-1), "mine");
  }));
