// One channel: what is said about it, who is in it, invites, and what its moderators do.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { ago, exactTime } from "../format";
import { Avatar } from "../parts/Avatar";
import { CopyButton } from "../parts/CopyButton";
import { Icon } from "../parts/icons";
import { account as me, news } from "../state/chat";
import { channelHash, route } from "../state/route";
import type { Room } from "./Channels";
import { type Doing, useAnswer, useDoing } from "./answers";
import { Action, CallForm, Fault, Field, Row, Section, Waiting } from "./pieces";
import { d } from "./words";

const HOUR_S = 3600;
const SLOW_CHOICES_S = [0, 10, 30, 60, 300, 3600];

interface Member {
  account: string;
  role: "member" | "moderator" | "owner";
  muted_until_ms: number;
  since_ms: number;
  note: string;
}

const ranks = { member: 0, moderator: 1, owner: 2 } as const;

export function RoomPage(): JSX.Element {
  const name = route.value.rest ?? "";
  const { value, fault, again } = useAnswer<{ channel: Room }>("channel-find", { name }, ["channel"]);
  const doing = useDoing(again);
  if (value === null) return <Waiting fault={fault} again={again} />;
  const room = value.channel;
  const mine = room.me?.state === "member" ? ranks[room.me.role] : -1;
  return (
    <>
      <Section title={`${room.type === "private" ? "" : "#"}${room.name}`} hint={d(`policy.${room.policy}.hint`)}>
        {room.topic && <p>{room.topic}</p>}
        <div class="desk-buttons start">
          <a class="button small" href={channelHash(room.name)}>
            {d("room.back")}
          </a>
          <a class="button small" href={`/export/${room.id}.txt`} download>
            {d("room.export")}
          </a>
          <a class="button small" href={`/export/${room.id}.json`} download>
            {d("room.export.json")}
          </a>
        </div>
      </Section>
      <Fault text={doing.fault} />
      {mine >= ranks.moderator && <Settings room={room} mine={mine} doing={doing} again={again} />}
      {mine >= 0 && room.policy !== "open" && <RoomInvites room={room} />}
      {mine >= ranks.moderator && <People room={room} state="asks" mine={mine} />}
      {mine >= 0 && <People room={room} state="member" mine={mine} />}
      {mine >= ranks.moderator && <People room={room} state="banned" mine={mine} />}
      {mine >= ranks.owner && (
        <Section title={d("room.close")} hint={d("room.close.hint")}>
          <Action doing={doing} call="channel-close" fields={{ channel: room.id }} sure={d("room.close.sure", { name: room.name })} kind="danger">
            {d("room.close")}
          </Action>
        </Section>
      )}
    </>
  );
}

function Settings({ room, mine, doing, again }: { room: Room; mine: number; doing: Doing; again: () => void }): JSX.Element {
  return (
    <Section title={d("room.settings")} testid="room-settings">
      <CallForm call="channel-topic" fixed={{ channel: room.id }} submit={d("room.topic.set")} onDone={again} done={d("room.done")}>
        <Field name="topic" label={d("room.topic")} max={200} value={room.topic} />
      </CallForm>
      <label class="setting">
        <span>
          {d("room.slow")}
          <span class="faint small-print">{d("room.slow.hint")}</span>
        </span>
        <select class="select" value={String(room.slow_s)} onChange={(event) => void doing.run("channel-slow", { channel: room.id, seconds: Number(event.currentTarget.value) })}>
          {[...new Set([...SLOW_CHOICES_S, room.slow_s])].map((seconds) => (
            <option key={seconds} value={String(seconds)}>
              {seconds === 0 ? d("room.slow.off") : d("room.slow.seconds", { n: seconds })}
            </option>
          ))}
        </select>
      </label>
      {mine >= ranks.owner && room.type === "private" && (
        <CallForm call="channel-rename" fixed={{ channel: room.id }} submit={d("room.rename")} onDone={(answer) => void answer}>
          <Field name="name" label={d("channels.name")} max={32} value={room.name} required />
        </CallForm>
      )}
    </Section>
  );
}

interface Invite {
  invite: number;
  token: string;
  account: string;
  created_ms: number;
  expires_ms: number;
  uses: number;
  used: number;
}

function RoomInvites({ room }: { room: Room }): JSX.Element {
  const { value, fault, again } = useAnswer<{ invites: Invite[] }>("channel-invites", { channel: room.id });
  const doing = useDoing(again);
  return (
    <Section title={d("room.invites")} hint={d("room.invites.hint")} testid="room-invites">
      <CallForm call="channel-invite" fixed={{ channel: room.id, expires_s: 7 * 24 * HOUR_S }} submit={d("room.invite.new")} onDone={again}>
        <Field name="uses" type="number" label={d("room.invite.uses")} />
      </CallForm>
      <Fault text={doing.fault ?? fault} />
      <ul class="plain-list">
        {value?.invites.map((invite) => (
          <Row
            key={invite.invite}
            sign={<Icon name="copy" />}
            name={d("admin.invite.by", { name: invite.account })}
            about={[
              invite.uses ? d("admin.invite.used", { n: invite.used, max: invite.uses }) : d("room.invite.joined", { n: invite.used }),
              ...(invite.expires_ms ? [d("admin.invite.until", { date: exactTime(invite.expires_ms) })] : []),
            ].join(" · ")}
          >
            <CopyButton text={`${location.origin}/join/${invite.token}`} label={d("admin.copy-link")} />
            <Action doing={doing} call="channel-invite-revoke" fields={{ channel: room.id, invite: invite.invite }}>
              {d("admin.invite.revoke")}
            </Action>
          </Row>
        ))}
      </ul>
    </Section>
  );
}

