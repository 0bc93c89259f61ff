#include "core/link.h"

#include <string.h>

#include "base/cbor.h"
#include "core/identity.h"

static const uint8_t letters_of_preface[] = {'w', 'p', 'r', 's'};

int link_init(struct link *l, const struct allocator *allocator, const struct crypto *crypto, bool initiator,
              slice binding, const uint8_t noise_secret[KEY_BYTES], const uint8_t ephemeral[KEY_BYTES])
{
    uint8_t bound[HASH_BYTES];
    *l = (struct link){
        .allocator = allocator, .crypto = crypto, .initiator = initiator, .versions = LINK_VERSION};
    l->noise = alloc_new(allocator, sizeof *l->noise);
    if (!l->noise) return ERR_MEMORY;
    /* The prologue is the domain and the binding; a long binding is as good as its hash, but vectors and
     * readers are simpler with the bytes themselves. */
    uint8_t prologue[15 + 256];
    struct writer w = writer_of(prologue, sizeof prologue);
    writer_put(&w, SLICE("weaprous.link.1"));
    if (binding.len > 256) {
        crypto->hash(crypto->context, bound, HASH_BYTES, binding);
        binding = slice_of(bound, HASH_BYTES);
    }
    writer_put(&w, binding);
    noise_init(l->noise, crypto, initiator, writer_slice(&w), noise_secret, ephemeral);
    return OK;
}

static void noise_drop(struct link *l)
{
    if (!l->noise) return;
    noise_deinit(l->noise);
    alloc_free(l->allocator, l->noise, sizeof *l->noise);
    l->noise = NULL;
}

static void inbox_drop(struct link *l)
{
    alloc_free(l->allocator, l->inbox, l->inbox_cap);
    l->inbox = NULL;
    l->inbox_len = l->inbox_cap = 0;
}

void link_deinit(struct link *l)
{
    noise_drop(l);
    inbox_drop(l);
    alloc_free(l->allocator, l->certificate, l->certificate_len);
    wipe(l, sizeof *l);
}

bool link_greets(const struct link *l)
{
    if (!l->preface_sent) return true;
    /* The initiator's first message leaves with its preface; the others answer what was read. */
    return l->state != LINK_OPEN && noise_writes_next(l->noise);
}

/* The versions that a preface's last byte stands for: the oldest one in its low half, and how many newer ones
 * in its high half. 0 when this side's is not among them. */
static unsigned common_version(uint8_t byte)
{
    unsigned oldest = byte & 15, newest = oldest + (byte >> 4);
    return oldest > 0 && oldest <= LINK_VERSION && LINK_VERSION <= newest ? LINK_VERSION : 0;
}

/* [device, signature over our Noise static key, role, certificate, and to a side that speaks other versions,
 * too: the byte that was sent, the byte that was read]. So nobody in between can make two sides speak an
 * older version than both know. */
static slice introduction(const struct link *l, const struct link_self *self, struct writer *w)
{
    uint8_t signature[SIGNATURE_BYTES];
    identity_sign(l->crypto, self->seed, SLICE("weaprous.link.1"),
                  slice_of(l->noise->static_public, KEY_BYTES), signature);
    bool versions = l->versions != LINK_VERSION || l->their_versions != LINK_VERSION;
    cbor_put_array(w, versions ? 6 : 4);
    cbor_put_bytes(w, slice_of(self->device, ID_BYTES));
    cbor_put_bytes(w, slice_of(signature, SIGNATURE_BYTES));
    cbor_put_uint(w, self->role);
    cbor_put_bytes(w, self->certificate);
    if (versions) {
        cbor_put_uint(w, l->versions);
        cbor_put_uint(w, l->their_versions);
    }
    return writer_slice(w);
}

static int open_if_finished(struct link *l)
{
    if (!noise_finished(l->noise)) return OK;
    noise_split(l->noise, &l->send, &l->receive);
    memcpy(l->session, l->noise->hash, sizeof l->session);
    noise_drop(l);
    l->state = LINK_OPEN;
    return OK;
}

