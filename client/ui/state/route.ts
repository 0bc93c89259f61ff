// The address names what is shown: "#/" the list of conversations, "#/c/<name>" one of them, "#/desk/<page>" a page of
// its own (friends, channels, the account ...). Narrow screens show one of the columns, so that Back leads to the list.
import { signal } from "@preact/signals";

export const deskPages = ["friends", "channels", "account", "admin"] as const;
export type DeskPage = (typeof deskPages)[number];

export interface Route {
  channel: string | null;
  desk: DeskPage | null;
}

function parse(hash: string): Route {
  const match = /^#\/(c|desk)\/(.+)$/.exec(hash);
  try {
    const rest = decodeURIComponent(match?.[2] ?? "");
    const desk = match?.[1] === "desk" ? deskPages.find((page) => page === rest) : undefined;
    return { channel: match?.[1] === "c" ? rest : null, desk: desk ?? null };
  } catch {
    return { channel: null, desk: null };
  }
}

export const route = signal<Route>(parse(location.hash));
addEventListener("hashchange", () => (route.value = parse(location.hash)));

export const channelHash = (name: string): string => `#/c/${encodeURIComponent(name)}`;
export const deskHash = (page: DeskPage): string => `#/desk/${page}`;

/** First visit: the list goes under the conversation in the history, so Back finds it; and the address of the
 *  login form is the chat's from now on. */
export function landIn(name: string): void {
  const named = route.value.channel !== null || route.value.desk !== null;
  history.replaceState(null, "", `/${location.search}${named ? location.hash : "#/"}`);
  if (!named) location.hash = channelHash(name);
}
