// For whoever looks for a fault: records what goes into this device's core, and gives it as a file.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { t } from "../i18n";
import { commands, reasonOf, recording } from "../state/chat";

const MEDIA_TYPE = "application/octet-stream";
const REVOKE_AFTER_MS = 60_000;

function offer(file: Uint8Array<ArrayBuffer>): void {
  const url = URL.createObjectURL(new Blob([file], { type: MEDIA_TYPE }));
  const link = document.createElement("a");
  link.href = url;
  link.download = `weaprous-${new Date().toISOString().slice(0, 19).replaceAll(":", "-")}.trace`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), REVOKE_AFTER_MS);
}

export function TraceSwitch(): JSX.Element {
  const [said, say] = useState("");
  const [busy, setBusy] = useState(false);
  const on = recording.value;
  async function toggle(): Promise<void> {
    setBusy(true);
    try {
      if (on) {
        const { file, full } = await commands().traceStop();
        offer(file);
        say(full ? t("trace.full") : "");
      } else {
        await commands().traceStart();
        say("");
      }
    } catch (error) {
      say(reasonOf(error));
    }
    setBusy(false);
  }
  return (
    <section class="stack">
      <p class="faint">{t(on ? "trace.running" : "trace.warning")}</p>
      <button class="button small" type="button" aria-pressed={on} disabled={busy} onClick={() => void toggle()}>
        {t(on ? "trace.stop" : "trace.start")}
      </button>
      {said && <p role="alert">{said}</p>}
    </section>
  );
}
