// A room where nothing is written yet: who is here, else who is awaited and what to send them.
import type { JSX } from "preact";
import type { Channel } from "../../node/api";
import { nameList } from "../format";
import { t } from "../i18n";
import { away, here, type Member, unsure } from "../state/members";
import { CopyButton } from "./CopyButton";
import { inviteLink, inviteWords } from "./invite";

const NAMED_MAX = 5;

const namesOf = (members: Member[]): string[] =>
  members.filter((member) => !member.me).map((member) => member.account);

/** The first few by name. */
function named(names: string[]): string {
  const few = names.slice(0, NAMED_MAX);
  if (names.length > few.length) few.push(t("fold.others", { n: names.length - few.length }));
  return nameList(few);
}

function Art({ met }: { met: number }): JSX.Element {
  return (
    <div class="empty-art" aria-hidden="true">
      <svg viewBox="0 0 120 72">
        <path d="M22 44C38 22 82 22 98 44" />
        <circle cx="22" cy="48" r="11" />
        <circle cx="98" cy="48" r="11" class={met > 0 ? "" : "awaited"} />
        <circle cx="60" cy="22" r="8" class={met > 1 ? "" : "awaited"} />
      </svg>
    </div>
  );
}

export function EmptyRoom({ channel }: { channel: Channel }): JSX.Element {
  const met = namesOf(here.value);
  if (met.length > 0) {
    return (
      <div class="empty">
        <Art met={met.length} />
        <h2>{t("empty.met", { n: met.length, names: named(met) })}</h2>
        <p>{t("empty.first")}</p>
      </div>
    );
  }
  const expected = namesOf(away.value);
  const link = inviteLink(channel);
  return (
    <div class="empty">
      <Art met={0} />
      <h2>{t(unsure.value ? "head.unlinked" : "empty.title")}</h2>
      <p>{expected.length > 0 ? t("empty.expected", { names: named(expected) }) : t("empty.waiting")}</p>
      <div class="share">
        <code class="clip">{link}</code>
        <CopyButton text={link} label={t("empty.copy")} />
      </div>
      <p class="faint">{inviteWords()}</p>
    </div>
  );
}
