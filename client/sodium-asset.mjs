// libsodium as the page serves it: only what the core's crypto table (client/node/sodium.ts) calls, with its wasm as
// a file of its own. The npm package carries all of libsodium, its wasm as text inside the module: 100 KB in brotli
// instead of 60. What stays is derived from the names that sodium.ts calls; whatever is not as expected in the
// package ends the build in words.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { withOnlyExports } from "./sections.mjs";

const TABLE = join(dirname(fileURLToPath(import.meta.url)), "node/sodium.ts");
const WRAPPERS = /libsodium-wrappers[\\/]dist[\\/]modules-esm[\\/]libsodium-wrappers\.mjs$/;
const MODULE = /libsodium[\\/]dist[\\/]modules-esm[\\/]libsodium\.mjs$/;

/** The groups of the one place that fits. */
function onlyMatch(pattern, text, what) {
  const found = [...text.matchAll(pattern)];
  if (found.length !== 1) throw new Error(`libsodium's package is not as expected (${what}): look at client/sodium-asset.mjs again`);
  return found[0];
}

const namesIn = (text, pattern) => new Set([...text.matchAll(pattern)].map(([, name]) => name));

// The wrappers are fastened to the exported object from lists: names, their functions in the same order, then names
// of constants and of texts. With shorter lists the bundler leaves out every function that nothing else names.
const FUNCTION_LISTS = /\bfor\(var ([\w$]+)=(\["crypto_[\w",]+\]),([\w$]+)=\[([\w$,]+)\],/g;
const CONSTANT_LIST = /\bvar ([\w$]+)=(\["SODIUM_LIBRARY_VERSION_MAJOR"[\w",]+\]);/g;
const TEXT_LIST = /\bvar ([\w$]+)=(\["SODIUM_VERSION_STRING"[\w",]+\]);/g;

/** The wrappers' module with only the functions named, and those that it calls itself when it tests itself. */
export function wrappersWithOnly(source, called) {
  const [functions, namesVariable, namesText, codeVariable, codeText] = onlyMatch(FUNCTION_LISTS, source, "functions");
  const [constants, constantsVariable, constantsText] = onlyMatch(CONSTANT_LIST, source, "constants");
  const [texts, textsVariable] = onlyMatch(TEXT_LIST, source, "texts");
  const [, exported] = onlyMatch(/\bexport default (\w+);/g, source, "export");
  const own = namesIn(source, new RegExp(`\\b${exported}\\.(\\w+)`, "g"));
  const all = JSON.parse(namesText);
  const code = codeText.split(",");
  if (all.length !== code.length) throw new Error("libsodium-wrappers names more functions than it has, or fewer");
  const names = all.filter((name) => called.has(name) || own.has(name));
  const missing = [...called].filter((name) => !names.includes(name));
  if (missing.length > 0) throw new Error(`libsodium-wrappers does not have ${missing.join(", ")}`);
  const keptConstants = JSON.parse(constantsText).filter((name) => own.has(name));
  const keptCode = names.map((name) => code[all.indexOf(name)]);
  return {
    names: [...names, ...keptConstants.map((name) => name.toLowerCase())], // as the module beneath calls them
    source: source
      .replace(functions, () => `for(var ${namesVariable}=${JSON.stringify(names)},${codeVariable}=[${keptCode}],`)
      .replace(constants, () => `var ${constantsVariable}=${JSON.stringify(keptConstants)};`)
      .replace(texts, () => `var ${textsVariable}=[];`),
  };
}

/** Names of all functions of libsodium that the wrappers call: "crypto_sign_detached", "malloc" and the like. */
async function neededBy(esbuild, wrappers) {
  const { outputFiles } = await esbuild.build({
    stdin: { contents: wrappers.source, loader: "js" },
    bundle: true,
    write: false,
    minify: true,
    format: "esm",
    external: ["libsodium"],
    logLevel: "warning",
  });
  return new Set([...wrappers.names, ...namesIn(outputFiles[0].text, /\._([a-z]\w+)/g)]);
}

const WASM_TEXT = /\(\w=>\{for\(.{0,500}?\}\)\("(AGFzbQ[A-Za-z0-9+/=]+)"\)/g;
const ASSIGNMENTS = /\b\w+\._(\w+)=\w+\.([\w$]+),/g; // of a function to its long name, from its short one in the wasm
const MEMORY = /,\w+=\w+\.([\w$]+),\w+\.__indirect_function_table\}/g;

/** libsodium's module with the needed functions only; `expressionOf` gives the text of an expression for the wasm. */
export function moduleWithOnly(source, needed, expressionOf) {
  const [text, base64] = onlyMatch(WASM_TEXT, source, "wasm");
  const exports = new Set([onlyMatch(MEMORY, source, "memory")[1]]);
  const missing = new Set(needed);
  const shorter = source.replace(text, () => "@wasm@").replace(ASSIGNMENTS, (assignment, name, short) => {
    if (!needed.has(name)) return "";
    missing.delete(name);
    exports.add(short);
    return assignment;
  });
  if (missing.size > 0) throw new Error(`libsodium does not have ${[...missing].join(", ")}`);
  const wasm = withOnlyExports(Buffer.from(base64, "base64"), exports);
  return shorter.replace("@wasm@", () => expressionOf(wasm));
}

/** A plugin of esbuild. `expressionOf` is told the wasm and answers the text of an expression that gives it. */
export function sodiumPlugin(esbuild, expressionOf) {
  return {
    name: "sodium-asset",
    setup(build) {
      let needed;
      build.onLoad({ filter: WRAPPERS }, async ({ path }) => {
        const called = namesIn(readFileSync(TABLE, "utf8"), /\bsodium\.(crypto_\w+)/g);
        const wrappers = wrappersWithOnly(readFileSync(path, "utf8"), called);
        needed = await neededBy(esbuild, wrappers);
        return { contents: wrappers.source, loader: "js" };
      });
      build.onLoad({ filter: MODULE }, ({ path }) => {
        if (!needed) throw new Error("libsodium is imported past libsodium-wrappers");
        return { contents: moduleWithOnly(readFileSync(path, "utf8"), needed, expressionOf), loader: "js" };
      });
    },
  };
}
