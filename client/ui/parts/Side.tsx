// The right column (a drawer where there is no room for a third): the members, or one message's details.
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { t } from "../i18n";
import { timelineOf } from "../state/chat";
import { closeSide, isWide, sidePanel } from "../state/view";
import { Dialog } from "./Dialog";
import { Icon } from "./icons";
import { later } from "./later";
import { Members } from "./Members";

const MessageDetails = later(async () => (await import("./more")).MessageDetails);

export function Side(): JSX.Element | null {
  const panel = sidePanel.value;
  const closer = useRef<HTMLButtonElement>(null);
  const shown = panel?.show === "message" ? panel.id : null;
  useEffect(() => {
    if (shown !== null) closer.current?.focus({ preventScroll: true });
  }, [shown]);
  if (!panel) return null;
  const title = t(panel.show === "members" ? "members.title" : "details.title");
  const body = panel.show === "members" ? <Members /> : <Found channel={panel.channel} id={panel.id} />;
  if (!isWide.value) {
    return (
      <Dialog title={title} place="side" onClose={closeSide}>
        {body}
      </Dialog>
    );
  }
  return (
    <aside class="side" aria-label={title}>
      <header class="panel-head">
        <h2>{title}</h2>
        <button ref={closer} class="icon-button" type="button" aria-label={t("close")} data-tip={t("close")} onClick={closeSide}>
          <Icon name="close" />
        </button>
      </header>
      {body}
    </aside>
  );
}

function Found({ channel, id }: { channel: string; id: string }): JSX.Element {
  const timeline = timelineOf(channel);
  void timeline.version.value;
  const message = timeline.find(id);
  return message ? <MessageDetails message={message} /> : <p class="faint pad">{t("details.gone")}</p>;
}
