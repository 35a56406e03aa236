/* loader_batch.c: which samples make up a batch, its size, and its pixels. */
#include "data/loader_impl.h"
#include "tensor/shape.h"

enum { MAX_THREADS = 256, SMALL_CHUNK = 16 };

/* --- options -------------------------------------------------------------- */

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

lmb_status lmb__loader_check(const lmb_dataset *ds, const lmb_loader_opts *o)
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
    if (lmb_dataset_is_detection(ds))
        return LMB_FAIL(LMB_EINVAL,
            "loader: the pictures of %s have boxes, not a class: they are for "
            "a detector",
            lmb_dataset_name(ds));
    for (int32_t v = 0; v < o->views; v++)
        LMB_TRY(lmb_transform_check(&o->transform[v]));
    return LMB_OK;
}

/* --- samples and their order ---------------------------------------------- */

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

/* --- slots ---------------------------------------------------------------- */

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

static lmb_status slot_init(lmb_loader_slot *s, const lmb_loader *l)
{
    const lmb_loader_opts *o = &l->opts;
    const int64_t batch = o->batch < l->order.n ? o->batch : l->order.n;
    for (int32_t v = 0; v < o->views; v++) {
        int32_t height = 0;
        int32_t width = 0;
        largest_view(l, v, &height, &width);
        const lmb_shape images = LMB_SHAPE(batch, 3, height, width);
        LMB_TRY(lmb_tensor_new(LMB_F32, &images, &s->views[v]));
    }
    if (o->detect != NULL)
        LMB_TRY(lmb__detect_batch_init(&s->detect, batch, l->max_boxes));
    const lmb_shape flat = LMB_SHAPE(batch);
    LMB_TRY(lmb_tensor_new(LMB_I32, &flat, &s->labels));
    return lmb_tensor_new(LMB_I64, &flat, &s->indices);
}

void lmb__loader_slot_fini(lmb_loader_slot *s)
{
    for (int32_t v = 0; v < LMB_MAX_VIEWS; v++)
        lmb_tensor_release(s->views[v]);
    lmb__detect_batch_fini(&s->detect);
    lmb_tensor_release(s->labels);
    lmb_tensor_release(s->indices);
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

lmb_status lmb__loader_prepare(lmb_loader *l)
{
    const lmb_loader_opts *o = &l->opts;
    l->chunk = chunk_size(o);
    l->slot_count = o->threads == 0 ? 1 : o->ahead + 1;
    LMB_TRY(init_order(l));
    LMB_TRY(LMB_NEW(l->slots, l->slot_count));
    for (int64_t i = 0; i < l->slot_count; i++)
        LMB_TRY(slot_init(&l->slots[i], l));
    return LMB_OK;
}

/* --- one batch ------------------------------------------------------------ */

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

void lmb__loader_plan(lmb_loader *l)
{
    lmb_loader_slot *s = &l->slots[l->planned % l->slot_count];
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

static lmb_status run_detect(const lmb_loader *l, const lmb_loader_slot *s,
    int64_t i, lmb_scratch *scratch)
{
    const int64_t index = ((const int64_t *)s->indices->data)[i];
    const lmb_detect_sample sample = lmb__detect_batch_sample(
        &s->detect, l->ds, index, i, s->views[0]->data);
    const uint64_t root = (uint64_t)lmb_dataset_root_index(l->ds, index);
    lmb_rng rng = lmb_rng_make(
        l->opts.seed, LMB_STREAM_AUGMENT, (uint64_t)s->epoch, root);
    return lmb_detect_transform_run(
        &l->detect, &l->normalizer[0], &sample, &rng, scratch);
}

static lmb_status run_sample(const lmb_loader *l, const lmb_loader_slot *s,
    int64_t i, lmb_scratch *scratch)
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

int64_t lmb__loader_run(const lmb_loader *l, const lmb_loader_slot *s,
    int64_t first, int64_t end, lmb_scratch *scratch, lmb_status *st)
{
    for (int64_t i = first; i < end; i++) {
        *st = l->opts.detect != NULL ? run_detect(l, s, i, scratch)
                                     : run_sample(l, s, i, scratch);
        if (*st != LMB_OK)
            return i;
    }
    return -1;
}
