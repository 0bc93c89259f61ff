// A second implementation of docs/protocol/wire.md, used only as an oracle: @noble/* for the primitives, cborg
// for CBOR, and nothing of src/core. Deterministic: every key, time and ephemeral is an argument.
import { decode, encode } from 'cborg';
import { blake2b } from '@noble/hashes/blake2b';
import { hmac } from '@noble/hashes/hmac';
import { ed25519, edwardsToMontgomeryPriv, edwardsToMontgomeryPub, x25519 } from '@noble/curves/ed25519';
import { chacha20poly1305, xchacha20poly1305 } from '@noble/ciphers/chacha';

export const text = (string) => new TextEncoder().encode(string);
export const hex = (bytes) => Buffer.from(bytes).toString('hex');
export const unhex = (string) => Uint8Array.from(Buffer.from(string, 'hex'));
export const concat = (...parts) => Uint8Array.from(parts.flatMap((part) => [...part]));
export const cbor = (value) => encode(value);
export const parse = (bytes) => decode(bytes);
export const hash = (...parts) => blake2b(concat(...parts), { dkLen: 32 });

export const DOMAIN = {
    certificate: 'weaprous.certificate.1',
    link: 'weaprous.link.1',
    entry: 'weaprous.entry.1',
    hello: 'weaprous.hello.1',
    receipt: 'weaprous.receipt.1',
};

export const device = (seed) => ed25519.getPublicKey(seed);
export const noiseSecret = (seed) => hash(text('weaprous.noise.1'), seed);
export const sign = (seed, domain, bytes) => ed25519.sign(concat(text(domain), hash(bytes)), seed);

export function certificate(authoritySeed, { account, device: subject, issued, expires }, domain = DOMAIN.certificate) {
    const fields = cbor([1, text(account), subject, device(authoritySeed), issued, expires]);
    return cbor([fields, sign(authoritySeed, domain, fields)]);
}

export const channelId = (authority, name) => hash(text('weaprous.channel.1'), authority, text(name));
export const privateId = (authority, founder, nonce) => hash(text('weaprous.private.1'), authority, founder, nonce);
export function directId(authority, ...accounts) {
    const [first, second] = accounts.map(text).sort((a, b) => Buffer.compare(a, b));
    return hash(text('weaprous.direct.1'), authority, Uint8Array.of(first.length), first, second);
}

// The hash tree of a file: levels of hashes, the leaves' first; where one is left over it moves up as it is.
export const LEAF_BYTES = 65536;
export class Tree {
    constructor(bytes) {
        const leaves = Array.from({ length: Math.ceil(bytes.length / LEAF_BYTES) }, (_, i) =>
            hash(Uint8Array.of(0), hash(bytes.subarray(LEAF_BYTES * i, LEAF_BYTES * (i + 1)))));
        this.levels = [leaves];
        for (let level = leaves; level.length > 1; this.levels.push(level)) {
            const pairs = [];
            for (let i = 0; i < level.length; i += 2) {
                pairs.push(i + 1 < level.length ? hash(Uint8Array.of(1), level[i], level[i + 1]) : level[i]);
            }
            level = pairs;
        }
        const size = new Uint8Array(8);
        new DataView(size.buffer).setBigUint64(0, BigInt(bytes.length));
        this.root = hash(Uint8Array.of(2), size, this.levels.at(-1)[0] ?? new Uint8Array(32));
    }
    // All hashes by their position: level 0 first, the top last.
    get hashes() {
        return this.levels.flat();
    }
    siblings(leaf) {
        const positions = [];
        let base = 0;
        this.levels.slice(0, -1).forEach((level, up) => {
            const beside = (leaf >> up) ^ 1;
            if (beside < level.length) positions.push(base + beside);
            base += level.length;
        });
        return positions;
    }
    proof(leaf) {
        return concat(...this.siblings(leaf).map((position) => this.hashes[position]));
    }
}

export function entry(seed, { kind, channel, seq, prev, time, body, author = device(seed) }, domain = DOMAIN.entry) {
    const fields = cbor([1, kind, channel, author, seq, prev, time, body]);
    return { fields, bytes: cbor([fields, sign(seed, domain, fields)]), id: hash(fields) };
}

// A spec as it stands in INTRODUCE; its parts in the order of docs/protocol/wire.md.
export const specBytes = (type, ...parts) => cbor([type, ...parts]);

export function receipt(seed, { channel, author, from, upto, time }) {
    const holder = device(seed);
    const fields = cbor([1, channel, author, from, upto, time, holder]);
    return [11, channel, author, from, upto, time, holder, sign(seed, DOMAIN.receipt, fields)];
}

