// `weaprous proxy` as an operator meets it: options and messages, the classic file before real servers, hosts, listeners
// with TLS, the access log, trusted proxies, the end.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, request as httpRequest } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { connect as tlsConnect } from "node:tls";
import { eventually, folderOf, freePort, startBackend, startNginx, startProxy, within } from "./proxy-kit.mjs";
import { run } from "./tracker-kit.mjs";

/** The program in a folder with this configuration, to its end. */
function proxy(folder, text, args = [], options = {}) {
  if (text !== null) writeFileSync(join(folder, "proxy.conf"), text);
  return run(["proxy", "--config", "proxy.conf", ...args], { cwd: folder, ...options });
}

/** One request: {status, headers, text, json}. */
function ask(port, path, { host = "site.test", method = "GET", headers = {}, from, body } = {}) {
  return within(
    new Promise((resolve, reject) => {
      const options = { host: "127.0.0.1", port, path, method, localAddress: from, agent: false, headers: { ...(host === null ? {} : { Host: host }), ...headers } };
      const request = httpRequest({ ...options, setHost: host !== null }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (part) => (text += part));
        response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, text }));
      });
      request.on("error", reject).end(body);
    }),
    `${method} ${path}`,
  );
}

/** A server that answers with what it got, as JSON: {port, requests}. */
async function startEcho(t, name = "echo") {
  const requests = [];
  const server = createServer((request, response) => {
    requests.push(request);
    response.setHeader("Content-Type", "application/json");
    response.end(JSON.stringify({ name, method: request.method, url: request.url, headers: request.headers }));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return { port: server.address().port, requests };
}

const echoed = async (...words) => JSON.parse((await ask(...words)).text);

// --- options and messages ---

test("what is wrong with the command line is said, with exit code 2", async (t) => {
  const folder = folderOf(t);
  const cases = [
    [["--check", "--dump"], /--check and --dump are not of use together/],
    [["--config", "-"], /--config - is of use with --check and --dump only/],
    [["--server-port", "65536"], /--server-port needs a number from 0 to 65535/],
    [["--server-ip", "localhost"], /--server-ip needs an IP address/],
    [["--status", "127.0.0.1"], /--status needs an IP address and a port like 127.0.0.1:8081/],
    [["--status", "::1:8081"], /--status needs an IP address and a port/],
    [["--workers", "0"], /--workers needs a number/],
    [["--access-log", "x"], /unknown option "--access-log"/],
    [["words"], /unknown option "words"/],
  ];
  for (const [args, message] of cases) {
    const { code, err, out } = await run(["proxy", ...args], { cwd: folder });
    assert.equal(code, 2, args.join(" "));
    assert.match(err, message);
    assert.equal(out, "");
  }
  const help = await run(["proxy", "--help"]);
  assert.equal(help.code, 0);
  for (const name of ["config", "server-ip", "server-port", "host", "check", "dump", "status", "workers", "verbose"]) assert.match(help.out, new RegExp(`--${name}\\b`));
  assert.match((await run(["help"])).out, /^ {2}proxy\s+\S/m);
});

test("without the usual file it says which lines to write, and these work", async (t) => {
  const folder = folderOf(t);
  const { code, err } = await run(["proxy", "--server-port", "0"], { cwd: folder });
  assert.equal(code, 1);
  assert.match(err, /There is no configuration config\/proxy\.conf/);
  const lines = /^( {4}host [^]*?\n {4}\})$/m.exec(err)[1];
  mkdirSync(join(folder, "config"));
  writeFileSync(join(folder, "config/proxy.conf"), lines);
  const checked = await run(["proxy", "--check"], { cwd: folder });
  assert.deepEqual([checked.code, checked.out], [0, "config/proxy.conf: 1 host, 1 server: the configuration is good\n"]);
  const missing = await run(["proxy", "--check", "--config", "other.conf"], { cwd: folder });
  assert.equal(missing.code, 1);
  assert.match(missing.err, /other\.conf cannot be read: No such file/);
});

test("--check names file, line and column, shows the line, and finds every mistake", async (t) => {
  const folder = folderOf(t);
  const bad = 'host "a" {\n  proxy_pas http://127.0.0.1:9000;\n  proxy_pass http://127.0.0.1:9000 wait=2;\n}\nhost "b" {\n  proxy_pass http://127.0.0.1:70000;\n}\n';
  const { code, out, err } = await proxy(folder, bad, ["--check"]);
  assert.equal(code, 1);
  assert.equal(out, "");
  const places = [...err.matchAll(/^proxy\.conf:(\d+):(\d+): error: /gm)].map(([, line, column]) => `${line}:${column}`);
  assert.ok(places.includes("2:3"), err);
  assert.ok(places.some((place) => place.startsWith("3:")) && places.some((place) => place.startsWith("6:")), err);
  assert.match(err, /^ {4} {2}proxy_pas http:\/\/127\.0\.0\.1:9000;\n {4} {2}\^$/m);
  // The same at the start: nothing listens.
  const started = await proxy(folder, null, ["--server-port", "0"]);
  assert.equal(started.code, 1);
  assert.equal(started.err, err);

  const twice = 'host "a" { proxy_pass http://127.0.0.1:1; }\nhost "a" { proxy_pass http://127.0.0.1:2; }\n';
  const warned = await proxy(folder, twice, ["--check"]);
  assert.equal(warned.code, 0);
  assert.match(warned.err, /warning: .*\b1\b/s);
  assert.match(warned.out, /: the configuration is good, with 1 warning$/m);

  // The files that it names are looked at; nothing is made.
  const host = twice.split("\n")[0];
  for (const [text, message] of [
    [`listen 127.0.0.1:8443 cert=none.pem key=none.key;\n${host}`, /The certificate of listen 127\.0\.0\.1:8443 \(line 1\) cannot be used: none\.pem/],
    [`host "a" { proxy_pass https://127.0.0.1:1; proxy_tls trust=none.pem; }`, /The servers of "a" cannot be used: .*none\.pem/],
    [`access_log none/access.log;\n${host}`, /The access log none\/access\.log cannot be written: No such file or directory/],
  ]) {
    const files = await proxy(folder, text, ["--check"]);
    assert.deepEqual([files.code, files.out], [1, ""]);
    assert.match(files.err, message);
  }
  assert.equal((await proxy(folder, `access_log access.log;\n${host}`, ["--check"])).code, 0);
  assert.ok(!existsSync(join(folder, "access.log")));
});

test("--dump prints what was understood, and of that again the same; $HOST is --host, else --server-ip, else 127.0.0.1", async (t) => {
  const folder = folderOf(t);
  const text = 'host "$HOST:8080" {\n  proxy_pass http://{{HOST}}:9000;\n  proxy_pass http://$HOST:9001 weight=2;\n  proxy_set_header Host $host;\n  dist_policy least-conn\n}\n';
  const dumped = await proxy(folder, text, ["--dump", "--host", "10.1.2.3", "--server-ip", "127.0.0.2"]);
  assert.equal(dumped.code, 0);
  assert.match(dumped.out, /host "10\.1\.2\.3:8080" \{/);
  assert.match(dumped.out, /proxy_pass http:\/\/10\.1\.2\.3:9001 weight=2;/);
  assert.equal((await proxy(folder, dumped.out, ["--dump"])).out, dumped.out);
  assert.match((await proxy(folder, text, ["--dump", "--server-ip", "127.0.0.2"])).out, /host "127\.0\.0\.2:8080"/);
  assert.match((await proxy(folder, text, ["--dump"])).out, /host "127\.0\.0\.1:8080"/);
  for (const address of ["::1", "[::1]"]) {
    const six = await proxy(folder, text, ["--dump", "--host", address]);
    assert.match(six.out, /host "\[::1\]:8080" \{\n {4}proxy_pass http:\/\/\[::1\]:9000;/, six.err);
  }
  const all = await proxy(folder, text, ["--check", "--server-ip", "0.0.0.0"]);
  assert.equal(all.code, 0);
  assert.match(all.err, /proxy\.conf:1:6: warning: 0\.0\.0\.0 means all addresses, .*--host/);
});

test("a port that is taken ends the start, and is named", async (t) => {
  const echo = await startEcho(t);
  const folder = folderOf(t);
  const host = `host "a" { proxy_pass http://127.0.0.1:${echo.port}; }\n`;
  for (const [text, args] of [
    [host, ["--server-port", String(echo.port)]],
    [`listen 127.0.0.1:${echo.port};\n${host}`, []],
    [host, ["--server-port", "0", "--status", `127.0.0.1:${echo.port}`]],
  ]) {
    const { code, out, err } = await proxy(folder, text, args);
    assert.deepEqual([code, out], [1, ""]);
    assert.match(err, new RegExp(`cannot listen on 127\\.0\\.0\\.1 port ${echo.port}: another program uses this port`));
  }
});

test("--server-ip and --server-port are one more listener when the file has some; without them only the file counts", async (t) => {
  const echo = await startEcho(t);
  const own = await freePort();
  const server = await startProxy(t, `listen 127.0.0.1:${own};\nhost "site.test" { proxy_pass http://127.0.0.1:${echo.port}; }\n`);
  const ports = [...server.out.matchAll(/http:\/\/127\.0\.0\.1:(\d+)/g)].map(([, port]) => Number(port));
  assert.equal(ports[0], own);
  assert.equal(ports.length, 3, server.out); // the file's, the option's, the status page
  for (const port of ports.slice(0, 2)) assert.equal((await ask(port, "/")).status, 200);
  assert.deepEqual(await server.end("SIGTERM"), { code: 0, signal: null });
});

// --- the classic file ---

test("the classic file serves the real backend and nginx, by weight, with the Host of the client", async (t) => {
  const folder = folderOf(t);
  mkdirSync(join(folder, "static"));
  writeFileSync(join(folder, "static/where.txt"), "nginx");
  const backend = await startBackend(t, { files: { "where.txt": "backend" } });
  const nginx = await startNginx(t, `server { listen 127.0.0.1:PORT; root ${folder}; add_header X-Host $http_host; }`, { folder });
  const text = `
    # as existing files have it
    host "$HOST:8080" {
        proxy_pass http://$HOST:${backend.port};
        proxy_pass http://$HOST:${nginx.port} weight=2;
        proxy_set_header Host $host;
        dist_policy round-robin
    }
    host "app.local" {
        proxy_pass http://{{HOST}}:${nginx.port};
    }`;
  const server = await startProxy(t, text);
  const seen = { nginx: 0, backend: 0 };
  for (let i = 0; i < 12; i++) {
    const answer = await ask(server.port, "/static/where.txt", { host: "127.0.0.1:8080" });
    assert.equal(answer.status, 200);
    seen[answer.text]++;
    if (answer.text === "nginx") assert.equal(answer.headers["x-host"], "127.0.0.1:8080");
  }
  assert.deepEqual(seen, { nginx: 8, backend: 4 });
  assert.equal((await ask(server.port, "/static/where.txt", { host: "APP.local:1234" })).text, "nginx");
  const part = await ask(server.port, "/static/where.txt", { host: "app.local", headers: { Range: "bytes=1-2" } });
  assert.deepEqual([part.status, part.text], [206, "gi"]);
  const login = await ask(server.port, "/", { host: "127.0.0.1:8080", headers: { Accept: "application/json" } });
  assert.ok([401, 403].includes(login.status), login.text);
});

test("a host is found by name and port, then name, then *.name, then default; else 404 names it", async (t) => {
  const names = ["exact", "name", "wild", "deep"];
  const echoes = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await startEcho(t, name)])));
  const pass = (name) => `proxy_pass http://127.0.0.1:${echoes[name].port};`;
  const text = `
    host "*.site.test" { ${pass("wild")} }
    host "*.deep.site.test" { ${pass("deep")} }
    host "site.test" "b.site.test" { ${pass("name")} }
    host "site.test:81" { ${pass("exact")} }`;
  const server = await startProxy(t, text);
  const cases = { "site.test:81": "exact", "site.test": "name", "Site.TEST:82": "name", "b.site.test": "name", "x.site.test:99": "wild", "x.y.site.test": "wild", "x.deep.site.test": "deep" };
  for (const [host, name] of Object.entries(cases)) assert.equal((await echoed(server.port, "/", { host })).name, name, host);

  for (const host of ["other.test", "site.test.evil", "127.0.0.1"]) {
    const answer = await ask(server.port, "/", { host, headers: { Accept: "text/html" } });
    assert.equal(answer.status, 404);
    assert.match(answer.headers["content-type"], /^text\/html/);
    assert.ok(answer.text.includes(host), answer.text);
    assert.ok(!answer.text.includes("127.0.0.1:"), "no server is given away");
  }
  const json = await ask(server.port, "/", { host: "other.test", headers: { Accept: "application/json" } });
  assert.equal(json.status, 404);
  assert.match(JSON.parse(json.text).message, /other\.test/);

  const withDefault = await startProxy(t, `${text}\nhost default { ${pass("deep")} }`);
  assert.equal((await echoed(withDefault.port, "/", { host: "other.test" })).name, "deep");
  assert.equal((await echoed(withDefault.port, "/", { host: "site.test" })).name, "name");
});

