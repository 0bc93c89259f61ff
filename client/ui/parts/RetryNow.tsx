// When the next attempt is made, and a button for those who do not want to wait.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { t } from "../i18n";
import { connection, retryNow } from "../state/chat";
import { Icon } from "./icons";

/** Whole seconds until `when`, counted down once a second. */
function useCountdown(when: number | undefined): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (when === undefined) return undefined;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [when]);
  return when === undefined ? 0 : Math.max(0, Math.ceil((when - now) / 1000));
}

export function RetryNow(): JSX.Element {
  const seconds = useCountdown(connection.value.retryAt);
  return (
    <span class="retry">
      {seconds > 0 && (
        <span class="faint" aria-live="off">
          {t("retry.in", { n: seconds })}
        </span>
      )}
      <button class="button small" type="button" onClick={() => void retryNow()}>
        <Icon name="retry" />
        {t("retry.now")}
      </button>
    </span>
  );
}
