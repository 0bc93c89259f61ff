// Builds the page: bundles, compresses and writes what CMake links into the binary.
//
//   node client/build.mjs --out DIR --wasm FILE --version X [--depfile FILE]
//
// DIR/dist/ holds every file as it is served, DIR/page.S and DIR/page.c the same files as a table of assets
// (client/page.h). The same sources give the same bytes: names carry a hash of the content, nothing carries
// a date. Written for Node 18; needs node_modules, which the scripts install.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { withoutCustomSections } from "./sections.mjs";
import { sodiumPlugin } from "./sodium-asset.mjs";

const WEIGHT_GOAL = 200 * 1024; // of the whole page, brotli
const COMPRESS_GAIN = 0.95; // a compressed copy that saves less than 5 % is left out
const client = dirname(fileURLToPath(import.meta.url));
const root = dirname(client);
const ui = join(client, "ui");

function fail(sentence) {
  console.error(`page: ${sentence}`);
  process.exit(1);
}

function readArguments(list) {
  const known = { out: "", wasm: "", version: "", depfile: "" };
  for (let i = 0; i < list.length; i += 2) {
    const name = list[i].replace(/^--/, "");
    if (!(name in known) || list[i + 1] === undefined) fail(`unknown or incomplete argument ${list[i]}`);
    known[name] = list[i + 1];
  }
  for (const name of ["out", "wasm", "version"]) if (!known[name]) fail(`--${name} is missing`);
  if (!existsSync(known.wasm)) fail(`${known.wasm} is missing: build the wasm preset first`);
  return known;
}

async function loadEsbuild() {
  try {
    return await import("esbuild");
  } catch {
    return fail("esbuild is not installed: run `npm ci` in the project's folder, then build again");
  }
}

const hashName = (bytes) => createHash("sha256").update(bytes).digest("hex").slice(0, 10);
const cspHash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

/** libsodium's wasm as a file of its own: it compresses better than as text, and needs no decoding. */
function sodiumAsset(esbuild) {
  const found = { path: "", bytes: null };
  const plugin = sodiumPlugin(esbuild, (bytes) => {
    found.bytes = bytes;
    found.path = `/assets/sodium-${hashName(bytes)}.wasm`;
    return `new Uint8Array(await(await fetch(${JSON.stringify(found.path)})).arrayBuffer())`;
  });
  return { found, plugin };
}

/** One esbuild run; answers what was written and remembers what was read. */
function bundler(esbuild, define, inputs, plugins) {
  return async (entry, more = {}) => {
    const result = await esbuild.build({
      entryPoints: [entry],
      absWorkingDir: root,
      bundle: true,
      minify: true,
      write: false,
      metafile: true,
      format: "iife",
      platform: "browser",
      target: ["chrome111", "firefox115", "safari16.4"],
      jsx: "automatic",
      jsxImportSource: "preact",
      legalComments: "none",
      charset: "utf8",
      logLevel: "warning",
      define,
      plugins,
      ...more,
    });
    for (const file of Object.keys(result.metafile.inputs)) {
      if (existsSync(resolve(root, file))) inputs.add(resolve(root, file)); // not "(disabled):crypto" and the like
    }
    return result;
  };
}

const onlyFile = (result) => Buffer.from(result.outputFiles[0].contents);

/** The page's script in pieces: what everybody needs at once, and what is fetched when it is opened. */
async function bundlePage(bundle) {
  const { outputFiles, metafile } = await bundle(join(ui, "main.tsx"), {
    format: "esm",
    splitting: true,
    outdir: "assets",
    entryNames: "page-[hash]",
    chunkNames: "part-[hash]",
  });
  const outputs = Object.entries(metafile.outputs);
  const [entry] = outputs.find(([, output]) => output.entryPoint?.endsWith("main.tsx"));
  const first = new Set([entry]);
  for (const name of first) {
    for (const { path, kind } of metafile.outputs[name].imports) if (kind === "import-statement") first.add(path);
  }
  // One language is needed at once: the longest counts.
  const words = (name) => metafile.outputs[name].entryPoint?.includes("client/ui/locales/");
  const longest = outputs.filter(([name]) => words(name)).sort(([, a], [, b]) => b.bytes - a.bytes)[0]?.[0];
  const files = outputFiles.map(({ path, contents }) => {
    const name = path.slice(root.length + 1);
    return { path: `/${name}`, bytes: Buffer.from(contents), later: !first.has(name) && name !== longest };
  });
  return { entry: `/${entry}`, first: [...first].map((name) => `/${name}`), files };
}

