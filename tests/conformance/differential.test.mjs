// Our parser and Node's (llhttp) on the same bytes, good and hostile. Each difference must be of a kind that is told in
// docs/conformance.md; one that is not ends the test with the seed and the bytes.
// SEED, INPUTS: another beginning, more inputs (by hand: INPUTS=1000000).
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { NOT_EXPECTED, understood } from "./oracle.mjs";
import { generator } from "./requests.mjs";
import { program } from "./server.mjs";

const SEED = Number(process.env.SEED ?? 1);
const INPUTS = Number(process.env.INPUTS ?? 30_000);
const parser = process.env.CONFORMANCE_PARSE ?? join(dirname(program), "conformance-parse");

/** Our parser in a process of its own: asked many times, it answers in order. */
function startParser() {
  const child = spawn(parser, [], { stdio: ["pipe", "pipe", "inherit"] });
  const waiting = [];
  let rest = "";
  child.stdout.setEncoding("latin1").on("data", (text) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop();
    for (const line of lines) waiting.shift()(JSON.parse(line));
  });
  const broken = new Promise((_, reject) => {
    child.on("error", reject);
    child.stdin.on("error", reject);
    child.on("close", (code, signal) => reject(new Error(`the parser ended: ${code} ${signal}`)));
  });
  broken.catch(() => {});
  const plain = (hex) => Buffer.from(hex, "hex").toString("latin1");
  return {
    ask: async (bytes) => {
      const head = Buffer.alloc(4);
      head.writeUInt32LE(bytes.length);
      child.stdin.write(Buffer.concat([head, bytes]));
      const answer = new Promise((resolve) => waiting.push(resolve));
      const got = await Promise.race([answer, broken]).catch((error) => {
        throw new Error(`${error.message}, at ${JSON.stringify(bytes.toString("latin1"))}`);
      });
      for (const request of got.requests) {
        request.method = plain(request.method);
        request.target = plain(request.target);
        request.fields = request.fields.map(plain);
        request.body = plain(request.body);
      }
      return got;
    },
    end: () => child.stdin.end(),
  };
}

/** llhttp of Node 18 takes more; what it takes must be what we take, if we take it. */
const STRICT = Number(process.versions.llhttp.split(".")[0]) >= 8;

/** Our refusals that llhttp does not share; each has its line in docs/conformance.md. */
const STRICTER = new Set([
  "the Host is not valid",
  "the Host is not that of the address",
  "more than one Host",
  "the Host is missing",
  "more than one Content-Length",
  "more than one Transfer-Encoding",
  "Transfer-Encoding in HTTP/1.0",
  "the Transfer-Encoding does not end with chunked",
  "the only Transfer-Encoding that is understood is chunked",
  "both Content-Length and Transfer-Encoding",
  "Connection has something that is not an option",
  "the address has a character that must be encoded",
  "the address is not in a form that this server takes",
  "this Expect is not understood",
  "too many header fields",
  "empty lines instead of a request",
  "the body is too large",
  "the chunked body is not valid",
  "this server speaks HTTP/1.1",
  "the request line is not valid",
  "this method is not known here",
  "the address is too long",
  "a line does not end with CR LF",
  "a header field has a control character",
]);

/** What llhttp refuses and we take. */
const LAXER = [
  [/HPE_INVALID_METHOD/, "a method that llhttp does not know"],
  [/HPE_INVALID_VERSION/, "HTTP/1.2 to 1.9"],
  [/HPE_STRICT Invalid character in chunk extensions/, "space around ';' and '=' in chunk extensions"],
];

/** "Expect:" and "Expect: ,100-continue" name nothing that we do not know. */
const expectsNothing = (text) => /\nexpect:[ \t,]*(100-continue[ \t,]*)?\r\n/i.test(text);

