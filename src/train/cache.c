/* cache.c: the files of a knowledge cache: finding, reading, writing. */
#include "train/cache.h"

#include "base/file.h"
#include "base/log.h"
#include "data/hash.h"

#include <string.h>
#include <time.h>

#define MANIFEST "cache.json"
#define LOCK ".lock"

enum { ALIGN = 64, PREFIX = 8 };

struct lmb_cache {
    const char *dir;
    int64_t samples, classes, rows_size, size; /* bytes: a row, a file */
    int64_t *needed, n_needed;
    uint64_t identity;
    int64_t epoch; /* looked for last */
    lmb_str path, lock_path, header;
    lmb_file file; /* of that epoch, if there is one */
    /* While writing: */
    int lock;
    lmb_writer writer;
    uint64_t *sums;
    int32_t *batches;
    int64_t written;
};

/* --- the layout of an epoch's file ---------------------------------------- */

/* The bytes before the arrays; their length does not depend on the epoch. */
static lmb_status make_header(lmb_cache *c, int64_t epoch)
{
    const long long n = c->samples, sums = 8 * n, heads = 12 * n;
    lmb_str json = {0};
    c->header.length = 0;
    lmb_str_printf(&json,
        "{\"__metadata__\":{\"format\":\"limbeck cache\",\"identity\":"
        "\"%016llx\",\"epoch\":\"%019lld\"},\"row_xxh64\":{\"dtype\":\"I64\","
        "\"shape\":[%lld],\"data_offsets\":[0,%lld]},\"row_batch\":{\"dtype\":"
        "\"I32\",\"shape\":[%lld],\"data_offsets\":[%lld,%lld]},\"logits\":{"
        "\"dtype\":\"F32\",\"shape\":[%lld,%lld],\"data_offsets\":[%lld,%lld]}"
        "}",
        (unsigned long long)c->identity, (long long)epoch, n, sums, n, sums,
        heads, n, (long long)c->classes, heads,
        heads + (long long)(n * c->rows_size));
    while ((json.length + PREFIX) % ALIGN != 0 && !json.failed)
        lmb_str_add(&json, " ");
    uint8_t prefix[PREFIX];
    for (int i = 0; i < PREFIX; i++)
        prefix[i] = (uint8_t)((uint64_t)json.length >> (8 * i));
    lmb_str_add_bytes(&c->header, prefix, sizeof prefix);
    lmb_str_add_bytes(&c->header, json.text, json.length);
    const lmb_status st = lmb_str_status(&json);
    lmb_str_fini(&json);
    return st != LMB_OK ? st : lmb_str_status(&c->header);
}

static int64_t batches_at(const lmb_cache *c)
{
    return (int64_t)c->header.length + 8 * c->samples;
}

static int64_t row_at(const lmb_cache *c, int64_t row)
{
    return batches_at(c) + 4 * c->samples + row * c->rows_size;
}

/* Depends on the row's place and batch, too; 0 means that there is no row. */
static uint64_t checksum(
    const lmb_cache *c, int64_t row, int32_t batch, const void *logits)
{
    const uint64_t seed = (uint64_t)row + (uint64_t)batch * 0x9E3779B97F4A7C15u;
    const uint64_t h = lmb_xxh64(logits, (size_t)c->rows_size, seed);
    return h != 0 ? h : 1;
}

static uint64_t sum_in_file(const lmb_cache *c, int64_t row)
{
    uint64_t sum = 0;
    memcpy(&sum, c->file.bytes + c->header.length + 8 * row, sizeof sum);
    return sum;
}

static int32_t batch_in_file(const lmb_cache *c, int64_t row)
{
    int32_t batch = 0;
    memcpy(&batch, c->file.bytes + batches_at(c) + 4 * row, sizeof batch);
    return batch;
}

static lmb_status set_sizes(lmb_cache *c)
{
    int64_t size = 0;
    LMB_TRY(make_header(c, 0));
    if (!lmb_mul_i64(c->classes, (int64_t)sizeof(float), &c->rows_size) ||
        !lmb_mul_i64(c->samples, c->rows_size + 12, &size) ||
        !lmb_add_i64(size, (int64_t)c->header.length, &c->size))
        return LMB_FAIL(LMB_EINVAL, "%s: %lld x %lld logits are too many",
            c->dir, (long long)c->samples, (long long)c->classes);
    return LMB_OK;
}

/* --- the folder ----------------------------------------------------------- */

static bool take_lock(lmb_cache *c)
{
    if (c->lock >= 0)
        return true;
    if (lmb_lock_take(c->lock_path.text, &c->lock) != LMB_OK)
        return false;
    lmb_remove_temporaries(c->dir);
    return true;
}

static void drop_lock(lmb_cache *c)
{
    lmb_lock_drop(c->lock_path.text, c->lock);
    c->lock = -1;
}

