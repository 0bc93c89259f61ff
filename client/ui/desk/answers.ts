// What the tracker answered to a page's question, asked again when there is news about it.
import { useCallback, useEffect, useState } from "preact/hooks";
import { call, CallError } from "../state/calls";
import { news } from "../state/chat";
import { d } from "./words";

/** A sentence for the person. */
export function faultWords(error: unknown): string {
  if (!(error instanceof CallError)) return String(error);
  return error.code === 0 ? d("fault.unreachable") : error.message || d("fault.code", { code: error.code });
}

export interface Answer<T> {
  value: T | null;
  fault: string | null;
  again: () => void;
}

/** `about`: types of news after which the answer is another one. */
export function useAnswer<T>(type: string, fields: object = {}, about: string[] = []): Answer<T> {
  const [value, setValue] = useState<T | null>(null);
  const [fault, setFault] = useState<string | null>(null);
  const [round, setRound] = useState(0);
  const again = useCallback(() => setRound((n) => n + 1), []);
  const question = JSON.stringify(fields);
  useEffect(() => {
    let wanted = true;
    call<T>(type, JSON.parse(question) as object).then(
      (answer) => {
        if (!wanted) return;
        setValue(answer);
        setFault(null);
      },
      (error: unknown) => wanted && setFault(faultWords(error)),
    );
    return () => {
      wanted = false;
    };
  }, [type, question, round]);
  useEffect(
    () =>
      news.subscribe((item) => {
        if (item && (about.includes(item.type) || item.type === "again")) again();
      }),
    [],
  );
  return { value, fault, again };
}

export interface Doing {
  busy: boolean;
  fault: string | null;
  /** Runs the call; true when it was done. */
  run: (type: string, fields?: object) => Promise<boolean>;
  clear: () => void;
}

/** For buttons and forms: one call at a time, and why it was refused. */
export function useDoing(done?: (answer: object) => void): Doing {
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<string | null>(null);
  const run = async (type: string, fields: object = {}): Promise<boolean> => {
    setBusy(true);
    setFault(null);
    try {
      const answer = await call(type, fields);
      done?.(answer);
      return true;
    } catch (error) {
      setFault(faultWords(error));
      return false;
    } finally {
      setBusy(false);
    }
  };
  return { busy, fault, run, clear: () => setFault(null) };
}
