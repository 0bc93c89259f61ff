// The one word about the connection, and the panel behind it.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { t } from "../i18n";
import { connection } from "../state/chat";
import { Dialog } from "./Dialog";
import { Icon } from "./icons";
import { later } from "./later";

const ConnectionPanel = later(async () => (await import("./more")).ConnectionPanel);

export function Pill(): JSX.Element {
  const [open, setOpen] = useState(false);
  const { state } = connection.value;
  return (
    <>
      <button
        class={`pill ${state}`}
        type="button"
        aria-haspopup="dialog"
        data-testid="connection"
        data-state={state}
        aria-label={t("pill.label", { state: t(`state.${state}`) })}
        onClick={() => setOpen(true)}
      >
        <Icon name={state} />
        {t(`state.${state}`)}
      </button>
      {open && (
        <Dialog title={t("connection.title")} place="start" onClose={() => setOpen(false)}>
          <ConnectionPanel />
        </Dialog>
      )}
    </>
  );
}
