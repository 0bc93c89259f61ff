// Draws only the rows near the viewport and keeps the reader's place. Anchors are the truth: the rows at the top
// edge and how far they are scrolled; whatever changes above them (older pages, late messages, measured
// heights), the first one that is still there stays where it was. At the bottom the end is followed instead.
import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { RowWindow } from "../state/window";

const OVERSCAN_PX = 700;
const BOTTOM_PX = 48; // this close to the end counts as being there
const ANCHORS = 6;
/** Stays at the top whatever is put below it, so it can hold nobody's place. */
const FLOATING = "loading";

interface Anchor {
  key: string;
  delta: number;
}

function anchorsAt(rows: RowWindow, top: number): Anchor[] {
  const first = rows.at(top);
  const found: Anchor[] = [];
  for (let i = first; i < first + ANCHORS; i++) {
    const key = rows.keyAt(i);
    if (key !== undefined && key !== FLOATING) found.push({ key, delta: top - rows.top(i) });
  }
  return found;
}

export interface Windowed {
  scroller: RefObject<HTMLDivElement | null>;
  content: RefObject<HTMLDivElement | null>;
  start: number;
  end: number;
  before: number;
  after: number;
  atBottom: boolean;
  /** Index of the last row that can be seen whole (or mostly). */
  lastVisible: () => number;
  toBottom: () => void;
  /** Brings a row to `gap` px below the top edge. */
  toRow: (key: string, gap?: number) => void;
  /** Scrolls as little as needed to have the row in view. */
  reveal: (key: string) => void;
}

export function useRowWindow(keys: string[], estimate: number, startAt?: string): Windowed {
  const scroller = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const rows = useMemo(() => new RowWindow(estimate), []);
  const anchors = useRef<Anchor[]>(startAt ? [{ key: startAt, delta: -96 }] : []);
  const [atBottom, setAtBottom] = useState(startAt === undefined);
  const follow = useRef(atBottom);
  const [, redraw] = useState(0);
  const drawn = useRef<[number, number]>([0, 0]);
  const lastKeys = useRef<string[] | null>(null);
  if (lastKeys.current !== keys) {
    lastKeys.current = keys;
    rows.setRows(keys);
  }

  const wantedTop = (): number => {
    const view = scroller.current;
    const most = Math.max(0, rows.height - (view?.clientHeight ?? 0));
    if (follow.current || anchors.current.length === 0) return most;
    for (const { key, delta } of anchors.current) {
      const at = rows.indexOf(key);
      if (at >= 0) return Math.max(0, Math.min(most, rows.top(at) + delta));
    }
    return Math.min(view?.scrollTop ?? 0, most);
  };
  const rangeAt = (top: number): [number, number] => {
    const height = scroller.current?.clientHeight ?? 800;
    return rows.range(top - OVERSCAN_PX, top + height + OVERSCAN_PX);
  };
  const [start, end] = (drawn.current = rangeAt(wantedTop()));

  const onScroll = (): void => {
    const view = scroller.current;
    if (!view) return;
    anchors.current = anchorsAt(rows, view.scrollTop);
    follow.current = view.scrollHeight - view.clientHeight - view.scrollTop < BOTTOM_PX;
    setAtBottom(follow.current);
    const [from, to] = rangeAt(view.scrollTop);
    if (from !== drawn.current[0] || to !== drawn.current[1]) redraw((n) => n + 1);
  };

  const settle = (): void => {
    const box = content.current;
    const view = scroller.current;
    if (!box || !view || view.clientHeight === 0) return; // not shown (narrow screens): nothing has a height
    const heights = [...box.children].flatMap((row): [string, number][] => {
      const key = (row as HTMLElement).dataset.key;
      return key === undefined ? [] : [[key, row.getBoundingClientRect().height]];
    });
    if (rows.measure(heights)) redraw((n) => n + 1);
    const top = wantedTop();
    if (Math.abs(view.scrollTop - top) > 1) view.scrollTop = top;
  };
  useLayoutEffect(settle);

  useEffect(() => {
    const view = scroller.current;
    if (!view) return undefined;
    view.addEventListener("scroll", onScroll, { passive: true });
    const watcher = new ResizeObserver(() => redraw((n) => n + 1));
    watcher.observe(view);
    if (content.current) watcher.observe(content.current);
    return () => {
      view.removeEventListener("scroll", onScroll);
      watcher.disconnect();
    };
  }, []);

  const toRow = (key: string, gap = 96): void => {
    follow.current = false;
    anchors.current = [{ key, delta: -gap }];
    redraw((n) => n + 1);
  };
  return {
    scroller,
    content,
    start,
    end,
    before: rows.top(start),
    after: Math.max(0, rows.height - rows.top(end)),
    atBottom,
    lastVisible: () => {
      const view = scroller.current;
      if (!view) return -1;
      const bottom = view.scrollTop + view.clientHeight;
      const at = rows.at(bottom);
      return rows.top(at + 1) <= bottom + 24 || rows.top(at) < view.scrollTop + view.clientHeight / 2 ? at : at - 1;
    },
    toBottom: () => {
      follow.current = true;
      setAtBottom(true);
      redraw((n) => n + 1);
    },
    toRow,
    reveal: (key) => {
      const view = scroller.current;
      const at = rows.indexOf(key);
      if (!view || at < 0) return;
      if (rows.top(at) < view.scrollTop) toRow(key, 16);
      else if (rows.top(at + 1) > view.scrollTop + view.clientHeight) {
        toRow(key, Math.max(16, view.clientHeight - (rows.top(at + 1) - rows.top(at)) - 16));
      }
    },
  };
}
