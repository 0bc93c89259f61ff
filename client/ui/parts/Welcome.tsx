// The first screen: one card to log in or to create an account. Takes over what was typed into the static
// form of index.html before this script had come.
import type { ComponentChildren, JSX, RefObject } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { t } from "../i18n";
import { readSetting, writeSetting } from "../state/settings";
import { arrival } from "../state/arrival";
import { enter, type Refusal, resetPassword } from "../state/session";
import { Icon, Logo } from "./icons";
import { LanguageChoice, ThemeChoice } from "./choices";

const NAME_MAX = 32;
const PASSWORD_MIN = 8; // for new ones; the tracker has the last word

type Way = "login" | "register";
/** What Enter does: the address of the form that was asked for. */
const ways: [Way, Way] = /^\/(register|admin|join)\b/.test(location.pathname) ? ["register", "login"] : ["login", "register"];

export interface Typed {
  username: string;
  password: string;
}

type Name = keyof Typed | "code" | "invite";
type Fault = { field: Name | "form"; text: string };

function words(refusal: Refusal): Fault {
  switch (refusal.reason) {
    case "name":
      return { field: "username", text: t("login.error.name") };
    case "password":
      return { field: "password", text: t("login.error.password", { detail: refusal.detail ?? "" }) };
    case "wrong":
      return { field: "password", text: t("login.error.wrong") };
    case "taken":
      return { field: "username", text: t("login.error.taken") };
    case "code":
      return { field: "code", text: refusal.detail ?? "" };
    case "invite":
      return { field: "invite", text: refusal.detail ?? "" };
    case "slow-down":
      return { field: "form", text: t("login.error.slow", { n: refusal.wait ?? 60 }) };
    case "server":
      return { field: "form", text: t("login.error.server", { detail: refusal.detail ?? "" }) };
    case "unreachable":
      return { field: "form", text: t("login.error.unreachable", { host: location.host }) };
  }
}

