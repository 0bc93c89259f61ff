// The sections of a WebAssembly module (core specification, 5.5.2): a one-byte id, a length in LEB128, that many bytes.

/** The module without its custom sections: names of functions and the like, which only people read. */
export function withoutCustomSections(module) {
  const kept = [module.subarray(0, 8)];
  for (let at = 8; at < module.length; ) {
    const start = at;
    const id = module[at++];
    let length = 0;
    for (let shift = 0, byte = 0x80; byte & 0x80; shift += 7) {
      byte = module[at++];
      length += (byte & 0x7f) * 2 ** shift;
    }
    at += length;
    if (id !== 0) kept.push(module.subarray(start, at));
  }
  return Buffer.concat(kept);
}
