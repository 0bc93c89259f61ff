// Writes tests/golden/vectors/*.json: `node tests/golden/generate.mjs`. Deterministic: the same bytes every time.
// golden.test.mjs runs it again and compares; golden_test.c and the tests of the page's core read what it wrote.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { x25519 } from '@noble/curves/ed25519';
import * as o from './oracle.mjs';
import { exchangeVectors, fileBytes, offerVectors } from './files.mjs';
import { flip, hostileCases } from './hostile.mjs';

export const FOLDER = new URL('./vectors/', import.meta.url);
const { cbor, concat, hex, text, unhex } = o;
const bytesOf = (length, start = 0) => Uint8Array.from({ length }, (_, index) => (start + index) & 255);
const fill = (byte, length = 32) => new Uint8Array(length).fill(byte);

// The world of all vectors: a tracker, two people and a stranger; times are ms or s since 1970.
const TIME_MS = 1_800_000_000_000;
const ISSUED = 1_799_990_000;
const EXPIRES = ISSUED + 90 * 86400;
const seeds = { tracker: fill(0x11), alice: fill(0xa1), bob: fill(0xb0), stranger: fill(0x5e) };
const ids = Object.fromEntries(Object.entries(seeds).map(([name, seed]) => [name, o.device(seed)]));
const CHANNEL = o.channelId(ids.tracker, 'general');
const certify = (account, changes = {}, authority = seeds.tracker, domain = undefined) =>
    o.certificate(authority, { account, device: ids[account], issued: ISSUED, expires: EXPIRES, ...changes }, domain);
const certificates = { alice: certify('alice'), bob: certify('bob') };

function cborVectors() {
    const valid = [
        ['0', 0], ['23', 23], ['24', 24], ['255', 255], ['256', 256], ['65535', 65535], ['65536', 65536],
        ['2^32 - 1', 4294967295], ['2^32', 4294967296], ['2^64 - 1', 18446744073709551615n],
        ['no bytes', new Uint8Array(0)], ['23 bytes', bytesOf(23)], ['24 bytes', bytesOf(24)], ['256 bytes', bytesOf(256)],
        ['empty array', []], ['23 items', [...fill(7, 23)]], ['24 items', [...fill(7, 24)]],
        ['values nested 8 deep', [[[[[[[1]]]]]]]],
    ].map(([name, value]) => ({ name, hex: hex(cbor(value)) }));
    const invalid = [
        ['nothing', ''], ['23 in two bytes', '1817'], ['24 in three bytes', '190018'], ['255 in five bytes', '1a000000ff'],
        ['2^32 - 1 in nine bytes', '1b00000000ffffffff'], ['length in two bytes', '580100'], ['array count in two bytes', '980100'],
        ['indefinite bytes', '5f4100ff'], ['indefinite array', '9f00ff'], ['a break alone', 'ff'],
        ['negative', '20'], ['text', '6161'], ['map', 'a0'], ['tag', 'c000'], ['false', 'f4'], ['null', 'f6'], ['half float', 'f90000'],
        ['reserved 28', '1c'], ['reserved 30', '1e'], ['head cut', '19ff'], ['bytes cut', '4200'], ['array cut', '8200'],
        ['length 2^64 - 1', '5bffffffffffffffff00'], ['count 2^64 - 1', '9bffffffffffffffff00'],
        ['values nested 9 deep', '81'.repeat(8) + '01'], ['nested 1000 deep', '81'.repeat(1000) + '01'], ['a byte after the end', '0000'],
    ].map(([name, hexadecimal]) => ({ name, hex: hexadecimal }));
    return { valid, invalid };
}

function badCertificates() {
    const good = certificates.alice;
    const fields = cbor([1, text('alice'), ids.alice, ids.tracker, ISSUED, EXPIRES]);
    const signature = o.sign(seeds.tracker, o.DOMAIN.certificate, fields);
    const signedBytes = (bytes) => cbor([bytes, o.sign(seeds.tracker, o.DOMAIN.certificate, bytes)]);
    const signed = (...items) => signedBytes(cbor(items));
    const bad = (name, error, bytes) => ({ name, error, hex: hex(bytes) });
    return [
        bad('empty', 'MALFORMED', new Uint8Array(0)),
        bad('a byte after the end', 'MALFORMED', concat(good, fill(0, 1))),
        bad('last byte missing', 'MALFORMED', good.slice(0, -1)),
        bad('signature of 63 bytes', 'MALFORMED', cbor([fields, signature.slice(1)])),
        bad('one element', 'MALFORMED', cbor([fields])),
        bad('length of the fields not in its shortest form', 'MALFORMED',
            concat(unhex('825900'), Uint8Array.of(fields.length), fields, cbor(signature))),
        bad('a byte after the fields', 'MALFORMED', signedBytes(concat(fields, fill(0, 1)))),
        bad('five fields', 'MALFORMED', signed(1, text('alice'), ids.alice, ids.tracker, ISSUED)),
        bad('device of 31 bytes', 'MALFORMED', signed(1, text('alice'), ids.alice.slice(1), ids.tracker, ISSUED, EXPIRES)),
        bad('another version', 'MALFORMED', signed(2, text('alice'), ids.alice, ids.tracker, ISSUED, EXPIRES)),
        bad('a name of 129 bytes', 'MALFORMED', signed(1, fill(0x61, 129), ids.alice, ids.tracker, ISSUED, EXPIRES)),
        bad('more than 512 bytes', 'TOO_LARGE', signed(1, text('alice'), ids.alice, ids.tracker, ISSUED, EXPIRES, fill(0, 400))),
        bad('signed in the domain of entries', 'SIGNATURE', certify('alice', {}, seeds.tracker, o.DOMAIN.entry)),
        bad('signed by somebody else', 'SIGNATURE', cbor([fields, o.sign(seeds.stranger, o.DOMAIN.certificate, fields)])),
        bad('account changed after signing', 'SIGNATURE',
            cbor([cbor([1, text('alicf'), ids.alice, ids.tracker, ISSUED, EXPIRES]), signature])),
        ...[0, 77, 255, 256, 400, 503].map((bit) => bad(`bit ${bit} of the signature flipped`, 'SIGNATURE', cbor([fields, flip(signature, bit)]))),
    ];
}

