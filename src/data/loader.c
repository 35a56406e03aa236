/* loader.c: worker threads fill a ring of batches, in pieces.
 *
 * Batches are numbered 0, 1, 2 ... from the last seek; number s lives in slot
 * s mod slots. A batch is planned (its samples are written down) when its
 * slot is free, cut into chunks of samples, and ready when all chunks are
 * done. All bookkeeping is under one mutex; pixels are made outside it, and
 * no two chunks write the same bytes, so the thread that takes a chunk
 * changes nothing in it. */
#include "data/loader_impl.h"

#include <stdio.h>
#include <string.h>

/* The lowest failing sample wins, so that the message does not depend on the
 * threads. */
static void note_error(lmb_loader_slot *s, int64_t at, lmb_status st)
{
    if (at < 0 || (s->error_at >= 0 && s->error_at < at))
        return;
    s->error_at = at;
    s->status = st;
    (void)snprintf(s->message, sizeof s->message, "%s", lmb_last_error());
}

/* --- threads -------------------------------------------------------------- */

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
        lmb__loader_plan(l);
    }
    lmb_loader_slot *s = &l->slots[l->taken % l->slot_count];
    const int64_t first = s->next;
    const int64_t end =
        s->count - first < l->chunk ? s->count : first + l->chunk;
    s->next = end;
    if (end == s->count)
        l->taken++;
    l->busy++;
    (void)pthread_mutex_unlock(&l->mutex);
    lmb_status st = LMB_OK;
    const int64_t at = lmb__loader_run(l, s, first, end, scratch, &st);
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
    lmb_loader_worker *w = argument;
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

/* --- making and freeing --------------------------------------------------- */

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

static lmb_status init(lmb_loader *l)
{
    LMB_TRY(LMB_NEW(l->workers, l->opts.threads == 0 ? 1 : l->opts.threads));
    LMB_TRY(lmb__loader_prepare(l));
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
    LMB_TRY(lmb__loader_check(ds, &o));
    lmb_loader *l = NULL;
    LMB_TRY(LMB_NEW(l, 1));
    l->opts = o;
    if (o.detect != NULL) {
        l->detect = *o.detect;
        l->opts.detect = &l->detect;
    }
    l->ds = ds;
    const lmb_status st = init(l);
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
        lmb__loader_slot_fini(&l->slots[i]);
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

/* --- for the caller ------------------------------------------------------- */

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

static void hand_out_boxes(lmb_loader_slot *s, lmb_batch *out)
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

static void hand_out(lmb_loader_slot *s, lmb_batch *out)
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
static lmb_loader_slot *wait_for_batch(lmb_loader *l)
{
    l->returned = l->handed;
    (void)pthread_cond_broadcast(&l->work);
    for (;;) {
        lmb_loader_slot *s = &l->slots[l->handed % l->slot_count];
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
    lmb_loader_slot *s = wait_for_batch(l);
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
