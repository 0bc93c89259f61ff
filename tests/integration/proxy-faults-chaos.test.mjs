// Everything goes wrong on both sides at once, at random: servers and clients that break off, stall, reset and talk nonsense
// at any byte. Afterwards the proxy still serves, has nothing under way and no connection too many, and ends well.
// SEED, SECONDS: another beginning, a longer run. WEAPROUS=build/asan/weaprous: with the sanitizers.
import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { randomOf } from "../conformance/server.mjs";
import { generator } from "../conformance/requests.mjs";
import { askOnce, socketsOf, eventually, figure, pause, startProxy } from "./proxy-kit.mjs";
import { fine, request, startUpstream } from "./proxy-wire.mjs";

const SEED = Number(process.env.SEED ?? 1);
const SECONDS = Number(process.env.SECONDS ?? 6);
const AT_ONCE = 30;
const HOSTS = ["alone.test", "group.test", "sticky.test", "narrow.test"];

/** What a server does with a request: writes some of an answer in pieces, then ends it in some way. */
function serverOf(random) {
  const below = (n) => Math.floor(random() * n);
  const chunked = (n) => Array.from({ length: n }, () => `${(10).toString(16)}\r\n0123456789\r\n`).join("");
  const answers = [
    () => "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    () => `HTTP/1.1 200 OK\r\nContent-Length: ${40_000 + below(200_000)}\r\n\r\n${"x".repeat(below(240_000))}`,
    () => `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunked(below(3000))}0\r\nX-T: u\r\n\r\n`,
    () => `HTTP/1.1 200 OK\r\n\r\n${"x".repeat(below(100_000))}`,
    () => "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo/1\r\nConnection: upgrade\r\n\r\nhello",
    () => "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(1 + below(30)),
    () => "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    () => Buffer.from(Array.from({ length: below(300) }, () => below(256))),
    () => "",
  ];
  return async (wire, message) => {
    if (message.path === "/fine") return fine(wire, message);
    if (message.path === "/check") return wire.end("HTTP/1.1 204 Fine\r\nConnection: close\r\n\r\n");
    if (random() < 0.6) await Promise.race([wire.bodyOf(message, { keep: false }), pause(below(300))]);
    const bytes = Buffer.from(answers[below(answers.length)]());
    const stopAt = random() < 0.6 ? bytes.length : below(bytes.length + 1);
    for (let at = 0; at < stopAt && !wire.fate; ) {
      const n = Math.min(random() < 0.2 ? 1 + below(10) : 1 + below(60_000), stopAt - at);
      await Promise.race([wire.write(bytes.subarray(at, at + n)), pause(300)]);
      at += n;
      if (random() < 0.2) await pause(below(4));
    }
    const way = below(6);
    if (way === 0) wire.reset();
    else if (way === 1) wire.close();
    else if (way === 2) wire.end();
    else if (way === 3) await pause(below(800)), wire.close();
  };
}

/** One connection of a client: some of a script in pieces, then an end in one of four ways. */
async function misbehave(port, random, scripts) {
  const below = (n) => Math.floor(random() * n);
  const bytes = Buffer.from(scripts[below(scripts.length)]());
  const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: random() < 0.5 });
  socket.on("error", () => {});
  if (random() < 0.7) socket.resume();
  await new Promise((resolve) => socket.once("connect", resolve).once("close", resolve));
  const stopAt = random() < 0.6 ? bytes.length : below(bytes.length + 1);
  for (let at = 0; at < stopAt && !socket.destroyed; ) {
    const n = Math.min(random() < 0.1 ? 1 : 1 + below(30_000), stopAt - at);
    socket.write(bytes.subarray(at, at + n));
    at += n;
    if (random() < 0.3) await pause(below(4));
  }
  if (random() < 0.5) await pause(below(20));
  const way = below(4);
  if (way === 0 && !socket.destroyed) socket.resetAndDestroy();
  else if (way === 1) socket.destroy();
  else if (way === 2) socket.end();
  await Promise.race([new Promise((resolve) => socket.once("close", resolve)), pause(below(100))]);
  socket.destroy();
}