function channelVectors() {
    const authority = hex(ids.tracker);
    const nonce = bytesOf(16, 32);
    const open = (name) => ({ spec: { type: 'public', authority, name }, id: hex(o.channelId(ids.tracker, name)) });
    const closed = (founder) => ({
        spec: { type: 'private', authority, founder: hex(founder), nonce: hex(nonce) },
        id: hex(o.privateId(ids.tracker, founder, nonce)),
    });
    const direct = (account, other) => ({
        spec: { type: 'direct', authority, account, other }, id: hex(o.directId(ids.tracker, account, other)),
    });
    const long = 'x'.repeat(128);
    return {
        channels: [
            open('general'), open('kênh'), open(long), closed(ids.alice), closed(ids.bob), direct('alice', 'bob'),
            direct('bob', 'alice'), direct('Đặng', 'an'), direct('an', 'an'), direct('a', 'lice-and-bob'), direct('al', 'ice-and-bob'), direct(long, 'b'),
        ],
        bad_channels: [
            { spec: { type: 'public', authority, name: '' } }, { spec: { type: 'direct', authority, account: 'alice', other: '' } },
            { spec: { type: 'direct', authority, account: '', other: 'alice' } }, { spec: { type: 'public', authority, name: `${long}x` } },
        ],
    };
}

function fileVectors() {
    const leaf = o.LEAF_BYTES;
    const files = [0, 1, leaf - 1, leaf, leaf + 1, 2 * leaf, 3 * leaf, 4 * leaf + 7, 5 * leaf, 6 * leaf + 1, 11 * leaf - 5].map((size) => {
        const tree = new o.Tree(fileBytes(size));
        const leaves = tree.levels[0].length;
        return {
            size, root: hex(tree.root), hashes: tree.hashes.map(hex),
            proofs: Array.from({ length: leaves }, (_, i) => ({ leaf: i, positions: tree.siblings(i), proof: hex(tree.proof(i)) })),
        };
    });
    const size = 6 * leaf + 1;
    const tree = new o.Tree(fileBytes(size));
    const bad = (name, changes) => ({
        name, root: hex(tree.root), size, leaf: 2, from: 2 * leaf, length: leaf, proof: hex(tree.proof(2)), ...changes,
    });
    return {
        rule: 'byte i of a file is the exclusive or of the bytes of i', files,
        bad: [
            bad('another leaf of the file', { from: 3 * leaf }),
            bad('the leaf under another number', { leaf: 3 }),
            bad('a bit of the bytes changed', { changed: 12345 }),
            bad('a bit of the proof changed', { proof: hex(flip(tree.proof(2), 300)) }),
            bad('the proof one hash too short', { proof: hex(tree.proof(2).slice(0, -32)) }),
            bad('the proof one hash too long', { proof: hex(concat(tree.proof(2), fill(0))) }),
            bad('no proof', { proof: '' }),
            bad('the proof of another leaf', { proof: hex(tree.proof(3)) }),
            bad('a byte less', { length: leaf - 1 }),
            bad('another size with as many leaves', { size: size + 1 }),
            bad('another root', { root: hex(fill(7)) }),
            bad('the last leaf, a byte longer', { leaf: 6, from: 6 * leaf, length: 2, proof: hex(tree.proof(6)) }),
        ],
        ...offerVectors(),
    };
}

// Bob's device is the one that the vectors are for.
function fileExchange() {
    const carol = fill(0xca);
    const person = (seed, certificate) => ({ seed: hex(seed), certificate: hex(certificate) });
    return {
        time_ms: TIME_MS,
        ...exchangeVectors({
            channel: CHANNEL, authority: ids.tracker, name: 'general', reader: person(seeds.bob, certificates.bob),
            speakers: { alice: person(seeds.alice, certificates.alice), carol: person(carol, certify('carol', { device: o.device(carol) })) },
        }),
    };
}