// SipHash-1-3 (Aumasson, Bernstein 2012) under 16 bytes of key; a number of 64 bits.
export function sipHash(key, message) {
    const word = (bytes, at = 0) => new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(at, true);
    const short = (n) => BigInt.asUintN(64, n);
    const turn = (n, by) => short((n << by) | (n >> (64n - by)));
    const [k0, k1] = [word(key), word(key, 8)];
    let [a, b, c, d] = [k0 ^ 0x736f6d6570736575n, k1 ^ 0x646f72616e646f6dn, k0 ^ 0x6c7967656e657261n, k1 ^ 0x7465646279746573n];
    const round = () => {
        [a, c] = [short(a + b), short(c + d)];
        [b, d] = [turn(b, 13n) ^ a, turn(d, 16n) ^ c];
        a = turn(a, 32n);
        [c, a] = [short(c + b), short(a + d)];
        [b, d] = [turn(b, 17n) ^ c, turn(d, 21n) ^ a];
        c = turn(c, 32n);
    };
    const whole = message.length - (message.length % 8);
    const last = new Uint8Array(8);
    last.set(message.slice(whole));
    last[7] = message.length & 255;
    const words = [...Array(whole / 8).keys()].map((i) => word(message, 8 * i));
    for (const m of [...words, word(last)]) {
        d ^= m;
        round();
        a ^= m;
    }
    c ^= 0xffn;
    for (let i = 0; i < 3; i++) round();
    return a ^ b ^ c ^ d;
}

// The sums of a DIGEST: heads are [device, id of the last entry that is held]; the key is of the link's handshake.
export function digestSums(handshakeHash, heads) {
    const sums = new BigUint64Array(256); // modulo 2^64
    for (const [author, id] of heads) sums[author[0]] += sipHash(handshakeHash.slice(0, 16), id.slice(0, 8));
    const bytes = new Uint8Array(2048);
    sums.forEach((sum, i) => new DataView(bytes.buffer).setBigUint64(8 * i, sum));
    return bytes;
}

// --- sealed channels ---

const first16 = (bytes) => bytes.slice(0, 16);
export const epochId = (channel, { number, roster, created, key }) =>
    first16(hash(text('weaprous.epoch.1'), channel, cbor([number, roster, created]), key));
const ephemeralOf = (key, salt) => hash(text('weaprous.ephemeral.1'), key, salt);
const boxKey = (shared, ephemeral, holder) => hash(text('weaprous.box.1'), shared, ephemeral, holder);
const ZERO_NONCE = new Uint8Array(12);

function box(channel, epoch, salt, holder) {
    const secret = ephemeralOf(epoch.key, salt);
    const shared = x25519.getSharedSecret(secret, edwardsToMontgomeryPub(holder));
    const key = boxKey(shared, x25519.getPublicKey(secret), holder);
    return chacha20poly1305(key, ZERO_NONCE, concat(channel, epochId(channel, epoch))).encrypt(epoch.key);
}

// The body of a KEY entry.
export function keyBody(channel, epoch, salt, holders, certificates = []) {
    const { number, roster, created } = epoch;
    const boxes = holders.flatMap((holder) => [holder, box(channel, epoch, salt, holder)]);
    return cbor([epochId(channel, epoch), number, roster, created, salt, x25519.getPublicKey(ephemeralOf(epoch.key, salt)), boxes, certificates]);
}

// The epoch that a KEY entry's body gives to the holder of the seed, or undefined.
export function openKey(channel, body, seed) {
    const [id, number, roster, created, , ephemeral, boxes] = decode(body);
    for (let i = 0; i < boxes.length; i += 2) {
        if (hex(boxes[i]) !== hex(device(seed))) continue;
        const shared = x25519.getSharedSecret(edwardsToMontgomeryPriv(seed), ephemeral);
        const cipher = chacha20poly1305(boxKey(shared, ephemeral, boxes[i]), ZERO_NONCE, concat(channel, id));
        return { number, roster, created, key: cipher.decrypt(boxes[i + 1]), id };
    }
    return undefined;
}
// What was sealed in an entry's fields.
export function openBody(epoch, fields) {
    const [version, kind, channel, author, seq, prev, time, body] = decode(fields);
    const [, nonce, sealed] = decode(body);
    return xchacha20poly1305(epoch.key, nonce, cbor([version, kind, channel, author, seq, prev, time])).decrypt(sealed);
}

function seal(channel, epoch, nonce, about, plain) {
    return cbor([epochId(channel, epoch), nonce, xchacha20poly1305(epoch.key, nonce, about).encrypt(plain)]);
}
// All fields of the entry but its body are bound to it.
export const sealedBody = (epoch, nonce, { kind, channel, author, seq, prev, time }, plain) =>
    seal(channel, epoch, nonce, cbor([1, kind, channel, author, seq, prev, time]), plain);
export const sealedLine = (epoch, nonce, channel, author, line) =>
    seal(channel, epoch, nonce, concat(text('weaprous.line.1'), channel, author), line);

export function sessionId(channel, author, seq) {
    const number = new Uint8Array(4);
    new DataView(number.buffer).setUint32(0, seq);
    return first16(hash(text('weaprous.session.1'), channel, author, number));
}
export const memberBody = (account, on, number, writerCertificate, firstEpoch, cuts) =>
    cbor([text(account), on ? 1 : 0, number, writerCertificate, firstEpoch, cuts]);