// --- TLS ---

/** A certificate for one name, made by openssl. */
function certificate(folder, name) {
  const [cert, key] = [join(folder, `${name}.pem`), join(folder, `${name}.key`)];
  const words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  execFileSync("openssl", [...words, "-subj", `/CN=${name}`, "-addext", `subjectAltName=DNS:${name}`, "-keyout", key, "-out", cert], { stdio: "ignore" });
  return { cert, key, ca: readFileSync(cert) };
}

/** The subject of the certificate that a name gets, and the answer to a request for it. */
async function overTls(port, name, ca) {
  const socket = tlsConnect({ host: "127.0.0.1", port, servername: name, ca, ALPNProtocols: ["http/1.1"] });
  await within(once(socket, "secureConnect"), `TLS to ${name}`);
  const subject = socket.getPeerCertificate().subject.CN;
  socket.write(`GET /a?b HTTP/1.1\r\nHost: ${name}:${port}\r\nConnection: close\r\n\r\n`);
  let text = "";
  for await (const part of socket.setEncoding("utf8")) text += part;
  return { subject, status: Number(text.slice(9, 12)), json: JSON.parse(text.slice(text.indexOf("\r\n\r\n"))) };
}

test("a TLS listener serves the certificate of the name; plain HTTP is sent to https", async (t) => {
  const folder = folderOf(t);
  const [one, two] = ["one.test", "two.test"].map((name) => certificate(folder, name));
  const echo = await startEcho(t);
  const [plain, secure] = [await freePort(), await freePort()];
  const text = `
    listen 127.0.0.1:${plain} redirect=https:${secure};
    listen 127.0.0.1:${secure} cert=${one.cert} key=${one.key} cert=${two.cert} key=${two.key};
    host "one.test" "two.test" { proxy_pass http://127.0.0.1:${echo.port}; }`;
  const server = await startProxy(t, text);
  assert.match(server.out, new RegExp(`https://127\\.0\\.0\\.1:${secure}/`));
  for (const [name, { ca }] of [["one.test", one], ["two.test", two]]) {
    const { subject, status, json } = await overTls(secure, name, ca);
    assert.deepEqual([subject, status], [name, 200]);
    assert.equal(json.headers["x-forwarded-proto"], "https");
    assert.equal(json.headers.host, `${name}:${secure}`);
    assert.equal(json.url, "/a?b");
  }
  const sent = await ask(plain, "/a?b", { host: `one.test:${plain}` });
  assert.deepEqual([sent.status, sent.headers.location], [308, `https://one.test:${secure}/a?b`]);
  assert.equal((await ask(secure, "/", { host: "one.test" })).status, 400); // plain HTTP to the TLS port

  // A renewed certificate is taken by SIGHUP; a broken one changes nothing.
  const renewed = certificate(folder, "two.test");
  server.child.kill("SIGHUP");
  await eventually(() => assert.match(server.err, /configuration 2 at work/));
  assert.equal((await overTls(secure, "two.test", renewed.ca)).subject, "two.test");
  writeFileSync(one.cert, "not a certificate");
  server.child.kill("SIGHUP");
  await eventually(() => assert.match(server.err, /stays as it was: .*one\.test\.pem/));
  assert.equal((await overTls(secure, "one.test", one.ca)).subject, "one.test");
});

