/* execute.c: running the steps of a plan. */
#include "plan/plan_impl.h"

#include "backend/cpu/cpu_layout.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void *lmb_plan_slot_data(const lmb_plan *plan, int32_t slot)
{
    if (slot < 0)
        return NULL;
    const lmb_slot *s = &plan->slots[slot];
    switch (s->place) {
    case LMB_PLACE_ARENA:
        return (char *)plan->workspace->data + s->offset;
    case LMB_PLACE_STATIC:
        return (char *)plan->static_memory + s->offset;
    case LMB_PLACE_FIXED:
    case LMB_PLACE_INPUT:
        break;
    }
    return s->data;
}

/* --- elements ------------------------------------------------------------- */

static float load(const void *data, bool bf16, int64_t i)
{
    return bf16 ? lmb_bf16_to_f32(((const uint16_t *)data)[i])
                : ((const float *)data)[i];
}

static void store(void *data, bool bf16, int64_t i, float x)
{
    if (bf16)
        ((uint16_t *)data)[i] = lmb_f32_to_bf16(x);
    else
        ((float *)data)[i] = x;
}

/* --- layouts -------------------------------------------------------------- */

static lmb_layout_form layout_form(lmb_form form, int64_t channels)
{
    return (lmb_layout_form){
        .block = lmb_form_block(form, channels),
        .bf16 = form == LMB_FORM_NHWC_BF16,
    };
}

static void run_layout(const lmb_plan *plan, const lmb_step *step)
{
    const lmb_slot *to = &plan->slots[step->out[0]];
    const lmb_shape *shape = &plan->g->values[to->value.id].type.shape;
    const lmb_layout layout = {
        .from = layout_form(plan->slots[step->in[0]].form, shape->dim[1]),
        .to = layout_form(to->form, shape->dim[1]),
        .images = shape->dim[0],
        .channels = shape->dim[1],
        .area = shape->dim[2] * shape->dim[3],
    };
    lmb_cpu_layout()(&layout, lmb_plan_slot_data(plan, step->in[0]),
        lmb_plan_slot_data(plan, step->out[0]));
}

/* --- products ------------------------------------------------------------- */

/* Threads share out the products of a batch if they are small (m n k), else
 * the rows of each. */
enum { SMALL_PRODUCT = 1 << 21 };

typedef struct products {
    bool ta, tb;
    int64_t batch, m, n, k;
    const float *a, *b;
    float *c;
} products;

static lmb_status run_product(const products *p, int64_t i)
{
    return lmb_dnn_sgemm(p->ta, p->tb, p->m, p->n, p->k, p->a + i * p->m * p->k,
        p->b + i * p->k * p->n, p->c + i * p->m * p->n);
}

static lmb_status run_small_products(const products *p)
{
    int64_t failed = -1;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < p->batch; i++)
        if (run_product(p, i) != LMB_OK) {
#pragma omp atomic write
            failed = i;
        }
    /* An error belongs to the thread that met it: met again by this one. */
    return failed >= 0 ? run_product(p, failed) : LMB_OK;
}

static lmb_status run_matmul(const lmb_step *step)
{
    const lmb_matmul_attr *attr = step->node->attr;
    const lmb_buf *a = &step->in_buf[0];
    const lmb_shape *c = &step->out_buf[0].shape;
    products p = {.ta = attr->ta, .tb = attr->tb};
    p.m = c->dim[c->rank - 2];
    p.n = c->dim[c->rank - 1];
    p.k = a->shape.dim[c->rank - (attr->ta ? 2 : 1)];
    p.batch = c->rank == 3 ? c->dim[0] : 1;
    p.a = a->data;
    p.b = step->in_buf[1].data;
    p.c = step->out_buf[0].data;
    if (p.m == 0 || p.n == 0)
        return LMB_OK;
    if (p.batch > 1 && p.m * p.n * p.k <= SMALL_PRODUCT)
        return run_small_products(&p);
    for (int64_t i = 0; i < p.batch; i++)
        LMB_TRY(run_product(&p, i));
    return LMB_OK;
}

/* --- convolutions --------------------------------------------------------- */

