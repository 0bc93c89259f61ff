// The core in a browser, given what bench-core has recorded: the same entries, the same actions, no store. Beside
// it, in turns, libsodium's verify alone.
import sodium from "libsodium-wrappers";
import { fromHex } from "../../client/node/bytes";
import { instantiateCore, type Core } from "../../client/node/core";

interface Recorded {
  entries: number;
  delivered: number;
  now_ms: number;
  part_ms: number;
  identity_seed: string;
  random_seed: string;
  certificate: string;
  channel: string;
  tracker: string;
  name: string;
  binding: string;
}

const LINK = 1;
const PARTS_OF_ROUND = 8;
const bytesOf = (hex: string): Uint8Array<ArrayBuffer> => fromHex(hex) ?? new Uint8Array(0);

/** The inputs: each with its length before it, 4 bytes, little-endian. */
function* parts(input: Uint8Array): Generator<Uint8Array> {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  for (let at = 0; at < input.length; ) {
    const length = view.getUint32(at, true);
    yield input.subarray(at + 4, at + 4 + length);
    at += 4 + length;
  }
}

/** Milliseconds that `count` signatures of entries take. */
function createVerify(): (count: number) => number {
  const made = Array.from({ length: 64 }, (_, i) => {
    const { publicKey, privateKey } = sodium.crypto_sign_seed_keypair(new Uint8Array(32).fill(i));
    const message = sodium.randombytes_buf(48);
    return { message, publicKey, signature: sodium.crypto_sign_detached(message, privateKey) };
  });
  return (count) => {
    const before = performance.now();
    for (let i = 0; i < count; i++) {
      const { message, publicKey, signature } = made[i % made.length] as (typeof made)[number];
      if (!sodium.crypto_sign_verify_detached(signature, message, publicKey)) throw new Error("a signature is false");
    }
    return performance.now() - before;
  };
}

function give(core: Core, part: Uint8Array, now: number): number {
  let delivered = 0;
  for (let rest = part; rest.length > 0; ) {
    const { used, state } = core.receive(LINK, rest, now);
    if (state === "dead") throw new Error("the link was closed");
    rest = rest.subarray(used);
    delivered += drain(core, now);
  }
  core.tick(now);
  while (core.transmit(LINK, 64 * 1024, now)) continue;
  return delivered + drain(core, now);
}

function drain(core: Core, now: number): number {
  let delivered = 0;
  for (let action = core.next(); action; action = core.next()) {
    if (action.kind === "store") core.done(action.token, now);
    if (action.kind === "deliver") delivered++;
  }
  return delivered;
}

export async function apply(recorded: Recorded): Promise<{ apply_per_second: number; verify_per_second: number }> {
  await sodium.ready;
  const [wasm, record] = await Promise.all(["/core.wasm", "/record"].map(async (path) => (await fetch(path)).arrayBuffer()));
  const tools = instantiateCore(new WebAssembly.Module(wasm as ArrayBuffer), sodium);
  let now = recorded.now_ms;
  const { channel, tracker: authority, name, binding } = recorded;
  const core = tools.create({ identitySeed: bytesOf(recorded.identity_seed), randomSeed: bytesOf(recorded.random_seed) }, now);
  core.command({ kind: "certificate", bytes: bytesOf(recorded.certificate) }, now);
  core.command({ kind: "join", channel, authority, name }, now);
  let delivered = drain(core, now);
  core.linkUp(LINK, { path: "direct", initiator: false, binding }, now);

  const verify = createVerify();
  const inputs = [...parts(new Uint8Array(record as ArrayBuffer))];
  const total = { apply: 0, verify: 0, verified: 0 };
  for (let from = 0; from < inputs.length; from += PARTS_OF_ROUND) {
    const before = performance.now();
    for (const part of inputs.slice(from, from + PARTS_OF_ROUND)) {
      if (part.length > 4096) now += recorded.part_ms;
      delivered += give(core, part, now);
    }
    total.apply += performance.now() - before;
    const count = Math.round((recorded.entries * PARTS_OF_ROUND) / inputs.length);
    total.verify += verify(count);
    total.verified += count;
  }
  if (delivered !== recorded.delivered) throw new Error(`${delivered} of ${recorded.delivered} entries were delivered`);
  return {
    apply_per_second: (recorded.entries * 1000) / total.apply,
    verify_per_second: (total.verified * 1000) / total.verify,
  };
}