// --- the log ---

/** The lines of a log, once there are so many. */
function linesOf(path, count) {
  return eventually(() => {
    const lines = readFileSync(path, "utf8").split("\n").slice(0, -1);
    assert.ok(lines.length >= count, `${lines.length} lines`);
    return lines;
  });
}

test("the access log has a line for each answer, with the server, its times, and the id of the request", async (t) => {
  const folder = folderOf(t);
  const echo = await startEcho(t);
  const dead = await freePort();
  const hosts = `host "site.test" { proxy_pass http://127.0.0.1:${echo.port}; }\nhost "dead.test" { proxy_pass http://127.0.0.1:${dead}; }\n`;
  const combined = await startProxy(t, `access_log ${folder}/access.log;\n${hosts}`);
  const { "x-request-id": id } = (await ask(combined.port, "/a?b=1", { headers: { "User-Agent": 'x"y' } })).headers;
  assert.match(id, /^[0-9a-f]{32}$/);
  assert.equal((await ask(combined.port, "/", { host: "dead.test" })).status, 502);
  const page = await ask(combined.port, "/", { host: "none.test" });
  assert.equal(page.status, 404);
  const [good, bad, none] = await linesOf(join(folder, "access.log"), 3);
  assert.match(good, new RegExp(`^127\\.0\\.0\\.1 - - \\[.+\\] "GET /a\\?b=1 HTTP/1\\.1" 200 \\d+ "-" "x.{1,4}y" "127\\.0\\.0\\.1:${echo.port}" "[\\d.]+/[\\d.]+/[\\d.]+" "1" "${id}"$`));
  assert.match(bad, new RegExp(`"GET / HTTP/1\\.1" 502 \\d+ .* "127\\.0\\.0\\.1:${dead}" "-/-/[-\\d.]+" "1" "[0-9a-f]{32}"$`));
  // Who reports the page says its id.
  assert.match(none, new RegExp(`"GET / HTTP/1\\.1" 404 \\d+ .* "-" "-/-/-" "0" "${page.headers["x-request-id"]}"$`));

  const json = await startProxy(t, `access_log ${folder}/access.json format=json;\n${hosts}`);
  await ask(json.port, "/json", { method: "POST", body: "hello" });
  const line = JSON.parse((await linesOf(join(folder, "access.json"), 1))[0]);
  assert.deepEqual([line.method, line.status, line.upstream, line.tries], ["POST", 200, `127.0.0.1:${echo.port}`, 1]);
  assert.ok(line.upstream_first_ms >= line.upstream_connect_ms && line.upstream_ms >= line.upstream_first_ms, JSON.stringify(line));
  assert.match(line.request_id, /^[0-9a-f]{32}$/);
});

