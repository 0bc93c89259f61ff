// The loop of every shell (src/core/node.h): inputs go into the core, its actions are carried out, bytes move
// between links and pipes, stores are committed in groups.
//
// Order of one turn: an input; all actions; links that were busy are tried again; pipes with room are filled;
// then whatever has to be written goes to disk as one transaction, and only its end lets the core acknowledge.
import type { Clock } from "./clock";
import {
  TRANSMIT_MAX, TRANSMIT_ROOM,
  type Action, type Command, type Core, type Entry, type LinkInfo,
} from "./core";
import type { Bytes } from "./bytes";
import { nodeError } from "./errors";
import type { Id } from "./api";

/** What carries the bytes of one link. */
export interface Pipe {
  /** Bytes that it would take now; call shell.writable(link) when that grows again. */
  room(): number;
  write(bytes: Bytes): void;
  close(text: string): void;
}

export interface StoreRequest {
  token: number;
  channel: Id;
  record: Bytes;
  entry?: Entry;
}

export interface EntryKey {
  channel: Id;
  author: Id;
  seq: number;
}

export interface ShellStore {
  /** Resolves when all rows are on disk, in order; rejects when none of them is. */
  commit(rows: StoreRequest[]): Promise<void>;
  read(keys: EntryKey[]): Promise<(Uint8Array | undefined)[]>;
}

/** Leaves of files. */
export interface LeafStore {
  /** The leaf and behind it its proof; undefined when it is not there any more. */
  readLeaf(root: Id, leaf: number): Promise<Uint8Array | undefined>;
  /** Resolves when both are on disk. */
  writeLeaf(root: Id, leaf: number, bytes: Bytes, proof: Bytes): Promise<void>;
}

/** Actions that are not the shell's own business. */
export type NodeAction = Exclude<
  Action, { kind: "store" | "read" | "writable" | "close" | "file-read" | "file-write" }
>;

export interface ShellHooks {
  /** Without it no file can be held or fetched. */
  leaves?: LeafStore;
  action(action: NodeAction): void;
  /** An entry is about to be written. */
  storing?(entry: Entry): void;
  /** A group was written, or failed with what was thrown. */
  committed?(rows: StoreRequest[], error?: unknown): void;
  linkClosed?(link: number, code: string, text: string): void;
  /** The core trapped or a hook threw: this shell is over, a new one is to be made from the store. */
  crashed?(error: unknown): void;
}

export interface Shell {
  linkUp(info: LinkInfo, pipe: Pipe): number;
  /** The pipe is gone. */
  linkDown(link: number): void;
  receive(link: number, bytes: Uint8Array): void;
  writable(link: number): void;
  command(command: Command): number;
  /** Stops all timers, closes every pipe, destroys the core. Nothing is called back any more. */
  stop(text: string): void;
}

type FileJob = Extract<Action, { kind: "file-read" | "file-write" }>;

interface Link {
  pipe: Pipe;
  /** Came out of the pipe and could not be taken yet. */
  inbox: Uint8Array[];
  inboxBytes: number;
  ready: boolean;
}

const INBOX_BYTES_MAX = 8 * 1024 * 1024;
const COMMIT_ROWS_MAX = 512;