function identityVectors() {
    const nonce = bytesOf(32, 64);
    const certificateVector = (name, bytes, fields) => ({ name, ...fields, hex: hex(bytes) });
    const alice = { account: 'alice', device: hex(ids.alice), authority: hex(ids.tracker), issued_s: ISSUED, expires_s: EXPIRES };
    const longer = cbor([1, text('alice'), ids.alice, ids.tracker, ISSUED, EXPIRES, 7, [text('later')]]);
    return {
        devices: Object.entries(seeds).map(([name, seed]) => ({
            name, seed: hex(seed), device: hex(ids[name]),
            noise_secret: hex(o.noiseSecret(seed)), noise_public: hex(x25519.getPublicKey(o.noiseSecret(seed))),
        })),
        ...channelVectors(),
        hello: [{
            seed: hex(seeds.alice), nonce: hex(nonce), tracker: hex(ids.tracker), account: 'alice',
            proof: hex(o.sign(seeds.alice, o.DOMAIN.hello, concat(nonce, ids.tracker, text('alice')))),
        }],
        certificates: [
            certificateVector('alice', certificates.alice, alice),
            certificateVector('a name in another script', certify('bob', { device: ids.bob, account: 'Đặng' }),
                { account: 'Đặng', device: hex(ids.bob), authority: hex(ids.tracker), issued_s: ISSUED, expires_s: EXPIRES }),
            certificateVector('with fields of a later version',
                cbor([longer, o.sign(seeds.tracker, o.DOMAIN.certificate, longer)]), alice),
        ],
        bad_certificates: badCertificates(),
    };
}

// Alice's feed in #general, and what is offered to somebody who holds its first `holds` entries.
function feed() {
    const list = [];
    const append = (kind, time, body, changes = {}) => {
        const prev = list.length ? list[list.length - 1].id : fill(0);
        const item = { kind, channel: CHANNEL, seq: list.length + 1, prev, time, body, ...changes };
        list.push({ ...item, ...o.entry(seeds.alice, item) });
    };
    append(1, TIME_MS, cbor([certificates.alice]));
    append(3, TIME_MS + 1000, cbor([text('hello')]));
    append(3, TIME_MS + 2000, cbor([text('Xin chào, thế giới')]));
    append(99, TIME_MS + 3000, cbor([1, 2, [text('a kind of a later version')]]));
    append(3, TIME_MS + 4000, cbor([fill(0x78, 16 * 1024 - 4)]));
    append(4, TIME_MS + 5000, cbor([certify('alice', { issued: ISSUED + 86400, expires: EXPIRES + 86400 })]));
    append(2, TIME_MS + 6000, cbor([]));
    return list;
}