test("the access log has the requests whose clients did not wait for the end", async (t) => {
  const folder = folderOf(t);
  const slow = createServer((request, response) => {
    if (request.url === "/half") response.write("half");
    request.on("error", () => {}).resume();
    slow.emit("asked");
  });
  slow.listen(0, "127.0.0.1");
  await once(slow, "listening");
  t.after(() => {
    slow.close();
    slow.closeAllConnections();
  });
  const server = await startProxy(t, `access_log ${folder}/log;\nhost "site.test" { proxy_pass http://127.0.0.1:${slow.address().port}; }`);
  const leave = async (path, began) => {
    const socket = connect(server.port, "127.0.0.1");
    socket.write(`POST ${path} HTTP/1.1\r\nHost: site.test\r\nContent-Length: 9\r\n\r\nbody`);
    await within(Promise.all([once(slow, "asked"), began && once(socket, "data")]), path);
    socket.resetAndDestroy();
  };
  await leave("/none", false);
  await linesOf(join(folder, "log"), 1);
  await leave("/half", true);
  const [none, half] = await linesOf(join(folder, "log"), 2);
  const parts = `"127\\.0\\.0\\.1:${slow.address().port}" "[\\d.]+/[-\\d.]+/[-\\d.]+" "1" "[0-9a-f]{32}"$`;
  assert.match(none, new RegExp(`"POST /none HTTP/1\\.1" 499 0 .*${parts}`));
  assert.match(half, new RegExp(`"POST /half HTTP/1\\.1" 200 4 .*${parts}`));
});

