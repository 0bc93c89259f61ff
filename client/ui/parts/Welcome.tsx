// The first screen: one card to log in or to create an account. Takes over what was typed into the static
// form of index.html before this script had come.
import type { JSX, RefObject } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { t } from "../i18n";
import { readSetting, writeSetting } from "../state/settings";
import { enter, type Refusal } from "../state/session";
import { Icon, Logo } from "./icons";
import { LanguageChoice, ThemeChoice } from "./choices";

const NAME_MAX = 32;
const PASSWORD_MIN = 8; // for new ones; the tracker has the last word

type Way = "login" | "register";
/** What Enter does: the address of the form that was asked for. */
const ways: [Way, Way] = location.pathname.startsWith("/register") ? ["register", "login"] : ["login", "register"];

export interface Typed {
  username: string;
  password: string;
}

type Fault = { field: "username" | "password" | "form"; text: string };

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
  const [fields, setFields] = useState<Typed>({ ...typed, username: typed.username || readSetting("name") || "" });
  const [fault, setFault] = useState<Fault | null>(faultOfStaticForm);
  const [busy, setBusy] = useState<Way | null>(null);
  const username = useRef<HTMLInputElement>(null);
  const password = useRef<HTMLInputElement>(null);

  useEffect(() => (fields.username ? password : username).current?.focus(), []);
  useEffect(() => {
    if (fault) (fault.field === "username" ? username : password).current?.focus();
  }, [fault]);

  const submit = async (way: Way): Promise<void> => {
    const wrong = check(fields, way);
    setFault(wrong);
    if (wrong || busy) return;
    setBusy(way);
    const refusal = await enter(way, fields.username.trim(), fields.password);
    setBusy(null);
    if (refusal) setFault(words(refusal));
    else writeSetting("name", fields.username.trim());
  };
  const set = (name: keyof Typed, value: string): void => {
    setFields({ ...fields, [name]: value });
    if (fault?.field === name) setFault(null);
  };

  return (
    <main class="welcome">
      <div class="card">
        <header class="welcome-head">
          <Logo />
          <h1>weaprous</h1>
          <p>{t("login.tagline")}</p>
        </header>
        <form
          class="fields"
          noValidate
          aria-busy={busy !== null}
          onSubmit={(event) => {
            event.preventDefault();
            const way = (event.submitter as HTMLButtonElement | null)?.value ?? ways[0];
            void submit(way === "register" ? "register" : "login");
          }}
        >
          <Field name="username" field={username} value={fields.username} fault={fault} onValue={set} />
          <Field name="password" field={password} value={fields.password} fault={fault} onValue={set} />
          {fault?.field === "form" && (
            <p class="fault" role="alert">
              <Icon name="failed" />
              {fault.text}
            </p>
          )}
          {ways.map((way, i) => (
            <button key={way} class={`button ${i === 0 ? "primary" : ""} ${busy === way ? "busy" : ""}`} type="submit" value={way}>
              {t(way === "login" ? "login.enter" : "login.create")}
            </button>
          ))}
        </form>
      </div>
      <footer class="welcome-foot">
        <LanguageChoice />
        <ThemeChoice />
      </footer>
    </main>
  );
}

interface FieldProps {
  name: keyof Typed;
  field: RefObject<HTMLInputElement | null>;
  value: string;
  fault: Fault | null;
  onValue: (name: keyof Typed, value: string) => void;
}

function Field({ name, field, value, fault, onValue }: FieldProps): JSX.Element {
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
          autocomplete={secret ? "current-password" : "username"}
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
