// Reads the conformance table (its form is told in table.h) and plays a case to a server over TCP.
import { readdirSync, readFileSync } from "node:fs";
import net from "node:net";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = join(dirname(fileURLToPath(import.meta.url)), "table");
const OPCODES = { cont: 0, text: 1, binary: 2, op3: 3, op7: 7, op11: 11, op15: 15, close: 8, ping: 9, pong: 10 };
const MASK = [0x37, 0xfa, 0x21, 0x3d];
const PATIENCE_MS = 20_000;

/** The bytes that a text of the table stands for. */
export function bytesOf(text) {
  const letters = { r: "\r", n: "\n", t: "\t", 0: "\0", s: " ", "\\": "\\" };
  const binary = Buffer.from(text).toString("latin1");
  const repeated = binary.replace(/\\\((\d+)\*([^)]*)\)/g, (_, count, part) => part.repeat(Number(count)));
  const plain = repeated.replace(/\\(?:x([0-9a-fA-F]{2})|(.))/gs, (all, hex, letter) => {
    if (hex) return String.fromCharCode(parseInt(hex, 16));
    if (!(letter in letters)) throw new Error(`there is no such escape: ${all} in ${text}`);
    return letters[letter];
  });
  return Buffer.from(plain, "latin1");
}

/** Payload of a frame; of a close frame "CODE REASON". */
function payloadOf(opcode, text) {
  const [, code, reason] = (opcode === 8 && /^(\d+) ?(.*)$/s.exec(text)) || [];
  if (!code) return { payload: bytesOf(text), anyReason: false };
  return { payload: Buffer.concat([Buffer.from([code >> 8, code & 255]), bytesOf(reason)]), anyReason: !reason };
}

export function frame(opcode, payload, { fin = true, masked = true, rsv = 0, form, claims } = {}) {
  const len = BigInt(claims ?? payload.length);
  const kind = form ?? (len > 65535n ? 64 : len > 125n ? 16 : 7);
  const head = [(fin ? 0x80 : 0) | rsv | opcode, (masked ? 0x80 : 0) | (kind === 64 ? 127 : kind === 16 ? 126 : Number(len))];
  for (let i = kind === 64 ? 8 : kind === 16 ? 2 : 0; i > 0; i--) head.push(Number((len >> BigInt(8 * (i - 1))) & 255n));
  if (masked) head.push(...MASK);
  const body = Buffer.from(payload);
  if (masked) for (let i = 0; i < body.length; i++) body[i] ^= MASK[i % 4];
  return Buffer.concat([Buffer.from(head), body]);
}

function frameOf(text) {
  const options = {};
  let words = text.split(" ");
  for (; ; words = words.slice(1)) {
    const word = words[0];
    if (word === "more") options.fin = false;
    else if (word === "unmasked") options.masked = false;
    else if (/^rsv[123]$/.test(word)) options.rsv = (options.rsv ?? 0) | (0x80 >> Number(word[3]));
    else if (/^len(16|64)$/.test(word)) options.form = Number(word.slice(3));
    else if (word.startsWith("claims=")) options.claims = BigInt(word.slice(7));
    else break;
  }
  const opcode = OPCODES[words[0]];
  if (opcode === undefined) throw new Error(`there is no such kind of frame: ${text}`);
  return { opcode, options, ...payloadOf(opcode, words.slice(1).join(" ")) };
}

function steps(lines) {
  const c = { site: "default", steps: [] };
  const send = (bytes) => {
    const last = c.steps.at(-1);
    if (last?.send) last.send = Buffer.concat([last.send, bytes]);
    else c.steps.push({ send: bytes });
  };
  for (const line of lines) {
    const [, key, text] = /^(\S+) ?(.*)$/s.exec(line);
    if (key === ">") send(Buffer.concat([bytesOf(text), Buffer.from("\r\n")]));
    else if (key === ">>") send(bytesOf(text));
    else if (key === "f>") {
      const f = frameOf(text);
      send(frame(f.opcode, f.payload, f.options));
    } else if (key === "f<") c.steps.push({ frame: frameOf(text) });
    else if (key === "ws") {
      send(
        Buffer.concat([
          Buffer.from("GET "),
          bytesOf(text),
          Buffer.from(
            " HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
          ),
        ]),
      );
      c.steps.push({ status: 101, checks: [{ kind: "<f", text: "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" }] });
    } else if (key === "<") {
      const [, status, optional, bodiless] = /^(\d+)(\?)?( bodiless)?$/.exec(text);
      c.steps.push({ status: Number(status), optional: !!optional, bodiless: !!bodiless, checks: [] });
    } else if (/^<[f!b~]$/.test(key)) c.steps.at(-1).checks.push({ kind: key, text });
    else if (key === "site") c.site = text;
    else if (key === "=") c.ending = text;
    else throw new Error(`this line means nothing: ${line}`);
  }
  return c;
}

