// The status page of the proxy: as JSON, as metrics, and in a real browser, where what it says must be true a second later.
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, request as httpRequest } from "node:http";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { eventually, freePort, metricsOf, startProxy, within } from "./proxy-kit.mjs";

const HOST = "site.test";
const axeFile = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const screenshots = join(dirname(fileURLToPath(import.meta.url)), "../../build/test/browser");

/** A server on a port that can go and come back; /404 is not there. */
async function startServer(t, port = 0) {
  const server = createServer((request, response) => {
    response.statusCode = request.url === "/404" ? 404 : 200;
    response.end("hello");
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const own = { port: server.address().port };
  own.end = () => {
    server.close();
    server.closeAllConnections();
  };
  t.after(own.end);
  return own;
}

/** One request: {status, headers, text}. */
function ask(port, path, { host = HOST, method = "GET" } = {}) {
  return within(
    new Promise((resolve, reject) => {
      const request = httpRequest({ host: "127.0.0.1", port, method, path, agent: false, headers: { Host: host } }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (part) => (text += part));
        response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, text }));
      });
      request.on("error", reject).end();
    }),
    `${method} ${path}`,
  );
}

const statusOf = async (proxy, query = "") => JSON.parse((await ask(proxy.statusPort, `/status.json${query}`, { host: "localhost" })).text);

// --- JSON ---

test("/status.json has hosts, servers, counts and samples that are true", async (t) => {
  const [one, two] = [await startServer(t), await startServer(t)];
  const dead = await freePort();
  const text = `circuit_breaker fails=1 pause=60s;
    host "${HOST}" "*.${HOST}" {
      proxy_pass http://127.0.0.1:${one.port};
      proxy_pass http://127.0.0.1:${two.port} weight=3 max_conns=7;
      path "/dead" { proxy_pass http://127.0.0.1:${dead}; dist_policy least-conn; }
    }`;
  const proxy = await startProxy(t, text); // one worker: the shares are exact
  for (let i = 0; i < 8; i++) assert.equal((await ask(proxy.port, i < 6 ? "/" : "/404")).status, i < 6 ? 200 : 404);
  assert.equal((await ask(proxy.port, "/dead")).status, 502);
  assert.equal((await ask(proxy.port, "/", { host: "other.test" })).status, 404);

  const status = await eventually(async () => {
    const now = await statusOf(proxy, "?since=0");
    assert.equal(now.totals.active, 0);
    assert.equal(now.totals.history.requests.reduce((sum, n) => sum + n, 0), now.totals.requests, "the sample is yet to come");
    return now;
  });
  assert.deepEqual(status.hosts.map(({ names }) => names), [[HOST, `*.${HOST}`]]);
  assert.deepEqual(status.hosts[0].paths.map(({ path, group }) => [path, status.groups[group].policy]), [["/dead", "least-conn"], ["/", "round-robin"]]);
  const [first, second] = status.groups[status.hosts[0].paths[1].group].servers;
  assert.deepEqual([first.server, first.state, first.weight, first.requests], [`127.0.0.1:${one.port}`, "up", 1, 2]);
  assert.deepEqual([second.server, second.weight, second.max_conns, second.requests], [`127.0.0.1:${two.port}`, 3, 7, 6]);
  assert.deepEqual([first.answers["2xx"] + second.answers["2xx"], first.answers["4xx"] + second.answers["4xx"]], [6, 2]);
  assert.equal(first.received_bytes, 10);
  const [down] = status.groups[status.hosts[0].paths[0].group].servers;
  assert.equal(down.state, "down");
  assert.match(down.why, /connection refused/);
  assert.ok(down.trial_in_s > 0 && down.trial_in_s <= 60 && down.failures >= 1, JSON.stringify(down));
  assert.equal(down.retried, 0, "there is no other server");
  assert.deepEqual([status.totals.servers, status.totals.down], [3, 1]);
  assert.equal(status.clients.answers["5xx"], 1);
  assert.equal(status.clients.answers["4xx"], 3); // one of them for a host that is not here
  assert.ok(status.totals.latency_ms.p50 > 0 && status.totals.latency_ms.p50 <= status.totals.latency_ms.p99);
  assert.equal(down.latency_ms.p50, null);
  assert.equal(status.configuration.number, 1);
  assert.ok(Math.abs(status.configuration.loaded_s * 1000 - Date.now()) < 60_000);

  // Only samples that are new; all that there are when the number is of another run.
  const lengthOf = async (since) => {
    const now = await statusOf(proxy, `?since=${since}`);
    assert.equal(now.totals.history.latency_us.length, now.samples - now.history_from);
    return now.samples - now.history_from;
  };
  assert.ok((await lengthOf(status.samples)) <= 1 + (await lengthOf(0)) - status.samples);
  assert.ok((await lengthOf(1e15)) >= status.samples);
  assert.equal((await statusOf(proxy)).totals.history, undefined);
  assert.equal((await statusOf(proxy, "?since=x")).totals.history, undefined);
});

