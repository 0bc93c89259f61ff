// Several servers behind one name: which of them gets a request, what happens to it when one fails, when all are busy, down,
// or back again; and which host and path a request is for.
import assert from "node:assert/strict";
import { test } from "node:test";
import { askOnce, eventually, figure, freePort, pause, startProxy, within } from "./proxy-kit.mjs";
import { Client, fine, request, startUpstream, valueOf } from "./proxy-wire.mjs";

const HOST = "site.test";
const HTML = "Accept: text/html";
const JSON_ = "Accept: application/json";

/** A host with these servers; a server is a port, or a port with words behind it. */
function hostBlock(servers, lines = [], host = HOST) {
  const passes = servers.map((server) => `proxy_pass http://127.0.0.1:${server};`);
  return `host "${host}" {\n  ${[...passes, ...lines].join("\n  ")}\n}\n`;
}

/** Servers that say their number; `does[i]` is what number i does instead. */
async function servers(t, count, does = {}) {
  const all = [];
  for (let i = 0; i < count; i++) all.push(await startUpstream(t, (wire, message) => (does[i] ?? fine)(wire, message, String(i))));
  return all;
}

const ports = (all) => all.map(({ port }) => port);
const get = (proxy, path = "/", lines = [], { host = HOST, from } = {}) => askOnce(proxy, request("GET", path, host, lines), { from });
const counts = (all) => all.map(({ requests }) => requests.length);
const reset = async (wire, message) => (await wire.bodyOf(message), wire.reset());

// --- trying again ---

test("all servers are tried once, none twice; what the last one said is told", async (t) => {
  const all = await servers(t, 4, { 0: reset, 1: reset, 2: reset, 3: reset });
  const proxy = await startProxy(t, hostBlock(ports(all), ["retries 10;"]));
  for (const method of ["GET", "HEAD", "OPTIONS", "DELETE"]) {
    const answer = await askOnce(proxy, request(method, `/?id=${method}`, HOST));
    assert.equal(answer.status, 502, method);
    assert.deepEqual(all.map((upstream) => upstream.seen(method).length), [1, 1, 1, 1], method);
  }
  for (const method of ["POST", "PATCH", "LOCK"]) {
    const answer = await askOnce(proxy, request(method, `/?id=${method}`, HOST, [], "x"));
    assert.equal(answer.status, 502, method);
    assert.equal(all.reduce((sum, upstream) => sum + upstream.seen(method).length, 0), 1, `${method} is sent once`);
  }
});

test("`retries` says how many further servers are tried", async (t) => {
  const all = await servers(t, 4, { 0: reset, 1: reset, 2: reset, 3: reset });
  for (const [word, times] of [["off", 1], ["2", 3]]) {
    const proxy = await startProxy(t, hostBlock(ports(all), [`retries ${word};`]));
    assert.equal((await get(proxy, `/?id=${word}`)).status, 502);
    assert.equal(all.reduce((sum, upstream) => sum + upstream.seen(word).length, 0), times, `retries ${word}`);
  }
});

test("a body is sent again as long as all of it is still here: PUT of a little yes, of more than `buffer` no", async (t) => {
  const wholes = [];
  const echo = async (wire, message, text) => {
    const { body, complete } = await wire.bodyOf(message);
    if (complete) wholes.push([message.id, body.length]);
    return fine(wire, { ...message, framing: "none" }, `${text} ${body.length}`);
  };
  const all = await servers(t, 2, { 0: reset, 1: echo });
  const proxy = await startProxy(t, hostBlock([`${all[0].port} weight=1000`, all[1].port], ["buffer 16k;"]));
  const put = (id, body, lines = [], method = "PUT") => askOnce(proxy, request(method, `/?id=${id}`, HOST, lines, body));

  assert.equal((await put("small", "x".repeat(5000))).text, "1 5000");
  assert.equal((await put("chunks", "1388\r\n" + "x".repeat(5000) + "\r\n0\r\n\r\n", ["Transfer-Encoding: chunked"])).text, "1 5000");
  const large = await put("large", "x".repeat(300_000));
  assert.equal(large.status, 502);
  assert.deepEqual(all.map((upstream) => upstream.seen("large").length), [1, 0], "sent once: the beginning is gone");
  assert.equal((await put("post", "x", [], "POST")).status, 502);
  assert.deepEqual(all.map((upstream) => upstream.seen("post").length), [1, 0]);
  assert.deepEqual(wholes, [["small", 5000], ["chunks", 5000]]);
});

