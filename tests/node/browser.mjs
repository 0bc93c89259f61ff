// The shell in real Chromium, without the page's drawing: a small server gives the worker and the client library
// under a version of the test's choosing, and hands everything else on to a real `weaprous up`.
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { chromium } from "playwright-core";
import { root, wasmBytes } from "./load.mjs";
import { startTracker } from "./program.mjs";

const PASSWORD = "correct horse battery staple";
const PATIENCE_MS = 20_000;
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];

async function bundle(file, version) {
  const define = { __WASM_URL__: '"/core.wasm"', __VERSION__: JSON.stringify(version) };
  const entryPoints = [join(root, "client/node", file)];
  const result = await build({ entryPoints, bundle: true, write: false, format: "iife", globalName: "shell", define, logLevel: "error" });
  return result.outputFiles[0].contents;
}

/** The server in front: `front.version` names what it serves, `front.reachable` whether /ws gets through. */
async function startFront(port) {
  const front = { version: "1", reachable: true, sockets: new Set() };
  const files = async (path) => {
    if (path === "/blank") return ["text/html", "<!doctype html><title>shell</title><script src=/shell.js></script>"];
    if (path === "/core.wasm") return ["application/wasm", wasmBytes()];
    if (path === "/worker.js") return ["text/javascript", await bundle("worker.ts", front.version)];
    if (path === "/shell.js") return ["text/javascript", await bundle("index.ts", front.version)];
  };
  const server = http.createServer(async (request, response) => {
    const own = await files(new URL(request.url, "http://front").pathname);
    if (own) return response.writeHead(200, { "content-type": own[0], "cache-control": "no-store" }).end(own[1]);
    const { method, url, headers } = request;
    const passed = http.request({ port, host: "127.0.0.1", method, path: url, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    passed.on("error", () => response.destroy());
    request.pipe(passed);
  });
  server.on("upgrade", (request, client, head) => {
    if (!front.reachable) return client.destroy();
    const far = net.connect(port, "127.0.0.1", () => {
      const lines = [`GET ${request.url} HTTP/1.1`];
      for (let i = 0; i < request.rawHeaders.length; i += 2) lines.push(`${request.rawHeaders[i]}: ${request.rawHeaders[i + 1]}`);
      far.write(`${lines.join("\r\n")}\r\n\r\n`);
      far.write(head);
      far.pipe(client).pipe(far);
    });
    for (const end of [client, far]) {
      front.sockets.add(end);
      end.on("error", () => {});
      end.on("close", () => (client.destroy(), far.destroy(), front.sockets.delete(end)));
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  front.url = `http://127.0.0.1:${server.address().port}`;
  front.cut = () => front.sockets.forEach((socket) => socket.destroy());
  front.close = () => (front.cut(), server.closeAllConnections?.(), server.close());
  return front;
}

export async function openBrowserWorld() {
  const folder = mkdtempSync(join(tmpdir(), "weaprous-shell-"));
  const tracker = await startTracker(folder);
  const front = await startFront(tracker.port);
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, args: FLAGS });
  return {
    front,
    /** A browser profile of its own. */
    async person(init) {
      const context = await browser.newContext();
      if (init) await context.addInitScript(init);
      return context;
    },
    async closePeople() {
      for (const context of browser.contexts()) await context.close();
    },
    async close() {
      await browser.close();
      front.close();
      const gone = new Promise((resolve) => tracker.child.once("exit", resolve));
      tracker.child.kill("SIGTERM");
      await gone;
      rmSync(folder, { recursive: true, force: true });
    },
    /** All that the tracker has on its disk. */
    stored: () => Buffer.concat(readdirSync(folder).map((name) => readFileSync(join(folder, name)))),
    blank: async (context) => {
      const page = await context.newPage();
      await page.goto(`${front.url}/blank`);
      return page;
    },
  };
}

/** Registers or logs in, in this page's browser. */
export async function login(page, username) {
  const status = await page.evaluate(
    async ([username, password]) => {
      const post = async (path) => {
        const headers = { "content-type": "application/json", accept: "application/json" };
        return (await fetch(path, { method: "POST", headers, body: JSON.stringify({ username, password }) })).status;
      };
      const registered = await post("/register");
      return registered === 409 ? post("/login") : registered;
    },
    [username, PASSWORD],
  );
  if (status >= 300) throw new Error(`${username} cannot log in: ${status}`);
}

/** Opens the node in the page; window.events collects what it says. */
export async function start(page, options = {}) {
  await page.evaluate(async (options) => {
    window.events = [];
    window.node = await window.shell.openNode(options);
    for (const name of ["message", "delivered", "peer", "connection", "channel", "session", "gap", "warning"]) {
      window.node.on(name, (value) => window.events.push({ name, value }));
    }
    window.first = await window.node.commands.status();
  }, options);
  return page;
}

export async function until(page, look, argument, what) {
  try {
    return await (await page.waitForFunction(look, argument, { timeout: PATIENCE_MS, polling: 50 })).jsonValue();
  } catch (error) {
    const seen = await page.evaluate(() => window.events.slice(-8).map((event) => JSON.stringify(event).slice(0, 200))).catch(String);
    throw new Error(`waited too long: ${what}\n${JSON.stringify(seen, null, 1)}\n${error.message}`);
  }
}

export const status = (page) => page.evaluate(() => window.node.commands.status());
export const send = (page, text) =>
  page.evaluate(async (text) => {
    const { channels } = await window.node.commands.status();
    return window.node.commands.send({ channel: channels[0].id, text });
  }, text);
export const sees = (page, text) =>
  until(page, (text) => window.events.findLast(({ name, value }) => name === "message" && value.text === text)?.value, text, `"${text}"`);
export const linked = (page, path) =>
  until(page, async (path) => (await window.node.commands.status()).peers.find((peer) => peer.path === path), path, `a link: ${path}`);
export const texts = (page) =>
  page.evaluate(async () => {
    const { channels } = await window.node.commands.status();
    const { messages } = await window.node.commands.history({ channel: channels[0].id, limit: 500 });
    return messages.filter(({ kind }) => kind === "text").map(({ text }) => text);
  });
