// What the address brought along: an invite to a channel or to the server, a link for a new password, or the link that
// makes the first administrator. Read once, because the address becomes the chat's.
import { signal } from "@preact/signals";
import { call, CallError } from "./calls";
import { channelHash } from "./route";

function parameter(path: string, name: string): string | null {
  return location.pathname.replace(/\/+$/, "") === path ? new URLSearchParams(location.search).get(name) : null;
}

function joinToken(): string | null {
  return /^\/join\/([0-9a-zA-Z]+)\/?$/.exec(location.pathname)?.[1] ?? null;
}

export const arrival = {
  invite: parameter("/register", "invite"),
  reset: parameter("/reset", "ticket"),
  admin: parameter("/admin", "ticket"),
  join: joinToken(),
};

/** What became of it, when that has to be said. */
export const arrivalFault = signal<string | null>(null);

/** For who is logged in: takes what the link gives, once. */
export async function takeArrival(unreachable: string): Promise<void> {
  const { admin, join } = arrival;
  arrival.admin = null;
  arrival.join = null;
  try {
    if (admin) {
      await call("admin-claim", { ticket: admin });
      location.replace("/#/desk/admin");
      location.reload(); // as an administrator
    }
    if (join) {
      const { channel } = await call<{ channel: { name: string } }>("channel-redeem", { token: join });
      location.hash = channelHash(channel.name);
    }
  } catch (error) {
    arrivalFault.value = (error instanceof CallError && error.message) || unreachable;
  }
}
