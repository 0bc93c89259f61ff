// What goes into the core while somebody records a trace (src/core/trace.h), kept in memory until it is wanted as a
// file. It begins with the making of a core and follows that one only: whoever looks for why it failed wants its end.
import { concat, type Bytes } from "./bytes";

export const RECORDING_BYTES_MAX = 64 * 1024 * 1024;

export interface Recording {
  /** For the first core that asks; undefined for those after it. */
  attach(): ((piece: Bytes) => void) | undefined;
  file(): Bytes;
  /** There was no room for all of it: it is cut off there. */
  full(): boolean;
}

export function createRecording(bytesMax = RECORDING_BYTES_MAX): Recording {
  const pieces: Bytes[] = [];
  let bytes = 0;
  let full = false;
  let attached = false;
  function take(piece: Bytes): void {
    full ||= bytes + piece.length > bytesMax;
    if (full) return;
    pieces.push(piece);
    bytes += piece.length;
  }
  return {
    attach() {
      if (attached) return undefined;
      attached = true;
      return take;
    },
    file: () => concat(...pieces),
    full: () => full,
  };
}
