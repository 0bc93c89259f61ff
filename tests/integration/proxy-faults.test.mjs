// What servers do wrong, and what the client sees of it: a table. Each row is played four times: to a GET with no other
// server, to one with a good server beside (is it retried there?), to a POST with a good server beside (it must never be
// sent twice), and afterwards a good request must get its own answer and nothing that the fault left behind.
import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, figure, freePort, pause, startFullBacklog, startProxy, usingNginx, within } from "./proxy-kit.mjs";
import { Client, fine, request, startUpstream, valueOf } from "./proxy-wire.mjs";

const OK = "HTTP/1.1 200 OK\r\n";
const LONG = "x".repeat(200_000);

// What the client sees of a failure before the head of the answer, by the status.
const BAD = { status: 502 };
const LATE = { status: 504 };
// The head was passed on: the answer stops in the middle, and the client can tell.
const CUT = { status: 200, cut: true };

/** Sends bytes; then lets the client see the head before the fault goes on. */
const shown = async (wire, id, bytes) => {
  await wire.write(bytes);
  await gate(id).opened;
};

const gates = new Map();
function gate(id) {
  if (!gates.has(id)) {
    const entry = {};
    entry.opened = new Promise((resolve) => (entry.open = resolve));
    gates.set(id, entry);
  }
  return gates.get(id);
}

/** Until the proxy hangs up. */
const stall = (wire) => wire.ending();

async function oneByOne(wire, bytes) {
  for (const byte of Buffer.from(bytes)) {
    await wire.write(Buffer.from([byte]));
    await new Promise(setImmediate);
  }
}

/** A whole answer that cannot be understood. */
const says = (text) => async (wire) => {
  await wire.write(text);
  await stall(wire);
};
/** A head that is no head; the connection closes behind it. */
const saysAndEnds = (text) => async (wire) => wire.end(text);

