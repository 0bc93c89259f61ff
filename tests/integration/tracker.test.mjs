// Accounts, sessions, and logging in under attack, against the real program.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { Agent } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import { PASSWORD, Socket, ask, cookieOf, newFolder, post, register, startTracker } from "./tracker-kit.mjs";

const me = (tracker, cookie) => ask(tracker, "GET", "/session", { headers: cookie ? { Cookie: cookie } : {} });

test("a person registers, is logged in, logs out and logs in again", async (t) => {
  const tracker = await startTracker(t);
  const registered = await post(tracker, "/register", { username: "Alice", password: PASSWORD });
  assert.equal(registered.status, 200);
  assert.equal(registered.json.status, "success");
  assert.equal(registered.json.username, "Alice");
  const first = cookieOf(registered);
  const seen = await me(tracker, first);
  assert.equal(seen.status, 200);
  assert.equal(seen.json.username, "Alice");
  assert.ok(seen.json.expires_s > 86_400);

  const out = await post(tracker, "/logout", {}, { headers: { Cookie: first } });
  assert.equal(out.status, 200);
  assert.match(out.headers["set-cookie"].join("\n"), /session=; .*Max-Age=0/);
  assert.equal((await me(tracker, first)).status, 401);
  assert.equal((await me(tracker)).status, 401);

  const back = await post(tracker, "/login", { username: "aLICE", password: PASSWORD });
  assert.equal(back.status, 200);
  assert.equal(back.json.username, "Alice", "the name as it was registered");
  assert.notEqual(cookieOf(back), first);
  assert.equal((await me(tracker, cookieOf(back))).status, 200);
});

test("the session cookie is out of reach of scripts and other sites, the hint is not", async (t) => {
  const tracker = await startTracker(t);
  const response = await post(tracker, "/register", { username: "alice", password: PASSWORD });
  const [session, hint] = response.headers["set-cookie"];
  assert.match(session, /^session=[0-9a-f]{64}; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Lax$/);
  assert.match(hint, /^auth=true; Path=\/; Max-Age=\d+; SameSite=Lax$/);
  assert.equal((await me(tracker, "auth=true")).status, 401, "the hint opens nothing");
  assert.equal((await me(tracker, `session=${"0".repeat(64)}`)).status, 401);
  assert.equal((await me(tracker, "session=zz")).status, 401);
});

