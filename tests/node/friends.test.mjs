// What the tracker says of other people reaches the core: relations, certificates, introductions, ways through NATs.
import assert from "node:assert/strict";
import { test } from "node:test";
import { loadModules } from "./load.mjs";
import { createClock } from "./world.mjs";

const { createFriends } = await loadModules("friends");

function scene({ answers = {}, relations = [], partners = [] } = {}) {
  const clock = createClock();
  const asked = [];
  const log = [];
  const known = new Map(relations);
  const friends = createFriends({
    clock,
    async ask(type, fields) {
      asked.push([type, fields]);
      const answer = answers[type];
      if (!answer) throw new Error("refused");
      return typeof answer === "function" ? answer(fields) : answer;
    },
    relations: () => known,
    relate(account, relation) {
      known.set(account, relation);
      log.push(["relate", account, relation]);
    },
    partners: () => partners,
    certificate: (bytes) => log.push(["certificate", [...bytes]]),
    introduced: (...args) => log.push(["introduced", ...args]),
  });
  return { clock, asked, log, known, friends };
}

test("the tracker's word about friends is taken over, and what it does not say is over", async () => {
  const list = [{ account: "binh", state: "friend" }, { account: "mallory", state: "blocked" }, { account: "carol", state: "asked" }];
  const { friends, clock, known } = scene({ answers: { friends: { friends: list } }, relations: [["dora", "friend"], ["carol", "friend"]] });
  friends.online();
  await clock.pass(0);
  assert.deepEqual(Object.fromEntries(known), { dora: "none", carol: "none", binh: "friend", mallory: "blocked" });
  friends.news({ type: "friend", account: "carol", state: "friend" });
  friends.news({ type: "friend", account: "binh", state: "asking" });
  friends.news({ type: "channel", account: "mallory", state: "friend" });
  assert.deepEqual(Object.fromEntries(known), { dora: "none", carol: "friend", binh: "none", mallory: "blocked" });
});

test("without an answer nothing changes", async () => {
  const { friends, clock, log } = scene({ relations: [["dora", "friend"]], partners: ["dora"] });
  friends.online();
  await clock.pass(0);
  assert.deepEqual(log, []);
});

test("certificates of all devices of a partner, page by page", async () => {
  const pages = { "": { devices: [{ device: "aa", certificate: "01" }, { device: "bb", certificate: "02" }], more: true }, bb: { devices: [{ device: "cc", certificate: "03" }], more: false } };
  const { friends, clock, log, asked } = scene({ answers: { "devices-of": ({ after = "" }) => pages[after], session: {} }, partners: ["binh"] });
  friends.online();
  await clock.pass(0);
  assert.deepEqual(log, [["certificate", [1]], ["certificate", [2]], ["certificate", [3]]]);
  asked.length = 0;
  friends.session({ account: "an", state: "asked" });
  friends.session({ account: "an", state: "ended" });
  friends.session({ account: "eve", state: "asking" });
  await clock.pass(0);
  assert.deepEqual(asked.filter(([type]) => type === "session").map(([, fields]) => fields), [{ account: "an", open: true }, { account: "an", open: false }], "who is asked is not shown before the answer");
});

test("an introduction names devices and where they are", () => {
  const { friends, log } = scene();
  friends.news({ type: "introduction", channel: "ch", online: 900, devices: [{ device: "dd", account: "dora" }] });
  assert.deepEqual(log, [["introduced", "ch", "dd", "dora"]]);
});

test("TURN credentials are renewed before they end", async () => {
  const answer = { ice_servers: [{ urls: ["turn:host"], username: "u", credential: "c" }], ttl_s: 21600 };
  const { friends, clock, asked } = scene({ answers: { "ice-servers": answer } });
  const count = () => asked.filter(([type]) => type === "ice-servers").length;
  assert.deepEqual(friends.ice(), []);
  friends.online();
  await clock.pass(0);
  assert.deepEqual(friends.ice(), answer.ice_servers);
  await clock.pass(21_600_000 * 0.74);
  assert.equal(count(), 1);
  await clock.pass(21_600_000 * 0.02);
  assert.equal(count(), 2);
  friends.stop();
  await clock.pass(21_600_000);
  assert.equal(count(), 2);
});