/** All cases of the table: {name, site, steps, ending}. */
export function readTable() {
  const cases = [];
  let draft;
  const end = () => {
    for (const variant of draft?.variants.length ? draft.variants : draft ? [undefined] : []) {
      const lines = draft.lines.map((line) => (variant === undefined ? line : line.replaceAll("$$", () => variant)));
      cases.push({ name: variant === undefined ? draft.name : `${draft.name}: ${variant.slice(0, 100)}`, ...steps(lines) });
    }
  };
  for (const file of readdirSync(folder).filter((name) => name.endsWith(".txt")).sort()) {
    draft = undefined;
    for (const line of readFileSync(join(folder, file), "utf8").split("\n")) {
      if (!line || line.startsWith("#")) continue;
      if (line.startsWith("case ")) {
        end();
        draft = { name: line.slice(5), variants: [], lines: [] };
      } else if (line.startsWith("with ")) draft.variants.push(line.slice(5));
      else draft.lines.push(line);
    }
    end();
  }
  return cases;
}

// --- judging ---

/** The body of a chunked answer. */
function chunkedBody(bytes, answer) {
  for (;;) {
    const end = bytes.indexOf("\r\n", answer.len);
    if (end < 0) return undefined;
    const size = bytes.toString("latin1", answer.len, end);
    if (!/^[0-9a-f]+$/i.test(size)) throw new Error(`a bad chunk size: ${size}`);
    const at = end + 2 + parseInt(size, 16);
    if (bytes.length < at + 2) return undefined;
    if (bytes.toString("latin1", at, at + 2) !== "\r\n") throw new Error("a chunk does not end with CR LF");
    answer.body = Buffer.concat([answer.body, bytes.subarray(end + 2, at)]);
    answer.len = at + 2;
    if (at === end + 2) return answer;
  }
}

