// The classic routes, without --classroom: docs/api.md, part 1.
import { readFileSync } from "node:fs";
import { join } from "node:path";

const room = "contract";
const success = (json) => json.status === "success" && typeof json.message === "string" && json.message.length > 0;
const failure = (json) => json.status === "failure" && typeof json.message === "string" && json.message.length > 0;
const error = (json) => json.status === "error" && typeof json.message === "string" && json.message.length > 0;
const post = (path) => (name, as, body, status, rest = {}) => ({ name: `${path}: ${name}`, as, method: "POST", path, body, status, ...rest });
const submit = post("/submit-info"), add = post("/add-list"), create = post("/create-channel"), join_ = post("/join-channel");
const leave = post("/leave-channel"), messages = post("/get-channel-messages"), send = post("/send-channel-message");
const offer = post("/register-peer-pool"), verify = post("/verify-ticket");
const list = (name, as, status, rest = {}) => ({ name: `/get-list: ${name}`, as, path: "/get-list", status, ...rest });
const channels = (name, as, status, rest = {}) => ({ name: `/get-all-channels: ${name}`, as, path: "/get-all-channels", status, ...rest });

const secret = (world) => readFileSync(join(world.folder, "data", "pool-secret"), "utf8").trim();
const withSecret = (fields) => (world) => ({ ...fields, secret: secret(world) });
const keys = (object) => Object.keys(object).sort().join(" ");
const listed = (json, username) => json.filter((peer) => peer.username === username);
const said = (json) => json.messages.messages.map(({ text }) => text);
const login = (name, rest) => ({ name, as: "anonymous", method: "POST", path: "/login", body: (world) => ({ username: "other", password: world.password }), ...rest });
const onlyMarkup = { headers: { Accept: "text/html" } };

const named = [
  ["/submit-info", { ip: "127.0.0.1", port: "5001" }],
  ["/add-list", { ip: "127.0.0.1", port: "5001" }],
  ["/create-channel", { channel_name: "nobodys" }],
  ["/join-channel", { channel_name: room }],
  ["/leave-channel", { channel_name: room }],
  ["/get-channel-messages", { channel_name: room }],
  ["/send-channel-message", { channel_name: room, message: "hello" }],
];
const inChannels = named.slice(3);

