// The Node API as the page sees it: the same calls that a native peer serves at /node as JSON-RPC 2.0.
// The page draws this state and never touches the core, the store or the network itself.

/** Lower-case hexadecimal, 64 characters. */
export type Id = string;

/** How a device is reached, or how a message came. `own`: written on this device. */
export type Path = "own" | "none" | "tracker" | "relay" | "direct" | "lan";

/** What the connection pill shows; `reason` picks the sentence in the locale files. */
export interface Connection {
  state: "online" | "connecting" | "limited" | "offline";
  reason:
    | "ok" // the tracker answered within the last 30 s
    | "starting"
    | "tracker-connecting"
    | "tracker-unreachable" // peers: how many are still linked
    | "no-network"
    | "logged-out"
    | "other-tab" // no SharedWorker here, and another tab holds the lease
    | "storage-failed"; // the browser refuses or lost its storage
  /** Devices of other people that are linked now. */
  peers: number;
  /** When the next attempt is made, ms since 1970. */
  retryAt?: number;
}

export interface Channel {
  id: Id;
  /** Of a direct conversation: "@" and the name of the other one. */
  name: string;
  unread: number;
  type: "public" | "private" | "direct";
  /** This account is not in it any more: the row is to go. */
  left?: boolean;
}

/** One device of one person, as far as this node knows. */
export interface Peer {
  device: Id;
  account: string;
  label: string;
  /** `unknown`: the tracker cannot be asked and there is no link. */
  presence: "online" | "offline" | "unknown";
  /** The link in use now; "none" while connecting or away. */
  path: Path;
  connecting: boolean;
  rttMs?: number;
  seenAt?: number;
}

/** A device that holds a message of mine. */
export interface Holder {
  device: Id;
  account: string;
  replica: boolean;
  /** The link to it now. */
  path: Path;
}

/** Messages from..seq of an author that are missing before one that is here; from > seq: none any more. */
export interface Gap {
  channel: Id;
  author: Id;
  account: string;
  from: number;
  seq: number;
}

/** How a direct conversation stands: asked for by this account, by the other one, open, or ended and why. */
export interface Session {
  channel: Id;
  /** The other side. */
  account: string;
  session: string;
  state: "asked" | "asking" | "open" | "ended";
  reason: "none" | "declined" | "no-answer" | "cancelled" | "ended" | "logout" | "silence";
  /** What was said with the request. */
  line: string;
  /** Until when an answer is awaited, ms since 1970. */
  until: number;
}

/** What a moderator has decided (docs/protocol/wire.md, Moderation). */
export interface Decision {
  act: "ban" | "unban" | "hide" | "show" | "mute" | "unmute" | "slow" | "role" | "topic" | "name" | "kick" | "close";
  /** Who decided. */
  by: string;
  /** About whom. */
  account: string;
  /** Seconds, a role, or how many messages. */
  number: number;
  /** Until when, ms since 1970; 0: not for a time. */
  until: number;
  text: string;
}

export interface Message {
  id: Id;
  channel: Id;
  /** The author's device and account. */
  author: Id;
  account: string;
  seq: number;
  kind:
    | "text"
    | "join"
    | "leave"
    /** What the devices tell each other: certificates, keys, who may what. It says nothing to people. */
    | "control"
    /** What a moderator has done, see `decision`. */
    | "decision"
    | "unknown";
  text: string;
  /** The author's clock, ms since 1970. */
  time: number;
  /** Order: (place, author, seq). */
  place: number;
  mine: boolean;
  /** How it came here, from which device, when. */
  path: Path;
  from: Id;
  fromAccount: string;
  arrived: number;
  /** Own messages. pending: being written to disk. queued: on this disk only. handed: on the tracker's replica
   *  or another device of mine. delivered: on a device of somebody else. */
  mark?: "pending" | "queued" | "handed" | "delivered";
  /** Sent through the tracker's interface for programs, and signed by the tracker for this account. */
  web?: true;
  /** Sealed, and the key is not here (yet), or it is not to be shown before the conversation is accepted. */
  locked?: boolean;
  /** Its author was removed before all had it: it is shown no longer. */
  withdrawn?: boolean;
  /** A moderator has hidden it: its text is not here. */
  hidden?: boolean;
  decision?: Decision;
}

export interface Status {
  account: string;
  device: Id;
  connection: Connection;
  channels: Channel[];
  peers: Peer[];
  version: string;
  /** A trace is being recorded. */
  recording: boolean;
}

/** Every command answers or rejects with NodeError. */
export interface Commands {
  status(): Promise<Status>;
  /** Messages before `before` (all when missing), oldest first, at most `limit`. */
  history(params: { channel: Id; before?: { place: number; author: Id; seq: number }; limit: number }): Promise<{
    messages: Message[];
    more: boolean;
  }>;
  /** Resolves when the message is durable on this device. */
  send(params: { channel: Id; text: string }): Promise<Message>;
  /** What is missing now, and is being asked for. */
  gaps(params: { channel: Id }): Promise<Gap[]>;
  /** Which devices hold an own message. */
  holders(params: { channel: Id; seq: number }): Promise<Holder[]>;
  /** Everything up to `place` was seen, on all devices of this account; `unread`: what is after it is unread again. */
  markRead(params: { channel: Id; place: number; unread?: boolean }): Promise<void>;
  /** The direct conversation with an account; made when there is none. */
  open(params: { account: string }): Promise<{ channel: Id }>;
  sessions(): Promise<Session[]>;
  /** Asks the other side for a session, with a line of text that may be empty; events tell how it goes. */
  request(params: { channel: Id; line: string }): Promise<void>;
  accept(params: { channel: Id; session: string }): Promise<void>;
  decline(params: { channel: Id; session: string }): Promise<void>;
  /** Cancels one's request, or ends the session. */
  end(params: { channel: Id; session: string }): Promise<void>;
  /** Friends skip the question; who is blocked is not heard. */
  relate(params: { account: string; relation: "none" | "friend" | "blocked" }): Promise<void>;
  /** Try the tracker and the direct links again now. */
  retry(): Promise<void>;
  /** Records what goes into this device's core, which starts anew for it: for whoever looks for a fault. */
  traceStart(): Promise<void>;
  /** Ends the recording and gives it, for `weaprous trace`. It holds the secret key of this device and everything that
   *  was written. `full`: it is cut off where there was no more room. */
  traceStop(): Promise<{ file: Uint8Array<ArrayBuffer>; full: boolean }>;
  /** Forget the link to the tracker before the page logs out. */
  logout(): Promise<void>;
}

export interface News {
  type: string;
  [field: string]: unknown;
}

export interface Events {
  message: Message;
  /** Own messages from..seq of the channel are now at least this far. */
  delivered: { channel: Id; from: number; seq: number; mark: "handed" | "delivered" };
  gap: Gap;
  session: Session;
  peer: Peer;
  connection: Connection;
  channel: Channel;
  recording: { on: boolean };
  /** What the tracker tells of itself: a friend, a channel ...; "again": it was away, so ask anew. */
  news: News;
  warning: { code: string; text: string; device?: Id };
}

export interface NodeError {
  code: string;
  message: string;
}

export interface Node {
  commands: Commands;
  on<E extends keyof Events>(event: E, listener: (value: Events[E]) => void): () => void;
}
