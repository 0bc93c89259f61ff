// Behind my account at the foot of the left column: language, theme, notifications, shortcuts, logging out.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { shortCode } from "../format";
import { t } from "../i18n";
import { account, device, logOut } from "../state/chat";
import { notifications, switchNotifications } from "../state/attention";
import { deskHash } from "../state/route";
import { session } from "../state/session";
import { shortcutsOpen } from "../state/view";
import { Avatar } from "./Avatar";
import { LanguageChoice, ThemeChoice } from "./choices";
import { Icon } from "./icons";

export function AccountMenu({ onDone }: { onDone: () => void }): JSX.Element {
  const [fault, setFault] = useState(false);
  const onLogOut = async (): Promise<void> => {
    setFault(false);
    if (await logOut()) location.replace("/");
    else setFault(true);
  };
  return (
    <div class="stack">
      <div class="person">
        <Avatar name={account.value} size="large" />
        <span class="grow">
          <bdi class="name">{account.value}</bdi>
          <span class="faint">
            {t("account.device")} <code>{shortCode(device.value)}</code>
          </span>
        </span>
      </div>
      <a class="button" href={deskHash("account")} data-testid="way-account" onClick={onDone}>
        {t("account.manage")}
      </a>
      {session.value.state === "in" && session.value.admin && (
        <a class="button" href={deskHash("admin")} data-testid="way-admin" onClick={onDone}>
          {t("account.admin")}
        </a>
      )}
      <div class="setting">
        <span>{t("settings.theme")}</span>
        <ThemeChoice />
      </div>
      <div class="setting">
        <span>{t("settings.language")}</span>
        <LanguageChoice />
      </div>
      <NotificationSetting />
      <button
        class="button"
        type="button"
        onClick={() => {
          onDone();
          shortcutsOpen.value = true;
        }}
      >
        {t("shortcuts.title")}
      </button>
      {fault && (
        <p class="fault" role="alert">
          <Icon name="failed" />
          {t("account.logout.failed")}
        </p>
      )}
      <button class="button danger" type="button" data-testid="logout" onClick={() => void onLogOut()}>
        {t("account.logout")}
      </button>
    </div>
  );
}

function NotificationSetting(): JSX.Element | null {
  const state = notifications.value;
  if (state === "unsupported") return null;
  return (
    <label class="setting">
      <span>
        {t("settings.notifications")}
        {state === "refused" && <span class="faint small-print">{t("settings.notifications.refused")}</span>}
      </span>
      <input
        class="switch"
        type="checkbox"
        role="switch"
        checked={state === "on"}
        disabled={state === "refused"}
        onChange={(event) => void switchNotifications(event.currentTarget.checked)}
      />
    </label>
  );
}
