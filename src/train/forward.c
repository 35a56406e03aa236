/* forward.c: a network run on an array, in batches. */
#include "train/forward.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The network for one batch size, up to one tap. */
typedef struct pass {
    lmb_graph *g;
    lmb_plan *plan;
    lmb_value x, y;
    int64_t batch;
} pass;

static void pass_fini(pass *p)
{
    lmb_plan_free(p->plan);
    lmb_graph_free(p->g);
    *p = (pass){0};
}

static lmb_status find_tap(const lmb_nn *nn, const char *tap, lmb_value *out)
{
    lmb_str list = {0};
    *out = lmb_nn_tap_find(nn, tap);
    if (lmb_is(*out))
        return LMB_OK;
    for (int i = 0; i < nn->n_taps; i++)
        lmb_str_printf(&list, "%s%s", i > 0 ? ", " : "", nn->taps[i].name);
    const lmb_status st =
        LMB_FAIL(LMB_EINVAL, "the network has no tap '%s'; it has %s", tap,
            list.text != NULL ? list.text : "none");
    lmb_str_fini(&list);
    return st;
}

static lmb_status compile(const lmb_network *net, const lmb_shape *shape,
    bool reference, const lmb_forward_opts *opts, pass *p)
{
    lmb_nn *nn = NULL;
    lmb_status st = LMB_OK;
    LMB_TRY(LMB_NEW(nn, 1));
    LMB_GOTO(lmb_graph_new(&p->g), st, done);
    p->batch = shape->dim[0];
    p->x = lmb_graph_input(p->g, "x", LMB_F32, *shape);
    lmb_nn_init(nn, p->g, net->params, LMB_MODE_EVAL);
    (void)lmb_network_build(net, nn, p->x, NULL);
    LMB_GOTO(lmb_graph_status(p->g), st, done);
    LMB_GOTO(find_tap(nn, opts->tap != NULL ? opts->tap : "logits", &p->y), st,
        done);
    if (!reference)
        lmb_passes_backward(p->g, 1, &p->y);
    const lmb_plan_opts plan = {.reference = reference,
        .bf16 = opts->bf16,
        .allow_reference = opts->allow_reference};
    LMB_GOTO(lmb_plan_compile(p->g, 1, &p->y, &plan, &p->plan), st, done);
done:
    lmb_free(nn);
    return st;
}

/* The parameters once more, in double. */
static lmb_status to_f64(const lmb_network *net, int size, lmb_network *out)
{
    lmb_model_spec spec = {.model = net->model, .opts = net->opts};
    (void)snprintf(spec.text, sizeof spec.text, "%s", net->text);
    LMB_TRY(lmb_network_make(&spec, net->classes, size, LMB_F64, out));
    for (int i = 0; i < lmb_params_count(net->params); i++) {
        const lmb_param *from = lmb_params_at(net->params, i);
        const lmb_param *to = lmb_params_find(out->params, from->name);
        for (int64_t k = 0; to != NULL && k < from->count; k++)
            lmb_param_set(to, k, lmb_param_get(from, k));
    }
    lmb_params_touch(out->params);
    return LMB_OK;
}

static lmb_status check_input(const lmb_tensor *x)
{
    const lmb_shape *s = &x->shape;
    if (s->rank != 4 || s->dim[1] != 3 || s->dim[0] < 1 || s->dim[2] < 1 ||
        s->dim[3] < 1)
        return LMB_FAIL(
            LMB_ESHAPE, "the input is %s, not [N, 3, H, W]", lmb_shape_text(s));
    return LMB_OK;
}

