/* introduce.c - how devices hear of sealed channels that they may take part in: INTRODUCE, made and judged.
 *
 * Nobody is asked to believe anything: the id follows from the spec, the accounts from certificates, and
 * membership of a private channel from a MEMBER entry, which comes along. */
#include <string.h>

#include "core/identity.h"
#include "core/member.h"
#include "core/spec.h"
#include "core/state.h"

/* --- making --- */

void introduce_due(struct node *n, struct pipe *p, uint32_t channel)
{
    struct share *s;
    if (!n->channels[channel]->roster || sync_share(n, p, channel, &s) < 0 || s->introduce) return;
    s->introduce = true;
    p->introductions++;
    pipe_wake(n, p);
}

bool introduce_has_output(const struct pipe *p)
{
    return p->introductions > 0;
}

/* The entry that shows what the other side is to believe: that it is, or is not any more, a member; the
 * authority wants to know it of us. NULL when none is needed, *out_possible false when there is none. */
static const struct change *proof_for(const struct node *n, const struct channel *c, const struct pipe *p,
                                      bool *out_possible)
{
    const struct roster *r = c->roster;
    bool to_authority = memcmp(p->link.device, c->authority, ID_BYTES) == 0;
    bool from_authority = memcmp(n->device, c->authority, ID_BYTES) == 0;
    slice account = to_authority && !from_authority ? n->account : p->account;
    /* Names that another authority gives are nobody's here. */
    *out_possible = to_authority || (p->certified && memcmp(p->authority, c->authority, ID_BYTES) == 0);
    if (!*out_possible) return NULL;
    if (r->type == CHANNEL_DIRECT) {
        *out_possible = member_is(c, account);
        return NULL;
    }
    *out_possible = r->certificate_len > 0;
    if (!*out_possible || slice_equal(account, r->founder_account)) return NULL;
    const struct change *known = member_change(r, account);
    *out_possible = known && known->durable;
    return *out_possible ? known : NULL;
}

static slice make(struct node *n, struct pipe *p, uint32_t channel)
{
    const struct channel *c = n->channels[channel];
    struct channel_spec spec = member_spec(c);
    uint8_t bytes[SPEC_BYTES_MAX];
    bool possible;
    const struct change *proof = proof_for(n, c, p, &possible);
    if (!possible) return SLICE_EMPTY;
    struct writer s = writer_of(bytes, sizeof bytes), w = writer_of(n->plain, sizeof n->plain);
    spec_write(&s, &spec);
    message_write_introduce(&w, writer_slice(&s),
                            slice_of(c->roster->certificate, c->roster->certificate_len),
                            proof ? slice_of(proof->wire, proof->wire_len) : SLICE_EMPTY);
    return s.failed || w.failed ? SLICE_EMPTY : writer_slice(&w);
}

slice introduce_next(struct node *n, struct pipe *p)
{
    for (uint32_t i = 0; i < p->shares_len && p->introductions > 0; i++) {
        if (!p->shares[i] || !p->shares[i]->introduce) continue;
        p->shares[i]->introduce = false;
        p->introductions--;
        slice message = make(n, p, i);
        if (message.len) return message;
    }
    return SLICE_EMPTY;
}

/* --- judging --- */

/* What an INTRODUCE says, as far as it is shown to be true. */
struct introduction {
    struct channel_spec spec;
    uint8_t id[ID_BYTES];
    struct certificate founder; /* PRIVATE */
    bool has_proof;
    struct entry entry;
    struct member_act act;
};

/* ERR_NOT_FOUND: nothing that we know; other errors: something false. */
static int judge(struct node *n, const struct message *m, struct introduction *out)
{
    *out = (struct introduction){.has_proof = m->wire.len > 0};
    if (!spec_parse(m->spec, &out->spec) || !channel_sealed(out->spec.type)) return ERR_NOT_FOUND;
    int rc = channel_spec_id(n->crypto, &out->spec, out->id);
    if (rc < 0 || out->spec.type == CHANNEL_DIRECT) return rc;
    rc = certificate_parse(n->crypto, m->certificate, &out->founder);
    if (rc < 0) return rc;
    if (memcmp(out->founder.device, out->spec.founder, ID_BYTES) != 0 ||
        memcmp(out->founder.authority, out->spec.authority, ID_BYTES) != 0)
        return ERR_PROTOCOL;
    if (!out->has_proof) return OK;
    rc = entry_parse(m->wire, &out->entry);
    if (rc < 0) return rc;
    if (out->entry.kind != ENTRY_MEMBER || memcmp(out->entry.channel, out->id, ID_BYTES) != 0)
        return ERR_PROTOCOL;
    uint8_t id[ID_BYTES];
    entry_id(n->crypto, &out->entry, id);
    if (!entry_signed(n->crypto, &out->entry, id)) return ERR_SIGNATURE;
    rc = member_parse(n->crypto, out->spec.authority, &out->entry, &out->act);
    if (rc == OK && !slice_equal(out->act.author_account, out->founder.account)) rc = ERR_PROTOCOL;
    return rc;
}