static lmb_status check_manifest(const lmb_cache_key *key, const char *path)
{
    lmb_file file = {0};
    LMB_TRY(lmb_file_open(path, &file));
    const lmb_status st = lmb_cache_key_check(key, file.bytes, file.size, path);
    lmb_file_close(&file);
    return st;
}

/* What killed writers left goes, if nobody writes. */
static void clean_folder(lmb_cache *c)
{
    if (take_lock(c))
        drop_lock(c);
}

/* Runs that are started together wait for the first one's manifest. */
static lmb_status make_manifest(
    lmb_cache *c, const char *path, const lmb_str *text)
{
    const struct timespec pause = {0, 20 * 1000 * 1000};
    for (int tries = 0; !take_lock(c); tries++) {
        if (lmb_path_exists(path))
            return LMB_OK;
        if (tries == 250)
            return lmb__wrap(LMB_EIO, "the cache's first run");
        (void)nanosleep(&pause, NULL);
    }
    lmb_status st = LMB_OK;
    if (!lmb_path_exists(path))
        st = lmb_file_write(path, text->text, text->length);
    drop_lock(c);
    return st;
}

static lmb_status open_folder(lmb_cache *c, const lmb_cache_key *key)
{
    lmb_str path = {0}, text = {0};
    lmb_status st = LMB_OK;
    lmb_str_printf(&c->lock_path, "%s/" LOCK, c->dir);
    lmb_str_printf(&path, "%s/" MANIFEST, c->dir);
    lmb_cache_key_text(key, &text);
    LMB_GOTO(lmb_str_status(&c->lock_path), st, done);
    LMB_GOTO(lmb_str_status(&path), st, done);
    LMB_GOTO(lmb_str_status(&text), st, done);
    c->identity = lmb_xxh64(text.text, text.length, 0);
    LMB_GOTO(lmb_make_dirs(c->dir), st, done);
    if (!lmb_path_exists(path.text))
        LMB_GOTO(make_manifest(c, path.text, &text), st, done);
    else
        clean_folder(c);
    LMB_GOTO(check_manifest(key, path.text), st, done);
done:
    lmb_str_fini(&path);
    lmb_str_fini(&text);
    return st;
}

static lmb_status open_cache(lmb_cache *c, const lmb_cache_key *key)
{
    LMB_TRY(open_folder(c, key));
    return set_sizes(c);
}

lmb_status lmb_cache_open(const char *dir, const lmb_cache_key *key,
    int64_t samples, int64_t classes, int64_t n, const int64_t *rows,
    lmb_cache **out)
{
    lmb_cache *c = NULL;
    LMB_TRY(LMB_NEW(c, 1));
    *c = (lmb_cache){
        .dir = dir, .samples = samples, .classes = classes, .lock = -1};
    lmb_status st = LMB_OK;
    LMB_GOTO(LMB_NEW(c->needed, n), st, failed);
    c->n_needed = n;
    memcpy(c->needed, rows, (size_t)n * sizeof *rows);
    LMB_GOTO(open_cache(c, key), st, failed);
    *out = c;
    return LMB_OK;
failed:
    lmb_cache_free(c);
    return st;
}

/* --- reading -------------------------------------------------------------- */

static lmb_status check_file(const lmb_cache *c)
{
    const char *path = c->path.text;
    if ((int64_t)c->file.size != c->size)
        return LMB_FAIL(LMB_EFORMAT,
            "%s: damaged: %zu bytes, not the %lld of %lld x %lld logits", path,
            c->file.size, (long long)c->size, (long long)c->samples,
            (long long)c->classes);
    if (memcmp(c->file.bytes, c->header.text, c->header.length) != 0)
        return LMB_FAIL(LMB_EFORMAT,
            "%s: damaged, or of another cache or epoch: its header is not "
            "that of epoch %lld of %s/" MANIFEST,
            path, (long long)c->epoch, c->dir);
    return LMB_OK;
}

lmb_status lmb_cache_find(lmb_cache *c, int64_t epoch, bool *complete)
{
    *complete = false;
    lmb_file_close(&c->file);
    c->epoch = epoch;
    c->path.length = 0;
    lmb_str_printf(
        &c->path, "%s/epoch-%04lld.safetensors", c->dir, (long long)epoch);
    LMB_TRY(lmb_str_status(&c->path));
    LMB_TRY(make_header(c, epoch));
    if (!lmb_path_exists(c->path.text))
        return LMB_OK;
    LMB_TRY(lmb_file_open(c->path.text, &c->file));
    lmb_status st = check_file(c);
    if (st != LMB_OK) {
        lmb_file_close(&c->file);
        return st;
    }
    for (int64_t i = 0; i < c->n_needed; i++)
        if (sum_in_file(c, c->needed[i]) == 0)
            return LMB_OK;
    *complete = true;
    return LMB_OK;
}

