// Friends, who is told what, and who may see whom, against the real program.
import assert from "node:assert/strict";
import { test } from "node:test";
import { decode } from "cborg";
import { ask, newDevice, online, post, register, signatureIsGood, startTracker } from "./tracker-kit.mjs";

/** A tracker with some people online; `call` asks over HTTP. */
async function people(t, names, options) {
  const tracker = await startTracker(t, options);
  const found = { tracker };
  for (const name of names) {
    const cookie = await register(tracker, name);
    const call = async (type, fields = {}) => (await post(tracker, `/call/${type}`, fields, { headers: { Cookie: cookie } })).json;
    found[name] = { name, cookie, call, ...(await online(t, tracker, cookie, { label: `${name}'s browser` })) };
  }
  return found;
}

const news = (account, state) => (message) => message.type === "friend" && message.account === account && message.state === state;
const standing = async ({ socket }, account) =>
  (await socket.ask("friends")).friends.find((row) => row.account === account)?.state ?? "none";
async function settled({ socket }) {
  await socket.ask("ping");
  return socket.seen.filter((message) => message.type === "friend");
}

test("a request comes at once on all sockets, with its line; accepted, both are friends", async (t) => {
  const { tracker, an, binh } = await people(t, ["an", "binh"]);
  const second = await online(t, tracker, binh.cookie);
  const answer = await an.socket.ask("friend-ask", { account: "Binh", line: "Từ lớp 4A?" });
  assert.deepEqual([answer.status, answer.account, answer.state], ["success", "binh", "asked"]);
  for (const { socket } of [binh, second]) {
    const asking = await socket.next(news("an", "asking"));
    assert.equal(asking.line, "Từ lớp 4A?");
    assert.ok(Math.abs(asking.since_ms - Date.now()) < 5000);
  }
  await an.socket.next(news("binh", "asked"), "the asker's own sockets are told, too");
  assert.equal(await standing(an, "binh"), "asked");
  assert.equal(await standing(binh, "an"), "asking");

  assert.equal((await binh.call("friend-accept", { account: "an" })).state, "friend");
  for (const { socket } of [binh, second]) await socket.next(news("an", "friend"));
  await an.socket.next(news("binh", "friend"));
  assert.equal(await standing(an, "binh"), "friend");
  assert.equal(await standing(binh, "an"), "friend");
  const again = await an.socket.ask("friend-ask", { account: "binh" });
  assert.deepEqual([again.code, /friends already/.test(again.message)], [409, true]);
});

test("two requests that cross are a friendship", async (t) => {
  const { an, binh } = await people(t, ["an", "binh"]);
  assert.equal((await an.socket.ask("friend-ask", { account: "binh" })).state, "asked");
  assert.equal((await binh.socket.ask("friend-ask", { account: "an", line: "hello" })).state, "friend");
  await an.socket.next(news("binh", "friend"));
  await binh.socket.next(news("an", "friend"));
  assert.equal(await standing(an, "binh"), "friend");
  assert.equal(await standing(binh, "an"), "friend");
});

test("both at the same moment, too, whichever way the answers go", async (t) => {
  const { an, binh } = await people(t, ["an", "binh"]);
  for (let round = 0; round < 10; round++) {
    await Promise.all([an.socket.ask("friend-ask", { account: "binh" }), binh.socket.ask("friend-ask", { account: "an" })]);
    assert.deepEqual([await standing(an, "binh"), await standing(binh, "an")], ["friend", "friend"]);
    assert.equal((await an.socket.ask("friend-remove", { account: "binh" })).state, "none");
    assert.deepEqual([await standing(an, "binh"), await standing(binh, "an")], ["none", "none"]);
  }
});

test("a request can be declined and taken back; a friend can be removed; each time both are told", async (t) => {
  const { an, binh } = await people(t, ["an", "binh"]);
  await an.socket.ask("friend-ask", { account: "binh" });
  assert.equal((await binh.socket.ask("friend-decline", { account: "an" })).status, "success");
  await an.socket.next(news("binh", "none"));
  assert.equal(await standing(an, "binh"), "none");

  await an.socket.ask("friend-ask", { account: "binh" });
  await an.socket.ask("friend-remove", { account: "binh" });
  await binh.socket.next(news("an", "none"));
  assert.equal((await binh.socket.ask("friend-accept", { account: "an" })).code, 404, "a request that was taken back");

  await an.socket.ask("friend-ask", { account: "binh" });
  await binh.socket.ask("friend-accept", { account: "an" });
  await an.socket.next(news("binh", "friend"));
  await binh.socket.ask("friend-remove", { account: "an" });
  await an.socket.next(news("binh", "none"));
  assert.equal(await standing(an, "binh"), "none");
});

