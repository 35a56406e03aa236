/* checkpoint.c: saving and restoring the state of a run. */
#include "train/checkpoint.h"

#include "base/str.h"
#include "data/hash.h"
#include "io/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- scalars as text ------------------------------------------------------ */

/* Every scalar of the state: one list for saving and loading. Doubles are
 * written in hexadecimal, which reads back to the same bits. */
#define DOUBLES(X) X(sum_loss)
#define ARRAYS(X) \
    X(sum_part) \
    X(sum_term) \
    X(best) \
    X(last)
#define INTEGERS(X) \
    X(epoch) \
    X(step_in_epoch) \
    X(step) \
    X(sum_images) \
    X(sum_correct) \
    X(best_epoch) \
    X(mark.metrics_bytes) \
    X(mark.events_bytes)

#define HASH_KEY "state.xxh64"

static lmb_status put_double(lmb_weights *w, const char *key, double value)
{
    char text[64];
    (void)snprintf(text, sizeof text, "%a", value);
    return lmb_weights_meta_set(w, key, text);
}

static lmb_status put_integer(lmb_weights *w, const char *key, int64_t value)
{
    char text[64];
    (void)snprintf(text, sizeof text, "%lld", (long long)value);
    return lmb_weights_meta_set(w, key, text);
}

static lmb_status get_double(
    const lmb_weights *w, const char *path, const char *key, double *out)
{
    const char *text = lmb_weights_meta_get(w, key);
    char *end = NULL;
    const double value = text != NULL ? strtod(text, &end) : 0;
    if (text == NULL || end == text || *end != '\0')
        return LMB_FAIL(LMB_EFORMAT,
            "%s: no checkpoint of limbeck: %s is missing or no number", path,
            key);
    *out = value;
    return LMB_OK;
}

static lmb_status get_integer(
    const lmb_weights *w, const char *path, const char *key, int64_t *out)
{
    const char *text = lmb_weights_meta_get(w, key);
    if (text == NULL || !lmb_parse_i64(text, out) || *out < 0)
        return LMB_FAIL(LMB_EFORMAT,
            "%s: no checkpoint of limbeck: %s is missing or no number", path,
            key);
    return LMB_OK;
}

/* "state.best.0", "state.best.1", .. */
static lmb_status put_doubles(
    lmb_weights *w, const char *name, const double *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char key[48];
        (void)snprintf(key, sizeof key, "state.%s.%zu", name, i);
        LMB_TRY(put_double(w, key, values[i]));
    }
    return LMB_OK;
}

static lmb_status get_doubles(const lmb_weights *w, const char *path,
    const char *name, double *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char key[48];
        (void)snprintf(key, sizeof key, "state.%s.%zu", name, i);
        LMB_TRY(get_double(w, path, key, &values[i]));
    }
    return LMB_OK;
}

