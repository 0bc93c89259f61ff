// My account at the foot of the left column.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { t } from "../i18n";
import { account } from "../state/chat";
import { Avatar } from "./Avatar";
import { Dialog } from "./Dialog";
import { Icon } from "./icons";
import { later } from "./later";

const AccountMenu = later(async () => (await import("./more")).AccountMenu);

export function AccountButton(): JSX.Element {
  const [open, setOpen] = useState(false);
  return (
    <>
      <button class="account" type="button" data-testid="account" aria-haspopup="dialog" onClick={() => setOpen(true)}>
        <Avatar name={account.value} />
        <span class="grow">
          <bdi class="name clip">{account.value}</bdi>
          <span class="faint clip">{t("account.hint")}</span>
        </span>
        <Icon name="settings" />
      </button>
      {open && (
        <Dialog title={t("account.title")} place="corner" onClose={() => setOpen(false)}>
          <AccountMenu onDone={() => setOpen(false)} />
        </Dialog>
      )}
    </>
  );
}
