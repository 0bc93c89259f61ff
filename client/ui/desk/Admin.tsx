// For administrators: how the server is, its people, invites, and what was done by whom.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ago, exactTime, shortCode } from "../format";
import { locale } from "../i18n";
import { Avatar } from "../parts/Avatar";
import { CopyButton } from "../parts/CopyButton";
import { Dialog } from "../parts/Dialog";
import { Icon } from "../parts/icons";
import { account as me } from "../state/chat";
import type { Places } from "./Account";
import type { Room } from "./Channels";
import { deskHash } from "../state/route";
import { useAnswer, useDoing } from "./answers";
import { Action, CallForm, Fault, Field, Row, Section, Waiting } from "./pieces";
import { d } from "./words";

const LOOK_AGAIN_MS = 5000;
const tabs = ["server", "users", "rooms", "invites", "audit"] as const;
/** What is shown of admin-server, and what of it grows. */
const figures = ["accounts", "admins", "disabled", "sessions", "devices", "sockets", "channels", "store_waiting", "store_failures"] as const;
/** Counted by /metrics since the start, shown as so many a second. */
const rates = {
  messages: "weaprous_entries_total",
  requests: "weaprous_http_requests_total",
  operations: "weaprous_store_operations_total",
  relayed: "weaprous_relay_bytes_total",
} as const;
type Rate = keyof typeof rates;

interface User {
  username: string;
  role: "admin" | "person";
  disabled: boolean;
  created_ms: number;
  seen_ms: number;
  sessions: number;
  devices: number;
  totp: boolean;
}

export function AdminPage(): JSX.Element {
  const [tab, setTab] = useState<(typeof tabs)[number]>("server");
  return (
    <>
      <div class="segments desk-tabs" role="group" aria-label={d("admin.title")}>
        {tabs.map((one) => (
          <label key={one} class="segment">
            <input type="radio" name="admin-tab" checked={tab === one} onChange={() => setTab(one)} />
            <span>{d(`admin.${one}`)}</span>
          </label>
        ))}
      </div>
      {tab === "server" && <Server />}
      {tab === "users" && <Users />}
      {tab === "rooms" && <Rooms />}
      {tab === "invites" && <Invites />}
      {tab === "audit" && <Audit />}
    </>
  );
}

type Figures = Record<string, number | string>;
type Counts = Record<Rate, number>;

/** The sum over all labels of each counter. */
async function counted(): Promise<Counts> {
  const text = await (await fetch("/metrics", { cache: "no-store" })).text();
  const sums: Counts = { messages: 0, requests: 0, operations: 0, relayed: 0 };
  for (const [, name, value] of text.matchAll(/^(\w+)(?:\{[^}]*\})? (\S+)$/gm)) {
    for (const rate of Object.keys(rates) as Rate[]) if (rates[rate] === name) sums[rate] += Number(value);
  }
  return sums;
}

/** How much the counters grow in a second, from one look to the next. */
function useRates(looked: unknown): Counts | null {
  const [shown, setShown] = useState<Counts | null>(null);
  const last = useRef<{ at: number; counts: Counts } | null>(null);
  useEffect(() => {
    let wanted = true;
    counted().then(
      (counts) => {
        const before = last.current;
        const at = performance.now();
        last.current = { at, counts };
        if (!wanted || !before || at - before.at < 100) return;
        const seconds = (at - before.at) / 1000;
        const grown = (rate: Rate): number => Math.max(0, counts[rate] - before.counts[rate]) / seconds;
        setShown({ messages: grown("messages"), requests: grown("requests"), operations: grown("operations"), relayed: grown("relayed") });
      },
      () => undefined,
    );
    return () => {
      wanted = false;
    };
  }, [looked]);
  return shown;
}