test("it answers while configurations come and go", async (t) => {
  const servers = await Promise.all([1, 2, 3].map(() => startServer(t)));
  const textOf = (i) => servers.map(({ port }, s) => `host "h${(i + s) % 4}.test" { proxy_pass http://127.0.0.1:${port}; }`).join("\n");
  const proxy = await startProxy(t, textOf(0), { workers: 2 });
  let running = true;
  let answers = 0;
  const look = async (path) => {
    while (running) {
      const { status } = await ask(proxy.statusPort, path, { host: "localhost" });
      assert.equal(status, 200);
      answers++;
    }
  };
  const looking = Promise.all([look("/status.json?since=0"), look("/metrics")]);
  for (let i = 1; i <= 25; i++) {
    writeFileSync(proxy.config, textOf(i));
    proxy.child.kill("SIGHUP");
    await eventually(() => assert.match(proxy.err, new RegExp(`configuration ${i + 1} at work`)));
  }
  running = false;
  await looking;
  assert.ok(answers > 25);
  const { number, refused_s } = (await statusOf(proxy)).configuration;
  assert.deepEqual([number, refused_s], [26, null]);
  writeFileSync(proxy.config, "host {");
  proxy.child.kill("SIGHUP");
  await eventually(async () => assert.ok(Math.abs((await statusOf(proxy)).configuration.refused_s * 1000 - Date.now()) < 60_000));
  assert.equal((await statusOf(proxy)).configuration.number, 26);
  assert.match((await ask(proxy.statusPort, "/metrics", { host: "localhost" })).text, /^weaprous_proxy_configurations_refused_total 1$/m);
  writeFileSync(proxy.config, textOf(0));
  proxy.child.kill("SIGHUP");
  await eventually(async () => assert.equal((await statusOf(proxy)).configuration.number, 27));
  assert.equal((await statusOf(proxy)).configuration.refused_s, null);
  assert.deepEqual(await proxy.end("SIGTERM"), { code: 0, signal: null });
});

// --- who may ask, and how ---

test("only GET and HEAD, by an address or localhost; no script but its own", async (t) => {
  const server = await startServer(t);
  const proxy = await startProxy(t, `host "${HOST}" { proxy_pass http://127.0.0.1:${server.port}; }`);
  const port = proxy.statusPort;
  for (const host of ["localhost", `localhost:${port}`, "LOCALHOST", "127.0.0.1", `192.168.1.5:${port}`, `[::1]:${port}`, "[fe80::1]"])
    assert.equal((await ask(port, "/", { host })).status, 200, host);
  for (const host of ["evil.test", `evil.test:${port}`, "localhost.evil.test", "127.0.0.1.evil.test", HOST, "0x7f000001", "2130706433"]) {
    for (const path of ["/", "/status.json", "/metrics", "/status.js"]) {
      const answer = await ask(port, path, { host });
      assert.equal(answer.status, 421, `${host} ${path}`);
      assert.ok(!answer.text.includes(String(server.port)));
    }
  }
  for (const path of ["/", "/status.json", "/metrics", "/status.css", "/status.js"]) {
    const { status, headers, text } = await ask(port, path, { host: "localhost" });
    assert.equal(status, 200, path);
    assert.equal(headers["x-content-type-options"], "nosniff");
    assert.equal(headers["cross-origin-resource-policy"], "same-origin");
    assert.match(headers["x-frame-options"], /DENY|SAMEORIGIN/);
    const policy = headers["content-security-policy"];
    assert.match(policy, /default-src 'none'/);
    assert.ok(!/unsafe|\*/.test(policy), policy);
    assert.ok(text.length > 0);
    const head = await ask(port, path, { host: "localhost", method: "HEAD" });
    assert.deepEqual([head.status, head.text], [200, ""]);
    const post = await ask(port, path, { host: "localhost", method: "POST" });
    assert.equal(post.status, 405, path);
    assert.match(post.headers.allow, /GET/);
  }
  assert.ok(!/<script(?![^>]*src=)|<style|\sstyle=|\son[a-z]+=/.test((await ask(port, "/", { host: "localhost" })).text), "nothing inline");
  assert.equal((await ask(port, "/nothing", { host: "localhost" })).status, 404);
  // The proxy itself has none of this: such paths are the servers'.
  assert.equal((await ask(proxy.port, "/status.json")).text, "hello");
});

