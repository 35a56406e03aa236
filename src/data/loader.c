/* loader.c: worker threads fill a ring of batches, in pieces.
 *
 * Batches are numbered 0, 1, 2 ... from the last seek; number s lives in slot
 * s mod slots. A batch is planned (its samples are written down) when its
 * slot is free, cut into chunks of samples, and ready when all chunks are
 * done. All bookkeeping is under one mutex; pixels are made outside it, and
 * no two chunks write the same bytes, so the thread that takes a chunk
 * changes nothing in it. */
#include "data/loader.h"
#include "data/detect_batch.h"
#include "data/detect_layout.h"
#include "data/epoch_order.h"
#include "tensor/shape.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { MESSAGE_SIZE = 1024, MAX_THREADS = 256, SMALL_CHUNK = 16 };

typedef struct slot {
    int64_t count, epoch, step;
    bool last;
    lmb_tensor *views[LMB_MAX_VIEWS], *labels, *indices;
    lmb_detect_batch detect;
    int64_t next; /* first sample that no thread has taken */
    int64_t left; /* samples not done yet */
    int64_t error_at; /* lowest sample that failed, or -1 */
    lmb_status status;
    char message[MESSAGE_SIZE];
} slot;

typedef struct worker {
    lmb_loader *loader;
    pthread_t thread;
    lmb_scratch scratch;
} worker;

struct lmb_loader {
    const lmb_dataset *ds;
    lmb_loader_opts opts;
    lmb_normalizer normalizer[LMB_MAX_VIEWS];
    lmb_detect_transform detect; /* opts.detect points to it */
    lmb_detect_layout layout;
    int64_t max_boxes;
    int64_t *samples; /* [order.n] those of the data set that are shown */
    lmb_epoch_order order; /* of positions in `samples` */
    int64_t chunk;
    pthread_mutex_t mutex;
    pthread_cond_t work, ready;
    bool has_locks;
    worker *workers; /* at least one: without threads its scratch is used */
    int32_t started;
    bool stop, paused;
    int32_t busy; /* threads at work on a chunk */
    int64_t epoch, step; /* of the batch planned next */
    int64_t planned; /* batches planned */
    int64_t taken; /* batches whose chunks are all taken */
    int64_t handed; /* batches given to the caller */
    int64_t returned; /* batches the caller is done with */
    slot *slots;
    int64_t slot_count;
};

/* --- one batch -------------------------------------------------------------
 */

/* Short side and padded size of the batch that begins with sample number
 * `first`. */
static void plan_size(const lmb_loader *l, int64_t first, lmb_detect_batch *b)
{
    lmb_rng rng = lmb_rng_make(l->opts.seed, LMB_STREAM_SHUFFLE,
        (uint64_t)l->epoch, (uint64_t)l->step + 1);
    const int32_t scales = l->detect.scales;
    const uint32_t k = scales > 1 ? lmb_rng_below(&rng, (uint32_t)scales) : 0;
    const int32_t *size =
        l->layout.size[l->layout.size_of[l->layout.group[first]][k]];
    b->short_side = l->detect.short_side[k];
    b->height = size[0];
    b->width = size[1];
}

/* Writes down batch (l->epoch, l->step) and moves on. */
static void plan(lmb_loader *l)
{
    slot *s = &l->slots[l->planned % l->slot_count];
    lmb__epoch_order_set(&l->order, l->epoch);
    const int64_t first = l->order.first[l->step];
    s->count = l->order.first[l->step + 1] - first;
    s->epoch = l->epoch;
    s->step = l->step;
    s->last = l->step + 1 == l->order.steps;
    s->next = 0;
    s->left = s->count;
    s->error_at = -1;
    s->status = LMB_OK;
    int64_t *indices = s->indices->data;
    int32_t *labels = s->labels->data;
    for (int64_t i = 0; i < s->count; i++) {
        indices[i] = l->samples[l->order.order[first + i]];
        labels[i] = lmb_dataset_label(l->ds, indices[i]);
    }
    if (l->opts.detect != NULL)
        plan_size(l, l->order.order[first], &s->detect);
    l->planned++;
    l->step = s->last ? 0 : l->step + 1;
    l->epoch += s->last ? 1 : 0;
}

