// SIGHUP: another configuration comes to work while the proxy serves, as a whole or not at all, and nobody notices but by
// what it says.
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { Agent, createServer, request as httpRequest } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import WebSocket, { WebSocketServer } from "ws";
import { descriptorsOf, eventually, folderOf, freePort, memoryOf, startLoad, startProxy, within } from "./proxy-kit.mjs";

const RELOADS = Number(process.env.RELOADS ?? 100);
const WARM_UP = 25;
const HOST = "site.test";
const MB = 1024 * 1024;

/** A server that answers with its name; {port, name, sockets, hold()}. `echo`: it has WebSockets too. */
async function startServer(t, name, { echo = false } = {}) {
  const own = { name, sockets: new Set(), hold: null };
  const server = createServer((request, response) => {
    if (own.hold) own.hold(response);
    else response.end(name);
  });
  server.keepAliveTimeout = 0; // it never closes what the proxy keeps
  server.on("connection", (socket) => {
    own.sockets.add(socket);
    socket.on("close", () => own.sockets.delete(socket));
  });
  if (echo) {
    const sockets = new WebSocketServer({ server });
    sockets.on("connection", (socket) => socket.on("message", (data) => socket.send(`${name}: ${data}`)));
  }
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    for (const socket of own.sockets) socket.destroy();
  });
  return Object.assign(own, { port: server.address().port });
}

/** One request; `agent` keeps its connection. */
function ask(port, { host = HOST, agent = false } = {}) {
  return within(
    new Promise((resolve, reject) => {
      const request = httpRequest({ host: "127.0.0.1", port, path: "/", agent, headers: { Host: host } }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (part) => (text += part));
        response.on("end", () => resolve({ status: response.statusCode, text, reused: request.reusedSocket }));
      });
      request.on("error", reject).end();
    }),
    `a request to ${host}`,
  );
}

const pass = (...servers) => servers.map(({ port }) => `proxy_pass http://127.0.0.1:${port};`).join(" ");

/** Writes the file and says so; resolves with what the proxy said about it. */
async function reload(proxy, text) {
  const from = proxy.err.length;
  if (text !== undefined) writeFileSync(proxy.config, text);
  proxy.child.kill("SIGHUP");
  return eventually(() => {
    const said = proxy.err.slice(from);
    assert.match(said, /(at work: .*|stays as it was: .*)\n/);
    return said;
  });
}

const numberOf = (said) => Number(/configuration (\d+) at work/.exec(said)[1]);

