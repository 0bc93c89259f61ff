// Calls about others: friends, who is here, conversations.
import { count, flag, id, line, list, maybe, name, number, object, one, ref, text, time, truth } from "./words.mjs";

const account = { account: name };
const state = one("none", "asked", "asking", "friend", "blocked");
const status = one("online", "offline");
const device = object({ device: id, label: text });
const address = object({ ip: text, port: count });
const standing = { account: text, state };

export const schemas = {
  Friend: object({
    account: text, state, line: text, since_ms: time, status: maybe(status), seen_ms: maybe(time), devices: maybe(list(device)), addresses: maybe(list(address)),
  }),
};

export const calls = {
  friends: { who: "person", answer: { friends: list(ref("Friend")) } },
  "friend-ask": { who: "person", fields: { ...account, line: maybe(line(140)) }, answer: standing, errors: [404, 409] },
  "friend-accept": { who: "person", fields: account, answer: standing, errors: [404, 409] },
  "friend-decline": { who: "person", fields: account, answer: standing, errors: [404] },
  "friend-remove": { who: "person", fields: account, answer: standing, errors: [404] },
  block: { who: "person", fields: account, answer: standing, errors: [404, 409] },
  unblock: { who: "person", fields: account, answer: standing, errors: [404] },
  "devices-of": { who: "person", fields: { ...account, after: maybe(id) }, answer: { devices: list(object({ device: id, certificate: text, expires_ms: time })), more: flag }, errors: [404] },
  online: {
    who: "person",
    fields: { channel: id, after: maybe(number(0, Number.MAX_SAFE_INTEGER)), limit: maybe(number(1, 100)) },
    answer: { online: count, people: list(object({ account: text, devices: list(device) })), next: count },
    errors: [404],
  },
  introduce: {
    who: "person", fields: { channel: id },
    answer: { channel: id, online: count, devices: list(object({ device: id, account: text, label: text })) },
    errors: [404],
  },
  invisible: { who: "person", fields: { on: maybe(truth) }, answer: { on: maybe(flag) } },
  "ice-servers": {
    who: "person", fields: {},
    answer: { ice_servers: list(object({ urls: list(text), username: maybe(text), credential: maybe(text) })), ttl_s: count },
  },
  session: { who: "person", fields: { ...account, open: maybe(truth) }, errors: [404, 409] },
  "ice-servers": { who: "person", answer: { ice_servers: list(object({ urls: list(text), username: maybe(text), credential: maybe(text) })), ttl_s: count } },
};