static lmb_status run_detect(
    const lmb_loader *l, const slot *s, int64_t i, lmb_scratch *scratch)
{
    const int64_t index = ((const int64_t *)s->indices->data)[i];
    const lmb_detect_sample sample = lmb__detect_batch_sample(
        &s->detect, l->ds, index, i, s->views[0]->data);
    lmb_rng rng = lmb_rng_make(
        l->opts.seed, LMB_STREAM_AUGMENT, (uint64_t)s->epoch, (uint64_t)index);
    return lmb_detect_transform_run(
        &l->detect, &l->normalizer[0], &sample, &rng, scratch);
}

static lmb_status run_sample(
    const lmb_loader *l, const slot *s, int64_t i, lmb_scratch *scratch)
{
    const int64_t sample = ((const int64_t *)s->indices->data)[i];
    const uint64_t root = (uint64_t)lmb_dataset_root_index(l->ds, sample);
    lmb_image image = {0};
    LMB_TRY(lmb_dataset_image(l->ds, sample, scratch, &image));
    for (int32_t v = 0; v < l->opts.views; v++) {
        const lmb_transform *t = &l->opts.transform[v];
        const uint64_t draw =
            (uint64_t)s->epoch * (uint64_t)l->opts.views + (uint64_t)v;
        lmb_rng rng =
            lmb_rng_make(l->opts.seed, LMB_STREAM_AUGMENT, draw, root);
        const size_t size = 3 * (size_t)t->height * (size_t)t->width;
        float *out = (float *)s->views[v]->data + (size_t)i * size;
        LMB_TRY(lmb_transform_run(
            t, &l->normalizer[v], &image, &rng, scratch, out));
    }
    return LMB_OK;
}

/* Samples [first, end) of the slot; returns the first that failed, or -1. */
static int64_t run_chunk(const lmb_loader *l, const slot *s, int64_t first,
    int64_t end, lmb_scratch *scratch, lmb_status *st)
{
    for (int64_t i = first; i < end; i++) {
        *st = l->opts.detect != NULL ? run_detect(l, s, i, scratch)
                                     : run_sample(l, s, i, scratch);
        if (*st != LMB_OK)
            return i;
    }
    return -1;
}

/* The lowest failing sample wins, so that the message does not depend on the
 * threads. */
static void note_error(slot *s, int64_t at, lmb_status st)
{
    if (at < 0 || (s->error_at >= 0 && s->error_at < at))
        return;
    s->error_at = at;
    s->status = st;
    (void)snprintf(s->message, sizeof s->message, "%s", lmb_last_error());
}

/* --- threads -----------------------------------------------------------------
 */

static bool can_plan(const lmb_loader *l)
{
    return l->planned - l->returned < l->slot_count &&
        (l->opts.epochs == 0 || l->epoch < l->opts.epochs);
}

/* Takes and runs one chunk; false if there is none to take. The mutex is
 * held on entry and on return. */
static bool work_once(lmb_loader *l, lmb_scratch *scratch)
{
    if (l->taken == l->planned) {
        if (!can_plan(l))
            return false;
        plan(l);
    }
    slot *s = &l->slots[l->taken % l->slot_count];
    const int64_t first = s->next;
    const int64_t end =
        s->count - first < l->chunk ? s->count : first + l->chunk;
    s->next = end;
    if (end == s->count)
        l->taken++;
    l->busy++;
    (void)pthread_mutex_unlock(&l->mutex);
    lmb_status st = LMB_OK;
    const int64_t at = run_chunk(l, s, first, end, scratch, &st);
    (void)pthread_mutex_lock(&l->mutex);
    l->busy--;
    note_error(s, at, st);
    s->left -= end - first;
    if (s->left == 0 || l->busy == 0)
        (void)pthread_cond_broadcast(&l->ready);
    return true;
}

