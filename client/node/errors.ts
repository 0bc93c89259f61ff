import type { NodeError } from "./api";

/** An Error that is a NodeError too. */
export function nodeError(code: string, message: string): Error & NodeError {
  return Object.assign(new Error(message), { code });
}
