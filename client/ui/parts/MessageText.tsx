// The text of a message, as text: nothing in it is ever markup. Web addresses become links.
import type { JSX } from "preact";

const ADDRESS = /https?:\/\/[^\s<>"'`]+/giu;
const TRAILING = /[.,;:!?)\]}»”’]+$/u;
const EMOJI_ONLY = /^(?:\p{Extended_Pictographic}(?:\uFE0F|\u200D\p{Extended_Pictographic}|\p{Emoji_Modifier})*\s?){1,3}$/u;

type Part = string | { href: string; text: string };

/** "(see http://a.b/c_(d))" keeps the bracket that belongs to the address. */
function withoutTrailing(address: string): string {
  const trimmed = address.replace(TRAILING, "");
  const opens = trimmed.split("(").length - trimmed.split(")").length;
  return opens > 0 && address.startsWith(`${trimmed})`) ? `${trimmed})` : trimmed;
}

export function partsOf(text: string): Part[] {
  const parts: Part[] = [];
  let at = 0;
  for (const match of text.matchAll(ADDRESS)) {
    const shown = withoutTrailing(match[0]);
    let url: URL;
    try {
      url = new URL(shown);
    } catch {
      continue;
    }
    if (url.protocol !== "http:" && url.protocol !== "https:") continue;
    if (match.index > at) parts.push(text.slice(at, match.index));
    parts.push({ href: url.href, text: shown });
    at = match.index + shown.length;
  }
  if (at < text.length) parts.push(text.slice(at));
  return parts;
}

export function MessageText({ id, text, reachable }: { id?: string; text: string; reachable: boolean }): JSX.Element {
  return (
    <div class={EMOJI_ONLY.test(text) ? "text big" : "text"} id={id} dir="auto" data-testid="message-text">
      {partsOf(text).map((part, i) =>
        typeof part === "string" ? (
          part
        ) : (
          <a key={i} href={part.href} target="_blank" rel="noopener noreferrer nofollow" tabIndex={reachable ? 0 : -1}>
            {part.text}
          </a>
        ),
      )}
    </div>
  );
}