// name, what the server does, what the client sees.
//   before: nothing of an answer came, so that a GET goes to another server (default: only for those that say so)
//   spoiled: the answer is right, but its connection must not be used again
const ROWS = [
  // --- connections ---
  ["refuses the connection", { port: "closed" }, BAD, { before: true }],
  ["does not accept the connection", { port: "full" }, LATE, { before: true }],
  ["resets the connection at once", { port: "resets" }, BAD, { before: true }],
  ["closes the connection at once", { port: "closes" }, BAD, { before: true }],
  ["resets after the request", async (wire) => wire.reset(), BAD, { before: true }],
  ["closes after the request", async (wire) => wire.close(), BAD, { before: true }],
  ["half-closes after the request", async (wire) => wire.end(), BAD, { before: true }],
  ["is silent", stall, LATE, { before: true }],

  // --- in the head ---
  ["closes in the status line", saysAndEnds("HTTP/1.1 2"), BAD],
  ["closes in the head", saysAndEnds(`${OK}Content-Length: 5\r\nX-A: b`), BAD],
  ["resets in the head", async (wire) => (await wire.write(`${OK}Content-Len`), await pause(50), wire.reset()), BAD, { before: "maybe" }],
  ["stalls in the head", says(`${OK}Content-Length: 5\r\n`), LATE],
  ["closes before the empty line", saysAndEnds(`${OK}Content-Length: 0\r\n`), BAD],

  // --- no head at all ---
  ["sends garbage", says("\x00\xff\x17 nonsense \r\n\r\n more\r\n\r\n"), BAD],
  ["sends lines of garbage", says("hello\r\nworld\r\n\r\n"), BAD],
  ["answers as HTTP/0.9", saysAndEnds("<h1>hello</h1>\n"), BAD],
  ["answers with a preface of HTTP/2", says(Buffer.from("00001204000000000000030000006400040000ffff000500004000", "hex")), BAD],
  ["answers as HTTP/2 in text", says("HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n"), BAD],
  ["answers as HTTP/3.7", says("HTTP/3.7 200 OK\r\nContent-Length: 0\r\n\r\n"), BAD],
  ["answers with TLS", says(Buffer.from("15030100020246", "hex")), BAD],
  ["answers as ssh", says("SSH-2.0-OpenSSH_9.2p1\r\n"), BAD],
  ["repeats the request", says("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), BAD],

  // --- heads that are wrong ---
  ["has a status of two digits", says("HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"), BAD],
  ["has a status of four digits", says("HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"), BAD],
  ["has the status 042", says("HTTP/1.1 042 OK\r\nContent-Length: 0\r\n\r\n"), BAD],
  ["folds a field", says(`${OK}Content-Length: 0\r\nX-A: b\r\n c\r\n\r\n`), BAD],
  ["has a space before a colon", says(`${OK}Content-Length : 0\r\n\r\n`), BAD],
  ["has no colon in a field", says(`${OK}Content-Length: 0\r\nnonsense\r\n\r\n`), BAD],
  ["has no name in a field", says(`${OK}Content-Length: 0\r\n: value\r\n\r\n`), BAD],
  ["has a NUL in a field", says(`${OK}Content-Length: 0\r\nX-A: b\0c\r\n\r\n`), BAD],
  ["has a bare CR in a field", says(`${OK}Content-Length: 0\r\nX-A: b\rX-B: c\r\n\r\n`), BAD],
  ["ends lines with LF only", says("HTTP/1.1 200 OK\nContent-Length: 0\n\n"), BAD],
  ["has a head of 200 KB", says(`${OK}X-Long: ${LONG}\r\nContent-Length: 0\r\n\r\n`), BAD],
  ["has a head without end", async (wire) => {
    while (await wire.write(`X-A: ${"y".repeat(1000)}\r\n`)) if (wire.fate) break;
  }, BAD],
  ["has 2,000 fields", says(`${OK}${"X-A: b\r\n".repeat(2000)}Content-Length: 0\r\n\r\n`), BAD],

  // --- framing that is wrong ---
  ["has two lengths", says(`${OK}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!`), BAD],
  ["has two lengths in one field", says(`${OK}Content-Length: 5, 6\r\n\r\nhello!`), BAD],
  ["has a negative length", says(`${OK}Content-Length: -5\r\n\r\nhello`), BAD],
  ["has a length with a sign", says(`${OK}Content-Length: +5\r\n\r\nhello`), BAD],
  ["has a hexadecimal length", says(`${OK}Content-Length: 0x5\r\n\r\nhello`), BAD],
  ["has an empty length", says(`${OK}Content-Length: \r\n\r\nhello`), BAD],
  ["has a length beyond 64 bits", says(`${OK}Content-Length: 99999999999999999999999\r\n\r\nhello`), BAD],
  ["has a length and chunks", says(`${OK}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`), BAD],
  ["has an unknown transfer coding", says(`${OK}Transfer-Encoding: nonsense\r\n\r\nhello`), BAD],
  ["has a coding over chunks", says(`${OK}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`), BAD],
  ["has chunks twice", says(`${OK}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`), BAD],

  // --- in the body ---
  ["resets in a body with a length", async (wire, { id }) => (await shown(wire, id, `${OK}Content-Length: 100\r\n\r\nhello`), wire.reset()), CUT],
  ["resets in a chunked body", async (wire, { id }) => (await shown(wire, id, `${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`), wire.reset()), CUT],
  ["resets in a body until the end", async (wire, { id }) => (await shown(wire, id, `${OK}\r\nhello`), wire.reset()), CUT],
  ["sends less than its length and closes", async (wire, { id }) => (await shown(wire, id, `${OK}Content-Length: 100\r\n\r\nhello`), wire.end()), CUT],
  ["sends less than its length and stalls", async (wire, { id }) => (await shown(wire, id, `${OK}Content-Length: 100\r\n\r\nhello`), stall(wire)), CUT],
  ["closes before the last chunk", async (wire, { id }) => (await shown(wire, id, `${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`), wire.end()), CUT],
  ["closes in a chunk", async (wire, { id }) => (await shown(wire, id, `${OK}Transfer-Encoding: chunked\r\n\r\n50\r\nhello`), wire.end()), CUT],
  ["closes in the trailers", async (wire, { id }) => (await shown(wire, id, `${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-A: b`), wire.end()), CUT],
  ["stalls in a chunk", async (wire, { id }) => (await shown(wire, id, `${OK}Transfer-Encoding: chunked\r\n\r\n50\r\nhello`), stall(wire)), CUT],
  ["stalls in a body until the end", async (wire, { id }) => (await shown(wire, id, `${OK}\r\nhello`), stall(wire)), CUT],
  ...[
    ["is no number", "zz\r\nhello\r\n0\r\n\r\n"],
    ["is negative", "-5\r\nhello\r\n0\r\n\r\n"],
    ["is beyond 64 bits", "fffffffffffffffff\r\nhello\r\n0\r\n\r\n"],
    ["is empty", "\r\nhello\r\n0\r\n\r\n"],
    ["is too small", "3\r\nhello\r\n0\r\n\r\n"],
    ["has an endless extension", `5;${LONG}\r\nhello\r\n0\r\n\r\n`],
  ].map(([name, bytes]) => [
    `sends a chunk whose size ${name}`,
    async (wire, { id }) => (await shown(wire, id, `${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`), await wire.write(bytes), stall(wire)),
    CUT,
  ]),
  ["sends endless trailers", async (wire, { id }) => {
    await shown(wire, id, `${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`);
    await wire.write("0\r\n");
    while (await wire.write(`X-A: ${"y".repeat(1000)}\r\n`)) if (wire.fate) break;
  }, CUT],

  // --- interim answers ---
  ["sends a flood of interim answers", async (wire) => {
    while (await wire.write("HTTP/1.1 102 Processing\r\n\r\n".repeat(100))) if (wire.fate) break;
  }, BAD],
  ["switches protocols unasked", says("HTTP/1.1 101 Switching Protocols\r\nUpgrade: nonsense\r\nConnection: upgrade\r\n\r\n"), BAD],

  // --- odd, but right ---
  ["answers byte by byte", (wire) => oneByOne(wire, `${OK}Content-Length: 5\r\n\r\nhello`), { body: "hello" }],
  ["answers in chunks byte by byte", (wire) => oneByOne(wire, `${OK}Transfer-Encoding: chunked\r\n\r\n2;a="b"\r\nhe\r\n3\r\nllo\r\n0\r\nX-T: u\r\n\r\n`), { body: "hello" }],
  ["answers until it closes", saysAndEnds(`${OK}\r\nhello`), { body: "hello" }],
  ["answers with an empty body", (wire) => wire.write(`${OK}Content-Length: 0\r\n\r\n`), { body: "" }],
  ["answers with no chunk", (wire) => wire.write(`${OK}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`), { body: "" }],
  ["answers with nothing until it closes", saysAndEnds(`${OK}\r\n`), { body: "" }],
  ["answers without a reason", (wire) => wire.write("HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello"), { body: "hello" }],
  ["answers as HTTP/1.0", saysAndEnds("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhello"), { body: "hello" }],
  ["answers as HTTP/1.0 and keeps the connection", (wire) => wire.write("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello"), { body: "hello" }],
  ["answers with a length of many zeros", (wire) => wire.write(`${OK}Content-Length: 0000000005\r\n\r\nhello`), { body: "hello" }],
  ["says 100 though nobody asked", (wire) => wire.write(`HTTP/1.1 100 Continue\r\n\r\n${OK}Content-Length: 5\r\n\r\nhello`), { body: "hello" }],
  ["gives early hints", (wire) => wire.write(`HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n${OK}Content-Length: 5\r\n\r\nhello`), { body: "hello", hints: true }],
  ["says more than its length", (wire) => wire.write(`${OK}Content-Length: 5\r\n\r\nhello and much more`), { body: "hello" }, { spoiled: true }],
  ["says a second answer behind the first", (wire) => wire.write(`${OK}Content-Length: 5\r\n\r\nhello${OK}Content-Length: 6\r\n\r\npoison`), { body: "hello" }, { spoiled: true }],
  ["says something behind the last chunk", (wire) => wire.write(`${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison`), { body: "hello" }, { spoiled: true }],
  ["says 100 behind its answer", (wire) => wire.write(`${OK}Content-Length: 5\r\n\r\nhelloHTTP/1.1 100 Continue\r\n\r\n`), { body: "hello" }, { spoiled: true }],
  ["says more and more behind its answer", (wire) => wire.write(`${OK}Content-Length: 5\r\n\r\nhello${`${OK}Content-Length: 6\r\n\r\npoison`.repeat(10_000)}`), { body: "hello" }, { spoiled: true }],
  ["says that it closes, and does not", (wire) => wire.write(`${OK}Connection: close\r\nContent-Length: 5\r\n\r\nhello`), { body: "hello" }, { spoiled: true }],
  ["closes without saying so", async (wire) => (await wire.write(`${OK}Content-Length: 5\r\n\r\nhello`), wire.end()), { body: "hello" }],
  ["resets behind its answer", async (wire, { id }) => (await shown(wire, id, `${OK}Content-Length: 5\r\n\r\nhello`), wire.reset()), { body: "hello" }],
  ["has a body with 204", (wire) => wire.write("HTTP/1.1 204 No Content\r\n\r\nhello"), { status: 204, body: "" }, { spoiled: true }],
  ["has a body with 304", (wire) => wire.write("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello"), { status: 304, body: "" }, { spoiled: true }],
  ["has an error page of its own", (wire) => wire.write("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"), { status: 503, body: "busy" }],
  ["has a status that nobody knows", (wire) => wire.write("HTTP/1.1 799 Odd\r\nContent-Length: 3\r\n\r\nodd"), { status: 799, body: "odd" }],
].map(([name, does, view, { before = view.cut || view.body !== undefined ? undefined : false, spoiled = false } = {}], index) => ({
  name,
  index,
  port: does.port,
  does: typeof does === "function" ? does : undefined,
  view: { status: 200, ...view },
  before,
  spoiled,
}));

const hostOf = ({ index }, kind) => `row-${index}-${kind}.test`;

function configurationFor(ports, good) {
  const limits = "timeout connect 1s;\n  timeout read 1s;\n  timeout send 1s;";
  const hosts = ROWS.flatMap((row) => {
    const port = ports[row.port ?? "scripted"];
    return [
      `host "${hostOf(row, "alone")}" {\n  proxy_pass http://127.0.0.1:${port};\n  ${limits}\n}`,
      `host "${hostOf(row, "beside")}" {\n  proxy_pass http://127.0.0.1:${port} weight=1000;\n  proxy_pass http://127.0.0.1:${good} weight=1;\n  ${limits}\n}`,
    ];
  });
  return [`host "good.test" {\n  proxy_pass http://127.0.0.1:${good};\n}`, ...hosts].join("\n");
}

/** One request of a row; {answer, client}. What the server waits for is let go when the head has come. */
async function play(proxy, row, kind, id, { method = "GET", body = "" } = {}) {
  const client = await Client.connect(proxy.port);
  await client.write(request(method, `/row/${row.index}?id=${id}`, hostOf(row, kind), ["Accept: text/html"], body));
  const head = await within(client.answerHead(method), `the head of the answer to "${row.name}"`);
  gate(id).open();
  if (!head) return { client, answer: null };
  const rest = await within(client.bodyOf(head), `the body of the answer to "${row.name}"`);
  return { client, answer: { ...head, ...rest, text: rest.body.toString() } };
}

/** The client's view is as the row says; the connection is kept, or ended when nothing else can tell that it was cut. */
async function judge(proxy, row, { client, answer }) {
  const { view, name } = row;
  assert.ok(answer, `${name}: the connection ended (${client.fate}) without an answer`);
  assert.equal(answer.status, view.status, `${name}: ${answer.text}`);
  if (view.cut) {
    assert.equal(answer.complete, false, `${name}: the client takes it for whole: ${JSON.stringify(answer.text)}`);
    assert.ok(answer.text.startsWith("hello"), `${name}: what came before is passed on: ${JSON.stringify(answer.text)}`);
    assert.notEqual(client.fate, null);
    return;
  }
  assert.equal(answer.complete, true, name);
  if (view.body !== undefined) assert.equal(answer.text, view.body, name);
  else if (!usingNginx) judgePage(row, answer);
  if (view.hints) assert.deepEqual(answer.interim.map(({ status, fields }) => [status, valueOf({ fields }, "link")]), [[103, "</a.css>; rel=preload"]]);
  if (answer.keeps) {
    const next = await client.ask(request("GET", "/good", "good.test"));
    assert.equal(next?.text, "good", `${name}: the connection says that it is kept, and is not`);
  } else assert.equal(await client.ending(), "end", name);
}

/** Our own pages say in words what happened. */
function judgePage({ name, view }, answer) {
  assert.match(valueOf(answer, "content-type"), /^text\/html/, name);
  assert.match(answer.text, /<p[^>]*>[^<]{20,}/, `${name}: a sentence is missing: ${answer.text}`);
  assert.ok(answer.keeps, `${name}: the client did nothing wrong, and its connection is kept`);
  assert.equal(view.status === 504, /in time|too long|did not|silent|timed out|time/i.test(answer.text), `${name}: ${answer.text}`);
}

test("the table of faults", { concurrency: 12 }, async (t) => {
  const upstream = await startUpstream(t, async (wire, message) => {
    const row = ROWS[/^\/row\/(\d+)/.exec(message.path)?.[1]];
    if (!row) return fine(wire, message);
    const body = await wire.bodyOf(message);
    assert.ok(body.complete);
    return row.does(wire, message);
  });
  const good = await startUpstream(t, (wire, message) => fine(wire, message, "good"));
  const resets = await startUpstream(t, () => {}, { accepted: (wire) => (wire.reset(), true) });
  const closes = await startUpstream(t, () => {}, { accepted: (wire) => (wire.close(), true) });
  const full = await startFullBacklog(t);
  const ports = { scripted: upstream.port, closed: await freePort(), full: full.port, resets: resets.port, closes: closes.port };
  const proxy = await startProxy(t, configurationFor(ports, good.port));

  await Promise.all(
    ROWS.map((row) =>
      t.test(`a server that ${row.name}`, async () => {
        const scripted = row.does !== undefined;

        const alone = await play(proxy, row, "alone", `alone-${row.index}`);
        await judge(proxy, row, alone);
        if (scripted) assert.equal(upstream.seen(`alone-${row.index}`).length, 1, "the only server is asked once");
        alone.client.close();

        const beside = await play(proxy, row, "beside", `beside-${row.index}`);
        const elsewhere = good.seen(`beside-${row.index}`).length;
        if (row.before === true || (row.before === "maybe" && elsewhere === 1)) {
          assert.deepEqual([beside.answer?.status, beside.answer?.text, elsewhere], [200, "good", 1], "the other server answers");
        } else {
          await judge(proxy, row, beside);
          assert.equal(elsewhere, 0, "it is not retried");
        }
        if (scripted) assert.equal(upstream.seen(`beside-${row.index}`).length, 1, "the faulty one was asked first, once");
        beside.client.close();

        const post = await play(proxy, row, "beside", `post-${row.index}`, { method: "POST", body: "precious" });
        const times = upstream.seen(`post-${row.index}`).length + good.seen(`post-${row.index}`).length;
        if (times === 1 && good.seen(`post-${row.index}`).length === 1) {
          assert.deepEqual([post.answer?.status, post.answer?.text], [200, "good"]);
        } else await judge(proxy, row, post);
        assert.ok(times <= 1, `a POST was sent ${times} times`);
        if (row.port === "closed" || row.port === "full") assert.equal(times, 1, "it can go elsewhere: nobody has had it");
        post.client.close();

        if (!scripted) return;
        const again = await Client.connect(proxy.port);
        for (const n of [1, 2]) {
          const answer = await again.ask(request("GET", `/fine?id=again-${row.index}`, hostOf(row, "alone")));
          assert.deepEqual([answer?.status, answer?.text], [200, "fine"], `request ${n} after the fault`);
        }
        again.close();
        const [faulty, next] = [`alone-${row.index}`, `again-${row.index}`].map((id) => upstream.seen(id)[0].connection);
        if (row.spoiled) assert.notEqual(next, faulty, "the connection is used again");
      }),
    ),
  );

  if (usingNginx) return;
  assert.equal(proxy.child.exitCode, null);
  // Nothing is under way any more, and of connections only those are left that are kept for later.
  await eventually(async () => {
    const of = (name) => figure(proxy, `weaprous_proxy_upstream_${name}`);
    assert.equal(await of("active_requests"), 0);
    assert.equal(await of("connections"), await of("idle_connections"));
    assert.equal(await of("connections"), upstream.open() + good.open());
  });
});
