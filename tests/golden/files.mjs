// Vectors of offers and of the exchange of a file: docs/protocol/files.md. Part of generate.mjs.
import * as o from './oracle.mjs';

const { cbor, concat, hex, text } = o;
const fill = (byte, length) => new Uint8Array(length).fill(byte);
const LEAF = o.LEAF_BYTES;
const PIECE = 16384;

// What a file of a vector holds: byte i is the exclusive or of the bytes of i.
export const fileBytes = (size) => Uint8Array.from({ length: size }, (_, i) => (i ^ (i >> 8) ^ (i >> 16)) & 255);

export function offerVectors() {
    const root = (byte) => fill(byte, 32);
    const row = ({ path, size = 5, type = 'text/plain', byte = 1 }) =>
        [typeof path === 'string' ? text(path) : path, size, typeof type === 'string' ? text(type) : type, root(byte)];
    const offer = (name, files) => ({
        name, hex: hex(cbor([files.map(row)])),
        files: files.map(({ path, size = 5, type = 'text/plain', byte = 1 }) => ({ path, size, type, root: hex(root(byte)) })),
    });
    const bad = (name, error, bytes) => ({ name, error, hex: hex(bytes) });
    const one = (name, error, file) => bad(name, error, cbor([[row(file)]]));
    const path = (name, string, error = 'INVALID') => one(name, error, { path: string });
    const many = (name, ...paths) => bad(name, 'INVALID', cbor([paths.map((string) => row({ path: string }))]));
    const hidden = {
        'a line break': '\n', 'a delete': '\x7f', 'a control of the second half': '\x85', 'a soft hyphen': '\xad', 'an Arabic letter mark': '\u061c',
        'a space of no width': '\u200b', 'a mark from right to left': '\u200f', 'a line separator': '\u2028', 'an override from right to left': '\u202e',
        'a word joiner': '\u2060', 'an isolate': '\u2067', 'a byte order mark': '\ufeff', 'an annotation': '\ufff9', 'a tag': '\u{e0041}',
        'no character': '\uffff', 'no character of the second plane': '\u{1fffe}',
    };
    return {
        offers: [
            offer('one file', [{ path: 'Giấy mời.pdf', size: 123456, type: 'application/pdf' }]),
            offer('a folder', [{ path: 'photos/1.jpg', byte: 2 }, { path: 'photos/2.jpg', byte: 3 }, { path: 'photos/more/3.jpg', byte: 4 }]),
            offer('nothing in it, and no type', [{ path: 'empty', size: 0, type: '' }]),
            offer('the largest size', [{ path: 'disk.img', size: 2 ** 40 }]),
            offer('the longest name and type', [{ path: 'n'.repeat(255), type: 't'.repeat(127) }]),
            offer('the longest path', [{ path: Array(16).fill('n'.repeat(63)).join('/') + 'n', type: '' }]),
            offer('names that begin alike', [{ path: 'a' }, { path: 'a.b' }, { path: 'ab/c' }, { path: 'A' }]),
            offer('dots and spaces within', [{ path: '.hidden/a b..c' }]),
            offer('256 files', Array.from({ length: 256 }, (_, i) => ({ path: `${i}`, type: '' }))),
        ],
        longer_offers: [
            { name: 'with elements of a later version', files: 1, hex: hex(cbor([[[...row({ path: 'a' }), [1, [2]], text('later')]], 7])) },
        ],
        bad_offers: [
            bad('nothing', 'MALFORMED', new Uint8Array(0)), bad('no array', 'MALFORMED', cbor(1)), bad('an empty array', 'MALFORMED', cbor([])),
            bad('files are a number', 'MALFORMED', cbor([1])), bad('no file', 'INVALID', cbor([[]])),
            bad('257 files', 'MALFORMED', cbor([Array.from({ length: 257 }, (_, i) => row({ path: `${i}`, type: '' }))])),
            bad('a byte after the end', 'MALFORMED', concat(cbor([[row({ path: 'a' })]]), fill(0, 1))),
            bad('cut', 'MALFORMED', cbor([[row({ path: 'a' })]]).slice(0, -1)),
            bad('a file without a root', 'MALFORMED', cbor([[row({ path: 'a' }).slice(0, 3)]])),
            bad('a root of 31 bytes', 'MALFORMED', cbor([[[text('a'), 5, text(''), fill(1, 31)]]])),
            bad('a path that is an array', 'MALFORMED', cbor([[[[text('a')], 5, text(''), root(1)]]])),
            one('one byte too large', 'TOO_LARGE', { path: 'a', size: 2 ** 40 + 1 }),
            one('a type of 128 bytes', 'TOO_LARGE', { path: 'a', type: 't'.repeat(128) }),
            one('a type with a line break', 'INVALID', { path: 'a', type: 'text/plain\n' }),
            one('a type in another script', 'INVALID', { path: 'a', type: 'văn' }),
            path('no name', ''), path('absolute', '/a'), path('a slash at the end', 'a/'), path('an empty name between', 'a//b'), path('a slash alone', '/'),
            path('this folder', '.'), path('the folder above', '..'), path('the folder above, at first', '../a'), path('the folder above, within', 'a/../b'),
            path('a full stop at the end', 'a.'), path('a full stop at the end of a folder', 'a./b'), path('three full stops', '...'),
            path('a space at the beginning', ' a'), path('a space at the end', 'a '), path('the folder above and a space', '.. /a'),
            path('a backslash', 'a\\b'), path('a drive', 'C:a'), path('a stream', 'a:b'),
            path('a name of 256 bytes', 'n'.repeat(256), 'TOO_LARGE'), path('17 names', Array(17).fill('n').join('/'), 'TOO_LARGE'),
            path('a path of 1025 bytes', `${Array(16).fill('n'.repeat(63)).join('/')}nn`, 'TOO_LARGE'),
            path('a byte of zero', 'a\0b'), ...Object.entries(hidden).map(([name, character]) => path(name, `a${character}b`)),
            path('no UTF-8', Uint8Array.of(0x61, 0xff, 0x62), 'MALFORMED'), path('UTF-8 cut', Uint8Array.of(0x61, 0xc3), 'MALFORMED'),
            path('a slash in two bytes', Uint8Array.of(0x61, 0xc0, 0xaf, 0x62), 'MALFORMED'),
            path('half a pair', Uint8Array.of(0x61, 0xed, 0xa0, 0x80, 0x62), 'MALFORMED'),
            many('one path twice', 'a', 'b', 'a'), many('a file in a file', 'a', 'a/b'), many('a file that is a folder', 'a/b/c', 'a/b'),
        ],
    };
}

