// Requests that two servers could understand differently, and what becomes of each at the proxy.
//
// A case is [name, bytes, answers, ...what the server behind sees]. Bytes are latin1, line ends as written. Answers: the
// statuses that the client gets, in order; a dot at the end: then the connection ends (without it the next request on it is
// answered). A second set after "|" is as right: the answer to a broken body depends on whether the server has answered
// before it broke. What is seen: "METHOD target bytes-of-body" for each whole request; of each answer 200 there is one.
//
// /secret is what no server may ever see; /second is a request that is one by any reading.

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const SECRET = "GET /secret HTTP/1.1\r\nHost: a\r\n\r\n";
const SECOND = "GET /second HTTP/1.1\r\nHost: a\r\n\r\n";

/** A GET with these field lines. */
const get = (lines, rest = "") => `GET / HTTP/1.1\r\nHost: a\r\n${lines}\r\n${rest}`;
/** A POST with these field lines and what follows the head. */
const post = (lines, rest = "") => `POST / HTTP/1.1\r\nHost: a\r\n${lines}\r\n${rest}`;
/** A POST with this chunked body, as it is on the wire. */
const chunked = (body) => post("Transfer-Encoding: chunked\r\n", body);
const line = (text, rest = "Host: a\r\n\r\n") => `${text}\r\n${rest}`;

const refused = (cases, status = "400.") => cases.map(([name, bytes]) => [name, bytes, status]);

// --- where a body ends ---

