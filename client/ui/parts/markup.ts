// Reads the little Markdown that people type into a chat: `code`, ``` blocks ```, **strong**, *stressed*,
// ~~struck~~ and web addresses. It answers a tree of plain strings; whoever draws it makes text nodes of them,
// so nothing in a message is ever markup of the page. Whatever is not whole stays as it was typed.
import { partsOf } from "./links";

export type Emphasis = "strong" | "em" | "s";
export type Span =
  | string
  | { kind: "link"; href: string; text: string }
  | { kind: "code"; text: string }
  | { kind: Emphasis; spans: Span[] };
export type Block = { kind: "text"; spans: Span[] } | { kind: "code"; language: string; text: string };

const FENCE = /^ {0,3}```([^`]*)$/;
const LANGUAGE = /^[\w+#.-]{1,20}$/;
const DEPTH_MAX = 4;
/** One or two backticks each side; between two, single ones are text. */
const CODE = /(?<!`)``((?:[^`\n]|`(?!`))+)``(?!`)|(?<!`)`([^`\n]+)`(?!`)/g;
/** Addresses as they are (a delimiter inside belongs to the address); stress only around whole words, so that
 *  2*3*4 and snake_case stay, and not over long stretches, so that a hostile text costs little. */
const STRESSED =
  /https?:\/\/[^\s<>"'`]+|(?<![\p{L}\p{N}*_~])(\*\*|~~|\*|_)(?=[^\s*_~])([^\n]{0,400}?[^\s*_~])\1(?![\p{L}\p{N}*_~])/giu;
const emphasisOf: Record<string, Emphasis> = { "**": "strong", "~~": "s", "*": "em", _: "em" };

/** Splits by a pattern: what it finds is made by `found`, what stands between by `between`. */
function split(text: string, pattern: RegExp, found: (match: RegExpMatchArray) => Span[], between: (text: string) => Span[]): Span[] {
  const spans: Span[] = [];
  let at = 0;
  for (const match of text.matchAll(pattern)) {
    if (match.index > at) spans.push(...between(text.slice(at, match.index)));
    spans.push(...found(match));
    at = match.index + match[0].length;
  }
  if (at < text.length) spans.push(...between(text.slice(at)));
  return spans;
}

function linked(text: string): Span[] {
  return partsOf(text).map((part) => (typeof part === "string" ? part : { kind: "link", ...part }));
}

function stressed(text: string, depth: number): Span[] {
  if (depth >= DEPTH_MAX) return linked(text);
  return split(
    text,
    STRESSED,
    ([whole, delimiter, inner]) =>
      delimiter && inner ? [{ kind: emphasisOf[delimiter] as Emphasis, spans: stressed(inner, depth + 1) }] : linked(whole as string),
    (rest) => [rest],
  );
}

export function spansOf(text: string): Span[] {
  return split(
    text,
    CODE,
    ([, double, single]) => [{ kind: "code", text: double ?? (single as string) }],
    (rest) => stressed(rest, 0),
  );
}

/** Text and code blocks, from top to bottom. A block that is not closed goes to the end. */
export function blocksOf(text: string): Block[] {
  const blocks: Block[] = [];
  let plain: string[] = [];
  let code: { language: string; lines: string[] } | null = null;
  const flush = (): void => {
    if (plain.length > 0) blocks.push({ kind: "text", spans: spansOf(plain.join("\n")) });
    plain = [];
  };
  const close = (): void => {
    if (code) blocks.push({ kind: "code", language: code.language, text: code.lines.join("\n") });
    code = null;
  };
  for (const line of text.split("\n")) {
    const info = FENCE.exec(line)?.[1]?.trim();
    if (code && info === "") close();
    else if (code) code.lines.push(line);
    else if (info === undefined) plain.push(line);
    else {
      flush();
      const named = info === "" || LANGUAGE.test(info);
      code = { language: named ? info : "", lines: named ? [] : [info] };
    }
  }
  flush();
  close();
  return blocks;
}

/** The end of this text is inside a code block that is still open: there Enter makes a line. */
export function inOpenBlock(text: string): boolean {
  let open = false;
  for (const line of text.split("\n")) {
    const info = FENCE.exec(line)?.[1]?.trim();
    if (info !== undefined && (!open || info === "")) open = !open;
  }
  return open;
}