/** index.html with the critical styles and the first script inside, and the policy that allows just these. */
function buildIndex(template, names, critical, boot) {
  const html = template
    .replace("/*critical*/", () => critical)
    .replace("/*boot*/", () => boot)
    .replace("{{preload}}", names.first.map((path) => `<link rel="modulepreload" href="${path}" />`).join("\n    "))
    .replaceAll("{{css}}", names.css)
    .replaceAll("{{js}}", names.js)
    .replaceAll("{{wasm}}", names.wasm);
  const policy = [
    "default-src 'self'",
    `script-src 'self' 'wasm-unsafe-eval' ${cspHash(boot)}`,
    `style-src 'self' ${cspHash(critical)}`,
    "connect-src 'self' ws: wss:",
    "img-src 'self' data: blob:",
    "worker-src 'self'",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join("; ");
  return { html: Buffer.from(html), policy };
}

function compress(bytes) {
  const br = brotliCompressSync(bytes, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
  });
  const gzip = gzipSync(bytes, { level: 9 });
  const worth = (packed) => (packed.length < bytes.length * COMPRESS_GAIN ? packed : null);
  return { br: worth(br), gzip: worth(gzip) };
}

function writeFiles(folder, assets) {
  rmSync(folder, { recursive: true, force: true });
  for (const asset of assets) {
    const file = join(folder, asset.path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, asset.bytes);
    if (asset.br) writeFileSync(`${file}.br`, asset.br);
    if (asset.gzip) writeFileSync(`${file}.gz`, asset.gzip);
  }
}

/** The bytes as an assembler file: quick to build, and no compiler reads them as numbers. */
function assemblySource(folder, assets) {
  const blob = (symbol, file) =>
    `    .globl ${symbol}\n    .hidden ${symbol}\n    .balign 16\n${symbol}:\n    .incbin "${file}"\n`;
  const parts = assets.map((asset, i) => {
    const file = join(folder, asset.path);
    return (
      blob(`page_plain_${i}`, file) +
      (asset.br ? blob(`page_br_${i}`, `${file}.br`) : "") +
      (asset.gzip ? blob(`page_gzip_${i}`, `${file}.gz`) : "")
    );
  });
  return `/* Written by client/build.mjs. */\n    .section .rodata\n${parts.join("")}    .section .note.GNU-stack,"",%progbits\n`;
}

function tableSource(assets, policy) {
  const externs = assets.flatMap((asset, i) => [
    `extern const unsigned char page_plain_${i}[];`,
    ...(asset.br ? [`extern const unsigned char page_br_${i}[];`] : []),
    ...(asset.gzip ? [`extern const unsigned char page_gzip_${i}[];`] : []),
  ]);
  const variant = (name, kind, bytes, i) =>
    bytes ? [`     .${name} = page_${kind}_${i},`, `     .${name}_len = ${bytes.length},`] : [];
  const rows = assets.flatMap((asset, i) => [
    `    {.path = ${JSON.stringify(asset.path)},`,
    `     .mime = ${JSON.stringify(asset.type)},`,
    ...variant("identity", "plain", asset.bytes, i),
    ...variant("br", "br", asset.br, i),
    ...variant("gzip", "gzip", asset.gzip, i),
    `     .etag = "${asset.etag}",`,
    `     .immutable = ${asset.immutable}},`,
  ]);
  return [
    "/* Written by client/build.mjs. */",
    '#include "page/page.h"',
    "",
    ...externs,
    "",
    "const struct wr_asset page_assets[] = {",
    ...rows,
    "};",
    `const size_t page_assets_count = ${assets.length};`,
    `const char page_content_security_policy[] =\n    ${JSON.stringify(policy)};`,
    "",
  ].join("\n");
}

