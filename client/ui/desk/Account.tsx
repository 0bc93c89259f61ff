// My account: where it is logged in, its devices, password, second step, the end of it.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { agentLabel } from "../../node/agent";
import { ago, exactTime, shortCode } from "../format";
import { CopyButton } from "../parts/CopyButton";
import { Dialog } from "../parts/Dialog";
import { Icon } from "../parts/icons";
import { device as ownDevice } from "../state/chat";
import { useAnswer, useDoing } from "./answers";
import { Action, CallForm, Fault, Field, Row, Section, Waiting } from "./pieces";
import { d } from "./words";

interface Info {
  username: string;
  role: "admin" | "person";
  created_ms: number;
  totp: boolean;
  recovery_codes: number;
}

export interface SessionRow {
  session: string;
  current: boolean;
  created_ms: number;
  seen_ms: number;
  expires_ms: number;
  address: string;
  agent: string;
  device: string | null;
}

export interface DeviceRow {
  device: string;
  current: boolean;
  issued_ms: number;
  seen_ms: number;
  expires_ms: number;
  address: string;
  name: string;
  label: string;
}

export interface Places {
  sessions: SessionRow[];
  devices: DeviceRow[];
}

export function AccountPage(): JSX.Element {
  const info = useAnswer<Info>("account");
  return (
    <>
      {info.value === null ? (
        <Waiting fault={info.fault} again={info.again} />
      ) : (
        <p class="faint">{d("account.since", { date: exactTime(info.value.created_ms) })}</p>
      )}
      <PlacesSection />
      <Section title={d("privacy.title")} testid="privacy">
        <Choice call="invisible" field="on" name={d("privacy.invisible")} hint={d("privacy.invisible.hint")} />
        <Choice call="keep-conversations" field="keep" name={d("privacy.keep")} hint={d("privacy.keep.hint")} />
      </Section>
      <Section title={d("account.password")} hint={d("account.password.hint")}>
        <CallForm
          call="password-change"
          submit={d("account.password.change")}
          done={d("account.password.done")}
          problem={(fields) => (fields.new_password === fields.again ? null : d("account.password.differ"))}
          leaveOut={["again"]}
          testid="password-change"
        >
          <Field name="password" type="password" label={d("account.password.old")} autocomplete="current-password" required />
          <Field name="new_password" type="password" label={d("account.password.new")} autocomplete="new-password" required />
          <Field name="again" type="password" label={d("account.password.again")} autocomplete="new-password" required />
        </CallForm>
      </Section>
      {info.value && <SecondStep info={info.value} again={info.again} />}
      <Section title={d("account.delete")} hint={d("account.delete.hint")}>
        <DeleteAccount totp={info.value?.totp ?? false} />
      </Section>
    </>
  );
}

/** One choice that the server keeps: without the field its call answers how it is. */
function Choice({ call: type, field, name, hint }: { call: string; field: string; name: string; hint: string }): JSX.Element {
  const { value, fault, again } = useAnswer<Record<string, unknown>>(type);
  const doing = useDoing(again);
  return (
    <>
      <label class="setting">
        <span>
          {name}
          <span class="faint small-print">{hint}</span>
        </span>
        <input
          class="switch"
          type="checkbox"
          role="switch"
          checked={value?.[field] === true}
          disabled={value === null || doing.busy}
          onChange={(event) => void doing.run(type, { [field]: event.currentTarget.checked })}
        />
      </label>
      <Fault text={doing.fault ?? fault} />
    </>
  );
}

