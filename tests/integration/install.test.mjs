// What scripts/install puts on a system is enough for a C programmer: the program runs, and an example is compiled
// against the installed library by its pkg-config file. Installs the build that WEAPROUS_BUILD names, else the
// release build.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const build = process.env.WEAPROUS_BUILD ?? join(root, "build/release");
const prefix = mkdtempSync(join(tmpdir(), "weaprous-install-"));
const PATIENCE_MS = 15_000;
const run = (command, ...words) => execFileSync(command, words, { encoding: "utf8", env }).trim();
let env = process.env;

before(() => {
  run("cmake", "--install", build, "--prefix", prefix);
  const library = run("find", prefix, "-name", "libweaprous.so");
  const description = run("find", prefix, "-name", "libweaprous.pc");
  env = { ...process.env, LD_LIBRARY_PATH: dirname(library), PKG_CONFIG_PATH: dirname(description) };
});
after(() => rmSync(prefix, { recursive: true, force: true }));

/** Starts the example; resolves with its address once it has printed it. */
function start(program, t) {
  const child = spawn(program, ["127.0.0.1", "0"], { env, stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  return new Promise((resolve, reject) => {
    let printed = "";
    const deadline = setTimeout(() => reject(new Error(`no address within ${PATIENCE_MS} ms: ${printed}`)), PATIENCE_MS);
    child.stdout.on("data", (bytes) => {
      printed += bytes;
      const found = /127\.0\.0\.1:(\d+)/.exec(printed);
      if (found) resolve(`http://127.0.0.1:${found[1]}`), clearTimeout(deadline);
    });
    child.once("exit", (code) => reject(new Error(`the example ended with ${code}: ${printed}`)));
  });
}

function ask(address) {
  return new Promise((resolve, reject) => {
    http.get(address, { agent: false }, (answer) => {
      let text = "";
      answer.on("data", (bytes) => (text += bytes)).on("end", () => resolve({ status: answer.statusCode, text }));
    }).on("error", reject);
  });
}

test("the installed program runs, and nothing but the program, the library, its description and its manual is installed", () => {
  assert.match(run(join(prefix, "bin/weaprous"), "version"), /\d+\.\d+\.\d+/);
  assert.deepEqual(readdirSync(prefix).sort(), ["bin", "include", "lib", "share"]);
  assert.deepEqual(readdirSync(join(prefix, "include/weaprous")), readdirSync(join(root, "include/weaprous")));
});

test("each function of the headers is in the library, and has its manual page", () => {
  const folder = join(root, "include/weaprous");
  const source = readdirSync(folder).map((name) => readFileSync(join(folder, name), "utf8")).join("\n");
  const declared = [...source.matchAll(/\bWR_API\b[^;{]*?\b(wr_\w+)\(/g)].map(([, name]) => name).sort();
  const library = run("find", prefix, "-name", "libweaprous.so");
  const exported = run("nm", "-D", "--defined-only", library).split("\n").map((line) => line.split(" ").at(-1)).sort();
  assert.ok(declared.length > 100);
  assert.deepEqual(exported, declared);
  const manual = join(prefix, "share/man/man3");
  for (const name of declared) {
    const [, page] = /^\.so man3\/(weaprous\w*\.3)$/.exec(readFileSync(join(manual, `${name}.3`), "utf8").trim());
    assert.match(readFileSync(join(manual, page), "utf8"), new RegExp(`\\b${name}\\(`));
  }
  for (const page of readdirSync(manual).filter((name) => name.startsWith("weaprous")))
    assert.equal(run("groff", "-man", "-Tutf8", "-ww", "-z", join(manual, page)), "");
});

test("each header compiles alone, as C99 and as C++11", () => {
  const flags = ["-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Wstrict-prototypes", "-Werror", ...run("pkg-config", "--cflags", "libweaprous").split(/\s+/)];
  const file = join(prefix, "one.c");
  for (const name of readdirSync(join(prefix, "include/weaprous"))) {
    writeFileSync(file, `#include <weaprous/${name}>\n`);
    run("clang-19", "-x", "c", "-std=c99", ...flags, file);
    run("clang-19", "-x", "c++", "-std=c++11", "-nostdinc++", ...flags, file); // what is included is C
  }
});

// pkg-config alone is enough for the shared library; the static one is asked for by name, with what it needs itself.
const STATIC = ["-Wl,-Bstatic", "-lweaprous", "-Wl,-Bdynamic", "-lssl", "-lcrypto", "-lz"];
for (const [kind, how] of [["shared", []], ["static", STATIC]]) {
  test(`the example is compiled against the installed ${kind} library, and answers`, async (t) => {
    const program = join(prefix, `hello-${kind}`);
    const flags = run("pkg-config", "--cflags", "--libs", "libweaprous").split(/\s+/).flatMap((word) => (how.length && word === "-lweaprous" ? how : [word]));
    run("cc", "-o", program, join(root, "examples/hello.c"), ...flags);
    const needed = run("readelf", "-d", program);
    assert.equal(needed.includes("libweaprous.so"), kind === "shared");
    const { status, text } = await ask(`${await start(program, t)}/`);
    assert.equal(status, 200);
    assert.notEqual(text, "");
  });
}

test("the shared library shows nothing but its public functions", () => {
  const names = run("nm", "-D", "--defined-only", run("find", prefix, "-name", "libweaprous.so")).split("\n").map((line) => line.split(" ").at(-1));
  assert.ok(names.length > 20);
  assert.deepEqual(names.filter((name) => !name.startsWith("wr_")), []);
});
