// Finds web addresses in plain text: http and https only, and without the punctuation that follows them.
const ADDRESS = /https?:\/\/[^\s<>"'`]+/giu;
const TRAILING = /[.,;:!?)\]}»”’*]+$/u;

export type Part = string | { href: string; text: string };

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
