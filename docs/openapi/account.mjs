// Calls of one's own account, and those of administrators.
import { count, flag, id, line, list, maybe, name, nullable, number, object, one, ref, text, time, token, truth, whole } from "./words.mjs";

const role = one("person", "admin");
const password = line(1024, 1);
const account = { account: name };
const code = { code: maybe(text) };
const codes = { recovery_codes: list(text) };
const lists = { sessions: list(ref("Session")), devices: list(ref("Device")) };

export const schemas = {
  Session: object({ session: id, current: flag, created_ms: time, seen_ms: time, expires_ms: time, address: text, agent: text, device: nullable(id) }),
  Device: object({ device: id, current: flag, issued_ms: time, seen_ms: time, expires_ms: time, address: text, name: text, label: text }),
  User: object({ username: text, role, disabled: flag, created_ms: time, seen_ms: time, sessions: count, devices: count, totp: flag }),
};

export const calls = {
  account: { who: "person", answer: { username: text, role, created_ms: time, totp: flag, recovery_codes: count, registration: one("open", "invite", "closed") } },
  "account-sessions": { who: "person", answer: lists },
  "session-end": { who: "person", fields: { session: token }, errors: [404] },
  "sessions-end": { who: "person", fields: { all: maybe(truth) }, answer: { ended: count }, ends: true },
  "device-rename": { who: "person", fields: { device: id, name: line(64) }, errors: [404] },
  "device-end": { who: "person", fields: { device: id }, errors: [404] },
  "password-change": { who: "person", fields: { password, new_password: line(1024, 8) }, errors: [409, 429] },
  "account-delete": { who: "person", fields: { password, ...code }, errors: [409, 429], ends: true },
  "totp-begin": { who: "person", fields: { password }, answer: { secret: text, uri: text }, errors: [409, 429] },
  "totp-confirm": { who: "person", fields: { code: text }, answer: codes, errors: [409, 429] },
  "totp-end": { who: "person", fields: { password, ...code }, errors: [409, 429] },
  "recovery-renew": { who: "person", fields: { password, ...code }, answer: codes, errors: [409, 429] },
  "admin-claim": { who: "person", fields: { ticket: token }, answer: { role } },

  "admin-users": { who: "admin", fields: { search: maybe(text), after: maybe(text), limit: maybe(number(1, 200)) }, answer: { users: list(ref("User")), next: maybe(text) } },
  "admin-user": {
    who: "admin",
    fields: account,
    answer: { username: text, role, disabled: flag, created_ms: time, seen_ms: time, totp: flag, recovery_codes: count, entries: count, entry_bytes: count },
    errors: [404],
  },
  "admin-user-sessions": { who: "admin", fields: account, answer: lists, errors: [404] },
  "admin-user-disable": { who: "admin", fields: account, errors: [404, 409], ends: true },
  "admin-user-enable": { who: "admin", fields: account, errors: [404, 409] },
  "admin-user-role": { who: "admin", fields: { ...account, role }, errors: [404, 409], ends: true },
  "admin-user-logout": { who: "admin", fields: account, errors: [404], ends: true },
  "admin-user-device-end": { who: "admin", fields: { ...account, device: id }, errors: [404] },
  "admin-user-totp-off": { who: "admin", fields: account, errors: [404] },
  "admin-user-delete": { who: "admin", fields: account, errors: [404, 409], ends: true },
  "admin-user-reset": { who: "admin", fields: account, answer: { path: text, expires_ms: time }, errors: [404] },
  "admin-invite-add": { who: "admin", fields: { uses: maybe(number(1, 100000)), days: maybe(number(1, 365)), note: maybe(line(100)) }, answer: { invite: count, code: text, path: text } },
  "admin-invites": {
    who: "admin",
    fields: { before: maybe(number(1, Number.MAX_SAFE_INTEGER)), limit: maybe(number(1, 200)) },
    answer: { invites: list(object({ invite: count, by: text, note: text, created_ms: time, expires_ms: time, uses_max: count, uses: count, revoked: flag })) },
  },
  "admin-invite-revoke": { who: "admin", fields: { invite: number(1, Number.MAX_SAFE_INTEGER) }, errors: [404] },
  "admin-audit": {
    who: "admin",
    fields: { before: maybe(number(1, Number.MAX_SAFE_INTEGER)), limit: maybe(number(1, 200)), account: maybe(text), what: maybe(text) },
    answer: { rows: list(object({ row: count, time_ms: time, who: text, what: text, about: text, detail: text, address: text })) },
  },
  "admin-server": {
    who: "admin",
    answer: { version: text, accounts: count, admins: count, disabled: count, sessions: count, devices: count, channels: count, sockets: count, store_operations: count, store_waiting: count, store_failures: whole },
  },
};
