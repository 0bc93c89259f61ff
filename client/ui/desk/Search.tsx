// Search: this conversation or all of them. What is on this device is looked through while one types; the server's index of
// open channels is asked on demand.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Message } from "../../node/api";
import { channelTitle } from "../parts/words";
import { channels } from "../state/chat";
import { route } from "../state/route";
import { call } from "../state/calls";
import { faultWords } from "./answers";
import { FoundList, type Hit } from "./Found";
import { Fault } from "./pieces";
import { FOUND_MAX, lookThrough, plain } from "./lookThrough";
import { d } from "./words";

const TYPING_MS = 200;
const EXCERPT_LETTERS = 240;

interface ServerHit {
  id: string;
  channel: string;
  account: string;
  time_ms: number;
  place_ms: number;
  excerpt: { text: string; hit: boolean }[];
}

/** The text around the first word that was looked for, in pieces. */
function piecesOf(text: string, query: string): Hit["pieces"] {
  const words = plain(query).split(/\s+/).filter(Boolean);
  const pieces: Hit["pieces"] = [];
  const first = text.split(/(\s+)/).findIndex((part) => words.some((word) => plain(part).includes(word)));
  const parts = text.split(/(\s+)/).slice(Math.max(0, first - 20));
  let left = EXCERPT_LETTERS;
  for (const part of parts) {
    if (left <= 0) break;
    pieces.push({ text: part.slice(0, left), hit: words.some((word) => plain(part).includes(word)) });
    left -= part.length;
  }
  if (first > 20) pieces.unshift({ text: "… ", hit: false });
  if (left <= 0) pieces.push({ text: "…", hit: false });
  return pieces;
}

const here = (query: string) => ({ id, channel, account, time, place, text }: Message): Hit => ({
  id, channel, account, time, place, pieces: piecesOf(text, query),
});

const there = ({ id, channel, account, time_ms: time, place_ms: place, excerpt: pieces }: ServerHit): Hit => ({
  id, channel, account, time, place, pieces,
});

function merged(old: Hit[], more: Hit[]): Hit[] {
  const known = new Set(old.map(({ id }) => id));
  return [...old, ...more.filter(({ id }) => !known.has(id))].sort((a, b) => b.place - a.place).slice(0, FOUND_MAX);
}

export function SearchPage(): JSX.Element {
  const channel = channels.value.find(({ name }) => name === route.value.rest);
  const [query, setQuery] = useState("");
  const [everywhere, setEverywhere] = useState(channel === undefined);
  const [hits, setHits] = useState<Hit[]>([]);
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<string | null>(null);
  const box = useRef<HTMLInputElement>(null);
  const round = useRef(0);
  const where = everywhere || !channel ? null : channel;
  useEffect(() => box.current?.focus(), []);
  useEffect(() => {
    const mine = ++round.current;
    const wanted = (): boolean => round.current === mine;
    setHits([]);
    setFault(null);
    setBusy(query.trim() !== "");
    const timer = setTimeout(async () => {
      for (const { id } of where ? [where] : channels.peek()) {
        await lookThrough(id, query, wanted, (some) => setHits((old) => merged(old, some.map(here(query))))).catch(() => undefined);
        if (!wanted()) return;
      }
      setBusy(false);
    }, TYPING_MS);
    return () => {
      clearTimeout(timer);
      round.current++;
    };
  }, [query, where?.id]);
  const askServer = async (): Promise<void> => {
    const mine = round.current;
    if (query.trim() === "" || where?.type === "private" || where?.type === "direct") return;
    try {
      const { messages } = await call<{ messages: ServerHit[] }>("search", { query, limit: 50, ...(where && { channel: where.id }) });
      if (round.current === mine) setHits((old) => merged(old, messages.map(there)));
    } catch (error) {
      if (round.current === mine) setFault(faultWords(error));
    }
  };
  const asked = query.trim() !== "";
  return (
    <>
      <form
        class="desk-bar"
        role="search"
        onSubmit={(event) => {
          event.preventDefault();
          void askServer();
        }}
      >
        <input
          ref={box}
          class="search-box"
          type="search"
          maxLength={200}
          aria-label={d("search.title")}
          placeholder={where ? d("search.in", { name: channelTitle(where) }) : d("search.everywhere")}
          value={query}
          onInput={(event) => setQuery(event.currentTarget.value)}
        />
        {channel && (
          <label class="check">
            <input type="checkbox" checked={everywhere} onChange={(event) => setEverywhere(event.currentTarget.checked)} />
            {d("search.everywhere")}
          </label>
        )}
      </form>
      <p class="faint" role="status">
        {!asked ? d("search.hint") : busy && hits.length === 0 ? d("search.looking") : d("search.found", { n: hits.length })}
      </p>
      <FoundList hits={hits} testid="search-hits" />
      <Fault text={fault} />
      {asked && where?.type !== "private" && where?.type !== "direct" && (
        <div class="desk-buttons start">
          <button class="button small" type="button" onClick={() => void askServer()}>
            {d("search.server")}
          </button>
        </div>
      )}
    </>
  );
}
