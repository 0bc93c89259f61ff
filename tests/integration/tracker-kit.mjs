// Starts the real program on a port of its own, and speaks to it as a browser would: forms, cookies, the tracker's socket.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { blake2b } from "@noble/hashes/blake2b";
import WebSocket from "ws";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
export const program = process.env.WEAPROUS ?? join(root, "build/release/weaprous");
export const PATIENCE_MS = 30_000;

/** Rejects with `what` when the promise takes too long. */
export function within(promise, what, ms = PATIENCE_MS) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing within ${ms} ms: ${what}`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export function newFolder() {
  return mkdtempSync(join(tmpdir(), "weaprous-test-"));
}

/** Runs the program to its end. */
export function run(args, options = {}) {
  const child = spawn(options.program ?? program, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
  const result = { out: "", err: "" };
  child.stdout.on("data", (bytes) => (result.out += bytes));
  child.stderr.on("data", (bytes) => (result.err += bytes));
  const ended = new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ ...result, code, signal }));
  });
  return within(ended, `weaprous ${args.join(" ")} to end`).finally(() => child.kill("SIGKILL"));
}

/** With WEAPROUS_BESIDE=1 every tracker of the tests has another one beside it on its folder, which holds the replica. */
export async function startTracker(t, options = {}) {
  if (!process.env.WEAPROUS_BESIDE || (options.subcommand ?? "up") !== "up" || options.command) return startOne(t, options);
  const folder = options.folder ?? newFolder();
  const other = await startOne(t, { ...options, folder, subcommand: "tracker" });
  const tracker = await startOne(t, { ...options, folder, subcommand: "tracker" });
  const { end } = tracker;
  tracker.end = async (signal) => (await other.end(signal), end(signal));
  if (!options.folder) t.after(() => rmSync(folder, { recursive: true, force: true }));
  return tracker;
}

/** `weaprous up` (or `tracker`) on a free port; `t.after` ends it and removes the folder. */
async function startOne(t, { args = [], folder, command, argsBefore = [], subcommand = "up", env = {} } = {}) {
  const own = folder ?? newFolder();
  const words = [...argsBefore, subcommand, "--server-port", "0", "--data", join(own, "data"), ...args];
  const child = spawn(command ?? program, words, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
  const tracker = { child, folder: own, out: "", err: "" };
  const ended = new Promise((resolve) => child.on("close", (code, signal) => resolve({ code, signal })));
  child.stderr.on("data", (bytes) => (tracker.err += bytes));
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    await ended;
    if (!folder) rmSync(own, { recursive: true, force: true });
  });
  await within(
    new Promise((resolve, reject) => {
      child.stdout.on("data", (bytes) => {
        tracker.out += bytes;
        if (tracker.out.includes("Ctrl-C stops")) resolve();
      });
      child.on("error", reject);
      ended.then((how) => reject(new Error(`weaprous ${subcommand} ended (${how.signal ?? how.code}): ${tracker.err}`)));
    }),
    "the start",
  );
  tracker.url = /https?:\/\/[^\s]+(?=\/)/.exec(tracker.out)[0];
  tracker.port = Number(new URL(tracker.url).port);
  tracker.end = async (signal) => {
    child.kill(signal);
    return within(ended, `the end after ${signal}`);
  };
  return tracker;
}

/** One request, exactly as told; `from` is the local address. */
export function ask(tracker, method, path, { headers = {}, body, from, agent } = {}) {
  return within(
    new Promise((resolve, reject) => {
      const request = httpRequest(
        { host: "127.0.0.1", port: tracker.port, method, path, headers, localAddress: from, agent },
        (response) => {
          const parts = [];
          response.on("data", (part) => parts.push(part));
          response.on("error", reject);
          response.on("end", () => {
            const text = Buffer.concat(parts).toString();
            let json;
            try {
              json = JSON.parse(text);
            } catch {
              // not JSON
            }
            resolve({ status: response.statusCode, headers: response.headers, text, json });
          });
        },
      );
      request.on("error", reject);
      request.end(body);
    }),
    `${method} ${path}`,
  );
}

/** POST of a JSON body by somebody who wants JSON. */
export function post(tracker, path, fields, { headers = {}, ...options } = {}) {
  return ask(tracker, "POST", path, {
    ...options,
    body: JSON.stringify(fields),
    headers: { "Content-Type": "application/json", Accept: "application/json", ...headers },
  });
}

export function cookieOf(response) {
  const line = (response.headers["set-cookie"] ?? []).find((text) => text.startsWith("session="));
  return line?.split(";")[0];
}

export const PASSWORD = "correct horse battery";

/** A new account; its session cookie. */
export async function register(tracker, username) {
  const response = await post(tracker, "/register", { username, password: PASSWORD });
  assert.equal(response.status, 200, response.text);
  return cookieOf(response);
}

// --- devices ---

/** Signs as the protocol does: domain, then BLAKE2b-256 of the bytes. */
function signedBytes(domain, bytes) {
  return Buffer.concat([Buffer.from(domain), blake2b(bytes, { dkLen: 32 })]);
}

export function newDevice() {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const id = publicKey.export({ format: "der", type: "spki" }).subarray(-32);
  return {
    id: id.toString("hex"),
    sign: (domain, bytes) => sign(null, signedBytes(domain, bytes), createPrivateKey(privateKey.export({ format: "pem", type: "pkcs8" }))),
  };
}

export function signatureIsGood(deviceId, domain, bytes, signature) {
  const der = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), Buffer.from(deviceId, "hex")]);
  return verify(null, signedBytes(domain, bytes), createPublicKey({ key: der, format: "der", type: "spki" }), signature);
}

export function proofOf(device, welcome) {
  const bytes = Buffer.concat([Buffer.from(welcome.nonce, "hex"), Buffer.from(welcome.tracker, "hex"), Buffer.from(welcome.account)]);
  return device.sign("weaprous.hello.1", bytes).toString("hex");
}

// --- the tracker's socket ---

export class Socket {
  constructor(tracker, { cookie, origin, headers = {} } = {}) {
    const all = { ...headers };
    if (cookie) all.Cookie = cookie;
    if (origin) all.Origin = origin;
    this.ws = new WebSocket(`ws://127.0.0.1:${tracker.port}/ws`, { headers: all, perMessageDeflate: false });
    this.waiting = [];
    this.seen = [];
    this.nextId = 1;
    this.ws.on("message", (data, binary) => this.#take(binary ? { type: "bytes", data } : JSON.parse(data.toString())));
    this.ws.on("error", () => {}); // the close event follows
    this.closed = new Promise((resolve) => {
      this.ws.on("close", (code, reason) => resolve({ code, reason: reason.toString() }));
      this.ws.on("unexpected-response", (_, response) => {
        resolve({ status: response.statusCode });
        response.destroy();
      });
    });
  }

  #take(message) {
    const at = this.waiting.findIndex((waiter) => waiter.wanted(message));
    if (at < 0) this.seen.push(message);
    else this.waiting.splice(at, 1)[0].resolve(message);
  }

  /** The next message that fits, also one that came before; others stay. */
  next(wanted, what = String(wanted)) {
    if (typeof wanted === "string") {
      const type = wanted;
      wanted = (message) => message.type === type && message.status === undefined;
    }
    const at = this.seen.findIndex(wanted);
    if (at >= 0) return Promise.resolve(this.seen.splice(at, 1)[0]);
    const coming = new Promise((resolve) => this.waiting.push({ wanted, resolve }));
    const gone = this.closed.then((end) => {
      throw new Error(`the socket ended (${JSON.stringify(end)}) before: ${what}`);
    });
    return within(Promise.race([coming, gone]), what);
  }

  send(message) {
    this.ws.send(typeof message === "string" ? message : JSON.stringify(message));
  }

  /** A request and its answer. */
  async ask(type, fields = {}) {
    const id = this.nextId++;
    this.send({ type, id, ...fields });
    return this.next((message) => message.id === id && message.type === type, `the answer to ${type}`);
  }

  sendBytes(relay, bytes) {
    const head = Buffer.alloc(4);
    head.writeUInt32BE(relay);
    this.ws.send(Buffer.concat([head, bytes]));
  }

  /** How it ended: {code, reason} or {status}. */
  end() {
    return within(this.closed, "the end of the socket");
  }

  close() {
    this.ws.close();
    return this.end();
  }
}

/** A socket that has said hello: {socket, device, welcome, hello, presence}. */
export async function online(t, tracker, cookie, { device = newDevice(), label = "test" } = {}) {
  const socket = new Socket(tracker, { cookie });
  t.after(() => socket.ws.terminate());
  const welcome = await socket.next("welcome");
  const hello = await socket.ask("hello", { device: device.id, proof: proofOf(device, welcome), label });
  assert.equal(hello.status, "success", JSON.stringify(hello));
  const presence = await socket.next((message) => message.type === "presence" && message.full, "the list of who is online");
  return { socket, device, welcome, hello, presence };
}
