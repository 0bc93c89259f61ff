// The contract with programs: what each operation answers to whom, over HTTP and over the socket, against the real server. The rows
// are in contract/<area>.mjs:
//
//   {name, as, call | method + path, body, status, check(json, world, answer), keep(json, world)}
//
// They run in their order, in a world of their own (contract/world.mjs) for each face. body, path and headers may be functions of the
// world; check gives true or throws; `keep` notes what later rows need in world.keep. A file may export `args` (options of the
// server) and `setup(world)`.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { openapiIsCurrent } from "../../docs/openapi/make.mjs";
import { operationOf, operations, wrongAnswer } from "./contract/schema.mjs";
import { ROLES, carryOut, open, prepare, request } from "./contract/world.mjs";

const folder = join(dirname(fileURLToPath(import.meta.url)), "contract");
const areas = readdirSync(folder).filter((name) => name.endsWith(".mjs") && !["schema.mjs", "world.mjs"].includes(name));

test("docs/openapi.json is made of docs/openapi/*.mjs", () => assert.ok(openapiIsCurrent(), "run: node docs/openapi/make.mjs"));

test("the contract with programs", async (t) => {
  await prepare(t);
  for (const name of areas) {
    const { rows, args, setup } = await import(pathToFileURL(join(folder, name)));
    const faces = rows.some((row) => row.call) ? ["http", "socket"] : ["http"];
    for (const face of faces) {
      await t.test(`${name.replace(".mjs", "")} over ${face}`, async (t) => {
        const world = await open(t, args);
        await setup?.(world);
        for (const [turn, row] of rows.entries()) {
          await t.test(row.name, async () => {
            assert.ok(ROLES.includes(row.as), `nobody is called ${row.as}`);
            const answer = await carryOut(world, row, face, turn);
            assert.equal(answer.status, row.status, answer.text);
            if (answer.status >= 400 && answer.json) assert.match(answer.json.status, /^(error|failure)$/);
            const operation = operationOf(row.call ? "POST" : (row.method ?? "GET"), row.call ? `/call/${row.call}` : row.path);
            if (operation && answer.status !== 405) assert.equal(wrongAnswer(operation, answer), undefined);
            if (row.check) assert.ok(row.check(answer.json, world, answer), answer.text);
            row.keep?.(answer.json, world);
          });
        }
        assert.equal(world.tracker.child.exitCode, null, "the server lives");
      });
    }
  }
});

test("docs/openapi.json lists what is served, all of it and nothing else", async (t) => {
  const world = await open(t);
  for (const { method, path, call } of operations) {
    const there = path.replace("{file}", `${world.room}.json`);
    const answer = await request(world.tracker, { method: "OPTIONS", path: there });
    assert.equal(answer.status, 204, `OPTIONS ${path}: ${answer.text}`);
    assert.ok(answer.headers.allow.split(", ").includes(method), `${method} ${path}, but Allow: ${answer.headers.allow}`);
    if (call) assert.notEqual((await request(world.tracker, { method, path, cookie: world.cookies.user, body: {} })).status, 404, path);
  }
  const listed = new Set(operations.map(({ method, path }) => `${method} ${path}`));
  for (const route of servedBySources()) assert.ok(listed.has(route), `${route} is served, and not in docs/openapi`);
});