test("who is blocked sees a request without an answer, as any other", async (t) => {
  const { an, mallory, carol } = await people(t, ["an", "mallory", "carol"]);
  await an.socket.ask("friend-ask", { account: "mallory" });
  await mallory.socket.ask("friend-accept", { account: "an" });
  await mallory.socket.next(news("an", "friend"));
  assert.equal((await an.socket.ask("block", { account: "mallory" })).state, "blocked");
  await mallory.socket.next(news("an", "none"));
  assert.equal(await standing(mallory, "an"), "none");
  assert.equal(await standing(an, "mallory"), "blocked");
  await settled(an);
  an.socket.seen.length = 0;
  await settled(mallory);
  mallory.socket.seen.length = 0;

  const toBlocker = await mallory.socket.ask("friend-ask", { account: "an", line: "please" });
  const toCarol = await mallory.socket.ask("friend-ask", { account: "carol", line: "please" });
  assert.deepEqual({ ...toBlocker, id: 0, account: "" }, { ...toCarol, id: 0, account: "" });
  await carol.socket.next(news("mallory", "asking"));
  assert.deepEqual(await settled(an), [], "the one who blocks hears nothing");
  const [blocker, other] = (await mallory.socket.ask("friends")).friends;
  assert.deepEqual({ ...blocker, since_ms: 0 }, { ...other, account: "an", since_ms: 0 });
  assert.equal(await standing(an, "mallory"), "blocked", "and sees no request");
  assert.equal((await an.socket.ask("friend-accept", { account: "mallory" })).code, 404);
  assert.equal((await an.socket.ask("friend-decline", { account: "mallory" })).code, 404);
  assert.equal((await an.socket.ask("friend-ask", { account: "mallory" })).code, 409, "unblock first");
  await mallory.socket.ask("friend-remove", { account: "an" });
  assert.deepEqual(await settled(an), [], "not when it is taken back either");

  assert.equal((await an.socket.ask("unblock", { account: "mallory" })).state, "none");
  assert.equal((await an.socket.ask("unblock", { account: "mallory" })).code, 404);
  assert.equal((await mallory.socket.ask("friend-ask", { account: "an" })).state, "asked");
  await an.socket.next(news("mallory", "asking"));
});

test("nobody asks oneself or nobody; open requests are bounded", async (t) => {
  const { tracker, an } = await people(t, ["an"]);
  for (const account of ["an", "AN", "nobody-here"]) assert.equal((await an.socket.ask("friend-ask", { account })).code, 404, account);
  for (const fields of [{}, { account: "" }, { account: 5 }, { account: "a b" }, { account: "x", line: "y".repeat(141) }, { account: "x", line: 5 }])
    assert.equal((await an.socket.ask("friend-ask", fields)).code, 400, JSON.stringify(fields));
  const names = Array.from({ length: 101 }, (_, i) => `p${i}`);
  for (let i = 0; i < names.length; i += 8) await Promise.all(names.slice(i, i + 8).map((name) => register(tracker, name)));
  for (const account of names.slice(1)) assert.equal((await an.socket.ask("friend-ask", { account })).state, "asked");
  assert.equal((await an.socket.ask("friend-ask", { account: "p0" })).code, 409);
  assert.equal((await an.socket.ask("friends")).friends.length, 100, "the one too many was not kept");
  assert.equal((await an.socket.ask("friend-ask", { account: "p5", line: "again" })).state, "asked", "asking again changes nothing");
});

test("the devices of an account, with certificates that the tracker has signed", async (t) => {
  const { tracker, an, binh } = await people(t, ["an", "binh"]);
  await online(t, tracker, binh.cookie, { device: newDevice() });
  const { devices, more } = await an.socket.ask("devices-of", { account: "BINH" });
  assert.equal(devices.length, 2);
  assert.equal(more, false);
  for (const { device, certificate } of devices) {
    const [fields, signature] = decode(Buffer.from(certificate, "hex"));
    assert.ok(signatureIsGood(an.welcome.tracker, "weaprous.certificate.1", fields, signature));
    const [, account, certified] = decode(fields);
    assert.equal(Buffer.from(account).toString(), "binh");
    assert.equal(Buffer.from(certified).toString("hex"), device);
  }
  const [first, second] = devices;
  assert.deepEqual((await an.socket.ask("devices-of", { account: "binh", after: first.device })).devices, [second]);
  assert.equal((await an.socket.ask("devices-of", { account: "nobody-here" })).code, 404);
  await binh.socket.ask("block", { account: "an" });
  assert.deepEqual((await an.socket.ask("devices-of", { account: "binh" })).devices, []);
});

test("calls over HTTP need the cookie", async (t) => {
  const { tracker, an } = await people(t, ["an"]);
  assert.equal((await post(tracker, "/call/friends", {})).status, 401);
  const form = await ask(tracker, "POST", "/call/friends", { headers: { Cookie: an.cookie } });
  assert.deepEqual(form.json, { status: "success", friends: [] });
});
