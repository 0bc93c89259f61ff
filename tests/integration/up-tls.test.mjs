// `weaprous up` over HTTPS, and behind a reverse proxy that does the HTTPS.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { request as httpsRequest } from "node:https";
import { join } from "node:path";
import { connect } from "node:tls";
import { test } from "node:test";
import WebSocket from "ws";
import { PASSWORD, newFolder, post, run, startTracker, within } from "./tracker-kit.mjs";

function folderFor(t) {
  const folder = newFolder();
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A certificate of its own for localhost, made by openssl. */
function certificate(folder, name) {
  const [cert, key] = [join(folder, `${name}.pem`), join(folder, `${name}.key`)];
  execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", `/CN=${name}`,
    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", cert], { stdio: "ignore" });
  return { cert, key, ca: readFileSync(cert) };
}

function login(port, ca) {
  const body = JSON.stringify({ username: "an", password: PASSWORD });
  const headers = { accept: "application/json", "content-type": "application/json", "content-length": Buffer.byteLength(body) };
  return within(new Promise((resolve, reject) => {
    const request = httpsRequest({ host: "127.0.0.1", port, path: "/register", method: "POST", ca, headers, agent: false }, (response) => {
      response.resume().on("end", () => resolve({ status: response.statusCode, cookies: response.headers["set-cookie"] }));
    });
    request.on("error", reject).end(body);
  }), "the answer over TLS");
}

/** Whom the server says it is. */
function subject(port) {
  return within(new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().subject.CN);
      socket.end();
    });
    socket.on("error", reject);
  }), "a handshake");
}

test("pages, cookies and the socket work over HTTPS, and SIGHUP takes a new certificate", async (t) => {
  const folder = folderFor(t);
  const first = certificate(folder, "first"), second = certificate(folder, "second");
  const tracker = await startTracker(t, { folder, args: ["--tls-cert", first.cert, "--tls-key", first.key] });
  assert.match(tracker.out, /https:\/\/127\.0\.0\.1:\d+\//);
  const { status, cookies } = await login(tracker.port, first.ca);
  assert.equal(status, 200);
  for (const cookie of cookies) assert.match(cookie, /; Secure/);

  const session = /session=[^;]+/.exec(cookies.join())[0];
  const socket = new WebSocket(`wss://127.0.0.1:${tracker.port}/ws`, { ca: first.ca, headers: { cookie: session } });
  const welcome = await within(new Promise((resolve, reject) => socket.on("message", resolve).on("error", reject)), "the first words of the tracker");
  assert.equal(JSON.parse(welcome).type, "welcome");

  assert.equal(await subject(tracker.port), "first");
  writeFileSync(first.cert, readFileSync(second.cert)); // not its key yet: refused, all stays as it was
  tracker.child.kill("SIGHUP");
  await within(new Promise((resolve) => tracker.child.stderr.on("data", () => /stays as it was/.test(tracker.err) && resolve())), "the complaint");
  assert.equal(await subject(tracker.port), "first");
  writeFileSync(first.key, readFileSync(second.key));
  tracker.child.kill("SIGHUP");
  for (let i = 0; i < 200 && (await subject(tracker.port)) !== "second"; i++) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(await subject(tracker.port), "second");
  assert.equal(socket.readyState, WebSocket.OPEN, "who was there stays");
  socket.terminate();
  assert.deepEqual(await tracker.end("SIGTERM"), { code: 0, signal: null });
});

test("a trusted proxy's word about the client is believed, nobody else's", async (t) => {
  const headers = { "x-forwarded-for": "203.0.113.7", "x-forwarded-proto": "https" };
  const secure = async (tracker, name) => {
    const response = await post(tracker, "/register", { username: name, password: PASSWORD }, { headers });
    assert.equal(response.status, 200, response.text);
    return response.headers["set-cookie"].every((cookie) => cookie.includes("; Secure"));
  };
  assert.equal(await secure(await startTracker(t, { args: ["--trusted-proxies", "127.0.0.0/8"] }), "an"), true);
  assert.equal(await secure(await startTracker(t, { args: ["--trusted-proxies", "10.0.0.0/8"] }), "an"), false);
  assert.equal(await secure(await startTracker(t), "an"), false);
});

test("what cannot work is said in one sentence", async (t) => {
  const folder = folderFor(t);
  const { cert } = certificate(folder, "only");
  const data = ["--data", join(folder, "data"), "--server-port", "0"];
  const alone = await run(["up", "--tls-cert", cert]);
  assert.deepEqual([alone.code, alone.out], [2, ""]);
  assert.match(alone.err, /--tls-cert and --tls-key are only of use together\.\n$/);
  for (const [args, words] of [
    [["--tls-cert", cert, "--tls-key", cert], /HTTPS is not possible: .*only\.pem: there is no private key/],
    [["--tls-cert", join(folder, "none"), "--tls-key", cert], /HTTPS is not possible: .*none: no such file/i],
    [["--trusted-proxies", "here"], /"here" is not an address or network/],
  ]) {
    const { code, err, out } = await run(["up", ...data, ...args]);
    assert.deepEqual([code, out], [1, ""], err);
    assert.match(err, words);
    assert.equal(err.trim().split("\n").length, 1, err);
  }
});
