// The messages of a conversation: windowed, following the end, paging upward, one focus stop that the arrow
// keys move.
import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Channel } from "../../node/api";
import { t } from "../i18n";
import { lateArrivals, leaveUnread, loadOlder, markRead, timelineOf } from "../state/chat";
import type { Row, Timeline } from "../state/timeline";
import { goal, showMessage } from "../state/view";
import { EmptyRoom } from "./EmptyRoom";
import { Icon } from "./icons";
import { RowView } from "./rows";
import { useRowWindow, type Windowed } from "./useRowWindow";

const ROW_ESTIMATE_PX = 44;
const READ_MS = 1000;
const AFTER_MOUNT_MS = 50;
const GOAL_PAGES_MAX = 400;
const FOCUSABLE = new Set<Row["kind"]>(["message", "outgoing", "fold", "odd", "decision"]);

export function MessageList({ channel }: { channel: Channel }): JSX.Element {
  const timeline = timelineOf(channel.id);
  const version = timeline.version.value;
  const rows = useMemo(() => timeline.rows(), [version]);
  const keys = useMemo(() => rows.map((row) => row.key), [rows]);
  const list = useRowWindow(keys, ROW_ESTIMATE_PX, timeline.newFrom === null ? undefined : "new");
  const keyboard = useKeyboard(rows, list, channel.id);
  usePaging(rows, list, timeline, channel.id);
  useReading(rows, list, channel.id);
  useOwnInView(timeline, list);
  useGoal(timeline, keyboard.focusOn, channel.id);
  const below = useArrivalsBelow(timeline, list.atBottom);
  const empty = !timeline.more && timeline.lastText === undefined && timeline.outgoing.length === 0;

  return (
    <section class="messages" aria-label={t("messages.label", { name: channel.name })} data-testid="messages">
      <div class="floats">
        <LateLine channel={channel.id} list={list} timeline={timeline} />
      </div>
      <div class="scroller" ref={list.scroller} tabIndex={-1} onKeyDown={keyboard.onKeyDown}>
        <div class="spacer" style={{ height: `${list.before}px` }} />
        <div class="rows" role="list" ref={list.content} onFocusIn={keyboard.onFocusIn}>
          {rows.slice(list.start, list.end).map((row) => (
            <RowView key={row.key} row={row} channel={channel} focusable={row.key === keyboard.active} />
          ))}
        </div>
        <div class="spacer" style={{ height: `${list.after}px` }} />
        {empty && <EmptyRoom channel={channel} />}
      </div>
      {!list.atBottom && (
        <button class="jump" type="button" onClick={list.toBottom}>
          <Icon name="down" />
          {below > 0 ? t("messages.jump-new", { n: below }) : t("messages.jump")}
        </button>
      )}
    </section>
  );
}

/** Arrows, Home and End move one focus stop over the messages; Enter opens the details of one. */
function useKeyboard(rows: Row[], list: Windowed, channel: string) {
  const [chosen, choose] = useState<string | null>(null);
  const moveTo = useRef<string | null>(null); // gets the focus as soon as it is drawn
  const stops = useMemo(() => rows.filter((row) => FOCUSABLE.has(row.kind)).map((row) => row.key), [rows]);
  const active = chosen !== null && stops.includes(chosen) ? chosen : stops[stops.length - 1];

  useLayoutEffect(() => {
    if (moveTo.current === null) return;
    const drawn = [...(list.content.current?.children ?? [])] as HTMLElement[];
    const row = drawn.find((element) => element.dataset.key === moveTo.current);
    if (!row) return;
    moveTo.current = null;
    row.querySelector<HTMLElement>("[data-stop]")?.focus({ preventScroll: true });
  });
  const move = (to: number): void => {
    const key = stops[Math.max(0, Math.min(stops.length - 1, to))];
    if (key === undefined) return;
    moveTo.current = key;
    choose(key);
    list.reveal(key);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const target = event.target as HTMLElement;
    if (event.altKey || event.ctrlKey || event.metaKey || !target.matches("[data-stop], .scroller")) return;
    const at = stops.indexOf(active ?? "");
    const steps: Record<string, number> = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: stops.length - 1 };
    const to = steps[event.key];
    const row = rows.find((candidate) => candidate.key === active);
    if (to !== undefined) move(to);
    else if (event.key === "Enter" && row?.kind === "message") showMessage(channel, row.message.id);
    else return;
    event.preventDefault();
  };
  const onFocusIn = (event: FocusEvent): void => {
    const key = (event.target as HTMLElement).closest<HTMLElement>("[data-key]")?.dataset.key;
    if (key !== undefined && key !== chosen) choose(key);
  };
  const focusOn = (key: string): void => {
    moveTo.current = key;
    choose(key);
    list.toRow(key);
  };
  return { active, onKeyDown, onFocusIn, focusOn };
}

