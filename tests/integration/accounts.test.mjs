// Accounts of a tracker that is running: who gets one, the second step, sessions and devices, administrators, pages of other sites.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { join } from "node:path";
import { test } from "node:test";
import { PASSWORD, Socket, ask, cookieOf, newDevice, newFolder, online, post, program, proofOf, register, run, startTracker, within } from "./tracker-kit.mjs";

const login = (tracker, username, password = PASSWORD, more = {}, options = {}) => post(tracker, "/login", { username, password, ...more }, options);

/** A call over HTTP. */
const call = (tracker, cookie, type, fields = {}, headers = {}) =>
  post(tracker, `/call/${type}`, fields, { headers: { ...(cookie ? { Cookie: cookie } : {}), ...headers } });

async function good(tracker, cookie, type, fields) {
  const response = await call(tracker, cookie, type, fields);
  assert.equal(response.status, 200, `${type}: ${response.text}`);
  return response.json;
}

const session = (tracker, cookie) => ask(tracker, "GET", "/session", { headers: { Cookie: cookie } });
const isIn = async (tracker, cookie) => (await session(tracker, cookie)).status === 200;

/** The ticket of the link that the start has printed. */
async function adminTicket(tracker) {
  const found = () => /\/admin\?ticket=([0-9a-f]{64})/.exec(tracker.out)?.[1];
  for (let i = 0; i < 200 && !found(); i++) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.ok(found(), tracker.out);
  return found();
}

/** An account that is the administrator: its cookie. */
async function makeAdmin(tracker, username = "root") {
  const response = await post(tracker, "/register", { username, password: PASSWORD, ticket: await adminTicket(tracker) });
  assert.equal(response.status, 200, response.text);
  return cookieOf(response);
}

const user = (folder, ...args) => run(["user", ...args, "--data", join(folder, "data")]);

// --- RFC 6238 ---

function fromBase32(text) {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const bits = [...text].map((letter) => letters.indexOf(letter).toString(2).padStart(5, "0")).join("");
  return Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
}

