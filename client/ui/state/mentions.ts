// How many mentions of me in open channels have not been looked at, as the tracker counts them.
import { signal } from "@preact/signals";
import { call } from "./calls";
import { news } from "./chat";

/** At most a page of them. */
export const newMentions = signal(0);

async function ask(): Promise<void> {
  try {
    const { mentions } = await call<{ mentions: { seen: boolean }[] }>("mentions");
    newMentions.value = mentions.filter(({ seen }) => !seen).length;
  } catch {
    // Away: asked when it is back.
  }
}

news.subscribe((item) => {
  if (item?.type === "mention") newMentions.value++;
  else if (item?.type === "mentions-seen") newMentions.value = 0;
  else if (item?.type === "again") void ask();
});
