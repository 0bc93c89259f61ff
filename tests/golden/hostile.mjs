// Hostile Ed25519 signatures, by class. On these, verifiers in use disagree with each other; the protocol's verdict
// is libsodium's (docs/protocol/wire.md), written out here as a rule, so that the expected values do not come from
// libsodium itself: S < L; A and R not of small order; A canonical; R equal, byte for byte, to SB - hA.
import { ed25519, ED25519_TORSION_SUBGROUP } from '@noble/curves/ed25519';
import { sha512 } from '@noble/hashes/sha512';
import { concat, text, unhex } from './oracle.mjs';

const Point = ed25519.ExtendedPoint;
const L = ed25519.CURVE.n;
const P = 2n ** 255n - 19n;

const littleEndian = (number) => {
    const bytes = new Uint8Array(32);
    for (let i = 0; i < 32; i++) bytes[i] = Number((number >> BigInt(8 * i)) & 255n);
    return bytes;
};
const toNumber = (bytes) => bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
const challenge = (R, A, message) => toNumber(sha512(concat(R, A, message))) % L;
const multiply = (point, scalar) => (scalar === 0n ? Point.ZERO : point.multiplyUnsafe(scalar));
const isCanonical = (bytes) => (toNumber(bytes) & (2n ** 255n - 1n)) < P;
// zip215 decoding: also takes y >= p.
const decode = (bytes) => Point.fromHex(bytes, true);
const isSmall = (point) => point.isSmallOrder();

export function verdict(A, signature, message) {
    const R = signature.slice(0, 32);
    const S = toNumber(signature.slice(32));
    if (S >= L || !isCanonical(A)) return false;
    try {
        const point = decode(A);
        if (isSmall(point) || isSmall(decode(R))) return false;
        const expected = multiply(Point.BASE, S % L).add(multiply(point.negate(), challenge(R, A, message)));
        return Buffer.from(expected.toRawBytes()).equals(Buffer.from(R));
    } catch {
        return false; // not a point
    }
}

// The cofactored equation of ZIP 215, to show that a case is one on which verifiers really differ.
function cofactored(A, R, S, message) {
    const left = multiply(Point.BASE, S % L);
    const right = decode(R).add(multiply(decode(A), challenge(R, A, message)));
    return left.subtract(right).multiplyUnsafe(8n).equals(Point.ZERO);
}

const TORSION = ED25519_TORSION_SUBGROUP.map((bytes) => Point.fromHex(bytes, true));
const SMALL = TORSION.filter((point) => !point.equals(Point.ZERO));
const EIGHT = TORSION.find((point) => !point.multiplyUnsafe(4n).equals(Point.ZERO)); // order 8
// y = 1 and y = 0, written as y + p: two points of small order in a non-canonical spelling.
const ONE_AGAIN = littleEndian(1n + P);
const ZERO_AGAIN = littleEndian(P);

const secret = 0x1234567890abcdef1234567890abcdefn;
const nonce = 0xfedcba0987654321fedcba0987654321n;
const KEY = Point.BASE.multiply(secret);

// A message for which `wanted` holds; the counter makes the search deterministic.
function search(label, wanted) {
    for (let i = 0; i < 10000; i++) {
        const message = text(`${label} ${i}`);
        if (wanted(message)) return message;
    }
    throw new Error(`no message found for: ${label}`);
}

// S for a key `secret * B + torsion` and R = `nonce * B + torsion`.
const respond = (R, A, message) => (nonce + challenge(R, A, message) * secret) % L;

function build(name, label, A, R, scalar, wanted = () => true) {
    const message = search(label, (candidate) => wanted(A, R, scalar(candidate), candidate));
    return { name, A, signature: concat(R, littleEndian(scalar(message))), message };
}

export function hostileCases() {
    const raw = (point) => point.toRawBytes();
    const mixedKey = raw(KEY.add(EIGHT));
    const mixedR = raw(Point.BASE.multiply(nonce).add(EIGHT));
    const honestR = raw(Point.BASE.multiply(nonce));
    const honestKey = raw(KEY);
    const cofactorless = (A, R, S, message) => {
        const expected = multiply(Point.BASE, S % L).subtract(multiply(decode(A), challenge(R, A, message)));
        return expected.equals(decode(R));
    };
    const onlyCofactored = (...args) => cofactored(...args) && !cofactorless(...args);
    const S = (R, A) => (message) => respond(R, A, message);
    const cases = [
        build('honest', 'honest', honestKey, honestR, S(honestR, honestKey)),
        build('0: A and R of small order, S = 0', 'zero', raw(SMALL[0]), raw(SMALL[1]), () => 0n, cofactored),
        build('1: A of small order, R of full order', 'small A', raw(EIGHT), honestR, () => nonce, cofactored),
        build('2: A of mixed order, R of small order', 'small R', mixedKey, raw(SMALL[2]),
            (message) => (challenge(raw(SMALL[2]), mixedKey, message) * secret) % L, cofactored),
        build('3: A and R of mixed order, both equations hold', 'mixed', mixedKey, mixedR, S(mixedR, mixedKey), cofactorless),
        build('4: A and R of mixed order, only the cofactored equation holds', 'mixed 8', mixedKey, mixedR,
            S(mixedR, mixedKey), onlyCofactored),
        build('5: A of mixed order, R of full order, only the cofactored equation holds', 'mixed A', mixedKey, honestR,
            S(honestR, mixedKey), onlyCofactored),
        build('6: S = S + L', 'large S', honestKey, honestR, (message) => respond(honestR, honestKey, message) + L),
        build('7: S = S + 14 L, near the largest that fits', 'largest S', honestKey, honestR,
            (message) => respond(honestR, honestKey, message) + 14n * L),
        build('8: R not canonical, of small order', 'long R', mixedKey, ONE_AGAIN,
            (message) => (challenge(ONE_AGAIN, mixedKey, message) * secret) % L, cofactored),
        build('9: R not canonical, checked against a hash of the short spelling', 'reduced R', honestKey, ONE_AGAIN,
            (message) => (challenge(raw(Point.ZERO), honestKey, message) * secret) % L),
        build('10: A not canonical, of small order', 'long A', ONE_AGAIN, honestR, () => nonce, cofactored),
        build('11: A not canonical, of order 4', 'long A 4', ZERO_AGAIN, honestR, () => nonce, cofactored),
    ];
    const honest = cases[0];
    cases.push({ ...honest, name: 'one bit of R flipped', signature: flip(honest.signature, 3) });
    cases.push({ ...honest, name: 'one bit of S flipped', signature: flip(honest.signature, 300) });
    cases.push({ ...honest, name: 'one bit of the message flipped', message: flip(honest.message, 1) });
    cases.push({ ...honest, name: 'the sign bit of A flipped', A: flip(honest.A, 255) });
    cases.push({ ...honest, name: 'A is no point', A: unhex('02' + '00'.repeat(31)) });
    return cases.map((item) => ({ ...item, valid: verdict(item.A, item.signature, item.message) }));
}

export function flip(bytes, bit) {
    const out = Uint8Array.from(bytes);
    out[bit >> 3] ^= 1 << (bit & 7);
    return out;
}
