// The proxy between real parts: `weaprous proxy` with a configuration, nginx from Debian and our own servers behind it, a
// load of many clients in front of it, and what the system says about its process.
//
// WEAPROUS_PROXY=nginx puts nginx in the place of our proxy (the configuration is translated as far as that goes): what
// fails with both is a fault of the tests.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, readdirSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Client, request } from "./proxy-wire.mjs";
import { newFolder, program, within } from "./tracker-kit.mjs";

export { pause, within };
export const usingNginx = process.env.WEAPROUS_PROXY === "nginx";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
// Not necessarily installed: ./test unpacks the package into the build folder, for installing it would start a service.
const nginxProgram = [process.env.NGINX, "/usr/sbin/nginx", join(root, "build/nginx/usr/sbin/nginx")].find((path) => path && existsSync(path));

/** Asks again and again until `attempt` no longer throws; its last error after the deadline. */
export async function eventually(attempt, ms = 15_000) {
  for (const deadline = Date.now() + ms; ; ) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await pause(20);
    }
  }
}

let lastPort = (process.pid * 61) % 20_000;

/** A port that nobody listens on: below those that the system gives to whoever asks for any, and each only once. */
export async function freePort() {
  for (let i = 0; i < 1000; i++) {
    lastPort = (lastPort + 1) % 20_000;
    const port = 10_000 + lastPort;
    const isFree = await new Promise((resolve) => {
      const server = createServer().once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
  throw new Error("no port is free");
}

/** Resolves when somebody accepts connections on the port. */
function listens(port) {
  return eventually(async () => {
    const socket = connect(port, "127.0.0.1");
    try {
      await once(socket, "connect");
    } finally {
      socket.destroy();
    }
  });
}

export function folderOf(t) {
  const folder = newFolder();
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

// --- processes ---

// With sanitizers memory is theirs: how much of it is taken says nothing then.
const sanitized = readFileSync(program).includes("__asan_init");

/** Fails when more memory is taken than that. */
export function assertMemory(bytes, most, what) {
  assert.ok(sanitized || bytes <= most, `${what}: ${(bytes / 1024).toFixed(0)} KB, at most ${(most / 1024).toFixed(0)}`);
}

/** How many descriptors a process has open. */
export const descriptorsOf = (pid) => readdirSync(`/proc/${pid}/fd`).length;
/** How many of them are connections and listeners. The proxy keeps some pipes for later too. */
export function socketsOf(pid) {
  const folder = `/proc/${pid}/fd`;
  const isSocket = (name) => {
    try {
      return readlinkSync(join(folder, name)).startsWith("socket:");
    } catch {
      return false; // closed meanwhile
    }
  };
  return readdirSync(folder).filter(isSocket).length;
}
/** Bytes of memory that are its own and its children's (proportional set size). */
export function memoryOf(pid) {
  const own = Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))[1]) * 1024;
  return childrenOf(pid).reduce((sum, child) => sum + memoryOf(child), own);
}

/** Children of a process, which are ours as it is. */
function childrenOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** Kills a process and its children at once. */
function killAll(child) {
  const pids = childrenOf(child.pid);
  child.kill("SIGKILL");
  for (const pid of pids) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // it has gone with its parent
    }
  }
}

/**
 * Starts a program; `t.after` ends it. {child, pid, out, err, ended, end(signal)}; ready when `isReady` is true of it, which
 * is looked at whenever it says something, or when `probe` is done. endsWell: by SIGTERM, with 0.
 */
async function startProcess(t, what, command, words, { isReady = () => true, probe, cwd, endsWell = false } = {}) {
  const child = spawn(command, words, { stdio: ["ignore", "pipe", "pipe"], cwd });
  const started = { child, pid: child.pid, out: "", err: "" };
  const isOver = () => child.exitCode !== null || child.signalCode !== null;
  started.ended = new Promise((resolve) => child.on("close", (code, signal) => resolve({ code, signal })));
  started.end = (signal = "SIGTERM") => {
    if (!isOver()) signal === "SIGKILL" ? killAll(child) : child.kill(signal);
    return within(started.ended, `the end of ${what} after ${signal}: ${started.err.slice(-500)}`);
  };
  t.after(async () => {
    if (!endsWell) return isOver() || killAll(child), started.ended;
    const end = await (isOver() ? started.ended : started.end("SIGTERM")).finally(() => isOver() || killAll(child));
    assert.deepEqual(end, { code: 0, signal: null }, `${what} ends well: ${started.err.slice(-2000)}`);
  });
  const ready = new Promise((resolve, reject) => {
    const look = (stream) => (bytes) => {
      started[stream] += bytes;
      if (!probe && isReady(started)) resolve();
    };
    child.stdout.on("data", look("out"));
    child.stderr.on("data", look("err"));
    child.on("error", reject);
    started.ended.then((end) => reject(new Error(`${what} ended with ${JSON.stringify(end)}: ${started.err}`)));
    probe?.().then(resolve, reject);
  });
  await within(ready, `the start of ${what}`);
  return started;
}

