#include "account/passwords.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define OPERATIONS 2
#define MEMORY_BYTES (64 * 1024 * 1024)

/* Some hash of the same cost (of a random password that nobody kept), for names that do not exist. */
static const char nobody[] = "$argon2id$v=19$m=65536,t=2,p=1$0jc4vLCPa3Z87Cyz4eAZJg$"
                             "7pGEqSJ4gQH2ZE2C3scIbkft7v08kQzgHj5hiQZROp8";

_Static_assert(crypto_pwhash_STRBYTES <= PASSWORD_HASH_BYTES, "room for a hash");

int password_hash(slice password, char out_hash[PASSWORD_HASH_BYTES])
{
    if (password.len > PASSWORD_BYTES_MAX) return ERR_TOO_LARGE;
    return crypto_pwhash_str_alg(out_hash, (const char *)password.ptr, password.len, OPERATIONS, MEMORY_BYTES,
                                 crypto_pwhash_ALG_ARGON2ID13)
               ? ERR_MEMORY
               : OK;
}

int password_verify(slice password, slice hash)
{
    char text[crypto_pwhash_STRBYTES] = "";
    if (password.len > PASSWORD_BYTES_MAX || hash.len >= sizeof text) return ERR_TOO_LARGE;
    slice kept = hash.len ? hash : slice_text(nobody);
    memcpy(text, kept.ptr, kept.len);
    int wrong = crypto_pwhash_str_verify(text, (const char *)password.ptr, password.len);
    return wrong || !hash.len ? ERR_AUTH : OK;
}

struct password_job {
    uv_work_t work;
    struct passwords *passwords;
    struct password_job *next;
    passwords_done *done;
    void *context;
    bool verify;
    int result;
    char hash[PASSWORD_HASH_BYTES];
    size_t password_len;
    char password[PASSWORD_BYTES_MAX];
};

void passwords_init(struct passwords *p, uv_loop_t *loop)
{
    *p = (struct passwords){.loop = loop, .running_max = PASSWORDS_RUNNING_MAX};
    p->last = &p->first;
}

static void job_free(struct password_job *job)
{
    sodium_memzero(job, sizeof *job);
    free(job);
}

void passwords_stop(struct passwords *p)
{
    p->stopped = true;
    struct password_job *job = p->first;
    p->first = NULL;
    p->last = &p->first;
    p->waiting = 0;
    while (job) {
        struct password_job *next = job->next;
        job->done(job->context, ERR_CLOSED, SLICE_EMPTY);
        job_free(job);
        job = next;
    }
}

/* On a worker thread. */
static void work(uv_work_t *request)
{
    struct password_job *job = request->data;
    slice password = slice_of(job->password, job->password_len);
    job->result =
        job->verify ? password_verify(password, slice_text(job->hash)) : password_hash(password, job->hash);
}

static void start_next(struct passwords *p);

static void finished(uv_work_t *request, int status)
{
    struct password_job *job = request->data;
    struct passwords *p = job->passwords;
    p->running--;
    if (status) job->result = ERR_MEMORY;
    slice hash = job->verify || job->result ? SLICE_EMPTY : slice_text(job->hash);
    job->done(job->context, job->result, hash);
    job_free(job);
    start_next(p);
}

static void start_next(struct passwords *p)
{
    while (p->first && p->running < p->running_max) {
        struct password_job *job = p->first;
        p->first = job->next;
        if (!p->first) p->last = &p->first;
        p->waiting--;
        p->running++;
        job->work.data = job;
        if (uv_queue_work(p->loop, &job->work, work, finished)) finished(&job->work, UV_ENOMEM);
    }
}

static int submit(struct passwords *p, slice password, const slice *hash, passwords_done *done, void *context)
{
    if (password.len > PASSWORD_BYTES_MAX || (hash && hash->len >= PASSWORD_HASH_BYTES)) return ERR_TOO_LARGE;
    if (p->stopped) return ERR_CLOSED;
    if (p->waiting >= PASSWORDS_WAITING_MAX) return ERR_BUSY;
    struct password_job *job = calloc(1, sizeof *job);
    if (!job) return ERR_MEMORY;
    job->passwords = p;
    job->done = done;
    job->context = context;
    job->verify = hash != NULL;
    if (hash && hash->len) memcpy(job->hash, hash->ptr, hash->len);
    job->password_len = password.len;
    if (password.len) memcpy(job->password, password.ptr, password.len);
    *p->last = job;
    p->last = &job->next;
    p->waiting++;
    start_next(p);
    return OK;
}

int passwords_hash(struct passwords *p, slice password, passwords_done *done, void *context)
{
    return submit(p, password, NULL, done, context);
}

int passwords_verify(struct passwords *p, slice password, slice hash, passwords_done *done, void *context)
{
    return submit(p, password, &hash, done, context);
}