function refusedEntries(list) {
    const next = { kind: 3, channel: CHANNEL, seq: 3, prev: list[1].id, time: TIME_MS + 2000, body: cbor([text('third')]) };
    const join = { kind: 1, channel: CHANNEL, seq: 1, prev: fill(0), time: TIME_MS, body: cbor([certificates.alice]) };
    const alice = (changes, domain) => o.entry(seeds.alice, { ...next, ...changes }, domain);
    const first = (changes, seed = seeds.alice) => o.entry(seed, { ...join, ...changes });
    const good = alice({});
    const [fields, signature] = [good.fields, o.sign(seeds.alice, o.DOMAIN.entry, good.fields)];
    const signed = (bytes) => cbor([bytes, o.sign(seeds.alice, o.DOMAIN.entry, bytes)]);
    const raw = (...items) => signed(cbor(items));
    const refused = (name, holds, bytes) => ({ name, holds, hex: hex(bytes) });
    // [1, 3, ...] with the kind written in two bytes: not the shortest form.
    const longKind = concat(fields.slice(0, 2), unhex('1803'), fields.slice(3));
    const indefinite = concat(unhex('9f'), fields.slice(1), unhex('ff'));
    return [
        refused('empty', 2, new Uint8Array(0)),
        refused('a byte after the end', 2, concat(good.bytes, fill(0, 1))),
        refused('cut', 2, good.bytes.slice(0, -1)),
        refused('a byte after the fields', 2, signed(concat(fields, fill(0, 1)))),
        refused('kind not in its shortest form', 2, signed(longKind)),
        refused('fields as an indefinite array', 2, signed(indefinite)),
        refused('seven fields', 2, raw(1, 3, CHANNEL, ids.alice, 3, list[1].id, TIME_MS + 2000)),
        refused('another version', 2, raw(2, 3, CHANNEL, ids.alice, 3, list[1].id, TIME_MS + 2000, next.body)),
        refused('body is a number', 2, raw(1, 3, CHANNEL, ids.alice, 3, list[1].id, TIME_MS + 2000, 7)),
        refused('prev of 31 bytes', 2, raw(1, 3, CHANNEL, ids.alice, 3, list[1].id.slice(1), TIME_MS + 2000, next.body)),
        refused('signed in the domain of certificates', 2, alice({}, o.DOMAIN.certificate).bytes),
        refused('signed by somebody else', 2, cbor([fields, o.sign(seeds.stranger, o.DOMAIN.entry, fields)])),
        refused('signature of 63 bytes', 2, cbor([fields, signature.slice(1)])),
        ...[0, 100, 255, 256, 300, 503].map((bit) => refused(`bit ${bit} of the signature flipped`, 2, cbor([fields, flip(signature, bit)]))),
        ...[9, 200, 700, fields.length * 8 - 1].map((bit) => refused(`bit ${bit} of the fields flipped`, 2, cbor([flip(fields, bit), signature]))),
        refused('body of one byte more than the limit', 2, alice({ body: cbor([fill(0x78, 16 * 1024 - 3)]) }).bytes),
        refused('prev of another entry', 2, alice({ prev: list[0].id }).bytes),
        refused('prev all zeros', 2, alice({ prev: fill(0) }).bytes),
        refused('above a gap, of somebody without a JOIN', 0, alice({ seq: 4, prev: list[2].id }).bytes),
        refused('seq 0', 2, alice({ seq: 0 }).bytes),
        refused('seq 2^64 - 1', 2, alice({ seq: 18446744073709551615n }).bytes),
        refused('a fork of seq 2', 2, alice({ seq: 2, prev: list[0].id, body: cbor([text('another second')]) }).bytes),
        refused('not later than the one before', 2, alice({ time: TIME_MS + 1000 }).bytes),
        refused('a second JOIN', 2, alice({ kind: 1, body: cbor([certificates.alice]) }).bytes),
        refused('first entry without JOIN', 0, first({ kind: 3, body: cbor([text('hello')]) }).bytes),
        refused('JOIN with a prev', 0, first({ prev: fill(1) }).bytes),
        refused('JOIN without a certificate', 0, first({ body: cbor([]) }).bytes),
        refused('JOIN with the certificate of another device', 0, first({ body: cbor([certificates.bob]) }).bytes),
        refused('JOIN certified by a stranger', 0, first({ body: cbor([certify('alice', {}, seeds.stranger)]) }).bytes),
        refused('JOIN with a false certificate', 0,
            first({ body: cbor([flip(certificates.alice, certificates.alice.length * 8 - 20)]) }).bytes),
        refused('JOIN in another channel', 0, first({ channel: o.channelId(ids.tracker, 'other') }).bytes),
    ];
}

function entryVectors() {
    const list = feed();
    const longer = cbor([1, 3, CHANNEL, ids.alice, 3, list[1].id, TIME_MS + 2000, cbor([text('third')]), [1], text('later')]);
    const above = o.entry(seeds.alice, { kind: 3, channel: CHANNEL, seq: 9, prev: fill(7), time: TIME_MS + 9000, body: cbor([text('ninth')]) });
    const extended = cbor([longer, o.sign(seeds.alice, o.DOMAIN.entry, longer), 5]);
    return {
        authority: hex(ids.tracker), channel_name: 'general', channel: hex(CHANNEL),
        author_seed: hex(seeds.alice), author: hex(ids.alice), account: 'alice', certificate: hex(certificates.alice),
        feed: list.map((item) => ({
            kind: item.kind, seq: item.seq, prev: hex(item.prev), time_ms: item.time, body: hex(item.body),
            fields: hex(item.fields), hex: hex(item.bytes), id: hex(item.id),
        })),
        accepted: [
            { name: 'with fields of a later version', holds: 2, hex: hex(extended), id: hex(o.hash(longer)) },
            { name: 'above a gap', holds: 2, hex: hex(above.bytes), id: hex(o.hash(above.fields)) },
        ],
        refused: refusedEntries(list),
    };
}

