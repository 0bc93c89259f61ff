// The channels that the tracker says this account is in: at each welcome all of them, then news. What it says is checked
// against the id, which follows from the spec, so it cannot pass one channel off as another.
import type { Channels } from "./channels";
import type { ChannelSpec } from "./core";
import type { Shell } from "./shell";
import type { Talks } from "./talks";
import type { Id, News, NodeError } from "./api";

/** A channel as the tracker tells of it (docs/api.md). */
export interface Room {
  id: Id;
  name: string;
  type?: "public" | "private";
  founder?: Id;
  nonce?: string;
}

export interface Rooms {
  /** All that there are; others of this tracker have been left meanwhile. */
  welcome(rooms: Room[], authority: Id): void;
  news(news: News, authority: Id): void;
}

function specOf(room: Room, authority: Id): ChannelSpec | undefined {
  if (room.type !== "private") return { type: "public", authority, name: room.name };
  return room.founder && room.nonce ? { type: "private", authority, founder: room.founder, nonce: room.nonce } : undefined;
}

export function createRooms(options: {
  shell: () => Shell;
  channels: Channels;
  talks: Talks;
  channelId: (spec: ChannelSpec) => Id | undefined;
  warn: (text: string) => void;
}): Rooms {
  const { shell, channels, talks, warn } = options;

  function join(room: Room, authority: Id): void {
    const spec = specOf(room, authority);
    if (!spec || options.channelId(spec) !== room.id) return warn(`The tracker names a false id for the channel ${room.name}`);
    try {
      if (spec.type === "public") {
        shell().command({ kind: "join", channel: room.id, authority, name: spec.name });
      } else {
        shell().command({ kind: "open", spec });
        talks.brought(room.id, spec, false);
      }
      channels.joined(room.id, room.name, authority, spec.type);
    } catch (error) {
      if ((error as Partial<NodeError>).code === "CLOSED") throw error;
      warn(`The channel ${room.name} cannot be joined: ${String((error as Error).message)}`);
    }
  }

  function leave(channel: Id): void {
    channels.left(channel);
    talks.brought(channel, { type: "public", authority: channel, name: "" }, true);
    try {
      shell().command({ kind: "leave", channel });
    } catch {
      // It was not carried, or the core has dropped it by itself.
    }
  }

  return {
    welcome(rooms, authority) {
      const named = new Set(rooms.map(({ id }) => id));
      for (const channel of channels.rooms()) if (!named.has(channel)) leave(channel);
      for (const room of rooms) join(room, authority);
    },
    news(news, authority) {
      const room = news.channel as Room | undefined;
      if (news.type !== "channel") return;
      if (news.change === "removed" && typeof news.id === "string") leave(news.id);
      else if ((news.change === "added" || news.change === "changed") && room) join(room, authority);
    },
  };
}
