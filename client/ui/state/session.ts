// Who is logged in, as the tracker says: GET /session, POST /login, /register, /logout.
import { signal } from "@preact/signals";

export type Session = { state: "asking" } | { state: "out" } | { state: "in"; account?: string; admin?: boolean } | { state: "unreachable" };

export const session = signal<Session>({ state: "asking" });

const REQUEST_PATIENCE_MS = 15_000;

/** Why logging in failed; the page has the words. */
export interface Refusal {
  reason: "name" | "password" | "wrong" | "taken" | "code" | "invite" | "slow-down" | "server" | "unreachable";
  /** What the server said, for reasons that depend on its rules. */
  detail?: string;
  /** Seconds to wait, for slow-down. */
  wait?: number;
  /** For code: goes with it, in place of name and password. */
  ticket?: string;
}

function request(path: string, init: RequestInit): Promise<Response> {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), REQUEST_PATIENCE_MS);
  const headers = { Accept: "application/json", ...init.headers };
  return fetch(path, { ...init, headers, credentials: "same-origin", cache: "no-store", signal: abort.signal }).finally(
    () => clearTimeout(timer),
  );
}

/** The tracker sets this cookie beside the session's; without it there is nobody to ask about. */
const hinted = (): boolean => /(?:^|; )auth=true/.test(document.cookie);

/** Asks the tracker who we are; sets `session`. */
export async function askSession(): Promise<void> {
  if (!hinted()) {
    session.value = { state: "out" };
    return;
  }
  try {
    const response = await request("/session", {});
    if (response.ok) session.value = inside(await bodyOf(response));
    else session.value = { state: response.status < 500 ? "out" : "unreachable" };
  } catch {
    session.value = { state: "unreachable" };
  }
}

type Body = { [name in "message" | "username" | "role" | "needs" | "ticket" | "redirect"]?: unknown };

async function bodyOf(response: Response): Promise<Body> {
  try {
    return ((await response.json()) ?? {}) as object;
  } catch {
    return {}; // no JSON: the status says enough
  }
}

function inside({ username, role }: { username?: unknown; role?: unknown }): Session {
  return { state: "in", ...(typeof username === "string" && { account: username }), admin: role === "admin" };
}

function refusalOf(response: Response, { message, needs, ticket }: Body): Refusal {
  const detail = typeof message === "string" ? message : "";
  if (needs === "totp") return { reason: "code", detail, ...(typeof ticket === "string" && { ticket }) };
  if (needs === "invite") return { reason: "invite", detail };
  switch (response.status) {
    case 401:
      return { reason: "wrong" };
    case 409:
      return { reason: "taken" };
    case 429:
      return { reason: "slow-down", wait: Number(response.headers.get("Retry-After")) || 60 };
    case 400:
    case 413:
    case 422:
      return { reason: /password/i.test(detail) ? "password" : "name", detail };
    default:
      return { reason: "server", detail: detail || String(response.status) };
  }
}

/** A native peer of the pool, which the tracker has claimed for this login: its own page goes on from there. */
const leadsAway = (redirect: unknown): redirect is string => typeof redirect === "string" && /^https?:\/\//.test(redirect);

/** Logs in or registers; fields as the tracker takes them. null: done, `session` is "in". */
export function enter(way: "login" | "register", fields: Record<string, string>): Promise<Refusal | null> {
  return post(`/${way}`, fields, (body) => {
    if (leadsAway(body.redirect)) location.assign(body.redirect);
    else session.value = inside(body);
  });
}

/** A new password by a link. null: done. */
export const resetPassword = (ticket: string, password: string): Promise<Refusal | null> => post("/reset", { ticket, password }, () => undefined);

async function post(path: string, fields: Record<string, string>, done: (body: Body) => void): Promise<Refusal | null> {
  try {
    const response = await request(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(fields),
    });
    const body = await bodyOf(response);
    if (!response.ok) return refusalOf(response, body);
    done(body);
    return null;
  } catch {
    return { reason: "unreachable" };
  }
}

/** Ends the session at the tracker; offline the cookie stays, so false says that it could not be done. */
export async function leave(): Promise<boolean> {
  try {
    const response = await request("/logout", { method: "POST" });
    return response.ok || response.redirected || response.status === 401;
  } catch {
    return false;
  }
}