function messageVectors() {
    const join = feed()[0].bytes;
    const have = [ids.alice, 7, ids.bob, 300];
    const message = (name, kind, value) => ({ name, kind, hex: hex(cbor(value)) });
    return {
        valid: [
            message('close', 0, [0, 11, text('bye')]),
            message('ping', 1, [1, TIME_MS * 1000]),
            message('pong', 2, [2, TIME_MS * 1000]),
            message('carry', 3, [3, CHANNEL, 1]),
            message('carry no longer', 3, [3, CHANNEL, 0]),
            message('have, a whole vector', 4, [4, CHANNEL, 3, have]),
            message('have, what changed', 4, [4, CHANNEL, 0, [ids.alice, 8]]),
            message('have, nothing at all', 4, [4, CHANNEL, 3, []]),
            message('want', 5, [5, CHANNEL, ids.alice, 1, 256]),
            message('entry', 6, [6, join]),
            message('carry, with links', 3, [3, CHANNEL, 1, 5]),
            message('want, the last one first', 5, [5, CHANNEL, ids.alice, 7, 3, 1]),
            message('hold', 7, [7, CHANNEL, [ids.alice, 9, 12, ids.bob, 2, 2]]),
            message('hold, nothing', 7, [7, CHANNEL, []]),
            message('digest', 8, [8, CHANNEL, bytesOf(2048)]),
            message('recent', 9, [9, CHANNEL, 0, 50]),
            message('recent, before a place', 9, [9, CHANNEL, TIME_MS, 4096]),
            message('recent end', 10, [10, CHANNEL, TIME_MS, 1]),
            message('receipt', 11, o.receipt(seeds.bob, { channel: CHANNEL, author: ids.alice, from: 1, upto: 7, time: TIME_MS })),
            message('introduce', 12, [12, o.specBytes(1, ids.tracker, ids.alice, bytesOf(16)), certificates.alice, new Uint8Array(0)]),
            message('introduce, with a proof', 12, [12, o.specBytes(2, ids.tracker, text('alice'), text('bob')), new Uint8Array(0), join]),
            message('prune', 13, [13, CHANNEL]),
            message('graft', 14, [14, CHANNEL]),
            message('shuffle', 15, [15, CHANNEL, [ids.alice, ids.bob], 1]),
            message('shuffle, an answer of nobody', 15, [15, CHANNEL, [], 0]),
            message('signal', 16, [16, ids.bob, ids.alice, 4, text('an offer'), 77]),
            message('ping with an element of a later version', 1, [1, 5, [text('later')]]),
            message('carry with an element of a later version', 3, [3, CHANNEL, 1, 5, [text('later')]]),
            message('want with an element of a later version', 5, [5, CHANNEL, ids.alice, 7, 3, 0, 9]),
        ],
        skipped: [message('a kind of a later version', 77, [77, text('anything'), [1, [2]]]), message('a kind alone', 77, [77])],
        invalid: [
            ['nothing', new Uint8Array(0)], ['no array', cbor(1)], ['empty array', cbor([])], ['kind is bytes', cbor([text('1')])],
            ['a byte after the end', concat(cbor([1, 5]), fill(0, 1))], ['cut', cbor([3, CHANNEL, 1]).slice(0, -1)],
            ['kind not in its shortest form', unhex('82180105')], ['indefinite array', unhex('9f0105ff')],
            ['ping without a stamp', cbor([1])], ['carry with a channel of 31 bytes', cbor([3, CHANNEL.slice(1), 1])],
            ['have with half a pair', cbor([4, CHANNEL, 3, [ids.alice]])],
            ['have with a short author', cbor([4, CHANNEL, 3, [ids.alice.slice(1), 1]])],
            ['want without a count', cbor([5, CHANNEL, ids.alice, 1])],
            ['entry is an array', cbor([6, [join]])],
            ['want from 0', cbor([5, CHANNEL, ids.alice, 0, 1])],
            ['want of none', cbor([5, CHANNEL, ids.alice, 1, 0])],
            ['want of too many', cbor([5, CHANNEL, ids.alice, 1, 257])],
            ['hold with half a span', cbor([7, CHANNEL, [ids.alice, 9]])],
            ['hold that ends before it begins', cbor([7, CHANNEL, [ids.alice, 9, 8]])],
            ['hold from 0', cbor([7, CHANNEL, [ids.alice, 0, 8]])],
            ['digest of 2047 bytes', cbor([8, CHANNEL, bytesOf(2047)])],
            ['recent of too many', cbor([9, CHANNEL, 0, 4097])],
            ['recent end without more', cbor([10, CHANNEL, TIME_MS])],
            ['receipt without a signature', cbor([11, CHANNEL, ids.alice, 1, 7, TIME_MS, ids.bob])],
            ['receipt from 0', cbor([11, CHANNEL, ids.alice, 0, 7, TIME_MS, ids.bob, bytesOf(64)])],
            ['introduce whose spec is an array', cbor([12, [1], certificates.alice, new Uint8Array(0)])],
            ['prune without a channel', cbor([13])],
            ['shuffle of 65', cbor([15, CHANNEL, Array.from({ length: 65 }, () => ids.alice), 0])],
            ['shuffle with a short device', cbor([15, CHANNEL, [ids.alice.slice(1)], 0])],
            ['signal with 9 hops', cbor([16, ids.bob, ids.alice, 9, text('an offer'), 77])], ['signal without a serial', cbor([16, ids.bob, ids.alice, 4, text('an offer')])],
            ['signal of 8193 bytes', cbor([16, ids.bob, ids.alice, 4, fill(1, 8193), 77])],
            ['signal to 31 bytes', cbor([16, ids.bob.slice(1), ids.alice, 4, text('an offer'), 77])],
            ['close with 201 bytes of text', cbor([0, 11, fill(0x61, 201)])], ['close without a text', cbor([0, 11])],
            ['pong with a stamp in bytes', cbor([2, fill(1, 8)])],
            ['carry of 2', cbor([3, CHANNEL, 2])], ['carry with links in bytes', cbor([3, CHANNEL, 1, text('5')])],
            ['carry with links of 33 bits', cbor([3, CHANNEL, 1, 2 ** 32])],
            ['have of 401 pairs', cbor([4, CHANNEL, 3, Array.from({ length: 401 }, () => [ids.alice, 7]).flat()])],
            ['have of a seq of 33 bits', cbor([4, CHANNEL, 3, [ids.alice, 2 ** 32]])],
            ['want of down 2', cbor([5, CHANNEL, ids.alice, 7, 3, 2])],
            ['hold of 401 spans', cbor([7, CHANNEL, Array.from({ length: 401 }, () => [ids.alice, 9, 9]).flat()])],
            ['recent before the end of time', cbor([9, CHANNEL, 18446744073709551615n, 5])],
            ['recent end with more of 2', cbor([10, CHANNEL, TIME_MS, 2])],
            ['receipt that ends before it begins', cbor([11, CHANNEL, ids.alice, 8, 7, TIME_MS, ids.bob, bytesOf(64)])],
            ['introduce without an entry', cbor([12, o.specBytes(1, ids.tracker, ids.alice, bytesOf(16)), certificates.alice])],
            ['graft for 33 bytes', cbor([14, concat(CHANNEL, fill(0, 1))])],
            ['shuffle that asks for 2', cbor([15, CHANNEL, [ids.alice], 2])],
            ['65 elements', cbor([1, ...fill(0, 64)])],
            ['elements of a later version nested 9 deep', concat(unhex('830105'), unhex('81'.repeat(8)), unhex('01'))],
            ['an unknown kind with a tag', unhex('82184dc000')],
        ].map(([name, bytes]) => ({ name, hex: hex(bytes) })),
    };
}

