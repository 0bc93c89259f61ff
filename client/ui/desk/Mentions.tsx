// Where others have written @me in open channels; looking at it marks them as seen.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { call } from "../state/calls";
import { newMentions } from "../state/mentions";
import { useAnswer } from "./answers";
import { FoundList, type Hit } from "./Found";
import { Waiting } from "./pieces";
import { d } from "./words";

interface Mention {
  id: string;
  channel: string;
  account: string;
  time_ms: number;
  place_ms: number;
  text?: string;
  mention: number;
  seen: boolean;
}

const hitOf = ({ id, channel, account, time_ms: time, place_ms: place, text, seen }: Mention): Hit => ({
  id, channel, account, time, place, pieces: [{ text: text ?? "", hit: false }], fresh: !seen,
});

export function MentionsPage(): JSX.Element {
  const [pages, setPages] = useState<number[]>([]);
  const before = pages.at(-1);
  const { value, fault, again } = useAnswer<{ mentions: Mention[]; more: boolean }>("mentions", before === undefined ? {} : { before }, ["mention"]);
  useEffect(() => {
    if (!value || newMentions.peek() === 0) return;
    newMentions.value = 0;
    call("mentions-seen", { all: true }).catch(() => undefined);
  }, [value]);
  if (value === null) return <Waiting fault={fault} again={again} />;
  const last = value.mentions.at(-1);
  return (
    <>
      <p class="faint">{d(value.mentions.length === 0 ? "mentions.none" : "mentions.hint")}</p>
      <FoundList hits={value.mentions.map(hitOf)} testid="mentions-list" />
      <div class="desk-buttons">
        {pages.length > 0 && (
          <button class="button small" type="button" onClick={() => setPages(pages.slice(0, -1))}>
            {d("admin.back")}
          </button>
        )}
        {value.more && last && (
          <button class="button small" type="button" onClick={() => setPages([...pages, last.mention])}>
            {d("admin.more")}
          </button>
        )}
      </div>
    </>
  );
}
