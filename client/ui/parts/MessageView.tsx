// One message: who (on the first of a group), what, and quietly how it travelled and how far it got.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Message } from "../../node/api";
import { clock, exactTime, hueOf } from "../format";
import { showMessage } from "../state/view";
import { Avatar } from "./Avatar";
import { Icon } from "./icons";
import { MessageText } from "./MessageText";
import { extras, markIcon, markWords, shownText, travelIcon, travelWords } from "./words";

const FRESH_MS = 1000;

interface Props {
  message: Message;
  first: boolean;
  last: boolean;
  focusable: boolean;
}

/** A click opens the details, but not when it chose text or followed a link. */
function onClick(event: MouseEvent, message: Message): void {
  if ((event.target as Element).closest("a, button") || !getSelection()?.isCollapsed) return;
  showMessage(message.channel, message.id);
}

export function MessageView({ message, first, last, focusable }: Props): JSX.Element {
  const [fresh] = useState(() => !message.mine && Date.now() - message.arrived < FRESH_MS);
  const part = (name: string): string => `${name}-${message.id.slice(0, 16)}`;
  return (
    <article
      class={`message ${message.mine ? "own" : "other"} ${first ? "first" : ""} ${last ? "last" : ""} ${fresh ? "fresh" : ""} ${message.hidden ? "hidden" : ""}`}
      tabIndex={focusable ? 0 : -1}
      data-stop
      data-testid="message"
      data-path={message.path}
      data-mark={message.mark}
      aria-labelledby={`${part("who")} ${part("what")} ${part("extras")}`}
      data-focus-tip={extras(message)}
      style={{ "--hue": hueOf(message.account) }}
      onClick={(event) => onClick(event, message)}
    >
      {!message.mine && <span class="gutter">{first && <Avatar name={message.account} />}</span>}
      <div class="stackless">
        <p class={first && !message.mine ? "who" : "sr-only"} id={part("who")}>
          <bdi>{message.account}</bdi>
        </p>
        <div class="line">
          <div class="bubble">
            <MessageText id={part("what")} text={shownText(message)} reachable={focusable} />
          </div>
          <Extras message={message} id={part("extras")} />
        </div>
      </div>
    </article>
  );
}

/** Beside the bubble: time and path, on hover and focus or at the end of a group; the mark always. */
function Extras({ message, id }: { message: Message; id: string }): JSX.Element {
  const icon = travelIcon(message);
  return (
    <span class="extras">
      <span class="sr-only" id={id}>
        {extras(message)}
      </span>
      <span class="quiet" aria-hidden="true">
        <time dateTime={new Date(message.time).toISOString()} data-tip={exactTime(message.time)}>
          {clock(message.time)}
        </time>
        {icon && !message.mine && (
          <span class="travel" data-tip={travelWords(message)}>
            <Icon name={icon} />
          </span>
        )}
      </span>
      {message.mark && (
        <span class={`mark ${message.mark}`} role="img" aria-label={markWords(message.mark)} data-tip={markWords(message.mark)}>
          <Icon name={markIcon[message.mark]} />
        </span>
      )}
    </span>
  );
}