function totp(secret, off = 0) {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30000) + off));
  const mac = createHmac("sha1", fromBase32(secret)).update(counter).digest();
  const at = mac[19] & 15;
  return String((mac.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

/** Turns the second step on: the secret, and the recovery codes. */
async function secondStep(tracker, cookie) {
  const { secret, uri } = await good(tracker, cookie, "totp-begin", { password: PASSWORD });
  const { recovery_codes: codes } = await good(tracker, cookie, "totp-confirm", { code: totp(secret, -1) });
  return { secret, uri, codes };
}

// --- who gets an account ---

test("with --registration invite an account needs an invite, which is good for its uses, its days, and until it is revoked", async (t) => {
  const tracker = await startTracker(t, { args: ["--registration", "invite"] });
  assert.equal((await ask(tracker, "GET", "/session")).json.registration, "invite");
  const admin = await makeAdmin(tracker); // by the link, without an invite
  const none = await post(tracker, "/register", { username: "an", password: PASSWORD });
  assert.deepEqual([none.status, none.json.needs], [403, "invite"]);
  assert.match(none.json.message, /need an invite/);

  const { code, path, invite } = await good(tracker, admin, "admin-invite-add", { uses: 2, days: 1, note: "class 7" });
  assert.equal(path, `/register?invite=${code}`);
  assert.match(code, /^[2-9a-z]{4}(-[2-9a-z]{4}){3}$/);
  assert.equal((await post(tracker, "/register", { username: "root", password: PASSWORD, invite: code })).status, 409);
  assert.equal((await post(tracker, "/register", { username: "an", password: PASSWORD, invite: code })).status, 200);
  assert.equal((await post(tracker, "/register", { username: "binh", password: PASSWORD, invite: code.replaceAll("-", " ").toUpperCase() })).status, 200);
  const third = await post(tracker, "/register", { username: "chi", password: PASSWORD, invite: code });
  assert.deepEqual([third.status, third.json.needs], [403, "invite"]);
  assert.equal((await post(tracker, "/register", { username: "chi", password: PASSWORD, invite: "hello" })).status, 400);

  const other = await good(tracker, admin, "admin-invite-add", {});
  await good(tracker, admin, "admin-invite-revoke", { invite: other.invite });
  assert.equal((await call(tracker, admin, "admin-invite-revoke", { invite: other.invite })).status, 404);
  assert.equal((await post(tracker, "/register", { username: "chi", password: PASSWORD, invite: other.code })).status, 403);
  const { invites } = await good(tracker, admin, "admin-invites", {});
  assert.deepEqual(invites.map(({ invite: id, by, note, uses, uses_max, revoked }) => [id, by, note, uses, uses_max, revoked]),
    [[other.invite, "root", "", 0, 1, true], [invite, "root", "class 7", 2, 2, false]]);
  const out = (await user(tracker.folder, "invite", "--url", "https://chat.example/")).out;
  const printed = /https:\/\/chat\.example\/register\?invite=(\S+)/.exec(out)[1];
  assert.equal((await post(tracker, "/register", { username: "chi", password: PASSWORD, invite: printed })).status, 200);
});

test("with --registration closed nobody gets one but by the administrator's link and the command line; a wrong word is refused at the start", async (t) => {
  const tracker = await startTracker(t, { args: ["--registration", "closed"] });
  assert.equal((await ask(tracker, "GET", "/session")).json.registration, "closed");
  const none = await post(tracker, "/register", { username: "an", password: PASSWORD });
  assert.equal(none.status, 403);
  assert.match(none.json.message, /takes no new accounts/);
  await makeAdmin(tracker);
  const wrong = await run(["up", "--registration", "nobody", "--data", join(tracker.folder, "other")]);
  assert.equal(wrong.code, 2);
  assert.match(wrong.err, /--registration is open, invite or closed, not "nobody"/);
  const origins = await run(["up", "--page-origins", "https://a.example/", "--data", join(tracker.folder, "other")]);
  assert.equal(origins.code, 2);
  assert.match(origins.err, /In --page-origins each must be like/);
});

// --- the first administrator ---

test("the link of the start makes one administrator; it is printed again as long as there is none", async (t) => {
  const folder = newFolder();
  const first = await startTracker(t, { folder });
  const ticket = await adminTicket(first);
  assert.equal((await ask(first, "GET", `/admin?ticket=${ticket}`, { headers: { Accept: "text/html" } })).status, 200);
  await first.end("SIGTERM");
  const tracker = await startTracker(t, { folder });
  const second = await adminTicket(tracker);
  assert.notEqual(second, ticket);
  const an = await register(tracker, "an");
  assert.equal((await call(tracker, an, "admin-users")).status, 403);
  assert.equal((await call(tracker, an, "admin-claim", { ticket: "0".repeat(64) })).status, 403);
  assert.equal((await call(tracker, an, "admin-claim", { ticket: "x" })).status, 400);
  assert.equal((await call(tracker, undefined, "admin-claim", { ticket })).status, 401);
  assert.equal((await good(tracker, an, "admin-claim", { ticket })).role, "admin");
  assert.equal((await session(tracker, an)).json.role, "admin");
  const binh = await register(tracker, "binh");
  for (const used of [ticket, second]) assert.equal((await call(tracker, binh, "admin-claim", { ticket: used })).status, 403);
  assert.equal((await post(tracker, "/register", { username: "chi", password: PASSWORD, ticket: second })).status, 403);
  await tracker.end("SIGTERM");
  const third = await startTracker(t, { folder });
  await login(third, "an");
  assert.ok(!third.out.includes("/admin?ticket="));
  const link = await user(folder, "admin-link");
  assert.equal((await good(third, cookieOf(await login(third, "binh")), "admin-claim", { ticket: /ticket=(\w+)/.exec(link.out)[1] })).role, "admin");
});

test("with --classroom the account admin is the administrator, and no link is printed", async (t) => {
  const tracker = await startTracker(t, { args: ["--classroom"] });
  const cookie = cookieOf(await login(tracker, "admin", "password"));
  assert.equal((await session(tracker, cookie)).json.role, "admin");
  assert.ok(!tracker.out.includes("/admin?ticket="));
});

// --- sessions ---

test("a login makes a new session and ends the one that the browser had, its sockets too; the cookies open nothing to scripts and other sites", async (t) => {
  const tracker = await startTracker(t);
  const first = await register(tracker, "an");
  const { socket } = await online(t, tracker, first);
  const response = await login(tracker, "an", PASSWORD, {}, { headers: { Cookie: first } });
  const second = cookieOf(response);
  assert.notEqual(first, second);
  assert.equal(await isIn(tracker, first), false);
  assert.equal((await socket.next("goodbye")).reason, "logged-out");
  assert.ok(await isIn(tracker, second));
  const line = response.headers["set-cookie"].find((text) => text.startsWith("session="));
  assert.match(line, /^session=[0-9a-f]{64}; Path=\/; Max-Age=2592000; HttpOnly; SameSite=Lax$/);
  // A token that somebody else has chosen stays nobody's.
  const chosen = `session=${"ab".repeat(32)}`;
  const third = cookieOf(await login(tracker, "an", PASSWORD, {}, { headers: { Cookie: chosen } }));
  assert.notEqual(third, chosen);
  assert.equal(await isIn(tracker, chosen), false);
  // A failed login ends nothing.
  await login(tracker, "an", "wrong wrong", {}, { headers: { Cookie: third } });
  assert.ok(await isIn(tracker, third));
});

test("sessions are listed with what is known of them, and end one by one or everywhere", async (t) => {
  const tracker = await startTracker(t);
  const first = await register(tracker, "an");
  const second = cookieOf(await login(tracker, "an", PASSWORD, {}, { headers: { "User-Agent": "Browser \u00e9 of a phone" } }));
  const third = cookieOf(await login(tracker, "an"));
  const other = await register(tracker, "binh");
  const { socket, device } = await online(t, tracker, second, { label: "phone" });
  const { sessions, devices } = await good(tracker, first, "account-sessions");
  assert.equal(sessions.length, 3);
  assert.deepEqual(sessions.filter(({ current }) => current).length, 1);
  const phone = sessions.find(({ device: id }) => id === device.id);
  assert.match(phone.agent, /^Browser .* of a phone$/);
  assert.equal(phone.address, "127.0.0.1");
  assert.deepEqual(devices.map(({ device: id, label, name, address, current }) => [id, label, name, address, current]), [[device.id, "phone", "", "127.0.0.1", false]]);
  assert.ok(Math.abs(devices[0].seen_ms - Date.now()) < 60_000);

  assert.equal((await call(tracker, other, "session-end", { session: phone.session })).status, 404, "not somebody else's");
  await good(tracker, first, "session-end", { session: phone.session });
  assert.equal((await socket.next("goodbye")).reason, "logged-out");
  assert.equal(await isIn(tracker, second), false);
  assert.ok(await isIn(tracker, third));
  assert.equal((await good(tracker, first, "sessions-end", {})).ended, 1);
  assert.equal(await isIn(tracker, third), false);
  assert.ok(await isIn(tracker, first));
  assert.ok(await isIn(tracker, other));
  assert.equal((await good(tracker, first, "sessions-end", { all: true })).ended, 1);
  assert.equal(await isIn(tracker, first), false);
});

// --- devices ---

test("a device has the name that its owner gave it; one that was logged out never gets in again, and another one does", async (t) => {
  const tracker = await startTracker(t);
  const an = await register(tracker, "an");
  const binh = await register(tracker, "binh");
  const lost = cookieOf(await login(tracker, "an"));
  const { device, socket } = await online(t, tracker, lost, { label: "Firefox on Linux" });
  assert.equal((await call(tracker, binh, "device-rename", { device: device.id, name: "mine" })).status, 404);
  await good(tracker, an, "device-rename", { device: device.id, name: "old laptop" });
  for (const name of ["x".repeat(65), "two\nlines", 7]) assert.equal((await call(tracker, an, "device-rename", { device: device.id, name })).status, 400);
  assert.equal((await good(tracker, an, "account-sessions")).devices[0].name, "old laptop");
  const { socket: watching } = await online(t, tracker, an, { label: "desk" });
  await socket.close();
  const { socket: again } = await online(t, tracker, lost, { device, label: "Firefox on Linux" });
  const shown = await watching.next((message) => message.type === "presence" && message.devices.some((one) => one.device === device.id && one.status === "online"), "the device again");
  assert.equal(shown.devices.find((one) => one.device === device.id).label, "old laptop");

  assert.equal((await call(tracker, binh, "device-end", { device: device.id })).status, 404);
  await good(tracker, an, "device-end", { device: device.id });
  assert.equal((await again.next("goodbye")).reason, "logged-out");
  assert.equal(await isIn(tracker, lost), false);
  assert.deepEqual((await good(tracker, an, "account-sessions")).devices.map(({ label }) => label), ["desk"]);
  // With the password it may log in, but not with that key; nor may anybody else.
  for (const [cookie, code] of [[an, 410], [binh, 403]]) {
    const other = new Socket(tracker, { cookie });
    t.after(() => other.ws.terminate());
    const welcome = await other.next("welcome");
    const refused = await other.ask("hello", { device: device.id, proof: proofOf(device, welcome), label: "x" });
    assert.deepEqual([refused.status, refused.code], ["error", code], refused.message);
    const fresh = newDevice();
    assert.equal((await other.ask("hello", { device: fresh.id, proof: proofOf(fresh, welcome), label: "x" })).status, "success");
  }
});

// --- passwords ---

test("a new password wants the old one and ends all other sessions", async (t) => {
  const tracker = await startTracker(t);
  const an = await register(tracker, "an");
  const other = cookieOf(await login(tracker, "an"));
  const { socket } = await online(t, tracker, other);
  assert.equal((await call(tracker, an, "password-change", { password: "wrong wrong", new_password: "battery staple" })).status, 403);
  assert.equal((await call(tracker, an, "password-change", { password: PASSWORD, new_password: "short" })).status, 400);
  assert.equal((await call(tracker, an, "password-change", { new_password: "battery staple" })).status, 400);
  assert.ok(await isIn(tracker, other));
  await good(tracker, an, "password-change", { password: PASSWORD, new_password: "battery staple" });
  assert.ok(await isIn(tracker, an));
  assert.equal(await isIn(tracker, other), false);
  assert.equal((await socket.next("goodbye")).reason, "logged-out");
  assert.equal((await login(tracker, "an")).status, 401);
  assert.equal((await login(tracker, "an", "battery staple")).status, 200);
});

test("who has a session can guess the password no faster than who has none", async (t) => {
  const tracker = await startTracker(t);
  const an = await register(tracker, "an");
  const answers = await Promise.all(Array.from({ length: 26 }, (_, i) => call(tracker, an, "password-change", { password: `guess ${i}`, new_password: "battery staple" })));
  const held = answers.filter(({ status }) => status === 429);
  assert.ok(held.length >= 4, answers.map(({ status }) => status).join());
  assert.ok(Number(held[0].headers["retry-after"]) >= 1);
});

test("a deleted account is gone: its sessions, its sockets, its devices, and its name for ever", async (t) => {
  const tracker = await startTracker(t);
  const an = await register(tracker, "an");
  const { socket, device } = await online(t, tracker, an);
  assert.equal((await call(tracker, an, "account-delete", { password: "wrong wrong" })).status, 403);
  await good(tracker, an, "account-delete", { password: PASSWORD });
  assert.equal((await socket.next("goodbye")).reason, "logged-out");
  assert.equal(await isIn(tracker, an), false);
  assert.equal((await login(tracker, "an")).status, 401);
  assert.equal((await post(tracker, "/register", { username: "An", password: PASSWORD })).status, 409);
  const binh = await register(tracker, "binh");
  const other = new Socket(tracker, { cookie: binh });
  t.after(() => other.ws.terminate());
  const welcome = await other.next("welcome");
  assert.equal((await other.ask("hello", { device: device.id, proof: proofOf(device, welcome), label: "x" })).code, 403);

  const input = { stdio: ["pipe", "pipe", "pipe"] };
  const add = (...args) => {
    const child = spawn(program, ["user", "add", "an", "--data", join(tracker.folder, "data"), ...args], input);
    let err = "";
    child.stderr.on("data", (bytes) => (err += bytes));
    child.stdin.end(PASSWORD);
    return within(new Promise((resolve) => child.on("close", (code) => resolve({ code, err }))), "user add");
  };
  const refused = await add();
  assert.equal(refused.code, 1);
  assert.match(refused.err, /was the name of an account that was deleted.*--reuse/);
  assert.equal((await add("--reuse")).code, 0);
  assert.equal((await login(tracker, "an")).status, 200);
});

// --- the second step ---

test("a login with the second step needs a code, which is good once; a recovery code stands in for it, once", async (t) => {
  const tracker = await startTracker(t);
  const an = await register(tracker, "an");
  assert.equal((await call(tracker, an, "totp-begin", { password: "wrong wrong" })).status, 403);
  assert.equal((await call(tracker, an, "totp-confirm", { code: "123456" })).status, 409, "nothing was begun");
  const begun = await good(tracker, an, "totp-begin", { password: PASSWORD });
  assert.equal(begun.uri, `otpauth://totp/127.0.0.1:an?secret=${begun.secret}&issuer=127.0.0.1`);
  assert.equal((await login(tracker, "an")).status, 200, "it is not on before a code was right");
  const wrong = String((Number(totp(begun.secret)) + 500_000) % 1_000_000).padStart(6, "0");
  assert.equal((await call(tracker, an, "totp-confirm", { code: wrong })).status, 403);
  const { secret, codes } = await secondStep(tracker, an);
  assert.equal(codes.length, 10);
  assert.equal(new Set(codes).size, 10);
  assert.equal((await call(tracker, an, "totp-begin", { password: PASSWORD })).status, 409);

  const needed = await login(tracker, "an");
  assert.equal(needed.status, 401);
  assert.equal(needed.json.needs, "totp");
  assert.equal(cookieOf(needed), undefined);
  const { ticket } = needed.json;
  assert.match(ticket, /^[0-9a-f]{64}$/);
  assert.equal((await login(tracker, "an", "wrong wrong")).json.needs, undefined, "who has not the password learns nothing");
  assert.equal((await post(tracker, "/login", { ticket })).status, 400);
  assert.equal((await post(tracker, "/login", { ticket, code: "000000" === totp(secret) ? "000001" : "000000" })).status, 401);
  const used = totp(secret, -1); // that of the confirmation
  assert.equal((await post(tracker, "/login", { ticket, code: used })).status, 401, "the code that turned it on is used");
  const code = totp(secret, 1);
  const inNow = await post(tracker, "/login", { ticket, code });
  assert.equal(inNow.status, 200, inNow.text);
  assert.equal(inNow.json.username, "an");
  assert.ok(await isIn(tracker, cookieOf(inNow)));
  assert.equal((await post(tracker, "/login", { ticket, code: codes[0] })).status, 401, "a ticket is good for one login");
  assert.equal((await login(tracker, "an", PASSWORD, { code })).status, 401, "a code is good once");

  const [first, second] = codes;
  assert.equal((await login(tracker, "an", PASSWORD, { code: second.toUpperCase().replaceAll("-", " ") })).status, 200);
  assert.equal((await login(tracker, "an", PASSWORD, { code: second })).status, 401);
  assert.equal((await login(tracker, "an", "wrong wrong", { code: first })).status, 401);
  assert.equal((await good(tracker, an, "account")).recovery_codes, 9, "a wrong password uses up no code");
  assert.equal((await good(tracker, an, "account")).totp, true);
});

test("codes cannot be tried out, and who gets that far slows only that account", async (t) => {
  const tracker = await startTracker(t);
  const an = await register(tracker, "an");
  const { codes } = await secondStep(tracker, an);
  const statuses = [];
  const { ticket } = (await login(tracker, "an")).json;
  for (let i = 0; i < 12; i++) statuses.push((await post(tracker, "/login", { ticket, code: String(100_000 + i) })).status);
  assert.deepEqual(statuses.slice(0, 8).filter((status) => status !== 401), []);
  assert.deepEqual(statuses.slice(8), [429, 429, 429, 429]);
  assert.equal((await login(tracker, "an", PASSWORD, { code: codes[0] })).status, 429);
  assert.ok(await register(tracker, "binh"));
});

test("the second step is turned off with password and code, by an administrator, or at the keyboard of the server", async (t) => {
  const tracker = await startTracker(t);
  const admin = await makeAdmin(tracker);
  const an = await register(tracker, "an");
  let { codes } = await secondStep(tracker, an);
  assert.equal((await call(tracker, an, "totp-end", { password: PASSWORD })).status, 403);
  assert.equal((await call(tracker, an, "totp-end", { password: "wrong wrong", code: codes[0] })).status, 403);
  const renewed = (await good(tracker, an, "recovery-renew", { password: PASSWORD, code: codes[0] })).recovery_codes;
  assert.equal((await call(tracker, an, "totp-end", { password: PASSWORD, code: codes[1] })).status, 403, "the old ones are void");
  await good(tracker, an, "totp-end", { password: PASSWORD, code: renewed[0] });
  assert.equal((await call(tracker, an, "totp-end", { password: PASSWORD, code: renewed[1] })).status, 409);
  assert.equal((await login(tracker, "an")).status, 200);

  await secondStep(tracker, an);
  await good(tracker, admin, "admin-user-totp-off", { account: "an" });
  assert.equal((await login(tracker, "an")).status, 200);
  ({ codes } = await secondStep(tracker, an));
  assert.equal((await call(tracker, an, "account-delete", { password: PASSWORD })).status, 403, "the end needs a code, too");
  assert.match((await user(tracker.folder, "totp-off", "an")).out, /asked for no code at the login any more/);
  assert.equal((await login(tracker, "an")).status, 200);
});

// --- administrators ---

test("an administrator sees accounts, disables them, gives roles and new passwords; it counts at once, and is written down", async (t) => {
  const tracker = await startTracker(t);
  const admin = await makeAdmin(tracker);
  const cookies = {};
  for (const name of ["an", "anh", "binh", "lan"]) cookies[name] = await register(tracker, name);
  const { users, next } = await good(tracker, admin, "admin-users", { search: "AN", limit: 2 });
  assert.deepEqual(users.map(({ username }) => username), ["an", "anh"]);
  assert.deepEqual((await good(tracker, admin, "admin-users", { search: "an", limit: 2, after: next })).users.map(({ username }) => username), ["lan"]);
  assert.deepEqual((await good(tracker, admin, "admin-users", { search: "%" })).users, []);
  const one = await good(tracker, admin, "admin-user", { account: "BINH" });
  assert.deepEqual([one.username, one.role, one.disabled, one.totp, one.entries], ["binh", "person", false, false, 0]);
  assert.equal((await call(tracker, admin, "admin-user", { account: "nobody" })).status, 404);

  const { socket } = await online(t, tracker, cookies.an);
  assert.equal((await socket.ask("admin-users")).code, 403);
  await good(tracker, admin, "admin-user-role", { account: "an", role: "admin" });
  const told = async (wanted) => {
    const began = Date.now();
    for (;;) {
      const answer = await socket.ask("admin-users");
      if (answer.status === wanted) return;
      assert.ok(Date.now() - began < 3000, JSON.stringify(answer));
    }
  };
  await told("success"); // on the socket that was open, long before the next look at all sessions
  await good(tracker, admin, "admin-user-role", { account: "an", role: "person" });
  await told("error");
  assert.equal((await call(tracker, admin, "admin-user-role", { account: "an", role: "king" })).status, 400);
  assert.equal((await call(tracker, admin, "admin-user-role", { account: "root", role: "person" })).status, 409, "the only one");
  assert.equal((await call(tracker, admin, "admin-user-disable", { account: "root" })).status, 409);

  await good(tracker, admin, "admin-user-disable", { account: "an" });
  assert.equal((await socket.next("goodbye")).reason, "logged-out");
  assert.equal(await isIn(tracker, cookies.an), false);
  const disabled = await login(tracker, "an");
  assert.equal(disabled.status, 403);
  assert.match(disabled.json.message, /disabled/);
  assert.equal((await login(tracker, "an", "wrong wrong")).status, 401, "only who has the password is told");
  await good(tracker, admin, "admin-user-enable", { account: "an" });
  assert.equal((await login(tracker, "an")).status, 200);

  const { path } = await good(tracker, admin, "admin-user-reset", { account: "binh" });
  const ticket = new URLSearchParams(path.split("?")[1]).get("ticket");
  assert.equal((await post(tracker, "/reset", { ticket, password: "short" })).status, 400);
  assert.equal((await post(tracker, "/reset", { password: "battery staple" })).status, 400);
  assert.equal((await post(tracker, "/reset", { ticket, password: "battery staple" })).status, 200);
  assert.equal(await isIn(tracker, cookies.binh), false);
  assert.equal((await login(tracker, "binh", "battery staple")).status, 200);
  assert.equal((await post(tracker, "/reset", { ticket, password: "battery staple 2" })).status, 403);

  assert.equal((await good(tracker, admin, "admin-user-sessions", { account: "lan" })).sessions.length, 1);
  await good(tracker, admin, "admin-user-logout", { account: "lan" });
  assert.equal(await isIn(tracker, cookies.lan), false);
  await good(tracker, admin, "admin-user-delete", { account: "lan" });
  assert.equal((await post(tracker, "/register", { username: "lan", password: PASSWORD })).status, 409);

  const { rows } = await good(tracker, admin, "admin-audit", { limit: 200 });
  const seen = rows.map(({ who, what, about }) => [who, what, about].join(" ")).reverse();
  for (const row of ["root admin-claim ", "root register ", "an register ", "root role an", "root account-disable an", "an login-failed ", "root account-enable an", "an login ",
    "root password-link binh", "binh password-reset ", "root session-end lan", "root account-delete lan"]) assert.ok(seen.includes(row), `${row} in\n${seen.join("\n")}`);
  assert.ok(rows.every(({ address }) => address === "127.0.0.1"));
  const text = JSON.stringify(rows);
  for (const secret of [ticket, PASSWORD, "battery staple"]) assert.ok(!text.includes(secret));
  const older = (await good(tracker, admin, "admin-audit", { before: rows[2].row, limit: 2 })).rows;
  assert.deepEqual(older, rows.slice(3, 5));
  assert.ok((await good(tracker, admin, "admin-audit", { account: "binh" })).rows.every(({ who, about }) => who === "binh" || about === "binh"));
  assert.ok((await good(tracker, admin, "admin-audit", { what: "role" })).rows.every(({ what }) => what === "role"));
  const figures = await good(tracker, admin, "admin-server");
  assert.deepEqual([figures.accounts, figures.admins, figures.disabled], [4, 1, 0]);
});

test("the command line gives and takes the role, disables, enables, and makes links; a server that is running hears of it", async (t) => {
  const tracker = await startTracker(t);
  const { folder } = tracker;
  const an = await register(tracker, "an");
  const { socket } = await online(t, tracker, an);
  assert.match((await user(folder, "role", "an", "admin")).out, /an is an administrator now/);
  assert.equal((await call(tracker, an, "admin-users")).status, 200);
  const last = await user(folder, "disable", "an");
  assert.equal(last.code, 1);
  assert.match(last.err, /only administrator/);
  const binh = await register(tracker, "binh");
  await user(folder, "role", "binh", "admin");
  assert.match((await user(folder, "disable", "an")).out, /cannot log in any more/);
  assert.equal((await socket.next("goodbye")).reason, "logged-out");
  assert.equal((await login(tracker, "an")).status, 403);
  assert.match((await user(folder, "list")).out, /^an .* administrator {2}disabled\nbinh .* administrator\n/m);
  assert.match((await user(folder, "enable", "an")).out, /can log in again/);
  const link = (await user(folder, "reset-link", "an", "--url", "http://chat.example:8080/")).out;
  const ticket = /http:\/\/chat\.example:8080\/reset\?ticket=(\w{64})/.exec(link)[1];
  assert.equal((await post(tracker, "/reset", { ticket, password: "battery staple" })).status, 200);
  assert.equal((await login(tracker, "an", "battery staple")).status, 200);
  assert.equal((await user(folder, "role", "an", "king")).code, 2);
  assert.equal((await user(folder, "role", "nobody", "admin")).code, 1);
  const { rows } = await good(tracker, binh, "admin-audit", {});
  const seen = rows.map(({ who, what, about, detail }) => [who, what, about, detail].join(" "));
  for (const row of ["console role an admin", "console account-disable an ", "console account-enable an ", "console password-link an "]) assert.ok(seen.includes(row), seen.join("\n"));
});

test("who does one thing again and again fills the audit log so far and no further, and it says how many were left out", async (t) => {
  const tracker = await startTracker(t);
  const admin = await makeAdmin(tracker);
  const an = await register(tracker, "an");
  for (let i = 0; i < 130; i++) await good(tracker, an, "sessions-end");
  const ends = (await good(tracker, admin, "admin-audit", { what: "session-end", account: "an", limit: 200 })).rows;
  assert.ok(ends.length >= 95 && ends.length <= 102, String(ends.length));
  for (let i = 0; i < 3; i++) await login(tracker, "correct-horse-battery", "an");
  const { rows } = await good(tracker, admin, "admin-audit", { what: "login-failed" });
  assert.match(rows.at(-1).detail, /^name \((2|3)\d others before it were not written\)$/);
  assert.ok(rows.every(({ who, detail }) => who === "" && detail.startsWith("name")), "what was typed as a name may be a password");
  await good(tracker, admin, "sessions-end");
  assert.equal((await good(tracker, admin, "admin-audit", { account: "root", limit: 1 })).rows[0].what, "session-end", "administrators are always written down");
});

// --- several processes ---

test("of two processes on one data folder each ends sessions, changes roles and uses up tickets for both", async (t) => {
  const folder = newFolder();
  const start = async () => {
    const child = spawn(program, ["tracker", "--server-port", "0", "--data", join(folder, "data")], { stdio: ["ignore", "pipe", "pipe"] });
    const tracker = { child, out: "", err: "" };
    const ended = new Promise((resolve) => child.on("close", resolve));
    child.stderr.on("data", (bytes) => (tracker.err += bytes));
    t.after(async () => {
      child.kill("SIGKILL");
      await ended;
    });
    await within(new Promise((resolve) => child.stdout.on("data", (bytes) => (tracker.out += bytes).includes("Ctrl-C stops") && resolve())), "the start");
    tracker.port = Number(/127\.0\.0\.1:(\d+)/.exec(tracker.out)[1]);
    return tracker;
  };
  const [one, two] = [await start(), await start()];
  const tickets = [await adminTicket(one), await adminTicket(two)];
  const an = await register(one, "an");
  const binh = await register(two, "binh");
  // Both at once: one of them gets it, whichever process is asked.
  const claims = await Promise.all([call(one, an, "admin-claim", { ticket: tickets[0] }), call(two, binh, "admin-claim", { ticket: tickets[0] })]);
  assert.deepEqual(claims.map(({ status }) => status).sort(), [200, 403]);
  const [admin, at] = claims[0].status === 200 ? [an, one] : [binh, two];
  assert.equal((await call(two, admin, "admin-users")).status, 200);

  const { secret } = await secondStep(one, an);
  const code = totp(secret, 1);
  const logins = await Promise.all([one, two, one, two].map((tracker) => login(tracker, "an", PASSWORD, { code })));
  assert.deepEqual(logins.map(({ status }) => status).sort(), [200, 401, 401, 401]);
  const later = cookieOf(logins.find(({ status }) => status === 200));
  const { socket, device } = await online(t, two, later);
  const began = Date.now();
  await good(one, an, "device-end", { device: device.id });
  assert.equal((await socket.next("goodbye")).reason, "logged-out");
  assert.ok(Date.now() - began < 4000, "not only when all sessions are looked at");
  assert.equal((await good(at, admin, "account")).role, "admin");
});

// --- other sites ---

const foreign = { Origin: "https://evil.example" };

test("what changes something is refused to pages of other sites: every form, every call, the socket", async (t) => {
  const tracker = await startTracker(t);
  const an = await register(tracker, "an");
  for (const path of ["/login", "/register", "/logout", "/reset"]) {
    const response = await post(tracker, path, { username: "an", password: PASSWORD, ticket: "0".repeat(64) }, { headers: { Cookie: an, ...foreign } });
    assert.equal(response.status, 403, path);
    assert.equal(cookieOf(response), undefined, path);
  }
  for (const type of ["account", "sessions-end", "password-change", "account-delete", "admin-claim", "friends"]) {
    assert.equal((await call(tracker, an, type, { password: PASSWORD }, foreign)).status, 403, type);
    assert.equal((await call(tracker, an, type, { password: PASSWORD }, { Origin: "null" })).status, 403, type);
    assert.equal((await call(tracker, an, type, { password: PASSWORD }, { "Sec-Fetch-Site": "cross-site" })).status, 403, type);
  }
  assert.equal((await new Socket(tracker, { cookie: an, origin: "https://evil.example" }).end()).status, 403);
  assert.ok(await isIn(tracker, an));
  const response = await ask(tracker, "GET", "/session", { headers: { Cookie: an, ...foreign } });
  assert.equal(response.headers["access-control-allow-origin"], undefined);
});

test("pages of --page-origins may log in, call and open the socket; preflights are answered for them and nobody else", async (t) => {
  const page = "http://localhost:3000";
  const tracker = await startTracker(t, { args: ["--page-origins", `https://chat.example,${page}`] });
  const an = await register(tracker, "an");
  const preflight = (origin) =>
    ask(tracker, "OPTIONS", "/call/account", { headers: { Origin: origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type" } });
  const allowed = await preflight(page);
  assert.equal(allowed.status, 204);
  assert.equal(allowed.headers["access-control-allow-origin"], page);
  assert.equal(allowed.headers["access-control-allow-credentials"], "true");
  assert.match(allowed.headers["access-control-allow-methods"], /POST/);
  assert.match(allowed.headers["access-control-allow-headers"], /Content-Type/);
  assert.match(allowed.headers.vary, /Origin/);
  for (const origin of ["https://evil.example", "https://chat.example.evil.example", "http://chat.example", "null", "http://localhost:3001"])
    assert.equal((await preflight(origin)).headers["access-control-allow-origin"], undefined, origin);
  const answer = await call(tracker, an, "account", {}, { Origin: page });
  assert.equal(answer.status, 200);
  assert.equal(answer.headers["access-control-allow-origin"], page);
  assert.equal(answer.headers["access-control-allow-credentials"], "true");
  assert.equal((await call(tracker, an, "account", {}, foreign)).status, 403);
  // Errors can be read there, too.
  assert.equal((await call(tracker, undefined, "account", {}, { Origin: page })).headers["access-control-allow-origin"], page);
  const inside = await login(tracker, "an", PASSWORD, {}, { headers: { Origin: page } });
  assert.equal(inside.status, 200);
  assert.match(inside.headers["set-cookie"][0], /SameSite=Lax$/, "over plain http no other cookie would be kept");
  const socket = new Socket(tracker, { cookie: an, origin: page });
  t.after(() => socket.ws.terminate());
  assert.equal((await socket.next("welcome")).account, "an");
});

test("over https a login from a page of the list gets a cookie that other sites send, and one from our page does not", async (t) => {
  // The proxy of the operator speaks https; the tracker believes it.
  const tracker = await startTracker(t, { args: ["--page-origins", "https://chat.example", "--trusted-proxies", "127.0.0.1"] });
  await register(tracker, "an");
  const https = { "X-Forwarded-Proto": "https" };
  const other = await login(tracker, "an", PASSWORD, {}, { headers: { ...https, Origin: "https://chat.example" } });
  for (const line of other.headers["set-cookie"]) assert.match(line, /; Secure; SameSite=None$/);
  const own = await login(tracker, "an", PASSWORD, {}, { headers: https });
  for (const line of own.headers["set-cookie"]) assert.match(line, /; Secure; SameSite=Lax$/);
});

// --- what time tells ---

test("a wrong password takes as long for a name that exists as for one that does not", async (t) => {
  const tracker = await startTracker(t);
  for (let i = 0; i < 3; i++) await register(tracker, `person${i}`);
  let turn = 0;
  const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];
  async function compare() {
    const took = { known: [], unknown: [] };
    for (let i = 0; i < 15; i++) {
      for (const [kind, name] of [["known", `person${i % 3}`], ["unknown", `nobody${i % 3}`]]) {
        const began = process.hrtime.bigint();
        assert.equal((await login(tracker, name, "wrong wrong", {}, { from: `127.1.${turn}.${kind.length}` })).status, 401);
        took[kind].push(Number(process.hrtime.bigint() - began) / 1e6);
      }
      turn++;
    }
    return [median(took.known), median(took.unknown)];
  }
  // A busy machine may spoil one comparison; a difference that is really there shows in all of them.
  for (let round = 0; ; round++) {
    const [known, unknown] = await compare();
    assert.ok(Math.min(known, unknown) > 10, "both are hashed");
    if (Math.abs(known - unknown) < 0.2 * Math.max(known, unknown)) break;
    assert.ok(round < 3, `${known} ms and ${unknown} ms`);
  }
});
