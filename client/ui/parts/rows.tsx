// One row of the message list, by kind.
import { Component, type JSX } from "preact";
import { useState } from "preact/hooks";
import type { Channel, Message } from "../../node/api";
import { clock, dayName, exactTime, nameList } from "../format";
import { t } from "../i18n";
import { connection, peers } from "../state/chat";
import type { Row } from "../state/timeline";
import { Icon } from "./icons";
import { MessageView } from "./MessageView";
import { OutgoingView } from "./OutgoingView";
import { channelTitle, decisionWords } from "./words";

interface Props {
  row: Row;
  channel: Channel;
  /** This row holds the list's one tab stop. */
  focusable: boolean;
}

export function RowView(props: Props): JSX.Element {
  return (
    <div role="listitem" class={`row row-${props.row.kind}`} data-key={props.row.key}>
      <RowBody {...props} />
    </div>
  );
}

function same(a: Props, b: Props): boolean {
  if (a.focusable !== b.focusable || a.row.kind !== b.row.kind) return false;
  if (a.row.kind !== "message" || b.row.kind !== "message") return false;
  return a.row.message === b.row.message && a.row.first === b.row.first && a.row.last === b.row.last;
}

/** Drawn again only when something of this row changed: most of the list stays as it is. */
class RowBody extends Component<Props> {
  override shouldComponentUpdate(next: Props): boolean {
    return !same(this.props, next);
  }
  override render(): JSX.Element {
    return <RowOfKind {...this.props} />;
  }
}

function RowOfKind({ row, channel, focusable }: Props): JSX.Element {
  switch (row.kind) {
    case "start":
      return <p class="beginning">{t("messages.start", { name: channelTitle(channel) })}</p>;
    case "loading":
      return <p class="beginning">{t("messages.loading")}</p>;
    case "day":
      return (
        <p class="day-line">
          <time>{dayName(row.time)}</time>
        </p>
      );
    case "new":
      return <p class="new-line">{t("messages.new")}</p>;
    case "fold":
      return <Fold messages={row.messages} focusable={focusable} />;
    case "odd":
      return (
        <p class="event-line" tabIndex={focusable ? 0 : -1} data-stop>
          {t("messages.unknown", { name: row.message.account })}
        </p>
      );
    case "decision":
      return (
        <p class="event-line" tabIndex={focusable ? 0 : -1} data-stop data-testid="decision" data-tip={exactTime(row.message.time)}>
          {row.message.decision && decisionWords(row.message.decision)}
        </p>
      );
    case "gap":
      return (
        <p class="event-line" role="note">
          {t("gap.missing", { n: row.count, name: row.account })} <GapHope />
        </p>
      );
    case "coming":
      return (
        <p class="beginning" role="note">
          {t("gap.coming", { n: row.count })} <GapHope />
        </p>
      );
    case "message":
      return <MessageView message={row.message} first={row.first} last={row.last} focusable={focusable} />;
    case "outgoing":
      return <OutgoingView channel={channel.id} outgoing={row.outgoing} first={row.first} focusable={focusable} />;
  }
}

/** Whether somebody can be asked for what is missing. */
function GapHope(): JSX.Element {
  const linked = [...peers.value.values()].some(({ path }) => path !== "none");
  return <>{t(linked || connection.value.state === "online" ? "gap.asking" : "gap.nobody")}</>;
}

function foldWords(messages: Message[]): string {
  const unique = (kind: Message["kind"]): string[] => [
    ...new Set(messages.filter((message) => message.kind === kind).map((message) => message.account)),
  ];
  const say = (names: string[], key: "fold.joined" | "fold.left"): string => {
    if (names.length === 0) return "";
    const few = names.slice(0, 3);
    if (names.length > few.length) few.push(t("fold.others", { n: names.length - few.length }));
    return t(key, { n: names.length, names: nameList(few) });
  };
  return [say(unique("join"), "fold.joined"), say(unique("leave"), "fold.left")].filter(Boolean).join(" · ");
}

/** Joins and leaves in one line; more than one can be opened. */
function Fold({ messages, focusable }: { messages: Message[]; focusable: boolean }): JSX.Element {
  const [open, setOpen] = useState(false);
  if (messages.length === 1) {
    return (
      <p class="event-line" tabIndex={focusable ? 0 : -1} data-stop>
        {foldWords(messages)}
      </p>
    );
  }
  return (
    <div class="event-line">
      <button class="fold" type="button" tabIndex={focusable ? 0 : -1} data-stop aria-expanded={open} onClick={() => setOpen(!open)}>
        {foldWords(messages)}
        <Icon name="chevron" />
      </button>
      {open && (
        <ul class="plain-list">
          {messages.map((message) => (
            <li key={message.id}>
              <time dateTime={new Date(message.time).toISOString()} data-tip={exactTime(message.time)}>
                {clock(message.time)}
              </time>{" "}
              {foldWords([message])}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
