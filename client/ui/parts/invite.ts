// The link that lets somebody else in, and what it is good for.
import type { Channel } from "../../node/api";
import { t } from "../i18n";
import { channelHash } from "../state/route";

/** Addresses that mean "this computer" lead nowhere for anybody else. */
function onlyHere(host: string): boolean {
  return host === "localhost" || host.endsWith(".localhost") || host.startsWith("127.") || host === "[::1]";
}

export const inviteLink = (channel: Channel): string => `${location.origin}/${channelHash(channel.name)}`;

/** Whether the link works while I am away, or on this computer only. */
export const inviteWords = (): string =>
  t(onlyHere(location.hostname) ? "empty.only-here" : "empty.works", { host: location.host });
