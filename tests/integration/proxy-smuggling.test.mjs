// Requests and answers that two servers could understand differently, through the proxy: the client gets as many answers as
// the server behind sees requests, by whatever reading; what the proxy's parser refuses never gets there; nobody gets what
// was meant for somebody else. The cases are in proxy-smuggling-requests.mjs and proxy-smuggling-answers.mjs.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { answers, POISON } from "./proxy-smuggling-answers.mjs";
import { groups } from "./proxy-smuggling-requests.mjs";
import { eventually, folderOf, startBackend, startNginx, startProxy, usingNginx, within } from "./proxy-kit.mjs";
import { startRecorder, told } from "./proxy-recorder.mjs";
import { allOf, Client, valueOf } from "./proxy-wire.mjs";

const PIECE_BYTES = 7;
const PIECES_MAX = 60;
const LAST = "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const NEXT = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";

const bytesOf = (text) => Buffer.from(text, "latin1");
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** "200 400." → {statuses: [200, 400], ends: true}, for each set. */
const setsOf = (text) =>
  text.split(" | ").map((set) => ({ statuses: set.replace(".", "").split(" ").map(Number), ends: set.endsWith(".") }));

/** Writes all at once, or in pieces that the proxy is likely to see one by one. */
async function send(client, bytes, inPieces) {
  const size = inPieces ? Math.max(PIECE_BYTES, Math.ceil(bytes.length / PIECES_MAX)) : bytes.length;
  for (let at = 0; at < bytes.length; at += size) {
    if (!(await client.write(bytes.subarray(at, at + size)))) return;
    if (inPieces) await turn();
  }
}

/** Plays one case; the answers that the client got to it, after they were found to be the ones expected. */
async function play(port, [name, text, wanted, ...expected], { inPieces = false, isRight } = {}) {
  const client = await Client.connect(port);
  const sets = setsOf(wanted);
  const methodAt = (i) => (expected[i] ?? "GET").split(" ")[0];
  try {
    await send(client, bytesOf(text), inPieces);
    const got = [];
    while (got.length < sets[0].statuses.length) {
      const answer = await within(client.answer(methodAt(got.length)), `answer ${got.length + 1} of ${wanted} to ${name}`);
      assert.ok(answer, `${got.map(({ status }) => status)}, then the connection ended (${client.fate}) instead of ${wanted}`);
      assert.ok(answer.complete, `the whole answer ${answer.status}`);
      got.push(answer);
    }
    const right = (set) => got.every((answer, i) => answer.status === set.statuses[i] || isRight?.(answer));
    const set = sets.find(right);
    assert.ok(set, `${got.map(({ status }) => status)} instead of ${wanted}`);
    if (!set.ends) {
      const last = await client.ask(LAST);
      assert.ok(last?.complete, `the connection goes on after ${wanted}`);
      got.push(last);
    }
    const rest = await within(client.toTheEnd(), "the end");
    assert.equal(rest.body.toString("latin1"), "", "nothing comes after the answers");
    return got;
  } finally {
    client.close();
  }
}

/** Plays cases one after the other; all that went wrong at once. */
async function playAll(cases, playOne) {
  const wrong = [];
  for (const one of cases) {
    try {
      await playOne(one);
    } catch (error) {
      wrong.push(`${one[0]}: ${error.message.slice(0, 500)}`);
    }
  }
  if (wrong.length) assert.fail(wrong.join("\n"));
}

const proxyTo = (t, port, more = "") => startProxy(t, `host "a" {\n    proxy_pass http://127.0.0.1:${port};\n    ${more}\n}\n`);

// --- what a server sees ---

