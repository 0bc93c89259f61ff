// From the click on Send to the text in the other person's page: two Chromium pages on this machine, direct path.
// First 500 messages, each right after the one before has come; then 60 that are 250 ms apart, with what the
// sender sees of each. All pages read the same clock (Date.now).
import { setTimeout as sleep } from "node:timers/promises";
import { World } from "../tests/browser/world.mjs";
import { inFolder, percentile, report } from "./common.mjs";

const RUSH = 500;
const CALM = 60;
const CALM_PAUSE_MS = 250;

const percentiles = (values, parts) => parts.map((p) => `p${p * 100} ${percentile(values, p)}`).join(", ");

/** Notes when each text is first in the page, and when it is first marked as delivered there. */
function watch(page) {
  return page.evaluate(() => {
    window.clicked = [];
    window.shown = {};
    window.delivered = {};
    document.addEventListener("click", (event) => event.target.closest("button.send") && window.clicked.push(Date.now()), true);
    new MutationObserver(() => {
      const now = Date.now();
      for (const message of document.querySelectorAll(".message")) {
        const text = message.querySelector(".text")?.textContent;
        if (text === undefined) continue;
        window.shown[text] ??= now;
        if (message.dataset.mark === "delivered") window.delivered[text] ??= now;
      }
    }).observe(document.querySelector(".messages"), {
      subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: ["data-mark"],
    });
  });
}

async function send(from, to, texts, pauseMs) {
  await from.page.evaluate(() => (window.clicked = []));
  for (const text of texts) {
    await from.composer.fill(text);
    await from.page.locator("button.send").click();
    await to.page.waitForFunction((expected) => expected in window.shown, text, { polling: 5 });
    if (pauseMs) await sleep(pauseMs);
  }
  const clicked = await from.page.evaluate(() => window.clicked);
  const since = async (page, what) => {
    const times = await page.evaluate((name) => window[name], what);
    const waits = texts.map((text, i) => times[text] - clicked[i]);
    if (clicked.length !== texts.length || waits.some(Number.isNaN)) throw new Error(`not every message was ${what}`);
    return waits;
  };
  return { own: () => since(from.page, "shown"), other: () => since(to.page, "shown"), delivered: () => since(from.page, "delivered") };
}

await inFolder(async (folder) => {
  const world = new World();
  await world.start(folder);
  const an = await world.register("An");
  const binh = await world.register("Binh");
  await Promise.all([an.linked("Binh", "direct"), binh.linked("An", "direct")]);
  await Promise.all([watch(an.page), watch(binh.page)]);

  const rush = await send(an, binh, Array.from({ length: RUSH }, (_, i) => `rush ${i}`), 0);
  report(`click on Send to the other page's DOM, ${RUSH} messages, ms`, percentiles(await rush.other(), [0.5, 0.9, 0.99]));
  const calm = await send(an, binh, Array.from({ length: CALM }, (_, i) => `calm ${i}`), CALM_PAUSE_MS);
  report(`the same, ${CALM} messages ${CALM_PAUSE_MS} ms apart, ms`, percentiles(await calm.other(), [0.5, 0.9]));
  report("  shown in the own page after, ms", percentiles(await calm.own(), [0.5, 0.9]));
  report("  marked as delivered there after, ms", percentiles(await calm.delivered(), [0.5, 0.9]));
  const ways = await binh.page.locator("article.message.other .extras .sr-only").allTextContents();
  report("how they came, says the page", [...new Set(ways.map((words) => words.split(", ")[1]))].join(" / "));
  await world.stop(false, "latency");
});
