// Everything that is known about one message: who, when, which way, who holds it.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Holder, Message } from "../../node/api";
import { exactTime, shortCode } from "../format";
import { t } from "../i18n";
import { holdersOf, peers, reasonOf } from "../state/chat";
import { Avatar } from "./Avatar";
import { Icon } from "./icons";
import { MessageText } from "./MessageText";
import { MessageDeeds } from "./MessageDeeds";
import { markIcon, markWords, shownText, travelIcon, travelWords } from "./words";

const LATE_MS = 2000;

function Fact({ name, children }: { name: string; children: ComponentChildren }): JSX.Element {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

export function MessageDetails({ message }: { message: Message }): JSX.Element {
  const icon = travelIcon(message);
  return (
    <div class="details">
      <div class="person">
        <Avatar name={message.account} />
        <span class="grow">
          <bdi class="name">{message.account}</bdi>
          <span class="faint clip">{peers.value.get(message.author)?.label ?? (message.mine ? t("members.self") : "")}</span>
        </span>
      </div>
      <div class="quote" role="group" aria-label={t("details.text")} tabIndex={0}>
        <MessageText text={shownText(message)} reachable />
      </div>
      <MessageDeeds message={message} />
      <dl class="facts">
        <Fact name={t("details.path")}>
          {icon && <Icon name={icon} />} {travelWords(message)}
          <span class="faint small-print">{t(`travel.${message.path}.more`)}</span>
        </Fact>
        {message.mark && (
          <Fact name={t("details.state")}>
            <Icon name={markIcon[message.mark]} /> {markWords(message.mark)}
          </Fact>
        )}
        <Fact name={t("details.sent")}>
          {exactTime(message.time)}
          {message.web && <span class="faint small-print">{t("details.web")}</span>}
        </Fact>
        {!message.mine && (
          <Fact name={t("details.received")}>
            {exactTime(message.arrived)}
            {message.arrived - message.time > LATE_MS && <span class="faint small-print">{t("details.later")}</span>}
          </Fact>
        )}
        {message.mine && <Holders message={message} />}
        <Fact name={t("details.device")}>
          <code>{shortCode(message.author)}</code>
        </Fact>
        <Fact name={t("details.number")}>{message.seq}</Fact>
        <Fact name={t("details.hash")}>
          <code class="hash">{message.id}</code>
        </Fact>
      </dl>
    </div>
  );
}

function holderName(holder: Holder): string {
  if (holder.replica) return t("details.holder.tracker");
  const label = peers.value.get(holder.device)?.label;
  return label ? `${holder.account} (${label})` : holder.account;
}

function Holders({ message }: { message: Message }): JSX.Element {
  const [holders, setHolders] = useState<Holder[] | null>(null);
  const [fault, setFault] = useState<string | null>(null);
  useEffect(() => {
    let current = true;
    holdersOf(message)
      .then((list) => current && setHolders(list))
      .catch((error) => current && setFault(reasonOf(error)));
    return () => {
      current = false;
    };
  }, [message.id, message.mark]);
  return (
    <Fact name={t("details.holders")}>
      {fault ?? (holders === null ? "…" : holders.length === 0 ? t("details.holder.none") : null)}
      {holders !== null && holders.length > 0 && (
        <ul class="plain-list">
          {holders.map((holder) => (
            <li key={holder.device}>
              {holderName(holder)}{" "}
              {!holder.replica && <span class="faint">{t(holder.path === "own" ? "link.none" : `link.${holder.path}`)}</span>}
            </li>
          ))}
        </ul>
      )}
    </Fact>
  );
}