export const rows = [
  // --- who asks ---
  ...named.map(([path, body]) => post(path)("needs a login", "anonymous", { ...body, username: "user" }, 401, { check: (json) => error(json) || failure(json) })),
  ...named.map(([path, body]) => post(path)("speaks for nobody else", "user", { ...body, username: "other" }, 403, { check: (json) => error(json) || failure(json) })),
  ...named.map(([path, body]) => post(path)("nor for nobody at all", "user", { ...body, username: "no spaces" }, 403)),
  ...named.map(([path]) => post(path)("wants fields", "user", "{\"broken", 400)),
  ...named.map(([path]) => post(path)("wants an object", "user", "[1,2]", 400)),
  ...named.map(([path]) => ({ name: `${path}: no GET`, as: "user", path, status: 405, check: (json, world, answer) => answer.headers.allow.includes("POST") })),
  ...["/get-list", "/get-all-channels"].map((path) => ({ name: `${path}: no POST`, as: "user", method: "POST", path, body: {}, status: 405 })),
  ...named.map(([path, body]) => ({ name: `${path}: a page of another site is refused`, as: "user", method: "POST", path, body, headers: { Origin: "https://evil.example" }, status: 403 })),
  list("needs a login", "anonymous", 401),
  channels("needs a login", "anonymous", 401),

  // --- announcements ---
  list("nobody yet", "user", 200, { check: (json) => Array.isArray(json) && json.length === 0 }),
  ...[submit, add].flatMap((to) => [
    to("an address is needed", "user", {}, 400, { check: failure }),
    to("a port is needed", "user", { ip: "127.0.0.1" }, 400, { check: failure }),
    to("an address in figures", "user", { ip: "example.org", port: "5001" }, 400, { check: failure }),
    ...["0", "65536", "-1", "5001x", "", "99999999999"].map((port) => to(`no port ${JSON.stringify(port)}`, "user", { ip: "127.0.0.1", port }, 400, { check: failure })),
    to("a port that is no number", "user", { ip: "127.0.0.1", port: [5001] }, 400, { check: failure }),
  ]),
  submit("where a peer listens", "user", { ip: "127.0.0.1", port: "5001", username: "user" }, 200, { check: success }),
  submit("a number is a port, too, and the name may be left out", "other", { ip: "10.1.2.3", port: 5002 }, 200, { check: success }),
  add("the other name of it; names are those that count as the same", "member", { ip: "::1", port: "5003", username: "MEMBER" }, 200, { check: success }),
  submit("again: it stays one", "user", { ip: "127.0.0.1", port: "5001" }, 200),
  list("names, fields and types", "user", 200, {
    check: (json) =>
      json.length === 3 &&
      json.every((peer) => keys(peer) === "device ip isUsed port status username" && peer.isUsed === 1 && typeof peer.port === "string") &&
      listed(json, "user")[0].ip === "127.0.0.1" && listed(json, "user")[0].port === "5001" && listed(json, "member")[0].ip === "::1" &&
      listed(json, "other")[0].status === "online" && listed(json, "other")[0].device === "",
  }),
  submit("any address is the one that it comes from", "banned", { ip: "0.0.0.0", port: "5004" }, 200),
  list("... like this", "admin", 200, { check: (json) => listed(json, "banned")[0].ip === "127.0.0.1" }),
  ...Array.from({ length: 9 }, (_, i) => submit(`peer ${i} of one account`, "owner", { ip: "127.0.0.1", port: `${6000 + i}` }, 200)),
  list("the newest eight of them", "user", 200, { check: (json) => listed(json, "owner").map(({ port }) => port).sort().join() === "6001,6002,6003,6004,6005,6006,6007,6008" }),

  // --- channels ---
  channels("general first", "user", 200, { check: (json) => json.status === "success" && json.channels[0] === "general" && json.channels.includes(room) }),
  create("a name is needed", "user", {}, 400, { check: error }),
  create("a name that can be one", "user", { channel_name: "no spaces" }, 400, { check: error }),
  create("a policy that there is", "user", { channel_name: "made", policy: "whatever" }, 400, { check: error }),
  create("a password for those with one", "user", { channel_name: "made", policy: "password" }, 400, { check: error }),
  create("open unless it says otherwise", "user", { channel_name: "made" }, 200, { check: success }),
  create("once", "other", { channel_name: "MADE" }, 409, { check: error }),
  create("with a password", "user", { channel_name: "locked", policy: "password", password: "open sesame" }, 200, { check: success }),
  create("for who is invited", "user", { channel_name: "hidden", policy: "invite" }, 200, { check: success }),
  channels("those that can be found", "other", 200, { check: (json) => json.channels.includes("made") && json.channels.includes("locked") && !json.channels.includes("hidden") }),
  channels("and one's own", "user", 200, { check: (json) => json.channels.includes("hidden") }),

  ...inChannels.flatMap(([path, body]) => [
    post(path)("a channel is needed", "user", { ...body, channel_name: undefined }, 400, { check: error }),
    post(path)("a channel that there is", "user", { ...body, channel_name: "nothing" }, 404, { check: (json) => error(json) && json.message === "Channel not found" }),
    post(path)("a name that cannot be one is not found either", "user", { ...body, channel_name: "a b" }, 404),
    post(path)("one that others are invited to is not there", "other", { ...body, channel_name: "hidden" }, 404),
    post(path)("not for who was banned", "banned", { ...body, channel_name: room }, 403, { check: error }),
  ]),
  ...["/join-channel", "/leave-channel", "/send-channel-message"].map((path) =>
    post(path)("a peer's address that is none", "user", { channel_name: room, message: "x", peer_ip: "127.0.0.1" }, 400, { check: error })),

  join_("in", "user", { channel_name: room }, 200, { check: success }),
  join_("again is fine", "user", { channel_name: room, peer_ip: "127.0.0.1", peer_port: "5001", username: "user" }, 200, { check: success }),
  join_("in any spelling", "other", { channel_name: "CONTRACT", peer_ip: "127.0.0.1", peer_port: "5005" }, 200, { check: success }),
  join_("a wrong password", "other", { channel_name: "locked", password: "guess" }, 403, { check: error }),
  join_("the right one", "other", { channel_name: "locked", password: "open sesame" }, 200, { check: success }),
  send("the tracker has no keys", "other", { channel_name: "locked", message: "hello" }, 403, { check: (json) => /encrypted/.test(json.message) }),
  messages("nor reads them", "other", { channel_name: "locked" }, 403, { check: (json) => /encrypted/.test(json.message) }),

  // --- messages ---
  messages("nothing yet", "user", { channel_name: "made" }, 200, {
    check: (json) => json.status === "success" && json.messages.messages.length === 0 && json.messages.members.map(({ username }) => username).join() === "user",
  }),
  send("not from outside", "ex-member", { channel_name: room, message: "hello" }, 403, { check: error }),
  send("something must be said", "user", { channel_name: room, message: "" }, 400, { check: error }),
  send("a text must be said", "user", { channel_name: room, message: ["x"] }, 400, { check: error }),
  send("no hidden bytes", "user", { channel_name: room, message: "a\u0000b" }, 400, { check: error }),
  send("not for ever", "user", { channel_name: room, message: "x".repeat(8 * 1024 + 1) }, 413, { check: error }),
  send("a message", "user", { channel_name: room, message: "one" }, 200, {
    check: (json) => success(json) && /^[0-9a-f]{64}$/.test(json.id) && Math.abs(Date.now() - json.time) < 600_000,
    keep: (json, world) => (world.keep.one = json.id),
  }),
  send("exactly as it is written", "other", { channel_name: room, message: "a + b = 100% <b>&amp;</b>\n\txin chào 李雷 \u{1f600}" }, 200),
  send("as a form in any case", "member", "channel_name=contract&message=a+%2B+b+%3D+100%25%20%E2%9C%93&peer_ip=10.9.8.7&peer_port=1234", 200),
  send("long ones", "moderator", { channel_name: room, message: "y".repeat(8 * 1024) }, 200),
  messages("names, fields, types and order", "user", { channel_name: room }, 200, {
    check: (json, world) => {
      const [one, two, three, four] = json.messages.messages;
      return (
        json.messages.messages.length === 4 && one.id === world.keep.one && one.text === "one" && one.username === "user" && one.sender_ip === "127.0.0.1" &&
        one.sender_port === "5001" && one.web === true && one.guest === false && two.text === "a + b = 100% <b>&amp;</b>\n\txin chào 李雷 \u{1f600}" &&
        two.sender_port === "5005" && three.text === "a + b = 100% ✓" && three.username === "member" && three.sender_ip === "10.9.8.7" && three.sender_port === "1234" &&
        four.text.length === 8192 && four.sender_ip === "" && four.sender_port === "" && one.seq < two.seq && two.seq < three.seq && one.time < two.time &&
        json.messages.members.some(({ ip, port, username }) => ip === "127.0.0.1" && port === "5005" && username === "other") &&
        json.messages.members.some(({ ip, port, username }) => ip === "" && port === "" && username === "moderator") &&
        !json.messages.members.some(({ username }) => username === "banned" || username === "ex-member")
      );
    },
    keep: (json, world) => (world.keep.seqs = json.messages.messages.map(({ seq }) => seq)),
  }),
  messages("the newest", "user", { channel_name: room, limit: "2" }, 200, { check: (json) => said(json).map((text) => text[0]).join() === "a,y" }),
  messages("what came after", "user", (world) => ({ channel_name: room, after: world.keep.seqs[0], limit: 2 }), 200, {
    check: (json, world) => json.messages.messages.map(({ seq }) => seq).join() === world.keep.seqs.slice(1, 3).join(),
  }),
  messages("nothing after the last", "user", (world) => ({ channel_name: room, after: `${world.keep.seqs[3]}` }), 200, { check: (json) => json.messages.messages.length === 0 }),
  ...[["after", "-1"], ["after", "x"], ["after", ""], ["limit", "0"], ["limit", "1001"], ["limit", "1e3"]].map(([field, value]) =>
    messages(`${field} ${JSON.stringify(value)}`, "user", { channel_name: room, [field]: value }, 400, { check: error })),
  messages("an open channel is open", "ex-member", { channel_name: room }, 200, { check: (json) => json.messages.messages.length === 4 }),

  leave("out", "user", { channel_name: room }, 200, { check: success }),
  leave("is out", "user", { channel_name: room }, 200, { check: success }),
  send("then no more", "user", { channel_name: room, message: "hello" }, 403),
  leave("an owner stays until somebody else is one", "owner", { channel_name: room }, 409, { check: error }),

  // --- the pool ---
  offer("needs the secret", "user", { ip: "127.0.0.1", port: "7001", username: "peer" }, 401, { check: (json, world, answer) => error(json) && answer.headers["www-authenticate"] === "Bearer" }),
  offer("the right one", "anonymous", { ip: "127.0.0.1", port: "7001", username: "peer", secret: "0".repeat(64) }, 403, { check: error }),
  offer("where it listens", "anonymous", withSecret({ username: "peer" }), 400, { check: error }),
  offer("what it is called", "anonymous", withSecret({ ip: "127.0.0.1", port: "7001" }), 400, { check: error }),
  login("with nobody in the pool a login leads to the page", { status: 200, check: (json) => json.redirect === "/" }),
  offer("a peer", "anonymous", withSecret({ ip: "127.0.0.1", port: "7001", username: "peer1" }), 200, { check: success }),
  offer("once", "anonymous", withSecret({ ip: "127.0.0.1", port: "7001", username: "peer1" }), 409, { check: error }),
  offer("to be renewed", "anonymous", withSecret({ ip: "127.0.0.1", port: "7001", username: "peer1", renew: "true" }), 200, { check: success }),
  offer("the secret in the header", "anonymous", { ip: "::1", port: 7002, username: "peer2" }, 200, { headers: (world) => ({ Authorization: `Bearer ${secret(world)}` }), check: success }),
  login("a wrong password claims nobody", { body: { username: "other", password: "not the right one" }, status: 401, check: error }),
  login("the one who has waited longest", { ...onlyMarkup, status: 302, check: (json, world, answer) => /^http:\/\/127\.0\.0\.1:7001\/\?ticket=[0-9a-f]{64}$/.test(answer.headers.location), }),
  login("then the next one", { status: 200, check: (json) => /^http:\/\/\[::1\]:7002\/\?ticket=[0-9a-f]{64}$/.test(json.redirect), keep: (json, world) => (world.keep.ticket = json.redirect.slice(-64)) }),
  login("then none", { status: 200, check: (json) => json.redirect === "/" }),
  verify("needs the secret", "anonymous", (world) => ({ ticket: world.keep.ticket }), 401, { check: error }),
  verify("a ticket", "anonymous", withSecret({ ticket: "x" }), 400, { check: error }),
  verify("of this tracker", "anonymous", withSecret({ ticket: "0".repeat(64) }), 401, { check: error }),
  verify("for this peer", "anonymous", (world) => ({ ticket: world.keep.ticket, ip: "127.0.0.1", port: 7001, secret: secret(world) }), 401, { check: error }),
  verify("whose it is, and a session", "anonymous", (world) => ({ ticket: world.keep.ticket, ip: "::1", port: "7002", secret: secret(world) }), 200, {
    check: (json) => json.status === "success" && json.username === "other" && /^[0-9a-f]{64}$/.test(json.session) && json.expires_s > 3600,
    keep: (json, world) => (world.keep.session = json.session),
  }),
  verify("once", "anonymous", (world) => ({ ticket: world.keep.ticket, secret: secret(world) }), 401, { check: error }),
  { name: "the peer is logged in", as: "anonymous", path: "/session", cookie: (world) => `session=${world.keep.session}`, status: 200, check: (json) => json.username === "other" },
  offer("taken back", "anonymous", withSecret({ ip: "::1", port: "7002", username: "peer2", leave: "1" }), 200, { check: success }),
  offer("and offered again", "anonymous", withSecret({ ip: "::1", port: "7002", username: "peer2" }), 200, { check: success }),
];
