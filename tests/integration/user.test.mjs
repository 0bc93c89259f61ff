// `weaprous user`: the accounts of a server from the command line, beside a server that is running.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import WebSocket from "ws";
import { PASSWORD, ask, cookieOf, newFolder, post, program, register, startTracker, within } from "./tracker-kit.mjs";

function folderFor(t) {
  const folder = newFolder();
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** `weaprous user` to its end, with `input` as its standard input. */
function user(folder, args, input = "") {
  const child = spawn(program, ["user", ...args.slice(0, 1), "--data", join(folder, "data"), ...args.slice(1)], { cwd: folder });
  const result = { out: "", err: "" };
  child.stdout.on("data", (bytes) => (result.out += bytes));
  child.stderr.on("data", (bytes) => (result.err += bytes));
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  const ended = new Promise((resolve) => child.on("close", (code, signal) => resolve({ ...result, code, signal })));
  return within(ended, `weaprous user ${args.join(" ")} to end`).finally(() => child.kill("SIGKILL"));
}

async function succeeds(folder, args, input) {
  const result = await user(folder, args, input);
  assert.equal(result.code, 0, `${args.join(" ")}: ${result.err}`);
  assert.equal(result.err, "");
  return result.out;
}

/** One sentence on stderr, nothing on stdout. */
async function refuses(folder, args, words, input, code = 1) {
  const result = await user(folder, args, input);
  assert.match(result.err, words, args.join(" "));
  assert.match(result.err, /^[^\n]+\.\n$/);
  assert.equal(result.out, "");
  assert.equal(result.code, code);
}

const names = async (folder) => (await succeeds(folder, ["list"])).trim().split("\n").slice(1).map((line) => line.split(/ +/)[0]);
const login = (tracker, username, password) => post(tracker, "/login", { username, password });

/** A command on a terminal: `expect(words)` waits until they have been printed after what was typed last. */
function onTerminal(t, command) {
  const child = spawn("script", ["-qec", command, "/dev/null"], { stdio: ["pipe", "pipe", "inherit"] });
  const terminal = { all: "", from: 0 };
  let look = () => {};
  child.stdout.on("data", (bytes) => {
    terminal.all += bytes;
    look();
  });
  const ended = new Promise((resolve) => child.on("close", (code) => resolve(code)));
  terminal.expect = (words) =>
    within(
      new Promise((resolve) => {
        look = () => {
          const at = terminal.all.indexOf(words, terminal.from);
          if (at < 0) return;
          terminal.from = at + words.length;
          resolve();
        };
        look();
      }),
      `"${words}" on the terminal`,
    );
  terminal.type = (text) => child.stdin.write(text);
  terminal.ended = () => within(ended, `${command} to end`);
  t.after(() => child.kill("SIGKILL"));
  return terminal;
}

test("an account is added with a password from standard input, and logs in at a server that is running", async (t) => {
  const tracker = await startTracker(t);
  const { folder } = tracker;
  assert.match(await succeeds(folder, ["add", "An"], "correct horse\n"), /account An was added/);
  assert.equal((await login(tracker, "an", "correct horse")).status, 200);
  assert.equal((await login(tracker, "an", "correct horse\n")).status, 401, "the line feed does not belong to it");
  assert.match(await succeeds(folder, ["add", "bình"], "windows line\r\n"), /bình/);
  assert.equal((await login(tracker, "bình", "windows line")).status, 200);
  assert.deepEqual(await names(folder), ["An", "bình"]);
  assert.equal(tracker.err, "");
});

test("the folder is made for the first account, for its owner only; other commands want one", async (t) => {
  const folder = folderFor(t);
  await refuses(folder, ["list"], /no data folder .*data.*--data/);
  await refuses(folder, ["passwd", "an"], /no data folder/, "correct horse");
  await refuses(folder, ["remove", "an"], /no data folder/);
  await succeeds(folder, ["add", "an"], "correct horse");
  assert.equal(statSync(join(folder, "data")).mode & 0o777, 0o700);
  assert.equal(statSync(join(folder, "data/weaprous.db")).mode & 0o777, 0o600);
});

test("names and passwords are held to the rules of the page, in its words", async (t) => {
  const folder = folderFor(t);
  await succeeds(folder, ["add", "an"], PASSWORD);
  await refuses(folder, ["add", "an"], /is an account an already/, PASSWORD);
  await refuses(folder, ["add", "AN"], /an account an, and AN counts as the same/, PASSWORD);
  await refuses(folder, ["add", "a b"], /without spaces/, PASSWORD, 2);
  await refuses(folder, ["add", "x".repeat(33)], /too long/, PASSWORD, 2);
  await refuses(folder, ["add", ""], /Choose a name/, PASSWORD, 2);
  await refuses(folder, ["add", "binh"], /too short: at least 8/, "1234567");
  await refuses(folder, ["add", "binh"], /empty/, "");
  await refuses(folder, ["add", "binh"], /too long/, "x".repeat(1025));
  await refuses(folder, ["add", "binh"], /more than one line/, "correct horse\nbattery\n");
  await refuses(folder, ["add", "binh"], /UTF-8/, Buffer.from("caf\xe9 au lait", "latin1"));
  await refuses(folder, ["add", "binh"], /zero byte/, "correct\0horse");
  await succeeds(folder, ["add", "binh"], "é".repeat(512));
  await succeeds(folder, ["add", "--", "-chi-"], PASSWORD);
  assert.deepEqual(await names(folder), ["-chi-", "an", "binh"]);
});

test("a password is never an argument, and one that was given as such is not repeated", async (t) => {
  const folder = folderFor(t);
  const result = await user(folder, ["add", "an", "hunter2hunter2"], PASSWORD);
  assert.equal(result.code, 2);
  assert.match(result.err, /a word too many after NAME/);
  assert.ok(!result.err.includes("hunter2"));
  assert.ok(!existsSync(join(folder, "data")));
});

test("wrong calls get one sentence and exit status 2", async (t) => {
  const folder = folderFor(t);
  const wrong = [
    [[], /add, passwd, list, remove or import/], [["dance"], /no action "dance"/], [["add"], /NAME is missing/], [["list", "an"], /unknown option "an"/],
    [["import"], /FILE is missing/], [["import", "x", "--nonsense"], /unknown option/], [["import", "x", "--replace=yes"], /takes no value/],
  ];
  for (const [args, words] of wrong) {
    const child = spawn(program, ["user", ...args], { cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
    let err = "";
    child.stderr.on("data", (bytes) => (err += bytes));
    assert.equal(await new Promise((resolve) => child.on("close", resolve)), 2, args.join(" "));
    assert.match(err, words);
    assert.equal(err.trim().split("\n").length, 1);
  }
  assert.match((await user(folder, ["--help"])).out, /import +add the accounts/);
  assert.match((await user(folder, ["add", "--help"])).out, /never an argument/);
});

test("on a terminal the password is asked for twice and not shown", async (t) => {
  const folder = folderFor(t);
  const command = `${program} user add an --data ${folder}/data`;
  let terminal = onTerminal(t, command);
  await terminal.expect("Password for an: ");
  terminal.type("secret-word-1\n");
  await terminal.expect("Once more the password for an: ");
  terminal.type("secret-word-2\n");
  await terminal.expect("differ: nothing was changed.");
  assert.equal(await terminal.ended(), 1);
  assert.ok(!terminal.all.includes("secret"), terminal.all);

  terminal = onTerminal(t, command);
  await terminal.expect("Password for an: ");
  terminal.type("short\n");
  await terminal.expect("too short");
  assert.equal(await terminal.ended(), 1);

  terminal = onTerminal(t, command);
  await terminal.expect("Password for an: ");
  terminal.type("secret-word-1\n");
  await terminal.expect("Once more the password for an: ");
  terminal.type("secret-word-1\n");
  await terminal.expect("The account an was added.");
  assert.equal(await terminal.ended(), 0);
  assert.ok(!terminal.all.includes("secret"), terminal.all);
  const tracker = await startTracker(t, { folder });
  assert.equal((await login(tracker, "an", "secret-word-1")).status, 200);
});

test("Ctrl-C at the prompt ends it, changes nothing and leaves a terminal that echoes", async (t) => {
  const folder = folderFor(t);
  const terminal = onTerminal(t, `trap : INT; ${program} user add an --data ${folder}/data; echo status $?; stty -a`);
  await terminal.expect("Password for an: ");
  terminal.type("\x03");
  await terminal.expect("status 130");
  await terminal.ended();
  assert.match(terminal.all.slice(terminal.from), /[^-]echo\b/);
  assert.deepEqual(await user(folder, ["list"]), { code: 0, signal: null, out: "", err: `There are no accounts in ${folder}/data yet.\n` });
});

test("a new password ends the sessions of the account, at once and for good", async (t) => {
  const tracker = await startTracker(t);
  const { folder } = tracker;
  const cookie = await register(tracker, "an");
  const other = await register(tracker, "binh");
  assert.match(await succeeds(folder, ["passwd", "AN"], "battery staple"), /password of an was changed; logged out everywhere \(1 session\)/);
  assert.equal((await ask(tracker, "GET", "/session", { headers: { Cookie: cookie } })).status, 401);
  assert.equal((await ask(tracker, "GET", "/session", { headers: { Cookie: other } })).status, 200);
  assert.equal((await login(tracker, "an", PASSWORD)).status, 401);
  assert.equal((await login(tracker, "an", "battery staple")).status, 200);
  await refuses(folder, ["passwd", "chi"], /There is no account chi/, PASSWORD);
});

test("a removed account is out: its session at once, its socket within seconds; its name is free again", async (t) => {
  const tracker = await startTracker(t);
  const { folder } = tracker;
  const cookie = await register(tracker, "an");
  const stays = await register(tracker, "binh");
  const sockets = [cookie, stays].map((Cookie) => new WebSocket(`ws://127.0.0.1:${tracker.port}/ws`, { headers: { Cookie } }));
  t.after(() => sockets.forEach((socket) => socket.terminate()));
  await Promise.all(sockets.map((socket) => within(new Promise((resolve) => socket.once("message", resolve)), "the welcome")));
  const goodbye = within(
    new Promise((resolve) => sockets[0].on("message", (bytes) => JSON.parse(bytes).type === "goodbye" && resolve(JSON.parse(bytes)))),
    "goodbye",
  );
  const out = await succeeds(folder, ["remove", "an"]);
  assert.match(out, /The account an was removed/);
  assert.match(out, /messages stay/);
  assert.equal((await ask(tracker, "GET", "/session", { headers: { Cookie: cookie } })).status, 401);
  assert.equal((await login(tracker, "an", PASSWORD)).status, 401);
  assert.equal((await goodbye).reason, "logged-out");
  assert.equal(sockets[1].readyState, WebSocket.OPEN);
  assert.deepEqual(await names(folder), ["binh"]);
  await refuses(folder, ["remove", "an"], /There is no account an /);
  await register(tracker, "an");
  assert.equal((await ask(tracker, "GET", "/session", { headers: { Cookie: cookie } })).status, 401, "the old session stays dead");
});

test("the list counts sessions and devices", async (t) => {
  const tracker = await startTracker(t);
  await register(tracker, "an");
  assert.equal((await login(tracker, "an", PASSWORD)).status, 200);
  const today = new Date().toISOString().slice(0, 4);
  assert.match(await succeeds(tracker.folder, ["list"]), new RegExp(`^NAME +SINCE +SESSIONS +DEVICES\nan +${today}-\\d\\d-\\d\\d +2 +0\n$`));
});

// --- import ---

test("a CSV list is imported, its passwords hashed; what is wrong is told by its line and without passwords", async (t) => {
  const folder = folderFor(t);
  const file = join(folder, "users.csv");
  const csv = '\ufeffusername,password\r\nan,"secret, with comma"\r\nbi nh,secret-two\r\nchi,\r\nAN,secret-three\r\nem,"open\r\ndung, secret-four\r\n';
  writeFileSync(file, csv);
  const dry = await user(folder, ["import", file, "--dry-run"]);
  assert.match(dry.out, /Would add 2 accounts/);
  assert.match(dry.out, /Nothing was changed/);
  assert.ok(!existsSync(join(folder, "data")));

  const result = await user(folder, ["import", file]);
  assert.equal(result.code, 1, "some lines were refused");
  for (const words of [/users\.csv:3: A name is made of/, /users\.csv:4: The password is empty/, /users\.csv:5: The name.*further up/,
    /users\.csv:6: A quote that is opened here is never closed/, /users\.csv:7: The password begins or ends with a space/]) assert.match(result.err, words);
  assert.match(result.out, /Added 2 accounts/);
  assert.match(result.out, /Refused 4 lines/);
  assert.ok(!(result.out + result.err).includes("secret"));
  assert.deepEqual(await names(folder), ["an", "dung"]);

  const tracker = await startTracker(t, { folder });
  assert.equal((await login(tracker, "an", "secret, with comma")).status, 200);
  assert.equal((await login(tracker, "dung", " secret-four")).status, 200);
  await tracker.end("SIGTERM");
  const database = readFileSync(join(folder, "data/weaprous.db"));
  for (const password of ["secret, with comma", "secret-four"]) assert.ok(!database.includes(password));
});

test("Users.json is imported with its friends; nicknames are said not to be kept", async (t) => {
  const folder = folderFor(t);
  const list = [
    { nickname: "An Nguyễn", username: "an", password: "a", friends: ["binh"] },
    { nickname: "binh", username: "binh", password: "secret-two", friends: [] },
    { username: "chi" },
  ];
  const result = await user(folder, ["import", "-"], JSON.stringify(list, null, 1));
  assert.equal(result.code, 1);
  assert.match(result.err, /^-:16: There is no password\.\n$/);
  assert.match(result.out, /Added 2 accounts/);
  assert.match(result.out, /1 password is shorter than 8/);
  assert.match(result.out, /1 nickname was not kept/);
  assert.match(result.out, /0 friendships; 1 more request, which wait for an answer/);
  const tracker = await startTracker(t, { folder });
  assert.equal((await login(tracker, "an", "a")).status, 200, "a short one that is old stays good");
  const friendsOf = async (name, password) => {
    const cookie = cookieOf(await login(tracker, name, password));
    const { json } = await post(tracker, "/call/friends", {}, { headers: { Cookie: cookie } });
    return json.friends.map(({ account, state }) => `${account} ${state}`).sort();
  };
  assert.deepEqual(await friendsOf("binh", "secret-two"), ["an asking"]);
  const friends = [
    { username: "lan", password: "secret-one", friends: ["Mai", "binh", "no body", 7, "nobody-there", "lan"] },
    { username: "mai", password: "secret-two", friends: ["lan"] },
  ];
  const listed = await succeeds(folder, ["import", "-"], JSON.stringify(friends));
  assert.match(listed, /1 friendship; 1 more request, which wait for an answer/);
  assert.match(listed, /2 names in lists of friends could not be asked/);
  assert.deepEqual(await friendsOf("mai", "secret-two"), ["lan friend"]);
  assert.deepEqual(await friendsOf("lan", "secret-one"), ["binh asked", "mai friend"]);
  const csv = 'username,password,friends\nx1,secret-one,"x2; x3,lan"\nx2,secret-two,x1\nx3,secret-three,\n';
  assert.match(await succeeds(folder, ["import", "-"], csv), /1 friendship; 2 more requests/);
  const object = await succeeds(folder, ["import", "-"], JSON.stringify({ dung: { password: "secret-one" }, x: { username: "em", password: "secret-two" } }));
  assert.match(object, /Added 2 accounts/);
  assert.deepEqual(await names(folder), ["an", "binh", "dung", "em", "lan", "mai", "x1", "x2", "x3"]);
});

test("an import leaves existing accounts alone, and can be run again; --replace gives them the new passwords and logs them out", async (t) => {
  const tracker = await startTracker(t);
  const { folder } = tracker;
  const cookie = await register(tracker, "an");
  const csv = "an,replaced-password\nbinh,secret-two\n";
  assert.match(await succeeds(folder, ["import", "-"], csv), /Added 1 account\.\nLeft 1 account alone that exists already \(--replace/);
  assert.match(await succeeds(folder, ["import", "-"], csv), /Added 0 accounts\.\nLeft 2 accounts alone/);
  assert.equal((await login(tracker, "an", PASSWORD)).status, 200);
  assert.match(await succeeds(folder, ["import", "-", "--replace", "--dry-run"], csv), /Would replace the passwords of 2 accounts/);
  assert.equal((await ask(tracker, "GET", "/session", { headers: { Cookie: cookie } })).status, 200);
  assert.match(await succeeds(folder, ["import", "-", "--replace"], csv), /Replaced the passwords of 2 accounts, which were logged out/);
  assert.equal((await ask(tracker, "GET", "/session", { headers: { Cookie: cookie } })).status, 401);
  assert.equal((await login(tracker, "an", PASSWORD)).status, 401);
  assert.equal((await login(tracker, "an", "replaced-password")).status, 200);
  assert.equal(tracker.err, "");
});

test("many accounts are imported, each once, and some of them by two at the same time", async (t) => {
  const folder = folderFor(t);
  const csv = Array.from({ length: 24 }, (_, i) => `person${i},secret-${i}`).join("\n");
  await succeeds(folder, ["add", "first"], PASSWORD);
  const results = await Promise.all([user(folder, ["import", "-"], csv), user(folder, ["import", "-"], csv)]);
  for (const { code, err } of results) assert.equal(code, 0, err);
  const added = results.map(({ out }) => Number(/Added (\d+) account/.exec(out)[1]));
  assert.equal(added[0] + added[1], 24, added.join(" + "));
  assert.equal((await names(folder)).length, 25);
});

test("a file that is no list, or cannot be read: one sentence, and nothing is imported", async (t) => {
  const folder = folderFor(t);
  await refuses(folder, ["import", "missing.csv"], /missing\.csv cannot be read: No such file/);
  await refuses(folder, ["import", "."], /cannot be read: Is a directory/);
  for (const [text, words] of [
    ['[{"username":"an","password":"hunter2"},\nnonsense]', /-:2: From here on this is not JSON/], ["username,hash\nan,hunter2", /-:1: The header names no column "password"/],
    [Buffer.from("\ufeffan,hunter2\n", "utf16le"), /-:1: The file is UTF-16/], ["x\n".repeat(2000), /too many problems/], ["x".repeat(17 << 20), /too large/],
  ]) {
    const result = await user(folder, ["import", "-"], text);
    assert.equal(result.code, 1);
    assert.match(result.err, words);
    assert.ok(!result.err.includes("hunter2"));
    assert.equal(result.out, "");
  }
  assert.ok(!existsSync(join(folder, "data")));
});