test("a kept connection that ends at the moment of its reuse: GET is asked again and succeeds, POST is not sent twice", async (t) => {
  const ROUNDS = 20;
  const executed = new Map();
  // The first request of each connection is answered; the next one is read (or not even that) and the connection reset.
  const upstream = await startUpstream(t, async (wire, message) => {
    const body = await wire.bodyOf(message);
    assert.ok(body.complete);
    executed.set(message.id, (executed.get(message.id) ?? 0) + 1);
    if (wire.used) return wire[message.path.slice(1)]();
    wire.used = true;
    return fine(wire, { ...message, framing: "none" }, "fine");
  });
  const proxy = await startProxy(t, hostBlock([upstream.port]));
  for (const way of ["reset", "close"])
    for (let i = 0; i < ROUNDS; i++) {
      const fresh = await get(proxy, `/${way}?id=first-${way}-${i}`);
      assert.equal(fresh.status, 200);
      const again = await get(proxy, `/${way}?id=get-${way}-${i}`);
      assert.deepEqual([again.status, again.text], [200, "fine"], `GET over a connection that dies, ${way} ${i}`);
      const post = await askOnce(proxy, request("POST", `/${way}?id=post-${way}-${i}`, HOST, [], "once"));
      const times = executed.get(`post-${way}-${i}`) ?? 0;
      assert.ok(times <= 1, `POST was executed ${times} times`);
      assert.ok(post.status === 502 || (post.status === 200 && times === 1), `${post.status}`);
    }
});

test("a connection that the server has closed meanwhile is not used: even a POST succeeds", async (t) => {
  const upstream = await startUpstream(t, async (wire, message) => {
    await fine(wire, message);
    if (message.path === "/last") wire.end();
  });
  const proxy = await startProxy(t, hostBlock([upstream.port]));
  for (let i = 0; i < 10; i++) {
    assert.equal((await get(proxy, "/last")).status, 200);
    await eventually(() => assert.equal(upstream.open(), 0, "the proxy closes its side"));
    const post = await askOnce(proxy, request("POST", `/?id=${i}`, HOST, [], "x"));
    assert.deepEqual([post.status, upstream.seen(String(i)).length], [200, 1]);
    await get(proxy, "/last");
    await eventually(() => assert.equal(upstream.open(), 0));
  }
});

test("a server that closes after every answer, saying so or not, costs no request", async (t) => {
  const quiet = await startUpstream(t, async (wire, message) => (await fine(wire, message), wire.end()));
  const open = await startUpstream(t, async (wire, message) => (await fine(wire, message, "fine", ["Connection: close"]), wire.end()));
  for (const upstream of [quiet, open]) {
    const proxy = await startProxy(t, hostBlock([upstream.port]));
    const clients = await Promise.all(Array.from({ length: 8 }, () => Client.connect(proxy.port)));
    await Promise.all(
      clients.map(async (client) => {
        for (let i = 0; i < 30; i++) {
          const answer = await client.ask(request("GET", "/", HOST));
          assert.deepEqual([answer?.status, answer?.text], [200, "fine"], `request ${i}`);
        }
        client.close();
      }),
    );
  }
});

test("connections to a server are kept, and no more of them than there must be", async (t) => {
  const [upstream] = await servers(t, 1);
  const proxy = await startProxy(t, hostBlock([upstream.port], ["keepalive 4 idle=1s;"]));
  const client = await Client.connect(proxy.port);
  for (let i = 0; i < 50; i++) assert.equal((await client.ask(request("GET", "/", HOST))).status, 200);
  assert.equal(upstream.connections, 1);
  await Promise.all(Array.from({ length: 40 }, () => get(proxy)));
  await eventually(() => assert.ok(upstream.open() <= 4, `${upstream.open()} are kept`));
  await eventually(() => assert.equal(upstream.open(), 0, "idle ones are closed"));
  client.close();
});

// --- all down, and back ---

