// A page of its own in the place of the conversation: friends, channels, the account, administration. Its script is
// fetched when one of them is opened for the first time.
import type { ComponentType, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { t } from "../i18n";
import type { DeskPage } from "../state/route";

type Page = ComponentType<{ page: DeskPage }>;

export function Desk({ page }: { page: DeskPage }): JSX.Element {
  const [Shown, setShown] = useState<Page | null>(null);
  const [failed, setFailed] = useState(false);
  const load = (): void => {
    setFailed(false);
    import("../desk/desk").then(
      (desk) => setShown(() => desk.DeskView),
      () => setFailed(true),
    );
  };
  useEffect(load, []);
  if (Shown) return <Shown page={page} />;
  return (
    <main class="desk">
      <div class="faint pad" role="status">
        {failed ? (
          <>
            <p>{t("desk.unreachable")}</p>
            <button class="button" type="button" onClick={load}>
              {t("retry.now")}
            </button>
          </>
        ) : (
          t("full.starting")
        )}
      </div>
    </main>
  );
}
