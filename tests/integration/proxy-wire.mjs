// HTTP/1.1 by hand, from both sides of the proxy: a wire is a TCP connection that is read in exact pieces and says how it
// ended; a client speaks and judges every byte of the answers; a scripted upstream does what no real server would.
import assert from "node:assert/strict";
import { connect, createServer } from "node:net";
import { within } from "./tracker-kit.mjs";

const HEAD_MAX = 256 * 1024;
const CRLF = Buffer.from("\r\n");

/** A connection that is read in exact pieces. `fate`: null, "end" (the other side said so), "reset", or another error. */
export class Wire {
  constructor(socket) {
    this.socket = socket;
    this.bytes = Buffer.alloc(0);
    this.fate = null;
    this.received = 0;
    socket.setNoDelay(true);
    const settle = (fate) => {
      this.fate ??= fate;
      this.wake?.();
    };
    socket.on("readable", () => this.wake?.());
    socket.on("end", () => settle("end"));
    socket.on("error", (error) => settle(error.code === "ECONNRESET" || error.code === "EPIPE" ? "reset" : error.code));
    socket.on("close", () => settle("closed"));
  }

  get port() {
    return this.socket.remotePort;
  }

  /** What has come, or null at the end. Nothing is read ahead of what is asked for: a wire that nobody reads fills up. */
  async piece() {
    for (;;) {
      if (this.bytes.length > 0) {
        const all = this.bytes;
        this.bytes = Buffer.alloc(0);
        return all;
      }
      const bytes = this.socket.read();
      if (bytes) {
        this.received += bytes.length;
        return bytes;
      }
      if (this.fate) return null;
      await new Promise((resolve) => (this.wake = resolve));
      this.wake = undefined;
    }
  }

  /** Puts bytes back that belong to who reads next. */
  unread(bytes) {
    this.bytes = Buffer.concat([bytes, this.bytes]);
  }

  /** Exactly n bytes, or fewer at the end. */
  async exactly(n) {
    const parts = [];
    let have = 0;
    while (have < n) {
      const bytes = await this.piece();
      if (!bytes) break;
      parts.push(bytes.subarray(0, n - have));
      if (bytes.length > n - have) this.unread(bytes.subarray(n - have));
      have += Math.min(bytes.length, n - have);
    }
    return Buffer.concat(parts);
  }

  /** Bytes up to and with the mark; null when the end comes first (what was read is unread). */
  async until(mark) {
    let all = Buffer.alloc(0);
    for (;;) {
      const bytes = await this.piece();
      if (!bytes) {
        this.unread(all);
        return null;
      }
      const from = Math.max(0, all.length - mark.length);
      all = Buffer.concat([all, bytes]);
      const at = all.indexOf(mark, from);
      if (at >= 0) {
        this.unread(all.subarray(at + mark.length));
        return all.subarray(0, at + mark.length);
      }
      assert.ok(all.length <= HEAD_MAX, `no ${JSON.stringify(String(mark))} in ${HEAD_MAX} bytes`);
    }
  }

  async line() {
    const bytes = await this.until(CRLF);
    return bytes && bytes.subarray(0, -2).toString("latin1");
  }

  /** The first line and the fields of a head, judged strictly; null when the connection ended instead. */
  async head() {
    const bytes = await this.until(Buffer.from("\r\n\r\n"));
    if (!bytes) return null;
    const [first, ...lines] = bytes.subarray(0, -4).toString("latin1").split("\r\n");
    return { first, fields: lines.map(fieldOf), size: bytes.length };
  }

  /** Chunks until the last one: {body, trailers, chunks}, `complete: false` when the connection ended before. */
  async chunks({ keep = true } = {}) {
    const parts = [];
    const result = { body: undefined, length: 0, trailers: [], chunks: 0, complete: false };
    for (;;) {
      const line = await this.line();
      if (line === null) break;
      const size = /^([0-9a-fA-F]{1,8})(;.*)?$/.exec(line);
      assert.ok(size, `chunk size ${JSON.stringify(line)}`);
      const wanted = parseInt(size[1], 16);
      if (wanted === 0) {
        for (let trailer; (trailer = await this.line()); ) result.trailers.push(fieldOf(trailer));
        result.complete = true;
        break;
      }
      const data = await this.#data(wanted, keep && parts);
      result.length += data;
      result.chunks++;
      if (data < wanted) break;
      const end = await this.exactly(2);
      if (end.length < 2) break;
      assert.deepEqual(end, CRLF, "the end of a chunk");
    }
    result.body = Buffer.concat(parts);
    return result;
  }