test("when all servers are down: 503 in words, with Retry-After; by itself back when one returns", async (t) => {
  const port = await freePort();
  const proxy = await startProxy(t, hostBlock([port], ["circuit_breaker fails=2 pause=500ms;", "timeout connect 500ms;"]));
  const statuses = [];
  await eventually(async () => {
    const answer = await get(proxy, "/", [HTML]);
    statuses.push(answer.status);
    assert.equal(answer.status, 503);
    assert.ok(Number(valueOf(answer, "retry-after")) >= 1, "Retry-After");
    assert.match(answer.text, /<p[^>]*>[^<]*site\.test/);
  });
  assert.deepEqual([...new Set(statuses)], [502, 503]);
  assert.equal(statuses.filter((status) => status === 502).length, 2);
  const json = await get(proxy, "/", [JSON_]);
  assert.equal(json.status, 503);
  assert.match(JSON.parse(json.text).message, /site\.test/);
  assert.ok(Number(valueOf(json, "retry-after")) >= 1);
  await startUpstream(t, fine, { port });
  await eventually(async () => assert.equal((await get(proxy)).status, 200));
});

test("the circuit breaker: after so many failures in a row none but one to try, and a failed trial costs no request", async (t) => {
  let broken = true;
  const all = await servers(t, 2, { 0: (wire, message, text) => (broken ? reset(wire, message) : fine(wire, message, text)) });
  const proxy = await startProxy(t, hostBlock(ports(all), ["circuit_breaker fails=3 pause=400ms;"]));
  const many = async (n) => {
    for (let i = 0; i < n; i++) assert.equal((await get(proxy)).status, 200, "no request fails");
  };
  await many(20);
  assert.equal(all[0].requests.length, 3, "three failures, then none");
  assert.equal(all[1].requests.length, 20);
  // Trials come now and then, one at a time; between two of them is a pause.
  await eventually(async () => {
    await many(5);
    assert.equal(all[0].requests.length, 5);
  });
  broken = false;
  await eventually(async () => {
    const before = counts(all);
    await many(10);
    const after = counts(all);
    assert.deepEqual([after[0] - before[0], after[1] - before[1]], [5, 5], "it has its share again");
  });
});

test("health checks take a server out before a request notices, and bring it back", async (t) => {
  let well = [true, true];
  const check = (index) => (wire, message, text) =>
    message.path === "/healthz" ? wire.end(`HTTP/1.1 ${well[index] ? 200 : 500} X\r\nContent-Length: 0\r\n\r\n`) : fine(wire, message, text);
  const all = await servers(t, 2, { 0: check(0), 1: check(1) });
  const proxy = await startProxy(t, hostBlock(ports(all), ["health_check path=/healthz interval=100ms timeout=1s fall=2 rise=2;"]));
  const answers = async () => new Set(await Promise.all(Array.from({ length: 10 }, async () => (await get(proxy)).text)));
  await eventually(async () => assert.deepEqual([...(await answers())].sort(), ["0", "1"]));
  well = [false, true];
  await eventually(async () => assert.deepEqual([...(await answers())], ["1"]));
  well = [false, false];
  await eventually(async () => {
    const answer = await get(proxy);
    assert.equal(answer.status, 503);
    assert.ok(Number(valueOf(answer, "retry-after")) >= 1);
  });
  well = [true, false];
  await eventually(async () => assert.deepEqual([...(await answers())], ["0"]));
  well = [true, true];
  await eventually(async () => assert.deepEqual([...(await answers())].sort(), ["0", "1"]));

  // Connections that are refused are failed checks too, and so is silence.
  await all[0].stop();
  await eventually(async () => assert.deepEqual([...(await answers())], ["1"]));
});

test("a backup gets requests only while no other server is up", async (t) => {
  const port = await freePort();
  const [backup] = await servers(t, 1);
  const proxy = await startProxy(t, hostBlock([port, `${backup.port} backup`], ["circuit_breaker fails=2 pause=300ms;"]));
  for (let i = 0; i < 10; i++) assert.equal((await get(proxy)).status, 200, "no request fails");
  const first = await startUpstream(t, (wire, message) => fine(wire, message, "first"), { port });
  await eventually(async () => assert.equal((await get(proxy)).text, "first"));
  const before = backup.requests.length;
  for (let i = 0; i < 10; i++) assert.equal((await get(proxy)).text, "first");
  assert.equal(backup.requests.length, before);
  await first.stop();
  for (let i = 0; i < 10; i++) assert.equal((await get(proxy)).text, "0");
});

