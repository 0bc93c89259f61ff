// Friends, who is told what, and who may see whom, against the real program.
import assert from "node:assert/strict";
import { test } from "node:test";
import { decode } from "cborg";
import { PASSWORD, ask, newDevice, online, post, register, signatureIsGood, startTracker } from "./tracker-kit.mjs";

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

// --- who sees whom ---

/** Everybody out of the channel that all are in. */
async function strangers(t, names, options) {
  const all = await people(t, names, options);
  for (const name of names) {
    const { socket, welcome } = all[name];
    assert.equal((await socket.ask("channel-leave", { channel: welcome.channels[0].id })).status, "success");
  }
  for (const name of names) await lists(all[name], (list) => list.length === 0);
  return all;
}

/** What a socket knows of the devices of others, from all that it was told. */
function known({ socket }) {
  const devices = new Map();
  for (const message of socket.told ?? []) {
    if (message.type !== "presence") continue;
    if (message.full) devices.clear();
    for (const { device, account, status } of message.devices) {
      if (status === "online") devices.set(device, account);
      else devices.delete(device);
    }
  }
  return [...devices.values()].sort();
}

/** Waits until the list fits. */
async function lists(person, fits) {
  const end = Date.now() + 10_000;
  person.socket.told ??= [...(person.presence ? [person.presence] : [])];
  for (;;) {
    person.socket.told.push(...person.socket.seen.splice(0));
    if (fits(known(person))) return;
    assert.ok(Date.now() < end, `sees ${known(person)}`);
    await person.socket.ask("ping");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test("strangers do not see each other; friends do, at once, until they are none", async (t) => {
  const { tracker, an, binh } = await strangers(t, ["an", "binh"]);
  assert.equal((await an.socket.ask("signal", { to: binh.device.id, attempt: "1", description: {} })).code, 404);
  assert.equal((await an.socket.ask("relay-open", { to: binh.device.id })).code, 404);
  await an.socket.ask("friend-ask", { account: "binh" });
  await binh.socket.ask("friend-accept", { account: "an" });
  await lists(an, (list) => list.join() === "binh");
  await lists(binh, (list) => list.join() === "an");
  assert.equal((await an.socket.ask("relay-open", { to: binh.device.id })).status, "success");
  const friend = (await an.socket.ask("friends")).friends[0];
  assert.deepEqual([friend.status, friend.devices], ["online", [{ device: binh.device.id, label: "binh's browser" }]]);

  const second = await online(t, tracker, binh.cookie);
  await lists(an, (list) => list.join() === "binh,binh");
  await lists(second, (list) => list.join() === "an,binh");
  second.socket.ws.terminate();
  await lists(an, (list) => list.join() === "binh");
  await binh.socket.ask("friend-remove", { account: "an" });
  await lists(an, (list) => list.length === 0);
  await lists(binh, (list) => list.length === 0);
});

test("who shares a channel sees each other, until one leaves it", async (t) => {
  const { an, binh } = await strangers(t, ["an", "binh"]);
  const { channel } = await an.socket.ask("channel-create", { name: "lan", policy: "open" });
  await binh.socket.ask("channel-join", { channel: channel.id });
  await lists(an, (list) => list.join() === "binh");
  await lists(binh, (list) => list.join() === "an");
  const page = await an.socket.ask("online", { channel: channel.id });
  assert.deepEqual([page.online, page.people.map(({ account }) => account), page.next], [2, ["an", "binh"], 0]);
  const first = await an.socket.ask("online", { channel: channel.id, limit: 1 });
  assert.equal(first.people.length, 1);
  assert.deepEqual((await an.socket.ask("online", { channel: channel.id, after: first.next })).people.map(({ account }) => account), ["binh"]);
  await binh.socket.ask("channel-leave", { channel: channel.id });
  await lists(an, (list) => list.length === 0);
  assert.equal((await binh.socket.ask("online", { channel: channel.id })).code, 404);
});

test("who is blocked sees nothing, in a channel of both either, and cannot reach anybody", async (t) => {
  const { an, mallory, carol } = await people(t, ["an", "mallory", "carol"]);
  await lists(mallory, (list) => list.join() === "an,carol");
  await an.socket.ask("block", { account: "mallory" });
  await lists(mallory, (list) => list.join() === "carol");
  await lists(an, (list) => list.join() === "carol");
  for (const type of ["signal", "relay-open"])
    assert.equal((await mallory.socket.ask(type, { to: an.device.id, attempt: "1", description: {} })).code, 404);
  const page = await mallory.socket.ask("online", { channel: mallory.welcome.channels[0].id });
  assert.deepEqual(page.people.map(({ account }) => account), ["mallory", "carol"]);
  await an.socket.ask("unblock", { account: "mallory" });
  await lists(mallory, (list) => list.join() === "an,carol");
  await lists(carol, (list) => list.join() === "an,mallory");
});

test("invisible is offline for all but own devices, and still sees; the last time here is not told on", async (t) => {
  const { tracker, an, binh } = await people(t, ["an", "binh"]);
  await an.socket.ask("friend-ask", { account: "binh" });
  await binh.socket.ask("friend-accept", { account: "an" });
  assert.equal((await an.socket.ask("invisible")).on, false);
  const before = Date.now();
  assert.equal((await an.socket.ask("invisible", { on: true })).status, "success");
  await lists(binh, (list) => list.length === 0);
  await lists(an, (list) => list.join() === "binh");
  const second = await online(t, tracker, an.cookie);
  await lists(second, (list) => list.join() === "an,binh");
  assert.deepEqual(known(binh), []);
  assert.equal((await binh.socket.ask("signal", { to: an.device.id, attempt: "1", description: {} })).code, 404);
  assert.equal((await an.socket.ask("signal", { to: binh.device.id, attempt: "1", description: {} })).code, 403);
  const { online: count, people: page } = await binh.socket.ask("online", { channel: binh.welcome.channels[0].id });
  assert.deepEqual([count, page.map(({ account }) => account)], [1, ["binh"]]);
  const friend = (await binh.socket.ask("friends")).friends[0];
  assert.equal(friend.status, "offline");
  assert.ok(Math.abs(friend.seen_ms - before) < 5000);
  await second.socket.close();
  await an.socket.ask("invisible", { on: false });
  await lists(binh, (list) => list.join() === "an");
});

test("a conversation that both have opened shows them to each other, friends or not", async (t) => {
  const { an, binh } = await strangers(t, ["an", "binh"]);
  assert.equal((await an.socket.ask("session", { account: "binh", open: true })).status, "success");
  await an.socket.ask("ping");
  assert.deepEqual([known(an), known(binh)], [[], []], "one alone cannot look");
  await binh.socket.ask("session", { account: "an", open: true });
  await lists(an, (list) => list.join() === "binh");
  await lists(binh, (list) => list.join() === "an");
  await an.socket.ask("session", { account: "binh", open: false });
  await lists(an, (list) => list.length === 0);
  await lists(binh, (list) => list.length === 0);
  await an.socket.ask("session", { account: "binh", open: true });
  await lists(an, (list) => list.join() === "binh");
  await binh.socket.close();
  await lists(an, (list) => list.length === 0);
  assert.equal((await an.call("session", { account: "binh", open: true })).code, 403, "for devices only");
});

test("when somebody was here last is known after a restart, and is written when they go", async (t) => {
  const { tracker, an, binh } = await people(t, ["an", "binh"]);
  await an.socket.ask("friend-ask", { account: "binh" });
  await binh.socket.ask("friend-accept", { account: "an" });
  const seen = async () => (await an.socket.ask("friends")).friends[0];
  assert.equal((await seen()).status, "online");
  const before = Date.now();
  await binh.socket.close();
  const offline = await an.socket.next((message) => message.type === "presence" && message.people?.some(({ account, status }) => account === "binh" && status === "offline"));
  assert.ok(Math.abs(offline.people[0].seen_ms - before) < 5000);
  const told = await seen();
  assert.deepEqual([told.status, Math.abs(told.seen_ms - before) < 5000], ["offline", true]);
  await tracker.end("SIGTERM");
  const again = await startTracker(t, { folder: tracker.folder });
  const later = await post(again, "/call/friends", {}, { headers: { Cookie: an.cookie } });
  assert.equal(later.json.friends[0].seen_ms, told.seen_ms);
});

test("in a large channel newcomers are introduced to some, and are told how many there are", async (t) => {
  const { tracker, an, crowd } = await people(t, ["an", "crowd"]);
  const channel = an.welcome.channels[0].id;
  const sockets = [];
  for (let i = 0; i < 210; i++) sockets.push(await online(t, tracker, crowd.cookie));
  await lists(an, (list) => list.length === 0, "the list is sent anew, without the channel");
  const carol = await online(t, tracker, await register(tracker, "carol"));
  assert.deepEqual(carol.presence.devices, [], "nobody is told one by one");
  const introduction = await carol.socket.next("introduction");
  assert.deepEqual([introduction.channel, introduction.online], [channel, 3]);
  assert.deepEqual(introduction.devices.map(({ account }) => account).sort(), ["an", "crowd"]);
  const { devices } = await carol.socket.ask("introduce", { channel });
  assert.equal(devices.length, 2);
  assert.equal((await carol.socket.ask("signal", { to: an.device.id, attempt: "1", description: {} })).status, "success");

  an.socket.told.length = 0;
  for (const { socket } of sockets.splice(0, 90)) socket.ws.terminate();
  await lists(an, (list) => list.filter((account) => account === "carol").length === 1, "it is small again");
});

// --- without a WebSocket ---

test("events: the news of an account by long poll, with numbers, a wait, and gaps that are told", async (t) => {
  const { tracker, an, binh } = await people(t, ["an", "binh"]);
  const cookie = await register(tracker, "curl");
  const events = async (query) => (await ask(tracker, "GET", `/events${query}`, { headers: { Cookie: cookie } })).json;
  assert.equal((await ask(tracker, "GET", "/events")).status, 401);
  for (const bad of ["?after=x", "?after=-1", "?wait=56", "?wait=x"])
    assert.equal((await ask(tracker, "GET", `/events${bad}`, { headers: { Cookie: cookie } })).status, 400, bad);
  const first = await events("");
  assert.equal(first[0].type, "presence");
  assert.equal(first[0].full, true);
  assert.deepEqual(first[0].devices.map(({ account }) => account).sort(), ["an", "binh"]);
  const came = await an.socket.next((message) => message.people?.[0]?.account === "curl");
  assert.equal(came.people[0].status, "online", "somebody who polls is here");

  let last = first.at(-1).n;
  const began = Date.now();
  assert.deepEqual(await events(`?after=${last}&wait=0`), []);
  assert.deepEqual(await events(`?after=${last}&wait=1`), []);
  assert.ok(Date.now() - began > 900, "waits");
  const waiting = events(`?after=${last}&wait=30`);
  await an.socket.ask("friend-ask", { account: "curl", line: "hi" });
  const [asking] = await waiting;
  assert.deepEqual([asking.type, asking.account, asking.state, asking.n], ["friend", "an", "asking", last + 1]);
  last = asking.n;

  for (let i = 0; i < 300; i++) await binh.socket.ask(i % 2 ? "friend-remove" : "friend-ask", { account: "curl" });
  const [lost, ...rest] = await events(`?after=${last}`);
  assert.equal(lost.type, "lost");
  assert.ok(lost.n > last && rest.length > 0 && rest.length <= 256);
  assert.deepEqual(rest.map(({ n }) => n), rest.map((_, i) => lost.n + 1 + i));
  assert.equal((await events(`?after=${rest.at(-1).n + 1000}`))[0].type, "lost", "a number of another server");
  const logout = events(`?after=${rest.at(-1).n}&wait=30`);
  await post(tracker, "/logout", {}, { headers: { Cookie: cookie } });
  assert.ok(Array.isArray(await logout));
  const went = await an.socket.next((message) => message.people?.[0]?.account === "curl" && message.people[0].status === "offline");
  assert.ok(went);
});

test("a stop answers those who wait for events, and tells sockets when to come again", async (t) => {
  const { tracker, an } = await people(t, ["an"]);
  const waiting = ask(tracker, "GET", "/events?wait=50", { headers: { Cookie: an.cookie } });
  await waiting;
  const second = ask(tracker, "GET", `/events?after=${(await waiting).json.at(-1).n}&wait=50`, { headers: { Cookie: an.cookie } });
  await new Promise((resolve) => setTimeout(resolve, 500)); // it waits at the server by then
  const ended = tracker.end("SIGTERM");
  assert.deepEqual((await second).json, []);
  const goodbye = await an.socket.next("goodbye");
  assert.ok(goodbye.retry_ms >= 500 && goodbye.retry_ms < 2000, String(goodbye.retry_ms));
  assert.equal((await ended).code, 0);
});

test("the answer to a login has the list of friends, with who is here", async (t) => {
  const { tracker, an, binh } = await people(t, ["an", "binh"]);
  await register(tracker, "carol");
  await an.socket.ask("friend-ask", { account: "binh" });
  await binh.socket.ask("friend-accept", { account: "an" });
  await an.socket.ask("friend-ask", { account: "carol" });
  const login = async () => (await post(tracker, "/login", { username: "an", password: PASSWORD })).json.friends;
  const [first, second] = await login();
  assert.deepEqual([first.account, first.state, first.status, first.devices[0].device], ["binh", "friend", "online", binh.device.id]);
  assert.deepEqual([second.account, second.state, second.status], ["carol", "asked", undefined]);
  await binh.socket.close();
  await lists(an, (list) => list.length === 0);
  const [later] = await login();
  assert.equal(later.status, "offline");
  assert.ok(Math.abs(later.seen_ms - Date.now()) < 5000);
});
