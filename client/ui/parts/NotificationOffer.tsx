import type { JSX } from "preact";
import { t } from "../i18n";
import { declineNotifications, offerNotifications, switchNotifications } from "../state/attention";

/** After the first message of somebody else, never at load: may the browser tell about new ones? */
export function NotificationOffer(): JSX.Element | null {
  if (!offerNotifications.value) return null;
  return (
    <div class="floating offer">
      <span>{t("offer.notifications")}</span>
      <button class="button small" type="button" onClick={() => void switchNotifications(true)}>
        {t("offer.yes")}
      </button>
      <button class="button small" type="button" onClick={declineNotifications}>
        {t("offer.no")}
      </button>
    </div>
  );
}