// Noise_XX_25519_ChaChaPoly_BLAKE2b, revision 34, with fixed ephemerals.
const NAME = 'Noise_XX_25519_ChaChaPoly_BLAKE2b';
const EMPTY = new Uint8Array(0);

class CipherState {
    constructor(key) {
        this.key = key;
        this.counter = 0n;
    }
    nonce() {
        const nonce = new Uint8Array(12);
        new DataView(nonce.buffer).setBigUint64(4, this.counter++, true);
        return nonce;
    }
    seal(associated, plain) {
        return this.key ? chacha20poly1305(this.key, this.nonce(), associated).encrypt(plain) : plain;
    }
    open(associated, sealed) {
        return this.key ? chacha20poly1305(this.key, this.nonce(), associated).decrypt(sealed) : sealed;
    }
}

export class Handshake {
    constructor({ initiator, prologue, staticSecret, ephemeralSecret }) {
        this.initiator = initiator;
        this.s = { secret: staticSecret, public: x25519.getPublicKey(staticSecret) };
        this.e = { secret: ephemeralSecret, public: x25519.getPublicKey(ephemeralSecret) };
        // The name is shorter than HASHLEN (64): padded with zeros instead of hashed (5.2).
        this.h = new Uint8Array(64);
        this.h.set(text(NAME));
        this.ck = this.h;
        this.cipher = new CipherState(null);
        this.mix(prologue);
    }
    mix(bytes) {
        this.h = blake2b(concat(this.h, bytes), { dkLen: 64 });
    }
    derive(input) {
        const temporary = hmac(blake2b, this.ck, input);
        const one = hmac(blake2b, temporary, Uint8Array.of(1));
        const two = hmac(blake2b, temporary, concat(one, Uint8Array.of(2)));
        return [one, two];
    }
    mixKey(input) {
        const [ck, key] = this.derive(input);
        this.ck = ck;
        this.cipher = new CipherState(key.slice(0, 32));
    }
    sealAndMix(plain) {
        const sealed = this.cipher.seal(this.h, plain);
        this.mix(sealed);
        return sealed;
    }
    openAndMix(sealed) {
        const plain = this.cipher.open(this.h, sealed);
        this.mix(sealed);
        return plain;
    }
    dh(token) {
        const [mine, theirs] = this.initiator ? token : [token[1], token[0]];
        this.mixKey(x25519.getSharedSecret(this[mine].secret, this[`r${theirs}`]));
    }
    // tokens: those of one line of the pattern, for instance ['e', 'ee', 's', 'es'].
    write(tokens, payload) {
        const parts = tokens.map((token) => {
            if (token === 'e') {
                this.mix(this.e.public);
                return this.e.public;
            }
            if (token === 's') return this.sealAndMix(this.s.public);
            this.dh(token);
            return EMPTY;
        });
        return concat(...parts, this.sealAndMix(payload));
    }
    read(tokens, message) {
        let rest = message;
        const take = (length) => {
            const part = rest.slice(0, length);
            rest = rest.slice(length);
            return part;
        };
        for (const token of tokens) {
            if (token === 'e') {
                this.re = take(32);
                this.mix(this.re);
            } else if (token === 's') {
                this.rs = this.openAndMix(take(this.cipher.key ? 48 : 32));
            } else {
                this.dh(token);
            }
        }
        return this.openAndMix(rest);
    }
    // What to send with and what to receive with.
    split() {
        const [one, two] = this.derive(EMPTY).map((key) => new CipherState(key.slice(0, 32)));
        return this.initiator ? { send: one, receive: two } : { send: two, receive: one };
    }
}

export const XX = [['e'], ['e', 'ee', 's', 'es'], ['s', 'se']];

// All messages of a published vector: the first three are the handshake, the others alternate in direction.
export function noiseTranscript({ prologue, initiator, responder, payloads }) {
    const sides = [initiator, responder].map(
        (keys, index) =>
            new Handshake({ initiator: index === 0, prologue, staticSecret: keys.static, ephemeralSecret: keys.ephemeral }),
    );
    let ciphers;
    const messages = payloads.map((payload, index) => {
        const from = index % 2;
        if (index < 3) {
            const message = sides[from].write(XX[index], payload);
            sides[1 - from].read(XX[index], message);
            if (index === 2) ciphers = sides.map((side) => side.split());
            return message;
        }
        const sealed = ciphers[from].send.seal(EMPTY, payload);
        ciphers[1 - from].receive.open(EMPTY, sealed);
        return sealed;
    });
    return { messages, handshakeHash: sides[0].h };
}

export const frame = (bytes) => concat(Uint8Array.of(bytes.length >> 8, bytes.length & 255), bytes);
// versions: the oldest one in the low half of the byte, how many newer ones in the high half.
export const preface = (versions) => concat(text('wprs'), Uint8Array.of(versions));
export const PREFACE = preface(1);
