// The last events of the connection: what fixes itself disappears from the page and stays readable here.
import { signal } from "@preact/signals";
import type { Connection, Path } from "../../node/api";

const EVENTS_MAX = 50;

export type LogEvent =
  | { kind: "warning"; text: string }
  | { kind: "path"; account: string; path: Path }
  | { kind: "connection"; connection: Connection };

export const events = signal<readonly (LogEvent & { time: number })[]>([]);

export function logEvent(event: LogEvent): void {
  events.value = [...events.value.slice(1 - EVENTS_MAX), { ...event, time: Date.now() }];
}
