// Opening the direct conversation with somebody.
import { channels, commands } from "../state/chat";
import { channelHash } from "../state/route";

/** Goes to the conversation; makes it when there is none. */
export async function openDirect(account: string): Promise<void> {
  const { channel } = await commands().open({ account });
  const name = channels.value.find((one) => one.id === channel)?.name ?? `@${account}`;
  location.hash = channelHash(name);
}