  /** Reads up to `wanted` bytes, keeps them in `parts` or only counts. */
  async #data(wanted, parts) {
    let have = 0;
    while (have < wanted) {
      const bytes = await this.piece();
      if (!bytes) break;
      if (parts) parts.push(Buffer.from(bytes.subarray(0, wanted - have)));
      if (bytes.length > wanted - have) this.unread(bytes.subarray(wanted - have));
      have += Math.min(bytes.length, wanted - have);
    }
    return have;
  }

  async length(wanted, { keep = true } = {}) {
    const parts = [];
    const length = await this.#data(wanted, keep && parts);
    return { body: Buffer.concat(parts), length, trailers: [], complete: length === wanted };
  }

  /** Until the other side ends: complete when it ended in good order. */
  async toTheEnd({ keep = true } = {}) {
    const parts = [];
    const length = await this.#data(Infinity, keep && parts);
    return { body: Buffer.concat(parts), length, trailers: [], complete: this.fate === "end" };
  }

  /** How the other side ends, whatever it still sends. */
  async ending() {
    while (await this.piece());
    return this.fate;
  }

  /** Resolves when the bytes are on their way, or the connection is no more. */
  async write(bytes) {
    if (this.socket.destroyed || this.socket.writableEnded) return false;
    if (this.socket.write(bytes)) return true;
    await new Promise((resolve) => {
      const done = () => {
        this.socket.off("drain", done).off("close", done);
        resolve();
      };
      this.socket.on("drain", done).on("close", done);
    });
    return !this.socket.destroyed;
  }

  end(bytes) {
    this.socket.end(bytes);
  }

  close() {
    this.socket.destroy();
  }

  /** A reset; not while a half-close is under way, which Node would never come back from. */
  reset() {
    if (this.socket.writableEnded || this.socket.connecting) this.socket.destroy();
    else this.socket.resetAndDestroy();
  }
}

function fieldOf(line) {
  const match = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\r\n\0]*?)[ \t]*$/.exec(line);
  assert.ok(match, `a field: ${JSON.stringify(line)}`);
  return [match[1].toLowerCase(), match[2]];
}

/** All values of a field. */
export const allOf = (message, name) => message.fields.filter(([own]) => own === name).map(([, value]) => value);
export const valueOf = (message, name) => allOf(message, name)[0];

// --- the client's side ---

export class Client extends Wire {
  static async connect(port, { from, highWaterMark } = {}) {
    const socket = connect({ host: "127.0.0.1", port, localAddress: from, allowHalfOpen: true, highWaterMark });
    const client = new Client(socket);
    await within(
      new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject)),
      "a connection to the proxy",
    );
    return client;
  }

  /** The head of the next answer: {status, minor, reason, fields, framing, length, interim: [earlier 1xx]}. */
  async answerHead(method = "GET") {
    const interim = [];
    for (;;) {
      const head = await this.head();
      if (!head) return null;
      const line = /^HTTP\/1\.([01]) ([1-9]\d\d) ([^\0-\x08\x0a-\x1f]*)$/.exec(head.first);
      assert.ok(line, `a status line: ${JSON.stringify(head.first)}`);
      const answer = { ...head, minor: Number(line[1]), status: Number(line[2]), reason: line[3], interim };
      if (answer.status >= 100 && answer.status < 200 && answer.status !== 101) {
        interim.push(answer);
        continue;
      }
      const lengths = allOf(answer, "content-length");
      const codings = allOf(answer, "transfer-encoding");
      assert.ok(lengths.length <= 1 && codings.length <= 1 && lengths.length + codings.length <= 1, `one framing: ${head.first}`);
      if (lengths.length) assert.match(lengths[0], /^\d+$/);
      if (codings.length) assert.equal(codings[0], "chunked");
      answer.length = lengths.length ? Number(lengths[0]) : undefined;
      answer.framing =
        method === "HEAD" || answer.status === 101 || answer.status === 204 || answer.status === 304
          ? "none"
          : codings.length
            ? "chunked"
            : lengths.length
              ? "length"
              : "close";
      answer.keeps = answer.framing !== "close" && saysKeep(answer);
      return answer;
    }
  }

  /** The next answer with its body: {..., body, text, trailers, complete}; null when the connection ended instead. */
  async answer(method = "GET", { keep = true } = {}) {
    const head = await this.answerHead(method);
    if (!head) return null;
    const body = await this.bodyOf(head, { keep });
    return { ...head, ...body, text: body.body.toString() };
  }

  bodyOf(head, { keep = true } = {}) {
    if (head.framing === "none") return { body: Buffer.alloc(0), length: 0, trailers: [], complete: true };
    if (head.framing === "chunked") return this.chunks({ keep });
    if (head.framing === "length") return this.length(head.length, { keep });
    return this.toTheEnd({ keep });
  }

  /** Sends a request and reads its answer. */
  async ask(text, { method, ...options } = {}) {
    await this.write(text);
    return within(this.answer(method ?? /^[A-Z]+/.exec(String(text))?.[0], options), `the answer to ${String(text).slice(0, 60)}`);
  }
}

