// The vectors are what the independent implementation says, the published Noise vectors hold in it, and libsodium
// as the page has it gives the protocol's verdict on every signature.
import test from 'node:test';
import assert from 'node:assert/strict';
import { decode } from 'cborg';
import sodiumWrappers from 'libsodium-wrappers';
import * as o from './oracle.mjs';
import { read, render, vectors } from './generate.mjs';
import { fileMessageError, offerError } from './readers.mjs';

const load = (name) => JSON.parse(read(name));
const STRICT = { strict: true, allowIndefinite: false, allowUndefined: false, allowNaN: false, allowBigInt: true };
const strict = (bytes) => decode(bytes, STRICT);

test('the generator writes the same vectors again', () => {
    for (const [name, value] of Object.entries(vectors())) assert.equal(render(value), read(name), name);
});

test('published Noise vectors hold in the oracle', () => {
    for (const vector of load('noise-published.json').vectors) {
        const keys = (side) => ({ static: o.unhex(vector[`${side}_static`]), ephemeral: o.unhex(vector[`${side}_ephemeral`]) });
        const { messages, handshakeHash } = o.noiseTranscript({
            prologue: o.unhex(vector.init_prologue), initiator: keys('init'), responder: keys('resp'),
            payloads: vector.messages.map((message) => o.unhex(message.payload)),
        });
        assert.deepEqual(messages.map(o.hex), vector.messages.map((message) => message.ciphertext), vector.name);
        if (vector.handshake_hash) assert.equal(o.hex(handshakeHash), vector.handshake_hash);
    }
});

test('libsodium-wrappers gives the written verdict on hostile signatures', async () => {
    await sodiumWrappers.ready;
    for (const item of load('signature.json').cases) {
        const [signature, message, key] = [item.signature, item.message, item.key].map(o.unhex);
        assert.equal(sodiumWrappers.crypto_sign_verify_detached(signature, message, key), item.valid, item.name);
    }
});

test('both verdicts occur, and every class of hostile signature', () => {
    const { cases } = load('signature.json');
    assert.ok(cases.some((item) => item.valid) && cases.some((item) => !item.valid));
    for (let number = 0; number < 12; number++) assert.ok(cases.some((item) => item.name.startsWith(`${number}: `)));
});

test('every message and every signed thing reads back in strict CBOR', () => {
    const entries = load('entry.json');
    const identity = load('identity.json');
    const all = [
        ...load('message.json').valid.map((item) => item.hex), ...load('message.json').skipped.map((item) => item.hex),
        ...entries.feed.map((item) => item.hex), ...entries.feed.map((item) => item.fields), ...entries.feed.map((item) => item.body),
        ...identity.certificates.map((item) => item.hex), ...load('cbor.json').valid.map((item) => item.hex),
    ];
    for (const hexadecimal of all) strict(o.unhex(hexadecimal));
});

test('another reader takes and refuses the same offers', () => {
    const { offers, longer_offers: longer, bad_offers: bad } = load('file.json');
    for (const item of [...offers, ...longer]) assert.equal(offerError(o.unhex(item.hex)), undefined, item.name);
    for (const item of bad) assert.equal(offerError(o.unhex(item.hex)), item.error, item.name);
    assert.deepEqual(new Set(bad.map(({ error }) => error)), new Set(['MALFORMED', 'INVALID', 'TOO_LARGE']));
});

test('another reader takes and refuses the same messages about files', () => {
    const { serving, fetching, harmless, malformed, size } = load('exchange.json');
    const about = [...serving, ...fetching].flatMap(({ say, answers }) => [say, ...answers]).filter((item) => strict(o.unhex(item))[0] >= 20);
    assert.deepEqual(new Set(about.map((item) => strict(o.unhex(item))[0])), new Set([20, 21, 22, 23, 24]));
    for (const item of about) assert.equal(fileMessageError(o.unhex(item), size), undefined);
    const unknown = /not here|another size/; // whose leaves nobody counts
    for (const item of harmless) if (!unknown.test(item.name)) assert.equal(fileMessageError(o.unhex(item.hex), size), undefined, item.name);
    for (const item of malformed) assert.equal(fileMessageError(o.unhex(item.hex), size), 'MALFORMED', item.name);
});

test('signed bytes verify with libsodium, flipped ones do not', async () => {
    await sodiumWrappers.ready;
    const { feed, author } = load('entry.json');
    for (const item of feed) {
        const [fields, signature] = strict(o.unhex(item.hex));
        const signed = (bytes) => o.concat(o.text(o.DOMAIN.entry), sodiumWrappers.crypto_generichash(32, bytes));
        assert.ok(sodiumWrappers.crypto_sign_verify_detached(signature, signed(fields), o.unhex(author)));
        fields[5] ^= 1;
        assert.ok(!sodiumWrappers.crypto_sign_verify_detached(signature, signed(fields), o.unhex(author)));
    }
});
