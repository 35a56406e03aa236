/* detector_plans.c: compiled plans of a detector, and its post-processing. */
#include "train/detector.h"

#include <string.h>

enum { MAX_PLANS = 12, MAX_FOUND = 1000 };

/* The network for one shape of input. */
typedef struct detect_plan {
    lmb_shape shape;
    lmb_graph *g;
    lmb_plan *plan;
    lmb_value x, sizes;
    lmb_value output[LMB_MAX_DETECT_OUTPUTS];
    int n_outputs;
} detect_plan;

struct lmb_detector {
    const lmb_network *net;
    lmb_detector_opts opts;
    lmb_workspace *workspace, *own_workspace;
    detect_plan plans[MAX_PLANS];
    int n_plans, next; /* next: the one that goes when all are taken */
    detect_plan *last;
    const lmb_tensor *sizes;
    float *memory[LMB_MAX_DETECT_OUTPUTS]; /* on the reference */
    lmb_detected found[MAX_FOUND];
};

lmb_status lmb_detector_new(const lmb_network *net,
    const lmb_detector_opts *opts, lmb_workspace *workspace, lmb_detector **out)
{
    lmb_detector *d = NULL;
    if (!lmb_network_detects(net))
        return LMB_FAIL(LMB_EINVAL, "%s is not a detector", net->model->name);
    LMB_TRY(LMB_NEW(d, 1));
    d->net = net;
    d->opts = *opts;
    d->workspace = workspace;
    const lmb_status st =
        workspace == NULL ? lmb_workspace_new(&d->own_workspace) : LMB_OK;
    if (st != LMB_OK) {
        lmb_detector_free(d);
        return st;
    }
    if (workspace == NULL)
        d->workspace = d->own_workspace;
    *out = d;
    return LMB_OK;
}

static void plan_fini(detect_plan *p)
{
    lmb_plan_free(p->plan);
    lmb_graph_free(p->g);
    *p = (detect_plan){0};
}

void lmb_detector_free(lmb_detector *d)
{
    if (d == NULL)
        return;
    for (int i = 0; i < d->n_plans; i++)
        plan_fini(&d->plans[i]);
    for (int i = 0; i < LMB_MAX_DETECT_OUTPUTS; i++)
        lmb_free(d->memory[i]);
    lmb_workspace_free(d->own_workspace);
    lmb_free(d);
}

/* --- plans ---------------------------------------------------------------- */

static lmb_status build(lmb_detector *d, detect_plan *p)
{
    lmb_nn *nn = NULL;
    lmb_status st = LMB_OK;
    LMB_TRY(LMB_NEW(nn, 1));
    LMB_GOTO(lmb_graph_new(&p->g), st, done);
    p->x = lmb_graph_input(p->g, "x", LMB_F32, p->shape);
    p->sizes =
        lmb_graph_input(p->g, "sizes", LMB_F32, LMB_SHAPE(p->shape.dim[0], 2));
    lmb_detection io = {.sizes = p->sizes};
    lmb_nn_init(nn, p->g, d->net->params, LMB_MODE_EVAL);
    (void)lmb_network_build(d->net, nn, p->x, &io);
    LMB_GOTO(lmb_graph_status(p->g), st, done);
    p->n_outputs = io.n_outputs;
    memcpy(p->output, io.output, sizeof p->output);
done:
    lmb_free(nn);
    return st;
}

static lmb_status make_plan(lmb_detector *d, detect_plan *p)
{
    LMB_TRY(build(d, p));
    if (!d->opts.reference)
        lmb_passes_backward(p->g, p->n_outputs, p->output);
    const lmb_plan_opts opts = {
        .reference = d->opts.reference,
        .bf16 = d->opts.bf16,
        .allow_reference = d->opts.allow_reference,
        .workspace = d->workspace,
    };
    return lmb_plan_compile(p->g, p->n_outputs, p->output, &opts, &p->plan);
}

static lmb_status plan_for(
    lmb_detector *d, const lmb_shape *shape, detect_plan **out)
{
    for (int i = 0; i < d->n_plans; i++)
        if (lmb_shape_equal(&d->plans[i].shape, shape)) {
            *out = &d->plans[i];
            return LMB_OK;
        }
    int at = d->n_plans;
    if (at == MAX_PLANS) {
        at = d->next++ % MAX_PLANS;
        plan_fini(&d->plans[at]);
    } else {
        d->n_plans++;
    }
    detect_plan *p = &d->plans[at];
    p->shape = *shape;
    const lmb_status st = make_plan(d, p);
    if (st != LMB_OK)
        p->shape = (lmb_shape){0}; /* never found again */
    *out = p;
    return st;
}

/* --- running -------------------------------------------------------------- */

/* Reference plans hold doubles: their outputs are copied as floats. */
static lmb_status read_outputs(lmb_detector *d, detect_plan *p)
{
    for (int i = 0; i < p->n_outputs && d->opts.reference; i++) {
        const lmb_shape shape = lmb_graph_shape(p->g, p->output[i]);
        const int64_t n = lmb_shape_count(&shape);
        lmb_free(d->memory[i]);
        d->memory[i] = NULL;
        LMB_TRY(LMB_NEW(d->memory[i], n > 0 ? n : 1));
        LMB_TRY(lmb_plan_read(p->plan, p->output[i], LMB_F32, d->memory[i]));
    }
    return LMB_OK;
}

lmb_status lmb_detector_run(
    lmb_detector *d, const lmb_tensor *x, const lmb_tensor *sizes)
{
    detect_plan *p = NULL;
    d->last = NULL;
    LMB_TRY(plan_for(d, &x->shape, &p));
    LMB_TRY(lmb_plan_set(p->plan, p->x, LMB_F32, x->data));
    LMB_TRY(lmb_plan_set(p->plan, p->sizes, LMB_F32, sizes->data));
    LMB_TRY(lmb_plan_run(p->plan));
    LMB_TRY(read_outputs(d, p));
    d->last = p;
    d->sizes = sizes;
    return LMB_OK;
}

lmb_status lmb_detector_take(
    lmb_detector *d, int64_t image, const lmb_detected **out, int64_t *count)
{
    const detect_plan *p = d->last;
    LMB_ASSERT(p != NULL && image < p->shape.dim[0]);
    const float *size = (const float *)d->sizes->data + 2 * image;
    lmb_detect_call call = {
        .opts = &d->net->opts,
        .classes = d->net->classes,
        .n_outputs = p->n_outputs,
        .image = image,
        .size = {size[0], size[1]},
        .input = {p->shape.dim[2], p->shape.dim[3]},
        .detect = d->opts.detect,
    };
    for (int i = 0; i < p->n_outputs; i++) {
        call.shape[i] = lmb_graph_shape(p->g, p->output[i]);
        call.output[i] = d->opts.reference
            ? d->memory[i]
            : lmb_plan_view(p->plan, p->output[i]);
    }
    *out = d->found;
    return d->net->model->postprocess(
        d->net->model, &call, MAX_FOUND, d->found, count);
}
