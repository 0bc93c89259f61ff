// The classic routes, and what every server has.
import { count, flag, id, line, list, maybe, name, number, object, one, ref, text, time, token } from "./words.mjs";

const done = object({ status: one("success"), message: text });
const channel = { channel_name: name };
const peer = { peer_ip: maybe(text), peer_port: maybe(number(1, 65535)), username: maybe(name) };
const address = { ip: text, port: number(1, 65535) };
const secret = { secret: maybe(text) };
const loggedIn = object({ status: one("success"), message: text, username: text, redirect: text });

export const schemas = {
  Peer: object({ ip: text, port: text, username: text, isUsed: one(1), device: { type: "string", pattern: "^([0-9a-f]{64})?$" }, status: one("online", "idle") }),
  Member: object({ ip: text, port: text, username: text }),
  ClassicMessage: object({ sender_ip: text, sender_port: text, username: text, text, id, time, seq: count, web: flag, guest: flag }),
};

// who: anybody; person: a session; named: a session, or with --classroom a name; reader: a session, with --classroom anybody; peer: the secret of the pool
export const routes = {
  "GET /": { summary: "The chat page; without a session the login page", who: "anybody", page: [200, 401] },
  "GET /index.html": { summary: "As /", who: "anybody", page: [200, 401] },
  "GET /login": { summary: "The forms", who: "anybody", page: [200] },
  "GET /login.html": { summary: "As /login", who: "anybody", page: [200] },
  "GET /register": { summary: "As /login", who: "anybody", page: [200] },
  "GET /reset": { summary: "The page for a new password by a link", who: "anybody", page: [200] },
  "GET /admin": { summary: "The page of administrators", who: "anybody", page: [200] },
  "POST /login": {
    summary: "Log in",
    who: "anybody",
    fields: { username: maybe(name), password: maybe(line(1024, 1)), code: maybe(text), ticket: maybe(text) },
    answer: loggedIn,
    errors: [401, 429],
    redirects: true,
  },
  "POST /register": {
    summary: "Make an account and log in",
    who: "anybody",
    fields: { username: name, password: line(1024, 8), invite: maybe(text), ticket: maybe(text) },
    answer: loggedIn,
    errors: [401, 409, 429],
    redirects: true,
  },
  "POST /logout": { summary: "End the session", who: "anybody", fields: {}, answer: done, redirects: true, ends: true },
  "POST /reset": { summary: "A new password by a link", who: "anybody", fields: { ticket: text, password: line(1024, 8) }, answer: object({ status: one("success") }), errors: [409, 429] },
  "GET /session": { summary: "Who is logged in", who: "person", answer: object({ status: one("success"), username: text, expires_s: count }) },
  "POST /submit-info": { summary: "Where a native peer listens", who: "named", fields: { ...address, username: maybe(name) }, answer: done, failure: true },
  "POST /add-list": { summary: "The same under its other name", who: "named", fields: { ...address, username: maybe(name) }, answer: done, failure: true },
  "GET /get-list": { summary: "Announced peers", who: "reader", answer: list(ref("Peer")) },
  "POST /register-peer-pool": {
    summary: "A native peer offers itself to the next login",
    who: "peer",
    fields: { ...address, username: name, ...secret, renew: maybe(text), leave: maybe(text) },
    answer: done,
    errors: [409],
  },
  "POST /verify-ticket": {
    summary: "Whose ticket it is",
    who: "peer",
    fields: { ticket: token, ip: maybe(text), port: maybe(number(1, 65535)), ...secret },
    answer: object({ status: one("success"), username: text, session: maybe(token), expires_s: maybe(count) }),
  },
  "GET /get-all-channels": { summary: "Names of channels", who: "reader", answer: object({ status: one("success"), channels: list(text) }) },
  "POST /create-channel": {
    summary: "Make a channel",
    who: "person",
    fields: { ...channel, policy: maybe(one("open", "password", "invite", "approval")), password: maybe(line(200, 4)) },
    answer: done,
    errors: [409],
  },
  "POST /join-channel": { summary: "Join", who: "named", fields: { ...channel, password: maybe(text), ...peer }, answer: done, errors: [404, 409, 429] },
  "POST /leave-channel": { summary: "Leave", who: "named", fields: { ...channel, ...peer }, answer: done, errors: [404, 409] },
  "POST /get-channel-messages": {
    summary: "What was said",
    who: "reader",
    fields: { ...channel, after: maybe(number(0, Number.MAX_SAFE_INTEGER)), limit: maybe(number(1, 1000)), username: maybe(name) },
    answer: object({ status: one("success"), messages: object({ members: list(ref("Member")), messages: list(ref("ClassicMessage")) }) }),
    errors: [404],
  },
  "POST /send-channel-message": {
    summary: "Say something",
    who: "named",
    fields: { ...channel, message: line(8192, 1), ...peer },
    answer: object({ status: one("success"), message: text, id, time }),
    errors: [404, 413, 429],
  },
  "GET /metrics": { summary: "Prometheus text", who: "anybody", plain: true },
  "GET /healthz": { summary: "The process answers", who: "anybody", answer: object({ status: text }) },
  "GET /readyz": { summary: "The database answers, too", who: "anybody", answer: object({ status: text }) },
  "GET /export/{file}": { summary: "A channel as JSON or text, in a file", who: "person", parameters: ["file"], plain: true, errors: [404] },
  "GET /events": { summary: "News, as the socket pushes them: a long poll", who: "person", waits: true, answer: object({}), errors: [409] },
  "GET /ws": { summary: "The tracker's socket: docs/protocol/tracker-socket.md", who: "person", socket: true },
};
