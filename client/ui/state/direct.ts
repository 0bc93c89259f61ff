// Opening the direct conversation with somebody.
import { channels, commands, sessions } from "./chat";
import { channelHash } from "./route";

/** Goes to the conversation; makes it when there is none. A friend is not asked first, so the request is sent at once. */
export async function openDirect(account: string, friend = false): Promise<void> {
  const { channel } = await commands().open({ account });
  if (friend && !["open", "asked", "asking"].includes(sessions.value.get(channel)?.state ?? "")) {
    await commands().request({ channel, line: "" });
  }
  location.hash = channelHash(channels.value.find((one) => one.id === channel)?.name ?? `@${account}`);
}