function PlacesSection(): JSX.Element {
  const places = useAnswer<Places>("account-sessions");
  const doing = useDoing(places.again);
  const [naming, setNaming] = useState<DeviceRow | null>(null);
  if (places.value === null) return <Waiting fault={places.fault} again={places.again} />;
  const { sessions, devices } = places.value;
  return (
    <>
      <Section title={d("account.devices", { n: devices.length })} hint={d("account.devices.hint")} testid="devices">
        <Fault text={doing.fault} />
        <ul class="plain-list">
          {devices.map((row) => (
            <Row
              key={row.device}
              sign={<Icon name="own" />}
              name={<bdi>{row.name || row.label || shortCode(row.device)}</bdi>}
              about={
                <>
                  {row.device === ownDevice.value ? d("account.this-device") : d("account.seen", { ago: ago(row.seen_ms || row.issued_ms) })}
                  {row.address && ` · ${row.address}`} · <code>{shortCode(row.device)}</code>
                </>
              }
            >
              <button class="button small" type="button" onClick={() => setNaming(row)}>
                {d("account.rename")}
              </button>
              {row.device !== ownDevice.value && (
                <Action doing={doing} call="device-end" fields={{ device: row.device }} sure={d("account.device-end.sure")}>
                  {d("account.device-end")}
                </Action>
              )}
            </Row>
          ))}
        </ul>
      </Section>
      <Section title={d("account.sessions", { n: sessions.length })}>
        <ul class="plain-list">
          {sessions.map((row) => (
            <Row
              key={row.session}
              sign={<Icon name="eye" />}
              name={agentLabel(row.agent) || d("account.agent-unknown")}
              about={`${row.current ? d("account.this-session") : d("account.seen", { ago: ago(row.seen_ms || row.created_ms) })}${row.address ? ` · ${row.address}` : ""}`}
            >
              {!row.current && (
                <Action doing={doing} call="session-end" fields={{ session: row.session }}>
                  {d("account.session-end")}
                </Action>
              )}
            </Row>
          ))}
        </ul>
        {sessions.length > 1 && (
          <Action doing={doing} call="sessions-end" sure={d("account.sessions-end.sure")} kind="danger">
            {d("account.sessions-end")}
          </Action>
        )}
      </Section>
      {naming && (
        <Dialog title={d("account.rename")} place="center" onClose={() => setNaming(null)}>
          <CallForm
            call="device-rename"
            fixed={{ device: naming.device }}
            submit={d("account.rename")}
            onDone={() => {
              setNaming(null);
              places.again();
            }}
          >
            <Field name="name" label={d("account.device-name")} max={64} value={naming.name || naming.label} required />
          </CallForm>
        </Dialog>
      )}
    </>
  );
}

/** A code of an app as the second step of logging in (RFC 6238). */
function SecondStep({ info, again }: { info: Info; again: () => void }): JSX.Element {
  const [begun, setBegun] = useState<{ secret: string; uri: string } | null>(null);
  const [codes, setCodes] = useState<string[] | null>(null);
  const [ending, setEnding] = useState(false);
  const takeCodes = (answer: object): void => {
    setCodes((answer as { recovery_codes: string[] }).recovery_codes);
    setBegun(null);
    again();
  };
  return (
    <Section title={d("totp.title")} hint={d("totp.hint")} testid="totp">
      {codes && (
        <div class="notice">
          <p>{d("totp.codes")}</p>
          <pre class="codes">{codes.join("\n")}</pre>
          <CopyButton text={codes.join("\n")} label={d("totp.copy")} />
        </div>
      )}
      {info.totp ? (
        <>
          <p>{d("totp.on", { n: info.recovery_codes })}</p>
          <button class="button small" type="button" onClick={() => setEnding(true)}>
            {d("totp.end")}
          </button>
        </>
      ) : begun ? (
        <>
          <p>{d("totp.enter")}</p>
          <p>
            <code class="secret">{begun.secret.match(/.{1,4}/g)?.join(" ")}</code> <a href={begun.uri}>{d("totp.open")}</a>
          </p>
          <CallForm call="totp-confirm" submit={d("totp.confirm")} onDone={takeCodes}>
            <Field name="code" label={d("totp.code")} max={6} autocomplete="one-time-code" required />
          </CallForm>
        </>
      ) : (
        <CallForm call="totp-begin" submit={d("totp.begin")} onDone={(answer) => setBegun(answer as { secret: string; uri: string })}>
          <Field name="password" type="password" label={d("account.password.old")} autocomplete="current-password" required />
        </CallForm>
      )}
      {ending && (
        <Dialog title={d("totp.end")} place="center" onClose={() => setEnding(false)}>
          <CallForm
            call="totp-end"
            submit={d("totp.end")}
            danger
            onDone={() => {
              setEnding(false);
              again();
            }}
          >
            <Field name="password" type="password" label={d("account.password.old")} autocomplete="current-password" required />
            <Field name="code" label={d("totp.code-or-recovery")} max={40} autocomplete="one-time-code" required />
          </CallForm>
        </Dialog>
      )}
    </Section>
  );
}

function DeleteAccount({ totp }: { totp: boolean }): JSX.Element {
  const [open, setOpen] = useState(false);
  return (
    <>
      <button class="button small danger" type="button" onClick={() => setOpen(true)}>
        {d("account.delete")}
      </button>
      {open && (
        <Dialog title={d("account.delete")} place="center" onClose={() => setOpen(false)}>
          <p>{d("account.delete.sure")}</p>
          <CallForm call="account-delete" submit={d("account.delete")} danger onDone={() => location.replace("/")}>
            <Field name="password" type="password" label={d("account.password.old")} autocomplete="current-password" required />
            {totp && <Field name="code" label={d("totp.code-or-recovery")} max={40} autocomplete="one-time-code" required />}
          </CallForm>
        </Dialog>
      )}
    </>
  );
}