const ONCE = ["host", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip", "forwarded", "x-request-id"];
const NEVER = /^(keep-alive|proxy-connection|expect|http2-settings|proxy|(transfer|content)_(encoding|length)|x_(forwarded|real|request).*)$/;

/** What reaches a server was written by the proxy. */
function judge(request) {
  assert.match(request.line, /^[!-~]+ [!-~]+ HTTP\/1\.1$/);
  assert.ok(!request.line.includes("/secret"), `the server saw ${request.line}`);
  for (const name of ONCE) assert.equal(allOf(request, name).length, 1, `${name} in ${request.head}`);
  assert.ok(!request.head.includes("6.6.6.6"), `what the client said of itself in ${request.head}`);
  assert.equal(valueOf(request, "host").toLowerCase(), "a");
  assert.equal(valueOf(request, "x-forwarded-for"), "127.0.0.1");
  for (const [name] of [...request.fields, ...(request.trailers ?? [])]) assert.doesNotMatch(name, NEVER);
  assert.match(allOf(request, "via").at(-1), /^1\.[01] [-a-z0-9]+$/);
  for (const [name] of request.trailers ?? []) assert.equal(name, "x-sum", "a trailer");
}

function answerTo(request) {
  const [method, target] = request.line.split(" ");
  const status = /^\/status\/(\d+)/.exec(target)?.[1] ?? "200";
  const body = told(request);
  return `HTTP/1.1 ${status} Told\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${method === "HEAD" ? "" : body}`;
}

for (const inPieces of [false, true]) {
  for (const [group, cases] of groups) {
    test(`${group}: ${cases.length} requests, ${inPieces ? "in pieces" : "whole"}`, async (t) => {
      const recorder = await startRecorder(t, answerTo);
      const proxy = await proxyTo(t, recorder.port);
      await playAll(cases, async (one) => {
        const got = await play(proxy.port, one, { inPieces });
        const seen = recorder.seen();
        const ends = got.length === setsOf(one[2])[0].statuses.length;
        const expected = [...one.slice(3), ...(ends ? [] : ["GET /last 0"])];
        assert.deepEqual(seen.map(told), expected, "what the server saw");
        seen.forEach(judge);
        const own = got.filter((answer) => answer.reason === "Told");
        assert.equal(own.length, seen.length, "answers of the server");
        own.forEach((answer, i) => assert.equal(answer.text, expected[i].startsWith("HEAD") ? "" : expected[i]));
        await next(proxy, recorder);
      });
      const requests = cases.length * 2;
      assert.ok(recorder.count < requests / 2 + 10, `${recorder.count} connections: those to the server are used again`);
    });
  }
}

test("trailers that say nothing of the message pass both ways", async (t) => {
  const recorder = await startRecorder(t, () => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 2\r\nVia: x\r\n\r\n");
  const proxy = await proxyTo(t, recorder.port);
  const client = await Client.connect(proxy.port);
  const answer = await client.ask("POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 5\r\nVia: x\r\n\r\n");
  client.close();
  assert.deepEqual(answer.trailers, [["x-sum", "2"]]);
  const [request] = recorder.seen();
  assert.deepEqual(request.trailers, [["x-sum", "5"]]);
  assert.equal(valueOf(request, "te"), "trailers");
});

/** Another client gets its own answer. */
async function next(proxy, recorder) {
  const [answer] = await play(proxy.port, ["next", NEXT, "200", "GET /next 0"]);
  assert.equal(answer.text, "GET /next 0", "the answer to the next client");
  assert.deepEqual(recorder.seen().map(told), ["GET /next 0", "GET /last 0"]);
}

// --- what a client gets ---

/** What the client got, in the words of the table. */
async function gets(client, method) {
  const answer = await within(client.answer(method).catch((error) => ({ broken: error })), "an answer");
  if (!answer || answer.broken || !answer.complete) return "cut";
  assert.notEqual(answer.reason, "Poisoned", "the answer that nobody asked for");
  if (answer.status === 502) return "502";
  for (const [name] of answer.trailers) assert.doesNotMatch(name, /^(content-length|transfer-encoding)$/);
  return `${answer.status} ${answer.text}`;
}

for (const inPieces of [false, true]) {
  for (const [group, cases] of answers) {
    test(`${group}: ${cases.length}, ${inPieces ? "in pieces" : "whole"}`, async (t) => {
      let current;
      const recorder = await startRecorder(t, (request) => {
        if (!request.line.includes(" /case ")) return answerTo(request);
        const { socket } = request;
        const [, , bytes, , { end } = {}] = current;
        const client = { write: async (part) => !socket.destroyed && (socket.write(part), true) };
        current.closed = new Promise((resolve) => socket.once("close", resolve));
        current.socket = socket;
        send(client, bytesOf(bytes), inPieces).then(() => end && socket.end());
        return undefined;
      });
      const proxy = await proxyTo(t, recorder.port);
      await playAll(cases, async (one) => {
        current = one;
        const [, method, , wanted, { lines = "", late, more } = {}] = one;
        const client = await Client.connect(proxy.port);
        try {
          await client.write(`${method} /case HTTP/1.1\r\nHost: a\r\n${lines}${method === "POST" ? "Content-Length: 0\r\n" : ""}\r\n`);
          const got = await gets(client, method);
          assert.ok(wanted.split(" | ").includes(got) || (wanted === "cut" && got === "502"), `${got} instead of ${wanted}`);
          if (late) current.socket.write(bytesOf(late));
          if (more) await within(current.closed, "the end of a connection on which a server speaks unasked", 10_000);
          if (got !== "cut" && !client.fate) {
            const last = await client.ask(LAST);
            assert.equal(last?.text, "GET /last 0", "the connection goes on");
          }
        } finally {
          client.close();
        }
        recorder.seen();
        await next(proxy, recorder);
      });
    });
  }
}

/** Waits until bytes lie in the kernel for the socket with these ports (proc(5), /proc/net/tcp). */
const arrives = (local, remote) =>
  eventually(() => {
    const hex = (port) => port.toString(16).toUpperCase().padStart(4, "0");
    const row = new RegExp(`:${hex(local)} [0-9A-F]{8}:${hex(remote)} 01 [0-9A-F]{8}:([0-9A-F]{8})`).exec(readFileSync("/proc/net/tcp", "latin1"));
    assert.ok(parseInt(row?.[1], 16) > 0, `bytes on the way from port ${remote} to port ${local}`);
  });

/** Stops a process; resolves when it does not run any more. */
async function halt({ child, pid }) {
  child.kill("SIGSTOP");
  await eventually(() => assert.match(readFileSync(`/proc/${pid}/stat`, "latin1"), /\) T /));
}

for (const method of ["GET", "POST"]) {
  test(`what comes together with a ${method} is not its answer`, { skip: usingNginx && "another process would have to be stopped" }, async (t) => {
    let kept;
    const recorder = await startRecorder(t, (request) => {
      kept = request.socket;
      return answerTo(request);
    });
    const proxy = await proxyTo(t, recorder.port);
    const client = await Client.connect(proxy.port);
    const text = `${method} /next HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n`;
    for (let i = 0; i < 3; i++) {
      assert.equal((await client.ask(text)).text, `${method} /next 0`);
      // Both wait for the proxy when it goes on: the request first, then what would be the answer.
      await halt(proxy);
      await client.write(text);
      await arrives(proxy.port, client.socket.localPort);
      kept.write(POISON);
      await arrives(kept.remotePort, recorder.port);
      proxy.child.kill("SIGCONT");
      const answer = await within(client.answer(), "an answer");
      assert.equal(answer?.text, `${method} /next 0`, "the answer that was asked for");
    }
    client.close();
  });
}

// --- real servers behind ---

/** The requests of an access log, each between quotes; "-" is one that the server could not read. */
const loggedIn = (file) => [...readFileSync(file, "latin1").matchAll(/^[^"]*"([^"]*)"/gm)].map(([, line]) => line);

/** What a server logs is what the client gets answers to, by that server: `isOwn` tells which these are. */
async function countBoth(proxy, log, isOwn) {
  const expected = [];
  await playAll(groups.flatMap(([, cases]) => cases), async (one) => {
    const got = await play(proxy.port, one, { isRight: isOwn });
    const lines = [...one.slice(3).map((text) => text.replace(/ \d+$/, "")), "GET /last"];
    const own = got.filter(isOwn).length;
    assert.ok(own === lines.length || own === lines.length - 1, `${own} answers of the server to ${lines}`);
    expected.push(...lines.slice(0, own));
  });
  const logged = await eventually(() => {
    const lines = loggedIn(log);
    assert.equal(lines.length, expected.length, "requests in the log of the server");
    return lines;
  });
  logged.forEach((line, i) => line === "-" || assert.equal(line, `${expected[i]} HTTP/1.1`));
}

test("nginx sees the requests that the client gets answers to", async (t) => {
  const folder = folderOf(t);
  const log = join(folder, "seen.log");
  const nginx = await startNginx(
    t,
    `log_format seen '"$request"'; server { listen 127.0.0.1:PORT; access_log ${log} seen; location / { return 200 "fine"; } }`,
    { folder },
  );
  const proxy = await proxyTo(t, nginx.port);
  await countBoth(proxy, log, (answer) => valueOf(answer, "server")?.startsWith("nginx"));
});

test("our own server sees the requests that the client gets answers to", async (t) => {
  const folder = folderOf(t);
  const log = join(folder, "seen.log");
  const backend = await startBackend(t, { folder, args: ["--access-log", log] });
  const proxy = await proxyTo(t, backend.port);
  await countBoth(proxy, log, (answer) => valueOf(answer, "referrer-policy") !== undefined);
});
