// Makes the screenshots of docs/images from the real page: node docs/images/make.mjs (after scripts/build).
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { World } from "../../tests/browser/world.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const world = new World();
await world.start(mkdtempSync(join(tmpdir(), "weaprous-images-")));
try {
  const linh = await world.register("Linh", { viewport: { width: 1120, height: 700 } });
  const duarte = await world.register("Duarte", { viewport: { width: 390, height: 780 }, colorScheme: "dark" });
  await world.register("Mai", { direct: false });
  const talk = [
    [linh, "Morning! The new build is on my desk machine."],
    [duarte, "Nice. Is this going through the server?"],
    [linh, "No, straight to your browser. Hover a message and it says how it came."],
    [duarte, "And if the server goes down?"],
    [linh, "We go on, and it catches up when it is back 🙂"],
  ];
  await linh.linked("Duarte", "direct");
  await linh.linked("Mai", "via relay");
  for (const [who, text] of talk) {
    await who.say(text);
    for (const tab of [linh, duarte]) await tab.sees(text);
    await new Promise((resolve) => setTimeout(resolve, 300)); // so that the times are those of people
  }
  await linh.marked(talk[4][1], "delivered");
  for (const tab of [linh, duarte]) await tab.page.getByRole("button", { name: "Not now" }).click();
  await linh.page.mouse.move(900, 500); // no tooltip in the picture
  await linh.page.screenshot({ path: join(here, "chat.png") });
  await duarte.page.screenshot({ path: join(here, "phone.png") });
  await world.tracker.kill();
  await linh.connection("Limited");
  await linh.say("The tracker is off now. Still there?");
  await duarte.sees("The tracker is off now. Still there?");
  await linh.marked("The tracker is off now. Still there?", "delivered");
  await linh.page.screenshot({ path: join(here, "outage.png") });
} finally {
  await world.stop(false, "images");
}
