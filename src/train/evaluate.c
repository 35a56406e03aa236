/* evaluate.c: accuracy of a network over a data set. */
#include "train/detector.h"

#include "base/clock.h"
#include "base/rng.h"

#include <math.h>
#include <string.h>

/* The network for one batch size. */
typedef struct eval_plan {
    int64_t batch;
    lmb_graph *g;
    lmb_plan *plan;
    lmb_value x, logits;
} eval_plan;

struct lmb_evaluator {
    lmb_network net;
    lmb_detector *detector; /* of a detector; then no plans here */
    lmb_box_truth truth;
    lmb_eval_spec spec;
    const lmb_dataset *data;
    lmb_dataset *subset; /* with a limit */
    lmb_workspace *workspace, *own_workspace;
    lmb_loader *loader;
    lmb_transform transform;
    eval_plan plan[2]; /* full batches, the last one */
    int n_plans;
    int64_t pass;
};

/* --- plans ---------------------------------------------------------------- */

static lmb_value resized(const lmb_evaluator *e, const eval_plan *p)
{
    const double factor = e->spec.input_factor;
    if (factor <= 0 || factor == 1)
        return p->x;
    return lmb_resize(p->g, p->x,
        lmb_teacher_side(e->transform.height, factor, 0),
        lmb_teacher_side(e->transform.width, factor, 0), LMB_RESIZE_BILINEAR);
}

static lmb_status make_plan(lmb_evaluator *e, int64_t batch, eval_plan *p)
{
    LMB_TRY(lmb_graph_new(&p->g));
    p->batch = batch;
    p->x = lmb_graph_input(p->g, "x", LMB_F32,
        LMB_SHAPE(batch, 3, e->transform.height, e->transform.width));
    lmb_nn nn;
    lmb_nn_init(&nn, p->g, e->net.params, LMB_MODE_EVAL);
    (void)lmb_network_build(&e->net, &nn, resized(e, p), NULL);
    p->logits = lmb_nn_tap_find(&nn, "logits");
    LMB_TRY(lmb_graph_status(p->g));
    if (!e->spec.reference)
        lmb_passes_backward(p->g, 1, &p->logits);
    const lmb_plan_opts opts = {
        .reference = e->spec.reference,
        .bf16 = e->spec.bf16,
        .allow_reference = e->spec.allow_reference,
        .workspace = e->workspace,
    };
    return lmb_plan_compile(p->g, 1, &p->logits, &opts, &p->plan);
}

static lmb_status plan_for(lmb_evaluator *e, int64_t batch, eval_plan **out)
{
    for (int i = 0; i < e->n_plans; i++)
        if (e->plan[i].batch == batch) {
            *out = &e->plan[i];
            return LMB_OK;
        }
    LMB_ASSERT(e->n_plans < (int)LMB_COUNT(e->plan));
    *out = &e->plan[e->n_plans++];
    return make_plan(e, batch, *out);
}

/* --- making --------------------------------------------------------------- */

lmb_status lmb_eval_part(
    const lmb_dataset *data, int64_t limit, lmb_dataset **out)
{
    const int64_t count = lmb_dataset_count(data);
    int64_t *index = NULL;
    if (limit <= 0 || limit >= count)
        return LMB_OK;
    LMB_TRY(LMB_NEW(index, limit));
    /* One drawn from each of `limit` equal parts: all classes come up, whether
     * the set is sorted by class or takes them in turns. */
    lmb_rng rng = lmb_rng_make(0, LMB_STREAM_SPLIT, 1, 0);
    for (int64_t i = 0; i < limit; i++) {
        const int64_t from = i * count / limit, to = (i + 1) * count / limit;
        index[i] =
            from + (int64_t)(lmb_rng_uniform(&rng) * (double)(to - from));
    }
    const lmb_status st =
        lmb_dataset_subset((lmb_dataset *)(uintptr_t)data, index, limit, out);
    lmb_free(index);
    return st;
}

static lmb_status take_part(lmb_evaluator *e)
{
    LMB_TRY(lmb_eval_part(e->data, e->spec.limit, &e->subset));
    if (e->subset != NULL)
        e->data = e->subset;
    return LMB_OK;
}

