// A server with accounts of all kinds, and the two faces of its operations. What every contract has:
//
//   user, other            two people who have nothing to do with each other
//   owner                  made the open channel "contract"; world.room is its id
//   moderator, member      are in it
//   ex-member, banned      were in it
//   admin                  an administrator
//   anonymous              nobody: no session
//
// It is made once and then copied, so that each contract begins with the same.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { PASSWORD, ask, newFolder, online, register, startTracker } from "../tracker-kit.mjs";

export const ROLES = ["anonymous", "user", "other", "owner", "moderator", "member", "ex-member", "banned", "admin"];
const PEOPLE = ROLES.slice(1);

let template; // {folder, cookies, room}

/** Makes the world that all others are copies of; once, by whoever comes first. */
export function prepare(t) {
  template ??= make(t);
  return template;
}

async function make(t) {
  const folder = newFolder();
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const tracker = await startTracker(t, { folder });
  const cookies = Object.fromEntries(await Promise.all(PEOPLE.map(async (name) => [name, await register(tracker, name)])));
  const call = async (as, name, body) => {
    const answer = await request(tracker, { method: "POST", path: `/call/${name}`, cookie: cookies[as], body });
    assert.equal(answer.status, 200, `${as} ${name}: ${answer.text}`);
    return answer.json;
  };
  const room = (await call("owner", "channel-create", { name: "contract", policy: "open" })).channel.id;
  for (const who of ["moderator", "member", "ex-member", "banned"]) await call(who, "channel-join", { channel: room });
  await call("owner", "channel-role", { channel: room, account: "moderator", role: "moderator" });
  await call("ex-member", "channel-leave", { channel: room });
  await call("owner", "channel-ban", { channel: room, account: "banned" });
  await tracker.end("SIGTERM");
  execFileSync("sqlite3", [join(folder, "data", "weaprous.db"), "UPDATE accounts SET role = 1 WHERE key = 'admin'"]);
  return { folder, cookies, room };
}

/** A copy of it, served: {tracker, cookies, room, keep: {}}. `args`: further options of the server. */
export async function open(t, args = []) {
  const { folder: source, cookies, room } = await prepare(t);
  const folder = newFolder();
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, "data"), { mode: 0o700 });
  cpSync(join(source, "data"), join(folder, "data"), { recursive: true });
  const tracker = await startTracker(t, { folder, args });
  return { t, tracker, folder, cookies, room, password: PASSWORD, keep: {}, sockets: {} };
}

const isForm = (body) => body && !Array.isArray(body) && Object.values(body).every((value) => typeof value === "string");

/** One request, with the body as JSON or (form) as an HTML form; {status, headers, text, json}. */
export function request(tracker, { method, path, cookie, body, form, headers = {} }) {
  const all = { Accept: "application/json", ...headers };
  if (cookie) all.Cookie = cookie;
  const text =
    body === undefined || method === "GET" ? undefined
    : typeof body === "string" ? body
    : form && isForm(body) ? new URLSearchParams(body).toString()
    : JSON.stringify(body);
  return ask(tracker, method, path, { headers: all, body: text });
}

/** The status of an answer over the socket, as HTTP has them. */
const statusOf = (answer) => (answer.status === "success" ? 200 : (answer.code ?? 400));

async function socketOf(world, as) {
  world.sockets[as] ??= await online(world.t, world.tracker, world.cookies[as], { label: `contract of ${as}` });
  return world.sockets[as].socket;
}

/** Carries out one row: {status, json, text}. What is no call, or asked for by nobody, goes over HTTP in any case. `turn`: forms
 * and trailing slashes take turns with JSON and paths without. */
export async function carryOut(world, row, face, turn = 0) {
  const value = (part) => (typeof part === "function" ? part(world) : part);
  const body = value(row.body);
  if (face === "socket" && row.call && row.as !== "anonymous") {
    const socket = await socketOf(world, row.as);
    const { type, id, ...answer } = await socket.ask(row.call, body);
    assert.equal(type, row.call);
    const { code, ...json } = answer;
    return { status: statusOf(answer), json: code === undefined ? json : { ...json, code }, text: JSON.stringify(answer), headers: {} };
  }
  const path = row.call ? `/call/${row.call}` : value(row.path);
  return request(world.tracker, {
    method: row.call ? "POST" : (row.method ?? "GET"),
    path: turn % 3 === 2 && !path.includes("?") && path !== "/" ? `${path}/` : path,
    cookie: row.cookie ? value(row.cookie) : world.cookies[row.as],
    body,
    form: turn % 2 === 1,
    headers: value(row.headers),
  });
}