test(`${SECONDS} s of servers and clients that misbehave, from seed ${SEED}`, async (t) => {
  const upstreams = [];
  for (let i = 0; i < 4; i++) upstreams.push(await startUpstream(t, serverOf(randomOf(SEED * 100 + i)), { strict: false }));
  const [alone, a, b, c] = upstreams.map(({ port }) => `proxy_pass http://127.0.0.1:${port}`);
  const limits = "timeout connect=500ms read=300ms send=300ms idle=300ms; buffer 16k; max_body 1m;";
  const proxy = await startProxy(
    t,
    `client_timeout idle=1s header=500ms body=500ms;
    host "alone.test" { ${alone}; ${limits} }
    host "group.test" { ${a}; ${b}; ${c} weight=3; ${limits} circuit_breaker fails=2 pause=100ms; dist_policy least-conn; retries 2; }
    host "sticky.test" { ${a}; ${b} backup; ${limits} dist_policy sticky cookie=s; health_check path=/check interval=200ms timeout=100ms; slow_start 1s; }
    host "narrow.test" { ${b} max_conns=2; ${c} max_conns=1; ${limits} queue 5 timeout=200ms; dist_policy random-two; keepalive off; }\n`,
    { workers: 2 },
  );
  for (const host of HOSTS) await askOnce(proxy, request("GET", "/fine", host));
  const idle = async () => (await figure(proxy, "weaprous_proxy_upstream_idle_connections")) + (await figure(proxy, "weaprous_proxy_waiting_requests"));
  const before = socketsOf(proxy.pid) - (await idle());

  const until = Date.now() + SECONDS * 1000;
  let connections = 0;
  const worker = async (index) => {
    const random = randomOf(SEED * 1000 + index);
    const below = (n) => Math.floor(random() * n);
    const host = () => HOSTS[below(HOSTS.length)];
    const hostile = generator(below(2 ** 31));
    const scripts = [
      () => hostile().toString("latin1").replace(/Host: [^\r\n]*/gi, `Host: ${host()}`),
      () => request("GET", "/", host()),
      () => Array.from({ length: 1 + below(40) }, () => request(["GET", "HEAD", "DELETE"][below(3)], "/", host())).join(""),
      () => request("GET", "/", host(), ["Upgrade: echo/1", "Connection: upgrade"]) + "x".repeat(below(50_000)),
      () => request("PUT", "/", host(), [`Content-Length: ${below(200_000)}`], "x".repeat(below(200_000))),
      () => request("POST", "/", host(), ["Expect: 100-continue", "Content-Length: 5"], "hello"),
      () => request("PUT", "/", host(), ["Transfer-Encoding: chunked"], `${"3e8\r\n" + "y".repeat(1000) + "\r\n"}`.repeat(below(300)) + "0\r\nX-T: u\r\n\r\n"),
      () => `GET / HTTP/1.0\r\nHost: ${host()}\r\n${below(2) ? "Connection: keep-alive\r\n" : ""}\r\n`,
    ];
    while (Date.now() < until && proxy.child.exitCode === null && proxy.child.signalCode === null) {
      await misbehave(proxy.port, random, scripts);
      connections++;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => worker(index)));
  assert.equal(proxy.child.exitCode ?? proxy.child.signalCode, null, `the proxy died:\n${proxy.err.slice(-3000)}`);
  t.diagnostic(`${connections} connections, ${upstreams.reduce((sum, { requests }) => sum + requests.length, 0)} requests`);
  assert.ok(connections > 100);

  for (const host of HOSTS)
    await eventually(async () => assert.equal((await askOnce(proxy, request("GET", "/fine", host))).text, "fine", host));
  await eventually(async () => {
    assert.equal(await figure(proxy, "weaprous_proxy_upstream_active_requests"), 0, "requests under way");
    assert.equal(await figure(proxy, "weaprous_proxy_waiting_requests"), 0, "requests that wait");
    const left = socketsOf(proxy.pid) - (await idle());
    assert.ok(left <= before + 2, `${left} sockets besides idle connections, ${before} before`);
  });
});