static lmb_status check_task(const lmb_evaluator *e)
{
    const bool boxes = lmb_dataset_is_detection(e->data);
    if (boxes == lmb_network_detects(&e->net))
        return LMB_OK;
    return LMB_FAIL(LMB_EINVAL, "%s is for %s, and the data set %s is for %s",
        e->net.text, e->net.model->task, lmb_dataset_name(e->data),
        boxes ? "detection" : "classification");
}

static lmb_status open_detector(lmb_evaluator *e)
{
    const lmb_detector_opts opts = {
        .bf16 = e->spec.bf16,
        .allow_reference = e->spec.allow_reference,
        .reference = e->spec.reference,
        .detect = e->spec.detect,
    };
    memcpy(e->spec.mean, e->net.mean, sizeof e->spec.mean);
    memcpy(e->spec.std, e->net.std, sizeof e->spec.std);
    LMB_TRY(lmb_box_truth_load(e->data, &e->truth));
    return lmb_detector_new(&e->net, &opts, e->workspace, &e->detector);
}

static lmb_status open_evaluator(lmb_evaluator *e)
{
    LMB_TRY(check_task(e));
    LMB_TRY(take_part(e));
    e->spec.batch = lmb_eval_batch(e->spec.batch, lmb_network_detects(&e->net));
    if (e->workspace == NULL) {
        LMB_TRY(lmb_workspace_new(&e->own_workspace));
        e->workspace = e->own_workspace;
    }
    if (lmb_network_detects(&e->net))
        return open_detector(e);
    e->transform = lmb_transform_default(e->data, false);
    for (int c = 0; c < 3; c++) {
        e->transform.mean[c] = e->net.mean[c];
        e->transform.std[c] = e->net.std[c];
    }
    const lmb_loader_opts opts = {
        .batch = e->spec.batch,
        .threads = e->spec.loader_threads,
        .transform = {e->transform},
    };
    return lmb_loader_new(e->data, &opts, &e->loader);
}

lmb_status lmb_evaluator_new(const lmb_network *net, const lmb_dataset *data,
    const lmb_eval_spec *spec, lmb_workspace *workspace, lmb_evaluator **out)
{
    lmb_evaluator *e = NULL;
    LMB_TRY(LMB_NEW(e, 1));
    e->net = *net;
    e->spec = *spec;
    e->data = data;
    e->workspace = workspace;
    const lmb_status st = open_evaluator(e);
    if (st != LMB_OK) {
        lmb_evaluator_free(e);
        return st;
    }
    *out = e;
    return LMB_OK;
}

void lmb_evaluator_free(lmb_evaluator *e)
{
    if (e == NULL)
        return;
    lmb_loader_free(e->loader);
    lmb_detector_free(e->detector);
    lmb_box_truth_fini(&e->truth);
    for (int i = 0; i < e->n_plans; i++) {
        lmb_plan_free(e->plan[i].plan);
        lmb_graph_free(e->plan[i].g);
    }
    lmb_workspace_free(e->own_workspace);
    lmb_dataset_free(e->subset);
    lmb_free(e);
}

/* --- counting ------------------------------------------------------------- */

/* Classes that rank above the label; equal logits count as above if their
 * index is smaller, as a stable sort would have it. What is no number is above
 * everything, so that a network that gives none is never right. */
static int rank_of_label(const double *row, int classes, int label)
{
    int above = 0;
    for (int c = 0; c < classes; c++)
        above += !(row[c] < row[label] || (c >= label && row[c] == row[label]));
    return above;
}

static double cross_entropy(const double *row, int classes, int label)
{
    double top = row[0];
    for (int c = 1; c < classes; c++)
        top = row[c] > top ? row[c] : top;
    double sum = 0;
    for (int c = 0; c < classes; c++)
        sum += exp(row[c] - top);
    return log(sum) + top - row[label];
}

