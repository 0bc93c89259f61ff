// What somebody who wishes the proxy ill can try, each of which once worked.
import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, figure, metricsOf, startProxy, within } from "./proxy-kit.mjs";
import { Client, request, startUpstream } from "./proxy-wire.mjs";

const HOST = "attack.test";
const hostBlock = (upstream, servers, rest) => `host "${HOST}" { proxy_pass http://127.0.0.1:${upstream.port} ${servers}; ${rest} }`;
const fine = (wire) => wire.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");

test("attacks", { concurrency: 4 }, async (t) => {
  await Promise.all([
    t.test("clients that close their side after the request take no server out", async (t) => {
      const upstream = await startUpstream(t, (wire, message) => (message.path === "/slow" ? undefined : fine(wire)));
      const proxy = await startProxy(t, hostBlock(upstream, "", "timeout read=60s; circuit_breaker fails=2 pause=60s;"));
      const clients = await Promise.all([1, 2, 3].map(() => Client.connect(proxy.port)));
      const ask = async (client) => {
        client.end(request("GET", "/slow", HOST));
        return (await within(client.answer(), "the answer", 60_000))?.status;
      };
      assert.deepEqual(await Promise.all(clients.map(ask)), [504, 504, 504]);
      for (const client of clients) client.close();
      assert.equal(upstream.requests.length, 3, "none was asked again");
      assert.equal(await figure(proxy, "weaprous_proxy_upstream_failures_total"), 0);
      assert.equal(await figure(proxy, "weaprous_proxy_upstream_up"), 1);
    }),

    t.test("a queue whose servers go down all at once needs no stack", async (t) => {
      const WAITING = 700;
      let let_;
      const upstream = await startUpstream(t, async (wire) => {
        await new Promise((resolve) => (let_ = resolve));
        wire.close();
      });
      const text = hostBlock(upstream, "max_conns=1", `queue ${WAITING} timeout=60s; retries off; circuit_breaker fails=1 pause=60s;`);
      const proxy = await startProxy(t, text, { before: ["sh", "-c", 'ulimit -s 256; exec "$@"', "proxy"] });
      const clients = [];
      for (let i = 0; i <= WAITING; i++) {
        const client = await Client.connect(proxy.port);
        await client.write(request("GET", "/", HOST));
        clients.push(client);
        if (i === 0) await eventually(() => assert.ok(let_));
      }
      await eventually(async () => assert.equal(await figure(proxy, "weaprous_proxy_waiting_requests"), WAITING));
      let_();
      const answers = await within(Promise.all(clients.map((client) => client.answer())), "the answers", 30_000);
      assert.deepEqual(
        answers.map((answer) => answer?.status),
        [502, ...Array(WAITING).fill(503)],
      );
      for (const client of clients) client.close();
    }),

    t.test("an upgrade that the server agrees to while the proxy stops does not hold it up", async (t) => {
      let let_;
      const upstream = await startUpstream(t, async (wire) => {
        await new Promise((resolve) => (let_ = resolve));
        wire.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n");
      });
      const proxy = await startProxy(t, hostBlock(upstream, "", ""));
      const client = await Client.connect(proxy.port);
      await client.write(request("GET", "/", HOST, ["Connection: Upgrade", "Upgrade: other"]));
      await eventually(() => assert.ok(let_));
      const ended = proxy.end("SIGTERM");
      await eventually(() => assert.rejects(Client.connect(proxy.port).then((client) => client.close())), 10_000);
      let_();
      assert.equal((await within(client.answer(), "the answer"))?.status, 503);
      client.close();
      assert.deepEqual(await ended, { code: 0, signal: null });
    }),

    t.test("a connection that is kept after a page of the proxy is closed when it is idle", async (t) => {
      const upstream = await startUpstream(t, () => {});
      const proxy = await startProxy(t, hostBlock(upstream, "", "timeout read=300ms; retries off;") + "client_timeout idle=1s;");
      const client = await Client.connect(proxy.port);
      const answer = await client.ask(request("GET", "/", HOST));
      assert.deepEqual([answer?.status, answer?.keeps], [504, true]);
      assert.equal(await within(client.ending(), "the end of an idle connection", 20_000), "end");
      client.close();
      assert.equal((await metricsOf(proxy)).get("weaprous_http_connections"), 0);
    }),
  ]);
});
