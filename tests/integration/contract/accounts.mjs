// Accounts and administration: who may call, and what is answered to what. docs/api.md, part 2.
import { createHmac } from "node:crypto";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { cookieOf, newDevice, post, program } from "../tracker-kit.mjs";

const people = ["user", "other", "owner", "moderator", "member", "ex-member", "banned"];
const nobody = "nobody-of-this-name";
const noId = "f".repeat(64);
const error = (json) => json.status === "error" && typeof json.message === "string" && json.message.length > 0;
const password = (world) => ({ password: world.password });
const own = ["account", "account-sessions", "session-end", "sessions-end", "device-rename", "device-end", "password-change", "account-delete", "totp-begin", "totp-confirm", "totp-end", "recovery-renew", "admin-claim"];
const aboutUsers = ["admin-user", "admin-user-sessions", "admin-user-disable", "admin-user-enable", "admin-user-logout", "admin-user-device-end", "admin-user-totp-off", "admin-user-delete", "admin-user-reset"];
const administration = [...aboutUsers, "admin-users", "admin-user-role", "admin-invite-add", "admin-invites", "admin-invite-revoke", "admin-audit", "admin-server"];
const row = (as, call, name, body, status, rest = {}) => ({ name: `${call}: ${name}`, as, call, body, status, check: status === 200 ? undefined : error, ...rest });
const proving = ["password-change", "account-delete", "totp-begin", "totp-end", "recovery-renew"];

