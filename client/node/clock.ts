// Time and timers as values, so that the state machines can be driven by tests.

export interface Clock {
  /** Milliseconds since 1970, never going backwards within one run. */
  now(): number;
  /** Calls once; gives back what cancels it. */
  after(ms: number, call: () => void): () => void;
}

const TIMER_MAX_MS = 2 ** 31 - 1;

export function systemClock(): Clock {
  let last = Date.now();
  let ran = performance.now();
  return {
    // A wall clock that is set back must not stop the core's timers, so the stopwatch carries on from there.
    now() {
      const running = performance.now();
      last = Math.max(last + (running - ran), Date.now());
      ran = running;
      return last;
    },
    after(ms, call) {
      const timer = setTimeout(call, Math.min(Math.max(0, ms), TIMER_MAX_MS));
      return () => clearTimeout(timer);
    },
  };
}
