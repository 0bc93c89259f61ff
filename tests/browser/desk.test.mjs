// The pages beside the conversations: friends, channels, the account, administration, and the links that lead to them.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";
import { PASSWORD, eventually, inWorld } from "./world.mjs";

const axeFile = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

async function open(tab, page) {
  await tab.page.evaluate((hash) => (location.hash = hash), `#/desk/${page}`);
  await tab.page.getByTestId(`desk-${page.split("/")[0]}`).waitFor();
}

/** RFC 6238, as the app on the phone does it. */
function totp(secret, step = Math.floor(Date.now() / 30_000)) {
  const bits = [...secret.replaceAll(/[\s=]/g, "")].map((letter) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const hash = createHmac("sha1", key).update(counter).digest();
  const at = hash[19] & 15;
  return String((hash.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

test("two people become friends, and one of them thinks better of it", (t) =>
  inWorld(t, async (world) => {
    const an = await world.register("An");
    const binh = await world.register("Binh");
    await open(an, "friends");
    await open(binh, "friends");
    await an.page.getByLabel("Name", { exact: true }).fill("nobody-here");
    await an.page.getByRole("button", { name: "Ask to be friends" }).click();
    await an.page.getByRole("alert").getByText("There is nobody").waitFor();
    await an.page.getByLabel("Name", { exact: true }).fill("binh");
    await an.page.getByLabel("A line").fill("From the class on Monday");
    await an.page.getByRole("button", { name: "Ask to be friends" }).click();

    const asking = binh.page.getByTestId("friends-asking");
    await asking.getByText("From the class on Monday").waitFor();
    await asking.getByRole("button", { name: "Accept" }).click();
    await an.page.getByTestId("friends-list").getByText("1 friend", { exact: true }).waitFor();
    await an.page.getByTestId("friends-list").getByText("Here now").waitFor();

    await binh.page.getByTestId("friend-An").getByRole("button", { name: "Block" }).click();
    await binh.page.getByRole("dialog").getByRole("button", { name: "Block" }).click();
    await binh.page.getByText("1 blocked person").waitFor();
    await an.page.getByTestId("friends-list").getByText("0 friends").waitFor();
  }));

test("somebody is asked for a conversation, which then is between two people only", (t) =>
  inWorld(t, async (world) => {
    const an = await world.register("An");
    const binh = await world.register("Binh");
    const chi = await world.register("Chi");
    await an.linked("Binh", "direct");
    await an.page.getByRole("button", { name: "Write to Binh" }).click();
    await an.page.getByLabel("A line to go with it").fill("Have you a minute?");
    await an.page.getByRole("button", { name: "Ask to talk" }).click();
    await an.page.getByTestId("session").getByText("Waiting for Binh").waitFor();

    await binh.page.getByRole("link", { name: /^An/ }).click();
    await binh.page.getByTestId("session").getByText("Have you a minute?").waitFor();
    await binh.page.getByRole("button", { name: "Accept" }).click();
    await an.say("only for you");
    await binh.sees("only for you");
    await binh.say("and for you");
    await an.sees("and for you");
    await an.marked("only for you", "delivered");
    assert.equal(await chi.page.getByText("Direct", { exact: true }).count(), 0);
    await an.page.reload();
    await an.sees("and for you");
  }));

test("a channel is made, found, joined by its password and moderated", (t) =>
  inWorld(t, async (world) => {
    const an = await world.register("An");
    const binh = await world.register("Binh");
    await open(an, "channels");
    await an.page.getByTestId("channel-new").click();
    const form = an.page.getByTestId("channel-create");
    await form.getByLabel("Name").fill("reading");
    await form.getByLabel("Topic").fill("What we read");
    await form.getByLabel(/by password/).check();
    await form.getByLabel("Password", { exact: true }).fill("open sesame");
    await form.getByRole("button", { name: "Create channel" }).click();
    await an.page.getByRole("heading", { name: "reading" }).waitFor();

    await open(binh, "channels");
    const row = binh.page.getByTestId("room-reading");
    await row.getByText("What we read").waitFor();
    await row.getByRole("button", { name: "Join" }).click();
    const dialog = binh.page.getByRole("dialog");
    await dialog.getByLabel("Password").fill("open barley");
    await dialog.getByRole("button", { name: "Join" }).click();
    await dialog.getByRole("alert").waitFor();
    await dialog.getByLabel("Password").fill("open sesame");
    await dialog.getByRole("button", { name: "Join" }).click();
    await row.getByRole("button", { name: "Leave" }).waitFor();

    await open(an, "room/reading");
    const person = an.page.getByTestId("person-Binh");
    await person.getByRole("button", { name: "Make moderator" }).click();
    await person.getByText("moderator", { exact: false }).first().waitFor();
    await person.getByRole("button", { name: "Ban" }).click();
    await an.page.getByRole("dialog").getByRole("button", { name: "Ban" }).click();
    await an.page.getByTestId("room-banned").getByTestId("person-Binh").waitFor();
    await row.getByText("you are banned").waitFor();
  }));

test("search, mentions, reading later and hiding: each where it is looked for, on all devices of a person", (t) =>
  inWorld(t, async (world) => {
    const an = await world.register("An");
    const binh = await world.register("Binh");
    await open(an, "channels");
    await an.page.getByTestId("channel-new").click();
    const form = an.page.getByTestId("channel-create");
    await form.getByLabel("Name").fill("garden");
    await form.getByRole("button", { name: "Create channel" }).click();
    await an.page.getByRole("heading", { name: "garden" }).waitFor();
    await open(binh, "channels");
    await binh.page.getByTestId("room-garden").getByRole("button", { name: "Join" }).click();
    await binh.page.getByTestId("room-garden").getByRole("button", { name: "Leave" }).waitFor();
    await binh.page.evaluate(() => (location.hash = "#/c/garden"));
    await binh.say("Anyone for \u0111\u1eadu ph\u1ee5 today?");
    for (let i = 0; i < 3; i++) await binh.say(`line ${i}`);
    await binh.say("Ask @An about it");
    await an.page.evaluate(() => (location.hash = "#/c/garden"));
    await an.sees("Ask @An about it");

    await an.page.keyboard.press("Control+Shift+KeyF");
    await an.page.getByRole("searchbox").fill("dau phu");
    const hit = an.page.getByTestId("search-hits").getByRole("link");
    await hit.getByText("today").waitFor();
    await an.page.getByRole("button", { name: "Ask the server, too" }).click();
    assert.equal(await hit.count(), 1);
    await hit.click();
    await eventually(async () => assert.match(await an.page.evaluate(() => document.activeElement?.textContent ?? ""), /today/));

    await an.page.keyboard.press("Control+Shift+KeyM");
    await an.page.getByTestId("mentions-list").getByText("Ask @An about it").waitFor();
    await an.page.getByTestId("mentions-list").getByRole("link").first().click();
    await an.sees("Ask @An about it");

    await an.messages.filter({ hasText: "line 1" }).click();
    await an.page.getByRole("button", { name: "Hide for everybody" }).click();
    await binh.page.getByText("An hid messages of Binh").waitFor();
    await binh.sees("A moderator has hidden this message.");
    assert.deepEqual((await binh.texts()).filter((text) => text === "line 1"), []);
    await an.page.getByRole("button", { name: "Show again" }).click();
    await binh.sees("line 1");

    const second = await (await world.person("An")).tab("/login");
    await second.page.getByLabel("Name").fill("An");
    await second.page.getByLabel("Password", { exact: true }).fill(PASSWORD);
    await second.page.getByRole("button", { name: "Log in" }).click();
    await second.ready();
    await open(second, "account");
    await an.messages.filter({ hasText: "line 2" }).click();
    await an.page.getByRole("button", { name: "Mark as unread" }).click();
    await second.page.getByRole("link", { name: /garden/ }).getByRole("img", { name: "2 unread messages" }).waitFor();
    await second.page.getByRole("link", { name: /garden/ }).click();
    await second.sees("Ask @An about it");
    await open(an, "account");
    await an.page.getByRole("link", { name: /garden/ }).getByRole("img", { name: /unread/ }).waitFor({ state: "detached" });

    await an.page.getByRole("switch", { name: /^Invisible/ }).click();
    await eventually(async () => assert.equal(await an.page.getByRole("switch", { name: /^Invisible/ }).isChecked(), true));
  }));

test("the second step of logging in, from its key to a login with it", (t) =>
  inWorld(t, async (world) => {
    const an = await world.register("An");
    await open(an, "account");
    const part = an.page.getByTestId("totp");
    await part.getByLabel("Your password now").fill(PASSWORD);
    await part.getByRole("button", { name: "Set it up" }).click();
    const secret = await part.locator("code").innerText();
    const step = Math.floor(Date.now() / 30_000);
    await part.getByLabel("Code of the app").fill(totp(secret, step));
    await part.getByRole("button", { name: "Switch it on" }).click();
    const codes = (await part.locator("pre").innerText()).trim().split("\n");
    assert.equal(codes.length, 10);

    const other = await (await world.person("An")).tab("/login");
    await other.page.getByLabel("Name").fill("An");
    await other.page.getByLabel("Password", { exact: true }).fill(PASSWORD);
    await other.page.getByRole("button", { name: "Log in" }).click();
    await other.page.getByLabel("Code").fill("000000");
    await other.page.getByRole("button", { name: "Log in" }).click();
    await other.page.getByRole("alert").getByText("The code is wrong").waitFor();
    await other.page.getByLabel("Code").fill(codes[3]);
    await other.page.getByRole("button", { name: "Log in" }).click();
    await other.ready();
    await an.page.reload();
    await an.page.getByText("9 recovery codes are left").waitFor();
    await an.page.getByTestId("devices").getByText("2 devices").waitFor();
  }));

test("the link of the first start makes the administrator, who sees people and the log", (t) =>
  inWorld(t, async (world) => {
    const link = /\/admin\?ticket=[0-9a-f]+/.exec(world.tracker.output)?.[0];
    assert.ok(link, "the start prints the link");
    await world.register("Binh");
    const person = await world.person("An");
    const an = await person.tab(link);
    await an.page.getByLabel("Name").fill("An");
    await an.page.getByLabel("Password", { exact: true }).fill(PASSWORD);
    await an.page.getByRole("button", { name: "Create account" }).click();
    await an.ready();
    await an.page.getByTestId("account").click();
    await an.page.getByTestId("way-admin").click();
    await an.page.getByTestId("admin-server").getByText("accounts", { exact: true }).waitFor();
    await an.page.getByTestId("admin-rates").getByText("messages").waitFor();
    await an.page.getByLabel("Channels", { exact: true }).check();
    await an.page.getByTestId("room-general").getByText(/^open ·/).waitFor();
    await an.page.getByLabel("People").check();
    await an.page.getByTestId("user-Binh").getByRole("button", { name: "Open" }).click();
    await an.page.getByRole("dialog").getByRole("button", { name: "Switch off" }).click();
    await an.page.getByRole("dialog", { name: "Are you sure?" }).getByRole("button", { name: "Switch off" }).click();
    await an.page.getByRole("dialog").getByRole("button", { name: "Switch on again" }).waitFor();
    await an.page.keyboard.press("Escape");
    await an.page.getByLabel("Log", { exact: true }).check();
    await an.page.getByTestId("admin-audit").getByText("account-disable").waitFor();
  }));

test("axe finds nothing wrong with these pages, wide and narrow, light and dark", (t) =>
  inWorld(t, async (world) => {
    const an = await world.register("An");
    for (const [width, colorScheme] of [[1280, "light"], [390, "dark"]]) {
      await an.page.setViewportSize({ width, height: 900 });
      await an.page.emulateMedia({ colorScheme });
      for (const page of ["friends", "channels", "room/general", "search/general", "mentions", "account"]) {
        await open(an, page);
        await eventually(async () => assert.equal(await an.page.getByText("Asking the server").count(), 0));
        await an.page.evaluate(readFileSync(axeFile, "utf8"));
        const { violations } = await an.page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
        assert.deepEqual(violations.map((rule) => `${page}: ${rule.id}: ${rule.nodes[0].html.slice(0, 160)}`), []);
      }
    }
  }));
