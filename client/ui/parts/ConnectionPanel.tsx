// Everything about the connection: what works, the tracker, each person's path, what happened lately.
import type { JSX } from "preact";
import { clock } from "../format";
import { t } from "../i18n";
import { connection, device, peers, version } from "../state/chat";
import { events, type LogEvent } from "../state/log";
import { linkedPeople } from "../state/members";
import { shortCode } from "../format";
import { Avatar } from "./Avatar";
import { Icon } from "./icons";
import { RetryNow } from "./RetryNow";
import { TraceSwitch } from "./TraceSwitch";
import { connectionSentence, linkWords, pathIcon } from "./words";

export function ConnectionPanel(): JSX.Element {
  const now = connection.value;
  return (
    <div class="stack">
      <p class={`notice ${now.state}`}>
        <Icon name={now.state} />
        <span>{connectionSentence(now, linkedPeople.value)}</span>
      </p>
      {now.state !== "online" && <RetryNow />}
      <PeerTable />
      <dl class="facts">
        <dt>{t("connection.tracker")}</dt>
        <dd>{location.host}</dd>
        <dt>{t("connection.this-device")}</dt>
        <dd>
          <code>{shortCode(device.value)}</code>
        </dd>
        <dt>{t("connection.version")}</dt>
        <dd>{version.value}</dd>
      </dl>
      <EventLog />
    </div>
  );
}

function PeerTable(): JSX.Element {
  const linked = [...peers.value.values()].filter((peer) => peer.path !== "none" || peer.connecting);
  linked.sort((a, b) => a.account.localeCompare(b.account));
  if (linked.length === 0) return <p class="faint">{t("connection.nobody")}</p>;
  return (
    <section>
      <h3>{t("connection.people")}</h3>
      <ul class="plain-list scroll-list" tabIndex={0} aria-label={t("connection.people")}>
        {linked.slice(0, 100).map((peer) => {
          const icon = pathIcon(peer.path);
          return (
            <li key={peer.device} class="peer-row">
              <Avatar name={peer.account} size="small" />
              <span class="grow">
                <bdi class="name clip">{peer.account}</bdi>
                <span class="faint clip">{peer.label}</span>
              </span>
              <span class="path">
                {peer.connecting && peer.path === "none" ? t("link.connecting") : linkWords(peer.path, peer.rttMs)}
                {icon && <Icon name={icon} />}
              </span>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

function eventWords(event: LogEvent): string {
  switch (event.kind) {
    case "warning":
      return event.text;
    case "path":
      return t("log.path", { name: event.account, link: linkWords(event.path) });
    case "connection":
      return connectionSentence(event.connection, event.connection.peers);
  }
}

function EventLog(): JSX.Element {
  return (
    <details class="log">
      <summary>
        <Icon name="chevron" />
        {t("log.title")}
      </summary>
      <ol class="plain-list scroll-list" tabIndex={0} aria-label={t("log.title")}>
        {[...events.value].reverse().map((event, i) => (
          <li key={`${event.time}-${i}`}>
            <time class="faint">{clock(event.time)}</time> <span>{eventWords(event)}</span>
          </li>
        ))}
      </ol>
      <TraceSwitch />
    </details>
  );
}