/* By what came along, the account is a member. */
static bool shown_member(const struct introduction *i, slice account)
{
    if (account.len == 0) return false;
    if (i->spec.type == CHANNEL_DIRECT)
        return slice_equal(account, i->spec.account) || slice_equal(account, i->spec.other);
    if (slice_equal(account, i->founder.account)) return true;
    return i->has_proof && i->act.on && slice_equal(account, i->act.account);
}

/* Whether this device is to carry the channel. */
static bool concerns_us(const struct node *n, const struct pipe *p, const struct introduction *i)
{
    bool by_authority = memcmp(p->link.device, i->spec.authority, ID_BYTES) == 0;
    bool certified = p->certified && memcmp(p->authority, i->spec.authority, ID_BYTES) == 0;
    if (n->config.role == ROLE_REPLICA)
        return memcmp(n->device, i->spec.authority, ID_BYTES) == 0 && certified &&
               shown_member(i, p->account);
    if (memcmp(n->certifier, i->spec.authority, ID_BYTES) != 0 || !shown_member(i, n->account)) return false;
    /* A direct conversation is brought by one of the two, a private channel by anybody who can show it. */
    return by_authority || (certified && (i->spec.type == CHANNEL_PRIVATE || shown_member(i, p->account)));
}

/* Sealed channels here that this account has to do with: its own private ones, its conversations. */
static uint32_t channels_of(const struct node *n, slice account)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < n->channels_len; i++) {
        const struct roster *r = n->channels[i]->roster;
        if (!r) continue;
        count += r->type == CHANNEL_DIRECT ? member_is(n->channels[i], account)
                                           : slice_equal(r->founder_account, account);
    }
    return count;
}

static bool room_for(struct node *n, struct pipe *p, const struct introduction *i)
{
    bool by_authority = memcmp(p->link.device, i->spec.authority, ID_BYTES) == 0;
    slice account = i->spec.type == CHANNEL_PRIVATE ? i->founder.account : p->account;
    if (n->channels_len + INTRODUCED_SPARE >= NODE_CHANNELS_MAX) return false;
    if (by_authority) return true;
    if (p->introduced >= INTRODUCED_LINK_MAX && n->config.role == ROLE_PERSON) return false;
    return channels_of(n, account) < INTRODUCED_ACCOUNT_MAX; /* links come and go */
}

/* About a channel that is here: who its founder is, and with a proof that somebody came or went. */
static int news(struct node *n, struct channel *c, const struct introduction *i, const struct message *m)
{
    if (i->spec.type != CHANNEL_PRIVATE) return OK;
    bool knew = c->roster->certificate_len > 0;
    int rc = member_founder(n, c, m->certificate);
    if (rc == OK && i->has_proof) rc = member_learn(n, c, &i->entry, m->wire, true);
    if (rc == OK && !knew) member_changed(n, c->index); /* the founder's devices are members */
    return rc;
}

int introduce_message(struct node *n, struct pipe *p, const struct message *m)
{
    struct introduction i;
    uint32_t index;
    int rc = judge(n, m, &i);
    if (rc == ERR_NOT_FOUND) return OK;
    if (rc < 0) {
        PROBE(n, INTRODUCE_FALSE);
        pipe_glitch(n, p);
        return OK;
    }
    struct channel *c = channel_find(n, i.id, &index);
    if (c) return news(n, c, &i, m);
    if (!concerns_us(n, p, &i)) return OK;
    if (!room_for(n, p, &i)) {
        PROBE(n, INTRODUCE_NO_ROOM);
        node_warn(n, ERR_FULL, p->link.device, "A conversation was not taken: there are too many.");
        return OK;
    }
    rc = channel_open(n, &i.spec, m->certificate, &index);
    if (rc < 0) return rc;
    p->introduced++;
    PROBE(n, INTRODUCED);
    c = n->channels[index];
    rc = news(n, c, &i, m);
    if (rc < 0) return rc;
    channel_announce(n, c, CHANNEL_SAY_NEW);
    uint64_t token;
    /* A JOIN would tell somebody who is blocked which devices are here. */
    bool quiet = talk_shuns(n, c);
    if (channel_enter(n, index, quiet, &token) < 0 || quiet) { /* busy, or no memory: soon */
        c->join_due = true;
        timer_arm(n, TIMER_SEAL, index, 0, n->now + SECONDS);
    }
    return OK;
}