// --- metrics ---

const NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*";
const LABELS = '(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\["\\\\n])*",?)*';

/** Reads the text format 0.0.4, and says what is wrong with it: families, name → {type, samples}. */
function readMetrics(text) {
  assert.ok(text.endsWith("\n"));
  const families = new Map();
  const series = new Set();
  let family = null;
  let help = null;
  for (const line of text.slice(0, -1).split("\n")) {
    const described = new RegExp(`^# (HELP|TYPE) (${NAME}) (.+)$`).exec(line);
    if (described) {
      const [, kind, name, rest] = described;
      if (kind === "HELP") {
        assert.ok(!families.has(name), `${name} is described twice`);
        help = name;
      } else {
        assert.equal(help, name, "TYPE follows HELP");
        assert.match(rest, /^(counter|gauge|histogram)$/);
        family = { name, type: rest, samples: [] };
        families.set(name, family);
      }
      continue;
    }
    const sample = new RegExp(`^(${NAME})(?:\\{(${LABELS})\\})? (NaN|[-+]?(?:Inf|[\\d.]+(?:e[-+]?\\d+)?))$`).exec(line);
    assert.ok(sample, `not of the format: ${line}`);
    const [, name, labels = "", value] = sample;
    const base = family?.type === "histogram" ? name.replace(/_(bucket|sum|count)$/, "") : name;
    assert.equal(base, family?.name, `${line} is outside its family`);
    assert.ok(!series.has(`${name}{${labels}}`), `${line} is there twice`);
    series.add(`${name}{${labels}}`);
    family.samples.push({ name, labels, value: value === "+Inf" ? Infinity : Number(value) });
  }
  for (const { name, type, samples } of families.values()) {
    if (type === "counter") assert.match(name, /_total$/);
    for (const { value } of samples) assert.ok(type === "gauge" || value >= 0, name);
    if (type === "histogram") checkHistogram(name, samples);
  }
  return families;
}

function checkHistogram(name, samples) {
  const sets = new Map();
  for (const { name: own, labels, value } of samples) {
    const le = /(?:^|,)le="([^"]*)"/.exec(labels)?.[1];
    const key = labels.replace(/,?le="[^"]*"/, "");
    if (!sets.has(key)) sets.set(key, { buckets: [] });
    if (own.endsWith("_bucket")) sets.get(key).buckets.push([le === "+Inf" ? Infinity : Number(le), value]);
    else sets.get(key)[own.endsWith("_sum") ? "sum" : "count"] = value;
  }
  for (const [key, { buckets, sum, count }] of sets) {
    assert.ok(buckets.length > 1 && sum !== undefined, `${name}{${key}}`);
    for (let i = 1; i < buckets.length; i++) assert.ok(buckets[i][0] > buckets[i - 1][0] && buckets[i][1] >= buckets[i - 1][1], `${name}{${key}}`);
    assert.deepEqual(buckets.at(-1), [Infinity, count]);
  }
}

