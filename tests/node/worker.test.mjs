// The worker and the tabs in real Chromium: what the page's own tests do not reach (another version, another
// account, storage that goes away, a start without the tracker, several hops, many texts at once).
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { linked, login, openBrowserWorld, sees, send, start, status, texts, until } from "./browser.mjs";

let world;
before(async () => (world = await openBrowserWorld()));
afterEach(async () => {
  world.front.version = "1";
  world.front.reachable = true;
  await world.closePeople();
});
after(() => world.close());

/** A new browser, logged in, with the node open. */
async function open(name, { switches, init } = {}) {
  const context = await world.person(init);
  const page = await world.blank(context);
  if (switches) await page.evaluate((text) => localStorage.setItem("weaprous.test", text), JSON.stringify(switches));
  await login(page, name);
  return start(page);
}
const anotherTab = async (page) => start(await world.blank(page.context()));
const again = async (page) => {
  await page.reload();
  return start(page);
};

test("without a session the node says that one has to log in", async () => {
  const page = await start(await world.blank(await world.person()));
  const { account, connection } = await status(page);
  assert.deepEqual([account, connection.state, connection.reason], ["", "offline", "logged-out"]);
  await login(page, "an");
  await start(page);
  assert.equal((await status(page)).account, "an");
});

test("a worker of another version warns while other tabs use it, and makes room when there are none", async () => {
  const old = await open("an");
  const { device } = await status(old);
  world.front.version = "2";
  const tab = await anotherTab(old);
  assert.equal((await status(tab)).version, "1");
  await until(tab, () => window.events.some(({ name, value }) => name === "warning" && value.code === "VERSION"), null, "the warning");
  await old.close();
  await again(tab);
  const now = await status(tab);
  assert.deepEqual([now.version, now.device], ["2", device]);
  const said = await tab.evaluate(() => window.events.filter(({ name, value }) => name === "connection" && value.state === "offline"));
  assert.deepEqual(said, [], "the page is not told that anybody logged out");
});

test("when somebody else logs in, the other tabs begin anew as that account", async () => {
  const first = await open("an");
  const before = await status(first);
  const second = await world.blank(first.context());
  await login(second, "binh");
  const reloaded = first.waitForEvent("load");
  await start(second, { account: "binh" });
  await reloaded;
  await start(first);
  const [one, two] = [await status(first), await status(second)];
  assert.deepEqual([one.account, one.device], ["binh", two.device]);
  assert.notEqual(one.device, before.device);
});

test("a browser that clears its storage is noticed, and the device is made again", async () => {
  const page = await open("an");
  const { seq } = await send(page, "before");
  const handed = (seq) => window.events.some(({ name, value }) => name === "delivered" && value.seq >= seq);
  await until(page, handed, seq, "handed to the replica");
  const cdp = await page.context().newCDPSession(page);
  const reloaded = page.waitForEvent("load");
  await cdp.send("Storage.clearDataForOrigin", { origin: world.front.url, storageTypes: "indexeddb" });
  await reloaded;
  await start(page);
  await until(page, async () => (await window.node.commands.status()).connection.state === "online", null, "online");
  await until(
    page,
    async () => {
      const { channels } = await window.node.commands.status();
      const { messages } = await window.node.commands.history({ channel: channels[0].id, limit: 100 });
      return messages.some(({ text }) => text === "before");
    },
    null,
    "the message, from the replica",
  );
  assert.equal((await send(page, "after")).mark, "queued");
});

test("started while the tracker is away, one reads and writes; it goes out when the tracker is back", async () => {
  const page = await open("dung");
  await send(page, "earlier");
  const { device } = await status(page);
  world.front.reachable = false;
  world.front.cut();
  await again(page);
  await until(page, async () => (await window.node.commands.status()).account === "dung", null, "the last account");
  assert.equal((await status(page)).device, device);
  assert.ok((await texts(page)).includes("earlier"));
  assert.equal((await send(page, "while it was away")).mark, "queued");
  await until(page, async () => (await window.node.commands.status()).connection.reason === "tracker-unreachable", null, "the pill");
  world.front.reachable = true;
  await until(page, async () => (await window.node.commands.status()).connection.state === "online", null, "online");
  await until(page, () => window.events.some(({ name, value }) => name === "delivered" && value.mark === "handed"), null, "handed");
  await sees(await open("em"), "while it was away");
});

