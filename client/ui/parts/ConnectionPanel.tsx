// Everything about the connection: what works, the tracker, each person's path, what happened lately.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { clock } from "../format";
import { t } from "../i18n";
import { connection, device, peers, retryNow, version } from "../state/chat";
import { events, type LogEvent } from "../state/log";
import { linkedPeople } from "../state/members";
import { shortCode } from "../format";
import { Avatar } from "./Avatar";
import { Icon } from "./icons";
import { TraceSwitch } from "./TraceSwitch";
import { connectionSentence, linkWords, pathIcon } from "./words";

/** Whole seconds until `when`, counted down once a second. */
function useCountdown(when: number | undefined): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (when === undefined) return undefined;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [when]);
  return when === undefined ? 0 : Math.max(0, Math.ceil((when - now) / 1000));
}

export function RetryNow(): JSX.Element {
  const seconds = useCountdown(connection.value.retryAt);
  return (
    <span class="retry">
      {seconds > 0 && (
        <span class="faint" aria-live="off">
          {t("retry.in", { n: seconds })}
        </span>
      )}
      <button class="button small" type="button" onClick={() => void retryNow()}>
        <Icon name="retry" />
        {t("retry.now")}
      </button>
    </span>
  );
}

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