const values = ({ fields }, name) => fields.filter((_, i) => i % 2 && fields[i - 1].toLowerCase() === name);
/** llhttp reads trailers as it reads the header; we drop what frames. */
const FRAMING_TRAILER = /\r\n0+[^\r\n]*\r\n(?:[^\r\n]+\r\n)*(?:Content-Length|Transfer-Encoding|Connection|Upgrade):/i;
/** llhttp takes spaces off the end of these, and leaves tabs. */
const TAB_AT_THE_END = /\n(?:connection|content-length|transfer-encoding):[^\r\n]*\t[ \t]*\r\n/i;
const isChunked = (request) => values(request, "transfer-encoding").length > 0;
/** In llhttp the first of the two decides. */
const closesAndKeeps = (request) => /keep-alive/i.test(values(request, "connection")) && /close/i.test(values(request, "connection"));

/** An upgrade without a listener: Node forgets what follows. */
const upgrades = (request) => /upgrade/i.test(values(request, "connection")) && values(request, "upgrade").length > 0;

const same = (a, b) => JSON.stringify([a.method, a.target, a.fields, a.body]) === JSON.stringify([b.method, b.target, b.fields, b.body]);

/** The kind of the difference, "" for none, or undefined: not explained. */
function kindOf(ours, theirs, text) {
  const n = Math.min(ours.requests.length, theirs.requests.length);
  for (let i = 0; i < n; i++) if (!same(ours.requests[i], theirs.requests[i])) return undefined;
  const refuses = ours.end === "refused";
  const theyRefuse = theirs.end === "refused";
  if (ours.requests.length === theirs.requests.length && refuses === theyRefuse) return "";
  if (/(^|\n)PRI /.test(text)) return "the preface of HTTP/2";
  if (ours.requests.slice(Math.max(0, n - 1), n + 1).some(upgrades)) return "after an upgrade";
  if (TAB_AT_THE_END.test(text)) return "a tab at the end of a framing field";
  if (refuses && ours.requests.length <= theirs.requests.length) return STRICTER.has(ours.why) || !STRICT ? `stricter: ${ours.why}` : undefined;
  if (ours.end === "closed" && /HPE_CLOSED_CONNECTION/.test(theirs.why)) return "after Connection: close";
  if (ours.requests.some(isChunked) && FRAMING_TRAILER.test(text)) return "a framing field in a trailer";
  if (ours.end === "closed" && closesAndKeeps(ours.requests.at(-1))) return "close beside keep-alive";
  if (theirs.why === NOT_EXPECTED && expectsNothing(text)) return "an empty list in Expect";
  return LAXER.find(([why]) => why.test(theirs.why))?.[1];
}

test(`${INPUTS} inputs from seed ${SEED} are understood as Node understands them, or refused`, async (t) => {
  const next = generator(SEED);
  const ours = startParser();
  t.after(ours.end);
  const kinds = new Map();
  let requests = 0;
  for (let i = 0; i < INPUTS; i++) {
    const bytes = next();
    const b = await understood(bytes);
    let a = await ours.ask(bytes);
    // llhttp refuses a line at its first wrong byte, we when it has come to its end.
    if (a.end === "waits" && b.end === "refused") {
      const ended = await ours.ask(Buffer.concat([bytes, Buffer.from("\r\n\r\n")]));
      if (ended.why !== "empty lines instead of a request") a = ended;
    }
    const kind = kindOf(a, b, bytes.toString("latin1"));
    requests += a.requests.length;
    if (kind === undefined)
      assert.fail(`SEED=${SEED}, input ${i}: ${JSON.stringify(bytes.toString("latin1"))}\nours ${JSON.stringify(a)}\nNode ${JSON.stringify(b)}`);
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  t.diagnostic(`${requests} requests; ${[...kinds].sort((a, b) => b[1] - a[1]).map(([kind, n]) => `${kind || "the same"}: ${n}`).join("; ")}`);
  assert.ok(requests > INPUTS / 2, "most inputs must hold a request");
});