lmb_status lmb_cache_read(
    const lmb_cache *c, int64_t n, const int64_t *rows, float *out, bool *equal)
{
    *equal = true;
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *row = c->file.bytes + row_at(c, rows[i]);
        const int32_t batch = batch_in_file(c, rows[i]);
        if (checksum(c, rows[i], batch, row) != sum_in_file(c, rows[i]))
            return LMB_FAIL(LMB_EFORMAT,
                "%s: damaged: the logits of sample %lld have another "
                "checksum; without the file its epoch is made again",
                c->path.text, (long long)rows[i]);
        *equal = *equal && batch == n;
        memcpy(out + i * c->classes, row, (size_t)c->rows_size);
    }
    return LMB_OK;
}

/* --- writing -------------------------------------------------------------- */

static void stop_writing(lmb_cache *c)
{
    if (c->writer.stream_ != NULL)
        lmb_writer_abort(&c->writer);
    lmb_free(c->sums);
    lmb_free(c->batches);
    c->sums = NULL;
    c->batches = NULL;
    drop_lock(c);
}

/* A part of the epoch that is there already stays. */
static lmb_status begin_file(lmb_cache *c)
{
    LMB_TRY(LMB_NEW(c->sums, c->samples));
    LMB_TRY(LMB_NEW(c->batches, c->samples));
    c->written = 0;
    LMB_TRY(lmb_writer_open(c->path.text, &c->writer));
    LMB_TRY(lmb_writer_reserve(&c->writer, c->size));
    if (c->file.size == 0)
        return lmb_writer_write_at(
            &c->writer, 0, c->header.text, c->header.length);
    memcpy(c->sums, c->file.bytes + c->header.length,
        (size_t)c->samples * sizeof *c->sums);
    memcpy(c->batches, c->file.bytes + batches_at(c),
        (size_t)c->samples * sizeof *c->batches);
    return lmb_writer_write_at(&c->writer, 0, c->file.bytes, c->file.size);
}

/* With the lock: another process may have been writing until now. */
static lmb_status begin(lmb_cache *c, int64_t epoch, lmb_cache_mode *mode)
{
    bool complete = false;
    LMB_TRY(lmb_cache_find(c, epoch, &complete));
    *mode = complete ? LMB_CACHE_READ : LMB_CACHE_WRITE;
    return complete ? LMB_OK : begin_file(c);
}

lmb_status lmb_cache_enter(
    lmb_cache *c, int64_t epoch, bool whole, lmb_cache_mode *mode)
{
    bool complete = false;
    LMB_TRY(lmb_cache_find(c, epoch, &complete));
    *mode = complete ? LMB_CACHE_READ : LMB_CACHE_PASS;
    if (complete || !whole)
        return LMB_OK;
    if (!take_lock(c)) {
        lmb_log_line(LMB_LOG_WARNING, "cache: epoch %lld is not kept: %s",
            (long long)epoch, lmb_last_error());
        return LMB_OK;
    }
    const lmb_status st = begin(c, epoch, mode);
    if (st != LMB_OK || *mode != LMB_CACHE_WRITE)
        stop_writing(c);
    return st;
}

lmb_status lmb_cache_write(
    lmb_cache *c, int64_t n, const int64_t *rows, const float *logits)
{
    for (int64_t i = 0; i < n; i++) {
        const float *row = logits + i * c->classes;
        LMB_TRY(lmb_writer_write_at(
            &c->writer, row_at(c, rows[i]), row, (size_t)c->rows_size));
        c->batches[rows[i]] = (int32_t)n;
        c->sums[rows[i]] = checksum(c, rows[i], (int32_t)n, row);
        c->written++;
    }
    return LMB_OK;
}

static lmb_status finish_file(lmb_cache *c)
{
    LMB_TRY(lmb_writer_write_at(&c->writer, (int64_t)c->header.length, c->sums,
        (size_t)c->samples * sizeof *c->sums));
    LMB_TRY(lmb_writer_write_at(&c->writer, batches_at(c), c->batches,
        (size_t)c->samples * sizeof *c->batches));
    return lmb_writer_commit(&c->writer);
}

lmb_status lmb_cache_commit(lmb_cache *c)
{
    lmb_status st = LMB_OK;
    if (c->written == c->n_needed)
        st = finish_file(c);
    stop_writing(c);
    return st;
}

void lmb_cache_free(lmb_cache *c)
{
    if (c == NULL)
        return;
    stop_writing(c);
    lmb_file_close(&c->file);
    lmb_str_fini(&c->path);
    lmb_str_fini(&c->lock_path);
    lmb_str_fini(&c->header);
    lmb_free(c->needed);
    lmb_free(c);
}
