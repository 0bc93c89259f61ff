// Real servers behind the proxy die, stop and come back while many clients ask: no idempotent request fails.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { askOnce, assertMemory, socketsOf, eventually, folderOf, memoryOf, startBackend, startLoad, startNginx, startProxy, within } from "./proxy-kit.mjs";
import { fine, request, startUpstream } from "./proxy-wire.mjs";

const HOST = "site.test";
const PATH = "/static/who";
const MB = 1024 * 1024;

const configuration = (ports, lines) =>
  `host "${HOST}" {\n  ${[...ports.map((port) => `proxy_pass http://127.0.0.1:${port};`), ...lines].join("\n  ")}\n}\n`;

const nginxSaying = (t, name, options) => startNginx(t, `server { listen 127.0.0.1:PORT; location = ${PATH} { return 200 "${name}"; } }`, options);
const backendSaying = (t, name, options) => startBackend(t, { files: { who: name }, ...options });

/** Two nginx and one of ours, which say who they are; each can be ended and started again on its port. */
async function threeServers(t) {
  const start = { "nginx a": nginxSaying, "nginx b": nginxSaying, backend: backendSaying };
  const servers = {};
  for (const [name, begin] of Object.entries(start)) {
    const server = await begin(t, name);
    servers[name] = {
      port: server.port,
      process: server,
      async again() {
        this.process = await begin(t, name, { port: server.port, folder: server.folder });
      },
    };
  }
  return servers;
}

/** Under load, each of these servers is ended and comes back, and the next one goes only when it has its share again. */
async function inTurn(t, proxy, servers, turns) {
  const seen = new Map();
  const load = startLoad(proxy.port, HOST, {
    path: PATH,
    judge: ({ text }) => (servers[text] ? void seen.set(text, (seen.get(text) ?? 0) + 1) : `an answer of nobody: ${text.slice(0, 50)}`),
  });
  const more = async (name, n = 20) => {
    const enough = (seen.get(name) ?? 0) + n;
    await eventually(() => assert.ok((seen.get(name) ?? 0) >= enough, `${name} gets no requests: ${JSON.stringify([...seen])} ${JSON.stringify(load.result.failures)}`), 20_000);
  };
  for (const name of Object.keys(servers)) await more(name);
  for (const [name, signal] of turns) {
    await servers[name].process.end(signal);
    for (const other of Object.keys(servers)) if (other !== name) await more(other, 200);
    await servers[name].again();
    await more(name);
  }
  const result = await load.stop();
  t.diagnostic(`${result.answered} answered: ${JSON.stringify([...seen])}`);
  assert.deepEqual(result.failures, {}, "requests that failed");
}

const LINES = {
  passive: ["circuit_breaker fails=3 pause=500ms;"],
  active: [`health_check path=${PATH} interval=200ms timeout=1s fall=2 rise=2;`],
};

for (const [kind, lines] of Object.entries(LINES))
  test(`kill -9 of two of three servers in turn, under load, with ${kind} checks: no request fails`, async (t) => {
    const servers = await threeServers(t);
    const proxy = await startProxy(t, configuration(Object.values(servers).map(({ port }) => port), lines), { workers: 2 });
    await inTurn(t, proxy, servers, [["nginx a", "SIGKILL"], ["backend", "SIGKILL"], ["nginx a", "SIGKILL"]]);
  });

test("servers that are stopped in good order, under load: no request fails, and the proxy is left as it was", async (t) => {
  const servers = await threeServers(t);
  const proxy = await startProxy(t, configuration(Object.values(servers).map(({ port }) => port), [...LINES.passive, "keepalive 16 idle=1s;"]), { workers: 2 });
  const settled = () => eventually(() => assert.ok(socketsOf(proxy.pid) <= before.sockets + 2, `${socketsOf(proxy.pid)} sockets, ${before.sockets} before`), 20_000);
  await askOnce(proxy, request("GET", PATH, HOST));
  const before = { sockets: socketsOf(proxy.pid), memory: memoryOf(proxy.pid) };
  await inTurn(t, proxy, servers, [["nginx a", "SIGQUIT"], ["backend", "SIGTERM"], ["nginx b", "SIGTERM"]]);
  await settled();
  assertMemory(memoryOf(proxy.pid) - before.memory, 4 * MB, "what is left of the load");
});