static void count_batch(lmb_eval_result *r, const double *logits,
    const int32_t *labels, int64_t n, int64_t *top1, int64_t *top5)
{
    for (int64_t i = 0; i < n; i++) {
        const double *row = logits + i * r->classes;
        const int rank = rank_of_label(row, r->classes, labels[i]);
        *top1 += rank == 0;
        *top5 += rank < 5 && rank < r->classes;
        r->class_count[labels[i]]++;
        r->class_correct[labels[i]] += rank == 0;
        r->loss += cross_entropy(row, r->classes, labels[i]);
    }
    r->count += n;
}

static lmb_status check_stop(const lmb_eval_spec *spec)
{
    if (spec->stop == NULL || *spec->stop == 0)
        return LMB_OK;
    return LMB_FAIL(LMB_EINTERRUPTED, "stopped inside an evaluation");
}

static void tell(const lmb_evaluator *e, int64_t done)
{
    if (e->spec.on_images != NULL)
        e->spec.on_images(done, lmb_dataset_count(e->data), e->spec.user);
}

static lmb_status run_batches(lmb_evaluator *e, lmb_eval_result *r)
{
    double *logits = NULL;
    LMB_TRY(LMB_NEW(logits, e->spec.batch * r->classes));
    int64_t top1 = 0;
    int64_t top5 = 0;
    lmb_status st = LMB_OK;
    tell(e, 0);
    LMB_GOTO(lmb_loader_seek(e->loader, e->pass++, 0), st, done);
    for (int64_t i = 0; i < lmb_loader_steps(e->loader); i++) {
        lmb_batch batch;
        eval_plan *p = NULL;
        LMB_GOTO(check_stop(&e->spec), st, done);
        LMB_GOTO(lmb_loader_next(e->loader, &batch), st, done);
        LMB_GOTO(plan_for(e, batch.count, &p), st, done);
        LMB_GOTO(lmb_plan_set(p->plan, p->x, LMB_F32, batch.views[0]->data), st,
            done);
        LMB_GOTO(lmb_plan_run(p->plan), st, done);
        LMB_GOTO(lmb_plan_read(p->plan, p->logits, LMB_F64, logits), st, done);
        count_batch(r, logits, batch.labels->data, batch.count, &top1, &top5);
        tell(e, r->count);
    }
    r->score[LMB_TOP1] = 100.0 * (double)top1 / (double)r->count;
    r->score[LMB_TOP5] = 100.0 * (double)top5 / (double)r->count;
    r->loss /= (double)r->count;
done:
    lmb_free(logits);
    return st;
}

lmb_status lmb_evaluator_run(lmb_evaluator *e, lmb_eval_result *out)
{
    if (lmb_dataset_classes(e->data) > e->net.classes)
        return LMB_FAIL(LMB_EINVAL,
            "the data has %d classes, the network %d: they must be the same",
            lmb_dataset_classes(e->data), e->net.classes);
    if (e->detector != NULL)
        return lmb_detector_evaluate(
            e->detector, e->data, &e->truth, &e->spec, out);
    lmb_eval_result r = {.classes = e->net.classes};
    lmb_status st = LMB_OK;
    const double start = lmb_clock_now();
    LMB_GOTO(LMB_NEW(r.class_count, r.classes), st, failed);
    LMB_GOTO(LMB_NEW(r.class_correct, r.classes), st, failed);
    LMB_GOTO(run_batches(e, &r), st, failed);
    r.seconds = lmb_clock_now() - start;
    *out = r;
    return LMB_OK;
failed:
    lmb_eval_fini(&r);
    return st;
}

void lmb_eval_fini(lmb_eval_result *r)
{
    lmb_free(r->class_count);
    lmb_free(r->class_correct);
    lmb_free(r->class_ap);
    lmb_free(r->found);
    *r = (lmb_eval_result){0};
}

lmb_status lmb_evaluate(const lmb_network *net, const lmb_dataset *data,
    const lmb_eval_spec *spec, lmb_eval_result *out)
{
    lmb_evaluator *e = NULL;
    LMB_TRY(lmb_evaluator_new(net, data, spec, NULL, &e));
    const lmb_status st = lmb_evaluator_run(e, out);
    lmb_evaluator_free(e);
    return st;
}
