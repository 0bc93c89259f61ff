// Hash trees of files (src/core/tree.h), over the core's exports. A file is hashed leaf by leaf as it streams by; the
// hashes stand at numbered positions of one side file, from which the proof of any leaf is read.
import { toHex, type Bytes } from "./bytes";
import { cborDecode, cborEncode } from "./cbor";
import { idToBytes } from "./commands";
import type { Id } from "./api";

export const LEAF_BYTES = 64 * 1024;
export const HASH_BYTES = 32;

export interface TreeNode {
  position: number;
  hash: Bytes;
}

/** Ends with root() or drop(). */
export interface TreeBuilder {
  /** The next leaf: LEAF_BYTES, but for the last one. Gives the hashes that are known by it. */
  add(leaf: Uint8Array): TreeNode[];
  root(): Id;
  drop(): void;
}

export interface Tree {
  leaves(size: number): number;
  /** How many hashes a side file has. */
  positions(size: number): number;
  /** Where the hashes of the leaf's proof stand, in the proof's order. */
  siblings(size: number, leaf: number): number[];
  verify(root: Id, size: number, leaf: number, bytes: Uint8Array, proof: Uint8Array): boolean;
  begin(size: number): TreeBuilder;
}

export interface TreeExports {
  w_tree_leaves(size: number): number;
  w_tree_positions(size: number): number;
  w_tree_siblings(size: number, leaf: number): number;
  w_tree_verify(length: number): number;
  w_tree_begin(size: number): number;
  w_tree_add(builder: number, length: number): number;
  w_tree_root(builder: number): number;
  w_tree_drop(builder: number): void;
}

/** `checked` throws for an error; `take` copies from the output, `give` fills the input. */
export function createTree(
  exports: TreeExports,
  border: { checked(result: number): number; take(length: number): Bytes; give(bytes: Uint8Array): number },
): Tree {
  const { checked, take, give } = border;
  return {
    leaves: (size) => checked(exports.w_tree_leaves(size)),
    positions: (size) => checked(exports.w_tree_positions(size)),
    siblings: (size, leaf) => cborDecode(take(checked(exports.w_tree_siblings(size, leaf)))) as number[],
    verify: (root, size, leaf, bytes, proof) =>
      checked(exports.w_tree_verify(give(cborEncode([idToBytes(root), size, leaf, bytes as Bytes, proof as Bytes])))) === 1,
    begin(size) {
      const builder = checked(exports.w_tree_begin(size));
      const drop = (): void => exports.w_tree_drop(builder);
      return {
        add(leaf) {
          const row = cborDecode(take(checked(exports.w_tree_add(builder, give(leaf))))) as (number | Bytes)[];
          const nodes: TreeNode[] = [];
          for (let i = 0; i < row.length; i += 2) nodes.push({ position: row[i] as number, hash: row[i + 1] as Bytes });
          return nodes;
        },
        root() {
          const root = toHex(take(checked(exports.w_tree_root(builder))));
          drop();
          return root;
        },
        drop,
      };
    },
  };
}
