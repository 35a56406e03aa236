/* step_run.c: running a compiled step: inputs in, gradients and losses out. */
#include "train/step.h"

#include <math.h>
#include <string.h>

lmb_status lmb_train_step_connect(lmb_train_step *s)
{
    LMB_TRY(LMB_NEW(s->index_data, s->spec.batch));
    LMB_TRY(lmb_plan_set(s->plan, s->index, LMB_I32, s->index_data));
    if (s->spec.boxes > 0)
        LMB_TRY(lmb_plan_set(s->plan, s->truth.draw, LMB_I32, s->draw_data));
    for (int i = 0; i < s->spec.n_terms; i++)
        LMB_TRY(lmb_plan_set(s->plan, s->share[i], LMB_F32, &s->share_data[i]));
    for (int i = 0; i < s->spec.n_terms; i++)
        LMB_TRY(lmb_feeds_bind(&s->feeds[i], s->plan));
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
    };
    for (int i = 0; i < s->spec.n_terms; i++) {
        const lmb_term *t = &s->spec.terms[i];
        LMB_TRY(lmb_feeds_run(&s->feeds[i], t->method, t->state, &feed));
    }
    return LMB_OK;
}

/* --- the batch ------------------------------------------------------------ */

double lmb_term_share(const lmb_term *term, int64_t epoch, double epochs)
{
    const double pi = 3.14159265358979323846;
    const double t = (double)(epoch - 1) / epochs;
    double share = 1;
    if (term->schedule == LMB_TERM_LINEAR)
        share = 1 - t;
    if (term->schedule == LMB_TERM_COSINE)
        share = (1 + cos(pi * t)) / 2;
    const double warm = (double)(epoch - term->before);
    return term->warmup > 0 && warm < term->warmup ? share * warm / term->warmup
                                                   : share;
}

int lmb_term_phase(const lmb_term *term, int64_t epoch)
{
    return lmb_method_phase(term->method, term->state, epoch - term->before,
        term->epochs, term->warmup);
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
        s->share_data[i] =
            (float)lmb_term_share(&s->spec.terms[i], at->epoch, at->epochs);
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
