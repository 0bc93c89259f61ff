// client/sodium-asset.mjs and client/sections.mjs: what the page serves of libsodium is small, holds what is called,
// and a package that is not as expected ends the build instead of giving a page that fails in somebody's browser.
// (That what is left computes rightly: crypto.test.mjs and golden.test.mjs run on it.)
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { brotliCompressSync } from "node:zlib";
import { withOnlyExports, withoutCustomSections } from "../../client/sections.mjs";
import { moduleWithOnly, wrappersWithOnly } from "../../client/sodium-asset.mjs";
import { loadSodium, root, wasmBytes } from "./load.mjs";

const BROTLI_BYTES_MAX = 58 * 1024;
const packageFile = (name) => readFileSync(join(root, `node_modules/${name}/dist/modules-esm/${name}.mjs`), "utf8");

test("libsodium's wasm is served without what nobody calls", async () => {
  let wasm;
  const sodium = await loadSodium((bytes) => (wasm = bytes));
  const packed = brotliCompressSync(wasm).length;
  assert.ok(packed <= BROTLI_BYTES_MAX, `${packed} bytes in brotli`);
  assert.equal(typeof sodium.crypto_sign_detached, "function");
  for (const name of ["crypto_pwhash", "crypto_kem_keypair", "crypto_box_easy", "crypto_sign_open"]) {
    assert.equal(sodium[name], undefined, `${name} is not called by sodium.ts, but is served`);
  }
});

test("a function that the package does not have ends the build", () => {
  const wrappers = packageFile("libsodium-wrappers");
  const missing = "crypto_sign_made_up";
  assert.throws(() => wrappersWithOnly(wrappers, new Set([missing])), { message: /does not have crypto_sign_made_up/ });
  assert.throws(() => moduleWithOnly(packageFile("libsodium"), new Set([missing]), () => "null"), {
    message: /does not have crypto_sign_made_up/,
  });
  assert.throws(() => withOnlyExports(wasmBytes(), new Set([missing])), { message: /does not export crypto_sign_made_up/ });
});

test("a package of another form ends the build", () => {
  assert.throws(() => wrappersWithOnly("export default {};", new Set()), { message: /not as expected/ });
  assert.throws(() => moduleWithOnly("export default A;", new Set(), () => "null"), { message: /not as expected/ });
});

// Five functions: a calls b; c calls through the table, whose two functions d and e have different types.
const bytes = (...parts) => Buffer.from(parts.flat());
const section = (id, ...body) => bytes(id, body.flat().length, body.flat());
const SMALL = bytes(
  [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
  [...section(1, 2, [0x60, 0, 1, 0x7f], [0x60, 1, 0x7f, 1, 0x7f])], // () -> i32, (i32) -> i32
  [...section(3, 5, 0, 0, 0, 0, 1)],
  [...section(4, 1, 0x70, 0, 2)],
  [...section(7, 2, [1, 0x61, 0, 0], [1, 0x63, 0, 2])],
  [...section(9, 1, 0, 0x41, 0, 0x0b, 2, 3, 4)],
  [...section(
    10, 5,
    [4, 0, 0x10, 1, 0x0b], // a: call b
    [4, 0, 0x41, 42, 0x0b], // b: 42
    [7, 0, 0x41, 0, 0x11, 0, 0, 0x0b], // c: the table's function 0, of type () -> i32
    [4, 0, 0x41, 7, 0x0b], // d: 7
    [4, 0, 0x20, 0, 0x0b], // e: its argument
  )],
);

test("what an export can reach stays, also through the table; the rest traps", () => {
  const run = (module) => new WebAssembly.Instance(new WebAssembly.Module(module)).exports;
  assert.deepEqual([run(SMALL).a(), run(SMALL).c()], [42, 7]);
  const onlyA = withOnlyExports(SMALL, new Set(["a"]));
  assert.deepEqual(Object.keys(run(onlyA)), ["a"]);
  assert.equal(run(onlyA).a(), 42);
  const onlyC = withOnlyExports(SMALL, new Set(["c"]));
  assert.equal(run(onlyC).c(), 7);
  const trapping = [0, 0x00, 0x0b];
  const count = (module) => module.toString("hex").split(bytes(3, trapping).toString("hex")).length - 1;
  assert.deepEqual([SMALL, onlyA, onlyC].map(count), [0, 3, 3]); // of a, b, c, d, e: c d e, and a b e
});

test("nothing is lost when all exports stay", () => {
  const core = withoutCustomSections(wasmBytes());
  const all = new Set(WebAssembly.Module.exports(new WebAssembly.Module(core)).map(({ name }) => name));
  const again = withOnlyExports(core, all);
  assert.ok(core.length - again.length < 0.01 * core.length, `${core.length - again.length} bytes of ${core.length}`);
});

test("a module that is cut off, or holds what is not understood, is refused", () => {
  assert.throws(() => withOnlyExports(SMALL.subarray(0, SMALL.length - 3), new Set(["a"])), { message: /ends too early/ });
  const unknown = Buffer.from(SMALL);
  unknown[unknown.indexOf(Buffer.of(0x10, 1, 0x0b))] = 0xfd; // vectors: not in libsodium's module
  assert.throws(() => withOnlyExports(unknown, new Set(["a"])), { message: /unknown WebAssembly instruction 0xfd/ });
});