static void *worker_main(void *argument)
{
    worker *w = argument;
    lmb_loader *l = w->loader;
    (void)pthread_mutex_lock(&l->mutex);
    while (!l->stop)
        if (l->paused || !work_once(l, &w->scratch))
            (void)pthread_cond_wait(&l->work, &l->mutex);
    (void)pthread_mutex_unlock(&l->mutex);
    return NULL;
}

static lmb_status start_threads(lmb_loader *l)
{
    for (int32_t i = 0; i < l->opts.threads; i++) {
        l->workers[i].loader = l;
        const int code = pthread_create(
            &l->workers[i].thread, NULL, worker_main, &l->workers[i]);
        if (code != 0)
            return LMB_FAIL(
                LMB_EIO, "loader: thread %d: %s", (int)i, strerror(code));
        l->started++;
    }
    return LMB_OK;
}

/* --- making and freeing
 * -------------------------------------------------------- */

static lmb_status check_detect(const lmb_dataset *ds, const lmb_loader_opts *o)
{
    if (!lmb_dataset_is_detection(ds))
        return LMB_FAIL(LMB_EINVAL, "loader: %s has no boxes for a detector",
            lmb_dataset_name(ds));
    if (o->views != 1)
        return LMB_FAIL(LMB_EINVAL, "loader: %d views, but a detector has one",
            (int)o->views);
    if (o->max_boxes < 0 || o->max_boxes > INT32_MAX)
        return LMB_FAIL(LMB_EINVAL, "loader: max_boxes %lld is not positive",
            (long long)o->max_boxes);
    return lmb_detect_transform_check(o->detect);
}

static lmb_status check_opts(const lmb_dataset *ds, const lmb_loader_opts *o)
{
    if (o->batch < 1 || o->batch > INT32_MAX)
        return LMB_FAIL(LMB_EINVAL, "loader: batch %lld is not positive",
            (long long)o->batch);
    if (o->threads < 0 || o->threads > MAX_THREADS)
        return LMB_FAIL(LMB_EINVAL, "loader: %d threads are not 0 .. %d",
            (int)o->threads, (int)MAX_THREADS);
    if (o->ahead < 1 || o->ahead > 1024)
        return LMB_FAIL(LMB_EINVAL, "loader: %d batches ahead, not 1 .. 1024",
            (int)o->ahead);
    if (o->views < 1 || o->views > LMB_MAX_VIEWS)
        return LMB_FAIL(
            LMB_EINVAL, "loader: %d views are not 1 or 2", (int)o->views);
    if (o->epochs < 0)
        return LMB_FAIL(
            LMB_EINVAL, "loader: %lld epochs", (long long)o->epochs);
    if (o->detect != NULL)
        return check_detect(ds, o);
    for (int32_t v = 0; v < o->views; v++)
        LMB_TRY(lmb_transform_check(&o->transform[v]));
    return LMB_OK;
}

/* Height and width of the view for which the slots have room. */
static void largest_view(
    const lmb_loader *l, int32_t v, int32_t *height, int32_t *width)
{
    *height = l->opts.transform[v].height;
    *width = l->opts.transform[v].width;
    int64_t most = 0;
    for (int32_t k = 0; k < l->layout.sizes; k++) {
        const int32_t *size = l->layout.size[k];
        if ((int64_t)size[0] * size[1] <= most)
            continue;
        most = (int64_t)size[0] * size[1];
        *height = size[0];
        *width = size[1];
    }
}

