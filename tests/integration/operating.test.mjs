// What an operator looks at while the server runs: metrics and who may see them, log files and their rotation.
import assert from "node:assert/strict";
import { existsSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ask, register, run, startTracker, within } from "./tracker-kit.mjs";

const FROM_OUTSIDE = "203.0.113.7"; // as a trusted proxy says it

/** Until the sentence holds; the housekeeping of the server looks every five seconds. */
async function eventually(look) {
  return within(
    (async () => {
      for (;;) {
        try {
          return await look();
        } catch {
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
      }
    })(),
    "what was looked for",
  );
}

const value = (text, name) => Number(new RegExp(`^${name.replaceAll(/[{}"]/g, "\\$&")} (\\d+)$`, "m").exec(text)?.[1]);

test("the metrics count what people do, for this computer and for named networks only", async (t) => {
  const tracker = await startTracker(t, { args: ["--trusted-proxies", "127.0.0.1", "--metrics-from", "198.51.100.0/24"] });
  const get = (from) => ask(tracker, "GET", "/metrics", { headers: from ? { "X-Forwarded-For": from } : {} });
  assert.equal((await get()).status, 200);
  assert.equal((await get("198.51.100.9")).status, 200);
  const refused = await get(FROM_OUTSIDE);
  assert.equal(refused.status, 403);
  assert.match(JSON.parse(refused.text).message, /--metrics-from/);
  assert.equal((await ask(tracker, "GET", "/metrics/", { headers: { "X-Forwarded-For": FROM_OUTSIDE } })).status, 403);

  const before = (await get()).text;
  assert.equal(value(before, 'weaprous_devices{state="online"}'), 0);
  await register(tracker, "an");
  await eventually(async () => {
    const { text } = await get();
    assert.ok(value(text, "weaprous_store_transactions_total") > value(before, "weaprous_store_transactions_total"));
    assert.equal(value(text, "weaprous_store_failures_total"), 0);
    assert.ok(value(text, 'weaprous_http_requests_total{method="POST",code="2xx"}') > 0 || value(text, 'weaprous_http_requests_total{method="POST",code="3xx"}') > 0);
  });
});

test("a list of networks that is none is said at the start", async (t) => {
  const tracker = await startTracker(t);
  const result = await run(["up", "--server-port", "0", "--data", join(tracker.folder, "other"), "--metrics-from", "10.0.0.0/8,nonsense"]);
  assert.equal(result.code, 1);
  assert.match(result.err, /^--metrics-from .* is no list of networks[^\n]*\.\n$/);
});

test("log files are opened anew by SIGHUP, and nothing is lost over a rotation", async (t) => {
  const folder = (await startTracker(t)).folder;
  const access = join(folder, "access.log"), trouble = join(folder, "trouble.log");
  const tracker = await startTracker(t, { args: ["--access-log", access, "--log", trouble] });
  const lines = (file) => (existsSync(file) ? readFileSync(file, "utf8").split("\n").filter(Boolean) : []);
  for (let i = 0; i < 20; i++) await ask(tracker, "GET", `/before-${i}`);
  await eventually(() => assert.equal(lines(access).filter((line) => line.includes("/before-")).length, 20));
  renameSync(access, `${access}.1`);
  tracker.child.kill("SIGHUP");
  await eventually(async () => {
    await ask(tracker, "GET", "/after");
    assert.ok(lines(access).some((line) => line.includes("/after")));
  });
  assert.equal(lines(`${access}.1`).filter((line) => line.includes("/before-")).length, 20);
  const first = lines(`${access}.1`)[0];
  assert.match(first, /^127\.0\.0\.1 - - \[[^\]]+\] "GET \/before-0 HTTP\/1\.1" 404 \d+ /);
});
