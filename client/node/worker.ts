// /worker.js: a SharedWorker where there is one, else the dedicated worker of one tab. The constant address makes
// it the same worker for every tab, whatever version the page is of.
import { agentLabel } from "./agent";
import sodium from "libsodium-wrappers";
import { systemClock } from "./clock";
import { instantiateCore, type CoreTools } from "./core";
import { createHost, type PortLike } from "./host";
import type { Socket } from "./tracker";

declare const __WASM_URL__: string;
declare const __VERSION__: string;

const SESSION_WITHIN_MS = 5000;

/** What is used of both kinds of worker scope; TypeScript cannot load their library beside the DOM's. */
interface WorkerScope {
  onconnect?: ((event: MessageEvent) => void) | null;
  onmessage: ((event: MessageEvent) => unknown) | null;
  postMessage?(message: unknown, transfer: Transferable[]): void;
  addEventListener(type: string, listener: (event: Event) => void): void;
  location: { origin: string };
  close(): void;
}
const scope = self as unknown as WorkerScope;
const shared = "onconnect" in scope;

async function compile(): Promise<WebAssembly.Module> {
  const response = await fetch(__WASM_URL__);
  if (!response.ok) throw new Error(`${__WASM_URL__} answered ${response.status}`);
  if (response.headers.get("content-type") === "application/wasm") return WebAssembly.compileStreaming(response);
  return WebAssembly.compile(await response.arrayBuffer());
}

let compiled: Promise<WebAssembly.Module> | undefined;

async function loadTools(): Promise<CoreTools> {
  compiled ??= compile();
  try {
    const [module] = await Promise.all([compiled, sodium.ready]);
    return instantiateCore(module, sodium);
  } catch (error) {
    compiled = undefined;
    throw error;
  }
}

/** The socket's path answers a plain request with 401 when there is no session, and with a pause when many come. */
async function session(): Promise<boolean | number | undefined> {
  try {
    const response = await fetch("/ws", { cache: "no-store", signal: AbortSignal.timeout(SESSION_WITHIN_MS) });
    if (response.status !== 503) return response.status !== 401;
    const { retry_ms: pause } = (await response.json()) as { retry_ms?: unknown };
    return typeof pause === "number" ? pause : undefined;
  } catch {
    return undefined;
  }
}

const host = createHost({
  version: __VERSION__,
  clock: systemClock(),
  singleton: shared,
  label: agentLabel(navigator.userAgent),
  loadTools,
  openSocket: () => new WebSocket(`${scope.location.origin.replace(/^http/, "ws")}/ws`) as Socket,
  session,
  network: () => navigator.onLine !== false,
  exit: () => scope.close(),
});

scope.addEventListener("online", () => host.networkChanged());
scope.addEventListener("offline", () => host.networkChanged());
if (shared) {
  scope.onconnect = (event) => {
    const [port] = event.ports;
    if (port) host.connect(port as unknown as PortLike);
  };
} else {
  host.connect(scope as unknown as PortLike);
}
