// Channels: making one, finding one, joining by password, invite or asking, leaving.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Dialog } from "../parts/Dialog";
import { Icon } from "../parts/icons";
import { channelHash, deskHash } from "../state/route";
import { Action, CallForm, Fault, Field, Row, Waiting } from "./pieces";
import { type Doing, useAnswer, useDoing } from "./answers";
import { d } from "./words";

export interface Room {
  id: string;
  name: string;
  type: "public" | "private";
  policy: "open" | "password" | "invite" | "approval";
  topic: string;
  slow_s: number;
  members: number;
  created_ms: number;
  me?: { state: "member" | "asks" | "banned"; role: "member" | "moderator" | "owner"; muted_until_ms: number; since_ms: number };
}

const policies = ["open", "password", "invite", "approval"] as const;

export function ChannelsPage(): JSX.Element {
  const [part, setPart] = useState("");
  const { value, fault, again } = useAnswer<{ channels: Room[]; more: boolean }>("channel-list", part ? { name: part } : {}, ["channel"]);
  const [making, setMaking] = useState(false);
  const [knocking, setKnocking] = useState<Room | null>(null);
  const doing = useDoing(again);
  return (
    <>
      <div class="desk-bar">
        <input
          class="search-box"
          type="search"
          placeholder={d("channels.find")}
          aria-label={d("channels.find")}
          maxLength={32}
          value={part}
          onInput={(event) => setPart(event.currentTarget.value)}
        />
        <button class="button primary" type="button" data-testid="channel-new" onClick={() => setMaking(true)}>
          {d("channels.new")}
        </button>
      </div>
      <Fault text={doing.fault} />
      {value === null && <Waiting fault={fault} again={again} />}
      {value !== null && value.channels.length === 0 && <p class="faint">{part ? d("channels.nothing", { part }) : d("channels.none")}</p>}
      <ul class="plain-list">
        {value?.channels.map((room) => (
          <Row
            key={room.id}
            testid={`room-${room.name}`}
            sign={
              <span class="channel-sign large">
                <Icon name={room.type === "private" ? "lock" : "hash"} />
              </span>
            }
            name={
              room.me?.state === "member" ? (
                <a class="plain-link" href={channelHash(room.name)}>
                  <bdi>{room.name}</bdi>
                </a>
              ) : (
                <bdi>{room.name}</bdi>
              )
            }
            about={aboutRoom(room)}
          >
            <RoomActions room={room} doing={doing} onKnock={() => setKnocking(room)} />
          </Row>
        ))}
      </ul>
      {value?.more && <p class="faint small-print">{d("channels.more")}</p>}
      {making && (
        <Dialog title={d("channels.new")} place="center" onClose={() => setMaking(false)}>
          <NewRoom
            onDone={(room) => {
              setMaking(false);
              again();
              location.hash = channelHash(room.name);
            }}
          />
        </Dialog>
      )}
      {knocking && (
        <Dialog title={d("channels.join.title", { name: knocking.name })} place="center" onClose={() => setKnocking(null)}>
          <Knock
            room={knocking}
            onDone={() => {
              setKnocking(null);
              again();
            }}
          />
        </Dialog>
      )}
    </>
  );
}

function aboutRoom(room: Room): string {
  const parts = [d("channels.members", { n: room.members }), d(`policy.${room.policy}`)];
  if (room.me?.state === "asks") parts.push(d("channels.asked"));
  if (room.me?.state === "banned") parts.push(d("channels.banned"));
  return room.topic ? `${room.topic} · ${parts.join(" · ")}` : parts.join(" · ");
}

function RoomActions({ room, doing, onKnock }: { room: Room; doing: Doing; onKnock: () => void }): JSX.Element | null {
  const state = room.me?.state;
  if (state === "banned") return null;
  if (state === "member") {
    return (
      <>
        <a class="button small" href={deskHash("room", room.name)}>
          {d("admin.open")}
        </a>
        <Leave room={room} doing={doing} />
      </>
    );
  }
  if (state === "asks") {
    return (
      <Action doing={doing} call="channel-leave" fields={{ channel: room.id }}>
        {d("friends.take-back")}
      </Action>
    );
  }
  if (room.policy === "open") {
    return (
      <Action doing={doing} call="channel-join" fields={{ channel: room.id }} kind="primary">
        {d("channels.join")}
      </Action>
    );
  }
  if (room.policy === "invite") return <span class="faint small-print">{d("channels.invited-only")}</span>;
  return (
    <button class="button small primary" type="button" onClick={onKnock}>
      {room.policy === "password" ? d("channels.join") : d("channels.ask")}
    </button>
  );
}

function Leave({ room, doing }: { room: Room; doing: Doing }): JSX.Element {
  return (
    <Action doing={doing} call="channel-leave" fields={{ channel: room.id }} sure={d("channels.leave.sure", { name: room.name })}>
      {d("channels.leave")}
    </Action>
  );
}

function Knock({ room, onDone }: { room: Room; onDone: () => void }): JSX.Element {
  return (
    <CallForm call="channel-join" fixed={{ channel: room.id }} submit={room.policy === "password" ? d("channels.join") : d("channels.ask")} onDone={onDone}>
      {room.policy === "password" ? (
        <Field name="password" type="password" label={d("channels.password")} required />
      ) : (
        <Field name="note" label={d("channels.note")} max={200} />
      )}
    </CallForm>
  );
}

function NewRoom({ onDone }: { onDone: (room: Room) => void }): JSX.Element {
  const [policy, setPolicy] = useState<Room["policy"]>("open");
  return (
    <CallForm
      call="channel-create"
      fixed={{ policy }}
      submit={d("channels.create")}
      testid="channel-create"
      onDone={(answer) => onDone((answer as { channel: Room }).channel)}
    >
      <Field name="name" label={d("channels.name")} hint={d("channels.name.hint")} max={32} required />
      <Field name="topic" label={d("channels.topic")} max={200} />
      <fieldset class="choices">
        <legend>{d("channels.who")}</legend>
        {policies.map((one) => (
          <label key={one} class="choice">
            <input type="radio" name="way" value={one} checked={policy === one} onChange={() => setPolicy(one)} />
            <span>
              {d(`policy.${one}`)}
              <span class="faint small-print">{d(`policy.${one}.hint`)}</span>
            </span>
          </label>
        ))}
      </fieldset>
      {policy === "password" && <Field name="password" type="password" label={d("channels.password")} required />}
    </CallForm>
  );
}