function linkVectors() {
    const binding = text('relay');
    const prologue = concat(text(o.DOMAIN.link), binding);
    const side = (name, ephemeral, role, certificate) => {
        const secret = o.noiseSecret(seeds[name]);
        const proof = o.sign(seeds[name], o.DOMAIN.link, x25519.getPublicKey(secret));
        return { name, secret, ephemeral, payload: cbor([ids[name], proof, role, certificate]) };
    };
    const initiator = side('alice', fill(0xe1), 0, certificates.alice);
    const responder = side('tracker', fill(0xe2), 1, new Uint8Array(0));
    const plain = [
        cbor([3, CHANNEL, 1]), cbor([3, CHANNEL, 1]), cbor([4, CHANNEL, 3, [ids.alice, 1]]), cbor([4, CHANNEL, 3, []]),
        cbor([1, 123456]), cbor([5, CHANNEL, ids.alice, 1, 1]), cbor([6, feed()[0].bytes]), cbor([4, CHANNEL, 0, [ids.alice, 1]]),
    ];
    const handshake = [new Uint8Array(0), responder.payload, initiator.payload];
    const keys = (one) => ({ static: one.secret, ephemeral: one.ephemeral });
    // From the fourth message on noiseTranscript lets the responder speak first, then they take turns.
    const { messages, handshakeHash } = o.noiseTranscript({
        prologue, initiator: keys(initiator), responder: keys(responder), payloads: [...handshake, ...plain],
    });
    const describe = (one, role) => ({
        seed: hex(seeds[one.name]), device: hex(ids[one.name]), role, ephemeral: hex(one.ephemeral),
        certificate: hex(one.name === 'alice' ? certificates.alice : new Uint8Array(0)), payload: hex(one.payload),
    });
    return {
        time_ms: TIME_MS, preface: hex(o.PREFACE), binding: hex(binding), prologue: hex(prologue),
        initiator: describe(initiator, 0), responder: describe(responder, 1), handshake_hash: hex(handshakeHash),
        frames: messages.map((message, index) => ({
            from: index % 2 ? 'responder' : 'initiator',
            plain: hex(index < 3 ? handshake[index] : plain[index - 3]), hex: hex(o.frame(message)),
        })),
        prefaces: [0x01, 0x11, 0x41, 0xf1].map((byte) => hex(o.preface(byte))),
        bad_prefaces: [
            ...[[0x02, 'version 2'], [0x00, 'version 0'], [0x12, 'versions 2 and 3'], [0x10, 'versions 0 and 1'], [0xff, 'versions 15 to 30']].map(
                ([byte, name]) => ({ name, error: 'VERSION', hex: hex(o.preface(byte)) })),
            { name: 'another protocol', error: 'MALFORMED', hex: hex(text('GET / HTTP/1.1\r\n')) },
            { name: 'a letter of another case', error: 'MALFORMED', hex: hex(text('wPrs\x01')) },
        ],
        introductions: introductionVectors({ prologue, keys: { initiator: keys(initiator), responder: keys(responder) }, proofOf: side }),
    };
}

