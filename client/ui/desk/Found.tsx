// A message that was found somewhere: who, where, when, what; it opens in its conversation.
import type { JSX } from "preact";
import { exactTime } from "../format";
import { Avatar } from "../parts/Avatar";
import { channelTitle } from "../parts/words";
import { channels } from "../state/chat";
import { channelHash } from "../state/route";
import { goal } from "../state/view";

export interface Hit {
  id: string;
  channel: string;
  account: string;
  time: number;
  place: number;
  /** What is said, in pieces; those that were looked for stand out. */
  pieces: { text: string; hit: boolean }[];
  fresh?: boolean;
}

export function FoundList({ hits, testid }: { hits: Hit[]; testid: string }): JSX.Element {
  return (
    <ul class="plain-list" data-testid={testid}>
      {hits.map((hit) => (
        <FoundRow key={hit.id} hit={hit} />
      ))}
    </ul>
  );
}

function FoundRow({ hit }: { hit: Hit }): JSX.Element {
  const channel = channels.value.find(({ id }) => id === hit.channel);
  return (
    <li>
      <a
        class={`found ${hit.fresh ? "fresh" : ""}`}
        href={channel ? channelHash(channel.name) : undefined}
        onClick={() => (goal.value = { channel: hit.channel, id: hit.id })}
      >
        <Avatar name={hit.account} />
        <span class="grow">
          <span class="found-top">
            <bdi class="name">{hit.account}</bdi>
            <span class="faint">
              {channel && channelTitle(channel)} · <time>{exactTime(hit.time)}</time>
            </span>
          </span>
          <span class="found-text" dir="auto">
            {hit.pieces.map((piece, i) => (piece.hit ? <mark key={i}>{piece.text}</mark> : piece.text))}
          </span>
        </span>
      </a>
    </li>
  );
}
