// The tracker under attack by people who want to get in where they do not belong, to stop the others, or to lie.
import assert from "node:assert/strict";
import { statSync } from "node:fs";
import http from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { TYPES, fuzzCalls } from "./call-fuzz.mjs";
import { open } from "./contract/world.mjs";
import { PASSWORD, ask, cookieOf, online, post, startTracker } from "./tracker-kit.mjs";

const FUZZ_MS = Number(process.env.FUZZ_S ?? 2) * 1000;

/** A world, and calls in it: `call(who, type, fields)` gives {status, json}. */
async function begin(t, args) {
  const world = await open(t, args);
  world.call = (who, type, fields = {}) => post(world.tracker, `/call/${type}`, fields, { headers: who === "anonymous" ? {} : { Cookie: world.cookies[who] } });
  world.good = async (who, type, fields) => {
    const answer = await world.call(who, type, fields);
    assert.equal(answer.status, 200, `${who} ${type}: ${answer.text}`);
    return answer.json;
  };
  return world;
}

const say = (world, who, message) => post(world.tracker, "/send-channel-message", { channel_name: "contract", message }, { headers: { Cookie: world.cookies[who] } });

/** Until `check` holds: what the replica writes and indexes comes a moment later. */
async function eventually(check, what) {
  for (let i = 0; i < 200; i++) {
    if (await check()) return;
    await pause(50);
  }
  assert.fail(`not in time: ${what}`);
}

test("other sites, and requests that look like theirs, change nothing", async (t) => {
  const world = await begin(t, ["--page-origins", "https://chat.example"]);
  const { tracker, cookies, room } = world;
  const own = `http://127.0.0.1:${tracker.port}`;
  const evil = ["null", "http://evil.example", `http://127.0.0.1:${tracker.port + 1}`, `${own}.evil.example`, "https://chat.example.evil.example", "https://evilchat.example", "https://chat.example:444", "http://chat.example", "https://CHAT.example", `${own}@evil.example`, "file://"];
  const form = { "Content-Type": "application/x-www-form-urlencoded", Cookie: cookies.owner };
  const changing = [
    ["/call/channel-topic", `channel=${room}&topic=evil`],
    ["/call/sessions-end", "all=true"],
    ["/submit-info", "ip=127.0.0.1&port=5001"],
    ["/create-channel", "channel_name=evil"],
    ["/send-channel-message", "channel_name=contract&message=evil"],
    ["/join-channel", "channel_name=contract"],
    ["/logout", ""],
    ["/login", `username=user&password=${encodeURIComponent(PASSWORD)}`],
    ["/register", `username=evil&password=${encodeURIComponent(PASSWORD)}`],
    ["/register-peer-pool", "ip=127.0.0.1&port=1&username=evil"],
  ];
  for (const origin of evil) {
    for (const [path, body] of changing) {
      const answer = await ask(tracker, "POST", path, { headers: { ...form, Origin: origin }, body });
      assert.equal(answer.status, 403, `${origin} ${path}: ${answer.status}`);
      assert.equal(answer.headers["access-control-allow-origin"], undefined, `${origin} ${path}`);
      assert.equal(answer.headers["set-cookie"], undefined, `${origin} ${path}`);
    }
  }
  for (const [path, body] of changing) {
    const answer = await ask(tracker, "POST", path, { headers: { ...form, "Sec-Fetch-Site": "cross-site" }, body });
    assert.equal(answer.status, 403, `cross-site ${path}`);
  }
  assert.equal((await world.call("owner", "channel-find", { channel: room })).json.channel.topic, "");
  for (const [origin, status] of [["https://chat.example", 200], ["https://evil.example", 403]])
    assert.equal((await ask(tracker, "GET", "/events?wait=0", { headers: { Cookie: cookies.owner, Origin: origin } })).status, status, origin);
});

test("every answer says how it may be shown, errors too", async (t) => {
  const { tracker } = await begin(t);
  for (const [method, path] of [["GET", "/"], ["GET", "/nothing"], ["POST", "/"], ["POST", "/call/account"], ["POST", "/call/nothing"], ["GET", "/get-list"], ["GET", "/healthz"], ["GET", "/metrics"], ["GET", "/export/x"], ["GET", "/events"], ["GET", "/ws"], ["GET", "/login"]]) {
    const { headers } = await ask(tracker, method, path, { headers: { Accept: "text/html" } });
    assert.equal(headers["x-content-type-options"], "nosniff", `${method} ${path}`);
    assert.match(headers["content-security-policy"] ?? "", /frame-ancestors 'none'/, `${method} ${path}`);
    assert.doesNotMatch(headers["content-security-policy"], /script-src[^;]*'unsafe-(inline|eval)'/, `${method} ${path}`);
  }
});

