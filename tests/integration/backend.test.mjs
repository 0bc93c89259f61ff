// `weaprous backend`: folders of files, a login before the first page.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { request as httpsRequest } from "node:https";
import { createConnection, createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import WebSocket from "ws";
import { ask, cookieOf, newFolder, post, program, run, startTracker, within } from "./tracker-kit.mjs";

const PASSWORD = "correct horse battery";

function folderFor(t) {
  const folder = newFolder();
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A folder with pages, files and the account "an". */
async function site(t) {
  const folder = folderFor(t);
  for (const name of ["www", "www/docs", "static"]) mkdirSync(join(folder, name));
  writeFileSync(join(folder, "www/index.html"), "<h1>the first page</h1>");
  writeFileSync(join(folder, "www/about.html"), "<h1>about</h1>");
  writeFileSync(join(folder, "www/docs/index.html"), "<h1>docs</h1>");
  writeFileSync(join(folder, "static/style.css"), "body { color: red }");
  writeFileSync(join(folder, "secret.txt"), "top secret");
  await addAccount(folder, "an", PASSWORD);
  return folder;
}

async function addAccount(folder, name, password) {
  const child = spawn(program, ["user", "add", name, "--data", join(folder, "data")], { stdio: ["pipe", "ignore", "inherit"] });
  child.stdin.end(password);
  assert.equal(await within(new Promise((resolve) => child.on("close", resolve)), "weaprous user add"), 0);
}

/** `weaprous backend` on a free port of the loopback, in the folder. */
async function startBackend(t, folder, args = []) {
  const words = ["backend", "--server-ip", "127.0.0.1", "--server-port", "0", "--workers", "2", ...args];
  const child = spawn(program, words, { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
  const server = { child, folder, out: "", err: "" };
  const ended = new Promise((resolve) => child.on("close", (code, signal) => resolve({ code, signal })));
  child.stderr.on("data", (bytes) => (server.err += bytes));
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    await ended;
  });
  await within(
    new Promise((resolve, reject) => {
      child.stdout.on("data", (bytes) => {
        server.out += bytes;
        if (server.out.includes("Ctrl-C stops")) resolve();
      });
      child.on("error", reject);
      ended.then(() => reject(new Error(`weaprous backend ended: ${server.err}`)));
    }),
    "the start",
  );
  server.url = /https?:\/\/[^\s]+(?=\/)/.exec(server.out)[0];
  server.port = Number(new URL(server.url).port);
  server.end = (signal) => {
    child.kill(signal);
    return within(ended, `the end after ${signal}`);
  };
  return server;
}

const html = { Accept: "text/html,application/xhtml+xml,*/*;q=0.8" };
const get = (server, path, headers = {}) => ask(server, "GET", path, { headers });
const login = (server, username = "an", password = PASSWORD, options) => post(server, "/login", { username, password }, options);
const form = (server, path, body, headers = {}) =>
  ask(server, "POST", path, { headers: { ...html, "Content-Type": "application/x-www-form-urlencoded", ...headers }, body });

async function sessionOf(server, ...who) {
  const response = await login(server, ...who);
  assert.equal(response.status, 200, response.text);
  return { Cookie: cookieOf(response) };
}

/** The channels in a tracker's welcome. */
async function channelsOf(t, tracker, headers) {
  const socket = new WebSocket(`ws://127.0.0.1:${tracker.port}/ws`, { headers });
  t.after(() => socket.terminate());
  const bytes = await within(new Promise((resolve, reject) => socket.once("message", resolve).once("error", reject)), "the welcome");
  return JSON.parse(bytes).channels;
}

/** A request target exactly as it is written. */
function rawGet(server, target, headers = "") {
  return within(
    new Promise((resolve, reject) => {
      const socket = createConnection(server.port, "127.0.0.1");
      let text = "";
      socket.on("data", (bytes) => (text += bytes.toString("latin1")));
      socket.on("end", () => resolve(text));
      socket.on("error", reject);
      socket.write(`GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${headers}\r\n`);
    }),
    target,
  );
}

test("the first page is for who has logged in; others get 401 with a login form", async (t) => {
  const server = await startBackend(t, await site(t));
  for (const path of ["/", "/index.html"]) {
    const response = await get(server, path, html);
    assert.equal(response.status, 401);
    assert.match(response.headers["content-type"], /^text\/html/);
    assert.match(response.text, /<form method="post" action="\/login">/);
    assert.ok(!response.text.includes("the first page"));
    assert.equal(response.headers["cache-control"], "no-store");
    const asked = await get(server, path, { Accept: "application/json" });
    assert.equal(asked.status, 401);
    assert.equal(asked.json.status, "error");
    assert.equal((await ask(server, "HEAD", path)).status, 401);
  }
  const session = await sessionOf(server);
  for (const path of ["/", "/index.html"]) {
    const response = await get(server, path, session);
    assert.equal(response.status, 200);
    assert.equal(response.text, "<h1>the first page</h1>");
    const again = await get(server, path, { ...session, "If-None-Match": response.headers.etag });
    assert.equal(again.status, 304);
    assert.equal((await get(server, path, { "If-None-Match": response.headers.etag })).status, 401);
  }
  for (const Cookie of ["auth=true", "session=; auth=true", `session=${"0".repeat(64)}; auth=true`, "session=x"])
    assert.equal((await get(server, "/", { Cookie })).status, 401, Cookie);
});

test("login page, other pages and static files are open", async (t) => {
  const server = await startBackend(t, await site(t));
  for (const path of ["/login.html", "/login"]) {
    const response = await get(server, path);
    assert.equal(response.status, 200);
    assert.match(response.text, /name="password" type="password"/);
  }
  assert.equal((await get(server, "/about.html")).text, "<h1>about</h1>");
  assert.equal((await get(server, "/docs/")).text, "<h1>docs</h1>");
  const css = await get(server, "/static/style.css");
  assert.equal(css.status, 200);
  assert.match(css.headers["content-type"], /^text\/css/);
  assert.equal(css.headers["x-content-type-options"], "nosniff");
  const part = await ask(server, "GET", "/static/style.css", { headers: { Range: "bytes=0-3" } });
  assert.deepEqual([part.status, part.text], [206, "body"]);
  assert.equal((await get(server, "/healthz")).status, 200);
  assert.equal((await get(server, "/readyz")).status, 200);
  for (const path of ["/nothing", "/static/", "/static/nothing.js", "/register", "/data/weaprous.db"]) assert.equal((await get(server, path)).status, 404, path);
  const page = await get(server, "/nothing", html);
  assert.equal(page.status, 404);
  assert.match(page.headers["content-type"], /^text\/html/);
  assert.match(page.text, /There is nothing at this address/);
  const wrong = await ask(server, "DELETE", "/login");
  assert.equal(wrong.status, 405);
  assert.match(wrong.headers.allow, /POST/);
});

test("no address leads past the login or out of the folders", async (t) => {
  const folder = await site(t);
  writeFileSync(join(folder, "www/index.html.gz"), "the first page, compressed");
  writeFileSync(join(folder, "www/.hidden"), "top secret");
  symlinkSync(join(folder, "secret.txt"), join(folder, "www/link.txt"));
  symlinkSync("../../secret.txt", join(folder, "www/docs/link.txt"));
  const server = await startBackend(t, folder);
  const past = ["//", "//index.html", "/./index.html", "/%69ndex.html", "/index%2ehtml", "/.//index.html", "/index.html/", "/index.html/.", "/docs/../index.html", "/docs/..",
    "/index.html.gz", "//index.html.gz", "/index.html?x", "/?x", "/%2e/index.html", "/docs/%2e%2e/index.html", "/static/../index.html", "http://localhost/index.html", "http://localhost//index.html"];
  for (const target of past) {
    for (const encoding of ["", "Accept-Encoding: gzip\r\n"]) {
      const response = await rawGet(server, target, encoding);
      assert.match(response, /^HTTP\/1\.1 (401|308|400|404) /, target);
      assert.ok(!response.includes("the first page"), target);
    }
  }
  const out = ["/../secret.txt", "/..%2fsecret.txt", "/%2e%2e/secret.txt", "/static/../secret.txt", "/static/%2e%2e/secret.txt", "/static/..%5csecret.txt", "/static//../../secret.txt",
    "/static/....//secret.txt", "/static/%252e%252e/secret.txt", "/link.txt", "/docs/link.txt", "/.hidden", "/%2ehidden", "/static/..%00/secret.txt", "/../data/weaprous.db", "/static/%c0%ae%c0%ae/secret.txt"];
  for (const target of out) {
    const response = await rawGet(server, target);
    assert.match(response, /^HTTP\/1\.1 (400|404) /, target);
    assert.ok(!response.includes("top secret") && !response.includes("SQLite"), target);
  }
});

test("a login sets two cookies: one that scripts cannot read, and a hint that opens nothing", async (t) => {
  const server = await startBackend(t, await site(t));
  const response = await login(server);
  assert.equal(response.status, 200);
  assert.deepEqual(response.json, { status: "success", message: "Logged in.", username: "an", role: "person", redirect: "/" });
  const [session, auth] = response.headers["set-cookie"];
  assert.match(session, /^session=[0-9a-f]{64}; Path=\/; Max-Age=2592000; HttpOnly; SameSite=Lax$/);
  assert.match(auth, /^auth=true; Path=\/; Max-Age=2592000; SameSite=Lax$/);
  assert.equal(response.headers["set-cookie"].length, 2);
  assert.notEqual(cookieOf(response), cookieOf(await login(server)), "each login has its own");
  const planted = await login(server, "an", PASSWORD, { headers: { Cookie: `session=${"ab".repeat(32)}` } });
  assert.ok(!planted.headers["set-cookie"][0].includes("abab"), "nobody chooses it");
  const who = await get(server, "/session", { Cookie: cookieOf(response) });
  assert.equal(who.json.username, "an");
});

test("a browser's form is answered with redirects and pages", async (t) => {
  const server = await startBackend(t, await site(t));
  const good = await form(server, "/login", `username=an&password=${encodeURIComponent(PASSWORD).replaceAll("%20", "+")}`);
  assert.deepEqual([good.status, good.headers.location], [302, "/"]);
  const wrong = await form(server, "/login", "username=an&password=<script>");
  assert.equal(wrong.status, 401);
  assert.match(wrong.text, /role="alert">The name or the password is wrong\./);
  assert.ok(!wrong.text.includes("<script"));
  assert.match(wrong.headers["content-security-policy"], /default-src 'none'/);
  assert.equal(wrong.headers["set-cookie"], undefined);
  const empty = await form(server, "/login", "");
  assert.equal(empty.status, 400);
  assert.match(empty.text, /Send a username and a password/);
  const foreign = await form(server, "/login", `username=an&password=${PASSWORD}`, { Origin: "http://elsewhere.example" });
  assert.equal(foreign.status, 403);
  const out = await form(server, "/logout", "", { Cookie: cookieOf(good) });
  assert.deepEqual([out.status, out.headers.location], [302, "/login.html"]);
});

test("a wrong password, an unknown name, a bad body", async (t) => {
  const server = await startBackend(t, await site(t));
  for (const [name, password] of [["an", "wrong"], ["an", ""], ["nobody", PASSWORD]]) {
    const response = await login(server, name, password);
    assert.equal(response.status, 401, `${name} ${password}`);
    assert.equal(response.json.message, "The name or the password is wrong.");
    assert.equal(response.headers["set-cookie"], undefined);
  }
  for (const body of ["", "{}", '{"username":"an"}', "[1]", "username=an", '{"username":"an","password":["x"]}'])
    assert.equal((await ask(server, "POST", "/login", { body })).status, 400, body);
  assert.equal((await ask(server, "POST", "/login", { body: "x".repeat(70_000) })).status, 413);
});

test("who guesses is slowed down, on all workers together", async (t) => {
  const server = await startBackend(t, await site(t));
  const answers = await Promise.all(Array.from({ length: 40 }, () => login(server, "an", "wrong", { from: "127.0.0.9" })));
  const slowed = answers.filter(({ status }) => status === 429);
  assert.ok(slowed.length >= 10 && slowed.length <= 20, `${slowed.length} of 40`);
  assert.ok(slowed.every(({ headers }) => Number(headers["retry-after"]) >= 1));
  assert.equal((await login(server, "an", PASSWORD, { from: "127.0.0.10" })).status, 200, "others are not");
});

test("a session goes for all workers, and ends for all", async (t) => {
  const server = await startBackend(t, await site(t));
  const session = await sessionOf(server);
  const everywhere = () => Promise.all(Array.from({ length: 40 }, () => get(server, "/", { ...session, Connection: "close" })));
  for (const { status } of await everywhere()) assert.equal(status, 200);
  const out = await post(server, "/logout", {}, { headers: session });
  assert.equal(out.status, 200);
  assert.deepEqual(out.headers["set-cookie"], ["session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax", "auth=; Path=/; Max-Age=0; SameSite=Lax"]);
  for (const { status } of await everywhere()) assert.equal(status, 401);
  assert.equal((await post(server, "/logout", {}, { headers: session })).status, 200, "twice is fine");
});

test("a session survives a restart, also by kill -9", async (t) => {
  const folder = await site(t);
  let server = await startBackend(t, folder);
  const session = await sessionOf(server);
  await server.end("SIGKILL");
  server = await startBackend(t, folder);
  assert.equal((await get(server, "/", session)).status, 200);
  assert.deepEqual(await server.end("SIGTERM"), { code: 0, signal: null });
  server = await startBackend(t, folder);
  assert.equal((await get(server, "/", session)).status, 200);
});

test("beside a tracker on the same data folder: one account, one login; and an account that is removed is out", async (t) => {
  const folder = await site(t);
  const tracker = await startTracker(t, { folder });
  const server = await startBackend(t, folder);
  const here = await sessionOf(server);
  assert.equal((await get(tracker, "/session", here)).json.username, "an");
  const there = { Cookie: cookieOf(await post(tracker, "/register", { username: "binh", password: PASSWORD })) };
  assert.equal((await get(server, "/", there)).status, 200);
  assert.equal((await post(server, "/logout", {}, { headers: there })).status, 200);
  assert.equal((await get(tracker, "/session", there)).status, 401);
  const removed = await run(["user", "remove", "an", "--data", join(folder, "data")]);
  assert.equal(removed.code, 0, removed.err);
  assert.equal((await get(server, "/", here)).status, 401);
  assert.equal((await login(server)).status, 401);
  assert.equal(tracker.err + server.err, "");
});

test("a login page of the folder is used in place of the built-in one; without index there is a page too", async (t) => {
  const folder = await site(t);
  const server = await startBackend(t, folder);
  const session = await sessionOf(server);
  writeFileSync(join(folder, "www/login.html"), "<p>own login</p>");
  assert.deepEqual(await get(server, "/login.html").then(({ status, text }) => [status, text]), [200, "<p>own login</p>"]);
  assert.deepEqual(await get(server, "/", html).then(({ status, text }) => [status, text]), [401, "<p>own login</p>"]);
  const wrong = await form(server, "/login", "username=an&password=wrong");
  assert.deepEqual([wrong.status, wrong.text], [401, "<p>own login</p>"]);
  rmSync(join(folder, "www/index.html"));
  const home = await get(server, "/", session);
  assert.equal(home.status, 200);
  assert.match(home.text, /Logged in[\s\S]*<strong>an<\/strong>[\s\S]*no <code>index\.html<\/code>/);
  assert.match(home.text, /action="\/logout"/);
});

test("without any folder it still logs people in", async (t) => {
  const folder = folderFor(t);
  await addAccount(folder, "an", PASSWORD);
  const server = await startBackend(t, folder);
  assert.equal((await get(server, "/")).status, 401);
  assert.match((await get(server, "/", await sessionOf(server))).text, /without a folder of pages/);
  assert.equal((await get(server, "/about.html")).status, 404);
});

test("Ctrl-C lets logins under way be answered, on all workers, and ends with 0", async (t) => {
  for (const signal of ["SIGINT", "SIGTERM"]) {
    const server = await startBackend(t, await site(t));
    const underWay = Array.from({ length: 4 }, () => login(server));
    await Promise.race(underWay); // by now all have been received: each costs a hundred milliseconds
    const ending = server.end(signal);
    for (const response of await Promise.all(underWay)) assert.equal(response.status, 200, response.text);
    assert.deepEqual(await ending, { code: 0, signal: null });
    assert.equal(server.err, "");
  }
});

test("what stops it at the start is one sentence; wrong calls leave with 2", async (t) => {
  const folder = await site(t);
  const stops = async (args, words, code = 1) => {
    const result = await run(["backend", "--server-ip", "127.0.0.1", "--server-port", "0", ...args], { cwd: folder });
    assert.equal(result.code, code, JSON.stringify(result));
    assert.match(result.err, words);
    assert.match(result.err, /^[A-Z a-z][^\n]*\.\n$/);
    assert.equal(result.out, "");
  };
  await stops(["--www", "missing"], /There is no folder missing: .*--www/);
  await stops(["--static", "secret.txt"], /There is no folder secret\.txt: .*--static/);
  await stops(["--data", "secret.txt"], /secret\.txt is not a folder/);
  await stops(["--access-log", "missing/access.log"], /missing\/access\.log/);
  await stops(["--tls-cert", "missing.pem", "--tls-key", "missing.pem"], /HTTPS is not possible: .*missing\.pem/);
  await stops(["--trusted-proxies", "nonsense"], /nonsense/);
  await stops(["--tls-cert", "x.pem"], /only of use together/, 2);
  await stops(["--access-log", "-", "--log-format", "xml"], /combined or json/, 2);
  await stops(["--log-format", "json"], /--log-format is only of use with --access-log\.$/m, 2);
  await stops(["--workers", "0"], /number from 1/, 2);
  const taken = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => taken.on("listening", resolve));
  t.after(() => taken.close());
  await stops(["--server-port", String(taken.address().port)], new RegExp(`port ${taken.address().port}: another program .*--server-port`));
  assert.match((await run(["help", "backend"])).out, /--www DIR[\s\S]*--classroom/);
});

test("--classroom adds admin/password and the channels, says so, and every later start says so too", async (t) => {
  const folder = folderFor(t);
  const data = join(folder, "data");
  let server = await startBackend(t, folder);
  assert.equal((await login(server, "admin", "password")).status, 401, "never by itself");
  await server.end("SIGTERM");
  assert.equal(server.err, "");

  server = await startBackend(t, folder, ["--classroom"]);
  await sessionOf(server, "admin", "password");
  await server.end("SIGTERM");
  assert.match(server.out, /CLASSROOM[\s\S]*"admin" with the password "password"/);
  assert.match(server.out, /Channels: general, random, project, help, announcements\./);

  server = await startBackend(t, folder);
  await server.end("SIGTERM");
  assert.match(server.err, /"admin" with the password "password"[\s\S]*weaprous user passwd admin/);
  const tracker = await startTracker(t, { folder });
  const channels = await channelsOf(t, tracker, await sessionOf(tracker, "admin", "password"));
  assert.deepEqual(channels.map(({ name }) => name), ["general", "random", "project", "help", "announcements"]);
  assert.equal(new Set(channels.map(({ id }) => id)).size, 5);
  await tracker.end("SIGTERM");
  assert.match(tracker.err, /"admin" with the password "password"/);

  const child = spawn(program, ["user", "passwd", "admin", "--data", data], { stdio: ["pipe", "ignore", "inherit"] });
  child.stdin.end(PASSWORD);
  await new Promise((resolve) => child.on("close", resolve));
  server = await startBackend(t, folder);
  await server.end("SIGTERM");
  assert.equal(server.err, "", "quiet once it has another password");
  server = await startBackend(t, folder, ["--classroom"]);
  assert.equal((await login(server, "admin", "password")).status, 401);
  await sessionOf(server, "admin", PASSWORD);
  await server.end("SIGTERM");
  assert.match(server.out, /"admin" has a password of its own, which stays/);
});

test("`weaprous up --classroom` does the same", async (t) => {
  const tracker = await startTracker(t, { args: ["--classroom"] });
  const channels = await channelsOf(t, tracker, await sessionOf(tracker, "admin", "password"));
  assert.equal(channels.length, 5);
  await tracker.end("SIGTERM");
  assert.match(tracker.out, /CLASSROOM[\s\S]*"admin" with the password "password"/);
  assert.equal(tracker.err, "");
});

test("the access log has a line for each answer, in both forms, and is opened again by SIGHUP", async (t) => {
  const folder = await site(t);
  const path = join(folder, "access.log");
  const server = await startBackend(t, folder, ["--access-log", path, "--log-format", "json", "--trusted-proxies", "127.0.0.1"]);
  const lines = (file) => within(
    (async () => {
      for (;;) {
        try {
          const text = readFileSync(file, "utf8");
          if (text.endsWith("\n")) return text.trim().split("\n").map((line) => JSON.parse(line));
        } catch (error) {
          if (error.code !== "ENOENT") throw error;
        }
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    })(),
    `a line in ${file}`,
  );
  await get(server, "/about.html", { "X-Forwarded-For": "192.0.2.7" });
  const [line] = await lines(path);
  assert.ok(JSON.stringify(line).includes("/about.html") && JSON.stringify(line).includes("192.0.2.7"), JSON.stringify(line));
  renameSync(path, `${path}.1`);
  server.child.kill("SIGHUP");
  await within(
    (async () => {
      for (;;) {
        await get(server, "/static/style.css");
        try {
          if (readFileSync(path, "utf8").includes("style.css")) return;
        } catch (error) {
          if (error.code !== "ENOENT") throw error;
        }
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    })(),
    "a line in the new file",
  );
  assert.deepEqual(await server.end("SIGTERM"), { code: 0, signal: null });
});

test("behind a trusted proxy each client is slowed by itself, and https makes the cookie Secure", async (t) => {
  const server = await startBackend(t, await site(t), ["--trusted-proxies", "127.0.0.1"]);
  const from = (address) => ({ headers: { "X-Forwarded-For": address, "X-Forwarded-Proto": "https", "X-Forwarded-Host": "example.org" } });
  const guesses = await Promise.all(Array.from({ length: 30 }, () => login(server, "an", "wrong", from("192.0.2.1"))));
  assert.ok(guesses.some(({ status }) => status === 429));
  const response = await login(server, "an", PASSWORD, from("192.0.2.2"));
  assert.equal(response.status, 200);
  for (const cookie of response.headers["set-cookie"]) assert.match(cookie, /; Secure/);
});

test("with a certificate it speaks https, and the cookies are Secure", async (t) => {
  const folder = await site(t);
  const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost"],
    { stdio: "ignore" });
  const server = await startBackend(t, folder, ["--tls-cert", cert, "--tls-key", key]);
  assert.match(server.url, /^https:/);
  const secure = (method, path, body = "", headers = {}) =>
    within(
      new Promise((resolve, reject) => {
        const request = httpsRequest({ host: "127.0.0.1", port: server.port, method, path, headers, rejectUnauthorized: false }, (response) => {
          response.resume();
          response.on("end", () => resolve(response));
        });
        request.on("error", reject);
        request.end(body);
      }),
      path,
    );
  assert.equal((await secure("GET", "/")).statusCode, 401);
  const response = await secure("POST", "/login", `username=an&password=${PASSWORD}`);
  assert.equal(response.statusCode, 302);
  for (const cookie of response.headers["set-cookie"]) assert.match(cookie, /; Secure/);
  assert.equal((await secure("GET", "/", "", { Cookie: cookieOf(response) })).statusCode, 200);
});
