// The front door: ./run starts quickly when everything is built, from any folder, finds its data again, and
// Ctrl-C ends it well.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

const run = fileURLToPath(new URL("../../run", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "weaprous run "));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Starts ./run in `folder`; answers its page, how long it took, and what ends it. */
async function start(...options) {
  const began = Date.now();
  const child = spawn(run, ["--server-port", "0", ...options], { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
  const gone = once(child, "exit");
  let printed = "";
  const url = await new Promise((resolve, reject) => {
    const deadline = setTimeout(() => (child.kill("SIGKILL"), reject(new Error(`no address:\n${printed}`))), 60_000);
    const read = (bytes) => {
      printed += bytes;
      const found = /http:\/\/127\.0\.0\.1:\d+\//.exec(printed);
      if (found) clearTimeout(deadline), resolve(found[0]);
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.once("exit", () => (clearTimeout(deadline), reject(new Error(`ended:\n${printed}`))));
  });
  return {
    url,
    took: Date.now() - began,
    async interrupt() {
      child.kill("SIGINT");
      return (await gone)[0];
    },
  };
}

const account = (url, way) =>
  fetch(`${url}${way}`, {
    method: "POST",
    headers: { accept: "application/json" },
    body: new URLSearchParams({ username: "An", password: "correct horse battery staple" }),
  });

test("./run from another folder takes its options, keeps its data, and a second start finds them", async (t) => {
  const first = await start("--data", "kept here");
  assert.equal((await account(first.url, "register")).status, 200);
  assert.equal(await first.interrupt(), 0);
  assert.ok(existsSync(join(folder, "kept here")), "relative to where it was called");

  const second = await start("--data=kept here");
  t.diagnostic(`second start: ${second.took} ms`);
  assert.equal((await account(second.url, "login")).status, 200);
  assert.equal((await account(second.url, "register")).status, 409);
  assert.equal(await second.interrupt(), 0);
});

test("./run says what is wrong with its options, and ends with an error", async () => {
  await assert.rejects(start("--no-such-option"), /no-such-option/);
});
