// What can be done with one message: copied, read later, and hidden by who moderates the channel.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Message } from "../../node/api";
import { t } from "../i18n";
import { call } from "../state/calls";
import { channels, markUnread, reasonOf } from "../state/chat";
import { session } from "../state/session";
import { CopyButton } from "./CopyButton";

interface Found {
  channel: { me?: { state: string; role: string } };
}

/** Whether this account decides about messages of the channel; the tracker decides in the end. */
function useModerates(channel: string): boolean {
  const [role, setRole] = useState("");
  const type = channels.value.find(({ id }) => id === channel)?.type;
  useEffect(() => {
    let wanted = true;
    setRole("");
    if (type && type !== "direct") {
      call<Found>("channel-find", { channel }).then(
        ({ channel: { me } }) => wanted && setRole(me?.state === "member" ? me.role : ""),
        () => undefined,
      );
    }
    return () => {
      wanted = false;
    };
  }, [channel, type]);
  const admin = session.value.state === "in" && session.value.admin;
  return type !== "direct" && (admin || role === "moderator" || role === "owner");
}

export function MessageDeeds({ message }: { message: Message }): JSX.Element {
  const [fault, setFault] = useState<string | null>(null);
  const moderates = useModerates(message.channel);
  const run = (doing: Promise<unknown>): void => {
    setFault(null);
    doing.catch((error: unknown) => setFault(reasonOf(error) || t("desk.unreachable")));
  };
  const hide = message.hidden ? "channel-show" : "channel-hide";
  return (
    <div class="deeds">
      {!message.hidden && <CopyButton text={message.text} label={t("details.copy-text")} />}
      <button class="button small" type="button" onClick={() => run(markUnread(message))}>
        {t("details.unread")}
      </button>
      {moderates && (
        <button
          class="button small"
          type="button"
          onClick={() => run(call(hide, { channel: message.channel, author: message.author, seq: message.seq }))}
        >
          {t(message.hidden ? "details.show" : "details.hide")}
        </button>
      )}
      {fault && (
        <p class="fault" role="alert">
          {fault}
        </p>
      )}
    </div>
  );
}
