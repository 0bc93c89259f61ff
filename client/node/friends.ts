// What the tracker knows about other people, for the core: who is a friend or blocked, which devices are whose, to whom
// this one was introduced, and how a browser finds a way to others (STUN and TURN).
import { fromHex } from "./bytes";
import type { Clock } from "./clock";
import type { Relation } from "./commands";
import type { Id, News, Session } from "./api";

export interface Friends {
  /** The tracker is there: everything is asked for anew. */
  online(): void;
  news(news: News): void;
  session(session: Session): void;
  /** A direct conversation with this account is here. */
  opened(account: string): void;
  ice(): RTCIceServer[];
  stop(): void;
}

type Answer = Record<string, unknown>;

interface Introduced {
  device: Id;
  account: string;
}

const PAGES_MAX = 20; // of 50 devices, of one account
const ICE_RENEW = 0.75; // of the credentials' life
const ICE_RETRY_MS = 60_000;

function relationOf(state: unknown): Relation {
  return state === "friend" || state === "blocked" ? state : "none";
}

export function createFriends(options: {
  clock: Clock;
  /** Rejects when the tracker is away or refuses. */
  ask: (type: string, fields: Record<string, unknown>) => Promise<Answer>;
  /** Those that are known here by name. */
  relations: () => Iterable<[string, Relation]>;
  relate: (account: string, relation: Relation) => void;
  /** Accounts with which there is a direct conversation. */
  partners: () => string[];
  certificate: (bytes: Uint8Array) => void;
  introduced: (channel: Id, device: Id, account: string) => void;
}): Friends {
  const { clock, ask } = options;
  let servers: RTCIceServer[] = [];
  let cancelRenewal = (): void => {};

  /** The tracker is the one that counts: what it does not name is over. */
  async function relations(): Promise<void> {
    const { friends } = await ask("friends", {});
    if (!Array.isArray(friends)) return;
    const named = new Map(friends.map((row: Answer) => [String(row.account), relationOf(row.state)]));
    for (const [account, relation] of [...options.relations()]) {
      if (relation !== "none" && (named.get(account) ?? "none") === "none") options.relate(account, "none");
    }
    for (const [account, relation] of named) if (relation !== "none") options.relate(account, relation);
  }

  async function devices(account: string): Promise<void> {
    let after: string | undefined;
    for (let page = 0; page < PAGES_MAX; page++) {
      const answer = await ask("devices-of", { account, ...(after ? { after } : {}) });
      const rows = (Array.isArray(answer.devices) ? answer.devices : []) as { device: Id; certificate: string }[];
      for (const { certificate } of rows) {
        const bytes = fromHex(certificate);
        if (bytes) options.certificate(bytes);
      }
      after = rows.at(-1)?.device;
      if (answer.more !== true || !after) return;
    }
  }

  async function ice(): Promise<void> {
    cancelRenewal();
    const again = (ms: number): void => {
      cancelRenewal = clock.after(ms, () => void ice());
    };
    try {
      const { ice_servers: found, ttl_s: life } = await ask("ice-servers", {});
      servers = Array.isArray(found) ? (found as RTCIceServer[]) : [];
      if (servers.length > 0) again(Math.max(Number(life) * 1000 * ICE_RENEW, ICE_RETRY_MS));
    } catch {
      again(ICE_RETRY_MS);
    }
  }

  /** What cannot be asked now is asked for when the tracker is back. */
  const quietly = (work: Promise<unknown>): void => void work.catch(() => {});

  return {
    online() {
      quietly(relations());
      quietly(ice());
      for (const account of options.partners()) quietly(devices(account));
    },
    news(news) {
      const { type, account, state, channel } = news as Answer;
      if (type === "friend" && typeof account === "string") {
        options.relate(account, relationOf(state));
      } else if (type === "introduction" && typeof channel === "string") {
        const rows = (news as Answer).devices;
        for (const row of (Array.isArray(rows) ? rows : []) as Introduced[]) options.introduced(channel, row.device, row.account);
      }
    },
    session({ account, state }) {
      // For as long as it lasts both want to be seen by each other.
      const open = state === "asked" || state === "open";
      if (state !== "asking") quietly(ask("session", { account, open }));
      if (open) quietly(devices(account));
    },
    opened: (account) => quietly(devices(account)),
    ice: () => servers,
    stop: () => cancelRenewal(),
  };
}
