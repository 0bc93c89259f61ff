// An own text that is being written to this device's disk, or that could not be.
import type { JSX } from "preact";
import type { Id } from "../../node/api";
import { t } from "../i18n";
import { account, discardOutgoing, retryOutgoing } from "../state/chat";
import type { Outgoing } from "../state/timeline";
import { CopyButton } from "./CopyButton";
import { Icon } from "./icons";
import { MessageText } from "./MessageText";
import { markWords } from "./words";

interface Props {
  channel: Id;
  outgoing: Outgoing;
  first: boolean;
  focusable: boolean;
}

export function OutgoingView({ channel, outgoing, first, focusable }: Props): JSX.Element {
  const failed = outgoing.failure !== undefined;
  return (
    <article class={`message own last fresh ${first ? "first" : ""}`} tabIndex={focusable ? 0 : -1} data-stop aria-label={`${account.value}: ${outgoing.text}`}>
      <div class="stackless">
        <div class="line">
          <div class="bubble">
            <MessageText text={outgoing.text} reachable={focusable} />
          </div>
          <span class="extras">
            <span
              class={`mark ${failed ? "failed" : "pending"}`}
              role="img"
              aria-label={failed ? t("mark.failed") : markWords("pending")}
              data-tip={failed ? t("mark.failed") : markWords("pending")}
            >
              <Icon name={failed ? "failed" : "clock"} />
            </span>
          </span>
        </div>
        {failed && (
          <div class="failed-actions" role="alert">
            <span class="fault">{t("send.failed", { detail: outgoing.failure ?? "" })}</span>
            <button class="button small" type="button" onClick={() => void retryOutgoing(channel, outgoing)}>
              <Icon name="retry" />
              {t("send.retry")}
            </button>
            <CopyButton text={outgoing.text} label={t("send.copy")} />
            <button class="button small" type="button" onClick={() => discardOutgoing(channel, outgoing)}>
              {t("send.discard")}
            </button>
          </div>
        )}
      </div>
    </article>
  );
}
