// STUN and TURN for browsers: the credentials that the tracker makes are good at a real coturn, and end.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHmac, randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { newFolder, post, register, run, startTracker, within } from "./tracker-kit.mjs";

const SECRET = "a secret of two servers";

async function freePort() {
  const socket = createSocket("udp4");
  await new Promise((resolve) => socket.bind(0, "127.0.0.1", resolve));
  const { port } = socket.address();
  await new Promise((resolve) => socket.close(resolve));
  return port;
}

/** Asks until a STUN server answers there (RFC 8489: a binding request). */
async function answersStun(port) {
  const socket = createSocket("udp4");
  const question = Buffer.concat([Buffer.from("000100002112a442", "hex"), randomBytes(12)]);
  const answered = new Promise((resolve) => socket.once("message", resolve));
  const timer = setInterval(() => socket.send(question, port, "127.0.0.1"), 50);
  await answered;
  clearInterval(timer);
  socket.close();
}

async function startTurn(t, folder) {
  const port = await freePort();
  const options = [
    "-n", "--use-auth-secret", `--static-auth-secret=${SECRET}`, "--realm=weaprous.test", "--listening-ip=127.0.0.1",
    "--relay-ip=127.0.0.1", `--listening-port=${port}`, "--no-tls", "--no-dtls", "--no-cli", "--allow-loopback-peers",
    `--pidfile=${join(folder, "turn.pid")}`, "--log-file=stdout", "--no-software-attribute", `--userdb=${join(folder, "turn.db")}`,
  ];
  const child = spawn("turnserver", options, { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
  const ended = new Promise((resolve) => child.on("close", resolve));
  t.after(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (bytes) => (said += bytes));
  child.on("error", (error) => (said += error));
  await within(Promise.race([answersStun(port), ended.then(() => assert.fail(`coturn ended: ${said}`))]), "coturn to answer");
  return port;
}

/** Whether coturn lets in: a client that sends a few messages to itself through the relay. */
async function letsIn(port, username, credential) {
  const { out, err } = await run(["-y", "-n", "3", "-m", "1", "-l", "100", "-p", String(port), "-u", username, "-w", credential, "127.0.0.1"], { program: "turnutils_uclient" });
  const received = /tot_recv_msgs=(\d+)/g;
  let most = 0;
  for (const [, number] of `${out}${err}`.matchAll(received)) most = Math.max(most, Number(number));
  return most > 0;
}

const credentialOf = (username, secret = SECRET) => createHmac("sha1", secret).update(username).digest("base64");

test("coturn takes the credentials of the tracker, and none that have ended or are of another secret", async (t) => {
  const folder = newFolder();
  const port = await startTurn(t, folder);
  const file = join(folder, "secret");
  writeFileSync(file, `${SECRET}\n`);
  const servers = join(folder, "servers");
  writeFileSync(servers, `# ours\nstun:127.0.0.1:${port}\nturn:127.0.0.1:${port}?transport=udp\n`);
  const tracker = await startTracker(t, { args: ["--ice-servers", servers, "--turn-secret", file] });
  assert.equal((await post(tracker, "/call/ice-servers", {})).status, 401);
  const cookie = await register(tracker, "an");
  const { json } = await post(tracker, "/call/ice-servers", {}, { headers: { Cookie: cookie } });
  const [stun, turn] = json.ice_servers;
  assert.deepEqual(stun, { urls: [`stun:127.0.0.1:${port}`] });
  assert.deepEqual(turn.urls, [`turn:127.0.0.1:${port}?transport=udp`]);
  const [ends, account] = turn.username.split(":");
  assert.equal(account, "an");
  assert.ok(Math.abs(Number(ends) - Date.now() / 1000 - json.ttl_s) < 60);
  assert.equal(turn.credential, credentialOf(turn.username));

  assert.equal(await letsIn(port, turn.username, turn.credential), true);
  const over = `${Math.floor(Date.now() / 1000) - 10}:an`;
  assert.equal(await letsIn(port, over, credentialOf(over)), false, "ended");
  assert.equal(await letsIn(port, turn.username, credentialOf(turn.username, "another secret")), false, "another secret");
  const longer = `${Number(ends) + 3600}:an`;
  assert.equal(await letsIn(port, longer, turn.credential), false, "made longer");
});

test("without configuration there are no servers; what cannot be is refused at the start, in words", async (t) => {
  const tracker = await startTracker(t);
  const cookie = await register(tracker, "an");
  const { json } = await post(tracker, "/call/ice-servers", {}, { headers: { Cookie: cookie } });
  assert.deepEqual(json.ice_servers, []);
  const folder = newFolder();
  const short = join(folder, "short");
  writeFileSync(short, "short\n");
  const cases = [
    [["--ice-servers", "stun:a b"], /"b" is no STUN/],
    [["--ice-servers", "stun:host?transport=udp"], /no STUN/],
    [["--ice-servers", "turn:host:3478"], /--turn-secret/],
    [["--ice-servers", "turn:host:3478", "--turn-secret", short], /first line/],
    [["--ice-servers", join(folder, "nothing")], /cannot be read/],
    [["--ice-servers", Array(17).fill("stun:host").join(",")], /more than 16/],
  ];
  for (const [args, words] of cases) {
    const { code, err } = await run(["up", "--server-port", "0", "--data", join(folder, "data"), ...args]);
    assert.notEqual(code, 0, args.join(" "));
    assert.match(err, words);
  }
});
