// A room with nobody else in it yet: who is awaited, and what to send them.
import type { JSX } from "preact";
import type { Channel } from "../../node/api";
import { nameList } from "../format";
import { t } from "../i18n";
import { away } from "../state/members";
import { channelHash } from "../state/route";
import { CopyButton } from "./CopyButton";

const NAMED_MAX = 5;

/** Addresses that mean "this computer" lead nowhere for anybody else. */
function onlyHere(host: string): boolean {
  return host === "localhost" || host.endsWith(".localhost") || host.startsWith("127.") || host === "[::1]";
}

export function EmptyRoom({ channel }: { channel: Channel }): JSX.Element {
  const link = `${location.origin}/${channelHash(channel.name)}`;
  const expected = away.value.filter((member) => !member.me).map((member) => member.account).slice(0, NAMED_MAX);
  return (
    <div class="empty">
      <div class="empty-art" aria-hidden="true">
        <svg viewBox="0 0 120 72">
          <path d="M22 44C38 22 82 22 98 44" />
          <circle cx="22" cy="48" r="11" />
          <circle cx="98" cy="48" r="11" class="awaited" />
          <circle cx="60" cy="22" r="8" class="awaited" />
        </svg>
      </div>
      <h2>{t("empty.title")}</h2>
      <p>{expected.length > 0 ? t("empty.expected", { names: nameList(expected) }) : t("empty.waiting")}</p>
      <div class="share">
        <code class="clip">{link}</code>
        <CopyButton text={link} label={t("empty.copy")} />
      </div>
      <p class="faint">{t(onlyHere(location.hostname) ? "empty.only-here" : "empty.works", { host: location.host })}</p>
    </div>
  );
}