test("an HTML form is answered with redirects and pages", async (t) => {
  const tracker = await startTracker(t);
  const headers = { "Content-Type": "application/x-www-form-urlencoded", Accept: "text/html,*/*" };
  const body = new URLSearchParams({ username: "Zoë", password: PASSWORD }).toString();
  const registered = await ask(tracker, "POST", "/register", { headers, body });
  assert.equal(registered.status, 302);
  assert.equal(registered.headers.location, "/");
  const page = await ask(tracker, "GET", "/", { headers: { Cookie: cookieOf(registered) } });
  assert.equal(page.status, 200);
  const wrong = await ask(tracker, "POST", "/login", { headers, body: "username=Zo%C3%AB&password=not+the+right+one" });
  assert.equal(wrong.status, 401);
  assert.match(wrong.headers["content-type"], /^text\//);
  const out = await ask(tracker, "POST", "/logout", { headers: { ...headers, Cookie: cookieOf(registered) } });
  assert.equal(out.status, 302);
  assert.equal(out.headers.location, "/login");
});

test("pages: the chat only with a session, the forms always; programs can ask how the server is", async (t) => {
  const tracker = await startTracker(t);
  for (const path of ["/", "/index.html"]) assert.equal((await ask(tracker, "GET", path)).status, 401, path);
  for (const path of ["/login", "/login.html", "/register", "/login/", "/healthz", "/readyz"])
    assert.equal((await ask(tracker, "GET", path)).status, 200, path);
  assert.equal((await ask(tracker, "GET", "/nothing-here")).status, 404);
  const wrong = await ask(tracker, "DELETE", "/login");
  assert.equal(wrong.status, 405);
  assert.match(wrong.headers.allow, /POST/);
});

test("names with markup, spaces, control or invisible characters are refused, names of any script are not", async (t) => {
  const tracker = await startTracker(t);
  const bad = [
    "", "<b>", "a b", "a\tb", "a\nb", "a\u00a0b", "a\u2003b", "a\u200bb", "a\u202eb", "a\ufeffb", "a\u3000b", "a&b", "a\"b", "a/b",
    "...", "\u0007", "x".repeat(33), "a\u{1f600}", "a\u2028b", "a\u115fb",
  ];
  for (const username of bad) {
    const response = await post(tracker, "/register", { username, password: PASSWORD });
    assert.equal(response.status, 400, JSON.stringify(username));
    assert.equal(response.json.status, "error");
    assert.doesNotMatch(response.json.message, /password/i, JSON.stringify(username));
  }
  assert.equal((await post(tracker, "/register", { username: "a\u0000b", password: PASSWORD })).status, 400);
  const invalid = await ask(tracker, "POST", "/register", { body: "username=%ff%fe&password=long+enough+password" });
  assert.equal(invalid.status, 400);
  for (const username of ["a", "Nguyễn", "李雷", "O_.-1", "Ω", "x".repeat(32), "ß".repeat(32)])
    assert.equal((await post(tracker, "/register", { username, password: PASSWORD })).status, 200, username);
});

test("a name is taken once, however it is spelled", async (t) => {
  const tracker = await startTracker(t);
  await register(tracker, "Alice");
  await register(tracker, "Nguyễn");
  const alike = ["Alice", "alice", "ALICE", "\u0430lice", "\uff21lice", "Al\u0131ce", "Nguyễn".normalize("NFD"), "NGUYỄN"];
  for (const username of alike) {
    const response = await post(tracker, "/register", { username, password: PASSWORD });
    assert.equal(response.status, 409, username);
    assert.match(response.json.message, /taken/);
  }
  for (const username of ["Alice2", "Nguyen", "al.ice"]) await register(tracker, username);
});

test("many people register at the same moment; of those who want one name, one gets it", async (t) => {
  const tracker = await startTracker(t);
  const wanted = [...Array(24)].map((_, i) => (i < 16 ? `person${i}` : "Everybody"));
  const answers = await Promise.all(wanted.map((username) => post(tracker, "/register", { username, password: PASSWORD })));
  const everybody = answers.slice(16).map((answer) => answer.status);
  assert.equal(everybody.filter((status) => status === 200).length, 1);
  for (const status of everybody) assert.ok([200, 409].includes(status), String(status));
  for (const answer of answers.slice(0, 16)) assert.equal(answer.status, 200, answer.text);
});

test("passwords: 8 characters to 1024 bytes, kept exactly", async (t) => {
  const tracker = await startTracker(t);
  const statusOf = async (username, password) => (await post(tracker, "/register", { username, password })).status;
  assert.equal(await statusOf("a", "1234567"), 400);
  assert.equal(await statusOf("a", "é".repeat(7)), 400, "characters count, not bytes");
  assert.equal(await statusOf("a", "x".repeat(1025)), 400);
  assert.equal(await statusOf("a", 12345678901), 200, "a number stands for its digits");
  assert.equal(await statusOf("b", "x".repeat(1024)), 200);
  assert.equal(await statusOf("c", " trailing space "), 200);
  assert.equal((await post(tracker, "/login", { username: "b", password: "x".repeat(1023) })).status, 401);
  assert.equal((await post(tracker, "/login", { username: "b", password: "x".repeat(1024) })).status, 200);
  assert.equal((await post(tracker, "/login", { username: "c", password: "trailing space" })).status, 401);
  assert.equal((await post(tracker, "/login", { username: "c", password: " trailing space " })).status, 200);
});

test("bodies that say nothing usable are refused in words", async (t) => {
  const tracker = await startTracker(t);
  for (const body of ["", "{", "[]", "null", '{"username":"a"}', '{"username":["a"],"password":"12345678"}', "a=b", "\xff"]) {
    for (const path of ["/register", "/login"]) {
      const response = await ask(tracker, "POST", path, { body, headers: { Accept: "application/json" } });
      assert.equal(response.status, 400, `${path} ${body}`);
      assert.match(response.json.message, /username and a password/);
    }
  }
  const huge = await ask(tracker, "POST", "/login", { body: "x".repeat(100_000) });
  assert.equal(huge.status, 413);
});

test("a form of another site is refused", async (t) => {
  const tracker = await startTracker(t);
  const cookie = await register(tracker, "alice");
  for (const origin of ["http://evil.example", "null", `http://127.0.0.1:${tracker.port + 1}`]) {
    const headers = { Origin: origin, Cookie: cookie };
    for (const path of ["/register", "/login", "/logout"]) {
      const response = await post(tracker, path, { username: "bob", password: PASSWORD }, { headers });
      assert.equal(response.status, 403, `${origin} ${path}`);
    }
  }
  assert.equal((await me(tracker, cookie)).status, 200, "still logged in");
  const same = { headers: { Origin: tracker.url, Cookie: cookie } };
  assert.equal((await post(tracker, "/logout", {}, same)).status, 200);
});

test("accounts, sessions and the server's identity survive a restart, also by kill -9", async (t) => {
  const folder = newFolder();
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  let tracker = await startTracker(t, { folder });
  const identityOf = async (cookie) => {
    const socket = new Socket(tracker, { cookie });
    const welcome = await socket.next("welcome");
    await socket.close();
    return `${welcome.tracker} ${welcome.channels[0].id}`;
  };
  const cookies = [await register(tracker, "person0")];
  const identity = await identityOf(cookies[0]);
  for (const signal of ["SIGTERM", "SIGKILL", "SIGKILL", "SIGKILL"]) {
    cookies.push(await register(tracker, `person${cookies.length}`));
    await tracker.end(signal);
    tracker = await startTracker(t, { folder });
    for (const [i, cookie] of cookies.entries()) {
      const seen = await me(tracker, cookie);
      assert.equal(seen.json?.username, `person${i}`, `after ${signal}`);
    }
    assert.equal(await identityOf(cookies[0]), identity);
  }
  assert.equal((await post(tracker, "/login", { username: "person1", password: PASSWORD })).status, 200);
});

test("a visit makes a session that is past half of its life last its full life again; one that is over is none", async (t) => {
  const tracker = await startTracker(t);
  const cookie = await register(tracker, "alice");
  const expireIn = (days) =>
    execFileSync("sqlite3", [join(tracker.folder, "data/weaprous.db"), `UPDATE sessions SET expires_ms = ${Date.now() + days * 86_400_000}`]);
  assert.equal((await me(tracker, cookie)).headers["set-cookie"], undefined, "a new session needs nothing");
  expireIn(16);
  assert.equal((await me(tracker, cookie)).headers["set-cookie"], undefined, "nor one with more than half");
  for (const path of ["/session", "/"]) {
    expireIn(14);
    const visit = await ask(tracker, "GET", path, { headers: { Cookie: cookie } });
    assert.equal(cookieOf(visit), cookie, "the same token");
    assert.match(visit.headers["set-cookie"][0], /Max-Age=2592000/);
    assert.ok((await me(tracker, cookie)).json.expires_s > 29 * 86_400);
  }
  expireIn(-0.001);
  assert.equal((await me(tracker, cookie)).status, 401);
  assert.equal((await ask(tracker, "GET", "/", { headers: { Cookie: cookie } })).status, 401);
  assert.deepEqual(await new Socket(tracker, { cookie }).end(), { status: 401 });
});

test("10,000 guesses of a password neither get in, nor stop the service, nor lock the owner out", async (t) => {
  const tracker = await startTracker(t);
  await register(tracker, "alice");
  const agent = new Agent({ keepAlive: true, maxSockets: 32 });
  t.after(() => agent.destroy());
  const counts = new Map();
  let retryAfter;
  const guess = async (i) => {
    /* Among the guesses is the right one, long after the limit was reached. */
    const password = i === 9000 ? PASSWORD : `guess number ${i}`;
    const response = await post(tracker, "/login", { username: "alice", password }, { agent });
    counts.set(response.status, (counts.get(response.status) ?? 0) + 1);
    if (response.status === 429) retryAfter = response.headers["retry-after"];
  };
  let next = 0;
  const guessers = [...Array(32)].map(async () => {
    while (next < 10_000) await guess(next++);
  });
  const owner = (async () => {
    while (next < 5000) await new Promise((resolve) => setTimeout(resolve, 10));
    const began = Date.now();
    assert.equal((await ask(tracker, "GET", "/healthz")).status, 200);
    assert.ok(Date.now() - began < 1000, "the service answers meanwhile");
    const login = await post(tracker, "/login", { username: "alice", password: PASSWORD }, { from: "127.0.0.2" });
    assert.equal(login.status, 200, "the owner, from elsewhere");
  })();
  await Promise.all([...guessers, owner]);
  assert.equal(counts.get(200) ?? 0, 0, "nobody got in");
  assert.ok(counts.get(401) >= 10 && counts.get(401) < 60, `checked: ${counts.get(401)}`);
  assert.equal(counts.get(401) + counts.get(429), 10_000);
  assert.match(retryAfter, /^[1-9]\d?$/);
});

test("one account's many guessers are slowed down together, and known addresses are not", async (t) => {
  const tracker = await startTracker(t);
  await register(tracker, "alice");
  const login = (password, from) => post(tracker, "/login", { username: "alice", password }, { from });
  assert.equal((await login(PASSWORD, "127.0.9.9")).status, 200);
  let checked = 0;
  let refused = 0;
  for (let i = 1; i <= 16; i++) {
    const answers = await Promise.all([...Array(5)].map((_, n) => login(`guess ${n}`, `127.0.1.${i}`)));
    for (const { status } of answers) status === 401 ? checked++ : refused++;
  }
  assert.ok(checked >= 50 && checked < 70, `checked: ${checked}`);
  assert.ok(refused > 0);
  assert.equal((await login(PASSWORD, "127.0.8.8")).status, 429, "an address that nobody knows has to wait");
  assert.equal((await login(PASSWORD, "127.0.9.9")).status, 200, "where its owner has logged in before");
});

test("a name that does not exist takes as long as a wrong password", async (t) => {
  const tracker = await startTracker(t);
  await register(tracker, "alice");
  const timeOf = async (username) => {
    const times = [];
    for (let i = 0; i < 7; i++) {
      const began = performance.now();
      const response = await post(tracker, "/login", { username, password: "wrong password" });
      assert.equal(response.status, 401);
      assert.equal(response.json.message, "The name or the password is wrong.");
      times.push(performance.now() - began);
    }
    return times.sort((a, b) => a - b)[3];
  };
  const wrong = await timeOf("alice");
  const unknown = await timeOf("nobody");
  assert.ok(unknown > wrong / 3 && unknown < wrong * 3, `${unknown} ms against ${wrong} ms`);
});
