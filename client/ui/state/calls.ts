// What is asked of the tracker and not of the peers: accounts, friends, channels, administration. The same calls as over the
// tracker's socket (docs/api.md), by POST /call/<type>.

const PATIENCE_MS = 20_000;

/** Why a call was refused; `message` is the tracker's sentence for the person, empty when it could not be reached. */
export class CallError extends Error {
  constructor(
    readonly code: number,
    message: string,
  ) {
    super(message);
  }
}

export async function call<T = object>(type: string, fields: object = {}): Promise<T> {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), PATIENCE_MS);
  try {
    const response = await fetch(`/call/${type}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify(fields),
      credentials: "same-origin",
      cache: "no-store",
      signal: abort.signal,
    });
    const answer = (await response.json().catch(() => ({}))) as { message?: unknown };
    if (!response.ok) throw new CallError(response.status, typeof answer.message === "string" ? answer.message : "");
    return answer as T;
  } catch (error) {
    throw error instanceof CallError ? error : new CallError(0, "");
  } finally {
    clearTimeout(timer);
  }
}