test("many texts at once are kept in order, and reloads in between lose and double nothing", async () => {
  const page = await open("giang");
  const other = await open("hoa");
  await linked(page, "direct");
  const wanted = Array.from({ length: 600 }, (_, i) => `burst ${i}`);
  await page.evaluate(async (all) => {
    const channel = window.first.channels[0].id;
    await Promise.all(all.map((text) => window.node.commands.send({ channel, text })));
  }, wanted);
  for (let i = 0; i < 8; i++) {
    const { channels } = await status(page);
    page.evaluate(([channel, text]) => void window.node.commands.send({ channel, text }).catch(() => {}), [channels[0].id, `reload ${i}`]).catch(() => {});
    await again(page);
  }
  await send(page, "last");
  await sees(other, "last"); // the newest come first: what is missing before them follows
  await until(other, async () => (await window.node.commands.gaps({ channel: window.first.channels[0].id })).length === 0, null, "no gap");
  assert.deepEqual(await texts(other), await texts(page));
  const all = (await texts(page)).filter((text) => text.startsWith("burst"));
  assert.deepEqual(all, wanted.slice(-all.length));
  assert.ok(all.length > 400);
  const warnings = await other.evaluate(() => window.events.filter(({ name }) => name === "warning"));
  assert.deepEqual(warnings, [], "no fork, no false signature");
});

test("test switches: relay only, and a message that takes two hops", async () => {
  const noReplica = { replica: false };
  const ivy = await open("ivy", { switches: { ...noReplica, direct: false, avoid: ["kim"] } });
  const joe = await open("joe", { switches: noReplica });
  await linked(ivy, "relay");
  const kim = await open("kim", { switches: { ...noReplica, avoid: ["ivy"] } });
  await linked(kim, "direct");
  await send(ivy, "by joe's hands");
  assert.equal((await sees(joe, "by joe's hands")).path, "relay");
  const came = await sees(kim, "by joe's hands");
  assert.deepEqual([came.account, came.fromAccount, came.path], ["ivy", "joe", "direct"]);
});

test("a direct conversation is asked for, accepted and sealed, and goes on after a reload", async () => {
  const an = await open("lan");
  const binh = await open("minh");
  await linked(an, "direct");
  const call = (page, name, params) => page.evaluate(([name, params]) => window.node.commands[name](params), [name, params]);
  const session = (page, state) =>
    until(page, (state) => window.events.findLast(({ name, value }) => name === "session" && value.state === state)?.value, state, `a session: ${state}`);
  const { channel } = await call(an, "open", { account: "minh" });
  await call(an, "request", { channel, line: "Have you a minute?" });
  await session(binh, "asking"); // at times before the key of its line is there; then it is told again, with the line
  const asked = await until(binh, () => window.events.findLast(({ name, value }) => name === "session" && value.line)?.value, null, "the line of the question");
  assert.deepEqual([asked.channel, asked.account, asked.line], [channel, "lan", "Have you a minute?"]);
  await call(binh, "accept", { channel, session: asked.session });
  await session(an, "open");
  await call(an, "send", { channel, text: "only for you" });
  assert.equal((await sees(binh, "only for you")).channel, channel);
  await again(binh);
  const stored = async () => (await call(binh, "history", { channel, limit: 50 })).messages.filter(({ kind }) => kind === "text");
  assert.deepEqual((await stored()).map(({ text, locked }) => [text, locked]), [["only for you", undefined]]);
  await linked(binh, "direct");
  await call(binh, "send", { channel, text: "here again" });
  await sees(an, "here again");
  await call(an, "end", { channel, session: asked.session });
  assert.equal((await session(binh, "ended")).reason, "ended");
  assert.ok(!world.stored().includes("only for you"), "the tracker cannot read it");
  const outsider = await open("nam");
  assert.deepEqual((await call(outsider, "history", { channel, limit: 50 })).messages, []);
});