// Handshakes with an initiator who speaks other versions, or says what is not so. `preface` is what the responder has read; its answer
// names both bytes when that is not 01. error: the responder's verdict on the third frame, null: the link is open.
function introductionVectors({ prologue, keys, proofOf }) {
    const [, proof, role, certificate] = o.parse(proofOf('alice', fill(0xe1), 0, certificates.alice).payload);
    const answer = o.parse(proofOf('tracker', fill(0xe2), 1, new Uint8Array(0)).payload);
    const good = [ids.alice, proof, role, certificate];
    const one = (name, error, byte, payload) => {
        const { messages } = o.noiseTranscript({
            prologue, ...keys, payloads: [new Uint8Array(0), cbor(byte === 1 ? answer : [...answer, 1, byte]), payload],
        });
        return { name, error, preface: hex(o.preface(byte)), frames: messages.map((message) => hex(o.frame(message))) };
    };
    const says = (name, error, byte, ...fields) => one(name, error, byte, cbor(fields));
    const stranger = o.sign(seeds.stranger, o.DOMAIN.link, x25519.getPublicKey(o.noiseSecret(seeds.alice)));
    const otherKey = o.sign(seeds.alice, o.DOMAIN.link, x25519.getPublicKey(o.noiseSecret(seeds.bob)));
    const otherDomain = o.sign(seeds.alice, o.DOMAIN.entry, x25519.getPublicKey(o.noiseSecret(seeds.alice)));
    return [
        says('version 1 only', null, 0x01, ...good), says('versions 1 and 2', null, 0x11, ...good, 0x11, 1), says('versions 1 to 16', null, 0xf1, ...good, 0xf1, 1),
        says('version 1, named', null, 0x01, ...good, 1, 1), says('with elements of a later version', null, 0x11, ...good, 0x11, 1, [text('later')]),
        says('without a certificate', null, 0x01, ids.alice, proof, 0, new Uint8Array(0)),
        says('the versions are left out', 'VERSION', 0x11, ...good),
        says('what was sent was lowered on its way', 'VERSION', 0x01, ...good, 0x11, 1),
        says('what was sent was raised on its way', 'VERSION', 0x11, ...good, 1, 1),
        says('what was read was raised on its way', 'VERSION', 0x11, ...good, 0x11, 0x11),
        says('a byte of versions of 256', 'MALFORMED', 0x01, ...good, 256, 1),
        says('three elements', 'MALFORMED', 0x01, ...good.slice(0, 3)), says('role 2', 'MALFORMED', 0x01, ids.alice, proof, 2, certificate),
        says('a certificate of 513 bytes', 'MALFORMED', 0x01, ids.alice, proof, 0, fill(0, 513)),
        says('a device of 31 bytes', 'MALFORMED', 0x01, ids.alice.slice(1), proof, 0, certificate),
        one('a byte after the end', 'MALFORMED', 0x01, concat(cbor(good), fill(0, 1))), one('nothing', 'MALFORMED', 0x01, new Uint8Array(0)),
        says('signed by somebody else', 'SIGNATURE', 0x01, ids.alice, stranger, 0, certificate),
        says('for another Noise key', 'SIGNATURE', 0x01, ids.alice, otherKey, 0, certificate),
        says('signed in the domain of entries', 'SIGNATURE', 0x01, ids.alice, otherDomain, 0, certificate),
        says('in the name of another device', 'SIGNATURE', 0x01, ids.bob, proof, 0, certificates.bob),
    ];
}

// A private channel of bob's, as alice's device hears of it, reads it, and is removed from it.
function privateVectors(entryVector) {
    const nonce = bytesOf(16, 32);
    const channel = o.privateId(ids.tracker, ids.bob, nonce);
    const epoch = { number: 1, roster: 1, created: TIME_MS, key: fill(0xec) };
    const list = [];
    const append = (name, kind, body, shows = {}) => {
        const time = TIME_MS + 1000 * list.length;
        const head = { kind, channel, author: ids.bob, seq: list.length + 1, prev: list.at(-1)?.id ?? fill(0), time };
        const item = { ...head, body: typeof body === 'function' ? body(head) : body };
        list.push({ name, shows, ...item, ...o.entry(seeds.bob, item) });
    };
    const words = cbor([text('for the three of us')]);
    append('join', 1, cbor([certificates.bob]));
    append('member: alice', 6, o.memberBody('alice', true, 1, certificates.bob, 1, []));
    append('key', 5, o.keyBody(channel, epoch, bytesOf(16, 200), [ids.bob, ids.alice], [certificates.alice]));
    append('text', 3, (head) => o.sealedBody(epoch, fill(1, 24), head, words), { body: hex(words) });
    append('member: alice no longer', 6, o.memberBody('alice', false, 2, certificates.bob, 0, [ids.alice, 1]));
    const spec = o.specBytes(1, ids.tracker, ids.bob, nonce);
    return {
        channel: hex(channel), founder: hex(ids.bob), nonce: hex(nonce), spec: hex(spec), feed: list.map(entryVector),
        introduce: hex(cbor([12, spec, certificates.bob, list[1].bytes])),
    };
}