function saysKeep(message) {
  const words = allOf(message, "connection").join(",").toLowerCase().split(/\s*,\s*/);
  return message.minor === 1 ? !words.includes("close") : words.includes("keep-alive") && !words.includes("close");
}

/** A request as text. Fields: an array of lines, or of nothing for a field that is not sent. */
export function request(method, target, host, lines = [], body = "") {
  const length = body.length && !lines.some((line) => /^(content-length|transfer-encoding):/i.test(line)) ? [`Content-Length: ${Buffer.byteLength(body)}`] : [];
  return [`${method} ${target} HTTP/1.1`, `Host: ${host}`, ...length, ...lines, "", body].join("\r\n");
}

// --- the server's side ---

/** One connection of the proxy to a scripted upstream. */
class Served extends Wire {
  /** The next request, its body not read yet; null at the end. */
  async request() {
    const head = await this.head();
    if (!head) return null;
    const [method, target, version] = head.first.split(" ");
    const message = { ...head, method, target, version, path: target.split("?")[0], id: /[?&]id=([^&]*)/.exec(target)?.[1] };
    message.host = valueOf(message, "host");
    const length = valueOf(message, "content-length");
    const chunked = valueOf(message, "transfer-encoding") !== undefined;
    message.framing = chunked ? "chunked" : length === undefined ? "none" : "length";
    message.length = length === undefined ? undefined : Number(length);
    return message;
  }

  bodyOf(message, { keep = true } = {}) {
    if (message.framing === "chunked") return this.chunks({ keep });
    if (message.framing === "length") return this.length(message.length, { keep });
    return Promise.resolve({ body: Buffer.alloc(0), length: 0, trailers: [], complete: true });
  }
}

/**
 * A server of scripts on a port of its own. `handler(wire, request)` is called for each request and does what it
 * likes; when it has read the body and returns, the next request on the connection is awaited. `accepted(wire)` is called
 * for each connection; when it returns true the connection is its own. strict: what goes wrong here fails the test.
 *
 * upstream: {port, connections (so far), open (now), requests: [...] (all heads seen), seen(id): those with ?id=}.
 */
export async function startUpstream(t, handler, { accepted, port = 0, ip = "127.0.0.1", strict = true } = {}) {
  const wires = new Set();
  const upstream = { connections: 0, requests: [], errors: [], open: () => wires.size, wires };
  const server = createServer({ allowHalfOpen: true, highWaterMark: 256 * 1024 }, async (socket) => {
    const wire = new Served(socket);
    wires.add(wire);
    wire.index = ++upstream.connections;
    socket.once("close", () => {
      wires.delete(wire);
      upstream.changed?.();
    });
    try {
      if (await accepted?.(wire)) return;
      for (;;) {
        const message = await wire.request();
        if (!message) break;
        message.connection = wire.index;
        upstream.requests.push(message);
        upstream.changed?.();
        await handler(wire, message);
        if (wire.socket.destroyed || wire.socket.writableEnded) break;
      }
    } catch (error) {
      upstream.errors.push(error);
    }
    // Half-closed by the proxy: this side ends too; what it still sends after an end of ours is read away.
    if (!wire.socket.writableEnded) wire.end();
    await wire.ending();
  });
  await new Promise((resolve, reject) => server.once("error", reject).listen(port, ip, resolve));
  upstream.port = server.address().port;
  upstream.seen = (id) => upstream.requests.filter((message) => message.id === id);
  upstream.cut = () => wires.forEach((wire) => wire.close());
  /** No new connections, and all there are end now. */
  upstream.stop = async () => {
    if (!server.listening) return;
    const closed = new Promise((resolve) => server.close(resolve));
    upstream.cut();
    await closed;
  };
  t.after(async () => {
    await upstream.stop();
    if (strict) assert.deepEqual(upstream.errors, [], "what the upstream saw was well-formed");
  });
  return upstream;
}

/** Answers a request whose body has been read (or is read now) with 200 and a text. */
export async function fine(wire, message, text = "fine", lines = []) {
  const body = await wire.bodyOf(message, { keep: false });
  if (!body.complete) return false;
  const payload = message.method === "HEAD" ? "" : text;
  return wire.write(["HTTP/1.1 200 OK", `Content-Length: ${Buffer.byteLength(text)}`, ...lines, "", payload].join("\r\n"));
}