static void add_bias(const lmb_plan *plan, const lmb_step *step)
{
    const lmb_slot *slot = &plan->slots[step->out[0]];
    const float *bias = lmb_plan_slot_data(plan, step->in[2]);
    void *y = lmb_plan_slot_data(plan, step->out[0]);
    const bool bf16 = slot->form == LMB_FORM_NHWC_BF16;
    const int64_t channels = step->spec.x[1];
    const int64_t block = lmb_form_block(slot->form, channels);
    const int64_t area = step->spec.x[2] * step->spec.x[3];
    const int64_t rows = step->spec.x[0] * channels / block * area;
#pragma omp parallel for schedule(static) if (rows * block >= 32768)
    for (int64_t i = 0; i < rows; i++) {
        const float *b = bias + i / area % (channels / block) * block;
        for (int64_t c = 0; c < block; c++)
            store(y, bf16, i * block + c, load(y, bf16, i * block + c) + b[c]);
    }
}

static lmb_status run_conv(const lmb_plan *plan, lmb_step *step)
{
    void *in[LMB_MAX_IN] = {0};
    void *out[LMB_MAX_OUT] = {0};
    for (int k = 0; k < step->n_in; k++)
        in[k] = lmb_plan_slot_data(plan, step->in[k]);
    for (int o = 0; o < step->n_out; o++)
        out[o] = lmb_plan_slot_data(plan, step->out[o]);
    lmb_dnn_conv_args args = {
        .scratch = lmb_plan_slot_data(plan, step->scratch),
    };
    switch (step->spec.kind) {
    case LMB_DNN_FORWARD_TRAIN:
    case LMB_DNN_FORWARD_INFER:
        args.x = in[0];
        args.weights = in[1];
        args.bias = in[2];
        args.residual = in[3];
        args.y = out[0];
        break;
    case LMB_DNN_BACKWARD_DATA:
        args.y = in[0];
        args.weights = in[1];
        args.x = out[0];
        break;
    case LMB_DNN_BACKWARD_WEIGHTS:
        args.x = in[0];
        args.y = in[1];
        args.weights = out[0];
        args.bias = out[1];
        break;
    }
    LMB_TRY(lmb_dnn_conv_run(step->conv, &args));
    if (step->bias_after)
        add_bias(plan, step);
    return LMB_OK;
}

/* --- the reference -------------------------------------------------------- */

static lmb_status run_reference(const lmb_plan *plan, const lmb_step *step)
{
    const lmb_node *node = step->node;
    const double *in[LMB_MAX_IN];
    double *out[LMB_MAX_OUT];
    lmb_type in_type[LMB_MAX_IN];
    lmb_type out_type[LMB_MAX_OUT];
    for (int k = 0; k < node->n_in; k++) {
        in[k] = lmb_plan_slot_data(plan, step->in[k]);
        in_type[k] = plan->g->values[node->in[k].id].type;
    }
    for (int o = 0; o < node->n_out; o++) {
        out[o] = lmb_plan_slot_data(plan, step->out[o]);
        out_type[o] = plan->g->values[node->out[o].id].type;
    }
    const lmb_ref ref = {
        .attr = node->attr,
        .n_in = node->n_in,
        .n_out = node->n_out,
        .in_type = in_type,
        .out_type = out_type,
        .in = in,
        .out = out,
    };
    return node->op->reference(&ref);
}

/* Parameters of an f32 store and inputs of other types, as doubles. */
static void refresh_reference(lmb_plan *plan)
{
    for (size_t i = 0; i < plan->n_slots; i++) {
        lmb_slot *slot = &plan->slots[i];
        const lmb_value_info *v = &plan->g->values[slot->value.id];
        const int64_t count = lmb_shape_count(&v->type.shape);
        double *data = slot->data;
        if (v->leaf == LMB_LEAF_PARAM && slot->place == LMB_PLACE_FIXED &&
            lmb_params_dtype(v->param->owner) == LMB_F32) {
            for (int64_t k = 0; k < count; k++)
                data[k] = lmb_param_get(v->param, k);
        } else if (slot->place == LMB_PLACE_INPUT && slot->input_data != NULL) {
            lmb_tensor t = {
                .dtype = slot->input_dtype,
                .shape = v->type.shape,
                .data = (void *)(uintptr_t)slot->input_data,
            };
            for (int64_t k = 0; k < count; k++)
                data[k] = lmb_tensor_get(&t, k);
        }
    }
}

/* --- steps ---------------------------------------------------------------- */