test("/metrics is Prometheus' text format, with what each server has counted", async (t) => {
  const [one, two] = [await startServer(t), await startServer(t)];
  const text = `host "${HOST}" { proxy_pass http://127.0.0.1:${one.port}; path "/two" { proxy_pass http://127.0.0.1:${two.port}; } }
    host "other.test" { proxy_pass http://127.0.0.1:${one.port}; }`;
  const proxy = await startProxy(t, text, { workers: 2 });
  for (let i = 0; i < 5; i++) await ask(proxy.port, "/404");
  await ask(proxy.port, "/two");
  const response = await ask(proxy.statusPort, "/metrics", { host: "localhost" });
  assert.equal(response.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
  const families = readMetrics(response.text);
  const valueOf = (name, ...labels) => {
    const found = families.get(name).samples.filter((sample) => labels.every((label) => sample.labels.includes(label)));
    assert.equal(found.length, 1, `${name} ${labels}`);
    return found[0].value;
  };
  const labels = [`group="${HOST}"`, `server="http://127.0.0.1:${one.port}"`];
  const prefix = "weaprous_proxy_upstream_";
  assert.equal(valueOf(`${prefix}requests_total`, ...labels), 5);
  assert.equal(valueOf(`${prefix}answers_total`, ...labels, 'code="4xx"'), 5);
  assert.equal(valueOf(`${prefix}requests_total`, 'group="other.test"'), 0);
  assert.equal(valueOf(`${prefix}requests_total`, `server="http://127.0.0.1:${two.port}"`), 1);
  assert.equal(valueOf(`${prefix}up`, ...labels), 1);
  assert.equal(families.get(`${prefix}latency_seconds`).samples.find((sample) => sample.name.endsWith("_count") && labels.every((label) => sample.labels.includes(label))).value, 5);
  // What the whole program counts is there too, of the proxy and not of this page.
  assert.equal(valueOf("weaprous_http_requests_total", 'method="GET"', 'code="4xx"'), 5);
  assert.equal(valueOf("weaprous_proxy_configuration_number"), 1);
  for (const name of ["process_open_fds", "weaprous_http_request_duration_seconds", `${prefix}failures_total`]) assert.ok(families.has(name), name);
  // The reader of this test does see faults.
  for (const bad of ["x 1\n", "# HELP a b\n# TYPE a counter\na 1\n", "# HELP a_total b\n# TYPE a_total counter\na_total 1\na_total 2\n", '# HELP a b\n# TYPE a gauge\na{b="c} 1\n'])
    assert.throws(() => readMetrics(bad), bad);
  assert.ok((await metricsOf(proxy)).size > 50);
});

// --- the page ---

let browser;
before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
});
after(() => browser?.close());

/** The page in a window; what its console says is a failure, except what the browser says of a server that is away. */
async function open(t, proxy, { width = 1280, scheme = "light" } = {}) {
  const context = await browser.newContext({ viewport: { width, height: 800 }, colorScheme: scheme });
  const page = await context.newPage();
  const wrong = [];
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("console", (message) => message.type() === "error" && !/Failed to load resource/.test(message.text()) && wrong.push(message.text()));
  page.on("request", (request) => new URL(request.url()).host !== `127.0.0.1:${proxy.statusPort}` && !request.url().startsWith("data:") && wrong.push(request.url()));
  t.after(() => context.close());
  await page.goto(`http://127.0.0.1:${proxy.statusPort}/`);
  await page.locator("#facts dd").first().waitFor();
  return { page, wrong };
}

const says = (page, selector, text) => eventually(async () => assert.match(await page.locator(selector).first().textContent(), text));

