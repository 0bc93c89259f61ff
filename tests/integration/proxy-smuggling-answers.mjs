// Answers that could be understood differently, or that bring more than was asked for, and what the client gets of each.
//
// A case is [name, method of the request, bytes, wanted, {lines, end, late, more}]. Wanted: "200 hello" is the status and the
// whole body; "502" is the proxy's own answer; "cut" is an answer that visibly ends too early, or a 502; sets are divided by
// "|". lines: further fields of the request. end: the server ends the connection behind the bytes. late: bytes that it sends
// when the answer has arrived, on the connection that is kept. more: it sends more than the answer, so the proxy has to give
// the connection up.

/** What nobody may ever get. */
export const POISON = "HTTP/1.1 200 Poisoned\r\nContent-Length: 6\r\n\r\npoison";

const ok = (lines, body = "") => `HTTP/1.1 200 OK\r\n${lines}\r\n${body}`;
const chunked = (body) => ok("Transfer-Encoding: chunked\r\n", body);
const line = (text, rest = "Content-Length: 5\r\n\r\nhello") => `${text}\r\n${rest}`;
const HELLO = "5\r\nhello\r\n0\r\n\r\n";

const refused = [
  ["CL.TE", ok("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", HELLO)],
  ["TE.CL", ok("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", HELLO)],
  ["CL.TE that hides an answer", ok("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", `0\r\n\r\n${POISON}`)],
  ["Content-Length twice", ok("Content-Length: 5\r\nContent-Length: 5\r\n", "hello")],
  ["Content-Length twice, different", ok(`Content-Length: 5\r\nContent-Length: ${5 + POISON.length}\r\n`, `hello${POISON}`)],
  ...["5, 5", "+5", "-5", "0x5", "5 5", "", "5;", "five", "18446744073709551621"].map((value) => [`Content-Length: "${value}"`, ok(`Content-Length: ${value}\r\n`, "hello")]),
  ...["xchunked", "chunked, chunked", "gzip, chunked", "identity", "chunked;q=1", "", "chunked,", "chun\x0bked"].map((value) => [
    `Transfer-Encoding: ${JSON.stringify(value)}`,
    ok(`Transfer-Encoding: ${value}\r\n`, HELLO),
  ]),
  ["Transfer-Encoding twice", ok("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", HELLO)],
  ["Transfer-Encoding of HTTP/1.0", `HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${HELLO}`],
  ["a folded field", ok("X: y\r\n z\r\nContent-Length: 5\r\n", "hello")],
  ["a space before the colon", ok("Content-Length : 5\r\n", "hello")],
  ["a space before the name", ok(" Content-Length: 5\r\n", "hello")],
  ["a bare LF", ok("X: y\nContent-Length: 5\r\n", "hello")],
  ["bare LFs only", "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"],
  ["a bare CR that splits a field", ok("X: y\rSet-Cookie: evil=1\r\nContent-Length: 5\r\n", "hello")],
  ["a NUL in a value", ok("X: \x00\r\nContent-Length: 5\r\n", "hello")],
  ["a control character in a name", ok("X\x01: y\r\nContent-Length: 5\r\n", "hello")],
  ["a field without colon", ok("X\r\nContent-Length: 5\r\n", "hello")],
  ["no HTTP", "hello, world\r\n\r\n"],
  ["HTTP/2", line("HTTP/2 200 OK")],
  ["HTTP/2.0", line("HTTP/2.0 200 OK")],
  ["HTTP/0.9", "<html>hello</html>"],
  ["another protocol", line("ICY 200 OK")],
  ["a version in small letters", line("http/1.1 200 OK")],
  ["a status of two digits", line("HTTP/1.1 20 OK")],
  ["a status of four digits", line("HTTP/1.1 2000 OK")],
  ["a status that is no number", line("HTTP/1.1 2x0 OK")],
  ["a status below 100", line("HTTP/1.1 099 OK")],
  ["two spaces before the status", line("HTTP/1.1  200 OK")],
  ["a control character in the reason", line("HTTP/1.1 200 O\x08K")],
  ["an empty line before", `\r\n${ok("Content-Length: 5\r\n", "hello")}`],
  ["an upgrade that nobody asked for", `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n${POISON}`],
  ["an upgrade to HTTP/2, which is not passed on", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", { lines: "Connection: Upgrade\r\nUpgrade: h2c\r\n" }],
  ["an upgrade to HTTP/2 by its other name", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: HTTP/2.0\r\n\r\n", { lines: "Connection: Upgrade\r\nUpgrade: HTTP/2.0\r\n" }],
  ["a head larger than the limit", ok(`X: ${"y".repeat(100_000)}\r\nContent-Length: 5\r\n`, "hello")],
  ["an interim answer with a body", `HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nhello${ok("Content-Length: 5\r\n", "hello")}`],
  ["an interim answer in chunks", `HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n${HELLO}${POISON}`],
].map(([name, bytes, options]) => [name, "GET", bytes, "502", options]);

const more = [
  ["more than its length", "GET", ok("Content-Length: 5\r\n", `hello${POISON}`), "200 hello"],
  ["more than its length, no answer", "GET", ok("Content-Length: 5\r\n", "hello, world"), "200 hello"],
  ["a line end too much", "GET", ok("Content-Length: 5\r\n", "hello\r\n"), "200 hello"],
  ["more behind the last chunk", "GET", chunked(HELLO + POISON), "200 hello"],
  ["more behind length 0", "GET", ok("Content-Length: 0\r\n", POISON), "200 "],
  ["more than its length, to HTTP/1.0", "GET", `HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello${POISON}`, "200 hello"],
  ["more behind Connection: close", "GET", ok("Connection: close\r\nContent-Length: 5\r\n", `hello${POISON}`), "200 hello", { end: true }],
  ["204 with a body", "GET", "HTTP/1.1 204 No Content\r\n\r\nhello", "204 "],
  ["204 with a length and a body", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", "204 "],
  ["204 in chunks", "GET", `HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n${HELLO}`, "204 "],
  ["204 and another answer", "GET", `HTTP/1.1 204 No Content\r\n\r\n${POISON}`, "204 "],
  ["304 with a length and a body", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello", "304 "],
  ["304 and another answer", "GET", `HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n${POISON}`, "304 "],
  ["HEAD with a body", "HEAD", ok("Content-Length: 5\r\n", "hello"), "200 "],
  ["HEAD with chunks", "HEAD", chunked(HELLO), "200 "],
  ["HEAD and another answer", "HEAD", ok("Content-Length: 5\r\n", POISON), "200 "],
  ["HEAD, a body and another answer", "HEAD", ok("Content-Length: 5\r\n", `hello${POISON}`), "200 "],
  ["an answer to a POST, and another", "POST", ok("Content-Length: 5\r\n", `hello${POISON}`), "200 hello"],
  ["an answer that comes later, unasked", "GET", ok("Content-Length: 5\r\n", "hello"), "200 hello", { late: POISON }],
  ["a timeout that comes later", "GET", ok("Content-Length: 5\r\n", "hello"), "200 hello", { late: "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n" }],
  ["a byte that comes later", "GET", chunked(HELLO), "200 hello", { late: "x" }],
  ["a line end that comes later", "GET", ok("Content-Length: 5\r\n", "hello"), "200 hello", { late: "\r\n" }],
  ["half an answer that comes later", "HEAD", ok("Content-Length: 5\r\n"), "200 ", { late: "hello" }],
].map(([name, method, bytes, wanted, options]) => [name, method, bytes, wanted, { ...options, more: true }]);

const fine = [
  ["a length with zeros before", "GET", ok("Content-Length: 005\r\n", "hello"), "200 hello"],
  ["another case of the coding", "GET", ok("tRANSFER-eNCODING: CHUNKED\r\n", HELLO), "200 hello"],
  ["chunks with extensions", "GET", chunked("2;a=b\r\nhe\r\n3;c\r\nllo\r\n00\r\n\r\n"), "200 hello"],
  ["trailers that frame", "GET", chunked("5\r\nhello\r\n0\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n"), "200 hello"],
  ["a body until the end", "GET", ok("", "hello"), "200 hello", { end: true }],
  ["a body until the end, of HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\n\r\nhello", "200 hello", { end: true }],
  ["no reason", "GET", line("HTTP/1.1 200"), "200 hello"],
  ["a reason of bytes above 127", "GET", line("HTTP/1.1 200 \xe9"), "200 hello"],
  ["Connection that names Content-Length", "GET", ok("Connection: Content-Length\r\nContent-Length: 5\r\n", "hello"), "200 hello"],
  ["100 before the answer", "GET", `HTTP/1.1 100 Continue\r\n\r\n${ok("Content-Length: 5\r\n", "hello")}`, "200 hello"],
  ["103 before the answer", "GET", `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${ok("Content-Length: 5\r\n", "hello")}`, "200 hello"],
  ["a flood of interim answers", "GET", "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(3000) + ok("Content-Length: 5\r\n", "hello"), "200 hello | 502 | cut"],
];

const cut = [
  ["less than its length", ok("Content-Length: 10\r\n", "hello")],
  ["no last chunk", chunked("5\r\nhello\r\n")],
  ["half a chunk", chunked("a\r\nhello")],
  ["a chunk that is larger than it says", chunked("3\r\nhello\r\n0\r\n\r\n")],
  ["a chunk size that is none", chunked("5\r\nhello\r\nxyz\r\n")],
  ["a negative chunk size", chunked("5\r\nhello\r\n-1\r\n")],
  ["a chunk size with 0x", chunked("0x5\r\nhello\r\n0\r\n\r\n")],
  ["a bare LF behind a chunk size", chunked("5\nhello\r\n0\r\n\r\n")],
  ["an answer instead of a chunk", chunked(`5\r\nhello\r\n${POISON}`)],
  ["an answer instead of the end", chunked(`5\r\nhello\r\n0\r\n${POISON}`)],
  ["a chunk size past 32 bits", chunked("5\r\nhello\r\n1ffffffff\r\nx")],
].map(([name, bytes]) => [name, "GET", bytes, "cut", { end: true }]);

export const answers = [
  ["answers that are refused", refused],
  ["answers that bring more", more],
  ["answers that are good", fine],
  ["answers that end too early", cut],
];
