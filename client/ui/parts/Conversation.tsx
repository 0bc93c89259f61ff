// The middle column: whose conversation it is, what is wrong with the connection, the messages, the composer.
import type { JSX } from "preact";
import type { Channel } from "../../node/api";
import { t } from "../i18n";
import { sessions } from "../state/chat";
import { here, unsure } from "../state/members";
import { deskHash } from "../state/route";
import { sidePanel, toggleMembers } from "../state/view";
import { Banner } from "./Banner";
import { Composer } from "./Composer";
import { Icon } from "./icons";
import { later } from "./later";
import { MessageList } from "./MessageList";
import { NotificationOffer } from "./NotificationOffer";
import { channelIcon, channelTitle } from "./words";

const SessionBar = later(async () => (await import("./more")).SessionBar);

/** In a conversation of two nothing is to be written before the other side has said yes. */
function mayWrite(channel: Channel): boolean {
  return channel.type !== "direct" || sessions.value.get(channel.id)?.state === "open";
}

export function Conversation({ channel }: { channel: Channel }): JSX.Element {
  return (
    <main class="conversation">
      <ConversationHead channel={channel} />
      <Banner channel={channel.id} />
      <MessageList key={channel.id} channel={channel} />
      <NotificationOffer />
      {mayWrite(channel) ? <Composer key={`composer-${channel.id}`} channel={channel} /> : <SessionBar channel={channel} />}
    </main>
  );
}

function ConversationHead({ channel }: { channel: Channel }): JSX.Element {
  const others = here.value.filter((member) => !member.me).length;
  const open = sidePanel.value?.show === "members";
  return (
    <header class="conversation-head">
      <a class="icon-button back" href="#/" aria-label={t("back")}>
        <Icon name="back" />
      </a>
      <span class="channel-sign">
        <Icon name={channelIcon(channel)} />
      </span>
      <span class="grow">
        <h1 class="name clip">{channelTitle(channel).replace(/^#/, "")}</h1>
        <span class="faint clip">{others > 0 ? t("head.others", { n: others }) : t(unsure.value ? "head.unlinked" : "head.alone")}</span>
      </span>
      {channel.type !== "direct" && <a class="icon-button" href={deskHash("room", channel.name)} aria-label={t("head.room")} data-tip={t("head.room")} data-testid="way-room">
        <Icon name="settings" />
      </a>}
      <button
        class="icon-button"
        type="button"
        aria-label={t("members.title")}
        data-tip={t("members.title")}
        aria-pressed={open}
        onClick={toggleMembers}
      >
        <Icon name="people" />
      </button>
    </header>
  );
}