function check({ username, password }: Typed, way: Way): Fault | null {
  if (!username.trim()) return { field: "username", text: t("login.error.no-name") };
  if ([...username.trim()].length > NAME_MAX || /[\s<>&"'`]/.test(username.trim())) {
    return { field: "username", text: t("login.error.name") };
  }
  if (!password) return { field: "password", text: t("login.error.no-password") };
  const short = way === "register" && [...password].length < PASSWORD_MIN;
  return short ? { field: "password", text: t("login.error.short", { n: PASSWORD_MIN }) } : null;
}

/** The static form was sent before this script had come, and the tracker refused it. */
function faultOfStaticForm(): Fault | null {
  const [navigation] = performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
  const refused = location.pathname.startsWith("/login") && navigation?.responseStatus === 401;
  return refused ? words({ reason: "wrong" }) : null;
}

export function Welcome({ typed }: { typed: Typed }): JSX.Element {
  const [resetting, setResetting] = useState(arrival.reset !== null);
  if (resetting && arrival.reset) return <NewPassword ticket={arrival.reset} onDone={() => setResetting(false)} />;
  return <Entrance typed={typed} />;
}

function Card({ children }: { children: ComponentChildren }): JSX.Element {
  return (
    <main class="welcome">
      <div class="card">
        <header class="welcome-head">
          <Logo />
          <h1>weaprous</h1>
          <p>{t(arrival.join ? "login.invited" : arrival.admin ? "login.first-admin" : "login.tagline")}</p>
        </header>
        {children}
      </div>
      <footer class="welcome-foot">
        <LanguageChoice />
        <ThemeChoice />
      </footer>
    </main>
  );
}

/** By the link of an administrator. */
function NewPassword({ ticket, onDone }: { ticket: string; onDone: () => void }): JSX.Element {
  const [value, setValue] = useState("");
  const [fault, setFault] = useState<Fault | null>(null);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  const submit = async (): Promise<void> => {
    if ([...value].length < PASSWORD_MIN) return setFault({ field: "password", text: t("login.error.short", { n: PASSWORD_MIN }) });
    const refusal = await resetPassword(ticket, value);
    if (!refusal) {
      history.replaceState(null, "", "/login");
      onDone();
    } else setFault({ ...words(refusal), field: "password" });
  };
  return (
    <Card>
      <form
        class="fields"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <p>{t("login.reset")}</p>
        <Field name="password" field={field} value={value} fault={fault} fresh onValue={(_, text) => setValue(text)} />
        <button class="button primary" type="submit">
          {t("login.reset.set")}
        </button>
      </form>
    </Card>
  );
}

interface Fields extends Typed {
  code: string;
  invite: string;
}

/** What goes to the tracker: with a ticket of the first step only the code. */
function fieldsFor(way: Way, fields: Fields, ticket: string | null): Record<string, string> {
  if (ticket && way === "login") return { ticket, code: fields.code.trim() };
  const sent: Record<string, string> = { username: fields.username.trim(), password: fields.password };
  if (way === "register" && fields.invite) sent.invite = fields.invite.trim();
  if (way === "register" && arrival.admin) sent.ticket = arrival.admin;
  if (way === "login" && fields.code) sent.code = fields.code.trim();
  return sent;
}

function Entrance({ typed }: { typed: Typed }): JSX.Element {
  const [fields, setFields] = useState<Fields>({
    ...typed,
    username: typed.username || readSetting("name") || "",
    code: "",
    invite: arrival.invite ?? "",
  });
  const [fault, setFault] = useState<Fault | null>(faultOfStaticForm);
  const [busy, setBusy] = useState<Way | null>(null);
  /** The second step is asked for; the text goes with it in place of the password, when there is one. */
  const [second, setSecond] = useState<{ ticket: string | null } | null>(null);
  const [invited, setInvited] = useState(arrival.invite !== null);
  const username = useRef<HTMLInputElement>(null);
  const password = useRef<HTMLInputElement>(null);
  const code = useRef<HTMLInputElement>(null);
  const invite = useRef<HTMLInputElement>(null);
  const refs = { username, password, code, invite, form: password };

  useEffect(() => (fields.username ? password : username).current?.focus(), []);
  useEffect(() => {
    if (fault) refs[fault.field].current?.focus();
  }, [fault]);

  const submit = async (way: Way): Promise<void> => {
    const wrong = second ? null : check(fields, way);
    setFault(wrong);
    if (wrong || busy) return;
    setBusy(way);
    const refusal = await enter(way, fieldsFor(way, fields, second?.ticket ?? null));
    setBusy(null);
    if (refusal?.reason === "code") {
      const first = second === null;
      setSecond({ ticket: refusal.ticket ?? second?.ticket ?? null });
      setFields({ ...fields, code: "" });
      return setFault(first ? null : words(refusal));
    }
    if (second && refusal?.reason === "wrong") setSecond(null); // the first step is over: from the beginning
    if (refusal?.reason === "invite") setInvited(true);
    if (refusal) return setFault(words(refusal));
    if (way === "register") arrival.admin = null; // it went with the form
    writeSetting("name", fields.username.trim());
  };
  const set = (name: Name, value: string): void => {
    setFields({ ...fields, [name]: value });
    if (fault?.field === name) setFault(null);
  };

  const offered: Way[] = second ? ["login"] : ways;
  return (
    <Card>
      <form
        class="fields"
        noValidate
        aria-busy={busy !== null}
        onSubmit={(event) => {
          event.preventDefault();
          const way = (event.submitter as HTMLButtonElement | null)?.value ?? offered[0];
          void submit(way === "register" ? "register" : "login");
        }}
      >
        {second ? (
          <>
            <p>{t("login.second")}</p>
            <Field name="code" field={code} value={fields.code} fault={fault} onValue={set} />
          </>
        ) : (
          <>
            <Field name="username" field={username} value={fields.username} fault={fault} onValue={set} />
            <Field name="password" field={password} value={fields.password} fault={fault} onValue={set} />
            {invited && <Field name="invite" field={invite} value={fields.invite} fault={fault} onValue={set} />}
          </>
        )}
        {fault?.field === "form" && (
          <p class="fault" role="alert">
            <Icon name="failed" />
            {fault.text}
          </p>
        )}
        {offered.map((way, i) => (
          <button key={way} class={`button ${i === 0 ? "primary" : ""} ${busy === way ? "busy" : ""}`} type="submit" value={way}>
            {t(way === "login" ? "login.enter" : "login.create")}
          </button>
        ))}
      </form>
    </Card>
  );
}

interface FieldProps {
  name: Name;
  field: RefObject<HTMLInputElement | null>;
  value: string;
  fault: Fault | null;
  /** A password that is chosen now. */
  fresh?: boolean;
  onValue: (name: Name, value: string) => void;
}

const completes = { username: "username", password: "current-password", code: "one-time-code", invite: "off" } as const;

function Field({ name, field, value, fault, fresh, onValue }: FieldProps): JSX.Element {
  const [shown, setShown] = useState(false);
  const secret = name === "password";
  const wrong = fault?.field === name;
  // Preact's types want one kind of input at a time; the element stays the same, so the text does too.
  const kind = (secret && !shown ? { type: "password" } : { type: "text" }) as { type: "text" };
  return (
    <div class="field">
      <label for={name}>{t(`login.${name}`)}</label>
      <div class="field-box">
        <input
          ref={field}
          id={name}
          name={name}
          {...kind}
          autocomplete={fresh ? "new-password" : completes[name]}
          autocapitalize="none"
          spellcheck={false}
          value={value}
          aria-invalid={wrong}
          aria-describedby={wrong ? `${name}-fault` : undefined}
          onInput={(event) => onValue(name, event.currentTarget.value)}
        />
        {secret && (
          <button
            class="icon-button"
            type="button"
            aria-label={t(shown ? "login.hide" : "login.show")}
            data-tip={t(shown ? "login.hide" : "login.show")}
            onClick={() => setShown(!shown)}
          >
            <Icon name={shown ? "eyeOff" : "eye"} />
          </button>
        )}
      </div>
      {wrong && (
        <p class="fault" id={`${name}-fault`} role="alert">
          <Icon name="failed" />
          {fault.text}
        </p>
      )}
    </div>
  );
}