static lmb_status put_scalars(lmb_weights *w, const lmb_run_state *s)
{
#define PUT(field) LMB_TRY(put_double(w, "state." #field, s->field));
    DOUBLES(PUT)
#undef PUT
#define PUT(field) LMB_TRY(put_integer(w, "state." #field, s->field));
    INTEGERS(PUT)
#undef PUT
#define PUT(field) \
    LMB_TRY(put_doubles(w, #field, s->field, LMB_COUNT(s->field)));
    ARRAYS(PUT)
#undef PUT
    for (int i = 0; i < s->n_stores; i++) {
        char key[48];
        (void)snprintf(key, sizeof key, "state.optim.%d.steps", i);
        LMB_TRY(put_integer(w, key, lmb_optim_steps(s->optims[i])));
    }
    LMB_TRY(put_integer(w, "state.threads", s->threads));
    return lmb_weights_meta_set(w, "state.config", s->config_hash);
}

/* Checkpoints of earlier versions do not say. */
static int64_t get_threads(const lmb_weights *w)
{
    int64_t threads = 0;
    const char *text = lmb_weights_meta_get(w, "state.threads");
    return text != NULL && lmb_parse_i64(text, &threads) ? threads : 0;
}

static lmb_status get_scalars(const lmb_weights *w, const char *path,
    lmb_run_state *s, int64_t *optim_steps)
{
#define GET(field) LMB_TRY(get_double(w, path, "state." #field, &s->field));
    DOUBLES(GET)
#undef GET
#define GET(field) LMB_TRY(get_integer(w, path, "state." #field, &s->field));
    INTEGERS(GET)
#undef GET
#define GET(field) \
    LMB_TRY(get_doubles(w, path, #field, s->field, LMB_COUNT(s->field)));
    ARRAYS(GET)
#undef GET
    for (int i = 0; i < s->n_stores; i++) {
        char key[48];
        (void)snprintf(key, sizeof key, "state.optim.%d.steps", i);
        LMB_TRY(get_integer(w, path, key, &optim_steps[i]));
    }
    s->threads = get_threads(w);
    const char *hash = lmb_weights_meta_get(w, "state.config");
    if (s->config_hash[0] != '\0' &&
        (hash == NULL || strcmp(hash, s->config_hash) != 0))
        return LMB_FAIL(LMB_EFORMAT,
            "%s: made with other data, networks, methods or options (%s, not "
            "%s); resume with the run's own configuration",
            path, hash != NULL ? hash : "?", s->config_hash);
    return LMB_OK;
}

/* --- arrays --------------------------------------------------------------- */

/* One array of the state: where it lies and what it is called. */
typedef lmb_status visit_array(void *user, const char *name, lmb_dtype dtype,
    const lmb_shape *shape, void *data);

static lmb_status visit_store(
    const lmb_run_state *s, int i, visit_array *visit, void *user)
{
    char name[512];
    lmb_params *store = s->stores[i];
    const lmb_dtype dtype = lmb_params_dtype(store);
    for (int k = 0; k < lmb_params_count(store); k++) {
        const lmb_param *p = lmb_params_at(store, k);
        if (i == 0)
            (void)snprintf(name, sizeof name, "student/%s", p->name);
        else
            (void)snprintf(name, sizeof name, "method/%d/%s", i - 1, p->name);
        LMB_TRY(visit(user, name, dtype, &p->shape, lmb_param_data(p)));
    }
    const lmb_shape flat = LMB_SHAPE(lmb_params_data_size(store));
    for (int k = 0; k < lmb_optim_slots(s->optims[i]); k++) {
        (void)snprintf(name, sizeof name, "optim/%d/%s", i,
            lmb_optim_slot_name(s->optims[i], k));
        LMB_TRY(
            visit(user, name, dtype, &flat, lmb_optim_slot(s->optims[i], k)));
    }
    return LMB_OK;
}

static lmb_status visit_all(
    const lmb_run_state *s, visit_array *visit, void *user)
{
    for (int i = 0; i < s->n_stores; i++)
        LMB_TRY(visit_store(s, i, visit, user));
    if (s->ema == NULL)
        return LMB_OK;
    const lmb_shape data = LMB_SHAPE(lmb_params_data_size(s->stores[0]));
    const lmb_shape buffers = LMB_SHAPE(lmb_params_buffers_size(s->stores[0]));
    const lmb_dtype dtype = lmb_params_dtype(s->stores[0]);
    LMB_TRY(visit(user, "ema/data", dtype, &data, s->ema));
    return visit(user, "ema/buffers", dtype, &buffers, s->ema_buffers);
}

/* A checksum over the scalars and arrays, so that nobody goes on with a
 * damaged file. The scalars' order does not count. */
static uint64_t hash_scalars(const lmb_weights *w)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < w->meta_count; i++) {
        const char *key = w->meta[i].key, *value = w->meta[i].value;
        if (strcmp(key, HASH_KEY) != 0)
            sum +=
                lmb_xxh64(value, strlen(value), lmb_xxh64(key, strlen(key), 0));
    }
    return sum;
}

static uint64_t hash_array(uint64_t seed, const char *name, lmb_dtype dtype,
    const lmb_shape *shape, const void *data)
{
    const size_t size = (size_t)lmb_shape_count(shape) * lmb_dtype_size(dtype);
    return lmb_xxh64(data, size, lmb_xxh64(name, strlen(name), seed));
}

typedef struct writing {
    lmb_weights *w;
    uint64_t hash;
} writing;

static lmb_status add_array(void *user, const char *name, lmb_dtype dtype,
    const lmb_shape *shape, void *data)
{
    writing *to = user;
    lmb_tensor *t = NULL;
    LMB_TRY(lmb_tensor_wrap(dtype, shape, data, &t));
    const lmb_status st = lmb_weights_add(to->w, name, t);
    lmb_tensor_release(t);
    to->hash = hash_array(to->hash, name, dtype, shape, data);
    return st;
}

static lmb_status put_state(lmb_weights *w, const lmb_run_state *s)
{
    char text[20];
    LMB_TRY(put_scalars(w, s));
    writing to = {w, hash_scalars(w)};
    LMB_TRY(visit_all(s, add_array, &to));
    (void)snprintf(text, sizeof text, "%016llx", (unsigned long long)to.hash);
    return lmb_weights_meta_set(w, HASH_KEY, text);
}

lmb_status lmb_checkpoint_save(const char *path, const lmb_run_state *s)
{
    lmb_weights *w = NULL;
    LMB_TRY(lmb_weights_new(&w));
    lmb_status st = put_state(w, s);
    if (st == LMB_OK)
        st = lmb_weights_save(path, w);
    lmb_weights_free(w);
    return st;
}

typedef struct reading {
    const lmb_weights *w;
    const char *path;
    bool store; /* second pass: copy; first pass: check */
    uint64_t hash;
} reading;

static lmb_status read_array(void *user, const char *name, lmb_dtype dtype,
    const lmb_shape *shape, void *data)
{
    reading *r = user;
    const lmb_tensor *t = lmb_weights_find(r->w, name);
    if (t == NULL || t->dtype != dtype || !lmb_shape_equal(&t->shape, shape))
        return LMB_FAIL(LMB_EFORMAT, "%s: %s is %s, not %s %s", r->path, name,
            t != NULL ? lmb_shape_text(&t->shape) : "missing",
            lmb_dtype_name(dtype), lmb_shape_text(shape));
    if (r->store)
        memcpy(data, t->data,
            (size_t)lmb_shape_count(shape) * lmb_dtype_size(dtype));
    else
        r->hash = hash_array(r->hash, name, dtype, shape, t->data);
    return LMB_OK;
}

static lmb_status check_hash(const reading *r)
{
    char text[20];
    const char *found = lmb_weights_meta_get(r->w, HASH_KEY);
    (void)snprintf(text, sizeof text, "%016llx", (unsigned long long)r->hash);
    if (found != NULL && strcmp(found, text) == 0)
        return LMB_OK;
    return LMB_FAIL(LMB_EFORMAT,
        "%s: damaged: its checksum is %s, its content's %s", r->path,
        found != NULL ? found : "missing", text);
}

lmb_status lmb_checkpoint_load(const char *path, lmb_run_state *s)
{
    lmb_weights *w = NULL;
    LMB_TRY(lmb_weights_load(path, &w));
    lmb_run_state found = *s;
    int64_t optim_steps[LMB_MAX_STORES] = {0};
    reading r = {.w = w, .path = path, .hash = hash_scalars(w)};
    lmb_status st = LMB_OK;
    LMB_GOTO(get_scalars(w, path, &found, optim_steps), st, done);
    LMB_GOTO(visit_all(s, read_array, &r), st, done);
    LMB_GOTO(check_hash(&r), st, done);
    r.store = true;
    LMB_GOTO(visit_all(s, read_array, &r), st, done);
    *s = found;
    for (int i = 0; i < s->n_stores; i++) {
        lmb_optim_set_steps(s->optims[i], optim_steps[i]);
        lmb_params_touch(s->stores[i]);
    }
done:
    lmb_weights_free(w);
    return st;
}
