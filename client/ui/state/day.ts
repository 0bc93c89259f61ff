/** Midnight before `ms`, local time: equal for all moments of one day. */
export function dayOf(ms: number): number {
  return new Date(ms).setHours(0, 0, 0, 0);
}
