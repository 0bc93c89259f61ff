// Where messages are written. A draft per conversation is kept; nothing that was typed is ever lost.
import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Channel } from "../../node/api";
import { t } from "../i18n";
import { connection, readDraft, sendText, writeDraft } from "../state/chat";
import { linkedPeople } from "../state/members";
import { Icon } from "./icons";
import { inOpenBlock } from "./markup";
import { channelTitle } from "./words";

/** An entry's body is 16 KiB; the list and text heads of CBOR take up to four bytes of it. */
const BODY_BYTES_MAX = 16 * 1024 - 4;
const SHOWN_FROM = 0.9;
const encoder = new TextEncoder();

/** Exact only where it matters: a character has at most three bytes per UTF-16 unit. */
function byteLength(text: string): number {
  return text.length * 3 < BODY_BYTES_MAX * SHOWN_FROM ? text.length : encoder.encode(text).length;
}

function useGrowing(text: string) {
  const field = useRef<HTMLTextAreaElement>(null);
  useLayoutEffect(() => {
    const area = field.current;
    const form = area?.form;
    if (!area || !form) return;
    // The form holds its height while the text is measured: a list that is grown for a moment loses its end.
    form.style.height = `${form.getBoundingClientRect().height}px`;
    area.style.height = "auto";
    area.style.height = `${area.scrollHeight}px`; // max-block-size in the styles stops it at 40 %
    form.style.height = "";
  }, [text]);
  return field;
}

export function Composer({ channel }: { channel: Channel }): JSX.Element {
  const [text, setText] = useState(() => readDraft(channel.id));
  const [refused, setRefused] = useState(false);
  const field = useGrowing(text);
  const bytes = byteLength(text);
  const over = bytes > BODY_BYTES_MAX;

  useEffect(() => {
    if (matchMedia("(hover: hover)").matches) field.current?.focus();
  }, []);
  const change = (next: string): void => {
    setText(next);
    setRefused(false);
    writeDraft(channel.id, next);
  };
  const send = (): void => {
    const body = text.replace(/^\n+|\s+$/g, "");
    if (!body) return;
    if (over) {
      setRefused(true);
      return;
    }
    void sendText(channel.id, body);
    change("");
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    // While an input method composes (Vietnamese, for one), Enter belongs to it.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    const { value, selectionStart } = event.currentTarget as HTMLTextAreaElement;
    if (!event.ctrlKey && !event.metaKey && inOpenBlock(value.slice(0, selectionStart))) return; // a line of code
    event.preventDefault();
    send();
  };
  const { state } = connection.value;
  const hint = state === "offline" || state === "limited" ? t(linkedPeople.value > 0 ? "composer.limited" : "composer.offline") : "";
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
        field.current?.focus();
      }}
    >
      <ComposerNotes bytes={bytes} over={over} refused={refused} hint={hint} />
      <div class={`composer-box ${over ? "over" : ""}`}>
        <textarea
          ref={field}
          id="composer"
          data-testid="composer"
          rows={1}
          dir="auto"
          placeholder={t("composer.placeholder", { name: channelTitle(channel) })}
          aria-label={t("composer.placeholder", { name: channelTitle(channel) })}
          aria-describedby="composer-notes"
          aria-invalid={over}
          enterkeyhint="send"
          value={text}
          onInput={(event) => change(event.currentTarget.value)}
          onKeyDown={onKeyDown}
        />
        <button class="send" type="submit" aria-label={t("composer.send")} data-tip={t("composer.send")} disabled={!text.trim()}>
          <Icon name="send" />
        </button>
      </div>
    </form>
  );
}

interface NotesProps {
  bytes: number;
  over: boolean;
  refused: boolean;
  hint: string;
}

function ComposerNotes({ bytes, over, refused, hint }: NotesProps): JSX.Element {
  const percent = Math.round((bytes / BODY_BYTES_MAX) * 100);
  const near = bytes >= BODY_BYTES_MAX * SHOWN_FROM;
  return (
    <p class="composer-notes" id="composer-notes" role={refused ? "alert" : undefined}>
      {hint && <span>{hint}</span>}
      {over ? (
        <span class="fault">{t("composer.too-long", { n: bytes - BODY_BYTES_MAX })}</span>
      ) : (
        near && <span>{t("composer.near", { n: percent })}</span>
      )}
    </p>
  );
}
