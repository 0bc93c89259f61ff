// Parts of the page that are not needed at once: fetched when they are opened, or before that when the browser has nothing
// else to do, so that they open without a pause and also while the server is away.
import type { ComponentChildren, ComponentType, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { t } from "../i18n";

const QUIET_MS = 1500;
const parts: (() => Promise<unknown>)[] = [];

/** A component whose script comes later; `frame` is put around what stands there meanwhile. */
export function later<Props extends object>(
  load: () => Promise<ComponentType<Props>>,
  frame: (children: ComponentChildren) => JSX.Element = (children) => <>{children}</>,
): (props: Props) => JSX.Element {
  let Part: ComponentType<Props> | null = null;
  const get = async (): Promise<void> => void (Part ??= await load());
  parts.push(get);
  return function Later(props) {
    const [failed, setFailed] = useState(false);
    const [, setThere] = useState(false);
    const look = (): void => {
      setFailed(false);
      get().then(
        () => setThere(true),
        () => setFailed(true),
      );
    };
    useEffect(() => {
      if (!Part) look();
    }, []);
    return Part ? <Part {...props} /> : frame(<Awaited failed={failed} again={look} />);
  };
}

function Awaited({ failed, again }: { failed: boolean; again: () => void }): JSX.Element {
  return (
    <div class="faint pad awaited" role="status">
      {failed ? (
        <>
          <p>{t("desk.unreachable")}</p>
          <button class="button" type="button" onClick={again}>
            {t("retry.now")}
          </button>
        </>
      ) : (
        t("full.starting")
      )}
    </div>
  );
}

/** Fetches what is not here yet, quietly: who opens it while it cannot be had is told then. */
export function fetchParts(): void {
  setTimeout(() => {
    for (const get of parts) get().catch(() => undefined);
  }, QUIET_MS);
}