test(`${RELOADS} reloads under load: no request fails, the WebSocket stays, nothing is left behind`, async (t) => {
  const servers = await Promise.all(["one", "two", "three"].map((name) => startServer(t, name)));
  const chat = await startServer(t, "chat", { echo: true });
  const [own, extra] = [await freePort(), await freePort()];
  // Many hosts, so that a site that is not freed can be seen.
  const many = Array.from({ length: 200 }, (_, i) => `host "h${i}.test" { ${pass(servers[i % 3])} }`).join("\n");
  const variants = [
    `host "${HOST}" { ${pass(servers[0], servers[1])} }`,
    `host "${HOST}" { ${pass(servers[1], servers[2])} dist_policy least-conn; }\nlisten 127.0.0.1:${extra};`,
    `host "${HOST}" "other.test" { ${pass(...servers)} path "/deep" { ${pass(servers[0])} } }`,
    `host "${HOST}" { ${pass(servers[2])} health_check path=/ interval=1s; }\nlisten 127.0.0.1:${extra}; client_timeout idle=50s; max_header 32k;`,
  ];
  const textOf = (i) => `listen 127.0.0.1:${own};\nkeepalive 16 idle=300ms;\n${variants[i % variants.length]}\nhost "chat.test" { ${pass(chat)} }\n${many}\n`;
  const proxy = await startProxy(t, textOf(0), { workers: 2 });

  const socket = new WebSocket(`ws://127.0.0.1:${own}/`, { headers: { Host: "chat.test" } });
  t.after(() => socket.terminate());
  await within(once(socket, "open"), "the WebSocket");
  const say = async (text) => {
    socket.send(text);
    const [data] = await within(once(socket, "message"), `the echo of ${text}`);
    assert.equal(String(data), `chat: ${text}`);
  };

  let number = 1;
  /** Reloads so many times under load; what is open and taken afterwards, at rest. */
  async function round(count) {
    const load = startLoad(own, HOST, { kept: 4, fresh: 2 });
    for (let i = 1; i <= count; i++) {
      assert.equal(numberOf(await reload(proxy, textOf(i))), ++number);
      await say(`reload ${number}`);
    }
    const { answered, failures } = await load.stop();
    assert.deepEqual(failures, {});
    assert.ok(answered > count, `${answered} requests`);
    assert.equal(numberOf(await reload(proxy, textOf(0))), ++number);
    // Kept connections go, old sites are freed; then it is quiet.
    return eventually(async () => {
      const before = [descriptorsOf(proxy.pid), servers.reduce((sum, { sockets }) => sum + sockets.size, 0)];
      await new Promise((resolve) => setTimeout(resolve, 400));
      const after = [descriptorsOf(proxy.pid), servers.reduce((sum, { sockets }) => sum + sockets.size, 0)];
      assert.deepEqual(after, before);
      assert.equal(after[1], 0, "connections to servers");
      return { descriptors: after[0], memory: memoryOf(proxy.pid) };
    });
  }

  const warm = await round(WARM_UP);
  const end = await round(RELOADS);
  assert.equal(end.descriptors, warm.descriptors);
  const grown = (end.memory - warm.memory) / MB;
  assert.ok(grown < 1.5, `${grown.toFixed(1)} MB more than after the first ${WARM_UP}`); // 100 such configurations alone are 11
  await say("still here");
  socket.close();
  assert.deepEqual(await proxy.end("SIGTERM"), { code: 0, signal: null });
});

test("a file with mistakes changes nothing: all of them are said, and requests go on as before", async (t) => {
  const server = await startServer(t, "one");
  const good = `host "${HOST}" { ${pass(server)} }\n`;
  const proxy = await startProxy(t, good);
  const agent = new Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  await ask(proxy.port, { agent });
  const taken = await startServer(t, "taken");
  const cases = [
    ["host {", /proxy\.conf:1:\d+: error: [^]*stays as it was: .*proxy\.conf cannot be used/],
    [`${good}listn 1;\nhost "x" { proxy_pas http://a; }\n`, /proxy\.conf:2:1: error: [^]*proxy\.conf:3:\d+: error: /],
    [`${good}listen 127.0.0.1:${taken.port};\n`, new RegExp(`stays as it was: .*cannot listen on 127\\.0\\.0\\.1 port ${taken.port}: another program`)],
    [`${good}access_log /nowhere/at/all.log;\n`, /stays as it was: .*\/nowhere\/at\/all\.log/],
    [`host "${HOST}" { proxy_pass https://127.0.0.1:1; proxy_tls trust=/nowhere/ca.pem; }\n`, /stays as it was: .*\/nowhere\/ca\.pem/],
    [`${good}listen 127.0.0.1:${await freePort()} cert=/nowhere/a.pem key=/nowhere/a.key;\n`, /stays as it was: .*\/nowhere\/a\.pem/],
    ["", /stays as it was|error/],
  ];
  for (const [text, message] of cases) {
    const said = await reload(proxy, text);
    assert.match(said, message);
    assert.ok(!said.includes("at work"), said);
    const answer = await ask(proxy.port, { agent });
    assert.deepEqual([answer.status, answer.text, answer.reused], [200, "one", true]);
  }
  assert.equal(numberOf(await reload(proxy, good)), 2, "what was refused has no number");
});