function totp(secret, off) {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const bits = [...secret].map((letter) => letters.indexOf(letter).toString(2).padStart(5, "0")).join("");
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30000) + off));
  const mac = createHmac("sha1", Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)))).update(counter).digest();
  return String((mac.readUInt32BE(mac[19] & 15) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

/** One more session of "other", so that there is one to end; and a link for administrators. */
export async function setup(world) {
  const response = await post(world.tracker, "/login", { username: "other", password: world.password });
  world.keep.second = cookieOf(response);
  const out = execFileSync(program, ["user", "admin-link", "--data", join(world.folder, "data")]).toString();
  world.keep.ticket = /ticket=(\w+)/.exec(out)[1];
}

export const rows = [
  // --- who ---
  ...[...own, ...administration].map((call) => row("anonymous", call, "needs a login", { account: "user" }, 401)),
  ...people.flatMap((as) => administration.map((call) => row(as, call, `is not for ${as}`, { account: "user", role: "admin" }, 403))),
  ...[...own, ...administration].map((call) => row("user", call, "pages of other sites are refused", { account: "user" }, 403, { as: "admin", method: "POST", call: undefined, path: `/call/${call}`, headers: { Origin: "https://evil.example" } })),
  ...["/login", "/register", "/reset", "/logout"].map((path) => ({ name: `${path}: pages of other sites are refused`, as: "user", method: "POST", path, body: { username: "user", password: "x".repeat(9) }, headers: { Origin: "https://evil.example" }, status: 403 })),

  // --- the account ---
  ...[...people, "admin"].map((as) => row(as, "account", `of ${as}`, {}, 200, {
    check: (json) => json.username === as && json.role === (as === "admin" ? "admin" : "person") && json.totp === false && json.recovery_codes === 0 && json.registration === "open" && json.created_ms > 1.7e12,
  })),
  { name: "GET /session names the role", as: "admin", path: "/session", status: 200, check: (json) => json.username === "admin" && json.role === "admin" && json.expires_s > 0 },
  { name: "GET /session without one says how to get an account", as: "anonymous", path: "/session", status: 401, check: (json) => json.registration === "open" },

  // --- sessions and devices ---
  row("other", "account-sessions", "both", {}, 200, {
    check: (json) => json.sessions.length === 2 && json.sessions.filter(({ current }) => current).length === 1 && Array.isArray(json.devices),
    keep: (json, world) => (world.keep.session = json.sessions.find(({ current }) => !current).session),
  }),
  row("user", "session-end", "not somebody else's", (world) => ({ session: world.keep.session }), 404),
  row("other", "session-end", "an id is needed", {}, 400),
  row("other", "session-end", "of the right form", { session: "xyz" }, 400),
  row("other", "session-end", "one of two", (world) => ({ session: world.keep.session }), 200),
  row("other", "session-end", "is gone then", (world) => ({ session: world.keep.session }), 404),
  { name: "its cookie opens nothing any more", as: "other", cookie: (world) => world.keep.second, path: "/session", status: 401 },
  row("other", "sessions-end", "true or false", { all: "perhaps" }, 400),
  row("other", "sessions-end", "there are no others", {}, 200, { check: (json) => json.ended === 0 }),
  row("other", "device-rename", "a device is needed", { name: "x" }, 400),
  row("other", "device-rename", "a name is needed", { device: noId }, 400),
  row("other", "device-rename", "at most 64 letters", { device: noId, name: "x".repeat(65) }, 400),
  row("other", "device-rename", "on one line", { device: noId, name: "a\nb" }, 400),
  row("other", "device-rename", "a device that is there", { device: noId, name: "x" }, 404),
  row("other", "device-end", "a device is needed", {}, 400),
  row("other", "device-end", "a device that is there", () => ({ device: newDevice().id }), 404),

  // --- proving ---
  ...proving.map((call) => row("user", call, "wants the password", { new_password: "battery staple" }, 400)),
  ...proving.map((call) => row("user", call, "the right one", { password: "wrong wrong", new_password: "battery staple" }, 403)),
  row("user", "password-change", "a password that is one", (world) => ({ ...password(world), new_password: "short" }), 400),
  row("user", "password-change", "a text", (world) => ({ ...password(world), new_password: ["battery staple"] }), 400),
  row("user", "password-change", "the same for another one", (world) => ({ ...password(world), new_password: "battery staple" }), 200),
  row("user", "password-change", "the old one is old", (world) => ({ ...password(world), new_password: "battery staple" }), 403),
  row("user", "password-change", "back", (world) => ({ password: "battery staple", new_password: world.password }), 200),

  // --- the second step ---
  row("user", "totp-confirm", "nothing was begun", { code: "123456" }, 409),
  row("user", "totp-end", "it is off", password, 409),
  row("user", "recovery-renew", "it is off", password, 409),
  row("user", "totp-begin", "a secret", password, 200, {
    check: (json) => /^[A-Z2-7]{32}$/.test(json.secret) && json.uri.startsWith("otpauth://totp/") && json.uri.includes(`secret=${json.secret}`),
    keep: (json, world) => (world.keep.secret = json.secret),
  }),
  row("user", "totp-confirm", "a code is needed", {}, 400),
  row("user", "totp-confirm", "six digits", { code: "12345" }, 400),
  row("user", "totp-confirm", "the right one", (world) => ({ code: totp(world.keep.secret, 100) }), 403),
  row("user", "totp-confirm", "on", (world) => ({ code: totp(world.keep.secret, -1) }), 200, {
    check: (json) => json.recovery_codes.length === 10 && json.recovery_codes.every((code) => /^[2-9a-z]{4}(-[2-9a-z]{4}){3}$/.test(code)),
    keep: (json, world) => (world.keep.codes = json.recovery_codes),
  }),
  row("user", "totp-begin", "is on already", password, 409),
  row("user", "account", "it is on", {}, 200, { check: (json) => json.totp === true && json.recovery_codes === 10 }),
  { name: "/login: needs the code", as: "anonymous", method: "POST", path: "/login", body: (world) => ({ username: "user", password: world.password }), status: 401,
    check: (json) => error(json) && json.needs === "totp" && /^[0-9a-f]{64}$/.test(json.ticket), keep: (json, world) => (world.keep.login = json.ticket) },
  { name: "/login: a ticket needs a code", as: "anonymous", method: "POST", path: "/login", body: (world) => ({ ticket: world.keep.login }), status: 400 },
  { name: "/login: the right one", as: "anonymous", method: "POST", path: "/login", body: (world) => ({ ticket: world.keep.login, code: "no code" }), status: 401, check: (json) => json.needs === "totp" },
  { name: "/login: with a recovery code", as: "anonymous", method: "POST", path: "/login", body: (world) => ({ ticket: world.keep.login, code: world.keep.codes[0] }), status: 200, check: (json) => json.username === "user" },
  { name: "/login: the ticket is used", as: "anonymous", method: "POST", path: "/login", body: (world) => ({ ticket: world.keep.login, code: world.keep.codes[1] }), status: 401 },
  { name: "/login: no ticket at all", as: "anonymous", method: "POST", path: "/login", body: { ticket: noId, code: "123456" }, status: 401 },
  row("user", "totp-end", "needs a code", password, 403),
  row("user", "account-delete", "needs a code", password, 403),
  row("user", "recovery-renew", "new ones", (world) => ({ ...password(world), code: world.keep.codes[2] }), 200, { check: (json) => json.recovery_codes.length === 10 }),
  row("user", "totp-end", "the old ones are void", (world) => ({ ...password(world), code: world.keep.codes[3] }), 403),
  row("admin", "admin-user-totp-off", "for who has lost them", { account: "user" }, 200),
  row("admin", "admin-user-totp-off", "it is off", { account: "user" }, 404),

  // --- administration ---
  ...aboutUsers.map((call) => row("admin", call, "a name is needed", {}, 400)),
  ...aboutUsers.map((call) => row("admin", call, "of an account that is there", { account: nobody, device: noId }, 404)),
  row("admin", "admin-users", "all", {}, 200, { check: (json) => people.every((name) => json.users.some(({ username }) => username === name)) && json.next === undefined }),
  row("admin", "admin-users", "a page", { limit: "2" }, 200, { check: (json) => json.users.length === 2 && typeof json.next === "string", keep: (json, world) => (world.keep.page = json) }),
  row("admin", "admin-users", "the next one", (world) => ({ limit: "2", after: world.keep.page.next }), 200, { check: (json, world) => json.users.length === 2 && !world.keep.page.users.some(({ username }) => username === json.users[0].username) }),
  row("admin", "admin-users", "a part of the name", { search: "MBER" }, 200, { check: (json) => json.users.map(({ username }) => username).join() === "ex-member,member" }),
  ...["0", "201", "many"].map((limit) => row("admin", "admin-users", `no limit of ${limit}`, { limit }, 400)),
  row("admin", "admin-user", "one", { account: "OWNER" }, 200, { check: (json) => json.username === "owner" && json.role === "person" && json.disabled === false && typeof json.entry_bytes === "number" }),
  row("admin", "admin-user-sessions", "of somebody", { account: "owner" }, 200, { check: (json) => json.sessions.length >= 1 && json.sessions.every(({ current }) => !current) }),
  row("admin", "admin-user-role", "a role is needed", { account: "other" }, 400),
  row("admin", "admin-user-role", "one that exists", { account: "other", role: "owner" }, 400),
  row("admin", "admin-user-role", "an account", { account: nobody, role: "admin" }, 404),
  row("admin", "admin-user-role", "not the last one's", { account: "admin", role: "person" }, 409),
  row("admin", "admin-user-role", "given", { account: "other", role: "admin" }, 200),
  row("other", "admin-server", "counts at once", {}, 200, { check: (json) => json.admins === 2 && json.accounts >= 8 && json.sockets >= 0 && typeof json.version === "string" }),
  row("admin", "admin-user-role", "taken", { account: "other", role: "person" }, 200),
  row("other", "admin-server", "at once, too", {}, 403),
  row("admin", "admin-user-disable", "not oneself", { account: "admin" }, 409),
  row("admin", "admin-user-delete", "not oneself", { account: "admin" }, 409),
  row("admin", "admin-user-disable", "somebody", { account: "banned" }, 200),
  { name: "who is disabled is out", as: "banned", path: "/session", status: 401 },
  { name: "/login: and cannot come in", as: "anonymous", method: "POST", path: "/login", body: (world) => ({ username: "banned", password: world.password }), status: 403, check: error },
  row("admin", "admin-user-enable", "again", { account: "banned" }, 200),
  { name: "/login: can again", as: "anonymous", method: "POST", path: "/login", body: (world) => ({ username: "banned", password: world.password }), status: 200 },
  row("admin", "admin-user-device-end", "a device is needed", { account: "owner" }, 400),
  row("admin", "admin-user-device-end", "of the account", { account: "owner", device: noId }, 404),
  row("admin", "admin-user-reset", "a link", { account: "ex-member" }, 200, { check: (json) => /^\/reset\?ticket=[0-9a-f]{64}$/.test(json.path) && json.expires_ms > Date.now(), keep: (json, world) => (world.keep.reset = json.path.split("=")[1]) }),
  { name: "/reset: a ticket is needed", as: "anonymous", method: "POST", path: "/reset", body: { password: "battery staple" }, status: 400, check: error },
  { name: "/reset: a password is needed", as: "anonymous", method: "POST", path: "/reset", body: (world) => ({ ticket: world.keep.reset }), status: 400, check: error },
  { name: "/reset: a good one", as: "anonymous", method: "POST", path: "/reset", body: (world) => ({ ticket: world.keep.reset, password: "short" }), status: 400, check: error },
  { name: "/reset: a ticket that is one", as: "anonymous", method: "POST", path: "/reset", body: { ticket: noId, password: "battery staple" }, status: 403, check: error },
  { name: "/reset: done", as: "anonymous", method: "POST", path: "/reset", body: (world) => ({ ticket: world.keep.reset, password: "battery staple" }), status: 200 },
  { name: "/reset: once", as: "anonymous", method: "POST", path: "/reset", body: (world) => ({ ticket: world.keep.reset, password: "battery staple" }), status: 403, check: error },
  { name: "the sessions of before are over", as: "ex-member", path: "/session", status: 401 },
  row("admin", "admin-user-logout", "everywhere", { account: "moderator" }, 200),
  { name: "who was logged out is", as: "moderator", path: "/session", status: 401 },
  ...["0", "100001", "x"].map((uses) => row("admin", "admin-invite-add", `no invite for ${uses}`, { uses }, 400)),
  row("admin", "admin-invite-add", "nor for ever", { days: "366" }, 400),
  row("admin", "admin-invite-add", "made", { uses: "3", days: "1", note: "hello" }, 200, { check: (json) => json.path === `/register?invite=${json.code}`, keep: (json, world) => (world.keep.invite = json.invite) }),
  row("admin", "admin-invites", "listed", {}, 200, { check: (json) => json.invites[0].note === "hello" && json.invites[0].uses_max === 3 && json.invites[0].by === "admin" && !("code" in json.invites[0]) }),
  row("admin", "admin-invite-revoke", "a number is needed", { invite: "x" }, 400),
  row("admin", "admin-invite-revoke", "of one that is there", { invite: 4711 }, 404),
  row("admin", "admin-invite-revoke", "void", (world) => ({ invite: world.keep.invite }), 200),
  row("admin", "admin-invite-revoke", "once", (world) => ({ invite: world.keep.invite }), 404),
  row("admin", "admin-audit", "what has happened", {}, 200, { check: (json) => json.rows.length > 10 && json.rows.every(({ row: id, time_ms: time, who, what }) => id > 0 && time > 1.7e12 && typeof who === "string" && what.length > 0) }),
  row("admin", "admin-audit", "of one kind, about one", { what: "role", account: "other" }, 200, { check: (json) => json.rows.length >= 2 && json.rows.every(({ who, what, about, detail }) => who === "admin" && what === "role" && about === "other" && /^(admin|person)$/.test(detail)) }),
  row("admin", "admin-audit", "before a row", { before: "1" }, 200, { check: (json) => json.rows.length === 0 }),
  row("admin", "admin-audit", "no row", { before: "-1" }, 400),

  // --- the link for administrators ---
  row("member", "admin-claim", "a ticket is needed", {}, 400),
  row("member", "admin-claim", "that of the link", { ticket: noId }, 403),
  row("member", "admin-claim", "makes an administrator", (world) => ({ ticket: world.keep.ticket }), 200, { check: (json) => json.role === "admin" }),
  row("owner", "admin-claim", "of one", (world) => ({ ticket: world.keep.ticket }), 403),

  // --- the end ---
  row("admin", "admin-user-delete", "an account", { account: "owner" }, 200),
  { name: "who was deleted is out", as: "owner", path: "/session", status: 401 },
  { name: "/register: the name is never given again", as: "anonymous", method: "POST", path: "/register", body: { username: "Owner", password: "battery staple" }, status: 409, check: error },
  row("other", "account-delete", "oneself", password, 200),
  { name: "is out, too", as: "other", path: "/session", status: 401 },
  { name: "/register: nor is that one", as: "anonymous", method: "POST", path: "/register", body: { username: "other", password: "battery staple" }, status: 409, check: error },
];