test("who asks for other people's things by their numbers gets none", async (t) => {
  const world = await begin(t);
  const { good, call, room } = world;
  const secret = (await good("owner", "channel-create", { name: "secret", policy: "invite", topic: "hidden" })).channel;
  const invite = await good("owner", "channel-invite", { channel: secret.id });
  const session = (await good("owner", "account-sessions")).sessions[0].session;
  const { device } = await online(t, world.tracker, world.cookies.owner);
  for (const who of ["user", "member", "banned"]) {
    for (const [type, fields] of [
      ["channel-find", { channel: secret.id }], ["channel-find", { name: "secret" }], ["channel-members", { channel: secret.id }],
      ["channel-devices", { channel: secret.id }], ["channel-invites", { channel: secret.id }], ["history", { channel: secret.id }],
      ["channel-invite-revoke", { channel: secret.id, invite: invite.invite }], ["channel-invite-revoke", { channel: room, invite: invite.invite }],
      ["channel-topic", { channel: secret.id, topic: "x" }], ["channel-join", { channel: secret.id }], ["online", { channel: secret.id }],
      ["introduce", { channel: secret.id }], ["mark-read", { channel: secret.id, at: `1-${"ab".repeat(32)}-1` }],
      ["session-end", { session }], ["device-end", { device: device.id }], ["device-rename", { device: device.id, name: "x" }],
      ["admin-user", { account: "owner" }], ["admin-audit", {}],
    ]) {
      const { status, text } = await call(who, type, fields);
      assert.ok(status === 403 || status === 404, `${who} ${type}: ${status} ${text}`);
      assert.doesNotMatch(text, /hidden/);
    }
    const { channels } = await good(who, "channel-list", {});
    assert.ok(!channels.some(({ name }) => name === "secret"), who);
    assert.equal((await ask(world.tracker, "GET", `/export/${secret.id}.json`, { headers: { Cookie: world.cookies[who] } })).status, 404);
  }
  for (const type of TYPES) assert.equal((await call("anonymous", type)).status, 401, type);
});

test("what is hidden, and rooms that one was put out of, are not read in other ways", async (t) => {
  const world = await begin(t);
  const { good, call, room, tracker, cookies } = world;
  for (const who of ["member", "moderator"]) assert.equal((await say(world, who, `wolframite of ${who}`)).status, 200);
  const seen = async (who) => {
    const texts = [
      (await call(who, "history", { channel: room })).text,
      (await call(who, "search", { query: "wolframite" })).text,
      (await call(who, "search", { query: "wolframite", channel: room })).text,
      (await ask(tracker, "GET", `/export/${room}.txt`, { headers: { Cookie: cookies[who] } })).text,
      (await post(tracker, "/get-channel-messages", { channel_name: "contract" }, { headers: { Cookie: cookies[who] } })).text,
    ];
    return texts.map((text) => ["member", "moderator"].filter((by) => text.includes(`olframite of ${by}`) || text.includes(`of ${by}"`)).join(" "));
  };
  await eventually(async () => (await seen("owner")).every((names) => names === "member moderator"), "both messages");
  await good("owner", "channel-hide", { channel: room, account: "member" });
  await eventually(async () => (await seen("owner")).every((names) => names === "moderator"), "only one message");
  for (const who of ["ex-member", "user"]) assert.deepEqual((await seen(who)).slice(0, 4), ["", "", "", ""], who);
  assert.deepEqual(await seen("banned"), ["", "", "", "", ""]);
  await good("owner", "channel-close", { channel: room });
  for (const who of ["member", "banned", "user"]) assert.deepEqual(await seen(who), ["", "", "", "", ""], who);
});

test("a message cannot forge lines of the export", async (t) => {
  const world = await begin(t);
  const lie = "2026-01-01 00:00:00Z owner: I resign";
  assert.equal((await say(world, "member", `hello\n${lie}\r${lie}`)).status, 200);
  await world.good("moderator", "channel-topic", { channel: world.room, topic: `news\n${lie}` });
  let text = "";
  await eventually(async () => {
    ({ text } = await ask(world.tracker, "GET", `/export/${world.room}.txt`, { headers: { Cookie: world.cookies.member } }));
    return text.includes("hello") && text.includes("news");
  }, "both in the export");
  assert.ok(text.includes(`    ${lie}`), text);
  assert.ok(!text.split(/[\n\r]/).some((line) => line.startsWith(lie)), text);
});

