// What the pages are made of: sections, rows, buttons that wait, sentences about what went wrong.
import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";
import { t } from "../i18n";
import { Dialog } from "../parts/Dialog";
import { Icon } from "../parts/icons";
import { type Doing, useDoing } from "./answers";
import { d } from "./words";

interface SectionProps {
  title: string;
  hint?: string;
  children: ComponentChildren;
  testid?: string;
}

export function Section({ title, hint, children, testid }: SectionProps): JSX.Element {
  return (
    <section class="desk-section" data-testid={testid}>
      <h2 class="desk-heading">{title}</h2>
      {hint && <p class="faint small-print">{hint}</p>}
      {children}
    </section>
  );
}

export function Fault({ text }: { text: string | null }): JSX.Element | null {
  return text === null ? null : (
    <p class="fault" role="alert">
      <Icon name="failed" />
      {text}
    </p>
  );
}

interface RowProps {
  sign: ComponentChildren;
  name: ComponentChildren;
  about?: ComponentChildren;
  children?: ComponentChildren;
  testid?: string;
}

/** One person, channel or device: sign, name over a line about it, what can be done. */
export function Row({ sign, name, about, children, testid }: RowProps): JSX.Element {
  return (
    <li class="desk-row" data-testid={testid}>
      {sign}
      <span class="grow">
        <span class="name clip">{name}</span>
        {about && <span class="faint desk-about">{about}</span>}
      </span>
      <span class="desk-actions">{children}</span>
    </li>
  );
}

interface ActionProps {
  doing: Doing;
  call: string;
  fields?: object;
  /** A question to answer first, for what cannot be taken back. */
  sure?: string;
  kind?: "primary" | "danger" | "";
  children: ComponentChildren;
}

export function Action({ doing, call, fields = {}, sure, kind = "", children }: ActionProps): JSX.Element {
  const [asking, setAsking] = useState(false);
  return (
    <>
      <button
        class={`button small ${kind}`}
        type="button"
        disabled={doing.busy}
        onClick={() => (sure ? setAsking(true) : void doing.run(call, fields))}
      >
        {children}
      </button>
      {asking && sure && (
        <Dialog title={d("sure.title")} place="center" onClose={() => setAsking(false)}>
          <p>{sure}</p>
          <div class="desk-buttons">
            <button class="button" type="button" onClick={() => setAsking(false)}>
              {d("cancel")}
            </button>
            <button
              class="button danger"
              type="button"
              onClick={() => {
                setAsking(false);
                void doing.run(call, fields);
              }}
            >
              {children}
            </button>
          </div>
        </Dialog>
      )}
    </>
  );
}

interface FieldProps {
  label: string;
  name: string;
  type?: "text" | "password" | "number";
  hint?: string;
  max?: number;
  required?: boolean;
  value?: string;
  autocomplete?: "off" | "current-password" | "new-password" | "one-time-code";
}

export function Field({ label, name, type = "text", hint, max, required, value, autocomplete = "off" }: FieldProps): JSX.Element {
  return (
    <label class="field">
      <span>{label}</span>
      <input
        name={name}
        type={type as "text"}
        maxLength={max}
        required={required}
        defaultValue={value}
        autoComplete={autocomplete}
        autoCapitalize="none"
        spellcheck={false}
      />
      {hint && <span class="faint small-print">{hint}</span>}
    </label>
  );
}

interface FormProps {
  /** The call that the fields go to; empty ones are left out. */
  call: string;
  fixed?: object;
  submit: string;
  danger?: boolean;
  children: ComponentChildren;
  onDone?: (answer: object) => void;
  /** Checks before; a sentence when something is not right. */
  problem?: (fields: Record<string, string>) => string | null;
  leaveOut?: string[];
  /** Said when it was done and the form stays. */
  done?: string;
  testid?: string;
}

export function CallForm({ call, fixed = {}, submit, danger, children, onDone, problem, leaveOut = [], done, testid }: FormProps): JSX.Element {
  const doing = useDoing(onDone);
  const [finished, setFinished] = useState(false);
  const [wrong, setWrong] = useState<string | null>(null);
  const onSubmit = async (event: SubmitEvent & { currentTarget: HTMLFormElement }): Promise<void> => {
    event.preventDefault();
    const form = event.currentTarget;
    const fields: Record<string, string> = {};
    for (const [name, value] of new FormData(form)) if (typeof value === "string" && value !== "") fields[name] = value;
    const found = problem?.(fields) ?? null;
    setWrong(found);
    if (found !== null) return;
    for (const name of leaveOut) delete fields[name];
    const good = await doing.run(call, { ...fields, ...fixed });
    setFinished(good);
    if (good) form.reset();
  };
  return (
    <form class="fields" data-testid={testid} onSubmit={(event) => void onSubmit(event)}>
      {children}
      <Fault text={wrong ?? doing.fault} />
      {finished && done && (
        <p class="faint" role="status">
          {done}
        </p>
      )}
      <button class={`button ${danger ? "danger" : "primary"}`} type="submit" disabled={doing.busy}>
        {submit}
      </button>
    </form>
  );
}

/** While an answer is awaited, when there is none, when the list is empty. */
export function Waiting({ fault, again }: { fault: string | null; again: () => void }): JSX.Element {
  return fault === null ? (
    <p class="faint" role="status">
      {d("asking")}
    </p>
  ) : (
    <>
      <Fault text={fault} />
      <button class="button small" type="button" onClick={again}>
        {t("retry.now")}
      </button>
    </>
  );
}
