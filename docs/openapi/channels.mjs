// Calls of channels: made, joined, looked after; history, search, what is new.
import { count, flag, id, line, list, maybe, name, number, object, one, ref, text, time, truth } from "./words.mjs";

const channel = { channel: id };
const target = { ...channel, account: name };
const note = { note: maybe(line(200)) };
const policy = one("open", "password", "invite", "approval");
const role = one("member", "moderator", "owner");
const page = { before: maybe(text), after: maybe(text), limit: maybe(number(1, 200)) };
const room = { channel: ref("Channel") };
const INT_MAX = Number.MAX_SAFE_INTEGER;

export const schemas = {
  Channel: object({
    id,
    name: text,
    type: one("public", "private"),
    policy,
    topic: text,
    slow_s: count,
    members: count,
    created_ms: time,
    founder: maybe(id),
    nonce: maybe(text),
    me: maybe(object({ state: one("member", "asks", "banned"), role, muted_until_ms: time, since_ms: time })),
  }),
  Entry: object({
    kind: text, at: text, id, author: id, seq: count, account: text, time_ms: time, place_ms: time,
    text: maybe(text), files: maybe(list(object({ path: text, size: count }))), decision: maybe(object({})),
    channel: maybe(id), excerpt: maybe(list(object({ text, hit: maybe(flag) }))), mention: maybe(count), seen: maybe(flag),
  }),
  Unread: object({ channel: id, unread: count, mentions: count, read: maybe(text) }),
};

const moderates = { room: "moderator", errors: [404, 409] };
const owns = { room: "owner", errors: [404, 409] };

export const calls = {
  "channel-create": { who: "person", fields: { name, policy, topic: maybe(line(200)), password: maybe(line(200, 4)) }, answer: room, errors: [409, 429] },
  "channel-list": { who: "person", fields: { name: maybe(line(32)), after: maybe(line(32)), limit: maybe(number(1, 100)) }, answer: { channels: list(ref("Channel")), more: flag } },
  "channel-mine": { who: "person", answer: { channels: list(ref("Channel")) } },
  "channel-find": { who: "person", fields: { name: maybe(name), channel: maybe(id) }, answer: room, errors: [404] },
  "channel-join": { who: "person", fields: { ...channel, password: maybe(line(200, 1)), ...note }, answer: room, errors: [404, 409, 429] },
  "channel-leave": { who: "person", fields: channel, errors: [404, 409] },
  "channel-topic": { who: "person", fields: { ...channel, topic: line(200) }, ...moderates },
  "channel-rename": { who: "person", fields: { ...channel, name }, ...owns },
  "channel-policy": { who: "person", fields: { ...channel, policy, password: maybe(line(200, 4)) }, ...owns, errors: [...owns.errors, 429] },
  "channel-slow": { who: "person", fields: { ...channel, seconds: number(0, 21600) }, ...moderates },
  "channel-close": { who: "person", fields: channel, ...owns },
  "channel-members": {
    who: "person",
    fields: { ...channel, state: maybe(one("member", "asks", "banned")), role: maybe(role), after: maybe(line(32)), limit: maybe(number(1, 200)) },
    answer: { members: list(object({ account: text, role, muted_until_ms: time, since_ms: time, note: text })), more: flag },
    errors: [404],
  },
  "channel-devices": {
    who: "person",
    fields: { ...channel, after: maybe(id) },
    answer: { devices: list(object({ device: id, account: text, certificate: text })), more: flag },
    errors: [404],
  },
  "channel-role": { who: "person", fields: { ...target, role }, ...owns },
  "channel-hand-over": { who: "person", fields: target, ...owns },
  "channel-kick": { who: "person", fields: { ...target, ...note }, ...moderates },
  "channel-ban": { who: "person", fields: { ...target, ...note }, ...moderates },
  "channel-unban": { who: "person", fields: { ...target, ...note }, ...moderates },
  "channel-mute": { who: "person", fields: { ...target, seconds: number(1, INT_MAX), ...note }, ...moderates },
  "channel-unmute": { who: "person", fields: { ...target, ...note }, ...moderates },
  "channel-approve": { who: "person", fields: { ...target, ...note }, ...moderates },
  "channel-refuse": { who: "person", fields: { ...target, ...note }, ...moderates },
  "channel-hide": {
    who: "person",
    fields: { ...channel, account: maybe(name), seconds: maybe(number(1, INT_MAX)), author: maybe(id), seq: maybe(number(1, INT_MAX)) },
    answer: { messages: maybe(count) },
    ...moderates,
  },
  "channel-show": {
    who: "person",
    fields: { ...channel, account: maybe(name), seconds: maybe(number(1, INT_MAX)), author: maybe(id), seq: maybe(number(1, INT_MAX)) },
    answer: { messages: maybe(count) },
    ...moderates,
  },
  "channel-invite": { who: "person", fields: { ...channel, expires_s: maybe(number(0, INT_MAX)), uses: maybe(number(0, INT_MAX)) }, answer: { invite: count, token: text, path: text }, errors: [404, 409] },
  "channel-invites": {
    who: "person",
    fields: channel,
    answer: { invites: list(object({ invite: count, token: text, account: text, created_ms: time, expires_ms: time, uses: count, used: count })) },
    errors: [404],
  },
  "channel-invite-revoke": { who: "person", fields: { ...channel, invite: number(1, INT_MAX) }, errors: [404, 409] },
  "channel-invite-look": { who: "person", fields: { token: text }, answer: { channel: id, name: text, topic: text, members: count, by: text }, errors: [404] },
  "channel-redeem": { who: "person", fields: { token: text }, answer: room, errors: [404, 409] },
  history: { who: "person", fields: { ...channel, ...page }, answer: { messages: list(ref("Entry")), more: flag }, errors: [404] },
  search: {
    who: "person",
    fields: { query: line(200, 1), channel: maybe(id), before: maybe(number(1, INT_MAX)), limit: maybe(number(1, 100)) },
    answer: { messages: list(ref("Entry")), more: flag, next: maybe(count) },
    errors: [404],
  },
  unread: { who: "person", answer: { channels: list(ref("Unread")) } },
  "mark-read": { who: "person", fields: { ...channel, at: maybe(text), unread: maybe(truth) }, answer: { channel: id, unread: count, mentions: count, read: maybe(text) }, errors: [404] },
  mentions: { who: "person", fields: { before: maybe(number(1, INT_MAX)), limit: maybe(number(1, 200)) }, answer: { mentions: list(ref("Entry")), more: flag } },
  "mentions-seen": { who: "person", fields: { mention: maybe(number(1, INT_MAX)) } },
  "keep-conversations": { who: "person", fields: { keep: maybe(truth) }, answer: { keep: flag } },
};