/** What the sources of the tracker register: rows of calls, and routes. */
function servedBySources() {
  const found = [];
  for (const part of ["tracker", "account"]) {
    const source = join(folder, "../../../src", part);
    for (const name of readdirSync(source).filter((file) => file.endsWith(".c"))) {
      const text = readFileSync(join(source, name), "utf8");
      for (const [, type] of text.matchAll(/\{"([a-z-]+)",\s+\w+,\s+CALL_/g)) found.push(`POST /call/${type}`);
      for (const [, method, path] of text.matchAll(/(?:wr_route\(\s*[\w>-]+,|\{)\s*"(GET|POST)",\s+"(\/[^":]*)"/g)) found.push(`${method} ${path}`);
      for (const [, path] of text.matchAll(/\{"(\/[\w.-]*)",\s+\w+\}/g)) found.push(`GET ${path}`); // pages.c
      for (const [, path] of text.matchAll(/wr_websocket\(\s*[\w>-]+,\s*"(\/[^"]*)"/g)) found.push(`GET ${path}`);
    }
  }
  assert.ok(found.length > 90, `${found.length} found: the patterns fit the sources no more`);
  return found.map((route) => (route === "GET /export/" ? "GET /export/{file}" : route)).filter((route) => route !== "POST /call/");
}

/** Values for a field: some that fit its schema, some that do not. */
function valuesFor(field, schema, world, pick) {
  const nonsense = ["", "x", 0, -1, 1e15, true, null, [], {}, "\u202e", "a\u0000b", "x".repeat(3000), "../../etc", "' OR 1=1 --", "%00", 1.5];
  const fitting = {
    channel: [world.room, world.room, "0".repeat(64)], channel_name: ["contract", "general", "nothing"], account: ROLES.slice(1), username: ROLES.slice(1), name: ["fuzzed", "contract"],
    policy: ["open", "invite", "password", "approval"], role: ["member", "moderator", "owner", "person", "admin"], state: ["member", "banned", "asks"], message: ["hello"], query: ["hello"],
    ip: ["127.0.0.1"], port: [5001, "5002"], seconds: [5], limit: [5], all: [false], open: [true, false], on: [true, false], password: ["not the right one"], new_password: ["long enough it is"],
  }[field] ?? ["x", 1, "0".repeat(64)];
  return pick(4) ? fitting[pick(fitting.length)] : nonsense[pick(nonsense.length)];
}

test("whoever asks for whatever: nothing breaks, and nobody is let in who may not", async (t) => {
  const world = await open(t);
  let seed = Number(process.env.CONTRACT_SEED ?? Date.now() % 1e9);
  t.diagnostic(`CONTRACT_SEED=${seed}`);
  const pick = (bound) => Math.floor(((seed = (seed * 1103515245 + 12345) % 2147483648) / 2147483648) * bound);
  const mayIn = { moderator: ["moderator", "owner", "admin"], owner: ["owner", "admin"] };
  const may = (operation, as) =>
    operation["x-room"] ? mayIn[operation["x-room"]].includes(as)
    : operation["x-who"] === "anybody" ? true
    : operation["x-who"] === "peer" ? false /* nobody shows the secret here */
    : operation["x-who"] === "admin" ? as === "admin"
    : as !== "anonymous";
  const tried = operations.filter((each) => !each["x-waits"] && each.path !== "/ws" && each.responses[200]?.content?.["application/json"]);
  tried.sort((a, b) => Boolean(a["x-ends"]) - Boolean(b["x-ends"]));
  // Who may less comes first, so that nobody has been made more by somebody before.
  const order = ["anonymous", "user", "banned", "ex-member", "member", "other", "moderator", "owner", "admin"];
  assert.deepEqual([...order].sort(), [...ROLES].sort());
  let asked = 0, answered = 0;
  for (const as of order) {
    for (const operation of tried) {
      const fields = operation.requestBody?.content["application/json"].schema.properties ?? {};
      const times = operation.method === "GET" ? 1 : fields.password || fields.new_password ? 2 : 4;
      for (let i = 0; i < times; i++) {
        let body = Object.fromEntries(Object.entries(fields).filter(() => pick(6)).map(([field, schema]) => [field, valuesFor(field, schema, world, pick)]));
        if (!pick(12)) body = ["[]", "{", "null", "a=1&a=2", '{"a":1,"a":2}', "7"][pick(6)];
        const answer = await request(world.tracker, { method: operation.method, path: operation.path, cookie: world.cookies[as], body: operation.method === "GET" ? undefined : body, form: pick(2) });
        const what = `${as} ${operation.method} ${operation.path} ${JSON.stringify(body).slice(0, 300)}: ${answer.status} ${answer.text.slice(0, 300)}`;
        asked++;
        assert.ok(answer.status < 500, what);
        if (!may(operation, as)) assert.ok(answer.status >= 400, what);
        assert.equal(wrongAnswer(operation, answer), undefined, what);
        answered += answer.status === 200;
      }
    }
  }
  assert.ok(asked > 1500 && answered > asked / 20, `${answered} of ${asked} were carried out`);
  assert.equal(world.tracker.child.exitCode, null);
});