function People({ room, state, mine }: { room: Room; state: "member" | "asks" | "banned"; mine: number }): JSX.Element | null {
  const [after, setAfter] = useState<string[]>([]);
  const from = after.at(-1);
  const { value, fault, again } = useAnswer<{ members: Member[]; more: boolean }>(
    "channel-members",
    { channel: room.id, state, ...(from !== undefined && { after: from }) },
    ["channel"],
  );
  // The other lists change with it, too.
  const doing = useDoing(() => (news.value = { type: "channel" }));
  if (value === null) return fault === null ? null : <Waiting fault={fault} again={again} />;
  if (state !== "member" && value.members.length === 0) return null;
  const last = value.members.at(-1);
  return (
    <Section title={d(`room.people.${state}`)} testid={`room-${state}`}>
      <Fault text={doing.fault} />
      <ul class="plain-list">
        {value.members.map((member) => (
          <Row key={member.account} testid={`person-${member.account}`} sign={<Avatar name={member.account} />} name={<bdi>{member.account}</bdi>} about={aboutMember(member, state)}>
            <MemberActions room={room} member={member} state={state} mine={mine} doing={doing} />
          </Row>
        ))}
      </ul>
      <div class="desk-buttons">
        {after.length > 0 && (
          <button class="button small" type="button" onClick={() => setAfter(after.slice(0, -1))}>
            {d("admin.back")}
          </button>
        )}
        {value.more && last && (
          <button class="button small" type="button" onClick={() => setAfter([...after, last.account])}>
            {d("admin.more")}
          </button>
        )}
      </div>
    </Section>
  );
}

function aboutMember(member: Member, state: string): string {
  const parts = [];
  if (state === "member") parts.push(d(`role.${member.role}`));
  parts.push(ago(member.since_ms));
  if (member.muted_until_ms > Date.now()) parts.push(d("room.muted", { date: exactTime(member.muted_until_ms) }));
  if (member.note) parts.push(member.note);
  return parts.join(" · ");
}

interface MemberProps {
  room: Room;
  member: Member;
  state: "member" | "asks" | "banned";
  mine: number;
  doing: Doing;
}

function MemberActions({ room, member, state, mine, doing }: MemberProps): JSX.Element | null {
  const fields = { channel: room.id, account: member.account };
  if (mine < ranks.moderator || member.account === me.value) return null;
  if (state === "asks") {
    return (
      <>
        <Action doing={doing} call="channel-approve" fields={fields} kind="primary">
          {d("room.approve")}
        </Action>
        <Action doing={doing} call="channel-refuse" fields={fields}>
          {d("room.refuse")}
        </Action>
      </>
    );
  }
  if (state === "banned") {
    return (
      <Action doing={doing} call="channel-unban" fields={fields}>
        {d("room.unban")}
      </Action>
    );
  }
  const owner = mine >= ranks.owner;
  const below = ranks[member.role] < mine;
  return (
    <>
      {owner && member.role === "member" && (
        <Action doing={doing} call="channel-role" fields={{ ...fields, role: "moderator" }}>
          {d("room.make-moderator")}
        </Action>
      )}
      {owner && member.role === "moderator" && (
        <Action doing={doing} call="channel-role" fields={{ ...fields, role: "member" }}>
          {d("room.make-member")}
        </Action>
      )}
      {owner && (
        <Action doing={doing} call="channel-hand-over" fields={fields} sure={d("room.hand-over.sure", { name: member.account })}>
          {d("room.hand-over")}
        </Action>
      )}
      {below && member.muted_until_ms > Date.now() && (
        <Action doing={doing} call="channel-unmute" fields={fields}>
          {d("room.unmute")}
        </Action>
      )}
      {below && member.muted_until_ms <= Date.now() && (
        <Action doing={doing} call="channel-mute" fields={{ ...fields, seconds: HOUR_S }} sure={d("room.mute.sure", { name: member.account })}>
          {d("room.mute")}
        </Action>
      )}
      {below && (
        <Action doing={doing} call="channel-hide" fields={{ ...fields, seconds: HOUR_S }} sure={d("room.hide.sure", { name: member.account })}>
          {d("room.hide")}
        </Action>
      )}
      {below && (
        <Action doing={doing} call="channel-kick" fields={fields} sure={d("room.kick.sure", { name: member.account })}>
          {d("room.kick")}
        </Action>
      )}
      {below && (
        <Action doing={doing} call="channel-ban" fields={fields} sure={d("room.ban.sure", { name: member.account })} kind="danger">
          {d("room.ban")}
        </Action>
      )}
    </>
  );
}
