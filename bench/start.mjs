// Cold start to first page: from starting the process to index.html answered (20 times, empty data folder each
// time), and what Chromium says about its first contentful paint (10 fresh profiles).
import { spawn } from "node:child_process";
import { once } from "node:events";
import http from "node:http";
import { join } from "node:path";
import { World } from "../tests/browser/world.mjs";
import { inFolder, median, percentile, report, root } from "./common.mjs";

const program = join(root, "build/release/weaprous");
const port = 18473;

const answered = () =>
  new Promise((resolve) => {
    const request = http.get({ host: "127.0.0.1", port, path: "/", agent: false }, (response) => {
      response.resume().on("end", () => resolve(true));
    });
    request.on("error", () => resolve(false));
  });

const starts = [];
for (let i = 0; i < 20; i++)
  await inFolder(async (folder) => {
    const began = performance.now();
    const child = spawn(program, ["up", "--server-port", String(port), "--data", folder], { stdio: "ignore" });
    const gone = once(child, "exit");
    while (!(await answered())) {
      if (performance.now() - began > 10_000) throw new Error("the program did not answer within 10 s");
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    starts.push(performance.now() - began);
    child.kill("SIGTERM");
    await gone;
  });
report("start of the process to first page answered, ms", `median ${median(starts).toFixed(1)}, p90 ${percentile(starts, 0.9).toFixed(1)}`);

const paints = [];
await inFolder(async (folder) => {
  const world = new World();
  await world.start(folder);
  for (let i = 0; i < 10; i++) {
    const person = await world.person(`visitor ${i}`);
    const { page } = await person.tab("/");
    const paint = await page.waitForFunction(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime);
    paints.push(await paint.jsonValue());
    await person.context.close();
  }
  await world.stop(false, "start");
});
report("navigation to first contentful paint, ms", `median ${median(paints).toFixed(0)}, p90 ${percentile(paints, 0.9).toFixed(0)}`);