/* Runs images first .. first + p->batch - 1. */
static lmb_status run_pass(
    pass *p, const lmb_tensor *x, int64_t first, lmb_tensor **out)
{
    const size_t size = lmb_dtype_size(x->dtype);
    const int64_t row = lmb_tensor_count(x) / x->shape.dim[0];
    if (*out == NULL) {
        /* RoI taps have as many rows an image as there are proposals. */
        lmb_shape shape = lmb_graph_shape(p->g, p->y);
        shape.dim[0] = shape.dim[0] / p->batch * x->shape.dim[0];
        LMB_TRY(lmb_tensor_new(x->dtype, &shape, out));
    }
    const int64_t out_row = lmb_tensor_count(*out) / x->shape.dim[0];
    LMB_TRY(lmb_plan_set(p->plan, p->x, x->dtype,
        (const char *)x->data + (size_t)(first * row) * size));
    LMB_TRY(lmb_plan_run(p->plan));
    return lmb_plan_read(p->plan, p->y, x->dtype,
        (char *)(*out)->data + (size_t)(first * out_row) * size);
}

static lmb_status run_all(const lmb_network *net, const lmb_tensor *x,
    const lmb_forward_opts *opts, lmb_tensor **out)
{
    pass p = {0};
    lmb_status st = LMB_OK;
    const int64_t batch = opts->batch > 0 ? opts->batch : 64;
    const int64_t n = x->shape.dim[0];
    for (int64_t first = 0; first < n && st == LMB_OK; first += p.batch) {
        lmb_shape shape = x->shape;
        shape.dim[0] = n - first < batch ? n - first : batch;
        if (p.batch != shape.dim[0]) {
            pass_fini(&p);
            LMB_GOTO(
                compile(net, &shape, x->dtype == LMB_F64, opts, &p), st, done);
        }
        st = run_pass(&p, x, first, out);
    }
done:
    pass_fini(&p);
    return st;
}

lmb_status lmb_forward(const lmb_network *net, const lmb_tensor *x,
    const lmb_forward_opts *opts, lmb_tensor **out)
{
    const lmb_forward_opts none = {0};
    lmb_network exact = {0};
    lmb_tensor *converted = NULL, *result = NULL;
    lmb_status st = LMB_OK;
    LMB_TRY(check_input(x));
    if (opts == NULL)
        opts = &none;
    if (x->dtype == LMB_F64) {
        LMB_GOTO(to_f64(net, (int)x->shape.dim[2], &exact), st, done);
        LMB_GOTO(run_all(&exact, x, opts, &result), st, done);
    } else {
        LMB_GOTO(lmb_tensor_convert(x, LMB_F32, &converted), st, done);
        LMB_GOTO(run_all(net, converted, opts, &result), st, done);
    }
    *out = result;
    result = NULL;
done:
    lmb_tensor_release(result);
    lmb_tensor_release(converted);
    lmb_network_fini(&exact);
    return st;
}

void lmb_swap_channels(float *x, size_t plane)
{
    for (size_t i = 0; i < plane; i++) {
        const float red = x[i];
        x[i] = x[2 * plane + i];
        x[2 * plane + i] = red;
    }
}

void lmb_softmax_rows(lmb_tensor *logits)
{
    const int64_t rows = logits->shape.dim[0], n = logits->shape.dim[1];
    for (int64_t r = 0; r < rows; r++) {
        double top = -INFINITY, sum = 0;
        for (int64_t i = r * n; i < (r + 1) * n; i++)
            top = fmax(top, lmb_tensor_get(logits, i));
        for (int64_t i = r * n; i < (r + 1) * n; i++)
            sum += exp(lmb_tensor_get(logits, i) - top);
        for (int64_t i = r * n; i < (r + 1) * n; i++)
            lmb_tensor_set(
                logits, i, exp(lmb_tensor_get(logits, i) - top) / sum);
    }
}

void lmb_largest(const double *values, int n, int k, int *out)
{
    for (int i = 0; i < k; i++) {
        out[i] = -1;
        for (int j = 0; j < n; j++) {
            bool taken = false;
            for (int m = 0; m < i; m++)
                taken = taken || out[m] == j;
            if (!taken && (out[i] < 0 || values[j] > values[out[i]]))
                out[i] = j;
        }
    }
}