int link_greet(struct link *l, const struct link_self *self, struct writer *out)
{
    if (!l->preface_sent) {
        writer_put(out, slice_of(letters_of_preface, sizeof letters_of_preface));
        writer_byte(out, l->versions);
        l->preface_sent = true;
    }
    if (out->failed) return ERR_FULL;
    if (l->state == LINK_OPEN || !noise_writes_next(l->noise)) return OK;

    uint8_t payload[NODE_CERTIFICATE_BYTES_MAX + 256], message[2048];
    struct writer p = writer_of(payload, sizeof payload), m = writer_of(message, sizeof message);
    slice intro = l->noise->step == 0 ? SLICE_EMPTY : introduction(l, self, &p);
    if (p.failed) return ERR_FULL;
    int rc = noise_write(l->noise, intro, &m);
    if (rc < 0) return rc;
    writer_byte(out, (uint8_t)(m.len >> 8));
    writer_byte(out, (uint8_t)m.len);
    writer_put(out, writer_slice(&m));
    return out->failed ? ERR_FULL : open_if_finished(l);
}

static int read_introduction(struct link *l, slice payload)
{
    struct cbor_reader r = {payload, false};
    uint64_t count = cbor_array(&r, 32);
    const uint8_t *device = cbor_fixed(&r, ID_BYTES);
    const uint8_t *signature = cbor_fixed(&r, SIGNATURE_BYTES);
    uint64_t role = cbor_uint(&r, ROLE_REPLICA);
    slice certificate = cbor_bytes(&r, NODE_CERTIFICATE_BYTES_MAX);
    if (r.failed || count < 4) return ERR_MALFORMED;
    bool versions = count >= 6;
    uint64_t sent = versions ? cbor_uint(&r, UINT8_MAX) : LINK_VERSION;
    uint64_t seen = versions ? cbor_uint(&r, UINT8_MAX) : LINK_VERSION;
    cbor_skip(&r, count - (versions ? 6 : 4));
    if (!cbor_done(&r)) return ERR_MALFORMED;
    if (sent != l->their_versions || seen != l->versions) return ERR_VERSION; /* a preface was altered */
    if (!identity_verify(l->crypto, device, SLICE("weaprous.link.1"),
                         slice_of(l->noise->remote_static, KEY_BYTES), signature)) {
        return ERR_SIGNATURE;
    }
    memcpy(l->device, device, ID_BYTES);
    l->role = (enum node_role)role;
    if (certificate.len) {
        l->certificate = alloc_new(l->allocator, certificate.len);
        if (!l->certificate) return ERR_MEMORY;
        memcpy(l->certificate, certificate.ptr, certificate.len);
        l->certificate_len = certificate.len;
    }
    return OK;
}

static int read_handshake(struct link *l, slice message, uint8_t *scratch)
{
    size_t len;
    if (noise_writes_next(l->noise)) return ERR_PROTOCOL; /* spoke out of turn */
    int rc = noise_read(l->noise, message, scratch, &len);
    if (rc < 0) return rc;
    if (l->noise->step >= 2) {
        rc = read_introduction(l, slice_of(scratch, len));
        if (rc < 0) return rc;
    }
    return open_if_finished(l);
}

/* Collects up to `want` bytes in the inbox, which has room for them: true when they are there. */
static bool collect(struct link *l, slice *rest, size_t want)
{
    size_t n = want > l->inbox_len ? want - l->inbox_len : 0;
    if (n > rest->len) n = rest->len;
    if (n) memcpy(l->inbox + l->inbox_len, rest->ptr, n);
    l->inbox_len += n;
    *rest = slice_sub(*rest, n, rest->len);
    return l->inbox_len >= want;
}

