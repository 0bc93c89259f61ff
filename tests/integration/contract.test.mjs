// The contract with programs: what each operation answers to whom, over HTTP and over the socket, against the real server. The rows
// are in contract/<area>.mjs:
//
//   {name, as, call | method + path, body, status, check(json, world, answer), keep(json, world)}
//
// They run in their order, in a world of their own (contract/world.mjs) for each face. body, path and headers may be functions of the
// world; check gives true or throws; `keep` notes what later rows need in world.keep. A file may export `args` (options of the
// server) and `setup(world)`.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { ROLES, carryOut, open, prepare } from "./contract/world.mjs";

const folder = join(dirname(fileURLToPath(import.meta.url)), "contract");
const areas = readdirSync(folder).filter((name) => name.endsWith(".mjs") && name !== "world.mjs");

test("the contract with programs", async (t) => {
  await prepare(t);
  for (const name of areas) {
    const { rows, args, setup } = await import(pathToFileURL(join(folder, name)));
    const faces = rows.some((row) => row.call) ? ["http", "socket"] : ["http"];
    for (const face of faces) {
      await t.test(`${name.replace(".mjs", "")} over ${face}`, async (t) => {
        const world = await open(t, args);
        await setup?.(world);
        for (const [turn, row] of rows.entries()) {
          await t.test(row.name, async () => {
            assert.ok(ROLES.includes(row.as), `nobody is called ${row.as}`);
            const answer = await carryOut(world, row, face, turn);
            assert.equal(answer.status, row.status, answer.text);
            if (answer.status >= 400 && answer.json) assert.match(answer.json.status, /^(error|failure)$/);
            if (row.check) assert.ok(row.check(answer.json, world, answer), answer.text);
            row.keep?.(answer.json, world);
          });
        }
        assert.equal(world.tracker.child.exitCode, null, "the server lives");
      });
    }
  }
});