test("the page can be read at any width, light and dark, and by a screen reader", async (t) => {
  const server = await startServer(t);
  const text = `circuit_breaker fails=1 pause=60s;
    host "${HOST}" "a-very-long-name-of-a-host.departments.example.com" { proxy_pass http://127.0.0.1:${server.port}; proxy_pass http://127.0.0.1:${await freePort()} weight=20 backup; }
    host "down.test" { proxy_pass http://127.0.0.1:${await freePort()}; proxy_pass https://an-upstream-with-a-very-long-name.departments.example.com:8443 weight=5; }`;
  const proxy = await startProxy(t, text);
  for (let i = 0; i < 20; i++) await ask(proxy.port, i % 5 ? "/" : "/404");
  await ask(proxy.port, "/", { host: "down.test" });
  for (const width of [390, 1280]) {
    for (const scheme of ["light", "dark"]) {
      const { page, wrong } = await open(t, proxy, { width, scheme });
      await says(page, "#summary", /servers? (is|are) down/);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width, "no scrolling sideways");
      await page.evaluate(readFileSync(axeFile, "utf8"));
      const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
      assert.deepEqual(violations.map((rule) => `${rule.id}: ${rule.nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`), [], `${width} ${scheme}`);
      const table = page.getByRole("table", { name: /Servers of site\.test/ });
      assert.equal(await table.getByRole("row").count(), 3);
      assert.match(await table.getByRole("row").nth(1).textContent(), new RegExp(`127\\.0\\.0\\.1:${server.port}.*up`));
      mkdirSync(screenshots, { recursive: true });
      await page.screenshot({ path: join(screenshots, `proxy-status-${width}-${scheme}.png`), fullPage: true });
      assert.deepEqual(wrong, []);
      await page.close();
    }
  }
});

test("the page is true a second later: requests, a server that dies and returns, a reload, the proxy itself", async (t) => {
  const [one, two] = [await startServer(t), await startServer(t)];
  const host = (servers) => `host "${HOST}" { ${servers.map(({ port }) => `proxy_pass http://127.0.0.1:${port};`).join(" ")} health_check path=/ interval=100ms fall=1 rise=1; slow_start 60s; }\n`;
  const [port, statusPort] = [await freePort(), await freePort()];
  const start = () => startProxy(t, host([one, two]), { status: false, args: ["--server-port", String(port), "--status", `127.0.0.1:${statusPort}`] });
  const proxy = await start();
  const { page, wrong } = await open(t, { statusPort });
  await says(page, "#summary", /^All 2 servers are up$/);
  assert.equal(await page.title(), "weaprous proxy");

  const cell = (server, name) => page.locator("tbody tr", { hasText: `127.0.0.1:${server.port}` }).locator(`td[data-name="${name}"]`);
  for (let i = 0; i < 14; i++) await ask(port, i < 10 ? "/" : "/404");
  await eventually(async () => assert.equal(await cell(one, "Requests").textContent(), "7"));
  await eventually(async () => assert.equal(await cell(two, "4xx").textContent(), "2"));
  await eventually(async () => assert.match(await page.locator("#totals .spark").first().getAttribute("aria-label"), /at most (1?\d) a second/));
  await eventually(async () => assert.match(await page.locator("#totals .spark .line").first().getAttribute("d"), /^M[\d. ]+L/));

  two.end();
  await says(page, "#summary", /^1 of 2 servers is down$/);
  await eventually(async () => assert.equal(await page.title(), "(1 down) weaprous proxy"));
  const row = page.locator("tbody tr", { hasText: `127.0.0.1:${two.port}` });
  await eventually(async () => assert.match(await row.locator(".state").textContent(), /down.*health check: connection refused/));
  const again = await startServer(t, two.port);
  await says(page, "#summary", /^All 2 servers are up$/);
  assert.match(await row.locator(".state").textContent(), /slow start/);

  writeFileSync(proxy.config, `${host([one])}host "new.test" { proxy_pass http://127.0.0.1:${again.port}; }\n`);
  proxy.child.kill("SIGHUP");
  await says(page, "#facts", /Configuration2, since/);
  await says(page, "#groups section:nth-child(2) h2", /^new\.test$/);
  assert.equal(await page.locator("tbody tr").count(), 2);

  const silent = page.locator("#silent");
  proxy.child.kill("SIGSTOP");
  await says(page, "#silent", /The proxy has not answered since .+ What is shown here is from then\./);
  await eventually(async () => assert.equal(await page.title(), "(no answer) weaprous proxy"));
  proxy.child.kill("SIGCONT");
  await eventually(async () => assert.equal(await silent.isVisible(), false));
  await proxy.end("SIGTERM");
  await eventually(async () => assert.equal(await silent.isVisible(), true));
  await start();
  await eventually(async () => assert.equal(await silent.isVisible(), false));
  await says(page, "#facts", /Configuration1, since/);
  await eventually(async () => assert.equal(await cell(one, "Requests").textContent(), "0"));
  assert.deepEqual(wrong, []);
});