static lmb_status slot_init(slot *s, const lmb_loader *l)
{
    const lmb_loader_opts *o = &l->opts;
    for (int32_t v = 0; v < o->views; v++) {
        int32_t height = 0;
        int32_t width = 0;
        largest_view(l, v, &height, &width);
        const lmb_shape images = LMB_SHAPE(o->batch, 3, height, width);
        LMB_TRY(lmb_tensor_new(LMB_F32, &images, &s->views[v]));
    }
    if (o->detect != NULL)
        LMB_TRY(lmb__detect_batch_init(&s->detect, o->batch, l->max_boxes));
    const lmb_shape flat = LMB_SHAPE(o->batch);
    LMB_TRY(lmb_tensor_new(LMB_I32, &flat, &s->labels));
    return lmb_tensor_new(LMB_I64, &flat, &s->indices);
}

static void slot_fini(slot *s)
{
    for (int32_t v = 0; v < LMB_MAX_VIEWS; v++)
        lmb_tensor_release(s->views[v]);
    lmb__detect_batch_fini(&s->detect);
    lmb_tensor_release(s->labels);
    lmb_tensor_release(s->indices);
}

static lmb_status init_locks(lmb_loader *l)
{
    if (pthread_mutex_init(&l->mutex, NULL) != 0)
        return LMB_FAIL(LMB_EIO, "loader: no mutex");
    if (pthread_cond_init(&l->work, NULL) != 0) {
        (void)pthread_mutex_destroy(&l->mutex);
        return LMB_FAIL(LMB_EIO, "loader: no condition variable");
    }
    if (pthread_cond_init(&l->ready, NULL) != 0) {
        (void)pthread_cond_destroy(&l->work);
        (void)pthread_mutex_destroy(&l->mutex);
        return LMB_FAIL(LMB_EIO, "loader: no condition variable");
    }
    l->has_locks = true;
    return LMB_OK;
}

/* Small pictures are taken by the handful, large ones one by one. */
static int64_t chunk_size(const lmb_loader_opts *o)
{
    const int64_t pixels =
        (int64_t)o->transform[0].height * o->transform[0].width;
    if (o->threads == 0)
        return o->batch;
    if (o->detect != NULL)
        return 1;
    return pixels <= 64 * 64 ? SMALL_CHUNK : 1;
}

/* False for a picture that detect.filter_empty leaves out. */
static lmb_status is_shown(const lmb_loader *l, int64_t i, bool *out)
{
    lmb_ground_truth truth;
    *out = true;
    if (l->opts.detect == NULL || !l->detect.filter_empty)
        return LMB_OK;
    LMB_TRY(lmb_dataset_truth(l->ds, i, &truth));
    *out = false;
    for (int64_t k = 0; k < truth.count && !*out; k++)
        *out = truth.crowd[k] == 0;
    return LMB_OK;
}

static lmb_status choose_samples(lmb_loader *l)
{
    const int64_t all = lmb_dataset_count(l->ds);
    int64_t n = 0;
    LMB_TRY(LMB_NEW(l->samples, all));
    for (int64_t i = 0; i < all; i++) {
        bool shown = false;
        LMB_TRY(is_shown(l, i, &shown));
        if (shown)
            l->samples[n++] = i;
    }
    l->order.n = n;
    if (n == 0 || (l->opts.drop_last && n < l->opts.batch))
        return LMB_FAIL(LMB_EINVAL,
            "loader: %s has %lld samples%s: not one batch",
            lmb_dataset_name(l->ds), (long long)n,
            n < all ? " with boxes" : "");
    return LMB_OK;
}

static lmb_status init_detect(lmb_loader *l)
{
    const lmb_loader_opts *o = &l->opts;
    l->normalizer[0] = lmb_normalizer_make(l->detect.mean, l->detect.std);
    l->max_boxes = o->max_boxes > 0 ? o->max_boxes
                                    : lmb_detect_most_boxes(&l->detect, l->ds);
    LMB_TRY(lmb__detect_layout_init(
        &l->detect, l->ds, l->samples, l->order.n, o->batch, &l->layout));
    l->order.group = l->layout.group;
    l->order.groups = l->layout.groups;
    return LMB_OK;
}

