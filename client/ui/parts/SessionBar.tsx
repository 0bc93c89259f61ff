// How a direct conversation stands: asked for, to be answered, ended and why. Friends need none of it.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Channel, Session } from "../../node/api";
import { t } from "../i18n";
import { commands, reasonOf, sessions } from "../state/chat";
import { Icon } from "./icons";

const LINE_MAX = 140;

const otherOf = (channel: Channel): string => channel.name.replace(/^@/, "");

export function SessionBar({ channel }: { channel: Channel }): JSX.Element {
  const [fault, setFault] = useState<string | null>(null);
  const session = sessions.value.get(channel.id);
  const run = (doing: Promise<void>): void => {
    setFault(null);
    doing.catch((error: unknown) => setFault(reasonOf(error)));
  };
  const name = otherOf(channel);
  const named = { channel: channel.id, session: session?.session ?? "" };
  return (
    <div class="session-bar" data-testid="session" role="status">
      {session?.state === "asking" ? (
        <>
          <p>
            {t("session.asking", { name })}
            {session.line && <q class="session-line">{session.line}</q>}
          </p>
          <button class="button primary small" type="button" onClick={() => run(commands().accept(named))}>
            {t("session.accept")}
          </button>
          <button class="button small" type="button" onClick={() => run(commands().decline(named))}>
            {t("session.decline")}
          </button>
        </>
      ) : session?.state === "asked" ? (
        <>
          <p>
            {t("session.asked", { name })} <Countdown until={session.until} />
          </p>
          <button class="button small" type="button" onClick={() => run(commands().end(named))}>
            {t("session.cancel")}
          </button>
        </>
      ) : (
        <Ask name={name} session={session} onAsk={(line) => run(commands().request({ channel: channel.id, line }))} />
      )}
      {fault && (
        <p class="fault" role="alert">
          <Icon name="failed" />
          {fault}
        </p>
      )}
    </div>
  );
}

function Ask({ name, session, onAsk }: { name: string; session: Session | undefined; onAsk: (line: string) => void }): JSX.Element {
  const [line, setLine] = useState("");
  return (
    <form
      class="session-ask"
      onSubmit={(event) => {
        event.preventDefault();
        onAsk(line.trim());
      }}
    >
      <p>{session?.state === "ended" && session.reason !== "none" ? t(`session.${session.reason}`, { name }) : t("session.ask.hint", { name })}</p>
      <input
        class="search-box"
        aria-label={t("session.line")}
        placeholder={t("session.line")}
        maxLength={LINE_MAX}
        value={line}
        onInput={(event) => setLine(event.currentTarget.value)}
      />
      <button class="button primary small" type="submit">
        {t("session.ask")}
      </button>
    </form>
  );
}

function Countdown({ until }: { until: number }): JSX.Element | null {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  const seconds = Math.ceil((until - now) / 1000);
  return seconds > 0 && seconds <= 120 ? <span class="faint">{t("session.seconds", { n: seconds })}</span> : null;
}
