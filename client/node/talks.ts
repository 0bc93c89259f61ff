// Direct conversations: which there are, how they stand, and who is a friend or blocked. The core decides; here is
// what a browser has to remember for it and what a page is told.
import type { Relation } from "./commands";
import type { Action, ChannelSpec } from "./core";
import { nodeError } from "./errors";
import type { ChannelRow, RelationRow } from "./idb";
import type { Shell } from "./shell";
import type { Commands, Events, Id, NodeError, Session } from "./api";

export type TalkCommands = Pick<
  Commands, "open" | "sessions" | "request" | "accept" | "decline" | "end" | "relate"
>;

export interface TalkRows {
  channels(): Promise<ChannelRow[]>;
  saveChannel(channel: Id, changes: Partial<ChannelRow>): Promise<void>;
  relations(): Promise<RelationRow[]>;
  saveRelation(row: RelationRow): Promise<void>;
}

export interface Talks {
  commands: TalkCommands;
  /** Entries of this channel are sealed: what is stored is to be viewed by the core. */
  sealed(channel: Id): boolean;
  brought(channel: Id, spec: ChannelSpec, removed: boolean): void;
  session(action: Extract<Action, { kind: "session" }>): void;
  /** The core has its certificate: it is told again what it does not remember. */
  certified(): void;
  /** Accounts with which there is a direct conversation. */
  partners(): string[];
  relations(): Iterable<[string, Relation]>;
  /** As the command, by the tracker's word. */
  relate(account: string, relation: Relation): void;
}

export async function createTalks(options: {
  rows: TalkRows;
  account: string;
  shell: () => Shell;
  channelId: (spec: ChannelSpec) => Id;
  /** The tracker of now. */
  authority: () => Id | undefined;
  /** Somebody of this account can be reached, as far as is known. */
  online: (account: string) => boolean;
  changed: (session: Events["session"]) => void;
  /** There is a direct conversation with somebody. */
  opened: (channel: Id, other: string, authority: Id) => void;
}): Promise<Talks> {
  const { rows, account, shell, changed } = options;
  const specs = new Map<Id, ChannelSpec>();
  const sessions = new Map<Id, Session>();
  const relations = new Map((await rows.relations()).map((row) => [row.account, row.relation]));
  for (const row of await rows.channels()) if (row.spec) specs.set(row.channel, row.spec);

  function tryCommand(command: Parameters<Shell["command"]>[0]): void {
    try {
      shell().command(command);
    } catch (error) {
      // A channel of another tracker, or one that this account is not in any more.
      if ((error as NodeError).code === "CLOSED") throw error;
    }
  }

  function remember(channel: Id, spec: ChannelSpec | undefined): void {
    if (spec) specs.set(channel, spec);
    else specs.delete(channel);
    if (spec?.type === "direct") options.opened(channel, spec.account === account ? spec.other : spec.account, spec.authority);
    rows.saveChannel(channel, { spec }).catch(() => {});
  }

  async function relate(other: string, relation: Relation): Promise<void> {
    shell().command({ kind: "relation", account: other, relation });
    relations.set(other, relation);
    await rows.saveRelation({ account: other, relation });
  }

  const otherOf = (channel: Id): string => {
    const spec = specs.get(channel);
    if (spec?.type !== "direct") throw nodeError("NOT_FOUND", "This is no direct conversation.");
    return spec.account === account ? spec.other : spec.account;
  };

  return {
    sealed: (channel) => specs.has(channel),
    brought: (channel, spec, removed) => remember(channel, removed ? undefined : spec),
    session({ channel, account: other, session, state, reason, line, until }) {
      const row: Session = { channel, account: other, session, state, reason, line, until };
      sessions.set(channel, row);
      changed(row);
    },
    certified() {
      for (const [name, relation] of relations) tryCommand({ kind: "relation", account: name, relation });
      for (const spec of specs.values()) tryCommand({ kind: "open", spec });
    },
    partners: () => [...specs.keys()].flatMap((channel) => (specs.get(channel)?.type === "direct" ? [otherOf(channel)] : [])),
    relations: () => relations,
    relate(other, relation) {
      if ((relations.get(other) ?? "none") !== relation) relate(other, relation).catch(() => {});
    },
    commands: {
      async open({ account: other }) {
        const authority = options.authority();
        if (!authority) throw nodeError("WRONG_STATE", "No tracker has been here yet.");
        const spec: ChannelSpec = { type: "direct", authority, account, other };
        const channel = options.channelId(spec);
        if (!specs.has(channel)) {
          shell().command({ kind: "open", spec });
          remember(channel, spec);
        }
        return { channel };
      },
      sessions: async () => [...sessions.values()],
      async request({ channel, line }) {
        shell().command({ kind: "request", channel, line, online: options.online(otherOf(channel)) });
      },
      async accept({ channel, session }) {
        shell().command({ kind: "answer", channel, session, accept: true });
      },
      async decline({ channel, session }) {
        shell().command({ kind: "answer", channel, session, accept: false });
      },
      async end({ channel, session }) {
        shell().command({ kind: "end", channel, session });
      },
      relate: async ({ account: other, relation }) => relate(other, relation),
    },
  };
}
