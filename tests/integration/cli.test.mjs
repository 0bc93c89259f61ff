// The command line of the real program: help, wrong calls, what can go wrong at the start, the end.
import assert from "node:assert/strict";
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { PASSWORD, ask, newFolder, post, program, register, run, startTracker } from "./tracker-kit.mjs";

function folderFor(t) {
  const folder = newFolder();
  t.after(() => {
    chmodSync(folder, 0o700);
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

/** One sentence on stderr, nothing that looks like a crash, exit status 1. */
function assertStopped(result, words) {
  assert.equal(result.code, 1, JSON.stringify(result));
  assert.match(result.err, words);
  assert.match(result.err, /^[A-Z a-z].*\.\n$/);
  assert.equal(result.err.trim().split("\n").length, 1, result.err);
  assert.equal(result.out, "");
}

test("help and version", async () => {
  for (const args of [[], ["help"], ["--help"], ["-h"]]) {
    const { code, out, err } = await run(args);
    assert.equal(code, 0);
    assert.match(out, /up +start the server/);
    assert.equal(err, "");
  }
  for (const args of [["up", "--help"], ["help", "up"], ["up", "-h"]]) {
    const { code, out } = await run(args);
    assert.equal(code, 0);
    for (const option of ["--server-ip IP", "--server-port PORT", "--host IP", "--lan", "--data DIR", "--relay-rate BYTES", "--help"])
      assert.ok(out.includes(option), option);
  }
  for (const args of [["version"], ["--version"]]) assert.match((await run(args)).out, /^weaprous \d+\.\d+\.\d+\n$/);
});

test("a wrong call gets one sentence and exit status 2, and touches nothing", async (t) => {
  const cwd = folderFor(t);
  const wrong = [
    [["dance"], /no subcommand "dance"/], [["up", "--nonsense"], /unknown option "--nonsense"/], [["up", "now"], /unknown option "now"/],
    [["up", "--server-port"], /--server-port needs a value/], [["up", "--server-port", "http"], /number from 0 to 65535/],
    [["up", "--server-port=65536"], /number from 0 to 65535/], [["up", "--server-port="], /number/], [["up", "--server-port", "-1"], /number/],
    [["up", "--server-ip", "localhost"], /IP address/], [["up", "--host", "300.1.1.1"], /IP address/], [["up", "--lan=yes"], /takes no value/],
    [["up", "--data", ""], /not empty/], [["up", "--relay-rate", "0"], /number from 1/], [["up", "--="], /unknown option/], [["help", "dance"], /no subcommand/],
    [["version", "--x"], /unknown option/], [["trace"], /replay or show/], [["trace", "dance"], /no action "dance"/], [["trace", "replay"], /FILE is missing/],
  ];
  for (const [args, words] of wrong) {
    const { code, out, err } = await run(args, { cwd });
    assert.equal(code, 2, args.join(" "));
    assert.match(err, words);
    assert.equal(err.trim().split("\n").length, 1, err);
    assert.equal(out, "");
  }
  assert.ok(!existsSync(join(cwd, "data")));
});

test("the start says where it is, draws a QR code and what to do next; the folder is private", async (t) => {
  const tracker = await startTracker(t);
  assert.match(tracker.out, new RegExp(`http://127\\.0\\.0\\.1:${tracker.port}/`));
  assert.match(tracker.out, /#general/);
  assert.match(tracker.out, /--lan/);
  const rows = tracker.out.split("\n").filter((line) => /^ {4}[█▀▄ ]{25,}$/.test(line));
  assert.ok(rows.length >= 13, tracker.out);
  assert.equal(new Set(rows.map((row) => [...row].length)).size, 1, "a rectangle");
  assert.ok(!tracker.out.includes("\x1b"), "no colours where there is no terminal");
  assert.equal(statSync(join(tracker.folder, "data")).mode & 0o777, 0o700);
  for (const name of ["weaprous.db", "weaprous.db-wal", "lock"])
    assert.equal(statSync(join(tracker.folder, "data", name)).mode & 0o777, 0o600, name);
  await register(tracker, "alice");
  assert.equal(tracker.err, "", "no noise");
});

test("passwords and session tokens are not in the database as such", async (t) => {
  const tracker = await startTracker(t);
  const cookie = await register(tracker, "alice");
  assert.deepEqual(await tracker.end("SIGTERM"), { code: 0, signal: null });
  const bytes = readFileSync(join(tracker.folder, "data", "weaprous.db"));
  const token = cookie.slice("session=".length);
  assert.ok(bytes.includes("alice") && bytes.includes("$argon2id$"));
  for (const secret of [PASSWORD, token, Buffer.from(token, "hex")]) assert.ok(!bytes.includes(secret));
});

test("with --lan it listens on all addresses and prints one for others; --host adds one address", async (t) => {
  const lan = Object.values(networkInterfaces()).flat().find((a) => a.family === "IPv4" && !a.internal)?.address;
  const everywhere = await startTracker(t, { args: ["--lan"] });
  assert.equal((await ask(everywhere, "GET", "/healthz", { headers: {} })).status, 200);
  if (lan) {
    assert.ok(everywhere.out.includes(`http://${lan}:${everywhere.port}/`), everywhere.out);
    assert.equal((await fetch(`http://${lan}:${everywhere.port}/healthz`)).status, 200);
  } else t.diagnostic("no address but loopback here");
  const two = await startTracker(t, { args: ["--host", "127.0.0.7"] });
  for (const ip of ["127.0.0.1", "127.0.0.7"]) {
    assert.ok(two.out.includes(`http://${ip}:${two.port}/`), two.out);
    assert.equal((await fetch(`http://${ip}:${two.port}/healthz`)).status, 200);
  }
  await assert.rejects(fetch(`http://127.0.0.8:${two.port}/healthz`));
});

test("a port in use: one sentence with the port", async (t) => {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.on("listening", resolve));
  t.after(() => server.close());
  const { port } = server.address();
  const result = await run(["up", "--server-port", String(port), "--data", join(folderFor(t), "data")]);
  assertStopped(result, new RegExp(`127\\.0\\.0\\.1 port ${port}: another program uses this port; .* --server-port`));
});

test("an address that this computer does not have: one sentence with the address", async (t) => {
  const result = await run(["up", "--server-ip", "192.0.2.1", "--server-port", "0", "--data", join(folderFor(t), "data")]);
  assertStopped(result, /192\.0\.2\.1/);
});

test("a folder that cannot be written, or is none: one sentence with its name", async (t) => {
  const folder = folderFor(t);
  writeFileSync(join(folder, "file"), "");
  assertStopped(await run(["up", "--server-port", "0", "--data", join(folder, "file")]), /file.* not a folder/);
  assertStopped(await run(["up", "--server-port", "0", "--data", join(folder, "file", "deeper")]), /not a folder/);

  /* Root may write anywhere, so then it is tried as somebody else. */
  const copy = join(folder, "weaprous");
  copyFileSync(program, copy);
  chmodSync(copy, 0o755);
  const locked = join(folder, "locked");
  mkdirSync(locked, { mode: 0o555 });
  chmodSync(folder, 0o755);
  const options = { program: copy, ...(process.getuid() === 0 ? { uid: 65534, gid: 65534 } : {}) };
  assertStopped(await run(["up", "--server-port", "0", "--data", join(locked, "data")], options), /locked\/data cannot be written/);
  assertStopped(await run(["up", "--server-port", "0", "--data", locked], options), /locked cannot be written/);
});

test("a second server on one folder is refused by the number of the first, and may start after its end", async (t) => {
  const folder = folderFor(t);
  const first = await startTracker(t, { folder });
  const args = ["up", "--server-port", "0", "--data", join(folder, "data")];
  assertStopped(await run(args), new RegExp(`process ${first.child.pid}\\b.*another folder`));
  assert.equal((await ask(first, "GET", "/healthz")).status, 200);
  await first.end("SIGKILL");
  await startTracker(t, { folder });
});

test("a damaged database, one of a newer version, and something else in its place: one sentence", async (t) => {
  const folder = folderFor(t);
  const data = join(folder, "data");
  const args = ["up", "--server-port", "0", "--data", data];
  const path = join(data, "weaprous.db");
  const tracker = await startTracker(t, { folder });
  await register(tracker, "alice");
  await tracker.end("SIGTERM");
  const good = readFileSync(path);
  writeFileSync(path, Buffer.concat([good.subarray(0, 4096), Buffer.alloc(good.length - 4096, 0x5a)]));
  assertStopped(await run(args), /weaprous\.db is damaged/);
  writeFileSync(path, "this is not a database ".repeat(1000));
  assertStopped(await run(args), /weaprous\.db is damaged/);
  const newer = Buffer.from(good);
  newer.writeUInt32BE(99, 60); // user_version
  writeFileSync(path, newer);
  assertStopped(await run(args), /newer version/);
  rmSync(path);
  mkdirSync(path);
  assertStopped(await run(args), /not a regular file/);
  rmSync(path, { recursive: true });
  writeFileSync(path, good);
  const again = await startTracker(t, { folder });
  assert.equal((await post(again, "/login", { username: "alice", password: PASSWORD })).status, 200);
});

// A limit on the size of files stands for a full disk: both make a write fail in its middle.

test("a full disk at the start: one sentence", async (t) => {
  const folder = folderFor(t);
  const limited = ["-c", 'ulimit -f "$1"; shift; exec "$@"', "sh"];
  for (const blocks of ["0", "8", "40"]) {
    const args = [...limited, blocks, program, "up", "--server-port", "0", "--data", join(folder, blocks)];
    assertStopped(await run(args, { program: "/bin/sh" }), /disk is full/);
  }
});

test("a disk that fills up later: writers are told, nothing acknowledged is lost, and with room it goes on", async (t) => {
  const folder = folderFor(t);
  const tracker = await startTracker(t, { folder, command: "/bin/sh", argsBefore: ["-c", 'ulimit -f 1200; exec "$0" "$@"', program] });
  const kept = [];
  let refusal;
  for (let i = 0; i < 200 && !refusal; i++) {
    const username = `person${i}`;
    const response = await post(tracker, "/register", { username, password: PASSWORD });
    if (response.status === 200) kept.push(username);
    else refusal = response;
  }
  assert.equal(refusal?.status, 507, refusal?.text);
  assert.match(refusal.json.message, /disk is full/);
  assert.ok(kept.length >= 3, `${kept.length} accounts`);
  assert.equal((await ask(tracker, "GET", "/readyz")).status, 200, "it goes on reading");
  assert.match(tracker.err, /WARN .*disk is full/);
  let login;
  for (let i = 0; i < 50 && login?.status !== 507; i++) login = await post(tracker, "/login", { username: kept[0], password: PASSWORD });
  assert.equal(login.status, 507, login.text);
  assert.equal(login.headers["set-cookie"], undefined, "no cookie of a session that was not kept, over one that is good");
  assert.ok(tracker.err.trim().split("\n").length <= 3, "without filling the log");
  assert.deepEqual(await tracker.end("SIGTERM"), { code: 0, signal: null });

  const again = await startTracker(t, { folder });
  for (const username of kept.slice(-3))
    assert.equal((await post(again, "/login", { username, password: PASSWORD })).status, 200, username);
  await register(again, "newcomer");
});

test("Ctrl-C and SIGTERM end it with 0, a request under way included", async (t) => {
  for (const signal of ["SIGINT", "SIGTERM"]) {
    const tracker = await startTracker(t);
    const underWay = post(tracker, "/register", { username: "alice", password: PASSWORD });
    await new Promise((resolve) => setTimeout(resolve, 25));
    const ending = tracker.end(signal);
    const response = await underWay;
    assert.equal(response.status, 200, response.text);
    assert.deepEqual(await ending, { code: 0, signal: null });
    assert.equal(tracker.err, "");
  }
});

test("a trace of the server is private, replays whole after an orderly end, and overwrites nothing", async (t) => {
  const folder = folderFor(t);
  const trace = join(folder, "server.trace");
  const tracker = await startTracker(t, { args: ["--trace", trace] });
  assert.equal(statSync(trace).mode & 0o777, 0o600);
  await tracker.end("SIGTERM");
  const replayed = await run(["trace", "replay", trace]);
  assert.equal(replayed.code, 0, replayed.err);
  assert.match(replayed.out, /^In: +\d+ calls in [\d.]+ s, 0 bytes\.\nOut: 1 actions, 0 bytes, the same as then\.\n$/);
  const shown = await run(["trace", "show", trace, "--actions"]);
  assert.match(shown.out, /create +device [0-9a-f]{16} .*replica\n/);
  assert.match(shown.out, /command join .*\n[^]*=> store /);
  assert.match(shown.out, / end\n$/);
  const before = readFileSync(trace);
  assertStopped(await run(["up", "--server-port", "0", "--data", join(folder, "data"), "--trace", trace]), /There is a file .* name another\./);
  assert.deepEqual(readFileSync(trace), before);
});

test("what is no trace, or differs, is said in a sentence", async (t) => {
  const folder = folderFor(t);
  const trace = join(folder, "server.trace");
  const file = (bytes) => {
    writeFileSync(join(folder, "file"), bytes);
    return ["trace", "replay", join(folder, "file")];
  };
  assertStopped(await run(["trace", "replay", join(folder, "nothing")]), /cannot be read: No such file/);
  assertStopped(await run(file("")), /is no trace/);
  assertStopped(await run(file("Dear diary")), /does not begin as a trace does/);
  const tracker = await startTracker(t, { args: ["--trace", trace] });
  await tracker.end("SIGTERM");
  const good = readFileSync(trace);
  const name = good.indexOf("general");
  assert.ok(name > 0);
  const changed = Buffer.from(good);
  changed[name] ^= 1;
  assertStopped(await run(file(changed)), /at call [23]: what came out differs/);
  const cut = await run(file(good.subarray(0, good.length - 1)));
  assert.equal(cut.code, 0, cut.err);
  assert.match(cut.out, /ends before the node did: the program was stopped while it was writing/);
});
