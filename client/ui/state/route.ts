// The address names what is shown: "#/" the list of conversations, "#/c/<name>" one of them. Narrow screens
// show one of the two, so that Back leads from a conversation to the list.
import { signal } from "@preact/signals";

export interface Route {
  channel: string | null;
}

function parse(hash: string): Route {
  const match = /^#\/c\/(.+)$/.exec(hash);
  try {
    return { channel: match?.[1] ? decodeURIComponent(match[1]) : null };
  } catch {
    return { channel: null };
  }
}

export const route = signal<Route>(parse(location.hash));
addEventListener("hashchange", () => (route.value = parse(location.hash)));

export const channelHash = (name: string): string => `#/c/${encodeURIComponent(name)}`;

/** First visit: the list goes under the conversation in the history, so Back finds it; and the address of the
 *  login form is the chat's from now on. */
export function landIn(name: string): void {
  history.replaceState(null, "", `/${location.search}${route.value.channel === null ? "#/" : location.hash}`);
  if (route.value.channel === null) location.hash = channelHash(name);
}
