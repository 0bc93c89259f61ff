// From the click on Send to the text in the other person's page: two Chromium pages on this machine, direct path,
// 500 messages, one after the other. Both pages read the same clock (Date.now).
import { World } from "../tests/browser/world.mjs";
import { inFolder, percentile, report } from "./common.mjs";

const MESSAGES = 500;

await inFolder(async (folder) => {
  const world = new World();
  await world.start(folder);
  const an = await world.register("An");
  const binh = await world.register("Binh");
  await Promise.all([an.linked("Binh", "direct"), binh.linked("An", "direct")]);

  await an.page.evaluate(() => {
    window.clicked = [];
    document.addEventListener("click", (event) => event.target.closest('button.send') && window.clicked.push(Date.now()), true);
  });
  await binh.page.evaluate(() => {
    window.shown = {};
    new MutationObserver(() => {
      const now = Date.now();
      for (const text of document.querySelectorAll('.message .text')) window.shown[text.textContent] ??= now;
    }).observe(document.querySelector('.messages'), { subtree: true, childList: true, characterData: true });
  });
  for (let i = 0; i < MESSAGES; i++) {
    await an.composer.fill(`bench ${i}`);
    await an.page.locator("button.send").click();
    await binh.page.waitForFunction((text) => text in window.shown, `bench ${i}`, { polling: 5 });
  }
  const clicked = await an.page.evaluate(() => window.clicked);
  const shown = await binh.page.evaluate(() => window.shown);
  const waits = clicked.map((at, i) => shown[`bench ${i}`] - at);
  if (waits.length !== MESSAGES || waits.some(Number.isNaN)) throw new Error("not every message was measured");
  const ways = await binh.page.locator("article.message.other .extras .sr-only").allTextContents();
  report(`click on Send to the other page's DOM, ${MESSAGES} messages, ms`, [0.5, 0.9, 0.99].map((p) => `p${p * 100} ${percentile(waits, p)}`).join(", "));
  report("how they came, says the page", [...new Set(ways.map((words) => words.split(", ")[1]))].join(" / "));
  await world.stop(false, "latency");
});
