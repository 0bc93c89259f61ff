import type { JSX } from "preact";
import { t } from "../i18n";
import { declineNotifications, offerNotifications, switchNotifications } from "../state/attention";

/** After the first message of somebody else, never at load: may the browser tell about new ones? Below the
 *  messages, so that those that are being read do not move. */
export function NotificationOffer(): JSX.Element | null {
  if (!offerNotifications.value) return null;
  return (
    <div class="offer" role="group" aria-label={t("settings.notifications")}>
      <span class="offer-text">{t("offer.notifications")}</span>
      <span class="offer-answers">
        <button class="button small" type="button" onClick={() => void switchNotifications(true)}>
          {t("offer.yes")}
        </button>
        <button class="button small" type="button" onClick={declineNotifications}>
          {t("offer.no")}
        </button>
      </span>
    </div>
  );
}
