// Who is logged in, as the tracker says: GET /session, POST /login, /register, /logout.
import { signal } from "@preact/signals";

export type Session = { state: "asking" } | { state: "out" } | { state: "in"; account?: string } | { state: "unreachable" };

export const session = signal<Session>({ state: "asking" });

const REQUEST_PATIENCE_MS = 15_000;

/** Why logging in failed; the page has the words. */
export interface Refusal {
  reason: "name" | "password" | "wrong" | "taken" | "slow-down" | "server" | "unreachable";
  /** What the server said, for reasons that depend on its rules. */
  detail?: string;
  /** Seconds to wait, for slow-down. */
  wait?: number;
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

async function bodyOf(response: Response): Promise<{ message?: unknown; username?: unknown }> {
  try {
    return ((await response.json()) ?? {}) as object;
  } catch {
    return {}; // no JSON: the status says enough
  }
}

function inside({ username }: { username?: unknown }): Session {
  return typeof username === "string" ? { state: "in", account: username } : { state: "in" };
}

function refusalOf(response: Response, detail: string): Refusal {
  switch (response.status) {
    case 401:
    case 403:
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

/** Logs in or registers. null: done, `session` is "in". */
export async function enter(way: "login" | "register", username: string, password: string): Promise<Refusal | null> {
  try {
    const response = await request(`/${way}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ username, password }),
    });
    const body = await bodyOf(response);
    if (!response.ok) return refusalOf(response, typeof body.message === "string" ? body.message : "");
    session.value = inside(body);
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
