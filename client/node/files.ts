// Files of this device: those that it holds (hashed as they stream by, read from where they are) and those that it
// fetches (leaf by leaf into the store, each with its proof, so that it can be served at once).
import { concat, type Bytes } from "./bytes";
import { nodeError } from "./errors";
import type { LeafStore } from "./shell";
import { HASH_BYTES, LEAF_BYTES, type Tree } from "./tree";
import type { Id } from "./api";

/** Where the bytes of a held file are: a Blob, or anything like it. */
export interface FileSource {
  size: number;
  read(from: number, upTo: number): Promise<Uint8Array>;
}

/** A file that is fetched, or was. */
export interface FileRow {
  root: Id;
  channel: Id;
  size: number;
}

export interface LeafRow {
  root: Id;
  leaf: number;
  bytes: Uint8Array;
  proof: Uint8Array;
}

/** Rows that outlive the browser; see store.ts. */
export interface FileRows {
  files(): Promise<FileRow[]>;
  saveFile(row: FileRow): Promise<void>;
  dropFile(root: Id): Promise<void>;
  leaf(root: Id, leaf: number): Promise<LeafRow | undefined>;
  saveLeaf(row: LeafRow): Promise<void>;
  /** The numbers of those that are here. */
  leaves(root: Id): Promise<number[]>;
}

export interface Files extends LeafStore {
  /** Hashes it, from the beginning to the end, and gives its root: it can be served from now on. */
  hold(source: FileSource): Promise<Id>;
  /** Remembers a file that is to be fetched; gives the leaves that are here already, one bit each. */
  begin(row: FileRow): Promise<Bytes>;
  /** The files to go on with after a start. */
  fetched(): Promise<FileRow[]>;
  /** A piece of a file whose leaves are all here, held or fetched. */
  read(root: Id, from: number, upTo: number): Promise<Uint8Array>;
  drop(root: Id): Promise<void>;
}

interface Held {
  source: FileSource;
  /** All hashes of the tree, by position. */
  side: Uint8Array;
}

async function hashAll(source: FileSource, tree: Tree): Promise<{ root: Id; side: Uint8Array }> {
  const builder = tree.begin(source.size);
  const side = new Uint8Array(tree.positions(source.size) * HASH_BYTES);
  try {
    for (let at = 0; at < source.size; at += LEAF_BYTES) {
      const bytes = await source.read(at, Math.min(source.size, at + LEAF_BYTES));
      for (const { position, hash } of builder.add(bytes)) side.set(hash, position * HASH_BYTES);
    }
  } catch (error) {
    builder.drop();
    throw error;
  }
  return { root: builder.root(), side };
}

function bitmapOf(leaves: number[], total: number): Bytes {
  const bits = new Uint8Array(Math.ceil(total / 8));
  for (const leaf of leaves) if (leaf < total) bits[leaf >> 3] = (bits[leaf >> 3] as number) | (1 << (leaf & 7));
  return bits;
}

export function createFiles(rows: FileRows, tree: Tree): Files {
  const held = new Map<Id, Held>();

  async function readHeld({ source, side }: Held, leaf: number): Promise<Uint8Array> {
    const from = leaf * LEAF_BYTES;
    const bytes = await source.read(from, Math.min(source.size, from + LEAF_BYTES));
    const hashes = tree.siblings(source.size, leaf).map((position) =>
      side.subarray(position * HASH_BYTES, (position + 1) * HASH_BYTES),
    );
    return concat(bytes, ...hashes);
  }

  /** The part from..upTo that lies in this leaf. */
  async function readPart(root: Id, leaf: number, from: number, upTo: number): Promise<Uint8Array> {
    const row = await rows.leaf(root, leaf);
    if (!row) throw nodeError("NOT_FOUND", "This part of the file is not here yet.");
    const start = leaf * LEAF_BYTES;
    return row.bytes.subarray(Math.max(0, from - start), upTo - start);
  }

  return {
    async hold(source) {
      const { root, side } = await hashAll(source, tree);
      held.set(root, { source, side });
      return root;
    },
    async begin(row) {
      await rows.saveFile(row);
      return bitmapOf(await rows.leaves(row.root), tree.leaves(row.size));
    },
    fetched: () => rows.files(),
    async readLeaf(root, leaf) {
      const own = held.get(root);
      if (own) return readHeld(own, leaf);
      const row = await rows.leaf(root, leaf);
      return row && concat(row.bytes, row.proof);
    },
    writeLeaf: (root, leaf, bytes, proof) => rows.saveLeaf({ root, leaf, bytes, proof }),
    async read(root, from, upTo) {
      const own = held.get(root);
      if (own) return own.source.read(from, upTo);
      const parts: Uint8Array[] = [];
      for (let leaf = Math.floor(from / LEAF_BYTES); leaf * LEAF_BYTES < upTo; leaf++) {
        parts.push(await readPart(root, leaf, from, upTo));
      }
      return concat(...parts);
    },
    async drop(root) {
      held.delete(root);
      await rows.dropFile(root);
    },
  };
}
