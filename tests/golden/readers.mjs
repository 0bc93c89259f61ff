// What other readers than src/core say of offers and of messages about files: the rules of docs/protocol/files.md once
// more, on cborg. Each gives undefined for what is good, else the name of the error.
import { decode } from 'cborg';
import { LEAF_BYTES } from './oracle.mjs';

const STRICT = { strict: true, allowIndefinite: false, allowUndefined: false, allowNaN: false, allowBigInt: true };
const SIZE_MAX = 2 ** 40;
// Controls, what is not seen, what turns round the order of what stands beside it, and what is no character.
const HIDDEN = /[\p{Cc}\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb\u{e0000}-\u{e0fff}\p{Noncharacter_Code_Point}]/u;

function strict(bytes) {
    try {
        return decode(bytes, STRICT);
    } catch {
        return undefined;
    }
}
const isBytes = (value, length) => value instanceof Uint8Array && (length === undefined || value.length === length);
const isNumber = (value, max = Infinity) => (typeof value === 'number' || typeof value === 'bigint') && value >= 0 && value <= max;

function pathError(path) {
    if (path.length === 0) return 'INVALID';
    if (path.length > 1024) return 'TOO_LARGE';
    let words;
    try {
        words = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(path);
    } catch {
        return 'MALFORMED';
    }
    const names = words.split('/');
    if (names.length > 16 || names.some((name) => Buffer.byteLength(name) > 255)) return 'TOO_LARGE';
    const bad = (name) => name === '' || name.endsWith('.') || name !== name.replace(/^ | $/g, '') || /[\\:]/.test(name) || HIDDEN.test(name);
    return names.some(bad) ? 'INVALID' : undefined;
}

function fileError(file) {
    if (!Array.isArray(file) || file.length < 4) return 'MALFORMED';
    const [path, size, type, root] = file;
    if (!isBytes(path) || !isNumber(size) || !isBytes(type) || !isBytes(root, 32)) return 'MALFORMED';
    if (size > SIZE_MAX || type.length > 127) return 'TOO_LARGE';
    return type.every((byte) => byte >= 0x20 && byte <= 0x7e) ? pathError(path) : 'INVALID';
}

export function offerError(body) {
    const files = strict(body)?.[0];
    if (!Array.isArray(files) || files.length > 256) return 'MALFORMED';
    if (files.length === 0) return 'INVALID';
    const error = files.map(fileError).find(Boolean);
    if (error) return error;
    const paths = files.map(([path]) => Buffer.from(path).toString());
    const taken = (path, index) => paths.some((other, i) => i !== index && (other === path || other.startsWith(`${path}/`)));
    return paths.some(taken) ? 'INVALID' : undefined;
}

function haveIsGood(leaves, [, channel, root, size, flags, runs, at, bits], elements) {
    if (!isBytes(channel, 32) || !isBytes(root, 32) || !isNumber(size) || !isNumber(flags)) return false;
    if (!Array.isArray(runs) || runs.length % 2 || runs.length > 1024 || !runs.every((n) => isNumber(n, leaves))) return false;
    let from = 0;
    for (let i = 0; i < runs.length; i += 2) {
        if (runs[i] < from || runs[i + 1] === 0 || runs[i] + runs[i + 1] > leaves) return false;
        from = runs[i] + runs[i + 1];
    }
    if (elements < 8) return true;
    if (!isNumber(at, leaves) || at % 64 || !isBytes(bits) || bits.length > Math.min(4096, Math.ceil((leaves - at) / 8))) return false;
    const set = [...bits].flatMap((byte, i) => [0, 1, 2, 3, 4, 5, 6, 7].filter((bit) => byte & (1 << bit)).map((bit) => at + 8 * i + bit));
    return set.every((leaf) => leaf < leaves);
}

// A message of a kind from 20 to 24 about a file of that size.
export function fileMessageError(message, fileSize) {
    const items = strict(message);
    const leaves = Math.ceil(fileSize / LEAF_BYTES);
    const leaf = (value) => isNumber(value, leaves - 1);
    const forms = {
        20: ([, channel, root, size]) => isBytes(channel, 32) && isBytes(root, 32) && isNumber(size),
        21: (all) => haveIsGood(leaves, all, all.length),
        22: ([, root, flags, wanted]) => isBytes(root, 32) && isNumber(flags) && Array.isArray(wanted) && wanted.length <= 64 && wanted.every(leaf),
        23: ([, root, at, offset, piece, proof]) => isBytes(root, 32) && isNumber(at, 2 ** 32 - 1) && isNumber(offset, LEAF_BYTES) &&
            isBytes(piece) && piece.length <= 16384 && isBytes(proof) && proof.length <= 24 * 32,
        24: ([, root, at, reason, instead]) => isBytes(root, 32) && leaf(at) && isNumber(reason) && leaf(instead),
    };
    return Array.isArray(items) && forms[items[0]]?.(items) ? undefined : 'MALFORMED';
}
