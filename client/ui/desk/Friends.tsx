// Friends: who they are, who asks to be one, whom I have asked, whom I have blocked.
import type { JSX } from "preact";
import { ago } from "../format";
import { Avatar } from "../parts/Avatar";
import { peers } from "../state/chat";
import { openDirect } from "../state/direct";
import { here } from "../state/members";
import { Action, CallForm, Fault, Field, Row, Section, Waiting } from "./pieces";
import { type Doing, useAnswer, useDoing } from "./answers";
import { d } from "./words";

interface Friend {
  account: string;
  state: "asked" | "asking" | "friend" | "blocked";
  line: string;
  since_ms: number;
  status?: string;
  seen_ms?: number;
}

const LINE_MAX = 140;

export function FriendsPage(): JSX.Element {
  const { value, fault, again } = useAnswer<{ friends: Friend[] }>("friends", {}, ["friend"]);
  const doing = useDoing(again);
  const of = (state: Friend["state"]): Friend[] => value?.friends.filter((friend) => friend.state === state) ?? [];
  const asking = of("asking");
  const blocked = of("blocked");
  const asked = of("asked");
  const friends = of("friend");
  return (
    <>
      <Fault text={doing.fault} />
      {value === null && <Waiting fault={fault} again={again} />}
      {asking.length > 0 && (
        <Section title={d("friends.asking", { n: asking.length })} testid="friends-asking">
          <ul class="plain-list">
            {asking.map((friend) => (
              <Person key={friend.account} friend={friend} about={friend.line || ago(friend.since_ms)}>
                <Action doing={doing} call="friend-accept" fields={{ account: friend.account }} kind="primary">
                  {d("friends.accept")}
                </Action>
                <Action doing={doing} call="friend-decline" fields={{ account: friend.account }}>
                  {d("friends.decline")}
                </Action>
                <Block doing={doing} account={friend.account} />
              </Person>
            ))}
          </ul>
        </Section>
      )}
      <Section title={d("friends.ask.title")} hint={d("friends.ask.hint")}>
        <CallForm call="friend-ask" submit={d("friends.ask")} onDone={again} testid="friend-ask">
          <Field name="account" label={d("friends.name")} max={32} required />
          <Field name="line" label={d("friends.line")} max={LINE_MAX} />
        </CallForm>
      </Section>
      {value !== null && (
        <Section title={d("friends.list", { n: friends.length })} testid="friends-list">
          {friends.length === 0 && <p class="faint">{d("friends.none")}</p>}
          <ul class="plain-list">
            {friends.map((friend) => (
              <Person key={friend.account} friend={friend} about={presenceOf(friend)}>
                <button class="button small primary" type="button" onClick={() => void openDirect(friend.account, true)}>
                  {d("friends.write")}
                </button>
                <Action doing={doing} call="friend-remove" fields={{ account: friend.account }} sure={d("friends.remove.sure", { name: friend.account })}>
                  {d("friends.remove")}
                </Action>
                <Block doing={doing} account={friend.account} />
              </Person>
            ))}
          </ul>
        </Section>
      )}
      {asked.length > 0 && (
        <Section title={d("friends.asked", { n: asked.length })}>
          <ul class="plain-list">
            {asked.map((friend) => (
              <Person key={friend.account} friend={friend} about={d("friends.asked.since", { ago: ago(friend.since_ms) })}>
                <Action doing={doing} call="friend-remove" fields={{ account: friend.account }}>
                  {d("friends.take-back")}
                </Action>
              </Person>
            ))}
          </ul>
        </Section>
      )}
      {blocked.length > 0 && (
        <Section title={d("friends.blocked", { n: blocked.length })} hint={d("friends.blocked.hint")}>
          <ul class="plain-list">
            {blocked.map((friend) => (
              <Person key={friend.account} friend={friend} about={ago(friend.since_ms)}>
                <Action doing={doing} call="unblock" fields={{ account: friend.account }}>
                  {d("friends.unblock")}
                </Action>
              </Person>
            ))}
          </ul>
        </Section>
      )}
    </>
  );
}

function Block({ doing, account }: { doing: Doing; account: string }): JSX.Element {
  return (
    <Action doing={doing} call="block" fields={{ account }} sure={d("friends.block.sure", { name: account })}>
      {d("friends.block")}
    </Action>
  );
}

function Person({ friend, about, children }: { friend: Friend; about: string; children: JSX.Element | (JSX.Element | null)[] }): JSX.Element {
  return (
    <Row sign={<Avatar name={friend.account} />} name={<bdi>{friend.account}</bdi>} about={about} testid={`friend-${friend.account}`}>
      {children}
    </Row>
  );
}

/** True as far as this page knows: linked or announced now, else when the tracker saw them last. */
function presenceOf(friend: Friend): string {
  const online = here.value.some((member) => member.account === friend.account) || [...peers.value.values()].some((peer) => peer.account === friend.account && peer.presence === "online");
  if (online || friend.status === "online") return d("friends.online");
  return friend.seen_ms ? d("friends.seen", { ago: ago(friend.seen_ms) }) : d("friends.offline");
}

