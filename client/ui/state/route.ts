// The address names what is shown: "#/" the list of conversations, "#/c/<name>" one of them, "#/desk/<page>" a page of
// its own (friends, channels, the account ...). Narrow screens show one of the columns, so that Back leads to the list.
import { signal } from "@preact/signals";

export const deskPages = ["friends", "channels", "room", "search", "mentions", "account", "admin"] as const;
export type DeskPage = (typeof deskPages)[number];

export interface Route {
  channel: string | null;
  desk: DeskPage | null;
  /** What the page is about: the name of a channel. */
  rest: string | null;
}

function parse(hash: string): Route {
  const match = /^#\/(c|desk)\/(.+)$/.exec(hash);
  try {
    if (match?.[1] === "c") return { channel: decodeURIComponent(match[2] ?? ""), desk: null, rest: null };
    const [name, rest] = (match?.[2] ?? "").split("/");
    return { channel: null, desk: deskPages.find((page) => page === name) ?? null, rest: rest ? decodeURIComponent(rest) : null };
  } catch {
    return { channel: null, desk: null, rest: null };
  }
}

export const route = signal<Route>(parse(location.hash));
addEventListener("hashchange", () => (route.value = parse(location.hash)));

export const channelHash = (name: string): string => `#/c/${encodeURIComponent(name)}`;
export const deskHash = (page: DeskPage, rest?: string): string => `#/desk/${page}${rest ? `/${encodeURIComponent(rest)}` : ""}`;

/** First visit: the list goes under the conversation in the history, so Back finds it; and the address of the
 *  login form is the chat's from now on. */
export function landIn(name: string): void {
  // The address itself: somebody may have gone on already, and the event of that is still to come.
  const now = parse(location.hash);
  const named = now.channel !== null || now.desk !== null;
  history.replaceState(null, "", `/${location.search}${named ? location.hash : "#/"}`);
  if (!named) location.hash = channelHash(name);
}
