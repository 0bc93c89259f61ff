// Fresh wasm instances with the shell's modules around them.
import { loadModules, loadSodium, wasmModule } from "./load.mjs";

let loaded;

export async function instantiateWorld() {
  loaded ??= Promise.all([loadModules("core", "shell", "cbor", "bytes"), loadSodium()]);
  const [modules, sodium] = await loaded;
  return { tools: modules.instantiateCore(wasmModule(), sodium), shellOf: modules.createShell, modules };
}
