import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { t } from "../i18n";
import { Icon } from "./icons";

/** navigator.clipboard exists only on https and loopback; elsewhere a selection is copied the old way. */
async function copy(text: string): Promise<boolean> {
  if (navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // Not allowed right now: try the old way.
    }
  }
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "sr-only";
  (document.activeElement?.closest("dialog") ?? document.body).append(field);
  const focused = document.activeElement as HTMLElement | null;
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  focused?.focus();
  return done;
}

type State = "idle" | "done" | "failed";

function useCopy(text: string): { state: State; onClick: () => Promise<void> } {
  const [state, setState] = useState<State>("idle");
  const onClick = async (): Promise<void> => {
    setState((await copy(text)) ? "done" : "failed");
    setTimeout(() => setState("idle"), 2500);
  };
  return { state, onClick };
}

const wordsOf = (state: State, label: string): string =>
  state === "idle" ? label : t(state === "done" ? "copy.done" : "copy.failed");

export function CopyButton({ text, label }: { text: string; label: string }): JSX.Element {
  const { state, onClick } = useCopy(text);
  return (
    <button class="button small" type="button" onClick={onClick}>
      <Icon name={state === "done" ? "tick" : "copy"} />
      <span aria-live="polite">{wordsOf(state, label)}</span>
    </button>
  );
}

/** The same where there is room for a sign only. */
export function CopyIcon({ text, label, reachable }: { text: string; label: string; reachable: boolean }): JSX.Element {
  const { state, onClick } = useCopy(text);
  const words = wordsOf(state, label);
  return (
    <button class={`icon-button copy-icon ${state}`} type="button" tabIndex={reachable ? 0 : -1} aria-label={words} data-tip={words} onClick={onClick}>
      <Icon name={state === "done" ? "tick" : state === "failed" ? "failed" : "copy"} />
    </button>
  );
}