export function createShell(core: Core, store: ShellStore, clock: Clock, hooks: ShellHooks): Shell {
  const links = new Map<number, Link>();
  const stores: StoreRequest[] = [];
  const reads: (EntryKey & { token: number })[] = [];
  const fileJobs: FileJob[] = [];
  let nextLink = 1;
  let turning = false;
  let again = false;
  let committing = false;
  let stopped = false;
  let cancelTimer = (): void => {};

  function carryOut(action: Action): void {
    switch (action.kind) {
      case "store":
        stores.push(action);
        if (action.entry) hooks.storing?.(action.entry);
        return;
      case "read":
        reads.push(action);
        return;
      case "writable": {
        const link = links.get(action.link);
        if (link) link.ready = true;
        return;
      }
      case "close": {
        const link = links.get(action.link);
        links.delete(action.link);
        core.linkDown(action.link, clock.now());
        link?.pipe.close(action.text);
        if (link) hooks.linkClosed?.(action.link, action.code, action.text);
        return;
      }
      case "file-read":
      case "file-write":
        fileJobs.push(action);
        return;
      default:
        hooks.action(action);
    }
  }

  function drainActions(): boolean {
    let some = false;
    for (let action = core.next(); action && !stopped; action = core.next()) {
      some = true;
      carryOut(action);
    }
    return some;
  }

  /** Gives the core what is waiting in the inbox; true when it took any of it. */
  function feed(number: number, link: Link): boolean {
    let progress = false;
    while (link.inbox.length > 0) {
      const bytes = link.inbox[0] as Uint8Array;
      const { used, state } = core.receive(number, bytes, clock.now());
      progress ||= used > 0 || state !== "busy";
      if (state === "dead") {
        link.inbox = [];
        link.inboxBytes = 0;
        break;
      }
      link.inboxBytes -= used;
      if (used < bytes.length) link.inbox[0] = bytes.subarray(used);
      else link.inbox.shift();
      if (state === "busy" || used === 0) break;
    }
    return progress;
  }

  function feedAll(): boolean {
    let progress = false;
    for (const [number, link] of links) if (link.inbox.length > 0 && feed(number, link)) progress = true;
    return progress;
  }

  /** Fills the pipes in turns, one piece each, so that one link with a lot to say does not hold up the others. */
  function transmitAll(): boolean {
    let some = false;
    for (let progress = true; progress; ) {
      progress = false;
      for (const [number, link] of links) {
        if (!link.ready) continue;
        const room = link.pipe.room();
        if (room < TRANSMIT_ROOM) continue;
        const bytes = core.transmit(number, Math.min(room, TRANSMIT_MAX), clock.now());
        if (bytes) link.pipe.write(bytes);
        else link.ready = false;
        progress = true;
        some = true;
      }
    }
    return some;
  }

  function finishCommit(rows: StoreRequest[], error?: unknown): void {
    committing = false;
    if (stopped) return;
    const failed = error === undefined ? {} : { failed: failureOf(error) };
    for (const row of rows) core.done(row.token, clock.now(), failed);
    hooks.committed?.(rows, error);
    turn();
  }

  /** One transaction at a time; what comes meanwhile goes into the next one, in order. */
  function startCommit(): void {
    if (committing || stores.length === 0) return;
    committing = true;
    const rows = stores.splice(0, COMMIT_ROWS_MAX);
    store.commit(rows).then(
      () => finishCommit(rows),
      (error: unknown) => finishCommit(rows, error ?? new Error("the transaction failed")),
    );
  }

  function startReads(): void {
    if (reads.length === 0) return;
    const keys = reads.splice(0);
    const answer = (records: (Uint8Array | undefined)[]): void => {
      if (stopped) return;
      keys.forEach((key, i) => {
        const record = records[i];
        core.done(key.token, clock.now(), record ? { record } : { failed: "NOT_FOUND" });
      });
      turn();
    };
    store.read(keys).then(answer, () => answer([]));
  }

  async function doFileJob(job: FileJob, leaves: LeafStore): Promise<{ failed?: string; record?: Uint8Array }> {
    try {
      if (job.kind === "file-write") {
        await leaves.writeLeaf(job.root, job.leaf, job.bytes, job.proof);
        return {};
      }
      const record = await leaves.readLeaf(job.root, job.leaf);
      return record ? { record } : { failed: "NOT_FOUND" };
    } catch (error) {
      return { failed: failureOf(error) };
    }
  }

  /** Each by itself: the core bounds how many there are at one time. */
  function startFileJobs(): void {
    for (const job of fileJobs.splice(0)) {
      const done = hooks.leaves ? doFileJob(job, hooks.leaves) : Promise.resolve({ failed: "NOT_FOUND" });
      void done.then((result) => {
        if (stopped) return;
        core.done(job.token, clock.now(), result);
        turn();
      });
    }
  }

  function setTimer(): void {
    cancelTimer();
    const due = core.deadline();
    if (due === Number.POSITIVE_INFINITY) return;
    cancelTimer = clock.after(due - clock.now(), () => {
      if (stopped) return;
      core.tick(clock.now());
      turn();
    });
  }

  function turn(): void {
    if (stopped) return;
    if (turning) {
      again = true; // called from a pipe or a hook: the turn that is under way goes round once more
      return;
    }
    turning = true;
    try {
      do {
        again = false;
        while (!stopped && (drainActions() || feedAll() || transmitAll())) continue;
      } while (again && !stopped);
      if (!stopped) {
        startCommit();
        startReads();
        startFileJobs();
        setTimer();
      }
    } catch (error) {
      stop("the core failed");
      hooks.crashed?.(error);
    } finally {
      turning = false;
      if (stopped) core.destroy();
    }
  }

  function stop(text: string): void {
    if (stopped) return;
    stopped = true;
    cancelTimer();
    for (const link of links.values()) link.pipe.close(text);
    links.clear();
    if (!turning) core.destroy(); // else at the end of the turn that is under way
  }

  return {
    linkUp(info, pipe) {
      if (stopped) throw nodeError("CLOSED", "The node was closed.");
      const number = nextLink++;
      core.linkUp(number, info, clock.now());
      links.set(number, { pipe, inbox: [], inboxBytes: 0, ready: false });
      turn();
      return number;
    },
    linkDown(number) {
      if (!links.delete(number) || stopped) return;
      core.linkDown(number, clock.now());
      turn();
    },
    receive(number, bytes) {
      const link = links.get(number);
      if (!link || stopped || bytes.length === 0) return;
      link.inbox.push(bytes);
      link.inboxBytes += bytes.length;
      if (link.inboxBytes > INBOX_BYTES_MAX) {
        links.delete(number);
        core.linkDown(number, clock.now());
        link.pipe.close("too much was sent at once");
        hooks.linkClosed?.(number, "FULL", "too much was sent at once");
      }
      turn();
    },
    writable(number) {
      if (links.get(number)?.ready) turn();
    },
    command(command) {
      if (stopped) throw nodeError("CLOSED", "The node was closed.");
      const token = core.command(command, clock.now());
      turn();
      return token;
    },
    stop,
  };
}

function failureOf(error: unknown): string {
  return error instanceof DOMException && error.name === "QuotaExceededError" ? "DISK_FULL" : "IO";
}
