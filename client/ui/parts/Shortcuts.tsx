import type { JSX } from "preact";
import { type Key, t } from "../i18n";
import { Dialog } from "./Dialog";

const command = /Mac|iPhone|iPad/.test(navigator.userAgent) ? "⌘" : "Ctrl";

const list: [string[], Key][] = [
  [["Enter"], "shortcuts.send"],
  [["Shift", "Enter"], "shortcuts.line"],
  [["↑", "↓"], "shortcuts.move"],
  [["Enter"], "shortcuts.details"],
  [["Alt", "↑ / ↓"], "shortcuts.channel"],
  [[command, "Shift", "F"], "shortcuts.search"],
  [[command, "Shift", "M"], "shortcuts.mentions"],
  [[command, "."], "shortcuts.side"],
  [["Esc"], "shortcuts.escape"],
  [[command, "/"], "shortcuts.list"],
];

export function Shortcuts({ onClose }: { onClose: () => void }): JSX.Element {
  return (
    <Dialog title={t("shortcuts.title")} place="center" onClose={onClose}>
      <dl class="shortcuts">
        {list.map(([keys, words]) => (
          <div key={words}>
            <dt>{t(words)}</dt>
            <dd>
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