/** Says it, and keeps it for those who measure: { first, all } in bytes, and what comes later. */
function printWeight(assets, file) {
  const kilobytes = (n) => `${(n / 1024).toFixed(1).padStart(7)} KB`;
  let total = 0;
  for (const asset of assets) {
    const weight = (asset.br ?? asset.bytes).length;
    if (!asset.later) total += weight;
    const when = asset.later ? "  (when it is opened)" : "";
    console.log(`page: ${kilobytes(weight)} brotli ${kilobytes(asset.bytes.length)} plain  ${asset.path}${when}`);
  }
  console.log(`page: ${kilobytes(total)} brotli for a first visit, goal ${kilobytes(WEIGHT_GOAL).trim()}`);
  if (total > WEIGHT_GOAL) console.warn("page: WARNING: heavier than the goal");
  const all = assets.reduce((sum, asset) => sum + (asset.br ?? asset.bytes).length, 0);
  const later = assets.filter((asset) => asset.later).map((asset) => asset.path);
  writeFileSync(file, `${JSON.stringify({ first: total, all, later })}\n`);
}

async function main() {
  const options = readArguments(process.argv.slice(2));
  const esbuild = await loadEsbuild();
  const out = resolve(options.out);
  const inputs = new Set(["build.mjs", "sections.mjs", "sodium-asset.mjs"].map((name) => join(client, name)));
  const read = (file) => (inputs.add(file), readFileSync(file));

  const wasm = withoutCustomSections(read(resolve(options.wasm)));
  const names = { wasm: `/assets/core-${hashName(wasm)}.wasm` };
  const sodium = sodiumAsset(esbuild);
  const bundle = bundler(
    esbuild,
    { __WASM_URL__: JSON.stringify(names.wasm), __VERSION__: JSON.stringify(options.version) },
    inputs,
    [sodium.plugin],
  );
  const page = await bundlePage(bundle);
  const css = onlyFile(await bundle(join(ui, "styles/page.css")));
  const worker = onlyFile(await bundle(join(client, "node/worker.ts")));
  if (!sodium.found.bytes) fail("the worker does not bundle libsodium's module: look at client/sodium-asset.mjs again");
  const critical = onlyFile(await bundle(join(ui, "styles/critical.css"))).toString().trim();
  const boot = onlyFile(await bundle(join(ui, "boot.ts"))).toString().trim();
  names.js = page.entry;
  names.first = page.first;
  names.css = `/assets/page-${hashName(css)}.css`;
  const index = buildIndex(read(join(ui, "index.html")).toString(), names, critical, boot);

  const text = (kind) => `text/${kind}; charset=utf-8`;
  const assets = [
    { path: "/index.html", type: text("html"), bytes: index.html },
    { path: "/worker.js", type: text("javascript"), bytes: worker },
    ...page.files.map((file) => ({ ...file, type: text("javascript"), immutable: true })),
    { path: names.css, type: text("css"), bytes: css, immutable: true },
    { path: names.wasm, type: "application/wasm", bytes: wasm, immutable: true },
    { path: sodium.found.path, type: "application/wasm", bytes: sodium.found.bytes, immutable: true },
    { path: "/favicon.svg", type: "image/svg+xml", bytes: read(join(ui, "favicon.svg")) },
    { path: "/manifest.webmanifest", type: "application/manifest+json", bytes: read(join(ui, "manifest.webmanifest")) },
  ].map((asset) => ({
    immutable: false,
    ...asset,
    etag: hashName(asset.bytes),
    ...compress(asset.bytes),
  }));

  const dist = join(out, "dist");
  writeFiles(dist, assets);
  writeFileSync(join(out, "page.S"), assemblySource(dist, assets));
  writeFileSync(join(out, "page.c"), tableSource(assets, index.policy));
  if (options.depfile) {
    const escaped = [...inputs].sort().map((file) => file.replaceAll(" ", "\\ "));
    writeFileSync(options.depfile, `${join(out, "page.S")}: ${escaped.join(" \\\n  ")}\n`);
  }
  printWeight(assets, join(out, "weight.json"));
}

await main();