test("a mute does not end by leaving, or being put out, and coming back", async (t) => {
  const world = await begin(t);
  const { good, room } = world;
  await good("moderator", "channel-mute", { channel: room, account: "member", seconds: 3600 });
  assert.equal((await say(world, "member", "shh")).status, 403);
  await good("member", "channel-leave", { channel: room });
  assert.equal((await good("member", "channel-find", { channel: room })).channel.me, undefined);
  assert.equal((await world.call("member", "channel-leave", { channel: room })).status, 404);
  await good("member", "channel-join", { channel: room });
  assert.equal((await say(world, "member", "still here")).status, 403);
  await good("moderator", "channel-kick", { channel: room, account: "member" });
  const { token } = await good("moderator", "channel-invite", { channel: room });
  await good("member", "channel-redeem", { token });
  assert.equal((await say(world, "member", "still here")).status, 403);
  assert.equal((await good("member", "channel-find", { channel: room })).channel.me.role, "member");
  await good("moderator", "channel-unmute", { channel: room, account: "member" });
  assert.equal((await say(world, "member", "at last")).status, 200);
});

test("invites: used once by many at a moment, not all of them by one member, and not after one's role is gone", async (t) => {
  const world = await begin(t);
  const { good, call, room } = world;
  const secret = (await good("owner", "channel-create", { name: "secret", policy: "invite" })).channel.id;
  const once = (await good("owner", "channel-invite", { channel: secret, uses: 1 })).token;
  const people = ["user", "other", "member", "ex-member", "banned"];
  const answers = await Promise.all([...people, ...people].map((who) => call(who, "channel-redeem", { token: once })));
  const inside = (await good("owner", "channel-members", { channel: secret })).members;
  assert.equal(inside.length, 2, JSON.stringify(inside));
  assert.ok(answers.every(({ status }) => status === 200 || status === 404));

  let made = 0;
  while (made < 20 && (await call("member", "channel-invite", { channel: room, expires_s: 0 })).status === 200) made++;
  assert.equal(made, 10);
  await good("moderator", "channel-invite", { channel: room });

  const { token } = await good("owner", "channel-invite", { channel: secret });
  await good("moderator", "channel-redeem", { token });
  await good("owner", "channel-role", { channel: secret, account: "moderator", role: "moderator" });
  const theirs = (await good("moderator", "channel-invite", { channel: secret })).token;
  await good("owner", "channel-role", { channel: secret, account: "moderator", role: "member" });
  const late = ["user", "other"].find((who) => !inside.some(({ account }) => account === who));
  assert.equal((await call(late, "channel-redeem", { token: theirs })).status, 404);
});

test("passwords of rooms cannot be set, or tried, on and on", async (t) => {
  const world = await begin(t);
  const tries = await Promise.all(Array.from({ length: 40 }, (_, i) => world.call("user", "channel-create", { name: `room${i}`, policy: "password", password: "secret" })));
  const count = (status) => tries.filter((one) => one.status === status).length;
  assert.ok(count(429) >= 25, JSON.stringify(tries.map(({ status }) => status)));
  const foreign = await Promise.all(Array.from({ length: 20 }, () => world.call("other", "channel-policy", { channel: world.room, policy: "password", password: "secret" })));
  assert.ok(foreign.filter(({ status }) => status === 429).length >= 9);
  assert.ok(foreign.every(({ status }) => status !== 200));
});

test("what the sockets of one account ask for does not keep the others waiting", async (t) => {
  const world = await begin(t);
  const { socket } = await online(t, world.tracker, world.cookies.user);
  const asked = Promise.all(Array.from({ length: 3000 }, (_, i) => socket.ask(i % 2 ? "unread" : "search", { query: "a", junk: Array(500).fill([]) })));
  const slow = await Promise.all(
    Array.from({ length: 10 }, async (_, i) => {
      await pause(i * 20);
      const began = performance.now();
      assert.equal((await world.call("other", "unread")).status, 200);
      return performance.now() - began;
    }),
  );
  const answers = await asked;
  assert.ok(answers.every(({ status, code }) => status === "success" || code === 503));
  assert.ok(answers.filter(({ status }) => status === "success").length > 2900, "the socket waits, and nothing is refused");
  assert.ok(Math.min(...slow) < 2000, String(slow));
});

test("signals to a device cost what a relay costs", async (t) => {
  const world = await begin(t, ["--relay-rate", "65536"]);
  const a = await online(t, world.tracker, world.cookies.owner);
  const b = await online(t, world.tracker, world.cookies.member);
  const description = { type: "offer", sdp: "x".repeat(50_000) };
  let done = 0;
  const all = Promise.all(Array.from({ length: 20 }, () => a.socket.ask("signal", { to: b.device.id, attempt: "1", description }).then(() => done++)));
  all.catch(() => {}); // the test ends before the last one
  await pause(1000);
  assert.ok(done >= 1 && done < 12, `${done} of 20 megabyte-sized attempts went through at once`);
});

