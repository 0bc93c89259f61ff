// docs/manual/make.mjs --include FOLDER --out FOLDER --version V: the manual pages of the library, made
// from its headers, so that there is one description of each function. A page for each header (weaprous_app.3), and
// a name for each function that leads to it (wr_listen.3). Dialect: man(7).
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: { include: { type: "string" }, out: { type: "string" }, version: { type: "string" } },
});

/** Text as troff wants it: nothing begins a request, backslashes and hyphens are themselves. */
const escape = (text) => text.replaceAll("\\", "\\e").replaceAll("-", "\\-");
const line = (text) => escape(text).replace(/^([.'])/, "\\&$1");

/** The words of a comment, without its frame. */
function words(comment) {
  return comment
    .replace(/^\/\*+ ?/, "")
    .replace(/\s*\*\/$/, "")
    .split("\n")
    .map((text) => text.replace(/^\s*\* ?/, ""));
}

/** Paragraphs; lines that are further in are shown as they are, "  Word: text" begins an item of a list. */
function paragraphs(lines) {
  const out = [];
  let shown = false, item = false;
  const show = (on) => {
    if (on !== shown) out.push(on ? ".PP\n.nf\n.RS 4" : ".RE\n.fi\n.PP");
    shown = on;
  };
  for (const text of lines) {
    const [, word, rest] = /^ {1,3}([A-Z][a-z]+): +(.*)/.exec(text) ?? [];
    if (word) {
      show(false);
      out.push(`.TP\n.B ${word}\n${line(rest)}`);
      item = true;
    } else if (text.trim() === "") {
      out.push(shown ? "" : ".PP");
      item = false;
    } else {
      show(!item && /^ {3,}/.test(text));
      out.push(line(shown ? text.replace(/^ {4}/, "") : text.trim()));
    }
  }
  show(false);
  return out.join("\n").replace(/\n\n(?=\.RE)/g, "\n");
}

/** Cuts a header into comments and declarations, in their order. */
function parts(source) {
  const out = [];
  let rest = source
    .replace(/#ifndef WEAPROUS_\w+_H\n#define .*\n/, "")
    .replace(/#ifdef __cplusplus[\s\S]*?#endif\n/g, "")
    .replace(/\n#endif\s*$/, "\n")
    .replace(/^#(include|define WR_\w+ __).*\n/gm, "");
  while ((rest = rest.trimStart()) !== "") {
    const comment = /^\/\*[\s\S]*?\*\//.exec(rest);
    if (comment) {
      out.push({ comment: words(comment[0]), heading: /^\/\* --- (.*?) --- ?/.exec(comment[0])?.[1], apart: /^\n\s*\n/.test(rest.slice(comment[0].length)) });
      rest = rest.slice(comment[0].length);
      continue;
    }
    // A declaration ends with a semicolon outside of braces; a comment on its line belongs to it.
    let depth = 0, end = 0;
    for (; end < rest.length; end++) {
      if (rest.startsWith("/*", end)) end = rest.indexOf("*/", end) + 1;
      else if (rest[end] === "{") depth++;
      else if (rest[end] === "}") depth--;
      else if (rest[end] === ";" && depth === 0) break;
    }
    const tail = /^;[ \t]*(\/\*[^\n]*?\*\/)?/.exec(rest.slice(end))?.[0] ?? ";";
    out.push({ code: rest.slice(0, end) + tail });
    rest = rest.slice(end + tail.length);
  }
  return out;
}

const clean = (code) =>
  code
    .replaceAll(/\bWR_API\s+|\s*\bWR_CHECKED\b|\s*__attribute__\(\(.*?\)\)(?=;)/g, "")
    .replaceAll(/\n {8,}/g, "\n    ")
    .trim();
const functionName = (code) => (/^WR_API\b/.test(code) ? /\b(wr_\w+)\(/.exec(code)?.[1] : undefined);

/** The body of a page: each declaration, then the words that stand before it in the header. */
function body(list) {
  const out = [];
  let text = [];
  const describe = () => {
    if (text.length > 0) out.push(`.PP\n${paragraphs(text)}`);
    text = [];
  };
  for (const { comment, heading, code, apart } of list) {
    if (code !== undefined) {
      out.push(`.PP\n.nf\n.ft B\n${clean(code).split("\n").map(line).join("\n")}\n.ft R\n.fi`);
      continue;
    }
    describe();
    if (heading) out.push(`.SS ${escape(heading)}`);
    text = heading ? comment.slice(1) : comment;
    if (apart || heading) describe();
  }
  describe();
  return out.join("\n").replace(/\.fi\n\.PP\n\.nf\n\.ft B/g, ".ft B").replace(/(\.PP\n)+(?=\.PP\n|\.SS|\.SH)/g, "");
}

mkdirSync(values.out, { recursive: true });
const headers = readdirSync(values.include).filter((name) => name.endsWith(".h")).sort();
const page = (name) => (name === "weaprous.h" ? "weaprous" : `weaprous_${name.slice(0, -2)}`);
for (const header of headers) {
  const name = page(header);
  const [first, ...list] = parts(readFileSync(join(values.include, header), "utf8"));
  const [title, ...rest] = first.comment;
  const [, summary] = /^[\w.]+ - (.*)$/.exec(title.trim()) ?? [];
  if (!summary) throw new Error(`${header}: the first comment does not say "${header} - what it is."`);
  const functions = list.map(({ code }) => code && functionName(code)).filter(Boolean);
  const others = headers.filter((other) => other !== header).map((other) => `.BR ${page(other)} (3)`);
  const text = [
    `.TH ${name.toUpperCase()} 3 "" "weaprous ${values.version}" "Library functions"`,
    `.SH NAME\n${[...new Set(functions)].slice(0, 40).join(", ") || name} \\- ${escape(summary.replace(/\.$/, ""))}`,
    `.SH SYNOPSIS\n.nf\n.B #include <weaprous/${header}>\n.fi\n.PP\nLink with \\fIpkg\\-config \\-\\-libs libweaprous\\fR.`,
    `.SH DESCRIPTION\n${paragraphs(rest)}\n${body(list)}`,
    `.SH SEE ALSO\n${others.join(",\n")}`,
  ].join("\n").replace(/\n{2,}/g, "\n").replace(/\n\.PP(?=\n\.(PP|SS|SH))/g, "");
  writeFileSync(join(values.out, `${name}.3`), `${text}\n`);
  for (const each of new Set(functions)) writeFileSync(join(values.out, `${each}.3`), `.so man3/${name}.3\n`);
}