const bothFramings = refused([
  ["CL.TE: the length first", post("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\nG")],
  ["CL.TE: the coding first", post("Transfer-Encoding: chunked\r\nContent-Length: 6\r\n", "0\r\n\r\nG")],
  ["CL.TE with a request behind", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", `0\r\n\r\n${SECRET}`)],
  ["TE.CL with a request in a chunk", post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", `21\r\n${SECRET}\r\n0\r\n\r\n`)],
  ["CL 0 and chunked", post("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", `0\r\n\r\n${SECRET}`)],
  ["both in a GET", get("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")],
  ["a length and an unknown coding", post("Content-Length: 4\r\nTransfer-Encoding: cow\r\n", `abcd${SECRET}`)],
  ["a length and identity", post("Content-Length: 4\r\nTransfer-Encoding: identity\r\n", "abcd")],
  ["both, another field between", post("Content-Length: 4\r\nX: y\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")],
  ["HTTP/1.0 with both", "POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
  ["HTTP/1.0 with a coding", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
  ["HTTP/1.0 kept, with a coding", `POST / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SECRET}`],
]);

const lengthSpellings = [
  "+5", "-5", "-0", "0x5", "5 5", "5, 5", "5,5", "5,6", "5;", "5.0", "5e0", "", " ", "five", '"5"', "1_0", "5a", "\xb2", "5\x0b", "5,", ",5", "0 5", "5\x00", "\xa05", "-1", "0b101", "\xd9\xa5",
].map((value) => [`Content-Length: ${JSON.stringify(value)}`, post(`Content-Length: ${value}\r\n`, `hello${SECRET}`), "400."]);

const lengths = [
  ...lengthSpellings,
  ["Content-Length twice, the same", post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), "400."],
  ["Content-Length twice, different", post("Content-Length: 5\r\nContent-Length: 39\r\n", `hello${SECRET}`), "400."],
  ["Content-Length twice, another case", post("Content-Length: 5\r\ncontent-length: 6\r\n", "hello!"), "400."],
  ["Content-Length past 64 bits", post("Content-Length: 18446744073709551616\r\n", "hello"), "413."],
  ["Content-Length that wraps to 5", post("Content-Length: 18446744073709551621\r\n", `hello${SECRET}`), "413."],
  ["Content-Length of 30 digits", post("Content-Length: 999999999999999999999999999999\r\n", "hello"), "413."],
  ["leading zeros are a number", post("Content-Length: 00005\r\n", "hello"), "200", "POST / 5"],
  ["a tab around the length", post("Content-Length:\t5\t\r\n", "hello"), "200", "POST / 5"],
  ["no space before the length", post("Content-Length:5\r\n", "hello"), "200", "POST / 5"],
  ["another case of the name", post("cONTENT-lENGTH: 5\r\n", "hello"), "200", "POST / 5"],
  ["a request as body", post(`Content-Length: ${SECRET.length}\r\n`, SECRET), "200", `POST / ${SECRET.length}`],
  ["a request as body of a GET", get(`Content-Length: ${SECRET.length}\r\n`, SECRET), "200", `GET / ${SECRET.length}`],
  ["a request as body of a HEAD", `HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: ${SECRET.length}\r\n\r\n${SECRET}`, "200", `HEAD / ${SECRET.length}`],
  ["a request as body of a DELETE", `DELETE / HTTP/1.1\r\nHost: a\r\nContent-Length: ${SECRET.length}\r\n\r\n${SECRET}`, "200", `DELETE / ${SECRET.length}`],
  ["a request as body of an OPTIONS", `OPTIONS * HTTP/1.1\r\nHost: a\r\nContent-Length: ${SECRET.length}\r\n\r\n${SECRET}`, "200", `OPTIONS * ${SECRET.length}`],
  ["a request as body, and one behind", post(`Content-Length: ${SECRET.length}\r\n`, SECRET + SECOND), "200 200", `POST / ${SECRET.length}`, "GET /second 0"],
  ["no length: what follows is a request", `POST / HTTP/1.1\r\nHost: a\r\n\r\n${SECOND}`, "200 200", "POST / 0", "GET /second 0"],
  ["length 0: what follows is a request", post("Content-Length: 0\r\n", SECOND), "200 200", "POST / 0", "GET /second 0"],
  ["an underscore does not make a length", post("Content_Length: 39\r\n", SECOND), "200 200", "POST / 0", "GET /second 0"],
  ["Content-Length of HTTP/1.0", `POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello${SECRET}`, "200.", "POST / 5"],
];

// --- spellings of a coding ---

const codingsRefused = [
  "xchunked", "chunkedx", "chunked, chunked", "chunked, identity", "identity", "chunked;q=1", "chunked,", ",chunked", '"chunked"', "", "chun ked", "chunked cow", "'chunked'", "chunked\x00", "chunked\x0b", "\x0cchunked",
  "\xa0chunked", "chunk\xe9d", "chunked;", "chunked\\", "chunked=1", "chunked, gzip", "x, chunked, y", "gzip", "deflate", "cow", "-", "null", "chunked:chunked",
].map((value) => [`Transfer-Encoding: ${JSON.stringify(value)}`, post(`Transfer-Encoding: ${value}\r\n`, `5\r\nhello\r\n0\r\n\r\n${SECRET}`), "400."]);

const codings = [
  ...codingsRefused,
  ...["gzip, chunked", "identity, chunked", "cow, chunked", "gzip,chunked", "x;y=z, chunked"].map((value) => [
    `Transfer-Encoding: ${value}`,
    post(`Transfer-Encoding: ${value}\r\n`, `5\r\nhello\r\n0\r\n\r\n${SECRET}`),
    "501.",
  ]),
  ...refused([
    ["Transfer-Encoding twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")],
    ["Transfer-Encoding twice, one unknown", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n", "0\r\n\r\n")],
    ["Transfer-Encoding twice, identity first", post("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")],
    ["a space before its colon", post("Content-Length: 5\r\nTransfer-Encoding : chunked\r\n", "hello")],
    ["a tab before its colon", post("Content-Length: 5\r\nTransfer-Encoding\t: chunked\r\n", "hello")],
    ["a space before its name", post("Content-Length: 5\r\n Transfer-Encoding: chunked\r\n", "hello")],
    ["a tab before its name", post("Content-Length: 5\r\n\tTransfer-Encoding: chunked\r\n", "hello")],
    ["folded after the colon", post("Content-Length: 5\r\nTransfer-Encoding:\r\n chunked\r\n", "hello")],
    ["folded by a tab", post("Content-Length: 5\r\nTransfer-Encoding:\r\n\tchunked\r\n", "hello")],
    ["folded after the value", post("Transfer-Encoding: chunked\r\n , identity\r\n", "0\r\n\r\n")],
    ["behind a bare LF", post("Content-Length: 5\r\nX: y\nTransfer-Encoding: chunked\r\n", "hello")],
    ["behind a bare CR", post("Content-Length: 5\r\nX: y\rTransfer-Encoding: chunked\r\n", "hello")],
    ["a bare LF after the colon", post("Content-Length: 5\r\nTransfer-Encoding:\nchunked\r\n", "hello")],
    ["a space in its name", post("Content-Length: 5\r\nTransfer Encoding: chunked\r\n", "hello")],
    ["a NUL in its name", post("Content-Length: 5\r\nTransfer\x00-Encoding: chunked\r\n", "hello")],
    ["a control character before its name", post("Content-Length: 5\r\n\x01Transfer-Encoding: chunked\r\n", "hello")],
    ["a backspace in its name", post("Content-Length: 5\r\nTransfer-Encoding\x08: chunked\r\n", "hello")],
    ["a no-break space behind its name", post("Content-Length: 5\r\nTransfer-Encoding\xa0: chunked\r\n", "hello")],
    ["a long s in its name", post("Content-Length: 5\r\nTran\xc5\xbffer-Encoding: chunked\r\n", "hello")],
    ["a byte above 127 in its name", post("Content-Length: 5\r\nTransfer-Encoding\xff: chunked\r\n", "hello")],
    ["two colons", post("Transfer-Encoding:: chunked\r\n", `0\r\n\r\n${SECRET}`)],
    ["a line that is only its name", post("Content-Length: 5\r\nTransfer-Encoding\r\n", "hello")],
    ["a colon before its name", post("Content-Length: 5\r\n:Transfer-Encoding: chunked\r\n", "hello")],
    ["a NUL before the value", post("Transfer-Encoding: \x00chunked\r\n", "0\r\n\r\n")],
  ]),
  ["another case of name and value", post("tRANSFER-eNCODING: cHUNKED\r\n", "5\r\nhello\r\n0\r\n\r\n"), "200", "POST / 5"],
  ["tabs and spaces around the value", post("Transfer-Encoding:\t  chunked \t\r\n", "5\r\nhello\r\n0\r\n\r\n"), "200", "POST / 5"],
  ["no space before the value", post("Transfer-Encoding:chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"), "200", "POST / 5"],
  ["an underscore does not make a coding", post("Content-Length: 5\r\nTransfer_Encoding: chunked\r\n", "0\r\n\r\n"), "200", "POST / 5"],
  ["a missing hyphen does not make a coding", post("Content-Length: 5\r\nTransferEncoding: chunked\r\n", "0\r\n\r\n"), "200", "POST / 5"],
  ["another name in front", post("Content-Length: 5\r\nX-Transfer-Encoding: chunked\r\n", "0\r\n\r\n"), "200", "POST / 5"],
  ["a coding of the content", post("Content-Length: 5\r\nContent-Encoding: chunked\r\n", "0\r\n\r\n"), "200", "POST / 5"],
  ["TE is not Transfer-Encoding", post("Content-Length: 5\r\nTE: chunked\r\n", "0\r\n\r\n"), "200", "POST / 5"],
];

// --- chunks ---

/** The head has been passed on when the body turns out to be broken: the server behind never sees the whole of it. */
const broken = (cases) => cases.map(([name, body]) => [name, chunked(body), "400."]);

const chunks = [
  ...broken([
    ["size with 0x", `0x5\r\nhello\r\n0\r\n\r\n${SECRET}`],
    ["size with a plus", "+5\r\nhello\r\n0\r\n\r\n"],
    ["size with a minus", "-5\r\nhello\r\n0\r\n\r\n"],
    ["size with a space before", " 5\r\nhello\r\n0\r\n\r\n"],
    ["size with a tab before", "\t5\r\nhello\r\n0\r\n\r\n"],
    ["no size", "\r\nhello\r\n0\r\n\r\n"],
    ["size that is no number", "g\r\nhello\r\n0\r\n\r\n"],
    ["size with a comma", "5,\r\nhello\r\n0\r\n\r\n"],
    ["size with an h", "5h\r\nhello\r\n0\r\n\r\n"],
    ["size with a NUL", "5\x00\r\nhello\r\n0\r\n\r\n"],
    ["size with an underscore", "0_5\r\nhello\r\n0\r\n\r\n"],
    ["bare LF behind the size", `5\nhello\r\n0\r\n\r\n${SECRET}`],
    ["bare CR behind the size", "5\rhello\r\n0\r\n\r\n"],
    ["two CR behind the size", "5\r\r\nhello\r\n0\r\n\r\n"],
    ["bare LF behind the data", `5\r\nhello\n0\r\n\r\n${SECRET}`],
    ["bare CR behind the data", "5\r\nhello\r0\r\n\r\n"],
    ["a byte for the LF behind the data", `5\r\nhello\rX0\r\n\r\n${SECRET}`],
    ["a byte for the LF behind the size", `5\rXhello\r\n0\r\n\r\n${SECRET}`],
    ["a byte for the LF behind the last size", `0\rX\r\n${SECRET}`],
    ["a byte for the LF at the end", `0\r\n\rX${SECRET}`],
    ["a byte for the LF behind a trailer", `0\r\nX: y\rX\r\n${SECRET}`],
    ["nothing behind the data", "5\r\nhello0\r\n\r\n"],
    ["a byte too much", "5\r\nhelloX\r\n0\r\n\r\n"],
    ["a size too small", "3\r\nhello\r\n0\r\n\r\n"],
    ["a size too small, data that is a size", `2\r\nxx22\r\n${SECRET}\r\n0\r\n\r\n`],
    ["bare LF behind the last size", `5\r\nhello\r\n0\n\r\n${SECRET}`],
    ["bare LF at the end", `5\r\nhello\r\n0\r\n\n${SECRET}`],
    ["a request instead of the end", `5\r\nhello\r\n0\r\n${SECRET}`],
    ["a negative end", "5\r\nhello\r\n-0\r\n\r\n"],
    ["extension with a bare LF", `5;a=b\nhello\r\n0\r\n\r\n${SECRET}`],
    ["extension with a bare CR", "5;a=\rb\r\nhello\r\n0\r\n\r\n"],
    ["extension with a NUL", "5;a=\x00\r\nhello\r\n0\r\n\r\n"],
    ["extension whose quotes hide a line end", `5;a="\r\nhello\r\n0\r\n\r\n${SECRET}`],
    ["extension without a name", "5;=b\r\nhello\r\n0\r\n\r\n"],
    ["extension after a word", "5 a;b\r\nhello\r\n0\r\n\r\n"],
    ["trailer with a bare LF", `5\r\nhello\r\n0\r\nX: y\n\r\n${SECRET}`],
    ["trailer with a bare CR", "5\r\nhello\r\n0\r\nX: a\rb\r\n\r\n"],
    ["trailer that is folded", "5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n"],
    ["trailer with a space before the colon", "5\r\nhello\r\n0\r\nX : y\r\n\r\n"],
    ["trailer without a colon", "5\r\nhello\r\n0\r\nX\r\n\r\n"],
    ["trailer with a NUL", "5\r\nhello\r\n0\r\nX: \x00\r\n\r\n"],
  ]),
  ["size of nine digits", chunked("000000005\r\nhello\r\n0\r\n\r\n"), "413."],
  ["size of seventeen digits", chunked(`10000000000000005\r\nhello\r\n0\r\n\r\n${SECRET}`), "413."],
  ["size that wraps 32 bits", chunked(`100000005\r\nhello\r\n0\r\n\r\n${SECRET}`), "413."],
  ["extensions longer than any", chunked(`5;a=${"b".repeat(400)}\r\nhello\r\n0\r\n\r\n`), "400. | 413. | 431."],
  ["trailers larger than any", chunked(`5\r\nhello\r\n0\r\nX: ${"y".repeat(5000)}\r\n\r\n`), "400. | 413. | 431."],
  ["usual chunks", chunked("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"), "200", "POST / 11"],
  ["capital and small digits, zeros", chunked("0000000A\r\n0123456789\r\nb\r\n0123456789a\r\n000\r\n\r\n"), "200", "POST / 21"],
  ["extensions", chunked('5;a\r\nhello\r\n1;b=c;d="e;f\\"\t"\r\n!\r\n0;g\r\n\r\n'), "200", "POST / 6"],
  ["a request as chunk", chunked(`21\r\n${SECRET}\r\n0\r\n\r\n`), "200", `POST / ${SECRET.length}`],
  ["chunks of data that look like chunks", chunked("9\r\n0\r\n\r\nGET \r\n0\r\n\r\n"), "200", "POST / 9"],
  ["a request behind the last chunk", chunked(`5\r\nhello\r\n0\r\n\r\n${SECOND}`), "200 200", "POST / 5", "GET /second 0"],
  ["trailers that frame, route and claim", chunked(`5\r\nhello\r\n0\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\nHost: b\r\nX-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX_Request_Id: 6\r\nConnection: close\r\nX-Sum: 5\r\n\r\n${SECOND}`), "200 200", "POST / 5", "GET /second 0"],
  ["chunked in a GET", get("Transfer-Encoding: chunked\r\n", `5\r\nhello\r\n0\r\n\r\n${SECOND}`), "200 200", "GET / 5", "GET /second 0"],
  ["an empty chunked body", chunked(`0\r\n\r\n${SECOND}`), "200 200", "POST / 0", "GET /second 0"],
];

// --- lines and fields ---

const fields = [
  ...refused([
    ["a space before the colon", get("X : y\r\n")],
    ["a tab before the colon", get("X\t: y\r\n")],
    ["a field without colon", get("X\r\n")],
    ["an empty name", get(": y\r\n")],
    ["a folded field", get("X: y\r\n z\r\n")],
    ["a folded field by a tab", get("X: y\r\n\tz\r\n")],
    ["an empty folded line", get("X: y\r\n \r\n")],
    ["a space before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n"],
    ["a bare CR in a value", get("X: a\rb\r\n")],
    ["a bare LF in a value", get(`X: a\nY: b\r\n`)],
    ["a NUL in a value", get("X: a\x00b\r\n")],
    ["a DEL in a value", get("X: a\x7fb\r\n")],
    ["a vertical tab in a value", get("X: a\x0bb\r\n")],
    ["a form feed in a value", get("X: a\x0cb\r\n")],
    ["an escape in a value", get("X: a\x1bb\r\n")],
    ["a NUL in a name", get("X\x00: y\r\n")],
    ["a slash in a name", get("X/Y: z\r\n")],
    ["quotes in a name", get('"X": y\r\n')],
    ["brackets in a name", get("X[0]: y\r\n")],
    ["a byte above 127 in a name", get("X\xe9: y\r\n")],
    ["a bare LF ends the head", "GET / HTTP/1.1\r\nHost: a\r\n\nGET /secret HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["bare LFs only", "GET / HTTP/1.1\nHost: a\n\n"],
    ["LF CR", "GET / HTTP/1.1\n\rHost: a\n\r\n\r"],
    ["CR CR LF", "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n"],
    ["a bare CR for the end of the head", "GET / HTTP/1.1\r\nHost: a\r\n\r\rGET /secret HTTP/1.1\r\n\r\n"],
    ["a request line as a field", `GET / HTTP/1.1\r\nHost: a\r\nGET /secret HTTP/1.1\r\n\r\n`],
    ["Connection with what is no option", get('Connection: "close"\r\n')],
  ]),
  ["bytes above 127 in a value", get("X: \xe9\xa0\x85\r\n"), "200", "GET / 0"],
  ["spaces and tabs around a value", get("X: \t y \t\r\n"), "200", "GET / 0"],
  ["an empty value", get("X:\r\n"), "200", "GET / 0"],
  ["a fold that is only a tab within", get("X: a\tb\r\n"), "200", "GET / 0"],
  ["a head larger than the limit", get(`X: ${"y".repeat(70_000)}\r\n`), "431."],
  ["fields more than the limit", get("X: y\r\n".repeat(300)), "431."],
  ["a head that never ends", `GET / HTTP/1.1\r\nHost: a\r\nX: ${"y".repeat(70_000)}`, "431."],
  ["a target longer than the limit", `GET /${"a".repeat(70_000)} HTTP/1.1\r\nHost: a\r\n\r\n`, "414. | 431."],
];

const requestLines = [
  ...refused([
    ["HTTP/0.9", "GET /\r\n"],
    ["HTTP/0.9 with fields", "GET /\r\nHost: a\r\n\r\n"],
    ["two spaces before the target", line("GET  / HTTP/1.1")],
    ["two spaces before the version", line("GET /  HTTP/1.1")],
    ["a tab before the target", line("GET\t/ HTTP/1.1")],
    ["a tab before the version", line("GET /\tHTTP/1.1")],
    ["a space at the end", line("GET / HTTP/1.1 ")],
    ["a space at the beginning", line(" GET / HTTP/1.1")],
    ["a word too much", line("GET / HTTP/1.1 x")],
    ["a space in the target", line("GET /a b HTTP/1.1")],
    ["a request in the target", line("GET / HTTP/1.1 /secret HTTP/1.1")],
    ["another case of the version", line("GET / http/1.1")],
    ["a version of two digits", line("GET / HTTP/1.10")],
    ["a version with a zero before", line("GET / HTTP/01.1")],
    ["a version without minor", line("GET / HTTP/1")],
    ["a version with a comma", line("GET / HTTP/1,1")],
    ["another protocol", line("GET / ICY/1.1")],
    ["no method", line("/ HTTP/1.1")],
    ["a NUL in the method", line("G\x00ET / HTTP/1.1")],
    ["a colon in the method", line("GET: / HTTP/1.1")],
    ["a byte above 127 in the method", line("G\xc9T / HTTP/1.1")],
    ["a NUL in the target", line("GET /\x00 HTTP/1.1")],
    ["a control character in the target", line("GET /\x01 HTTP/1.1")],
    ["a DEL in the target", line("GET /\x7f HTTP/1.1")],
    ["a byte above 127 in the target", line("GET /\xe9 HTTP/1.1")],
    ["a fragment in the target", line("GET /#x HTTP/1.1")],
    ["a backslash in the target", line("GET /\\x HTTP/1.1")],
    ["quotes in the target", line('GET /"x" HTTP/1.1')],
    ["a bare CR in the target", line("GET /a\rb HTTP/1.1")],
    ["a bare LF behind the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n"],
    ["two empty lines before", `\r\n\r\n${GET}`],
    ["a bare LF before", `\n${GET}`],
    ["a space line before", ` \r\n${GET}`],
    ["a target without slash", line("GET a HTTP/1.1")],
    ["a target that is an authority", line("GET a:80 HTTP/1.1")],
    ["a star for GET", line("GET * HTTP/1.1")],
  ]),
  ["a bad escape", line("GET /%zz HTTP/1.1"), "400"],
  ["an escaped NUL", line("GET /%00 HTTP/1.1"), "400"],
  ["a way above the root", line("GET /../secret HTTP/1.1"), "400"],
  ["an escaped way above the root", line("GET /%2e%2e%2fsecret HTTP/1.1"), "400"],
  ["dots with a parameter", line("GET /x/..;/secret HTTP/1.1"), "400"],
  ["the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", "505. | 400."],
  ["HTTP/2.0", line("GET / HTTP/2.0"), "505."],
  ["HTTP/3.0", line("GET / HTTP/3.0"), "505."],
  ["HTTP/0.9 by name", line("GET / HTTP/0.9"), "505."],
  ["a method that is too long", line(`${"G".repeat(40)} / HTTP/1.1`), "501."],
  ["CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", "501. | 405."],
  ["TRACE", line("TRACE / HTTP/1.1"), "405"],
  ["one empty line before", `\r\n${GET}`, "200", "GET / 0"],
  ["HTTP/1.2 is HTTP/1.1", line("GET / HTTP/1.2"), "200", "GET / 0"],
  ["a method that nobody knows", line("SECRET / HTTP/1.1"), "200", "SECRET / 0"],
  ["a method in small letters", line("get / HTTP/1.1"), "200", "get / 0"],
  ["a star for OPTIONS", line("OPTIONS * HTTP/1.1"), "200", "OPTIONS * 0"],
  ["an escaped line end", line("GET /x%0d%0aHost:%20b%0d%0a HTTP/1.1"), "200", "GET /x%0d%0aHost:%20b%0d%0a 0"],
  ["an escaped line end in dot segments", line("GET /y/../x%0d%0a%20HTTP/1.1 HTTP/1.1"), "200", "GET /x%0D%0A%20HTTP/1.1 0"],
  ["two slashes", line("GET //b/x HTTP/1.1"), "200", "GET /b/x 0"],
  ["a query that looks like a target", line("GET /?x=http://b/../y HTTP/1.1"), "200", "GET /?x=http://b/../y 0"],
];

// --- who is asked ---

const hosts = [
  ...refused([
    ["no Host", "GET / HTTP/1.1\r\n\r\n"],
    ["an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n"],
    ["Host twice, the same", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"],
    ["Host twice, different", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"],
    ["Host twice, another case", "GET / HTTP/1.1\r\nHost: a\r\nhOST: b\r\n\r\n"],
    ["Host with a space before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n"],
    ["Host that is folded", "GET / HTTP/1.1\r\nHost:\r\n a\r\n\r\n"],
    ["Host folded after a", "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n"],
    ["Host that is a list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"],
    ["Host with a space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"],
    ["Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"],
    ["Host with a user", "GET / HTTP/1.1\r\nHost: b@a\r\n\r\n"],
    ["Host with a fragment", "GET / HTTP/1.1\r\nHost: a#b\r\n\r\n"],
    ["Host with a query", "GET / HTTP/1.1\r\nHost: a?b\r\n\r\n"],
    ["Host with a backslash", "GET / HTTP/1.1\r\nHost: a\\b\r\n\r\n"],
    ["Host with two ports", "GET / HTTP/1.1\r\nHost: a:80:81\r\n\r\n"],
    ["Host with a port that is none", "GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n"],
    ["Host with a port too large", "GET / HTTP/1.1\r\nHost: a:65616\r\n\r\n"],
    ["Host with an open bracket", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"],
    ["Host with escapes", "GET / HTTP/1.1\r\nHost: %61\r\n\r\n"],
    ["Host with a NUL", "GET / HTTP/1.1\r\nHost: a\x00b\r\n\r\n"],
    ["Host with bytes above 127", "GET / HTTP/1.1\r\nHost: \xc3\xa4\r\n\r\n"],
    ["an absolute target of another host", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["an absolute target of another port", "GET http://a:81/ HTTP/1.1\r\nHost: a:82\r\n\r\n"],
    ["an absolute target without Host", "GET http://a/ HTTP/1.1\r\n\r\n"],
    ["an absolute target with a user", "GET http://a@b/ HTTP/1.1\r\nHost: b\r\n\r\n"],
    ["an absolute target without host", "GET http:///secret HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["an absolute target of another scheme", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["an absolute target with one slash", "GET http:/a/ HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["an absolute target with two Hosts", "GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"],
  ]),
  ["an absolute target", "GET http://a/x?y HTTP/1.1\r\nHost: a\r\n\r\n", "200", "GET /x?y 0"],
  ["an absolute target, host in capitals", "GET HTTP://A/x HTTP/1.1\r\nHost: a\r\n\r\n", "200", "GET /x 0"],
  ["an absolute target without path", "GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", "200", "GET / 0"],
  ["an absolute target with a query only", "GET http://a?x HTTP/1.1\r\nHost: a\r\n\r\n", "200", "GET /?x 0"],
  ["OPTIONS of a host", "OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n", "200", "OPTIONS * 0"],
  ["a host that is not configured", "GET / HTTP/1.1\r\nHost: nobody\r\n\r\n", "404"],
  ["a host in capitals", "GET / HTTP/1.1\r\nHost: A\r\n\r\n", "200", "GET / 0"],
  ["an underscore does not make a Host", "GET / HTTP/1.1\r\nHost: a\r\nH_ost: b\r\nX_Host: b\r\n\r\n", "200", "GET / 0"],
];

// --- what goes for one connection, and what comes after ---

const connections = [
  ["Connection names Content-Length", post(`Content-Length: ${SECRET.length}\r\nConnection: Content-Length\r\n`, SECRET), "200", `POST / ${SECRET.length}`],
  ["Connection names Transfer-Encoding", post("Transfer-Encoding: chunked\r\nConnection: Transfer-Encoding\r\n", "5\r\nhello\r\n0\r\n\r\n"), "200", "POST / 5"],
  ["Connection names Host", get("Connection: Host\r\n"), "200", "GET / 0"],
  ["Connection names X-Forwarded-For", get("Connection: close, X-Forwarded-For, Via, X-Request-Id\r\n"), "200.", "GET / 0"],
  ["Connection names Cookie and Authorization", get("Cookie: a=b\r\nAuthorization: x\r\nConnection: Cookie, Authorization\r\n"), "200", "GET / 0"],
  ["Connection: close drops what follows", get("Connection: close\r\n", SECRET), "200.", "GET / 0"],
  ["close among other options", get("Connection: keep-alive, close\r\n", SECRET), "200.", "GET / 0"],
  ["close in a second field", get("Connection: keep-alive\r\nConnection: CLOSE\r\n", SECRET), "200.", "GET / 0"],
  ["HTTP/1.0 drops what follows", `GET / HTTP/1.0\r\nHost: a\r\n\r\n${SECRET}`, "200.", "GET / 0"],
  ["HTTP/1.0 that is kept", `GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n${SECOND}`, "200 200", "GET / 0", "GET /second 0"],
  ["who the client says that it is", get("X-Forwarded-For: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: b\r\nX-Request-Id: 6\r\nVia: 1.1 x\r\n"), "200", "GET / 0"],
  ["Proxy-Connection is not Connection", get("Proxy-Connection: close\r\n", SECOND), "200 200", "GET / 0", "GET /second 0"],
  ["three at once", GET + SECOND + GET, "200 200 200", "GET / 0", "GET /second 0", "GET / 0"],
  ["HEAD, then GET", `HEAD / HTTP/1.1\r\nHost: a\r\n\r\n${SECOND}`, "200 200", "HEAD / 0", "GET /second 0"],
  ["bodies one after the other", post("Content-Length: 5\r\n", "hello") + chunked("5\r\nhello\r\n0\r\n\r\n") + SECOND, "200 200 200", "POST / 5", "POST / 5", "GET /second 0"],
  ["a good one, then a bad one", `${GET}GET /secret HTTP/1.1\r\nHost : a\r\n\r\n`, "200 400.", "GET / 0"],
  ["a good one, then half of one", `${GET}GET /sec HTTP/1.1\r\nHo:st: a\rx`, "200 400.", "GET / 0"],
  ["an empty line between two", `${GET}\r\n${SECOND}`, "200 200", "GET / 0", "GET /second 0"],
  ["a body longer than it says", post("Content-Length: 5\r\n", `hello, world\r\n\r\n`), "200 400.", "POST / 5"],
  ["Expect", post("Content-Length: 5\r\nExpect: 100-continue\r\n", "hello"), "200", "POST / 5"],
  ["Expect in capitals, chunked", post("Transfer-Encoding: chunked\r\nExpect: 100-CONTINUE\r\n", "5\r\nhello\r\n0\r\n\r\n"), "200", "POST / 5"],
  ["Expect without a body", get("Expect: 100-continue\r\n", SECOND), "200 200", "GET / 0", "GET /second 0"],
  ["Expect with length 0", post("Content-Length: 0\r\nExpect: 100-continue\r\n", SECOND), "200 200", "POST / 0", "GET /second 0"],
  ["Expect with a request as body", post(`Content-Length: ${SECRET.length}\r\nExpect: 100-continue\r\n`, SECRET), "200", `POST / ${SECRET.length}`],
  ["Expect twice", post("Content-Length: 5\r\nExpect: 100-continue\r\nExpect: 100-continue\r\n", "hello"), "200", "POST / 5"],
  ["Expect of something else", post("Content-Length: 5\r\nExpect: 200-ok\r\n", "hello"), "417."],
  ["Expect of two things", post("Content-Length: 5\r\nExpect: 100-continue, x\r\n", "hello"), "417."],
  ["Expect with a space before", post("Content-Length: 5\r\nExpect : 100-continue\r\n", "hello"), "400."],
  ["Expect of HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\nExpect: x\r\n\r\nhello", "200.", "POST / 5"],
];

/** To a server that does not switch protocols what follows is requests, which the proxy reads itself. */
const upgrade = (status, lines) => `GET /status/${status} HTTP/1.1\r\nHost: a\r\n${lines}\r\n${SECOND}`;
const websocket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

const upgrades = [
  ...[200, 400, 404, 426].map((status) => [`an upgrade that is answered ${status}`, upgrade(status, websocket), `${status} 200`, `GET /status/${status} 0`, "GET /second 0"]),
  ["an upgrade to another version", upgrade(426, websocket.replace("13", "777")), "426 200", "GET /status/426 0", "GET /second 0"],
  ["an upgrade to h2c", upgrade(200, "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"), "200 200", "GET /status/200 0", "GET /second 0"],
  ["Upgrade that Connection does not name", upgrade(200, "Upgrade: websocket\r\n"), "200 200", "GET /status/200 0", "GET /second 0"],
  ["Connection: Upgrade without Upgrade", upgrade(200, "Connection: Upgrade\r\n"), "200 200", "GET /status/200 0", "GET /second 0"],
  ["an upgrade with a body", post(`${websocket}Content-Length: 5\r\n`, `hello${SECOND}`), "200 200", "POST / 5", "GET /second 0"],
  ["an upgrade with a chunked body", post(`${websocket}Transfer-Encoding: chunked\r\n`, `5\r\nhello\r\n0\r\n\r\n${SECOND}`), "200 200", "POST / 5", "GET /second 0"],
  ["an upgrade by HTTP/1.0", `GET /status/200 HTTP/1.0\r\nHost: a\r\n${websocket}\r\n${SECRET}`, "200.", "GET /status/200 0"],
];

export const groups = [
  ["both framings", bothFramings],
  ["lengths", lengths],
  ["codings", codings],
  ["chunks", chunks],
  ["fields", fields],
  ["request lines", requestLines],
  ["hosts", hosts],
  ["connections", connections],
  ["upgrades", upgrades],
];
