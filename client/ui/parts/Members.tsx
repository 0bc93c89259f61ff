// Who is in the channel, and how they are reached. Only rows in view are drawn when the list is long.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Channel } from "../../node/api";
import { ago } from "../format";
import { t } from "../i18n";
import { account, timelineOf } from "../state/chat";
import { openDirect } from "../state/direct";
import { away, here, type Member } from "../state/members";
import { openChannel } from "../state/view";
import { Avatar } from "./Avatar";
import { CopyButton } from "./CopyButton";
import { Icon } from "./icons";
import { inviteLink, inviteWords } from "./invite";
import { linkWords, pathIcon } from "./words";

const ROW_REM = 3.25;
const DRAWN_WHOLE = 60;
const OVERSCAN_ROWS = 8;

type Line = { key: string; title: string } | { key: string; member: Member } | { key: string; self: true };

function lines(): Line[] {
  const others = here.value.filter((member) => !member.me);
  const gone = away.value.filter((member) => !member.me);
  return [
    { key: "here", title: t("members.here", { n: others.length + 1 }) },
    { key: "self", self: true },
    ...others.map((member) => ({ key: member.account, member })),
    ...(gone.length > 0 ? [{ key: "away", title: t("members.away", { n: gone.length }) }] : []),
    ...gone.map((member) => ({ key: member.account, member })),
  ];
}

export function Members(): JSX.Element {
  return (
    <>
      <MemberList />
      {openChannel.value?.type === "public" && <Invite channel={openChannel.value} />}
    </>
  );
}

function Invite({ channel }: { channel: Channel }): JSX.Element {
  const timeline = timelineOf(channel.id);
  void timeline.version.value;
  const inRoom = !here.value.some((member) => !member.me) && timeline.lastText === undefined; // the empty room says it already
  return (
    <footer class="invite">
      <CopyButton text={inviteLink(channel)} label={t("members.invite")} />
      {!inRoom && <span class="faint small-print">{inviteWords()}</span>}
    </footer>
  );
}

function MemberList(): JSX.Element {
  const scroller = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(800);
  useEffect(() => {
    const view = scroller.current;
    if (!view) return undefined;
    const watcher = new ResizeObserver(() => setHeight(view.clientHeight));
    watcher.observe(view);
    return () => watcher.disconnect();
  }, []);
  const all = lines();
  const whole = all.length <= DRAWN_WHOLE;
  const rowPx = ROW_REM * parseFloat(getComputedStyle(document.documentElement).fontSize);
  const start = whole ? 0 : Math.max(0, Math.floor(top / rowPx) - OVERSCAN_ROWS);
  const end = whole ? all.length : Math.min(all.length, Math.ceil((top + height) / rowPx) + OVERSCAN_ROWS);
  return (
    <div
      class="members"
      data-testid="members"
      ref={scroller}
      tabIndex={0}
      role="group"
      aria-label={t("members.title")}
      onScroll={whole ? undefined : (event) => setTop(event.currentTarget.scrollTop)}
    >
      <div style={{ height: `${start * rowPx}px` }} />
      {all.slice(start, end).map((line) =>
        "title" in line ? (
          <h3 key={line.key} class="section-title member-row">
            {line.title}
          </h3>
        ) : "self" in line ? (
          <Self key={line.key} />
        ) : (
          <MemberRow key={line.key} member={line.member} />
        ),
      )}
      <div style={{ height: `${(all.length - end) * rowPx}px` }} />
    </div>
  );
}

function Self(): JSX.Element {
  return (
    <div class="member-row">
      <Avatar name={account.value} />
      <span class="grow">
        <bdi class="name clip">{account.value}</bdi>
        <span class="faint clip">{t("members.self")}</span>
      </span>
    </div>
  );
}

function stateWords(member: Member): string {
  switch (member.state) {
    case "linked":
      return linkWords(member.path);
    case "connecting":
      return t("link.connecting");
    case "online":
      return t("members.online");
    case "unknown":
      return t("members.unknown");
    case "offline":
      return member.seenAt ? t("members.seen", { when: ago(member.seenAt) }) : t("members.offline");
  }
}

function MemberRow({ member }: { member: Member }): JSX.Element {
  const icon = member.state === "linked" ? pathIcon(member.path) : null;
  const devices = member.devices.length > 1 ? t("members.devices", { n: member.devices.length }) : (member.devices[0]?.label ?? "");
  return (
    <div class={`member-row ${member.state}`} data-testid="member" data-account={member.account} data-path={member.path} data-state={member.state}>
      <Avatar name={member.account}>
        <i class="presence" />
      </Avatar>
      <span class="grow" data-tip={devices}>
        <bdi class="name clip">{member.account}</bdi>
        <span class="faint clip">{stateWords(member)}</span>
      </span>
      {icon && (
        <span class="travel" role="img" aria-label={linkWords(member.path, member.rttMs)} data-tip={linkWords(member.path, member.rttMs)}>
          <Icon name={icon} />
        </span>
      )}
      {member.account !== account.value && (
        <button
          class="icon-button"
          type="button"
          aria-label={t("members.write", { name: member.account })}
          data-tip={t("members.write", { name: member.account })}
          onClick={() => void openDirect(member.account)}
        >
          <Icon name="send" />
        </button>
      )}
    </div>
  );
}
