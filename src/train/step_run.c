/* step_run.c: running a compiled step: inputs in, gradients and losses out. */
#include "graph/ir.h"
#include "train/step.h"

#include <stdio.h>
#include <string.h>

/* --- inputs that methods fill ----------------------------------------------
 */

/* Inputs of the graph that are not the step's own belong to the methods. */
static bool is_own(const lmb_train_step *s, lmb_value v)
{
    const lmb_value own[] = {s->x, s->labels, s->index, s->sizes,
        s->truth.boxes, s->truth.labels, s->truth.valid, s->truth.draw};
    for (size_t i = 0; i < LMB_COUNT(own); i++)
        if (own[i].id == v.id)
            return true;
    for (int i = 0; i < s->spec.n_terms; i++)
        if (s->warm[i].id == v.id)
            return true;
    return false;
}

static lmb_status add_feed(lmb_train_step *s, lmb_value v)
{
    const lmb_value_info *info = &s->g->values[v.id];
    lmb_feed_input *f = &s->feeds[s->n_feeds++];
    (void)snprintf(f->name, sizeof f->name, "%s", info->name);
    f->count = lmb_shape_count(&info->type.shape);
    LMB_TRY(LMB_NEW(f->data, f->count > 0 ? f->count : 1));
    return lmb_plan_set(s->plan, v, LMB_F32, f->data);
}

static lmb_status connect_feeds(lmb_train_step *s)
{
    size_t n = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 1; i < s->g->n_values; i++) {
            const lmb_value v = {(int32_t)i};
            const lmb_value_info *info = &s->g->values[i];
            if (info->leaf != LMB_LEAF_INPUT || is_own(s, v))
                continue;
            if (pass == 0)
                n++;
            else
                LMB_TRY(add_feed(s, v));
        }
        if (pass == 0 && n > 0)
            LMB_TRY(LMB_NEW(s->feeds, n));
    }
    return LMB_OK;
}

lmb_status lmb_train_step_connect(lmb_train_step *s)
{
    LMB_TRY(LMB_NEW(s->index_data, s->spec.batch));
    LMB_TRY(lmb_plan_set(s->plan, s->index, LMB_I32, s->index_data));
    if (s->spec.boxes > 0)
        LMB_TRY(lmb_plan_set(s->plan, s->truth.draw, LMB_I32, s->draw_data));
    for (int i = 0; i < s->spec.n_terms; i++)
        LMB_TRY(lmb_plan_set(s->plan, s->warm[i], LMB_F32, &s->warm_data[i]));
    return connect_feeds(s);
}

static const lmb_feed_input *find_feed(
    const lmb_train_step *s, const char *input)
{
    for (size_t i = 0; i < s->n_feeds; i++)
        if (strcmp(s->feeds[i].name, input) == 0)
            return &s->feeds[i];
    return NULL;
}

/* lmb_feed.size */
static int64_t feed_size(void *user, const char *input)
{
    const lmb_feed_input *f = find_feed(user, input);
    return f != NULL ? f->count : 0;
}

/* lmb_feed.set */
static lmb_status set_feed(
    void *user, const char *input, int64_t count, const double *data)
{
    const lmb_feed_input *f = find_feed(user, input);
    if (f == NULL)
        return LMB_FAIL(LMB_ENOTFOUND, "the step has no input %s", input);
    if (f->count != count)
        return LMB_FAIL(LMB_ESHAPE, "input %s: %lld numbers, not %lld", input,
            (long long)count, (long long)f->count);
    for (int64_t k = 0; k < count; k++)
        f->data[k] = (float)data[k];
    return LMB_OK;
}

static lmb_status run_feeds(
    lmb_train_step *s, const lmb_batch *batch, const lmb_step_at *at)
{
    const lmb_feed feed = {
        .epoch = at->epoch_part,
        .epochs = at->epochs,
        .step = at->step,
        .seed = at->seed,
        .batch = batch->count,
        .labels = s->spec.boxes == 0 ? batch->labels->data : NULL,
        .index = s->index_data,
        .size = feed_size,
        .set = set_feed,
        .user = s,
    };
    for (int i = 0; i < s->spec.n_terms; i++) {
        const lmb_term *t = &s->spec.terms[i];
        if (t->method->feed != NULL)
            LMB_TRY(t->method->feed(t->state, &feed));
    }
    return LMB_OK;
}

/* --- the batch --------------------------------------------------------------
 */

double lmb_warm_up(double warmup, int64_t epoch)
{
    return warmup > 0 && (double)epoch < warmup ? (double)epoch / warmup : 1;
}

static lmb_status set_truth(
    lmb_train_step *s, const lmb_batch *batch, const lmb_step_at *at)
{
    const uint64_t seed = at->seed, step = (uint64_t)at->step;
    const uint32_t draw[4] = {(uint32_t)seed, (uint32_t)(seed >> 32),
        (uint32_t)step, (uint32_t)(step >> 32)};
    memcpy(s->draw_data, draw, sizeof draw);
    LMB_TRY(lmb_plan_set(s->plan, s->truth.boxes, LMB_F32, batch->boxes->data));
    LMB_TRY(lmb_plan_set(
        s->plan, s->truth.labels, LMB_I32, batch->box_labels->data));
    LMB_TRY(
        lmb_plan_set(s->plan, s->truth.valid, LMB_F32, batch->box_valid->data));
    return lmb_plan_set(s->plan, s->sizes, LMB_F32, batch->sizes->data);
}

static lmb_status set_inputs(
    lmb_train_step *s, const lmb_batch *batch, const lmb_step_at *at)
{
    LMB_TRY(lmb_plan_set(s->plan, s->x, LMB_F32, batch->views[0]->data));
    if (s->spec.boxes > 0)
        LMB_TRY(set_truth(s, batch, at));
    else
        LMB_TRY(lmb_plan_set(s->plan, s->labels, LMB_I32, batch->labels->data));
    const int64_t *index = batch->indices->data;
    for (int64_t i = 0; i < batch->count; i++)
        s->index_data[i] = (int32_t)index[i];
    for (int i = 0; i < s->spec.n_terms; i++)
        s->warm_data[i] =
            (float)lmb_warm_up(s->spec.terms[i].warmup, at->epoch);
    return run_feeds(s, batch, at);
}

static int64_t count_correct(
    const float *logits, const int32_t *labels, int64_t n, int64_t classes)
{
    int64_t correct = 0;
    for (int64_t i = 0; i < n; i++) {
        const float *row = logits + i * classes;
        int64_t best = 0;
        for (int64_t c = 1; c < classes; c++)
            if (row[c] > row[best])
                best = c;
        correct += best == labels[i];
    }
    return correct;
}

lmb_status lmb_train_step_run(lmb_train_step *s, const lmb_batch *batch,
    const lmb_step_at *at, lmb_step_result *out)
{
    LMB_ASSERT(batch->count == s->spec.batch);
    *out = (lmb_step_result){0};
    LMB_TRY(set_inputs(s, batch, at));
    LMB_TRY(lmb_plan_run(s->plan));
    out->loss = lmb_plan_scalar(s->plan, s->loss);
    for (int i = 0; i < s->n_parts; i++)
        out->part[i] = lmb_plan_scalar(s->plan, s->part[i]);
    for (int i = 0; i < s->spec.n_terms; i++)
        out->term[i] = lmb_plan_scalar(s->plan, s->term[i]);
    if (!s->spec.reference && lmb_is(s->logits))
        out->correct = count_correct(lmb_plan_view(s->plan, s->logits),
            batch->labels->data, batch->count, s->spec.student->classes);
    return LMB_OK;
}
