// The classic routes over time: restarts, several processes, logouts, many at once. What each answers is in contract/classic.mjs.
import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { tool } from "./crowd-kit.mjs";
import { PASSWORD, ask, cookieOf, newFolder, online, post, register, startTracker, within } from "./tracker-kit.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const as = (cookie) => ({ headers: { Cookie: cookie } });
const say = (tracker, cookie, message, channel_name = "general") => post(tracker, "/send-channel-message", { channel_name, message }, as(cookie));
const read = async (tracker, cookie, fields = {}) =>
  (await post(tracker, "/get-channel-messages", { channel_name: "general", limit: 1000, ...fields }, as(cookie))).json.messages.messages;
const texts = (messages) => messages.map(({ text }) => text);
const secretOf = (tracker) => readFileSync(join(tracker.folder, "data/pool-secret"), "utf8").trim();
const offer = (tracker, port, fields = {}) => post(tracker, "/register-peer-pool", { ip: "127.0.0.1", port, username: "peer", secret: secretOf(tracker), ...fields });
const login = (tracker, username) => post(tracker, "/login", { username, password: PASSWORD });
const database = (tracker, sql) => execFileSync("sqlite3", [join(tracker.folder, "data/weaprous.db"), sql], { encoding: "utf8" }).trim();
async function until(look, what) {
  for (const end = Date.now() + 30_000; ; await new Promise((resolve) => setTimeout(resolve, 50))) {
    const found = await look();
    if (found) return found;
    assert.ok(Date.now() < end, `nothing within 30 s: ${what}`);
  }
}