// One file of two leaves, the last one in two pieces, in the channel of all vectors. Bob's device has it, or fetches it; alice and
// carol speak. `answers`: the messages of kinds 20 to 24 that follow at once.
export function exchangeVectors({ channel, authority, name, reader, speakers }) {
    const size = LEAF + PIECE + 616;
    const bytes = fileBytes(size);
    const tree = new o.Tree(bytes);
    const { root } = tree;
    const ask = [20, channel, root, size];
    const have = (flags, runs, ...more) => [21, channel, root, size, flags, runs, ...more];
    const want = (flags, ...leaves) => [22, root, flags, leaves];
    const pieces = [LEAF, LEAF + PIECE].map((from, i) => [23, root, 1, i * PIECE, bytes.slice(from, from + PIECE), i ? new Uint8Array(0) : tree.proof(1)]);
    const stop = (leaf, reason, instead, file = root) => [24, file, leaf, reason, instead];
    const other = fill(9, 32);
    const step = (title, who, say, ...answers) => ({ name: title, from: who, say: hex(cbor(say)), answers: answers.map((item) => hex(cbor(item))) });
    const told = (title, who, say, after, ...answers) => ({ ...step(title, who, say, ...answers), ...after });
    const message = (title, value) => ({ name: title, hex: hex(cbor(value)) });
    const carry = [3, channel, 1];
    return {
        authority: hex(authority), channel_name: name, channel: hex(channel), reader, speakers, size, root: hex(root),
        leaf: 1, proof: hex(tree.proof(1)),
        serving: [
            step('alice carries the channel', 'alice', carry), step('carol carries it', 'carol', carry),
            step('what do you have of it?', 'alice', ask, have(1, [0, 2])),
            step('nothing is there', 'alice', have(1, [])),
            step('a leaf', 'alice', want(0, 1), ...pieces),
            step('another one asks', 'carol', ask, have(1, [0, 2])),
            step('it was given to the other one', 'carol', want(0, 1), stop(1, 1, 0)),
            step('but who insists gets it', 'carol', want(1, 1), ...pieces),
            step('a file that is not here', 'alice', [22, other, 0, [0]], stop(0, 3, 0, other)),
            step('no longer', 'alice', stop(1, 0, 1)),
            step('everything now', 'alice', have(1, [0, 2])),
            step('gone', 'alice', stop(0, 3, 0)),
            step('forgotten: ask first', 'alice', want(0, 1), stop(0, 3, 0)),
        ],
        fetching: [
            step('who carries the channel is asked', 'alice', carry, ask),
            step('the last leaf is there', 'alice', have(1, [1, 1]), have(1, []), want(0, 1)),
            step('its first piece', 'alice', pieces[0]),
            told('its second piece: it is written and told', 'alice', pieces[1], { writes: 1 }, have(0, [1, 1])),
            step('bits: the other leaf', 'alice', have(0, [], 0, Uint8Array.of(1)), want(0, 0)),
            step('it cannot be had', 'alice', stop(0, 2, 0)),
            step('now it can', 'alice', have(0, [0, 1]), want(0, 0)),
            step('a piece that does not fit: nothing more is asked of her', 'alice',
                [23, root, 0, 0, fill(1, 5), tree.proof(0)], stop(0, 0, 0)),
            step('what she has counts no longer', 'alice', have(1, [0, 2])),
            step('from somebody else', 'carol', carry, ask),
            step('who has all', 'carol', have(1, [0, 2]), have(1, [1, 1]), want(0, 0)),
            step('has it no more: asked again', 'carol', stop(0, 3, 0), ask),
        ],
        // Said by alice after `ask` to the device that has the file.
        harmless: [
            message('ask for a file that is not here', [20, channel, other, 5]), message('ask in a channel that is not here', [20, other, root, size]),
            message('have of a file that is not here', [21, channel, other, 5, 1, [0, 1]]), message('have with another size', [21, channel, root, size + 1, 1, [0, 2]]),
            message('have of nothing', have(0, [])), message('have with a flag of a later version', have(5, [1, 1])),
            message('have, longer', have(1, [1, 1], 0, Uint8Array.of(3), [text('later')])),
            message('have of all', have(0, [0, 2])), message('have of two runs that touch', have(0, [0, 1, 1, 1])),
            message('want of none', want(0)), message('data that nobody asked for', [23, root, 0, 0, fill(1, 10), new Uint8Array(0)]),
            message('stop of a file that is not here', stop(77, 1, 78, other)), message('stop for a reason of a later version', stop(0, 9, 0)),
            message('stop, longer', [...stop(0, 0, 0), 5]),
        ],
        malformed: [
            message('ask without a size', ask.slice(0, 3)), message('ask for a root of 31 bytes', [20, channel, root.slice(1), size]),
            message('ask in a channel of 31 bytes', [20, channel.slice(1), root, size]), message('ask for a size in bytes', [20, channel, root, fill(1, 8)]),
            message('have without runs', have(0, []).slice(0, 5)), message('have with half a run', have(0, [0])),
            message('have with a run of none', have(0, [0, 0])), message('have beyond the last leaf', have(0, [1, 2])),
            message('have from beyond the last leaf', have(0, [3, 1])), message('have with runs that overlap', have(0, [0, 2, 1, 1])),
            message('have with falling runs', have(0, [1, 1, 0, 1])), message('have of 513 runs', have(0, Array(1026).fill(1))),
            message('have with runs in bytes', have(0, fill(1, 2))),
            message('have with bits from 1 on', have(0, [], 1, Uint8Array.of(1))), message('have with bits from 64 on', have(0, [], 64, Uint8Array.of(1))),
            message('have with a bit beyond the last leaf', have(0, [], 0, Uint8Array.of(4))),
            message('have with a byte beyond that of the last leaf', have(0, [], 0, Uint8Array.of(1, 0))),
            message('have with 4097 bytes of bits', have(0, [], 0, fill(0, 4097))), message('have with bits that are a number', have(0, [], 0, 1)),
            message('want without leaves', [22, root, 0]), message('want of a leaf beyond the last', want(0, 2)), message('want of 65', want(0, ...Array(65).fill(1))),
            message('want with leaves in bytes', [22, root, 0, fill(0, 2)]), message('want for a root of 33 bytes', [22, concat(root, fill(0, 1)), 0, [1]]),
            message('data without a proof', [23, root, 1, 0, fill(0, 5)]), message('data of 16385 bytes', [23, root, 1, 0, fill(0, PIECE + 1), tree.proof(1)]),
            message('data with a proof of 25 hashes', [23, root, 1, 0, fill(0, 5), fill(0, 25 * 32)]),
            message('data beyond any leaf', [23, root, 1, LEAF + 1, fill(0, 5), new Uint8Array(0)]),
            message('data of a leaf of 33 bits', [23, root, 2 ** 32, 0, fill(0, 5), new Uint8Array(0)]),
            message('stop without instead', stop(0, 1, 0).slice(0, 4)), message('stop of a leaf beyond the last', stop(2, 1, 0)),
            message('stop with an instead beyond the last', stop(0, 1, 2)), message('stop with a reason in bytes', stop(0, fill(1, 1), 0)),
        ],
    };
}
