/* The buffers, and the helpers that need no node. */
#include "wasm.h"

#include <string.h>

WASM_EXPORT(w_input) uint8_t *w_input(void);
uint8_t *w_input(void)
{
    return wasm.input;
}

WASM_EXPORT(w_output) uint8_t *w_output(void);
uint8_t *w_output(void)
{
    return wasm.output;
}

WASM_EXPORT(w_buffer_size) uint32_t w_buffer_size(void);
uint32_t w_buffer_size(void)
{
    return WASM_BUFFER_BYTES;
}

static uint32_t output_text(const char *text)
{
    size_t len = strlen(text);
    memcpy(wasm.output, text, len);
    return (uint32_t)len;
}

WASM_EXPORT(w_error_text) uint32_t w_error_text(int code);
/* Output: the sentence for an error code. */
uint32_t w_error_text(int code)
{
    return output_text(err_text(code));
}

WASM_EXPORT(w_error_name) uint32_t w_error_name(int code);
uint32_t w_error_name(int code)
{
    return output_text(err_name(code));
}

WASM_EXPORT(w_certificate) int w_certificate(uint32_t len);
/* Input: a certificate. Output [account, device, authority, issued_s, expires_s]; gives its length or an
 * error. */
int w_certificate(uint32_t len)
{
    struct certificate fields;
    int result = certificate_parse(&crypto_imported, wasm_input(len), &fields);
    if (result < 0) return result;
    struct writer w = writer_of(wasm.output, WASM_BUFFER_BYTES);
    cbor_put_array(&w, 5);
    cbor_put_bytes(&w, fields.account);
    cbor_put_bytes(&w, slice_of(fields.device, ID_BYTES));
    cbor_put_bytes(&w, slice_of(fields.authority, ID_BYTES));
    cbor_put_uint(&w, fields.issued_s);
    cbor_put_uint(&w, fields.expires_s);
    return w.failed ? ERR_FULL : (int)w.len;
}

WASM_EXPORT(w_certificate_write) int w_certificate_write(uint32_t len);
/* Input [authority seed, account, device, authority, issued_s, expires_s]. Output: the certificate. Devices
 * do not certify each other yet; tests of the browser core play the tracker with it. */
int w_certificate_write(uint32_t len)
{
    struct cbor_reader r = cbor_reader_of(wasm_input(len));
    cbor_array(&r, 6);
    const uint8_t *seed = cbor_fixed(&r, KEY_BYTES);
    struct certificate fields = {.account = cbor_bytes(&r, NODE_NAME_BYTES_MAX)};
    fields.device = cbor_fixed(&r, ID_BYTES);
    fields.authority = cbor_fixed(&r, ID_BYTES);
    fields.issued_s = cbor_uint(&r, UINT64_MAX);
    fields.expires_s = cbor_uint(&r, UINT64_MAX);
    if (!cbor_done(&r)) return ERR_INVALID;
    return certificate_write(&crypto_imported, &fields, seed, wasm.output, WASM_BUFFER_BYTES);
}

WASM_EXPORT(w_channel_id) int w_channel_id(uint32_t len);
/* Input: a spec, as w_command has it. Output: the channel's id. */
int w_channel_id(uint32_t len)
{
    struct cbor_reader r = cbor_reader_of(wasm_input(len));
    struct channel_spec spec = {0};
    if (!wasm_spec(&r, &spec) || !cbor_done(&r)) return ERR_INVALID;
    int result = channel_spec_id(&crypto_imported, &spec, wasm.output);
    return result < 0 ? result : ID_BYTES;
}

WASM_EXPORT(w_sign) int w_sign(uint32_t len);
/* Input [seed, domain, bytes]. Output: the signature over `domain | H(bytes)`. */
int w_sign(uint32_t len)
{
    struct cbor_reader r = cbor_reader_of(wasm_input(len));
    cbor_array(&r, 3);
    const uint8_t *seed = cbor_fixed(&r, KEY_BYTES);
    slice domain = cbor_bytes(&r, 64);
    slice bytes = cbor_bytes(&r, len);
    if (!cbor_done(&r)) return ERR_INVALID;
    identity_sign(&crypto_imported, seed, domain, bytes, wasm.output);
    memset(wasm.input, 0, len);
    return SIGNATURE_BYTES;
}
