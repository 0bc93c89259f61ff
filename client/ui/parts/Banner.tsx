// What is wrong and what still works, above the messages; gone by itself when it is over.
import type { JSX } from "preact";
import type { Id } from "../../node/api";
import { t } from "../i18n";
import { connection, timelineOf } from "../state/chat";
import { linkedPeople } from "../state/members";
import { RetryNow } from "./RetryNow";
import { Icon } from "./icons";
import { connectionSentence } from "./words";

export function Banner({ channel }: { channel: Id }): JSX.Element {
  const now = connection.value;
  const timeline = timelineOf(channel);
  void timeline.version.value;
  const trouble = now.state === "limited" || now.state === "offline";
  const waiting = trouble ? timeline.waiting : 0;
  return (
    <div role="status" class="banner-place">
      {trouble && (
        <div class={`banner ${now.state}`}>
          <Icon name={now.state} />
          <span class="grow" data-testid="connection-sentence">
            {connectionSentence(now, linkedPeople.value)} {waiting > 0 && <strong>{t("banner.waiting", { n: waiting })}</strong>}
          </span>
          {now.reason !== "storage-failed" && <RetryNow />}
        </div>
      )}
    </div>
  );
}
