// What Node's HTTP server (llhttp, strict as it is by default) understands of bytes: the requests that it hands out
// complete, and how it ends. No sockets: the connection is a stream in memory.
import http from "node:http";
import { Duplex } from "node:stream";

class Connection extends Duplex {
  constructor() {
    super({ allowHalfOpen: true });
    this.answers = "";
  }
  _read() {}
  _write(chunk, _encoding, done) {
    this.answers += chunk.toString("latin1").slice(0, 40);
    done();
  }
  setTimeout() {}
  setNoDelay() {}
  setKeepAlive() {}
}

export const NOT_EXPECTED = "the expectation is not known";

let current;

function onRequest(request, answer) {
  const seen = current;
  if (seen.refused) return;
  const parts = [];
  const entry = { method: request.method, target: request.url, fields: request.rawHeaders, body: undefined };
  seen.requests.push(entry);
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    entry.body = Buffer.concat(parts).toString("latin1");
    answer.end();
  });
  request.on("error", () => {});
  answer.on("error", () => {});
}

const server = http.createServer({ keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0, connectionsCheckingInterval: 1e9 });
server.on("request", onRequest);
server.on("checkContinue", onRequest);
server.on("checkExpectation", () => {
  current.refused ??= NOT_EXPECTED;
});
server.on("upgrade", (_request, socket) => socket.destroy());
server.on("connect", (_request, socket) => {
  current.refused ??= "CONNECT";
  socket.destroy();
});
// The connection is left alone, so that requests before the error are still handed out whole.
server.on("clientError", (error) => {
  current.refused ??= `${error.code} ${error.reason ?? ""}`;
});
server.removeAllListeners("upgrade"); // then an upgrade is an ordinary request, as in our parser

const turn = () => new Promise(setImmediate);

/** {requests: [{method, target, fields, body}], end: "waits" | "refused", why} with strings in latin1. */
export async function understood(bytes) {
  const connection = new Connection();
  const seen = (current = { requests: [] });
  connection.on("error", () => {});
  server.emit("connection", connection);
  connection.push(bytes);
  for (let quiet = 0, before = ""; quiet < 2; ) {
    await turn();
    const now = `${seen.requests.length} ${seen.requests.at(-1)?.body?.length} ${connection.answers.length} ${seen.refused}`;
    quiet = now === before ? quiet + 1 : 0;
    before = now;
  }
  // Without Host, Node answers 400 by itself, and says so nowhere else.
  if (/HTTP\/1\.1 400 /.test(connection.answers)) seen.refused ??= "the Host is missing";
  connection.destroy();
  const complete = seen.requests.filter((request) => request.body !== undefined);
  return { requests: complete, end: seen.refused ? "refused" : "waits", why: seen.refused ?? "" };
}