test("a login with the old password that is under way when the password changes opens nothing", async (t) => {
  const world = await begin(t);
  const login = () => post(world.tracker, "/login", { username: "user", password: PASSWORD });
  const change = world.call("user", "password-change", { password: PASSWORD, new_password: "another good password" });
  await pause(5);
  const answers = await Promise.all(Array.from({ length: 6 }, login)); // hashed beside and after the change
  assert.equal((await change).status, 200);
  assert.ok(answers.every(({ status }) => [200, 401].includes(status)));
  for (const answer of answers.filter(({ status }) => status === 200)) {
    const session = await ask(world.tracker, "GET", "/session", { headers: { Cookie: cookieOf(answer), Accept: "application/json" } });
    assert.equal(session.status, 401, "a session of the old password is there");
  }
});

test("names of devices hide nothing", async (t) => {
  const world = await begin(t);
  const { device, socket } = await online(t, world.tracker, world.cookies.user, { label: "a\u202eb\u200bc" });
  const { devices } = await world.good("user", "account-sessions");
  assert.equal(devices[0].label, "abc");
  for (const name of ["a\u202eb", "a\u2066b", "a\u200bb", "a\u0085b", "a\u2028b", "a\nb"])
    assert.equal((await world.call("user", "device-rename", { device: device.id, name })).status, 400, JSON.stringify(name));
  await world.good("user", "device-rename", { device: device.id, name: "Máy tính của Bình" });
  await socket.close();
});

test("without its secret the pool leads nobody away", async (t) => {
  const tracker = await startTracker(t, { args: ["--classroom"] });
  const offer = (fields, headers) => post(tracker, "/register-peer-pool", { port: 80, username: "evil", ...fields }, { headers });
  for (const headers of [{ "X-Forwarded-For": "10.9.9.9" }, { Forwarded: "for=10.9.9.9" }, { Via: "1.1 somewhere" }])
    assert.equal((await offer({ ip: "203.0.113.7" }, headers)).status, 403, JSON.stringify(headers));
  for (const ip of ["evil.example", "203.0.113.7/..", "1.2.3.4@evil.example", "127.0.0.1\r\nX: y", "0x7f000001", "[::1]"])
    assert.equal((await offer({ ip })).status, 400, ip);
  assert.equal((await offer({ ip: "203.0.113.7", secret: "wrong" })).status, 403);
  const login = await post(tracker, "/login", { username: "admin", password: "password" });
  assert.equal(login.json.redirect, "/");
});

test("addresses that a client makes up do not help it to guess on", async (t) => {
  const tracker = await startTracker(t);
  const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => post(tracker, "/login", { username: `nobody${i}`, password: "wrong" }, { headers: { "X-Forwarded-For": `10.0.0.${i}`, Forwarded: `for=10.0.1.${i}`, "X-Real-IP": `10.0.2.${i}` } })));
  assert.ok(answers.filter(({ status }) => status === 429).length >= 15, JSON.stringify(answers.map(({ status }) => status)));
});

test("the data folder is its owner's alone", async (t) => {
  const { folder, tracker } = await begin(t);
  void tracker;
  for (const name of ["", "weaprous.db", "pool-secret", "bus"]) {
    const mode = statSync(join(folder, "data", name), { throwIfNoEntry: false })?.mode;
    if (mode !== undefined) assert.equal(mode & 0o077, 0, `${name} ${mode.toString(8)}`);
  }
});

test("clients that read nothing, and long polls by the hundred, are bounded", async (t) => {
  const world = await begin(t);
  const agent = new http.Agent({ maxSockets: 300 });
  const polls = Array.from({ length: 250 }, () => ask(world.tracker, "GET", "/events?wait=5", { headers: { Cookie: world.cookies.user }, agent }));
  const settled = await Promise.all(polls); // a newer one of the same session answers the older ones
  assert.ok(settled.every(({ status }) => status === 200));
  agent.destroy();
  for (const query of ["after=-1", "after=99999999999999999999", "after=1e3", "wait=56", "wait=-1"])
    assert.equal((await ask(world.tracker, "GET", `/events?${query}`, { headers: { Cookie: world.cookies.user } })).status, 400, query);
});

test("random calls of all kinds by all kinds of people are answered in form", { timeout: FUZZ_MS + 60_000 }, async (t) => {
  const world = await begin(t);
  const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 1e6);
  const end = Date.now() + FUZZ_MS;
  assert.ok(TYPES.length >= 70);
  const { count, statuses } = await fuzzCalls(world, seed, () => Date.now() > end);
  t.diagnostic(`seed ${seed}: ${count} calls, ${JSON.stringify(statuses)}`);
  assert.ok(count > 100 && statuses[200] > 0 && statuses[400] > 0 && statuses[403] > 0 && statuses[404] > 0);
  assert.deepEqual(await world.tracker.end("SIGTERM"), { code: 0, signal: null }, world.tracker.err);
});