static lmb_status init_order(lmb_loader *l)
{
    const lmb_loader_opts *o = &l->opts;
    l->order.batch = o->batch;
    l->order.seed = o->seed;
    l->order.shuffle = o->shuffle;
    l->order.drop_last = o->drop_last;
    l->order.groups = 1;
    LMB_TRY(choose_samples(l));
    if (o->detect != NULL)
        LMB_TRY(init_detect(l));
    else
        for (int32_t v = 0; v < o->views; v++)
            l->normalizer[v] =
                lmb_normalizer_make(o->transform[v].mean, o->transform[v].std);
    LMB_TRY(lmb__epoch_order_init(&l->order));
    if (l->order.steps == 0)
        return LMB_FAIL(LMB_EINVAL,
            "loader: no size of batches of %s has %lld pictures",
            lmb_dataset_name(l->ds), (long long)o->batch);
    return LMB_OK;
}

static lmb_status init(lmb_loader *l, const lmb_dataset *ds)
{
    const lmb_loader_opts *o = &l->opts;
    l->ds = ds;
    l->chunk = chunk_size(o);
    l->slot_count = o->threads == 0 ? 1 : o->ahead + 1;
    LMB_TRY(init_order(l));
    LMB_TRY(LMB_NEW(l->workers, o->threads == 0 ? 1 : o->threads));
    LMB_TRY(LMB_NEW(l->slots, l->slot_count));
    for (int64_t i = 0; i < l->slot_count; i++)
        LMB_TRY(slot_init(&l->slots[i], l));
    LMB_TRY(init_locks(l));
    return start_threads(l);
}

lmb_status lmb_loader_new(
    const lmb_dataset *ds, const lmb_loader_opts *opts, lmb_loader **out)
{
    lmb_loader_opts o = *opts;
    o.batch = o.batch == 0 ? 64 : o.batch;
    if (o.ahead == 0)
        o.ahead = o.detect != NULL ? 2 : 4;
    o.views = o.views == 0 ? 1 : o.views;
    LMB_TRY(check_opts(ds, &o));
    lmb_loader *l = NULL;
    LMB_TRY(LMB_NEW(l, 1));
    l->opts = o;
    if (o.detect != NULL) {
        l->detect = *o.detect;
        l->opts.detect = &l->detect;
    }
    const lmb_status st = init(l, ds);
    if (st == LMB_OK)
        *out = l;
    else
        lmb_loader_free(l);
    return st;
}

static void stop_threads(lmb_loader *l)
{
    (void)pthread_mutex_lock(&l->mutex);
    l->stop = true;
    (void)pthread_cond_broadcast(&l->work);
    (void)pthread_mutex_unlock(&l->mutex);
    for (int32_t i = 0; i < l->started; i++)
        (void)pthread_join(l->workers[i].thread, NULL);
    (void)pthread_cond_destroy(&l->ready);
    (void)pthread_cond_destroy(&l->work);
    (void)pthread_mutex_destroy(&l->mutex);
}

void lmb_loader_free(lmb_loader *l)
{
    if (l == NULL)
        return;
    if (l->has_locks)
        stop_threads(l);
    for (int64_t i = 0; l->slots != NULL && i < l->slot_count; i++)
        slot_fini(&l->slots[i]);
    const int32_t n = l->opts.threads == 0 ? 1 : l->opts.threads;
    for (int32_t i = 0; l->workers != NULL && i < n; i++)
        lmb_scratch_fini(&l->workers[i].scratch);
    lmb_free(l->slots);
    lmb_free(l->workers);
    lmb__epoch_order_fini(&l->order);
    lmb__detect_layout_fini(&l->layout);
    lmb_free(l->samples);
    lmb_free(l);
}

/* --- for the caller
 * ------------------------------------------------------------ */

int64_t lmb_loader_steps(const lmb_loader *l)
{
    return l->order.steps;
}