/** Reads one answer off the bytes; undefined when more must come. */
export function answerOf(bytes, bodiless) {
  const head = bytes.indexOf("\r\n\r\n");
  if (head < 0) return undefined;
  const [line, ...lines] = bytes.toString("latin1", 0, head).split("\r\n");
  const status = Number(/^HTTP\/1\.1 ([1-5]\d\d) [\x20-\x7e]*$/.exec(line)?.[1]);
  if (!status) throw new Error(`not a status line: ${line}`);
  const fields = lines.map((text) => /^([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([\t\x20-\x7e\x80-\xff]*)$/.exec(text)?.slice(1));
  if (fields.includes(undefined)) throw new Error(`not a field: ${lines[fields.indexOf(undefined)]}`);
  const all = (name) => fields.filter(([key]) => key.toLowerCase() === name.toLowerCase()).map(([, value]) => value);
  const answer = { status, fields, all, body: Buffer.alloc(0), len: head + 4 };
  const lengths = all("Content-Length");
  if (status < 200 || status === 204 || status === 304) {
    if (lengths.length) throw new Error(`a length on a ${status}`);
    return answer;
  }
  if (bodiless && !lengths.length) return answer;
  if (all("Transfer-Encoding").length && !lengths.length) return chunkedBody(bytes, answer);
  if (lengths.length !== 1 || !/^\d+$/.test(lengths[0])) throw new Error(`${status} has ${lengths.length} lengths`);
  if (bodiless) return answer;
  const len = Number(lengths[0]);
  if (bytes.length < head + 4 + len) return undefined;
  answer.body = bytes.subarray(head + 4, head + 4 + len);
  answer.len += len;
  return answer;
}

function checkAnswer(c, index, answer) {
  const step = c.steps[index];
  const wrong = (why) => {
    throw new Error(`${why}: ${answer.status} ${JSON.stringify(answer.fields)} ${answer.body.toString("latin1").slice(0, 200)}`);
  };
  if (answer.status !== step.status) wrong(`not ${step.status}`);
  const last = !c.steps.slice(index + 1).some((s) => !s.send);
  const close = answer.all("Connection").some((value) => value.toLowerCase().split(/ *, */).includes("close"));
  if (answer.status >= 200 && close !== (last && c.ending.startsWith("close"))) wrong(`close is ${close}`);
  if (answer.status !== 100 && answer.all("Date").length !== 1) wrong("no Date");
  for (const { kind, text } of step.checks) {
    const [, name, value] = /^([^:]*): (.*)$/s.exec(text) ?? [];
    if (kind === "<f" && answer.all(name).join("|") !== bytesOf(value).toString("latin1")) wrong(`field ${text}`);
    if (kind === "<!" && answer.all(text).length) wrong(`there is a field ${text}`);
    if (kind === "<b" && !answer.body.equals(bytesOf(text))) wrong(`the body is not ${text}`);
    if (kind === "<~" && !answer.body.includes(bytesOf(text))) wrong(`the body has no ${text}`);
  }
}

function lookFrame(expected, bytes) {
  if (bytes.length < 2) return 0;
  const kind = bytes[1] & 127;
  const at = kind === 127 ? 10 : kind === 126 ? 4 : 2;
  if (bytes.length < at) return 0;
  const len = kind === 127 ? Number(bytes.readBigUInt64BE(2)) : kind === 126 ? bytes.readUInt16BE(2) : kind;
  if (bytes.length < at + len) return 0;
  const payload = bytes.subarray(at, at + len);
  const same = expected.anyReason ? payload.subarray(0, 2).equals(expected.payload) : payload.equals(expected.payload);
  if (bytes[0] !== (0x80 | expected.opcode) || !same)
    throw new Error(`frame ${bytes[0].toString(16)} ${payload.toString("latin1").slice(0, 100)}, not ${expected.opcode} ${expected.payload}`);
  return at + len;
}

// --- playing ---

/** One connection whose bytes are waited for. */
class Client {
  constructor(port) {
    this.socket = net.connect({ host: "127.0.0.1", port, noDelay: true, allowHalfOpen: true });
    this.got = Buffer.alloc(0);
    this.socket.on("data", (bytes) => {
      this.got = Buffer.concat([this.got, bytes]);
      this.wake?.();
    });
    this.socket.on("end", () => {
      this.ended = true;
      this.wake?.();
    });
    this.socket.on("error", (error) => {
      this.ended = this.reset = true;
      this.error = error;
      this.wake?.();
    });
  }

  /** Until look() gives something else than undefined. */
  async until(look) {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      const result = look();
      if (result !== undefined) return result;
      if (this.ended) throw new Error(`the connection ended${this.reset ? `: ${this.error}` : ""}; ${this.got.length} bytes unread`);
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`nothing more came; unread: ${this.got.toString("latin1").slice(0, 200)}`);
      let timer;
      await new Promise((resolve) => {
        this.wake = resolve;
        timer = setTimeout(resolve, left);
      });
      clearTimeout(timer);
    }
  }

  async send(bytes, pieces) {
    for (let at = 0; at < bytes.length && !this.ended; ) {
      const n = pieces ? Math.min(pieces(), bytes.length - at) : bytes.length;
      this.socket.write(bytes.subarray(at, at + n));
      at += n;
      if (pieces) await new Promise(setImmediate);
    }
  }
}

async function ending(client, c) {
  if (c.ending === "keep") {
    client.socket.write("GET / HTTP/1.1\r\nHost: probe\r\n\r\n");
    const answer = await client.until(() => answerOf(client.got));
    if (answer.status !== 200 || String(answer.body) !== "hello") throw new Error(`the probe got ${answer.status}`);
  } else if (c.ending === "open") {
    client.socket.write(frame(9, Buffer.from("probe")));
    await client.until(() => lookFrame({ opcode: 10, payload: Buffer.from("probe") }, client.got) || undefined);
  } else {
    if (c.ending === "waits") client.socket.end();
    await client.until(() => (client.ended || client.got.length ? true : undefined));
    if (client.got.length) throw new Error(`more came: ${client.got.toString("latin1").slice(0, 200)}`);
    if (client.reset && c.ending !== "close or reset") throw client.error;
  }
}

/** Throws when the server does not do what the case says. pieces: gives the length of the next piece to send. */
export async function play(port, c, pieces) {
  const client = new Client(port);
  const take = (n) => (client.got = client.got.subarray(n));
  try {
    for (const [index, step] of c.steps.entries()) {
      if (step.send) {
        await client.send(step.send, pieces);
      } else if (step.frame) {
        take(await client.until(() => lookFrame(step.frame, client.got) || undefined));
      } else {
        const answer = await client.until(() => answerOf(client.got, step.bodiless));
        if (step.optional && answer.status !== step.status) continue;
        checkAnswer(c, index, answer);
        take(answer.len);
      }
    }
    await ending(client, c);
  } finally {
    client.socket.destroy();
  }
}