/** Older messages are fetched before their place comes into view; at the end, very old ones are let go. */
function usePaging(rows: Row[], list: Windowed, timeline: Timeline, channel: string): void {
  useEffect(() => {
    if (list.start === 0 && timeline.more && rows.length > 1) void loadOlder(channel);
    else if (list.atBottom) timeline.trim();
  });
}

/** The read marker moves when a message was on the screen for a second of a page that is looked at. */
function useReading(rows: Row[], list: Windowed, channel: string): void {
  const latest = useRef(rows);
  latest.current = rows;
  useEffect(() => {
    const seen = (): number => {
      if (document.visibilityState !== "visible" || !document.hasFocus()) return 0;
      for (let i = list.lastVisible(); i >= 0; i--) {
        const row = latest.current[i];
        if (row?.kind === "message") return row.message.place;
      }
      return 0;
    };
    let before = seen();
    const timer = setInterval(() => {
      const now = seen();
      if (before > 0 && now > 0) void markRead(channel, Math.min(before, now), false);
      before = now;
    }, READ_MS);
    return () => {
      clearInterval(timer);
      leaveUnread(channel);
    };
  }, [channel]);
}

/** A message that was looked for: loaded up to it, shown in its place, its focus stop. */
function useGoal(timeline: Timeline, focusOn: (key: string) => void, channel: string): void {
  const wanted = goal.value;
  useEffect(() => {
    if (wanted?.channel !== channel) return undefined;
    let current = true;
    const go = async (): Promise<void> => {
      for (let page = 0; page < GOAL_PAGES_MAX && timeline.more && !timeline.has(wanted.id); page++) await loadOlder(channel);
      if (!current) return;
      if (timeline.has(wanted.id)) focusOn(wanted.id);
      goal.value = null;
    };
    const timer = setTimeout(() => void go(), AFTER_MOUNT_MS); // the composer takes the focus when it comes
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [wanted]);
}

/** Who writes wants to see it stand there, also after reading further up. */
function useOwnInView(timeline: Timeline, list: Windowed): void {
  const newest = timeline.outgoing[timeline.outgoing.length - 1]?.key;
  const before = useRef(newest);
  useLayoutEffect(() => {
    if (newest !== undefined && newest !== before.current) list.toBottom();
    before.current = newest;
  }, [newest]);
}

/** How many messages came below while reading further up. */
function useArrivalsBelow(timeline: Timeline, atBottom: boolean): number {
  const mark = useRef(timeline.last);
  if (atBottom) mark.current = timeline.last;
  const seen = mark.current;
  if (atBottom || !seen) return 0;
  let count = 0;
  for (let i = timeline.messages.length - 1; i >= 0; i--) {
    const message = timeline.messages[i];
    if (!message || message.id === seen.id || message.place < seen.place) break;
    if (message.kind === "text") count++;
  }
  return count;
}

function LateLine({ channel, list, timeline }: { channel: string; list: Windowed; timeline: Timeline }): JSX.Element | null {
  const late = lateArrivals.value.filter((message) => message.channel === channel);
  const first = late[0];
  const dismiss = (): void => {
    lateArrivals.value = lateArrivals.value.filter((message) => message.channel !== channel);
  };
  if (!first) return null;
  const go = async (): Promise<void> => {
    for (let page = 0; page < 50 && timeline.more && !timeline.has(first.id); page++) await loadOlder(channel);
    list.toRow(first.id);
    dismiss();
  };
  return (
    <div class="floating late" role="status">
      <button class="late-go" type="button" onClick={() => void go()}>
        <Icon name="clock" />
        {t("messages.late", { n: late.length })}
      </button>
      <button class="icon-button" type="button" aria-label={t("close")} onClick={dismiss}>
        <Icon name="close" />
      </button>
    </div>
  );
}
