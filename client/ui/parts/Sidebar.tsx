// The left column: the connection pill, the conversations, my account.
import type { JSX } from "preact";
import type { Channel } from "../../node/api";
import { shortTime } from "../format";
import { type Key, t } from "../i18n";
import { account, channels, draftVersion, readDraft, sessions, timelineOf } from "../state/chat";
import { newMentions } from "../state/mentions";
import { channelHash, deskHash, type DeskPage, route } from "../state/route";
import { isNarrow, openChannel, searchHash } from "../state/view";
import { AccountButton } from "./AccountButton";
import { Icon, type IconName, Logo } from "./icons";
import { Pill } from "./Pill";
import { channelIcon, channelTitle } from "./words";

const ways: { page: DeskPage; icon: IconName; key: Key }[] = [
  { page: "friends", icon: "people", key: "way.friends" },
  { page: "channels", icon: "hash", key: "way.channels" },
];

function Rows({ title, rows }: { title: string; rows: Channel[] }): JSX.Element {
  return (
    <>
      <h2 class="section-title">{title}</h2>
      <ul class="plain-list">
        {rows.map((channel) => (
          <ChannelRow key={channel.id} channel={channel} current={!isNarrow.value && !route.value.desk && channel.id === openChannel.value?.id} />
        ))}
      </ul>
    </>
  );
}

export function Sidebar(): JSX.Element {
  const direct = channels.value.filter(({ type }) => type === "direct");
  return (
    <nav class="sidebar" aria-label={t("sidebar.label")}>
      <header class="sidebar-head">
        <span class="brand">
          <Logo />
          weaprous
        </span>
        <Pill />
      </header>
      <div class="sidebar-ways">
        {ways.map(({ page, icon, key }) => (
          <a key={page} class="way" href={deskHash(page)} aria-current={route.value.desk === page ? "page" : undefined} data-testid={`way-${page}`}>
            <Icon name={icon} />
            {t(key)}
          </a>
        ))}
        <a class="icon-button" href={searchHash()} aria-label={t("way.search")} data-tip={t("way.search")} data-testid="way-search">
          <Icon name="search" />
        </a>
        <a class="icon-button at" href={deskHash("mentions")} aria-label={mentionsWords()} data-tip={mentionsWords()} data-testid="way-mentions">
          <Icon name="at" />
          {newMentions.value > 0 && <span class="badge">{newMentions.value}</span>}
        </a>
      </div>
      <div class="channels">
        {direct.length > 0 && <Rows title={t("sidebar.direct")} rows={direct} />}
        <Rows title={t("sidebar.channels")} rows={channels.value.filter(({ type }) => type !== "direct")} />
      </div>
      <AccountButton />
    </nav>
  );
}

const mentionsWords = (): string => (newMentions.value > 0 ? t("mentions.new", { n: newMentions.value }) : t("way.mentions"));

const NAME_SHOWN = 12;

/** A long name leaves room for what was said. */
function shortName(name: string): string {
  const letters = [...name];
  return letters.length > NAME_SHOWN ? `${letters.slice(0, NAME_SHOWN - 1).join("")}…` : name;
}

function ChannelRow({ channel, current }: { channel: Channel; current: boolean }): JSX.Element {
  const timeline = timelineOf(channel.id);
  void timeline.version.value; // drawn again when the messages change
  void draftVersion.value;
  const last = timeline.lastText;
  const draft = readDraft(channel.id);
  return (
    <li>
      <a class="channel-row" href={channelHash(channel.name)} aria-current={current ? "page" : undefined}>
        <span class="channel-sign">
          <Icon name={channelIcon(channel)} />
        </span>
        <span class="channel-text">
          <span class="channel-top">
            <bdi class="name clip">{channelTitle(channel).replace(/^#/, "")}</bdi>
            {last && <time class="faint">{shortTime(last.place)}</time>}
          </span>
          <span class="channel-last">
            <span class="clip">
              {draft && !current ? (
                <>
                  <em class="draft">{t("sidebar.draft")}</em> {draft}
                </>
              ) : sessions.value.get(channel.id)?.state === "asking" ? (
                <em class="draft">{t("session.asks")}</em>
              ) : last ? (
                `${last.account === account.value ? t("you") : shortName(last.account)}: ${last.text}`
              ) : (
                t("sidebar.quiet")
              )}
            </span>
            {channel.unread > 0 && (
              <span class="badge" aria-label={t("sidebar.unread", { n: channel.unread })} role="img">
                {channel.unread > 99 ? "99+" : channel.unread}
              </span>
            )}
          </span>
        </span>
      </a>
    </li>
  );
}