test("a server that accepts and closes beside good ones: no request fails, also none of those with a small body", async (t) => {
  const closes = await startUpstream(t, () => {}, { accepted: (wire) => (wire.close(), true) });
  const good = await Promise.all(["a", "b"].map((name) => startUpstream(t, (wire, message) => fine(wire, message, name))));
  const proxy = await startProxy(t, configuration([closes.port, ...good.map(({ port }) => port)], []));
  const loads = [startLoad(proxy.port, HOST, { most: 500 }), startLoad(proxy.port, HOST, { most: 500, method: "PUT", body: "small" })];
  await eventually(() => assert.ok(loads.every(({ result }) => result.answered >= 500)), 30_000);
  for (const load of loads) assert.deepEqual((await load.stop()).failures, {});
  assert.ok(closes.connections > 0, "it was tried");
});

test("a server that ends kept connections when it likes: no GET fails, no POST is done twice", async (t) => {
  const executed = new Map();
  let random = 7;
  const upstream = await startUpstream(t, async (wire, message) => {
    const { complete } = await wire.bodyOf(message);
    if (!complete) return;
    random = (random * 48_271) % 2_147_483_647;
    const whim = wire.used ? random % 10 : 9; // never at the first request, for then it would be a broken server
    wire.used = true;
    if (whim === 0) return wire.reset();
    if (message.id) executed.set(message.id, (executed.get(message.id) ?? 0) + 1);
    await fine(wire, { ...message, framing: "none" });
    if (whim === 1) wire.end();
    if (whim === 2) setTimeout(() => wire.reset(), random % 3);
  });
  const proxy = await startProxy(t, configuration([upstream.port], []));
  const load = startLoad(proxy.port, HOST, { most: 3000 });
  const posts = (async () => {
    for (let i = 0; i < 200; i++) {
      const answer = await askOnce(proxy, request("POST", `/?id=${i}`, HOST, [], "x"));
      assert.ok(answer.status === 200 || answer.status === 502, `${answer.status}`);
      assert.ok((executed.get(String(i)) ?? 0) <= 1, `POST ${i} was done ${executed.get(String(i))} times`);
      if (answer.status === 200) assert.equal(executed.get(String(i)), 1);
    }
  })();
  await posts;
  await eventually(() => assert.ok(load.result.answered >= 3000, `${load.result.answered}`), 30_000);
  assert.deepEqual((await load.stop()).failures, {});
});

// A private /etc/hosts for the proxy's process alone, which only root can have.
const HOSTS = ["--mount", "--propagation", "private", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"'];
const canHaveHosts = (folder) => {
  writeFileSync(join(folder, "hosts"), "127.0.0.1 localhost\n");
  return spawnSync("unshare", [...HOSTS, join(folder, "hosts"), "cat", "/etc/hosts"], { encoding: "utf8" }).stdout === "127.0.0.1 localhost\n";
};

test("a server's name leads to another address from now on: the proxy follows, without and with a failure", async (t) => {
  const folder = folderOf(t);
  if (!canHaveHosts(folder)) return t.skip("a mount namespace is not allowed here");
  const hosts = (address) => writeFileSync(join(folder, "hosts"), `127.0.0.1 localhost\n${address} moving.test\n`);
  // Every connection is for one request, so that the next one shows where the name leads to.
  const say = (name) => async (wire, message) => (await fine(wire, message, name, ["Connection: close"]), wire.end());
  const old = await startUpstream(t, say("old"), { ip: "127.0.0.11" });
  const moved = await startUpstream(t, say("new"), { ip: "127.0.0.12", port: old.port });
  hosts("127.0.0.11");
  const proxy = await startProxy(t, `host "${HOST}" {\n  proxy_pass http://moving.test:${old.port};\n}\n`, { before: ["unshare", ...HOSTS, join(folder, "hosts")] });
  const ask = () => askOnce(proxy, request("GET", "/", HOST));
  assert.deepEqual([(await ask()).status, (await ask()).text], [200, "old"]);
  hosts("127.0.0.12");
  await eventually(async () => {
    const answer = await ask();
    assert.equal(answer.status, 200);
    assert.equal(answer.text, "new");
  }, 25_000);
  hosts("127.0.0.11");
  await moved.stop();
  await within(eventually(async () => assert.equal((await ask()).text, "old")), "the way back");
});