// --- who the client is ---

test("what a client says of itself is believed only from trusted proxies; Via names us", async (t) => {
  const folder = folderOf(t);
  const echo = await startEcho(t);
  const host = `host "site.test" { proxy_pass http://127.0.0.1:${echo.port}; }\n`;
  const claims = { "X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.test", "X-Request-Id": "from-outside", Forwarded: "for=198.51.100.1" };
  const server = await startProxy(t, `trusted_proxies 127.0.0.9;\naccess_log ${folder}/log;\n${host}`);

  const stranger = (await echoed(server.port, "/", { headers: claims })).headers;
  assert.equal(stranger["x-forwarded-for"], "127.0.0.1");
  assert.equal(stranger["x-forwarded-proto"], "http");
  assert.equal(stranger["x-forwarded-host"], "site.test");
  assert.notEqual(stranger["x-request-id"], "from-outside");
  assert.ok(!stranger.forwarded.includes("198.51.100.1"), stranger.forwarded);
  assert.match(stranger.via, /^1\.1 weaprous-[0-9a-f]{8}$/);

  // A trusted one speaks for the client: that is who is logged. The host block is that of Host all the same.
  const trusted = await ask(server.port, "/", { from: "127.0.0.9", headers: { ...claims, "X-Forwarded-Host": "site.test" } });
  const { headers } = JSON.parse(trusted.text);
  assert.equal(headers["x-forwarded-for"], "203.0.113.7, 127.0.0.9");
  assert.equal(headers["x-forwarded-proto"], "https");
  assert.equal(headers["x-request-id"], "from-outside");
  const [first, second] = await linesOf(join(folder, "log"), 2);
  assert.match(first, /^127\.0\.0\.1 /);
  assert.match(second, /^203\.0\.113\.7 /);
  const elsewhere = await ask(server.port, "/", { from: "127.0.0.9", host: "none.test", headers: { "X-Forwarded-Host": "site.test" } });
  assert.equal(elsewhere.status, 404);
  assert.match(elsewhere.text, /No host .{1,6}none\.test/);
});

