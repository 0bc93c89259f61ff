// The channels of the present tracker, and how much of each is unread.
import type { Store } from "./store";
import { ENTRY } from "./core";
import type { ChannelRow } from "./idb";
import type { Channel, Id, Message } from "./api";

export interface Channels {
  list(): Channel[];
  /** Only channels of this authority are shown: another tracker may have lived at this address before. */
  useTracker(tracker: Id): void;
  joined(channel: Id, name: string, authority: Id, type: Channel["type"]): void;
  /** It is shown no longer; its messages stay on this device. */
  left(channel: Id): void;
  /** Those of the present tracker, direct conversations left out. */
  rooms(): Id[];
  delivered(message: Message): void;
  /** Everything up to `place` was seen; `back`: the marker may go back. False: it stands there already, or further. */
  markRead(channel: Id, place: number, back?: boolean): Promise<boolean>;
  /** The device of the tracker whose channel it is; "": not known. */
  authority(channel: Id): Id;
  /** Where the marker stands; 0: nowhere yet. */
  readPlace(channel: Id): number;
}

/** More than this many are not counted one by one at the start. */
const UNREAD_MAX = 1000;

interface Known extends ChannelRow {
  unread: number;
}

export async function createChannels(options: {
  store: Store;
  account: string;
  tracker: Id | undefined;
  changed: (channel: Channel) => void;
}): Promise<Channels> {
  const { store, account, changed } = options;
  let { tracker } = options;
  const known = new Map<Id, Known>();
  const count = (channel: Id, place: number): Promise<number> =>
    store.countAfter(channel, place, UNREAD_MAX, (row) => row.kind === ENTRY.text && row.account !== account);
  for (const row of await store.channels()) {
    known.set(row.channel, { ...row, unread: await count(row.channel, row.readPlace) });
  }

  const view = ({ channel, name, unread, type = "public" }: Known): Channel => ({ id: channel, name, unread, type });
  const shown = (row: Known): boolean => row.name !== "" && row.authority === tracker;
  const tell = (row: Known): void => {
    if (shown(row)) changed(view(row));
  };
  function get(channel: Id): Known {
    let row = known.get(channel);
    if (!row) {
      row = { channel, name: "", authority: "", readPlace: 0, unread: 0 };
      known.set(channel, row);
    }
    return row;
  }

  return {
    list: () => [...known.values()].filter(shown).map(view),
    useTracker(device) {
      tracker = device;
    },
    joined(channel, name, authority, type) {
      const row = get(channel);
      if (row.name !== name || row.authority !== authority || row.type !== type) {
        Object.assign(row, { name, authority, type });
        store.saveChannel(channel, { name, authority, type }).catch(() => {});
      }
      tell(row);
    },
    left(channel) {
      const row = known.get(channel);
      if (!row || row.name === "") return;
      const gone = view(row);
      row.name = "";
      store.saveChannel(channel, { name: "" }).catch(() => {});
      changed({ ...gone, left: true });
    },
    rooms: () => [...known.values()].filter((row) => shown(row) && row.type !== "direct").map((row) => row.channel),
    delivered({ channel, kind, mine, place }) {
      const row = get(channel);
      if (kind !== "text" || mine || place <= row.readPlace) return;
      row.unread++;
      tell(row);
    },
    authority: (channel) => known.get(channel)?.authority ?? "",
    readPlace: (channel) => known.get(channel)?.readPlace ?? 0,
    async markRead(channel, place, back = false) {
      const row = get(channel);
      if (place === row.readPlace || (!back && place < row.readPlace)) return false;
      row.readPlace = place;
      const unread = await count(channel, place);
      if (row.readPlace !== place) return false; // a later call counts
      row.unread = unread;
      tell(row);
      await store.saveChannel(channel, { readPlace: place });
      return true;
    },
  };
}