test("the session of the docs works as it is printed", async (t) => {
  const tracker = await startTracker(t);
  await register(tracker, "somebody");
  const page = readFileSync(join(root, "docs/api.md"), "utf8");
  const commands = page.split("\n").filter((line) => line.startsWith("    curl "));
  assert.ok(commands.length >= 6);
  await post(tracker, "/register", { username: "binh", password: "correct horse" });
  const jar = newFolder();
  const script = commands.map((line) => `${line.trim().replace("curl ", "curl -sS --max-time 20 ").replace("127.0.0.1:9000", `127.0.0.1:${tracker.port}`)}; echo`).join("\n");
  writeFileSync(join(jar, "session.sh"), script);
  const child = spawn("bash", ["-e", "session.sh"], { cwd: jar, stdio: ["ignore", "pipe", "pipe"] });
  let out = "", err = "";
  child.stdout.on("data", (bytes) => (out += bytes));
  child.stderr.on("data", (bytes) => (err += bytes));
  await within(new Promise((resolve) => child.on("close", resolve)), "the session of the docs");
  const answers = out.trim().split("\n").filter(Boolean).map((line) => (/^[[{]/.test(line) ? JSON.parse(line) : line));
  assert.equal(err, "");
  assert.equal(answers[0].username, "binh", out);
  assert.equal(answers[1].status, "success");
  assert.deepEqual(answers[2].map(({ port, username }) => [port, username]), [["5001", "binh"]]);
  assert.equal(answers[4].message, "Message sent.");
  assert.deepEqual(texts(answers[5].messages.messages), ["Hello, everybody"]);
  assert.equal(answers[5].messages.messages[0].sender_port, "5001");
});

test("messages outlive a restart, and the web device goes on where it was", async (t) => {
  const folder = newFolder();
  let tracker = await startTracker(t, { folder });
  const an = await register(tracker, "an");
  for (const text of ["one", "two"]) assert.equal((await say(tracker, an, text)).status, 200);
  await tracker.end("SIGKILL");
  tracker = await startTracker(t, { folder });
  assert.deepEqual(texts(await read(tracker, an)), ["one", "two"]);
  assert.equal((await say(tracker, an, "three")).status, 200);
  assert.deepEqual(texts(await read(tracker, an)), ["one", "two", "three"]);
  assert.equal(database(tracker, "SELECT COUNT(*), COUNT(DISTINCT author), MAX(seq) FROM entries WHERE kind IN (1, 3)"), "4|1|4");
  assert.equal(database(tracker, "SELECT label FROM devices"), "web API");
});

test("killed while many write: what was acknowledged is there, once", async (t) => {
  const folder = newFolder();
  let tracker = await startTracker(t, { folder });
  const people = await Promise.all(["an", "binh", "chi", "dung"].map((name) => register(tracker, name)));
  const sure = new Set();
  for (let round = 0; round < 4; round++) {
    let running = true;
    const writers = people.map(async (cookie, who) => {
      for (let i = 0; running; i++) {
        const text = `${round}.${who}.${i}`;
        const answer = await say(tracker, cookie, text).catch(() => undefined);
        if (answer?.status !== 200) break;
        sure.add(text);
      }
    });
    await until(() => sure.size > (round + 1) * 40, "messages");
    await tracker.end("SIGKILL");
    running = false;
    await Promise.all(writers);
    tracker = await startTracker(t, { folder });
    assert.equal((await say(tracker, people[0], `after ${round}`)).status, 200);
  }
  const all = [];
  for (let after = 0, page; (page = await read(tracker, people[0], { after })).length; after = page.at(-1).seq) all.push(...page.map(({ text }) => text));
  assert.equal(new Set(all).size, all.length, "each once");
  for (const text of sure) assert.ok(all.includes(text), `${text} was acknowledged`);
  assert.equal(database(tracker, "SELECT COUNT(*) FROM (SELECT author FROM entries GROUP BY author HAVING COUNT(*) <> MAX(seq))"), "0", "no gap in a feed");
  assert.equal(database(tracker, "PRAGMA integrity_check"), "ok");
});

test("while the disk is full nothing is written and that is said; then it goes on, without a gap", async (t) => {
  const folder = newFolder(), control = join(newFolder(), "faults");
  const disk = (full) => writeFileSync(control, `${full} 0 0\n`);
  disk(0);
  let tracker = await startTracker(t, { folder, env: { LD_PRELOAD: tool("faultfs.so"), FAULTFS: control } });
  const people = await Promise.all(["an", "binh"].map((name) => register(tracker, name)));
  const kept = [], refused = [];
  for (const full of [0, 1000, 300, 0, 500, 0]) {
    disk(full);
    const texts = [...Array(24)].map((_, i) => `${full}.${kept.length + refused.length}.${i}`);
    const answers = await Promise.all(texts.map((text, i) => say(tracker, people[i % 2], text)));
    answers.forEach(({ status }, i) => (status === 200 ? kept : refused).push(texts[i]));
    for (const { status, json } of answers) if (status !== 200) assert.match(json.message, status === 507 ? /disk is full/ : /database reports an error/, tracker.err);
    if (full === 0) for (const { status, text } of answers) assert.equal(status, 200, text);
    if (full === 1000) for (const { status } of answers) assert.ok(status === 507 || status === 500 /* SQLite says so of a sync */, String(status));
  }
  assert.ok(refused.length > 24, `${refused.length} were refused`);
  assert.deepEqual(texts(await read(tracker, people[0])).sort(), [...kept].sort());
  await tracker.end("SIGKILL");
  tracker = await startTracker(t, { folder });
  assert.deepEqual(texts(await read(tracker, people[0])).sort(), [...kept].sort());
  assert.doesNotMatch(tracker.err, /did not fit/);
  assert.equal((await say(tracker, people[0], "after all")).status, 200);
  assert.equal(database(tracker, "SELECT COUNT(*) FROM (SELECT author FROM entries GROUP BY author HAVING COUNT(*) <> MAX(seq))"), "0", "no gap in a feed");
});

test("whoever polls with the last number misses none and gets none twice", async (t) => {
  const tracker = await startTracker(t);
  const people = await Promise.all(["an", "binh", "chi"].map((name) => register(tracker, name)));
  const writers = people.map(async (cookie, who) => {
    for (let i = 0; i < 30; i++) assert.equal((await say(tracker, cookie, `${who}.${i}`)).status, 200);
  });
  const seen = [];
  let after = 0;
  const poll = async () => {
    const page = await read(tracker, people[0], { after, limit: 7 });
    seen.push(...texts(page));
    if (page.length) after = page.at(-1).seq;
    return page.length;
  };
  const done = Promise.all(writers).then(() => true);
  while (!(await Promise.race([done, new Promise((resolve) => setTimeout(resolve, 5))]))) await poll();
  while (await poll());
  assert.equal(seen.length, 90);
  assert.equal(new Set(seen).size, 90);
  for (const who of [0, 1, 2]) assert.deepEqual(seen.filter((text) => text.startsWith(`${who}.`)), [...Array(30)].map((_, i) => `${who}.${i}`), "in the author's order");
});

test("a web device that was logged out writes no more; the next message comes from another one", async (t) => {
  const tracker = await startTracker(t);
  const an = await register(tracker, "an");
  await say(tracker, an, "before");
  const device = database(tracker, "SELECT lower(hex(device)) FROM devices");
  const ended = await post(tracker, "/call/device-end", { device }, as(an));
  assert.equal(ended.status, 200, ended.text);
  assert.equal((await say(tracker, an, "after")).status, 200);
  assert.deepEqual(texts(await read(tracker, an)), ["before", "after"]);
  assert.equal(database(tracker, "SELECT COUNT(DISTINCT author) FROM entries WHERE kind = 3"), "2");
});

test("many logins at one moment: each peer of the pool is somebody's once", async (t) => {
  const tracker = await startTracker(t);
  await register(tracker, "an");
  await register(tracker, "binh");
  for (let i = 0; i < 8; i++) assert.equal((await offer(tracker, 7000 + i)).status, 200);
  const answers = await Promise.all([...Array(12)].map((_, i) => login(tracker, i % 2 ? "an" : "binh")));
  const peers = answers.map(({ json }) => json.redirect).filter((to) => to !== "/").map((to) => new URL(to).port);
  assert.equal(peers.length, 8);
  assert.equal(new Set(peers).size, 8);
});

test("a logout frees the peer, ends its session, and takes back what was announced", async (t) => {
  const tracker = await startTracker(t);
  const an = await register(tracker, "an");
  await offer(tracker, 7000);
  const entered = await login(tracker, "an");
  const ticket = new URL(entered.json.redirect).searchParams.get("ticket");
  const verified = await post(tracker, "/verify-ticket", { ticket, secret: secretOf(tracker) });
  const peer = `session=${verified.json.session}`;
  await post(tracker, "/submit-info", { ip: "127.0.0.1", port: 7000 }, as(peer));
  await post(tracker, "/submit-info", { ip: "127.0.0.1", port: 5000 }, as(cookieOf(entered)));
  await post(tracker, "/submit-info", { ip: "127.0.0.1", port: 5999 }, as(an));
  const ports = async () => (await ask(tracker, "GET", "/get-list", as(an))).json.map(({ port }) => port).sort();
  assert.deepEqual(await ports(), ["5000", "5999", "7000"]);
  assert.equal((await login(tracker, "an")).json.redirect, "/", "it is taken");

  assert.equal((await post(tracker, "/logout", {}, as(cookieOf(entered)))).status, 200);
  assert.deepEqual(await ports(), ["5999"]);
  assert.equal((await ask(tracker, "GET", "/session", as(peer))).status, 401);
  assert.equal((await ask(tracker, "GET", "/session", as(an))).status, 200, "other logins of the account stay");
  assert.match((await login(tracker, "an")).json.redirect, /^http:\/\/127\.0\.0\.1:7000\/\?ticket=/);
});

test("a peer that has a socket is listed with its device", async (t) => {
  const tracker = await startTracker(t);
  const an = await register(tracker, "an");
  const { device, socket } = await online(t, tracker, an);
  await post(tracker, "/submit-info", { ip: "127.0.0.1", port: 5001 }, as(an));
  const listed = async () => (await ask(tracker, "GET", "/get-list", as(an))).json;
  assert.deepEqual(await listed(), [{ ip: "127.0.0.1", port: "5001", username: "an", isUsed: 1, device: device.id, status: "online" }]);
  database(tracker, "UPDATE announcements SET announced_ms = 0");
  assert.equal((await listed())[0].status, "online", "by its socket");
  await socket.close();
  await until(async () => (await listed())[0].status === "idle", "idle without it");
});

test("who writes very much has to wait", async (t) => {
  const tracker = await startTracker(t, { args: ["--relay-rate", "4000"] });
  const an = await register(tracker, "an"), binh = await register(tracker, "binh");
  const answers = [];
  for (let i = 0; i < 6; i++) answers.push(await say(tracker, an, `${i} ${"x".repeat(8000)}`));
  const refused = answers.filter(({ status }) => status === 429);
  assert.ok(answers[0].status === 200 && refused.length > 0, answers.map(({ status }) => status).join());
  assert.ok(Number(refused[0].headers["retry-after"]) >= 1);
  assert.equal((await say(tracker, binh, "somebody else")).status, 200);
});

test("a ticket is worth nothing after the login it was for has ended", async (t) => {
  const tracker = await startTracker(t);
  await register(tracker, "an");
  await offer(tracker, 7000);
  const entered = await login(tracker, "an");
  await post(tracker, "/logout", {}, as(cookieOf(entered)));
  const ticket = new URL(entered.json.redirect).searchParams.get("ticket");
  assert.equal((await post(tracker, "/verify-ticket", { ticket, secret: secretOf(tracker) })).status, 401);
});

test("a short answer is one write", async (t) => {
  if (spawnSync("strace", ["-o", "/dev/null", "true"]).status !== 0) return t.skip("this machine lets nobody trace system calls");
  const trace = join(newFolder(), "trace");
  const tracker = await startTracker(t, { command: "strace", argsBefore: ["-D", "-f", "-qq", "-e", "trace=write,writev,sendto,sendmsg", "-s", "8192", "-o", trace, process.env.WEAPROUS ?? join(root, "build/release/weaprous")] });
  const an = await register(tracker, "an");
  const marker = "exactly-this-message";
  assert.equal((await say(tracker, an, marker)).status, 200);
  assert.deepEqual(texts(await read(tracker, an)), [marker]);
  const calls = await until(() => {
    const lines = readFileSync(trace, "utf8").split("\n").filter((line) => line.includes("HTTP/1.1 200"));
    return lines.some((line) => line.includes(marker)) && lines;
  }, "the answers in the trace");
  const answer = calls.filter((line) => line.includes(marker));
  assert.equal(answer.length, 1, "head and body together");
  assert.ok(answer[0].includes("HTTP/1.1 200 OK") && answer[0].includes("sender_port"));
});

test("several processes: what is announced and said at one is there at the others; the feed does not fork when they change", async (t) => {
  const folder = newFolder();
  const start = () => startTracker(t, { folder, subcommand: "tracker" });
  const first = await start(), second = await start();
  const an = await register(first, "an"), binh = await register(second, "binh");
  await post(first, "/submit-info", { ip: "127.0.0.1", port: 5001 }, as(an));
  await offer(second, 7000);
  assert.deepEqual((await ask(second, "GET", "/get-list", as(binh))).json.map(({ username }) => username), ["an"]);
  for (let i = 0; i < 5; i++) {
    assert.equal((await say(first, an, `first ${i}`)).status, 200);
    const other = await say(second, an, `second ${i}`);
    assert.equal(other.status, 200, other.text);
  }
  const expected = [...Array(5)].flatMap((_, i) => [`first ${i}`, `second ${i}`]);
  assert.deepEqual(texts(await read(first, binh)), expected);
  assert.deepEqual(texts(await read(second, binh)), expected);
  assert.match((await login(first, "an")).json.redirect, /:7000\//, "the pool is one");
  await first.end("SIGKILL");
  await until(async () => (await say(second, an, "after")).status === 200, "the other process takes the replica");
  assert.deepEqual(new Set(texts(await read(second, binh))), new Set([...expected, "after"]));
  assert.equal(database(second, "SELECT COUNT(DISTINCT author), COUNT(*) = MAX(seq) FROM entries WHERE kind IN (1, 3)"), "1|1");
});