// --- who gets it ---

test("shares are as the weights say", async (t) => {
  const all = await servers(t, 3);
  const proxy = await startProxy(t, hostBlock([`${all[0].port} weight=3`, `${all[1].port} weight=2`, all[2].port]));
  for (let i = 0; i < 60; i++) await get(proxy);
  assert.deepEqual(counts(all), [30, 20, 10]);
});

test("least-conn: who is busy gets no more", async (t) => {
  const let_ = [];
  const hold = async (wire, message, text) => (message.path === "/hold" && (await new Promise((resolve) => let_.push(resolve))), fine(wire, message, text));
  const all = await servers(t, 2, { 0: hold, 1: hold });
  const proxy = await startProxy(t, hostBlock(ports(all), ["dist_policy least-conn;"]));
  const held = get(proxy, "/hold");
  await eventually(() => assert.equal(let_.length, 1));
  const free = counts(all)[0] ? "1" : "0";
  for (let i = 0; i < 10; i++) assert.equal((await get(proxy)).text, free);
  let_[0]();
  assert.equal((await held).status, 200);
});

test("a sticky cookie leads back to the same server, also to another one when that is gone", async (t) => {
  const all = await servers(t, 4);
  const proxy = await startProxy(t, hostBlock(ports(all), ["dist_policy sticky cookie=route;", "circuit_breaker fails=1 pause=10s;"]));
  const homes = new Set();
  for (let n = 0; n < 8; n++) {
    const first = await get(proxy);
    const cookie = /^(route=[^;]+)/.exec(valueOf(first, "set-cookie"))?.[1];
    assert.ok(cookie, "it is set");
    homes.add(first.text);
    for (let i = 0; i < 5; i++) {
      const again = await get(proxy, "/", [`Cookie: other=1; ${cookie}`]);
      assert.equal(again.text, first.text);
      assert.equal(valueOf(again, "set-cookie"), undefined, "only once");
    }
  }
  assert.ok(homes.size > 1, "who has none is spread");
  const first = await get(proxy);
  const cookie = /^(route=[^;]+)/.exec(valueOf(first, "set-cookie"))[1];
  await all[Number(first.text)].stop();
  const moved = await get(proxy, "/", [`Cookie: ${cookie}`]);
  assert.equal(moved.status, 200);
  assert.notEqual(moved.text, first.text);
  const next = /^(route=[^;]+)/.exec(valueOf(moved, "set-cookie"))?.[1];
  assert.ok(next && next !== cookie, "it has a new home");
  assert.equal((await get(proxy, "/", [`Cookie: ${next}`])).text, moved.text);
  assert.equal((await get(proxy, "/", ["Cookie: route=nonsense"])).status, 200);
});

test("ip-hash: an address has its server; when that goes, only its addresses move", async (t) => {
  const all = await servers(t, 3);
  const proxy = await startProxy(t, hostBlock(ports(all), ["dist_policy ip-hash;", "circuit_breaker fails=1 pause=10s;"]));
  const home = async () => {
    const map = new Map();
    for (let i = 1; i <= 40; i++) map.set(i, (await get(proxy, "/", [], { from: `127.0.0.${i}` })).text);
    return map;
  };
  const before = await home();
  assert.deepEqual(await home(), before);
  assert.equal(new Set(before.values()).size, 3);
  await all[0].stop();
  const after = await home();
  for (const [address, server] of before) assert.ok(server === "0" ? after.get(address) !== "0" : after.get(address) === server, `127.0.0.${address}: ${server} → ${after.get(address)}`);
});

// --- caps ---

