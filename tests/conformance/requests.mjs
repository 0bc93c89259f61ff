// Makes requests that are good, odd and hostile: put together from pieces, or changed from those of the conformance
// table. The same seed gives the same bytes.
import { readTable } from "./table.mjs";
import { randomOf } from "./server.mjs";

const METHODS = ["GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH", "CONNECT", "TRACE", "get", "G ET", "BREW", "M-SEARCH", "PRI", ""];
const TARGETS = ["/", "/a", "/a?b=c", "/a%20b", "*", "http://a/", "http://a", "http://b/", "https://a/", "a:80", "/a#b", "/\\", "/{}", "/[]|^", "/\x80", "//a", "?", "", "/ b", "/\tb"];
const VERSIONS = ["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "HTTP/0.9", "http/1.1", "HTTP/1.1 ", "HTTP/1", "HTTP/01.1", ""];
const NAMES = ["Host", "host", "Content-Length", "content-length", "Transfer-Encoding", "transfer-encoding", "Connection", "Expect", "Upgrade", "X", "X-Y", "TE", "Trailer", "Content-Length ", " X", "X Y", "", "X\x00", "Transfer-Encoding\x0b", "Keep-Alive"];
const VALUES = ["a", "a", "b", "a:80", "0", "3", "5", "05", "+3", "-1", "3, 3", "0x3", "3 ", "99999999999999999999", "chunked", "Chunked", "chunked, chunked", "gzip, chunked", "chunked, gzip", "identity", ", chunked", "xchunked", "close", "keep-alive", "close, keep-alive", "upgrade", "100-continue", "websocket", "trailers", "", " ", "a\tb", "a\x00b", "a\x7fb", "a\x80b", "a\rb", "a\nb", "\"a, b\"", "a\r\n b"];
const ENDS = ["\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r", "\r\r\n", "\n\r", ""];
const BODIES = ["", "abc", "abcde", "3\r\nabc\r\n0\r\n\r\n", "0\r\n\r\n", "3;x=y\r\nabc\r\n0\r\n\r\n", "3\r\nabc\r\n0\r\nX: y\r\n\r\n", "3\nabc\n0\n\n", "03\r\nabc\r\n00\r\n\r\n", " 3\r\nabc\r\n0\r\n\r\n", "3 \r\nabc\r\n0\r\n\r\n", "3\r\nabcd\r\n0\r\n\r\n", "g\r\n", "-1\r\n", "FFFFFFFFFFFFFFFF\r\n", "10000000000000003\r\nabc\r\n0\r\n\r\n", "3\r\nabc\r\n0\r\nX : y\r\n\r\n", "3\r\nabc\r\n0\r\nContent-Length: 5\r\n\r\n", "3;\r\nabc\r\n0\r\n\r\n", "3;x=\"a\r\nb\"\r\nabc\r\n0\r\n\r\n"];
const SNIPPETS = ["\r\n", "\n", "\r", "\0", " ", "\t", ":", ",", ";", "\r\n\r\n", "\r\n ", "0\r\n\r\n", "Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n", "Host: a\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "\x0b", "\x7f", "\x80", "\xff", "\"", "%00", "HTTP/1.1", "chunked", "="];
const NEXT = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";

const corpus = readTable()
  .map((c) => Buffer.concat(c.steps.filter((step) => step.send).map((step) => step.send)).toString("latin1"))
  .filter((text) => text.length < 3000);

export function generator(seed) {
  const random = randomOf(seed);
  const below = (n) => Math.floor(random() * n);
  const one = (list) => list[below(list.length)];
  const likely = (p) => random() < p;

  function request() {
    const end = likely(0.93) ? "\r\n" : undefined;
    const good = likely(0.8);
    let text = `${good ? one(["GET", "POST"]) : one(METHODS)} ${good ? one(["/", "/a?b=c"]) : one(TARGETS)} ${good ? "HTTP/1.1" : one(VERSIONS)}${end ?? one(ENDS)}`;
    if (likely(0.96)) text += `Host: a${end ?? one(ENDS)}`;
    const field = (name, value) => (text += `${name}${one([": ", ": ", ": ", ":", ":\t"])}${value}${end ?? one(ENDS)}`);
    for (let n = below(3); n > 0; n--) field(one(["X", "Y", "X-Y", "TE", "Accept"]), one(["a", "b, c", "", "a\tb", "a\x80", "trailers"]));
    let body = "";
    if (likely(0.3)) {
      body = one(BODIES);
      if (likely(0.4)) field("Content-Length", body.length);
      else field("Transfer-Encoding", "chunked");
    }
    if (likely(0.35)) field(likely(0.6) ? one(["Content-Length", "Transfer-Encoding", "Connection", "Expect"]) : one(NAMES), one(VALUES));
    return text + (end ?? one(ENDS)) + body;
  }

  function mutated(text) {
    for (let n = 1 + below(3); n > 0; n--) {
      const at = below(text.length + 1);
      const len = likely(0.7) ? 1 : below(12);
      switch (below(6)) {
        case 0: text = text.slice(0, at) + String.fromCharCode(below(256)) + text.slice(at + 1); break;
        case 1: text = text.slice(0, at) + one(SNIPPETS) + text.slice(at); break;
        case 2: text = text.slice(0, at) + text.slice(at + len); break;
        case 3: text = text.slice(0, at) + text.slice(at, at + len) + text.slice(at); break;
        case 4: text = text.slice(0, at) + one(corpus).slice(below(40)); break;
        case 5: {
          const lines = text.split("\r\n");
          lines.splice(below(lines.length), 1, lines[below(lines.length)]);
          text = lines.join("\r\n");
        }
      }
    }
    return text.slice(0, 8000);
  }

  return () => {
    let text = likely(0.5) ? NEXT : "";
    text += likely(0.6) ? request() : one(corpus);
    if (likely(0.5)) text += likely(0.5) ? NEXT : request();
    if (likely(0.5)) text = mutated(text);
    return Buffer.from(text, "latin1");
  };
}
