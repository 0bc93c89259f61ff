// What the page shows of a channel, without a browser: order, groups, marks, the window of drawn rows, links.
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("../..", import.meta.url));
const SEED = Number(process.env.SEED ?? 20261120);

async function load() {
  const modules = ["state/timeline", "state/window", "parts/links", "parts/markup"];
  const { outputFiles } = await build({
    stdin: { contents: modules.map((name) => `export * from "./${name}";`).join("\n"), resolveDir: join(root, "client/ui") },
    bundle: true,
    write: false,
    format: "esm",
    platform: "node",
    target: "node18",
  });
  const folder = join(root, "build/test/node");
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `page-${process.pid}.mjs`);
  writeFileSync(file, outputFiles[0].contents);
  return import(pathToFileURL(file).href);
}

const { Timeline, RowWindow, partsOf, blocksOf, spansOf, inOpenBlock } = await load();

function random(seed) {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function shuffled(list, next) {
  const copy = [...list];
  for (let i = copy.length - 1; i > 0; i--) {
    const j = next(i + 1);
    [copy[i], copy[j]] = [copy[j], copy[i]];
  }
  return copy;
}

const NOON = new Date(2026, 10, 20, 12).getTime();
const MINUTE = 60_000;

function message(n, fields = {}) {
  const account = fields.account ?? "An";
  const time = fields.place ?? NOON + n * MINUTE;
  return {
    id: `id-${n}-${account}`, channel: "c", author: `device of ${account}`, account, seq: n, kind: "text", text: `text ${n}`,
    time, place: time, mine: false, path: "direct", from: `device of ${account}`, fromAccount: account, arrived: time, ...fields,
  };
}

function whole(messages) {
  const timeline = new Timeline();
  timeline.prepend([], false);
  for (const one of messages) timeline.insert(one);
  return timeline;
}

const kinds = (timeline) => timeline.rows().map((row) => row.kind);

test(`whatever order they arrive in, the same rows are shown (seed ${SEED})`, () => {
  const next = random(SEED);
  const messages = Array.from({ length: 200 }, (_, i) =>
    message(i, { account: ["An", "Binh", "Chi"][next(3)], place: NOON + next(60) * MINUTE, kind: next(9) ? "text" : "join" }),
  );
  const expected = JSON.stringify(whole(messages).rows());
  for (let round = 0; round < 20; round++) assert.equal(JSON.stringify(whole(shuffled(messages, next)).rows()), expected);
});

test("a message is shown once, however often it comes", () => {
  const timeline = whole([message(1), message(2), message(1), message(2)]);
  timeline.prepend([message(1), message(2)], false);
  assert.deepEqual(timeline.messages.map((one) => one.seq), [1, 2]);
});

test("what stands before the loaded part waits for its page, unless everything is loaded", () => {
  const timeline = new Timeline();
  timeline.prepend([message(10), message(11)], true);
  assert.equal(timeline.insert(message(5)), -1);
  assert.equal(timeline.messages.length, 2);
  timeline.prepend([message(5)], false);
  assert.equal(timeline.insert(message(4)), 3);
});

test("marks only go forward, and only on this device's messages up to seq", () => {
  const own = (n, mark) => message(n, { mine: true, mark });
  const timeline = whole([own(1, "queued"), own(2, "delivered"), own(3, "queued"), message(1, { account: "Binh" })]);
  timeline.mark("device of An", 1, 2, "handed");
  assert.deepEqual(timeline.messages.filter((one) => one.mine).map((one) => one.mark), ["handed", "delivered", "queued"]);
  timeline.insert(own(2, "queued")); // an older report of the same message
  assert.equal(timeline.find("id-2-An").mark, "delivered");
  assert.equal(timeline.waiting, 1);
  timeline.mark("device of An", 3, 3, "delivered");
  assert.deepEqual(timeline.messages.filter((one) => one.mine).map((one) => one.mark), ["handed", "delivered", "delivered"]);
});

test("what is missing between an author's messages is a row before the next of them, until it is there", () => {
  const timeline = whole([message(1), message(2, { account: "Binh" }), message(5), message(6)]);
  const gap = (from, seq) => ({ channel: "c", author: "device of An", account: "An", from, seq });
  const shape = () => timeline.rows().filter(({ kind }) => kind === "message" || kind === "gap").map((row) => (row.kind === "gap" ? `${row.count} of ${row.account}` : row.message.seq));
  timeline.setGap(gap(2, 4));
  assert.deepEqual(shape(), [1, 2, "3 of An", 5, 6]);
  timeline.setGap(gap(2, 3));
  timeline.insert(message(4));
  assert.deepEqual(shape(), [1, 2, "2 of An", 4, 5, 6]);
  timeline.setGap(gap(4, 3));
  assert.deepEqual(shape(), [1, 2, 4, 5, 6]);
});

test("who is new in a channel reads at the top how much is still to come", () => {
  const timeline = whole([message(5), message(6)]);
  assert.equal(timeline.rows()[0].kind, "start");
  timeline.setGap({ channel: "c", author: "device of An", account: "An", from: 1, seq: 4 });
  timeline.setGap({ channel: "c", author: "device of Chi", account: "Chi", from: 1, seq: 10 });
  assert.deepEqual(timeline.rows()[0], { kind: "coming", key: "coming", count: 14 });
  assert.ok(!timeline.rows().some(({ kind }) => kind === "gap"));
  timeline.setGap({ channel: "c", author: "device of An", account: "An", from: 1, seq: 0 });
  timeline.setGap({ channel: "c", author: "device of Chi", account: "Chi", from: 1, seq: 0 });
  assert.equal(timeline.rows()[0].kind, "start");
});

test("one author within five minutes is one group; another author, a gap, a day and the New line end it", () => {
  const at = (n, minutes, account = "An") => message(n, { account, place: NOON + minutes * MINUTE });
  const timeline = whole([at(1, 0), at(2, 4), at(3, 9.5), at(4, 10, "Binh"), at(5, 11, "Binh"), at(6, 12 * 60 + 1, "Binh")]);
  const shape = () => timeline.rows().filter((row) => row.kind === "message").map((row) => `${row.first ? "[" : ""}${row.message.seq}${row.last ? "]" : ""}`);
  assert.deepEqual(shape(), ["[1", "2]", "[3]", "[4", "5]", "[6]"]);
  assert.equal(kinds(timeline).filter((kind) => kind === "day").length, 2);
  timeline.newFrom = "id-5-Binh";
  timeline.changed();
  assert.deepEqual(shape(), ["[1", "2]", "[3]", "[4]", "[5]", "[6]"]);
  assert.deepEqual(kinds(timeline), ["start", "day", "message", "message", "message", "message", "new", "message", "day", "message"]);
});

test("joins and leaves fold into one line, renewed certificates are not shown", () => {
  const timeline = whole([message(1, { kind: "join" }), message(2, { kind: "control" }), message(3, { kind: "leave" }), message(4)]);
  assert.deepEqual(kinds(timeline), ["start", "day", "fold", "message"]);
  assert.equal(timeline.rows()[2].messages.length, 2);
});

test("the New line stands before the n-th unread text of others from the end", () => {
  const timeline = whole([message(1), message(2), message(3, { mine: true, mark: "queued" }), message(4, { kind: "join" }), message(5)]);
  assert.equal(timeline.unreadStart(0), null);
  assert.equal(timeline.unreadStart(1), "id-5-An");
  assert.equal(timeline.unreadStart(2), "id-2-An");
  assert.equal(timeline.unreadStart(9), null);
});

test("a busy channel that is read at its end is cut, and says that there is more", () => {
  const timeline = whole(Array.from({ length: 1501 }, (_, i) => message(i)));
  timeline.trim();
  assert.equal(timeline.messages.length, 500);
  assert.equal(timeline.messages[0].seq, 1001);
  assert.equal(timeline.more, true);
  assert.equal(timeline.has("id-3-An"), false);
});

test("own texts that are not on disk yet stand at the end until they are", () => {
  const timeline = whole([message(1)]);
  const outgoing = { key: "o1", text: "hello", time: NOON };
  timeline.addOutgoing(outgoing);
  assert.deepEqual(kinds(timeline).slice(-2), ["message", "outgoing"]);
  timeline.replaceOutgoing({ ...outgoing, failure: "full" });
  assert.equal(timeline.rows().at(-1).outgoing.failure, "full");
  timeline.dropOutgoing((one) => one.text === "hello");
  assert.deepEqual(kinds(timeline).slice(-1), ["message"]);
});

test(`the window of drawn rows is what adding up the heights says (seed ${SEED})`, () => {
  const next = random(SEED);
  const keys = Array.from({ length: 500 }, (_, i) => `k${i}`);
  const heights = new Map(keys.map((key) => [key, 20]));
  const rows = new RowWindow(20);
  rows.setRows(keys);
  for (let round = 0; round < 50; round++) {
    const key = keys[next(keys.length)];
    heights.set(key, 1 + next(300));
    rows.measure([[key, heights.get(key)]]);
    const tops = [];
    let total = 0;
    for (const one of keys) {
      tops.push(total);
      total += heights.get(one);
    }
    assert.equal(rows.height, total);
    const from = next(total);
    const to = Math.min(total - 1, from + 800);
    const [start, end] = rows.range(from, to);
    assert.ok(tops[start] <= from && (tops[start + 1] ?? total) > from, "the first row covers the upper edge");
    assert.ok(tops[end - 1] <= to && (tops[end] ?? total) > to, "the last row covers the lower edge");
  }
});

test("addresses become links, nothing else does", () => {
  const links = (text) => partsOf(text).filter((part) => typeof part !== "string").map((part) => part.href);
  assert.deepEqual(links("see https://a.example/x, and (http://b.example/y_(z)) now."), ["https://a.example/x", "http://b.example/y_(z)"]);
  for (const text of ["javascript:alert(1)", "data:text/html,x", "ftp://a.example", "http://", "https://...", "<a href=x>", "vbscript:x"])
    assert.deepEqual(links(text), [], text);
  assert.deepEqual(links('https://a.example/"onmouseover="x'), ["https://a.example/"]);
  for (const text of ["a https://b.example c", "", "https://b.example", "x\nhttp://c.example/?q=1#f\ny"])
    assert.equal(partsOf(text).map((part) => (typeof part === "string" ? part : part.text)).join(""), text, "no character is lost");
});

test("code, stress and addresses are found; what is not whole stays as it was typed", () => {
  const code = (text) => ({ kind: "code", text });
  const in_ = (kind, ...spans) => ({ kind, spans });
  const link = (href) => ({ kind: "link", href, text: href });
  assert.deepEqual(spansOf("run `a  b` and ``c ` d``"), ["run ", code("a  b"), " and ", code("c ` d")]);
  assert.deepEqual(spansOf("**so** *it* _is_ ~~not~~"), [in_("strong", "so"), " ", in_("em", "it"), " ", in_("em", "is"), " ", in_("s", "not")]);
  assert.deepEqual(spansOf("**a *b* c**"), [in_("strong", "a ", in_("em", "b"), " c")]);
  assert.deepEqual(spansOf("see **https://a.example/x_y_z** or"), ["see ", in_("strong", link("https://a.example/x_y_z")), " or"]);
  assert.deepEqual(spansOf("https://a.example/_x_ *https://a.example/*y"), [link("https://a.example/_x_"), " *", link("https://a.example/*y")]);
  assert.deepEqual(spansOf("`**not** https://a.example`"), [code("**not** https://a.example")]);
  const plain = ["2*3*4", "snake_case_name", "* a list *", "a ** b ** c", "*a\nb*", "`a\nb`", "`", "``", "****", "~~ ~~", "5 * 3 * 2", "__init__", "x_*_x", "*", ""];
  for (const text of plain) assert.deepEqual(spansOf(text).join("|"), text, JSON.stringify(text));
});

test("a block of code keeps every space and line, also when it is not closed", () => {
  const code = (language, text) => ({ kind: "code", language, text });
  const text = (...spans) => ({ kind: "text", spans });
  assert.deepEqual(blocksOf("before\n```c\n  a   b\n\n\t`c` **d**\n```\nafter"), [text("before"), code("c", "  a   b\n\n\t`c` **d**"), text("after")]);
  assert.deepEqual(blocksOf("```\nopen\n  end"), [code("", "open\n  end")]);
  assert.deepEqual(blocksOf("```not a language\nx\n```"), [code("", "not a language\nx")], "no word is lost");
  assert.deepEqual(blocksOf("a\n\n  b  c "), [text("a\n\n  b  c ")]);
  assert.deepEqual(blocksOf("```\n```"), [code("", "")]);
  assert.deepEqual(["```", "```js\nx", "```\nx\n```", "a ``` b", ""].map(inOpenBlock), [true, true, false, false, false]);
});

test("the longest and worst messages are read in a moment", () => {
  for (const unit of ["*a ", "**a ", "`a ", "``a` ", "_*~~", "a*b_", "~~a**", "```\n", "https://a.", "*a* ", " *", "*a_b "]) {
    const hostile = unit.repeat(Math.ceil(16_384 / unit.length));
    const start = performance.now();
    blocksOf(hostile);
    const took = performance.now() - start;
    assert.ok(took < 1000, `${JSON.stringify(unit)} took ${Math.round(took)} ms`);
  }
});