int32_t lmb_loader_sizes(const lmb_loader *l, int32_t out[LMB_MAX_SIZES][2])
{
    memcpy(out, l->layout.size, sizeof l->layout.size);
    return l->layout.sizes;
}

int64_t lmb_loader_max_boxes(const lmb_loader *l)
{
    return l->max_boxes;
}

int64_t lmb_loader_left_out(const lmb_loader *l)
{
    return lmb_dataset_count(l->ds) - l->order.n;
}

lmb_status lmb_loader_seek(lmb_loader *l, int64_t epoch, int64_t step)
{
    if (epoch < 0 || step < 0 || step >= l->order.steps)
        return LMB_FAIL(LMB_EINVAL,
            "loader: epoch %lld step %lld: steps are 0 .. %lld",
            (long long)epoch, (long long)step, (long long)l->order.steps - 1);
    (void)pthread_mutex_lock(&l->mutex);
    l->paused = true;
    while (l->busy > 0)
        (void)pthread_cond_wait(&l->ready, &l->mutex);
    l->epoch = epoch;
    l->step = step;
    l->planned = l->taken = l->handed = l->returned = 0;
    l->paused = false;
    (void)pthread_cond_broadcast(&l->work);
    (void)pthread_mutex_unlock(&l->mutex);
    return LMB_OK;
}

static void set_count(lmb_tensor *tensor, int64_t count)
{
    if (tensor != NULL)
        tensor->shape.dim[0] = count;
}

static void hand_out_boxes(slot *s, lmb_batch *out)
{
    lmb_detect_batch *b = &s->detect;
    lmb_tensor *const all[] = {
        b->boxes, b->labels, b->valid, b->sizes, b->scales};
    for (size_t i = 0; i < LMB_COUNT(all); i++)
        set_count(all[i], s->count);
    s->views[0]->shape.dim[2] = b->height;
    s->views[0]->shape.dim[3] = b->width;
    out->boxes = b->boxes;
    out->box_labels = b->labels;
    out->box_valid = b->valid;
    out->sizes = b->sizes;
    out->scales = b->scales;
}

static void hand_out(slot *s, lmb_batch *out)
{
    *out = (lmb_batch){.count = s->count,
        .epoch = s->epoch,
        .step = s->step,
        .last = s->last,
        .labels = s->labels,
        .indices = s->indices};
    for (int32_t v = 0; v < LMB_MAX_VIEWS; v++) {
        set_count(s->views[v], s->count);
        out->views[v] = s->views[v];
    }
    set_count(s->labels, s->count);
    set_count(s->indices, s->count);
    if (s->detect.boxes != NULL)
        hand_out_boxes(s, out);
}

/* Waits (or works) until batch number l->handed is done; NULL at the end. */
static slot *wait_for_batch(lmb_loader *l)
{
    l->returned = l->handed;
    (void)pthread_cond_broadcast(&l->work);
    for (;;) {
        slot *s = &l->slots[l->handed % l->slot_count];
        if (l->planned > l->handed && s->left == 0) {
            l->handed++;
            return s;
        }
        if (l->planned == l->handed && !can_plan(l))
            return NULL;
        if (l->opts.threads == 0)
            (void)work_once(l, &l->workers[0].scratch);
        else
            (void)pthread_cond_wait(&l->ready, &l->mutex);
    }
}

lmb_status lmb_loader_next(lmb_loader *l, lmb_batch *out)
{
    *out = (lmb_batch){0};
    (void)pthread_mutex_lock(&l->mutex);
    slot *s = wait_for_batch(l);
    (void)pthread_mutex_unlock(&l->mutex);
    if (s == NULL)
        return LMB_OK;
    if (s->status != LMB_OK)
        return LMB_FAIL(s->status, "epoch %lld step %lld sample %lld: %s",
            (long long)s->epoch, (long long)s->step,
            (long long)((const int64_t *)s->indices->data)[s->error_at],
            s->message);
    hand_out(s, out);
    return LMB_OK;
}