/* Most frames are small: thousands of links with a half one each are not to hold 20 KiB each. */
static int inbox_room(struct link *l, size_t want)
{
    if (want <= l->inbox_cap) return OK;
    if (want < 64) want = 64;
    uint8_t *inbox = alloc_resize(l->allocator, l->inbox, l->inbox_cap, want);
    if (!inbox) return ERR_MEMORY;
    l->inbox = inbox;
    l->inbox_cap = want;
    return OK;
}

static int read_preface(struct link *l, slice *rest)
{
    if (rest->len == 0) return ERR_AGAIN;
    int rc = inbox_room(l, LINK_PREFACE_BYTES);
    if (rc < 0) return rc;
    bool whole = collect(l, rest, LINK_PREFACE_BYTES);
    size_t letters = l->inbox_len < 4 ? l->inbox_len : 4;
    if (memcmp(l->inbox, letters_of_preface, letters) != 0) return ERR_MALFORMED;
    if (!whole) return ERR_AGAIN;
    l->their_versions = l->inbox[4];
    if (common_version(l->their_versions) == 0) return ERR_VERSION;
    inbox_drop(l);
    l->state = LINK_HANDSHAKE;
    return OK;
}

static int check_length(const struct link *l, size_t len)
{
    if (len == 0) return ERR_MALFORMED;
    size_t max = l->state == LINK_OPEN ? LINK_FRAME_BYTES_MAX - 2 : 2048;
    return len <= max ? OK : ERR_TOO_LARGE;
}

/* One whole frame: straight from the input when it lies there, else through the inbox. */
static int read_frame(struct link *l, slice *rest, slice *out_frame)
{
    if (rest->len == 0) return ERR_AGAIN;
    if (l->inbox_len == 0 && rest->len >= 2) {
        size_t len = (size_t)rest->ptr[0] << 8 | rest->ptr[1];
        int rc = check_length(l, len);
        if (rc < 0) return rc;
        if (rest->len - 2 >= len) {
            *out_frame = slice_sub(*rest, 2, len);
            *rest = slice_sub(*rest, 2 + len, rest->len);
            return OK;
        }
    }
    int rc = inbox_room(l, 2);
    if (rc < 0) return rc;
    if (!collect(l, rest, 2)) return ERR_AGAIN;
    size_t len = (size_t)l->inbox[0] << 8 | l->inbox[1];
    rc = check_length(l, len);
    if (rc == OK) rc = inbox_room(l, 2 + len);
    if (rc < 0) return rc;
    if (!collect(l, rest, 2 + len)) return ERR_AGAIN;
    *out_frame = slice_of(l->inbox + 2, len);
    return OK;
}

int link_next(struct link *l, slice *rest, uint8_t *scratch, slice *out_message)
{
    if (l->state == LINK_PREFACE) {
        int rc = read_preface(l, rest);
        if (rc < 0) return rc;
        *out_message = SLICE_EMPTY;
        return OK;
    }
    slice frame;
    int rc = read_frame(l, rest, &frame);
    if (rc < 0) return rc;
    if (l->state == LINK_HANDSHAKE) {
        rc = read_handshake(l, frame, scratch);
        *out_message = SLICE_EMPTY;
    } else {
        rc = noise_decrypt(&l->receive, l->crypto, frame, scratch);
        *out_message = slice_of(scratch, frame.len > TAG_BYTES ? frame.len - TAG_BYTES : 0);
        if (rc == OK && out_message->len == 0) rc = ERR_MALFORMED;
    }
    inbox_drop(l);
    return rc;
}

int link_seal(struct link *l, slice message, struct writer *out)
{
    size_t len = message.len + TAG_BYTES;
    if (l->state != LINK_OPEN || message.len == 0 || message.len > LINK_MESSAGE_BYTES_MAX) return ERR_INVALID;
    if (out->failed || out->cap - out->len < 2 + len) return ERR_FULL;
    writer_byte(out, (uint8_t)(len >> 8));
    writer_byte(out, (uint8_t)len);
    return noise_encrypt(&l->send, l->crypto, message, out);
}
