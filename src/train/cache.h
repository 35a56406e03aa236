/* cache.h: the knowledge cache: a teacher's logits of whole epochs on disk.
 *
 * Augmentation is a pure function of (seed, epoch, sample), so the logits that
 * one run's teacher gives are those of any run of the same identity: the list
 * of names and values below, kept in DIR/cache.json. An epoch is one file,
 * DIR/epoch-0001.safetensors, of arrays over the samples of the data set
 * that was opened:
 *   row_xxh64 I64 [S]   checksum of a row, 0 where there is none
 *   row_batch I32 [S]   images of the batch that it was computed in
 *   logits    F32 [S, C]
 * Kernels are chosen by the size of a batch, and the order of sums with them:
 * rows are the bits of a live run in batches of that size alone.
 * Its header is a function of identity, epoch, S and C, so that a reader
 * compares it and parses nothing. Files appear whole (base/file.h) and only
 * gain rows; one process at a time writes, others read meanwhile. */
#ifndef LMB_TRAIN_CACHE_H
#define LMB_TRAIN_CACHE_H

#include "base/str.h"

/* What logits depend on, in the order in which it is compared. */
enum { LMB_CACHE_FIELDS = 40, LMB_CACHE_VALUE = 160 };
typedef struct lmb_cache_field {
    const char *name;
    char value[LMB_CACHE_VALUE];
} lmb_cache_field;

typedef struct lmb_cache_key {
    lmb_cache_field field[LMB_CACHE_FIELDS];
    int count;
} lmb_cache_key;

void lmb_cache_key_add(lmb_cache_key *key, const char *name, const char *fmt,
    ...) LMB_PRINTF(3, 4);
/* The manifest's text. */
void lmb_cache_key_text(const lmb_cache_key *key, lmb_str *out);
/* Compares a manifest with `key`. EFORMAT names the file and what is wrong,
 * or the first field that differs and both values. */
lmb_status lmb_cache_key_check(const lmb_cache_key *key, const void *bytes,
    size_t size, const char *name) LMB_MUST_CHECK;

typedef struct lmb_cache lmb_cache;

/* Opens or makes `dir` (borrowed) for a data set of `samples`, of which a run
 * needs rows[0 .. n-1] each epoch (copied). Errors: of the manifest; EIO. */
lmb_status lmb_cache_open(const char *dir, const lmb_cache_key *key,
    int64_t samples, int64_t classes, int64_t n, const int64_t *rows,
    lmb_cache **out) LMB_MUST_CHECK;
void lmb_cache_free(lmb_cache *c); /* drops what was not committed */

/* Looks for an epoch: is every row that is needed there? EFORMAT for a file
 * that is damaged or of another cache. */
lmb_status lmb_cache_find(
    lmb_cache *c, int64_t epoch, bool *complete) LMB_MUST_CHECK;

typedef enum lmb_cache_mode {
    LMB_CACHE_PASS, /* not there, and not to be kept by this run */
    LMB_CACHE_READ, /* there */
    LMB_CACHE_WRITE, /* to be written by this run */
} lmb_cache_mode;

/* An epoch begins. It is kept if it is run from its first step (`whole`) and
 * no other process writes to the folder. Room for all of it is made now: EIO
 * on a full disk. */
lmb_status lmb_cache_enter(lmb_cache *c, int64_t epoch, bool whole,
    lmb_cache_mode *mode) LMB_MUST_CHECK;
/* A batch's rows of the epoch, to out [n, classes]. *equal is false, and out is
 * not filled, if one of them was computed in a batch of another size. EFORMAT:
 * damaged. */
lmb_status lmb_cache_read(const lmb_cache *c, int64_t n, const int64_t *rows,
    float *out, bool *equal) LMB_MUST_CHECK;
/* A batch's rows, to the file of the epoch. */
lmb_status lmb_cache_write(lmb_cache *c, int64_t n, const int64_t *rows,
    const float *logits) LMB_MUST_CHECK;
/* The file of the epoch that is written, if each row needed is there by now;
 * else nothing. */
lmb_status lmb_cache_commit(lmb_cache *c) LMB_MUST_CHECK;

#endif
