// A server that only listens closely: it reads what the proxy sends by several readings at once, of which the strict one
// answers. Where the readings do not find the same requests, two real servers could differ too.
import { createServer } from "node:net";

/** The fields of a head as [name in small letters, value]. */
const fieldsOf = (lines, colon) =>
  lines.map((line) => {
    const match = colon.exec(line);
    return match ? [match[1].toLowerCase(), match[2]] : [line, ""];
  });
const valuesOf = (fields, pattern) => fields.filter(([name]) => pattern.test(name)).map(([, value]) => value);

/** By the letter of RFC 9112; what is not so is a fault. */
const strict = {
  name: "strict",
  lineEnd: /\r\n/,
  headEnd: /\r\n\r\n/,
  colon: /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/,
  framing(fields) {
    const lengths = valuesOf(fields, /^content-length$/);
    const codings = valuesOf(fields, /^transfer-encoding$/);
    if (lengths.length + codings.length > 1) throw new Error(`${lengths.length} lengths, ${codings.length} codings`);
    if (codings.length && codings[0] !== "chunked") throw new Error(`the coding ${codings[0]}`);
    if (lengths.length && !/^(0|[1-9]\d*)$/.test(lengths[0])) throw new Error(`the length ${lengths[0]}`);
    return { chunked: codings.length === 1, length: Number(lengths[0] ?? 0) };
  },
  size: /^([0-9a-fA-F]+)$/,
};

/** As sloppy servers do: LF is a line end, names may have spaces and underscores, numbers anything around them. */
const sloppy = {
  lineEnd: /\r?\n/,
  headEnd: /\r?\n\r?\n/,
  colon: /^\s*([^:]*?)\s*:\s*([^]*?)\s*$/,
  size: /^[\s+]*(?:0x)?([0-9a-fA-F]*)/,
};
const anyLength = (fields) => valuesOf(fields, /^content[-_ ]length/).map((value) => parseInt(value, 10) || 0);
const anyCoding = (fields) => valuesOf(fields, /^transfer[-_ ]encoding/).some((value) => /chunked/i.test(value));
/** The length counts, the last one. */
const lengthFirst = {
  ...sloppy,
  name: "length first",
  framing(fields) {
    const lengths = anyLength(fields);
    return { chunked: !lengths.length && anyCoding(fields), length: lengths.at(-1) ?? 0 };
  },
};
/** The coding counts, then the first length. */
const codingFirst = {
  ...sloppy,
  name: "coding first",
  framing(fields) {
    return { chunked: anyCoding(fields), length: anyLength(fields)[0] ?? 0 };
  },
};

/** One reading of one connection: the requests found so far. */
class Reading {
  constructor(rules) {
    this.rules = rules;
    this.text = "";
    this.at = 0;
    this.requests = []; // {line, fields, body, head}
    this.begun = null; // a request whose body is on its way
  }

  feed(text) {
    this.text += text;
    while (this.#next());
    this.text = this.text.slice(this.at);
    this.at = 0;
  }

  #match(pattern) {
    const match = pattern.exec(this.text.slice(this.at));
    if (!match) return null;
    const before = this.text.slice(this.at, this.at + match.index);
    this.at += match.index + match[0].length;
    return before;
  }

  /** True when another request is complete. */
  #next() {
    if (!this.begun) {
      const head = this.#match(this.rules.headEnd);
      if (head === null) return false;
      const [line, ...lines] = head.split(this.rules.lineEnd);
      const fields = fieldsOf(lines, this.rules.colon);
      this.begun = { line, fields, head, body: "", ...this.rules.framing(fields) };
    }
    const request = this.begun;
    if (!(request.chunked ? this.#chunks(request) : this.#length(request))) return false;
    this.begun = null;
    this.requests.push(request);
    return true;
  }

  #length(request) {
    if (this.text.length - this.at < request.length) return false;
    request.body = this.text.slice(this.at, this.at + request.length);
    this.at += request.length;
    return true;
  }

  /** True when the last chunk and its trailers are here. */
  #chunks(request) {
    for (;;) {
      const begin = this.at;
      const line = this.#match(this.rules.lineEnd);
      if (line === null) return false;
      const digits = this.rules.size.exec(line);
      if (!digits) throw new Error(`the size ${line}`);
      const size = parseInt(digits[1], 16) || 0;
      if (size === 0) return this.#trailers(request, begin);
      if (this.text.length - this.at < size + 2) {
        this.at = begin;
        return false;
      }
      request.body += this.text.slice(this.at, this.at + size);
      this.at += size;
      if (this.#match(this.rules.lineEnd) !== "") throw new Error("no end of a chunk");
    }
  }

  #trailers(request, begin) {
    const trailers = [];
    for (let line; (line = this.#match(this.rules.lineEnd)) !== ""; trailers.push(line)) {
      if (line !== null) continue;
      this.at = begin;
      return false;
    }
    request.trailers = fieldsOf(trailers, this.rules.colon);
    return true;
  }
}

const told = ({ line, body }) => `${line.split(" ").slice(0, 2).join(" ")} ${body.length}`;

/**
 * A recorder on a port of its own. `answer(request)` gives the bytes that go back, or null when the connection shall end;
 * `accepted(socket)` is called for each connection.
 *
 * seen(): what was found since the last call, ["METHOD target bytes-of-body"], after all readings agreed; throws when they do
 * not, or when something is not in order.
 */
export async function startRecorder(t, answer, { accepted } = {}) {
  const faults = [];
  let seen = [];
  const connections = new Set();
  const recorder = { count: 0 };

  const server = createServer((socket) => {
    const connection = { socket, index: ++recorder.count, readings: [strict, lengthFirst, codingFirst].map((rules) => new Reading(rules)), answered: 0 };
    connections.add(connection);
    socket.setNoDelay(true);
    socket.on("error", () => {});
    socket.on("close", () => {
      connections.delete(connection);
      judge(connection);
    });
    accepted?.(socket);
    socket.on("data", (bytes) => {
      try {
        for (const reading of connection.readings) reading.feed(bytes.toString("latin1"));
      } catch (error) {
        faults.push(`${error.message}: ${JSON.stringify(bytes.toString("latin1"))}`);
        socket.destroy();
        return;
      }
      const { requests } = connection.readings[0];
      for (; connection.answered < requests.length; connection.answered++) {
        const request = { ...requests[connection.answered], connection: connection.index, socket };
        seen.push(request);
        const bytes = answer(request);
        if (bytes === null) socket.end();
        else if (bytes !== undefined) socket.write(Buffer.from(bytes, "latin1"));
      }
    });
  });

  function judge(connection) {
    const [first, ...others] = connection.readings.map((reading) => [reading.rules.name, reading.requests.slice(-4).map(told).join("; "), reading.begun?.line]);
    for (const other of others) {
      if (other[1] !== first[1] || other[2] !== first[2])
        faults.push(`${first[0]}: ${first[1]} (${first[2]}), ${other[0]}: ${other[1]} (${other[2]})`);
    }
  }

  await new Promise((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  recorder.port = server.address().port;
  recorder.seen = () => {
    connections.forEach(judge);
    const all = seen;
    seen = [];
    if (faults.length) throw new Error(faults.splice(0).join("\n"));
    return all;
  };
  t.after(() => {
    connections.forEach(({ socket }) => socket.destroy());
    return new Promise((resolve) => server.close(resolve));
  });
  return recorder;
}

export { told };
