// A trace that the page records is a file that the native program replays.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { eventually, inWorld, program } from "./world.mjs";

test("a trace is recorded from the connection panel, and replays natively: the same came out", (t) =>
  inWorld(t, async (world) => {
    const an = await world.register("An");
    const binh = await world.register("Binh");
    await an.say("before the trace");
    await an.marked("before the trace", "delivered");
    const device = await an.device();

    const open = async () => {
      await an.page.locator(".pill").first().click();
      await an.page.locator("details.log summary").click();
    };
    await open();
    await an.page.getByText("secret key").waitFor();
    await an.page.getByRole("button", { name: "Record a trace" }).click();
    await an.page.getByRole("button", { name: "Save the trace" }).waitFor();
    await an.page.keyboard.press("Escape");
    await an.linked("Binh", "direct", 30_000); // the core was made again
    assert.equal(await an.device(), device);
    await an.say("while it is recorded");
    await binh.say("seen");
    await an.sees("seen");
    await an.marked("while it is recorded", "delivered");

    await open();
    const [download] = await Promise.all([
      an.page.waitForEvent("download"),
      an.page.getByRole("button", { name: "Save the trace" }).click(),
    ]);
    assert.match(download.suggestedFilename(), /^weaprous-.*\.trace$/);
    const bytes = readFileSync(await download.path());
    const trace = (...words) => execFileSync(program, ["trace", ...words, "-"], { input: bytes, encoding: "utf8" });
    const said = trace("replay");
    const [, calls, actions] = /^In: +(\d+) calls [^]*Out: (\d+) actions, \d+ bytes, the same as then/.exec(said).map(Number);
    assert.ok(calls > 50 && actions > 10, said);
    const shown = trace("show", "--actions");
    assert.match(shown, /command send .*"while it is recorded"/);
    assert.match(shown, /=> deliver .*"seen"/); // came encrypted: only a node that has the keys can show it
    await eventually(async () => assert.equal(await an.page.getByRole("button", { name: "Record a trace" }).count(), 1));
    await an.page.keyboard.press("Escape");
    await binh.say("afterwards");
    await an.sees("afterwards");
  }));
