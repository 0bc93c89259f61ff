// The text of a message, as text: nothing in it is ever markup. Web addresses become links.
import type { JSX } from "preact";
import { partsOf } from "./links";

const EMOJI_ONLY = /^(?:\p{Extended_Pictographic}(?:\uFE0F|\u200D\p{Extended_Pictographic}|\p{Emoji_Modifier})*\s?){1,3}$/u;

export function MessageText({ id, text, reachable }: { id?: string; text: string; reachable: boolean }): JSX.Element {
  return (
    <div class={EMOJI_ONLY.test(text) ? "text big" : "text"} id={id} dir="auto" data-testid="message-text">
      {partsOf(text).map((part, i) =>
        typeof part === "string" ? (
          part
        ) : (
          <a key={i} href={part.href} target="_blank" rel="noopener noreferrer nofollow" tabIndex={reachable ? 0 : -1}>
            {part.text}
          </a>
        ),
      )}
    </div>
  );
}
