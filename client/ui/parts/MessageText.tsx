// The text of a message, as text nodes: nothing in it is ever markup of the page. Web addresses become links,
// code keeps its spaces and can be copied.
import type { JSX } from "preact";
import { t } from "../i18n";
import { CopyIcon } from "./CopyButton";
import { blocksOf, type Span } from "./markup";

const EMOJI_ONLY =
  /^(?:(?:\p{Regional_Indicator}{2}|\p{Extended_Pictographic}(?:\uFE0F|\u200D\p{Extended_Pictographic}|\p{Emoji_Modifier})*)\s?){1,3}$/u;

interface Props {
  id?: string;
  text: string;
  /** Links and buttons inside can be reached with Tab. */
  reachable: boolean;
}

export function MessageText({ id, text, reachable }: Props): JSX.Element {
  return (
    <div class={EMOJI_ONLY.test(text) ? "text big" : "text"} id={id} dir="auto" data-testid="message-text">
      {blocksOf(text).map((block, i) =>
        block.kind === "code" ? (
          <CodeBlock key={i} language={block.language} text={block.text} reachable={reachable} />
        ) : (
          <Spans key={i} spans={block.spans} reachable={reachable} />
        ),
      )}
    </div>
  );
}

function Spans({ spans, reachable }: { spans: Span[]; reachable: boolean }): JSX.Element {
  return (
    <>
      {spans.map((span, i) => {
        if (typeof span === "string") return span;
        if (span.kind === "code") return <code key={i}>{span.text}</code>;
        if (span.kind === "link") {
          return (
            <a key={i} href={span.href} target="_blank" rel="noopener noreferrer nofollow" tabIndex={reachable ? 0 : -1}>
              {span.text}
            </a>
          );
        }
        const Stressed = span.kind;
        return (
          <Stressed key={i}>
            <Spans spans={span.spans} reachable={reachable} />
          </Stressed>
        );
      })}
    </>
  );
}

function CodeBlock({ language, text, reachable }: { language: string; text: string; reachable: boolean }): JSX.Element {
  return (
    <div class="code-block" dir="ltr">
      <pre>
        <code data-language={language || undefined}>{text}</code>
      </pre>
      <CopyIcon text={text} label={t("code.copy")} reachable={reachable} />
    </div>
  );
}