/** nginx in a folder of its own. `http`: the inside of its http block, where PORT is its port. */
export async function startNginx(t, http, { port, folder = folderOf(t) } = {}) {
  assert.ok(nginxProgram, "nginx of Debian is needed: ./test integration fetches it");
  const own = port ?? (await freePort());
  const config = join(folder, "nginx.conf");
  const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((kind) => `${kind}_temp_path ${folder}/${kind};`).join(" ");
  writeFileSync(
    config,
    `${process.getuid() === 0 ? "user root;" : ""} daemon off; worker_processes 1; error_log stderr error; pid ${folder}/pid;
    events { worker_connections 4096; }
    http { access_log off; client_max_body_size 0; ${paths}\n${http.replaceAll("PORT", String(own))}\n}\n`,
  );
  const probe = () => listens(own);
  const nginx = await startProcess(t, "nginx", nginxProgram, ["-p", folder, "-c", config, "-e", "stderr"], { probe });
  return Object.assign(nginx, { port: own, folder });
}

/** `weaprous backend` on a port; it serves `www` without a login. */
export async function startBackend(t, { port = 0, folder = folderOf(t), files = {}, args = [] } = {}) {
  mkdirSync(join(folder, "static"), { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, "static", name), text);
  const words = ["backend", "--server-ip", "127.0.0.1", "--server-port", String(port), "--workers", "1", ...args];
  const isReady = ({ out }) => out.includes("Ctrl-C stops");
  const backend = await startProcess(t, "weaprous backend", program, words, { isReady, cwd: folder });
  return Object.assign(backend, { port: Number(/:(\d+)\//.exec(backend.out)[1]), folder });
}

/** A listener that never accepts, its queue full: who connects waits. {port, end} */
export async function startFullBacklog(t) {
  const script = `
    const server = require("node:net").createServer();
    server.listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => {
      require("node:fs").writeSync(1, "port " + server.address().port + "\\n");
      for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    });`;
  const isReady = ({ out }) => out.includes("\n");
  const listener = await startProcess(t, "a listener", process.execPath, ["-e", script], { isReady });
  listener.port = Number(/port (\d+)/.exec(listener.out)[1]);
  const sockets = [];
  t.after(() => sockets.forEach((socket) => socket.destroy()));
  for (;;) {
    assert.ok(sockets.length < 64, "the queue never fills");
    const socket = connect(listener.port, "127.0.0.1");
    socket.on("error", () => {}); // when the listener goes
    sockets.push(socket);
    const connected = await Promise.race([once(socket, "connect").then(() => true), pause(300).then(() => false)]);
    if (!connected) return listener;
  }
}

// --- the proxy ---

/**
 * `weaprous proxy` with the text of a configuration, on a free port, and its status page on another: {port, statusPort, pid,
 * config, ...}. `before`: words of a program that starts it; `status: false`: without the page.
 */
export async function startProxy(t, text, { args = [], before = [], workers = 1, status = true, folder = folderOf(t) } = {}) {
  if (usingNginx) return startNginx(t, asNginx(text), { folder });
  const config = join(folder, "proxy.conf");
  writeFileSync(config, text);
  const words = [...before, program, "proxy", "--server-ip", "127.0.0.1", "--server-port", "0", "--config", config, "--workers", String(workers)];
  if (status) words.push("--status", "127.0.0.1:0");
  const isReady = ({ out }) => out.includes("Ctrl-C stops");
  const proxy = await startProcess(t, "weaprous proxy", words[0], [...words.slice(1), ...args], { isReady, cwd: folder, endsWell: true });
  const portOf = (pattern) => Number(pattern.exec(proxy.out)?.[1]);
  return Object.assign(proxy, { port: portOf(/https?:\/\/[\d.]+:(\d+)/), statusPort: portOf(/Status: http:\/\/[\d.]+:(\d+)/), config });
}

/** The figures of the status page: name{labels} → value. */
export async function metricsOf(proxy) {
  const response = await fetch(`http://127.0.0.1:${proxy.statusPort}/metrics`);
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return new Map([...text.matchAll(/^([a-z_]+(?:\{[^}]*\})?) ([-+.e\d]+|NaN)$/gm)].map(([, name, value]) => [name, Number(value)]));
}

/** The sum of a figure over its labels; `labels`: text that they must contain. */
export async function figure(proxy, name, labels = "") {
  const all = await metricsOf(proxy);
  const found = [...all].filter(([key]) => key.split("{")[0] === name && key.includes(labels));
  assert.ok(found.length > 0, `${name} is not among ${[...all.keys()].join(" ")}`);
  return found.reduce((sum, [, value]) => sum + value, 0);
}

/** One request to the proxy on a connection of its own, which comes `from` an address. */
export async function askOnce(proxy, text, { from } = {}) {
  const client = await Client.connect(proxy.port, { from });
  try {
    return await client.ask(text);
  } finally {
    client.close();
  }
}

/** A configuration of ours as one of nginx: hosts, their servers, timeouts, the limit of bodies. */
function asNginx(text) {
  const parts = ["proxy_http_version 1.1; proxy_request_buffering off; proxy_buffering off; proxy_next_upstream error timeout invalid_header;"];
  const hosts = [...text.matchAll(/^\s*host ([^{]+)\{([^]*?)^\s*\}/gm)];
  for (const [index, [, names, body]] of hosts.entries()) {
    const servers = [...body.matchAll(/proxy_pass http:\/\/([^;\s]+)([^;]*);/g)];
    const directives = [];
    for (const [, kind, value] of body.matchAll(/timeout (connect|read|send) ([^;\s]+);/g)) directives.push(`proxy_${kind}_timeout ${value};`);
    for (const [, value] of body.matchAll(/max_body ([^;\s]+);/g)) directives.push(`client_max_body_size ${value};`);
    for (const [, value] of body.matchAll(/buffer (\d+)k?;/g)) directives.push(`proxy_buffers 8 ${Math.ceil(value / 8)}k;`);
    parts.push(
      `upstream group${index} { keepalive 8; ${servers.map(([, address, rest]) => `server ${address} max_fails=0${/ weight=\d+/.exec(rest) ?? ""};`).join(" ")} }`,
      `server { listen 127.0.0.1:PORT; server_name ${names.replaceAll('"', "")}; ${directives.join(" ")}`,
      `location / { proxy_pass http://group${index}; proxy_set_header Host $http_host; proxy_set_header Connection ""; } }`,
    );
  }
  return parts.join("\n");
}

// --- a load ---

/**
 * Clients that ask all the time until `stop()`: `kept` on connections that they keep, `fresh` on a new one for each request.
 * stop() answers {answered, failures: {reason: how often}}; a failure is everything but a whole 200.
 */
export function startLoad(port, host, { kept = 6, fresh = 2, method = "GET", path = "/", body = "", most = 1_000_000, judge } = {}) {
  let running = true;
  const result = { answered: 0, failures: {} };
  const fail = (reason) => (result.failures[reason] = (result.failures[reason] ?? 0) + 1);

  async function askAgain(client, close) {
    const sent = await client.write(request(method, path, host, close ? ["Connection: close"] : [], body));
    const answer = sent && (await within(client.answer(method), "an answer under load"));
    if (!answer) return fail(`no answer: ${client.fate}`);
    if (!answer.complete) return fail(`half an answer: ${client.fate}`);
    if (answer.status !== 200) return fail(`${answer.status}: ${answer.text.slice(0, 200).replace(/\s+/g, " ")}`);
    const wrong = judge?.(answer);
    if (wrong) return fail(wrong);
    result.answered++;
    return answer.keeps && !close;
  }

  async function work(close) {
    let client;
    while (running && result.answered < most) {
      let goesOn = false;
      try {
        client ??= await Client.connect(port);
        goesOn = (await askAgain(client, close)) === true;
      } catch (error) {
        fail(String(error.message).split("\n")[0]);
        await pause(10);
      }
      if (!goesOn) {
        client?.close();
        client = undefined;
      }
    }
    client?.close();
  }

  const workers = [...Array(kept).fill(false), ...Array(fresh).fill(true)].map(work);
  return {
    result,
    async stop() {
      running = false;
      await within(Promise.all(workers), "the end of the load");
      return result;
    },
  };
}