static lmb_status run_call(const lmb_plan *plan, lmb_step *step)
{
    for (int k = 0; k < step->n_in; k++)
        step->in_buf[k].data = lmb_plan_slot_data(plan, step->in[k]);
    for (int o = 0; o < step->n_out; o++)
        step->out_buf[o].data = lmb_plan_slot_data(plan, step->out[o]);
    step->call.scratch = lmb_plan_slot_data(plan, step->scratch);
    if (step->kind == LMB_STEP_MATMUL)
        return run_matmul(step);
    if (step->kind != LMB_STEP_KERNEL)
        return lmb_call_reference(step->node->op, &step->call);
    step->kernel->run(&step->call);
    return LMB_OK;
}

lmb_status lmb_plan_step(lmb_plan *plan, lmb_step *step)
{
    switch (step->kind) {
    case LMB_STEP_KERNEL:
    case LMB_STEP_FALLBACK:
    case LMB_STEP_HOST:
    case LMB_STEP_MATMUL:
        return run_call(plan, step);
    case LMB_STEP_REFERENCE:
        return run_reference(plan, step);
    case LMB_STEP_CONV:
        return run_conv(plan, step);
    case LMB_STEP_LAYOUT:
        run_layout(plan, step);
        return LMB_OK;
    case LMB_STEP_PACK:
    case LMB_STEP_UNPACK:
        return lmb_dnn_reorder_run(step->reorder,
            lmb_plan_slot_data(plan, step->in[0]),
            lmb_plan_slot_data(plan, step->out[0]));
    case LMB_STEP_UNPACK_GRAD:
        return lmb_dnn_reorder_run(step->reorder,
            lmb_plan_slot_data(plan, step->in[0]),
            lmb_param_grad(
                ((const lmb_store_grad_attr *)step->node->attr)->param));
    }
    return LMB_OK;
}

static lmb_status run_static(lmb_plan *plan)
{
    uint64_t version = 0;
    for (int i = 0; i < plan->n_stores; i++)
        if (plan->store_static[i])
            version += lmb_params_version(plan->stores[i]);
    if (plan->static_done && version == plan->static_version)
        return LMB_OK;
    for (size_t i = 0; i < plan->static_steps.count; i++)
        LMB_TRY(lmb_plan_step(plan, plan->static_steps.items[i]));
    plan->static_done = true;
    plan->static_version = version;
    return LMB_OK;
}

lmb_status lmb_plan_prepare(lmb_plan *plan)
{
    for (size_t i = 0; i < plan->n_slots; i++) {
        const lmb_slot *slot = &plan->slots[i];
        if (slot->place == LMB_PLACE_INPUT && slot->input_data == NULL)
            return LMB_FAIL(LMB_EINVAL, "input %s was not set",
                plan->g->values[slot->value.id].name);
    }
    if (plan->opts.reference)
        refresh_reference(plan);
    return run_static(plan);
}

lmb_status lmb_plan_run(lmb_plan *plan)
{
    LMB_TRY(lmb_plan_prepare(plan));
    for (size_t i = 0; i < plan->steps.count; i++)
        LMB_TRY(lmb_plan_step(plan, plan->steps.items[i]));
    return LMB_OK;
}

/* --- looking for what went wrong ------------------------------------------ */

static bool finite_slot(const lmb_plan *plan, int32_t index)
{
    const lmb_slot *slot = &plan->slots[index];
    const void *data = lmb_plan_slot_data(plan, index);
    if (!lmb_is(slot->value) ||
        plan->g->values[slot->value.id].type.dtype == LMB_I32)
        return true;
    if (slot->form == LMB_FORM_REF) {
        for (size_t i = 0; i < slot->bytes / 8; i++)
            if (!isfinite(((const double *)data)[i]))
                return false;
        return true;
    }
    const bool bf16 = slot->form == LMB_FORM_NHWC_BF16;
    for (size_t i = 0; i < slot->bytes / (bf16 ? 2 : 4); i++)
        if (!isfinite(load(data, bf16, (int64_t)i)))
            return false;
    return true;
}

lmb_status lmb_plan_find_nonfinite(lmb_plan *plan, char *text, size_t size)
{
    text[0] = '\0';
    LMB_TRY(lmb_plan_prepare(plan));
    for (size_t i = 0; i < plan->steps.count; i++) {
        lmb_step *step = plan->steps.items[i];
        if (step->node != NULL && step->node->op->side_effect)
            continue;
        LMB_TRY(lmb_plan_step(plan, step));
        for (int o = 0; o < step->n_out; o++) {
            if (finite_slot(plan, step->out[o]))
                continue;
            (void)snprintf(text, size, "%s in %s", step->name,
                step->node != NULL ? step->node->scope : "the planner");
            return LMB_OK;
        }
    }
    return LMB_OK;
}