// A direct conversation: what alice wrote, as bob's device has to read it.
function sealedVectors() {
    const salt = bytesOf(16, 100);
    const nonce = (n) => fill(n, 24);
    const direct = o.directId(ids.tracker, 'alice', 'bob');
    const epoch = { number: 1, roster: 0, created: TIME_MS, key: fill(0xe9) };
    const later = { number: 2, roster: 0, created: TIME_MS + 9000, key: fill(0xea) };
    const list = [];
    const append = (name, kind, body, shows = {}) => {
        const time = TIME_MS + 1000 * list.length;
        const head = { kind, channel: direct, author: ids.alice, seq: list.length + 1, prev: list.at(-1)?.id ?? fill(0), time };
        const item = { ...head, body: typeof body === 'function' ? body(head) : body };
        list.push({ name, shows, ...item, ...o.entry(seeds.alice, item) });
    };
    const sealed = (key, n, words) => (head) => o.sealedBody(key, nonce(n), head, cbor([text(words)]));
    append('join', 1, cbor([certificates.alice]));
    append('key, for both, one has not joined', 5, o.keyBody(direct, epoch, salt, [ids.alice, ids.bob], [certificates.bob]));
    const line = text('Một câu hỏi');
    append('session: a request', 7, cbor([1, 60000, o.sealedLine(epoch, nonce(1), direct, ids.alice, line)]),
        { session: hex(o.sessionId(direct, ids.alice, 3)), line: hex(line) });
    append('text', 3, sealed(epoch, 2, 'between us'), { body: hex(cbor([text('between us')])) });
    append('a kind of a later version', 99, sealed(epoch, 3, 'later'), { body: hex(cbor([text('later')])) });
    append('sealed for another place', 3, (head) => sealed(epoch, 4, 'moved')({ ...head, seq: head.seq + 1 }), { locked: true });
    append('text of an epoch whose key comes later', 3, sealed(later, 5, 'not yet'), { late: true, body: hex(cbor([text('not yet')])) });
    append('a ciphertext that was changed', 3, (head) => flip(sealed(epoch, 6, 'changed')(head), 500), { locked: true });
    append('not sealed at all', 3, cbor([text('in clear')]), { locked: true });
    append('a body of the longest form', 3, (head) => o.sealedBody(epoch, nonce(7), head, fill(0x78, 16 * 1024 - 64)), { body: hex(fill(0x78, 16 * 1024 - 64)) });
    append('a key that is not the promised one', 5, (head) => {
        const right = o.keyBody(direct, later, salt, [ids.bob]);
        const wrong = o.keyBody(direct, { ...later, key: fill(0xeb) }, salt, [ids.bob]);
        return concat(right.slice(0, 18), wrong.slice(18)); // the id of the one, all else of the other
    });
    append('text: still locked', 3, sealed(later, 8, 'still not'), { late: true, body: hex(cbor([text('still not')])) });
    append('the key of the later epoch', 5, o.keyBody(direct, later, bytesOf(16, 7), [ids.bob]));
    append('text of the later epoch', 3, sealed(later, 9, 'now it is here'), { body: hex(cbor([text('now it is here')])) });

    const entryVector = ({ name, kind, seq, time, id, bytes, shows }) => ({ name, kind, seq, time_ms: time, id: hex(id), hex: hex(bytes), ...shows });
    return {
        authority: hex(ids.tracker), time_ms: TIME_MS, channel: hex(direct), spec: { account: 'alice', other: 'bob' },
        author_seed: hex(seeds.alice), author: hex(ids.alice), certificate: hex(certificates.alice),
        reader_seed: hex(seeds.bob), reader: hex(ids.bob), reader_certificate: hex(certificates.bob),
        epochs: [epoch, later].map((e) => ({ number: e.number, roster: e.roster, created_ms: e.created, key: hex(e.key), id: hex(o.epochId(direct, e)) })),
        feed: list.map(entryVector),
        private: privateVectors(entryVector),
    };
}

function signatureVectors() {
    return {
        rule: 'S < L; A and R not of small order; A canonical; R equal, byte for byte, to SB - hA (libsodium)',
        cases: hostileCases().map(({ name, A, signature, message, valid }) => ({
            name, key: hex(A), signature: hex(signature), message: hex(message), valid,
        })),
    };
}

export function vectors() {
    return {
        'cbor.json': cborVectors(), 'identity.json': identityVectors(), 'entry.json': entryVectors(),
        'message.json': messageVectors(), 'link.json': linkVectors(), 'signature.json': signatureVectors(), 'file.json': fileVectors(),
        'exchange.json': fileExchange(), 'sealed.json': sealedVectors(),
    };
}

export const render = (value) => `${JSON.stringify(value, null, 1)}\n`;
export const read = (name) => readFileSync(new URL(name, FOLDER), 'utf8');

if (process.argv[1] === fileURLToPath(import.meta.url)) {
    for (const [name, value] of Object.entries(vectors())) writeFileSync(new URL(name, FOLDER), render(value));
}