test("listeners come and go; connections that are open stay", async (t) => {
  const server = await startServer(t, "one");
  const [first, second] = [await freePort(), await freePort()];
  const host = `host "${HOST}" { ${pass(server)} }\n`;
  const proxy = await startProxy(t, `listen 127.0.0.1:${first};\n${host}`, { workers: 2 });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  await ask(first, { agent });
  await assert.rejects(ask(second), /ECONNREFUSED/);
  await reload(proxy, `listen 127.0.0.1:${second};\n${host}`);
  await eventually(async () => assert.equal((await ask(second)).text, "one"));
  await eventually(() => assert.rejects(ask(first), /ECONNREFUSED/));
  const kept = await ask(first, { agent });
  assert.deepEqual([kept.status, kept.reused], [200, true]);
  await reload(proxy, `listen 127.0.0.1:${first};\nlisten 127.0.0.1:${second};\n${host}`);
  for (const port of [first, second]) await eventually(async () => assert.equal((await ask(port)).text, "one"));
});

test("servers are swapped: a request under way ends at the old one, whose kept connections then go", async (t) => {
  const [old, fresh] = await Promise.all(["old", "new"].map((name) => startServer(t, name)));
  const proxy = await startProxy(t, `host "${HOST}" { ${pass(old)} }\n`);
  const held = new Promise((resolve) => (old.hold = resolve));
  const underWay = ask(proxy.port);
  const response = await within(held, "the request to reach the server");
  old.hold = null;
  assert.equal((await ask(proxy.port)).text, "old");
  const said = await reload(proxy, `host "${HOST}" { ${pass(fresh)} }\n`);
  assert.match(said, /configuration 2 at work: 1 host, 1 server \(1 new, 1 gone\)/);
  await eventually(async () => assert.equal((await ask(proxy.port)).text, "new"));
  await eventually(() => assert.equal(old.sockets.size, 1, "only the one under way"));
  response.end("late");
  assert.equal((await underWay).text, "late");
  await eventually(() => assert.equal(old.sockets.size, 0));
  assert.equal(fresh.sockets.size > 0, true);
});

test("what is known of a server outlives a reload: one that is down is not asked, its counts go on", async (t) => {
  const up = await startServer(t, "up");
  const down = await freePort();
  const text = (weight) => `circuit_breaker fails=1 pause=60s;\nhost "${HOST}" { ${pass(up, { port: down })} dist_policy least-conn; proxy_set_header X-N ${weight}; }\n`;
  const proxy = await startProxy(t, text(1));
  const servers = async () => (await (await fetch(`http://127.0.0.1:${proxy.statusPort}/status.json`)).json()).groups[0].servers;
  await eventually(async () => {
    assert.equal((await ask(proxy.port)).text, "up");
    assert.equal((await servers())[1].state, "down");
  });
  const before = await servers();
  await reload(proxy, text(2));
  for (let i = 0; i < 10; i++) assert.equal((await ask(proxy.port)).text, "up");
  const after = await servers();
  assert.deepEqual([after[1].state, after[1].requests, after[1].why], ["down", before[1].requests, before[1].why]);
  assert.equal(after[0].requests, before[0].requests + 10);
  assert.match(proxy.err, new RegExp(`server 127\\.0\\.0\\.1:${down} of "site\\.test" is down: `));
});

test("the log is opened again after it was rotated, and another one takes its place when the file says so", async (t) => {
  const folder = folderOf(t);
  const server = await startServer(t, "one");
  const [log, old, other] = ["access.log", "access.log.1", "other.log"].map((name) => join(folder, name));
  const text = (path) => `access_log ${path};\nhost "${HOST}" { ${pass(server)} }\n`;
  const proxy = await startProxy(t, text(log), { workers: 2 });
  const lines = (path) => (existsSync(path) ? readFileSync(path, "utf8").split("\n").length - 1 : 0);
  const has = (path, count) => eventually(() => assert.equal(lines(path), count, path));
  await ask(proxy.port);
  await has(log, 1);
  renameSync(log, old);
  await reload(proxy);
  await eventually(() => assert.ok(existsSync(log)));
  await ask(proxy.port);
  await has(log, 1);
  await has(old, 1);
  // Also when the configuration cannot be used: rotation does not wait for that.
  renameSync(log, old);
  await reload(proxy, "mistake");
  await eventually(() => assert.ok(existsSync(log)));
  await ask(proxy.port);
  await has(log, 1);
  await reload(proxy, text(other));
  await eventually(async () => {
    await ask(proxy.port);
    assert.ok(lines(other) > 0);
  });
});