test("max_conns and queue: who waits is served in turn, who does not fit hears 503, who goes leaves the queue", async (t) => {
  const let_ = [];
  const upstream = await startUpstream(t, async (wire, message) => {
    await new Promise((resolve) => let_.push(resolve));
    return fine(wire, message, message.id);
  });
  const proxy = await startProxy(t, hostBlock([`${upstream.port} max_conns=2`], ["queue 3 timeout=20s;"]));
  const clients = [];
  const ask = async (id) => {
    const client = await Client.connect(proxy.port);
    clients.push(client);
    await client.write(request("GET", `/?id=${id}`, HOST, [HTML]));
    return { client, answer: within(client.answer(), `the answer to ${id}`) };
  };
  const waiting = (n) => eventually(async () => assert.equal(await figure(proxy, "weaprous_proxy_waiting_requests"), n));

  const asked = [];
  for (let i = 0; i < 2; i++) asked.push(await ask(i));
  await eventually(() => assert.equal(upstream.requests.length, 2));
  for (let i = 2; i < 5; i++) asked.push(await ask(i)), await waiting(i - 1);
  const refused = await (await ask("refused")).answer;
  assert.equal(refused.status, 503);
  assert.ok(Number(valueOf(refused, "retry-after")) >= 1);
  assert.match(refused.text, /<p[^>]*>[^<]*moment/);
  assert.equal(upstream.requests.length, 2, "never more than two at a time");

  asked[3].client.reset(); // it waits in the middle of the queue
  await waiting(2);
  asked.push(await ask(5));
  await waiting(3);
  const done = [];
  for (const i of [0, 1, 2, 4, 5]) asked[i].answer.then(({ text }) => done.push(text));
  for (let n = 0; n < 5; n++) {
    await eventually(() => assert.ok(let_.length > n));
    let_[n]();
    await eventually(() => assert.equal(done.length, n + 1));
  }
  assert.deepEqual(done, ["0", "1", "2", "4", "5"]);
  assert.equal(upstream.seen("3").length, 0, "who has gone is not asked for");
  await waiting(0);
  for (const client of clients) client.close();
});

test("who waits in the queue for too long hears 503; without a queue at once", async (t) => {
  const upstream = await startUpstream(t, async (wire) => void (await wire.ending()));
  for (const lines of [["queue 5 timeout=400ms;"], ["queue off;"]]) {
    const proxy = await startProxy(t, hostBlock([`${upstream.port} max_conns=1`], lines));
    const first = await Client.connect(proxy.port);
    const before = upstream.requests.length;
    await first.write(request("GET", "/", HOST));
    await eventually(() => assert.equal(upstream.requests.length, before + 1));
    const answer = await get(proxy);
    assert.equal(answer.status, 503, lines[0]);
    assert.ok(Number(valueOf(answer, "retry-after")) >= 1);
    first.close();
  }
});

test("when the first server is full the next one gets it", async (t) => {
  const let_ = [];
  const all = await servers(t, 2, { 0: async (wire, message) => (await new Promise((resolve) => let_.push(resolve)), fine(wire, message, "0")) });
  const proxy = await startProxy(t, hostBlock([`${all[0].port} weight=1000 max_conns=1`, all[1].port]));
  const held = get(proxy);
  await eventually(() => assert.equal(let_.length, 1));
  for (let i = 0; i < 5; i++) assert.equal((await get(proxy)).text, "1");
  let_[0]();
  assert.equal((await held).text, "0");
});

test("rate_limit: who asks too often hears 429 and when to come back; others are not concerned", async (t) => {
  const [upstream] = await servers(t, 1);
  const proxy = await startProxy(t, hostBlock([upstream.port], ["rate_limit 1/s burst=4;"]));
  const ask = (from) => get(proxy, "/", [HTML], { from });
  const answers = [];
  for (let i = 0; i < 20; i++) answers.push(await ask("127.0.0.5"));
  const refused = answers.filter(({ status }) => status === 429);
  assert.ok(refused.length >= 10, `${refused.length} of 20 were refused`);
  assert.equal(answers.filter(({ status }) => status === 200).length, upstream.requests.length);
  for (const answer of refused) {
    assert.ok(Number(valueOf(answer, "retry-after")) >= 1);
    assert.match(answer.text, /<p[^>]*>[^<]*(moment|wait|many)/i);
  }
  assert.equal((await ask("127.0.0.6")).status, 200);
  await eventually(async () => assert.equal((await ask("127.0.0.5")).status, 200));
});

// --- where to ---

