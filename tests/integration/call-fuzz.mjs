// Random calls: every type that the sources name, with fields of right and wrong types, as several people at once, over HTTP and
// the socket. The server must answer each of them in form, and never with a 500. `seed` gives the same calls again (how they
// interleave is up to the machine).
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { PASSWORD, ask, online } from "./tracker-kit.mjs";

const sources = join(dirname(fileURLToPath(import.meta.url)), "../../src/tracker");
const text = readdirSync(sources)
  .filter((name) => name.endsWith(".c"))
  .map((name) => readFileSync(join(sources, name), "utf8"))
  .join("\n");

const found = (pattern) => [...new Set([...text.matchAll(pattern)].map((match) => match[1]))];
export const TYPES = found(/\{"([a-z][a-z-]+)",\s*\w+,\s*CALL_[A-Z]+/g);
const FIELDS = found(/(?:call|errand|message|fields), "([a-z_]+)"/g);
const ROUTES = [...text.matchAll(/\{"(GET|POST)", "(\/[a-z-]+)",/g)].map(([, method, path]) => [method, path]);
// What would end the fuzz itself: sessions and accounts that are gone.
const NOT = new Set(["sessions-end", "session-end", "account-delete", "device-end", "admin-user-logout", "admin-user-disable", "admin-user-delete", "admin-user-device-end"]);

function generator(seed) {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) % below;
  };
}

/** Texts that somebody has answered, to be given back in the wrong place. */
class Bag {
  constructor(first) {
    this.texts = [...first];
  }
  learn(json, random, depth = 0) {
    if (depth > 4 || json === null) return;
    for (const value of Object.values(json)) {
      if (typeof value === "object") this.learn(value, random, depth + 1);
      else if (this.texts.length < 400) this.texts.push(value);
      else this.texts[random(400)] = value;
    }
  }
}

function value(random, bag, depth = 0) {
  const pick = (list) => list[random(list.length)];
  switch (random(14)) {
    case 0: return pick([0, 1, -1, 2, 100, 2 ** 31, 2 ** 32, 2 ** 53, -(2 ** 53), 1.5, -0.0, 1e300]);
    case 1: return pick([true, false, null]);
    case 2: return pick(["", " ", "\n", "\0", "a\0b", "*", "%", "_", "'", '"', "\\", "‮abc", "А", "\u{1F600}", "ﬃ", "á́́", "\uD800", "\r\nSet-Cookie: a=b", "NEAR(a b)", "a AND", "a*", '"', "guest", "{}"]);
    case 3: return pick(["0", "-1", "9223372036854775807", "9223372036854775808", "99999999999999999999999", " 1", "1e3", "0x10", "+5"]);
    case 4: return "x".repeat(pick([1, 32, 33, 64, 65, 200, 201, 1024, 1025, 8193, 60000]));
    case 5: return "ệ".repeat(pick([1, 31, 32, 33, 100, 200]));
    case 6: return pick(["ab", "00", "ff"]).repeat(pick([16, 31, 32, 33, 64]));
    case 7: return `${pick(["0", "1", "9223372036854775807", "-5", ""])}-${"ab".repeat(32)}-${pick(["0", "1", "x", "9223372036854775807"])}`;
    case 8: return pick(["open", "password", "invite", "approval", "member", "moderator", "owner", "asks", "banned", "admin", "person", "true", "false", PASSWORD]);
    case 9:
      if (depth > 2) return [];
      return random(2) ? Array.from({ length: random(4) }, () => value(random, bag, depth + 1)) : { [pick(FIELDS)]: value(random, bag, depth + 1) };
    default: return pick(bag.texts);
  }
}

function fieldsOf(random, bag) {
  const fields = {};
  for (let i = random(6); i > 0; i--) fields[FIELDS[random(FIELDS.length)]] = value(random, bag);
  // So that many of them get past the first check.
  for (const [name, common] of [["channel", bag.room], ["account", undefined], ["channel_name", "contract"], ["name", undefined], ["query", "hello"], ["password", PASSWORD]])
    if (random(3) === 0) fields[name] = random(3) ? (common ?? bag.texts[random(bag.texts.length)]) : value(random, bag);
  return fields;
}

function bodyOf(random, fields) {
  const json = JSON.stringify(fields);
  switch (random(24)) {
    case 0: return json.slice(0, random(json.length + 1));
    case 1: return json.replace(/}$/, `${json === "{}" ? "" : ","}"channel":1,"channel":2}`);
    case 2: return "[".repeat(random(4000));
    case 3: return Buffer.from(Array.from({ length: random(64) }, () => random(256)));
    case 4:
    case 5:
    case 6: return new URLSearchParams(Object.entries(fields).map(([name, one]) => [name, String(one)])).toString();
    default: return json;
  }
}

const inForm = (status, json) => status !== 500 && (status < 300 ? json !== undefined : typeof json?.message === "string");

/** Until `until()` says so; how many were asked. `world` is of contract/world.mjs. */
export async function fuzzCalls(world, seed, until) {
  const { tracker, cookies, room } = world;
  const first = Object.keys(cookies);
  const statuses = {};
  let count = 0;
  const one = async (who, index) => {
    const random = generator(seed * 1000 + index);
    const bag = new Bag([...first, room, "contract", "general"]);
    bag.room = room;
    let socket = who === "anonymous" ? undefined : (await online(world.t, tracker, cookies[who])).socket;
    while (!until()) {
      const type = TYPES[random(TYPES.length)];
      const fields = fieldsOf(random, bag);
      const face = random(4);
      let status, json, what;
      if (NOT.has(type)) continue;
      // A NUL or half a letter is no JSON for the server, and ends a socket, as does what is longer than a frame may be.
      const whole = JSON.stringify(fields);
      if (face === 0 && socket && !/\\u0000|\\ud8/.test(whole) && Buffer.byteLength(whole) < 60_000) {
        what = `socket ${type} ${JSON.stringify(fields)}`;
        if (random(50) === 0) { // many at once, and answers in any order
          const { type: _, id: __, ...rest } = fields;
          await Promise.all(Array.from({ length: 40 }, () => socket.ask(type, rest)));
        }
        const { type: _, id: __, ...rest } = fields;
        const answer = await socket.ask(type, rest);
        status = answer.status === "success" ? 200 : (answer.code ?? 400);
        json = answer;
        socket.seen.length = 0;
      } else {
        const route = face === 1 ? ROUTES[random(ROUTES.length)] : ["POST", `/call/${type}`];
        const body = route[0] === "GET" ? undefined : bodyOf(random, fields);
        what = `${route.join(" ")} ${String(body).slice(0, 300)}`;
        const headers = { Accept: "application/json" };
        if (who !== "anonymous") headers.Cookie = cookies[who];
        ({ status, json } = await ask(tracker, route[0], route[1], { headers, body }));
      }
      assert.ok(inForm(status, json), `seed ${seed}, ${who}: ${what} -> ${status} ${JSON.stringify(json)}`);
      assert.ok(world.classroom || who !== "anonymous" || status >= 400, `anonymous: ${what} -> ${status}`);
      statuses[status] = (statuses[status] ?? 0) + 1;
      if (json && status < 300) bag.learn(json, random);
      count++;
    }
  };
  await Promise.all(["anonymous", ...first].map(one));
  return { count, statuses };
}
