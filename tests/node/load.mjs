// Loads the browser shell into Node: TypeScript bundled by esbuild in memory, the wasm core as it is built, the
// libsodium as the page serves it.
import { webcrypto } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import * as esbuild from "esbuild";
import { sodiumPlugin } from "../../client/sodium-asset.mjs";

export const root = fileURLToPath(new URL("../..", import.meta.url));

/** The newest wasm core that was built, or the one that WEAPROUS_WASM names. */
export function wasmFile() {
  const places = ["build/release/wasm", "build/wasm"].map((folder) => join(root, folder, "weaprous-core.wasm"));
  const found = process.env.WEAPROUS_WASM ? [process.env.WEAPROUS_WASM] : places.filter(existsSync);
  found.sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  if (!found[0]) throw new Error("the wasm core is not built: cmake --preset wasm && ninja -C build/wasm");
  return found[0];
}

export const wasmBytes = () => readFileSync(wasmFile());

let module;
export function wasmModule() {
  module ??= new WebAssembly.Module(wasmBytes());
  return module;
}

globalThis.crypto ??= webcrypto; // Node 18 has it under another name only; browsers have it everywhere

/** A bundle as a module of this process. */
async function imported(name, { outputFiles: [{ contents }] }) {
  const folder = join(root, "build/test/node");
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${name}-${process.pid}.mjs`);
  writeFileSync(file, contents);
  return import(pathToFileURL(file).href);
}

/** libsodium as it is shipped: with nothing but what the crypto table needs. `wasm` is called with its bytes. */
export async function loadSodium(wasm = () => {}) {
  const expressionOf = (bytes) => (wasm(bytes), `Uint8Array.from(atob("${bytes.toString("base64")}"), (c) => c.charCodeAt(0))`);
  const { default: sodium } = await imported("libsodium", await esbuild.build({
    stdin: { contents: 'export { default } from "libsodium-wrappers";', resolveDir: root },
    bundle: true,
    write: false,
    format: "esm",
    platform: "neutral",
    target: "node18",
    mainFields: ["module"],
    plugins: [sodiumPlugin(esbuild, expressionOf)],
  }));
  await sodium.ready;
  return sodium;
}

/** All exports of the named modules of client/node, as one object. */
export async function loadModules(...names) {
  return imported(names.join("-"), await esbuild.build({
    stdin: { contents: names.map((name) => `export * from "./${name}";`).join("\n"), resolveDir: join(root, "client/node") },
    bundle: true,
    write: false,
    format: "esm",
    platform: "neutral",
    target: "node18",
    external: ["libsodium-wrappers"],
  }));
}