test("an unknown host is told which one it asked for; there is no silent fallback", async (t) => {
  const [upstream] = await servers(t, 1);
  const proxy = await startProxy(t, hostBlock([upstream.port]));
  const html = await get(proxy, "/", [HTML], { host: "other.test:81" });
  assert.equal(html.status, 404);
  assert.match(html.text, /other\.test/);
  const json = await get(proxy, "/", [JSON_], { host: "<b>other</b>.test" });
  assert.ok(json.status === 400 || (json.status === 404 && !json.text.includes("<b>")), json.text);
  const named = await get(proxy, "/", [JSON_], { host: "other.test" });
  assert.equal(named.status, 404);
  assert.match(JSON.parse(named.text).message, /other\.test/);
  const none = await askOnce(proxy, "GET / HTTP/1.0\r\n\r\n");
  assert.equal(none.status, 404);
  const twice = await askOnce(proxy, `GET / HTTP/1.1\r\nHost: ${HOST}\r\nHost: other.test\r\n\r\n`);
  assert.equal(twice.status, 400);
  assert.equal(upstream.requests.length, 0);
});

test("hosts: name and port first, then the name, then *.name, then the default", async (t) => {
  const all = await servers(t, 5);
  const port = (i) => all[i].port;
  const text = [
    hostBlock([port(0)], [], "site.test:8080"),
    hostBlock([port(1)], [], "site.test"),
    hostBlock([port(2)], [], "*.site.test"),
    hostBlock([port(3)], [], "*.deep.site.test"),
    `host default {\n  proxy_pass http://127.0.0.1:${port(4)};\n}\n`,
  ].join("");
  const proxy = await startProxy(t, text);
  for (const [host, server] of [
    ["site.test:8080", "0"],
    ["SITE.test:8080", "0"],
    ["site.test", "1"],
    ["site.test:99", "1"],
    ["a.site.test", "2"],
    ["a.b.site.test:7", "2"],
    ["a.deep.site.test", "3"],
    ["elsewhere.test", "4"],
    ["127.0.0.1", "4"],
  ]) assert.equal((await get(proxy, "/", [], { host })).text, server, host);
});

test("paths: whole segments, the longest first, and no other spelling leads past them", async (t) => {
  const all = await servers(t, 3);
  const text = `host "${HOST}" {
  proxy_pass http://127.0.0.1:${all[0].port};
  path "/api" {
    proxy_pass http://127.0.0.1:${all[1].port};
  }
  path "/api/admin" {
    proxy_pass http://127.0.0.1:${all[2].port};
  }
}\n`;
  const proxy = await startProxy(t, text);
  for (const [path, server] of [
    ["/", "0"],
    ["/apis", "0"],
    ["/api", "1"],
    ["/api/", "1"],
    ["/api/x", "1"],
    ["/api?x=/api/admin", "1"],
    ["/api/admin", "2"],
    ["/api/admin/x", "2"],
    ["/api/administrator", "1"],
    ["/%61pi/x", "1"],
    ["/api%2Fadmin", "2"],
    ["/api/%61dmin", "2"],
    ["//api//admin", "2"],
    ["/x/../api/admin", "2"],
    ["/x/%2e%2e/api/admin", "2"],
    ["/api/x/..%2fadmin", "2"],
    ["/api/./admin/.", "2"],
    ["/api/admin/../x", "1"],
    ["/API/admin", "0"],
  ]) {
    const answer = await get(proxy, path);
    assert.equal(answer.status, 200, `${path}: ${answer.text}`);
    assert.equal(answer.text, server, path);
  }
  for (const path of ["/../api", "/%2e%2e/api", "/api/%zz", "/api/%00", "/a/../../b"]) assert.equal((await get(proxy, path)).status, 400, path);
});

test("a proxy that leads to itself says so with 508 in place of going round", async (t) => {
  const port = await freePort();
  const proxy = await startProxy(t, `listen 127.0.0.1:${port};\n${hostBlock([port])}`);
  const answer = await within(askOnce({ port }, request("GET", "/", HOST, [HTML])), "an answer");
  assert.equal(answer.status, 508);
  assert.match(answer.text, /loop|circle|itself|round/i);
  assert.equal(proxy.child.exitCode, null);
});

test("a server that fails and one that is fine: figures tell of both", async (t) => {
  const all = await servers(t, 2, { 0: reset });
  const proxy = await startProxy(t, hostBlock(ports(all)));
  for (let i = 0; i < 10; i++) assert.equal((await get(proxy)).status, 200);
  const of = (upstream) => `:${upstream.port}"`;
  assert.equal(await figure(proxy, "weaprous_proxy_upstream_failures_total", of(all[0])), all[0].requests.length);
  assert.equal(await figure(proxy, "weaprous_proxy_upstream_failures_total", of(all[1])), 0);
  await pause(0);
});