function Figure({ name, value }: { name: string; value: string }): JSX.Element {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

/** Figures now, and how much they have grown since the last look. */
function Server(): JSX.Element {
  const { value, fault, again } = useAnswer<Figures>("admin-server");
  const grown = useRates(value);
  useEffect(() => {
    const timer = setInterval(again, LOOK_AGAIN_MS);
    return () => clearInterval(timer);
  }, []);
  if (value === null) return <Waiting fault={fault} again={again} />;
  const number = (n: number, digits = 0): string => n.toLocaleString(locale.value, { maximumFractionDigits: digits });
  return (
    <>
      <Section title={d("admin.server")} hint={d("admin.server.hint")} testid="admin-server">
        <Fault text={fault} />
        <dl class="figures">
          {figures.map((name) => (
            <Figure key={name} name={d(`figure.${name}`)} value={number(Number(value[name] ?? 0))} />
          ))}
          {value.store_bytes !== undefined && <Figure name={d("figure.store_bytes")} value={d("size.mb", { mb: number(Number(value.store_bytes) / 1e6, 1) })} />}
          <Figure name={d("figure.version")} value={String(value.version)} />
        </dl>
      </Section>
      <Section title={d("admin.rates")} hint={d("admin.rates.hint")} testid="admin-rates">
        <dl class="figures">
          {(Object.keys(rates) as Rate[]).map((rate) => (
            <Figure
              key={rate}
              name={d(`rate.${rate}`)}
              value={grown === null ? "…" : rate === "relayed" ? d("size.kb", { kb: number(grown[rate] / 1000, 1) }) : number(grown[rate], 1)}
            />
          ))}
        </dl>
      </Section>
    </>
  );
}

/** All channels; their own pages are where they are moderated. */
function Rooms(): JSX.Element {
  const [pages, setPages] = useState<string[]>([]);
  const after = pages.at(-1);
  const { value, fault, again } = useAnswer<{ channels: Room[]; more: boolean }>("channel-list", after === undefined ? {} : { after }, ["channel"]);
  if (value === null) return <Waiting fault={fault} again={again} />;
  const last = value.channels.at(-1);
  return (
    <Section title={d("admin.rooms")} testid="admin-rooms">
      <ul class="plain-list">
        {value.channels.map((room) => (
          <Row
            key={room.id}
            testid={`room-${room.name}`}
            sign={<Icon name={room.type === "private" ? "lock" : "hash"} />}
            name={<bdi>{room.name}</bdi>}
            about={[d(`policy.${room.policy}`), d("channels.members", { n: room.members }), room.topic].filter(Boolean).join(" · ")}
          >
            <a class="button small" href={deskHash("room", room.name)}>
              {d("admin.open")}
            </a>
          </Row>
        ))}
      </ul>
      <div class="desk-buttons">
        {pages.length > 0 && (
          <button class="button small" type="button" onClick={() => setPages(pages.slice(0, -1))}>
            {d("admin.back")}
          </button>
        )}
        {value.more && last && (
          <button class="button small" type="button" onClick={() => setPages([...pages, last.name])}>
            {d("admin.more")}
          </button>
        )}
      </div>
    </Section>
  );
}

function Users(): JSX.Element {
  const [search, setSearch] = useState("");
  const [pages, setPages] = useState<string[]>([]);
  const [chosen, setChosen] = useState<User | null>(null);
  const after = pages.at(-1);
  const { value, fault, again } = useAnswer<{ users: User[]; next?: string }>("admin-users", { ...(search && { search }), ...(after && { after }) });
  return (
    <Section title={d("admin.users")} testid="admin-users">
      <div class="desk-bar">
        <input
          class="search-box"
          type="search"
          placeholder={d("admin.find")}
          aria-label={d("admin.find")}
          maxLength={32}
          value={search}
          onInput={(event) => {
            setPages([]);
            setSearch(event.currentTarget.value);
          }}
        />
      </div>
      {value === null && <Waiting fault={fault} again={again} />}
      <ul class="plain-list">
        {value?.users.map((user) => (
          <Row key={user.username} testid={`user-${user.username}`} sign={<Avatar name={user.username} />} name={<bdi>{user.username}</bdi>} about={aboutUser(user)}>
            <button class="button small" type="button" onClick={() => setChosen(user)}>
              {d("admin.open")}
            </button>
          </Row>
        ))}
      </ul>
      <div class="desk-buttons">
        {pages.length > 0 && (
          <button class="button small" type="button" onClick={() => setPages(pages.slice(0, -1))}>
            {d("admin.back")}
          </button>
        )}
        {value?.next !== undefined && (
          <button class="button small" type="button" onClick={() => setPages([...pages, value.next ?? ""])}>
            {d("admin.more")}
          </button>
        )}
      </div>
      {chosen && (
        <Dialog title={chosen.username} place="side" onClose={() => setChosen(null)}>
          <OneUser user={chosen} onChange={again} onGone={() => setChosen(null)} />
        </Dialog>
      )}
    </Section>
  );
}

function aboutUser(user: User): string {
  const parts = [d("admin.devices", { n: user.devices }), user.seen_ms ? d("account.seen", { ago: ago(user.seen_ms) }) : d("admin.never")];
  if (user.role === "admin") parts.unshift(d("admin.role"));
  if (user.disabled) parts.unshift(d("admin.disabled"));
  if (user.totp) parts.push(d("totp.short"));
  return parts.join(" · ");
}

interface OneUserInfo extends User {
  entries: number;
  entry_bytes: number;
}

function OneUser({ user, onChange, onGone }: { user: User; onChange: () => void; onGone: () => void }): JSX.Element {
  const name = user.username;
  const info = useAnswer<OneUserInfo>("admin-user", { account: name });
  const places = useAnswer<Places>("admin-user-sessions", { account: name });
  const [link, setLink] = useState<string | null>(null);
  const changed = (): void => {
    info.again();
    places.again();
    onChange();
  };
  const doing = useDoing(changed);
  const reset = useDoing((answer) => setLink(`${location.origin}${(answer as { path: string }).path}`));
  const gone = useDoing(() => {
    onChange();
    onGone();
  });
  const now = info.value;
  if (now === null) return <Waiting fault={info.fault} again={info.again} />;
  const fields = { account: name };
  const self = name === me.value;
  return (
    <div class="stack">
      <p class="faint">
        {d("account.since", { date: exactTime(now.created_ms) })} · {d("admin.entries", { n: now.entries, kb: Math.ceil(now.entry_bytes / 1024) })}
      </p>
      <Fault text={doing.fault ?? reset.fault ?? gone.fault} />
      <div class="desk-buttons start">
        {now.role === "admin" ? (
          <Action doing={doing} call="admin-user-role" fields={{ ...fields, role: "person" }}>
            {d("admin.make-person")}
          </Action>
        ) : (
          <Action doing={doing} call="admin-user-role" fields={{ ...fields, role: "admin" }} sure={d("admin.make-admin.sure", { name })}>
            {d("admin.make-admin")}
          </Action>
        )}
        <Action doing={doing} call="admin-user-logout" fields={fields} sure={d("admin.logout.sure", { name })}>
          {d("admin.logout")}
        </Action>
        <Action doing={reset} call="admin-user-reset" fields={fields}>
          {d("admin.reset")}
        </Action>
        {now.totp && (
          <Action doing={doing} call="admin-user-totp-off" fields={fields} sure={d("admin.totp-off.sure", { name })}>
            {d("totp.end")}
          </Action>
        )}
        {!self &&
          (now.disabled ? (
            <Action doing={doing} call="admin-user-enable" fields={fields}>
              {d("admin.enable")}
            </Action>
          ) : (
            <Action doing={doing} call="admin-user-disable" fields={fields} sure={d("admin.disable.sure", { name })} kind="danger">
              {d("admin.disable")}
            </Action>
          ))}
        {!self && (
          <Action doing={gone} call="admin-user-delete" fields={fields} sure={d("admin.delete.sure", { name })} kind="danger">
            {d("admin.delete")}
          </Action>
        )}
      </div>
      {link && (
        <div class="notice">
          <p>{d("admin.reset.link")}</p>
          <CopyButton text={link} label={d("admin.copy-link")} />
        </div>
      )}
      <ul class="plain-list">
        {places.value?.devices.map((row) => (
          <Row key={row.device} sign={<Icon name="own" />} name={<bdi>{row.name || row.label || shortCode(row.device)}</bdi>} about={`${ago(row.seen_ms || row.issued_ms)} · ${row.address}`}>
            <Action doing={doing} call="admin-user-device-end" fields={{ ...fields, device: row.device }} sure={d("account.device-end.sure")}>
              {d("account.device-end")}
            </Action>
          </Row>
        ))}
      </ul>
    </div>
  );
}

interface InviteRow {
  invite: number;
  by: string;
  note: string;
  created_ms: number;
  expires_ms: number;
  uses_max: number;
  uses: number;
  revoked: boolean;
}

function Invites(): JSX.Element {
  const { value, fault, again } = useAnswer<{ invites: InviteRow[] }>("admin-invites");
  const doing = useDoing(again);
  const [link, setLink] = useState<string | null>(null);
  return (
    <Section title={d("admin.invites")} hint={d("admin.invites.hint")} testid="admin-invites">
      <CallForm
        call="admin-invite-add"
        submit={d("admin.invite.add")}
        onDone={(answer) => {
          setLink(`${location.origin}${(answer as { path: string }).path}`);
          again();
        }}
      >
        <Field name="note" label={d("admin.invite.note")} max={100} />
        <Field name="uses" type="number" label={d("admin.invite.uses")} value="1" />
        <Field name="days" type="number" label={d("admin.invite.days")} value="7" />
      </CallForm>
      {link && (
        <div class="notice">
          <p>{d("admin.invite.link")}</p>
          <CopyButton text={link} label={d("admin.copy-link")} />
        </div>
      )}
      <Fault text={doing.fault} />
      {value === null && <Waiting fault={fault} again={again} />}
      <ul class="plain-list">
        {value?.invites.map((row) => (
          <Row
            key={row.invite}
            sign={<Icon name="copy" />}
            name={row.note || d("admin.invite.by", { name: row.by })}
            about={`${d("admin.invite.used", { n: row.uses, max: row.uses_max })} · ${row.revoked ? d("admin.invite.revoked") : d("admin.invite.until", { date: exactTime(row.expires_ms) })}`}
          >
            {!row.revoked && (
              <Action doing={doing} call="admin-invite-revoke" fields={{ invite: row.invite }}>
                {d("admin.invite.revoke")}
              </Action>
            )}
          </Row>
        ))}
      </ul>
    </Section>
  );
}

interface AuditRow {
  row: number;
  time_ms: number;
  who: string;
  what: string;
  about: string;
  detail: string;
  address: string;
}

function Audit(): JSX.Element {
  const [before, setBefore] = useState<number[]>([]);
  const at = before.at(-1);
  const { value, fault, again } = useAnswer<{ rows: AuditRow[] }>("admin-audit", at === undefined ? {} : { before: at });
  if (value === null) return <Waiting fault={fault} again={again} />;
  const last = value.rows.at(-1);
  return (
    <Section title={d("admin.audit")} hint={d("admin.audit.hint")} testid="admin-audit">
      <div class="table-box">
        <table class="table">
          <thead>
            <tr>
              <th>{d("audit.when")}</th>
              <th>{d("audit.who")}</th>
              <th>{d("audit.what")}</th>
              <th>{d("audit.where")}</th>
            </tr>
          </thead>
          <tbody>
            {value.rows.map((row) => (
              <tr key={row.row}>
                <td>{exactTime(row.time_ms)}</td>
                <td>
                  <bdi>{row.who}</bdi>
                </td>
                <td>{[row.what, row.about, row.detail].filter(Boolean).join(" ")}</td>
                <td>{row.address}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <div class="desk-buttons">
        {before.length > 0 && (
          <button class="button small" type="button" onClick={() => setBefore(before.slice(0, -1))}>
            {d("admin.back")}
          </button>
        )}
        {last && value.rows.length >= 50 && (
          <button class="button small" type="button" onClick={() => setBefore([...before, last.row])}>
            {d("admin.more")}
          </button>
        )}
      </div>
    </Section>
  );
}