test("the log says why no server answered: a name that is not there, a queue that is full", async (t) => {
  const held = [];
  const slow = createServer((request, response) => held.push(response) && slow.emit("asked"));
  slow.listen(0, "127.0.0.1");
  await once(slow, "listening");
  t.after(() => {
    slow.close();
    slow.closeAllConnections();
  });
  const server = await startProxy(t, `host "name.test" { proxy_pass http://no-such-name.invalid; }
    host "busy.test" { proxy_pass http://127.0.0.1:${slow.address().port} max_conns=1; queue off; }`);
  assert.equal((await ask(server.port, "/lost", { host: "name.test" })).status, 502);
  // What it is depends on whether there is a name server.
  await eventually(() => assert.match(server.err, /GET "name\.test" \/lost: 502, no-such-name\.invalid:80: (there is no such name|the name cannot be looked up at the moment)/));
  const first = ask(server.port, "/first", { host: "busy.test" });
  await within(once(slow, "asked"), "the first request");
  assert.equal((await ask(server.port, "/second", { host: "busy.test" })).status, 503);
  await eventually(() => assert.match(server.err, /GET "busy\.test" \/second: 503, all servers are busy, and so is the queue/));
  held[0].end("whole");
  assert.equal((await first).text, "whole");
});

// --- the end ---

test("SIGTERM lets a request under way be answered, and takes no more", async (t) => {
  const slow = createServer((request, response) => {
    if (!slow.emit("asked", response)) response.end("one more"); // it came before the signal was seen
  });
  slow.listen(0, "127.0.0.1");
  await once(slow, "listening");
  t.after(() => {
    slow.close();
    slow.closeAllConnections();
  });
  const server = await startProxy(t, `host "site.test" { proxy_pass http://127.0.0.1:${slow.address().port}; }`);
  const asked = once(slow, "asked");
  const answer = ask(server.port, "/");
  const [response] = await within(asked, "the request to reach the server");
  const end = server.end("SIGTERM");
  await eventually(() => assert.rejects(ask(server.port, "/"), /ECONNREFUSED|ECONNRESET|socket hang up/));
  response.end("whole");
  assert.equal((await answer).text, "whole");
  assert.deepEqual(await end, { code: 0, signal: null });
});
