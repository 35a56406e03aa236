/* lower.c: nodes to steps on the fast backend: forms, kernels, conversions.
 *
 * Every value can lie in several forms; a step asks for the form it needs and
 * a conversion step is added when the value does not lie in it yet. Forms are
 * NHWC (f32 or bf16, as the precision says) for what convolutions and spatial
 * kernels touch, plain f32 for everything else: losses, statistics and
 * reductions are never bf16. Where the CPU is faster at it, f32 lies in blocks
 * of channels instead, as far as all channels of a call fill whole blocks. */
#include "plan/plan_impl.h"

#include "backend/cpu/cpu.h"

#include <stdio.h>
#include <string.h>

static const lmb_value_info *info(const lmb_plan *plan, lmb_value v)
{
    return &plan->g->values[v.id];
}

static bool is_rank4(const lmb_plan *plan, lmb_value v)
{
    return lmb_is(v) && info(plan, v)->type.shape.rank == 4 &&
        info(plan, v)->type.dtype == LMB_F32;
}

static lmb_form spatial_form(const lmb_plan *plan)
{
    return plan->opts.bf16 ? LMB_FORM_NHWC_BF16 : LMB_FORM_NHWC;
}

int64_t lmb_form_block(lmb_form form, int64_t channels)
{
    switch (form) {
    case LMB_FORM_NHWC:
    case LMB_FORM_NHWC_BF16:
        return channels;
    case LMB_FORM_BLOCKED:
        return LMB_BLOCK;
    default:
        return 1;
    }
}

/* Not of rank 4, or of whole blocks of channels? */
static bool fits_blocks(const lmb_plan *plan, lmb_value v)
{
    return !is_rank4(plan, v) ||
        info(plan, v)->type.shape.dim[1] % LMB_BLOCK == 0;
}

/* Do all operands of the node? */
static bool fills_blocks(const lmb_plan *plan, const lmb_node *node)
{
    bool fills = true;
    for (int k = 0; k < node->n_in; k++)
        fills = fills && fits_blocks(plan, node->in[k]);
    for (int o = 0; o < node->n_out; o++)
        fills = fills && fits_blocks(plan, node->out[o]);
    return fills;
}

static size_t bytes_of(const lmb_plan *plan, lmb_value v, lmb_form form)
{
    const size_t count = (size_t)lmb_shape_count(&info(plan, v)->type.shape);
    return count * (form == LMB_FORM_NHWC_BF16 ? 2 : 4);
}

static lmb_dtype dtype_of(const lmb_plan *plan, lmb_value v, lmb_form form)
{
    if (form == LMB_FORM_NHWC_BF16)
        return LMB_BF16;
    return info(plan, v)->type.dtype;
}

/* --- slots ---------------------------------------------------------------- */

static lmb_status new_slot(
    lmb_plan *plan, lmb_value v, lmb_form form, bool is_static, int32_t *out)
{
    lmb_status st = LMB_OK;
    const lmb_slot slot = {
        .value = v,
        .form = form,
        .place = is_static ? LMB_PLACE_STATIC : LMB_PLACE_ARENA,
        .bytes = lmb_is(v) ? bytes_of(plan, v, form) : 0,
        .first = -1,
        .last = -1,
    };
    *out = lmb_plan_add_slot(plan, &slot, &st);
    if (st == LMB_OK && lmb_is(v) && form < LMB_FORM_COUNT)
        plan->forms[v.id][form] = *out;
    return st;
}

/* A constant's elements as f32 or int32, in the plan's own memory. */
static lmb_status constant_data(lmb_plan *plan, lmb_value v, void **out)
{
    const lmb_value_info *c = info(plan, v);
    const int64_t count = lmb_shape_count(&c->type.shape);
    void *data = lmb_arena_alloc(plan->memory, (size_t)count * 4 + 64);
    if (data == NULL)
        return LMB_FAIL(LMB_ENOMEM, "out of memory: constant");
    for (int64_t i = 0; i < count; i++) {
        const double x = c->constant != NULL ? c->constant[i] : c->fill;
        if (c->type.dtype == LMB_I32)
            ((int32_t *)data)[i] = (int32_t)x;
        else
            ((float *)data)[i] = (float)x;
    }
    *out = data;
    return LMB_OK;
}

static lmb_status leaf_slot(lmb_plan *plan, lmb_value v, int32_t *out)
{
    const lmb_value_info *leaf = info(plan, v);
    LMB_TRY(new_slot(plan, v, LMB_FORM_PLAIN, false, out));
    lmb_slot *slot = &plan->slots[*out];
    if (leaf->leaf == LMB_LEAF_INPUT) {
        slot->place = LMB_PLACE_INPUT;
        return LMB_OK;
    }
    slot->place = LMB_PLACE_FIXED;
    if (leaf->leaf == LMB_LEAF_CONSTANT) {
        void *data = NULL;
        LMB_TRY(constant_data(plan, v, &data));
        plan->slots[*out].data = data;
        return LMB_OK;
    }
    if (lmb_params_dtype(leaf->param->owner) != LMB_F32)
        return LMB_FAIL(LMB_EUNSUPPORTED,
            "%s is f64: only reference plans run on f64 parameters",
            leaf->param->name);
    slot->data = lmb_param_data(leaf->param);
    return LMB_OK;
}

/* --- steps ---------------------------------------------------------------- */

static void use_in(lmb_step *step, int32_t slot)
{
    step->in[step->n_in++] = slot;
}

static void use_out(lmb_step *step, int32_t slot)
{
    step->out[step->n_out++] = slot;
}

static lmb_status add_scratch(
    lmb_plan *plan, lmb_step *step, bool is_static, size_t bytes)
{
    if (bytes == 0)
        return LMB_OK;
    LMB_TRY(
        new_slot(plan, LMB_NONE, LMB_FORM_PLAIN, is_static, &step->scratch));
    plan->slots[step->scratch].bytes = bytes;
    return LMB_OK;
}

/* The slot of v in `form`, converting if it lies elsewhere. */
static lmb_status slot_in(
    lmb_plan *plan, lmb_value v, lmb_form form, int32_t *out)
{
    int32_t *forms = plan->forms[v.id];
    if (forms[form] >= 0) {
        *out = forms[form];
        return LMB_OK;
    }
    int32_t from = -1;
    for (int f = 0; f < LMB_FORM_COUNT && from < 0; f++)
        from = forms[f];
    if (from < 0) {
        LMB_ASSERT(info(plan, v)->leaf != LMB_LEAF_NONE);
        LMB_TRY(leaf_slot(plan, v, &from));
        if (form == LMB_FORM_PLAIN) {
            *out = from;
            return LMB_OK;
        }
    }
    lmb_step *step = NULL;
    LMB_TRY(lmb_plan_add_step(plan, plan->is_static[v.id], &step));
    step->kind = LMB_STEP_LAYOUT;
    step->name = "layout";
    use_in(step, from);
    LMB_TRY(new_slot(plan, v, form, plan->is_static[v.id], out));
    use_out(step, *out);
    return LMB_OK;
}

static lmb_status new_step(lmb_plan *plan, const lmb_node *node, lmb_step **out)
{
    LMB_TRY(lmb_plan_add_step(plan, plan->is_static[node->out[0].id], out));
    (*out)->node = node;
    (*out)->name = node->op->name;
    return LMB_OK;
}

/* --- convolutions --------------------------------------------------------- */

static void copy4(int64_t to[4], const lmb_shape *from)
{
    memcpy(to, from->dim, 4 * sizeof *to);
}

/* The forms of a convolution's input and output. */
typedef struct conv_forms {
    lmb_form x, y;
} conv_forms;

static int dnn_block(lmb_form form)
{
    switch (form) {
    case LMB_FORM_BLOCKED:
        return LMB_BLOCK;
    case LMB_FORM_PLAIN:
        return 1;
    default:
        return LMB_DNN_NHWC;
    }
}

static conv_forms channels_last_forms(const lmb_plan *plan)
{
    return (conv_forms){spatial_form(plan), spatial_form(plan)};
}

/* The forms for which oneDNN's kernels are best, where it has kernels. */
static conv_forms best_conv_forms(const lmb_plan *plan, const lmb_shape *x,
    const lmb_shape *y, const lmb_conv_attr *attr)
{
    const int64_t in = x->dim[1], out = y->dim[1], groups = attr->groups;
    const bool depthwise = groups == in && groups == out;
    if (!plan->blocked || out % LMB_BLOCK != 0)
        return channels_last_forms(plan);
    if (in < LMB_BLOCK && groups == 1) /* a picture */
        return (conv_forms){LMB_FORM_PLAIN, LMB_FORM_BLOCKED};
    if (depthwise ||
        (in / groups % LMB_BLOCK == 0 && out / groups % LMB_BLOCK == 0))
        return (conv_forms){LMB_FORM_BLOCKED, LMB_FORM_BLOCKED};
    return channels_last_forms(plan);
}

static lmb_dnn_conv_spec conv_spec(const lmb_plan *plan, lmb_dnn_kind kind,
    const lmb_shape *x, const lmb_shape *y, const lmb_conv_attr *attr,
    int64_t kh, int64_t kw)
{
    lmb_dnn_conv_spec spec = {
        .kind = kind,
        .attr = *attr,
        .kernel = {kh, kw},
        .dtype = plan->opts.bf16 ? LMB_BF16 : LMB_F32,
        .y_dtype = plan->opts.bf16 ? LMB_BF16 : LMB_F32,
    };
    copy4(spec.x, x);
    copy4(spec.y, y);
    return spec;
}

static void count_macs(lmb_plan *plan, const lmb_dnn_conv_spec *s)
{
    plan->macs += s->y[0] * s->y[1] * s->y[2] * s->y[3] *
        (s->x[1] / s->attr.groups) * s->kernel[0] * s->kernel[1];
}

/* The packed weights that `conv` wants, shared with an equal packed copy. */
static lmb_status packed_slot(
    lmb_plan *plan, lmb_value w, const lmb_dnn_conv *conv, int32_t *out)
{
    for (size_t i = 0; i < plan->n_slots; i++) {
        const lmb_slot *slot = &plan->slots[i];
        if (slot->value.id == w.id && slot->form == LMB_FORM_PACKED &&
            lmb_dnn_conv_same_weights(slot->packed_by, conv)) {
            *out = (int32_t)i;
            return LMB_OK;
        }
    }
    const bool is_static = plan->is_static[w.id];
    int32_t plain = -1;
    LMB_TRY(slot_in(plan, w, LMB_FORM_PLAIN, &plain));
    lmb_step *step = NULL;
    LMB_TRY(lmb_plan_add_step(plan, is_static, &step));
    step->kind = LMB_STEP_PACK;
    step->name = "pack";
    use_in(step, plain);
    LMB_TRY(new_slot(plan, w, LMB_FORM_PACKED, is_static, out));
    plan->slots[*out].bytes = lmb_dnn_conv_weights_size(conv);
    plan->slots[*out].packed_by = conv;
    use_out(step, *out);
    return lmb_dnn_pack_new(conv, &step->reorder);
}

static lmb_value input(const lmb_node *node, int k)
{
    return k < node->n_in ? node->in[k] : LMB_NONE;
}

static lmb_status finish_conv(
    lmb_plan *plan, lmb_step *step, const lmb_node *node)
{
    count_macs(plan, &step->spec);
    return add_scratch(plan, step, plan->is_static[node->out[0].id],
        lmb_dnn_conv_scratch_size(step->conv));
}

/* The plan owns its primitives: packed slots of several steps share one. */
static lmb_status new_conv(
    lmb_plan *plan, const lmb_dnn_conv_spec *spec, lmb_dnn_conv **out)
{
    LMB_TRY(LMB_GROW(plan->convs, plan->n_convs, plan->convs_capacity));
    LMB_TRY(lmb_dnn_conv_new(spec, out));
    plan->convs[plan->n_convs++] = *out;
    return LMB_OK;
}

/* May the convolution write over its residual? Only if it is the last to read
 * it, and nothing else lies in the same memory. */
static bool may_overwrite(
    const lmb_plan *plan, lmb_value v, lmb_form form, const lmb_node *node)
{
    return info(plan, v)->leaf == LMB_LEAF_NONE && !plan->is_static[v.id] &&
        plan->last_use[v.id] == (int32_t)(node - plan->g->nodes) &&
        plan->forms[v.id][form] >= 0;
}

/* in: x (forward) or dy, packed w, bias?, residual?; out: y or dx. */
static lmb_status lower_conv(lmb_plan *plan, const lmb_node *node,
    lmb_dnn_conv *conv, const lmb_dnn_conv_spec *spec, conv_forms forms)
{
    const bool forward = spec->kind <= LMB_DNN_FORWARD_INFER;
    const lmb_form form = forward ? forms.y : forms.x; /* of the result */
    int32_t slots[4] = {-1, -1, -1, -1};
    LMB_TRY(slot_in(plan, node->in[0], forward ? forms.x : forms.y, &slots[0]));
    LMB_TRY(packed_slot(plan, node->in[1], conv, &slots[1]));
    if (lmb_is(input(node, 2)))
        LMB_TRY(slot_in(plan, node->in[2], LMB_FORM_PLAIN, &slots[2]));
    if (lmb_is(input(node, 3)))
        LMB_TRY(slot_in(plan, node->in[3], form, &slots[3]));
    lmb_step *step = NULL;
    LMB_TRY(new_step(plan, node, &step));
    step->kind = LMB_STEP_CONV;
    step->spec = *spec;
    step->conv = conv;
    /* oneDNN's backward data knows no bias: added afterwards. */
    step->bias_after = slots[2] >= 0 && !spec->bias;
    for (int i = 0; i < 4; i++)
        use_in(step, slots[i]);
    int32_t y = slots[3];
    if (spec->in_place)
        plan->forms[node->out[0].id][form] = y;
    else
        LMB_TRY(new_slot(
            plan, node->out[0], form, plan->is_static[node->out[0].id], &y));
    use_out(step, y);
    return finish_conv(plan, step, node);
}

/* in: x, dy; out: packed dw, db */
static lmb_status lower_conv_weights(lmb_plan *plan, const lmb_node *node,
    lmb_dnn_conv *conv, const lmb_dnn_conv_spec *spec, conv_forms forms)
{
    int32_t x = -1;
    int32_t dy = -1;
    LMB_TRY(slot_in(plan, node->in[0], forms.x, &x));
    LMB_TRY(slot_in(plan, node->in[1], forms.y, &dy));
    lmb_step *step = NULL;
    LMB_TRY(new_step(plan, node, &step));
    step->kind = LMB_STEP_CONV;
    step->spec = *spec;
    step->conv = conv;
    use_in(step, x);
    use_in(step, dy);
    int32_t dw = -1;
    int32_t db = -1;
    LMB_TRY(new_slot(plan, node->out[0], LMB_FORM_PACKED, false, &dw));
    plan->slots[dw].bytes = lmb_dnn_conv_weights_size(conv);
    plan->slots[dw].packed_by = conv;
    LMB_TRY(new_slot(plan, node->out[1], LMB_FORM_PLAIN, false, &db));
    use_out(step, dw);
    use_out(step, db);
    return finish_conv(plan, step, node);
}

/* --- gradients that leave the graph --------------------------------------- */

static int32_t packed_gradient(const lmb_plan *plan, lmb_value v)
{
    for (size_t i = 0; i < plan->n_slots; i++)
        if (plan->slots[i].value.id == v.id &&
            plan->slots[i].form == LMB_FORM_PACKED &&
            info(plan, v)->leaf == LMB_LEAF_NONE)
            return (int32_t)i;
    return -1;
}

/* A packed gradient that somebody needs plain is unpacked; straight into the
 * parameter's slot if that is all. */
static lmb_status unpack(
    lmb_plan *plan, lmb_value v, int32_t packed, const lmb_node *store)
{
    lmb_step *step = NULL;
    LMB_TRY(lmb_plan_add_step(plan, false, &step));
    step->kind = store != NULL ? LMB_STEP_UNPACK_GRAD : LMB_STEP_UNPACK;
    step->name = "unpack";
    step->node = store;
    use_in(step, packed);
    if (store == NULL) {
        int32_t plain = -1;
        LMB_TRY(new_slot(plan, v, LMB_FORM_PLAIN, false, &plain));
        use_out(step, plain);
    }
    return lmb_dnn_unpack_new(plan->slots[packed].packed_by, &step->reorder);
}

static lmb_status make_plain(lmb_plan *plan, lmb_value v)
{
    for (int f = 0; f < LMB_FORM_COUNT; f++)
        if (plan->forms[v.id][f] >= 0)
            return LMB_OK;
    const int32_t packed = packed_gradient(plan, v);
    return packed >= 0 ? unpack(plan, v, packed, NULL) : LMB_OK;
}

/* --- our kernels ---------------------------------------------------------- */

/* All real operands of one rank-4 shape, so that layout does not matter? */
static bool one_shape(const lmb_plan *plan, const lmb_node *node)
{
    const lmb_shape *y = &info(plan, node->out[0])->type.shape;
    if (!is_rank4(plan, node->out[0]))
        return false;
    for (int k = 0; k < node->n_in; k++)
        if (!is_rank4(plan, node->in[k]) ||
            !lmb_shape_equal(&info(plan, node->in[k])->type.shape, y))
            return false;
    return true;
}

/* In a form of the convolutions' way? */
static bool lies_spatial(const lmb_plan *plan, lmb_value v)
{
    const int32_t *forms = plan->forms[v.id];
    return forms[LMB_FORM_NHWC] >= 0 || forms[LMB_FORM_NHWC_BF16] >= 0 ||
        forms[LMB_FORM_BLOCKED] >= 0;
}

/* The precision rule: only these elementwise ops stay in bf16; they lie on
 * the path between convolutions. All others (losses) compute in f32. */
static bool keeps_bf16(const lmb_node *node)
{
    if (node->op == &lmb_op_binary)
        return ((const lmb_binary_attr *)node->attr)->kind == LMB_BINARY_ADD;
    return node->op == &lmb_op_relu || node->op == &lmb_op_relu_bwd ||
        (node->op == &lmb_op_unary &&
            ((const lmb_unary_attr *)node->attr)->kind == LMB_UNARY_RELU6);
}

/* Was a rank-4 operand computed in f32, and none in bf16? What a method has
 * computed is not rounded by the pooling or resizing that follows. */
static bool computed_in_f32(const lmb_plan *plan, const lmb_node *node)
{
    bool any = false;
    for (int k = 0; k < node->n_in; k++) {
        if (!is_rank4(plan, node->in[k]) ||
            info(plan, node->in[k])->leaf != LMB_LEAF_NONE)
            continue;
        if (plan->forms[node->in[k].id][LMB_FORM_NHWC_BF16] >= 0)
            return false;
        any = true;
    }
    return any;
}

/* The form of the rank-4 operands of a kernel's call. */
static lmb_form form_for(
    const lmb_plan *plan, const lmb_node *node, const lmb_kernel *kernel)
{
    if (kernel == NULL || kernel->rule == LMB_RULE_PLAIN)
        return LMB_FORM_PLAIN;
    const bool blocked = plan->blocked && fills_blocks(plan, node);
    if (kernel->rule != LMB_RULE_FLAT && blocked)
        return LMB_FORM_BLOCKED;
    if (kernel->rule != LMB_RULE_FLAT)
        return kernel->bf16 && !computed_in_f32(plan, node) ? spatial_form(plan)
                                                            : LMB_FORM_NHWC;
    if (!one_shape(plan, node))
        return LMB_FORM_PLAIN;
    bool any = false;
    for (int k = 0; k < node->n_in; k++)
        any = any || lies_spatial(plan, node->in[k]);
    if (!any)
        return LMB_FORM_PLAIN;
    if (blocked)
        return LMB_FORM_BLOCKED;
    return plan->opts.bf16 && kernel->bf16 && keeps_bf16(node)
        ? LMB_FORM_NHWC_BF16
        : LMB_FORM_NHWC;
}

static lmb_buf buffer(const lmb_plan *plan, lmb_value v, lmb_form form)
{
    const lmb_shape shape = info(plan, v)->type.shape;
    return (lmb_buf){
        .shape = shape,
        .dtype = dtype_of(plan, v, form),
        .block = lmb_form_block(form, shape.rank > 1 ? shape.dim[1] : 1),
    };
}

static lmb_form operand_form(const lmb_plan *plan, lmb_value v, lmb_form form)
{
    return is_rank4(plan, v) ? form : LMB_FORM_PLAIN;
}

/* Of the outputs, where the inputs lie in `form`. */
static lmb_form output_form(const lmb_kernel *kernel, lmb_form form)
{
    const bool plain =
        kernel != NULL && kernel->rule == LMB_RULE_SPATIAL_TO_PLAIN;
    return plain ? LMB_FORM_PLAIN : form;
}

static void fill_call(const lmb_plan *plan, const lmb_node *node,
    const lmb_kernel *kernel, lmb_form form, lmb_step *step)
{
    for (int k = 0; k < node->n_in; k++)
        if (lmb_is(node->in[k])) {
            step->in_buf[k] = buffer(
                plan, node->in[k], operand_form(plan, node->in[k], form));
            /* Tells scratch() and supports() that it is there. */
            step->in_buf[k].data = step;
        }
    for (int o = 0; o < node->n_out; o++)
        step->out_buf[o] = buffer(plan, node->out[o],
            operand_form(plan, node->out[o], output_form(kernel, form)));
    step->call = (lmb_call){
        .attr = node->attr,
        .n_in = node->n_in,
        .n_out = node->n_out,
        .in = step->in_buf,
        .out = step->out_buf,
    };
}

static lmb_status lower_call(lmb_plan *plan, const lmb_node *node,
    const lmb_kernel *kernel, lmb_form form)
{
    const bool is_static = plan->is_static[node->out[0].id];
    int32_t in[LMB_MAX_IN];
    for (int k = 0; k < node->n_in; k++) {
        in[k] = -1;
        if (!lmb_is(node->in[k]))
            continue;
        LMB_TRY(make_plain(plan, node->in[k]));
        LMB_TRY(slot_in(
            plan, node->in[k], operand_form(plan, node->in[k], form), &in[k]));
    }
    lmb_step *step = NULL;
    LMB_TRY(new_step(plan, node, &step));
    step->kind = kernel != NULL ? LMB_STEP_KERNEL : LMB_STEP_FALLBACK;
    step->kernel = kernel;
    fill_call(plan, node, kernel, form, step);
    for (int k = 0; k < node->n_in; k++)
        use_in(step, in[k]);
    for (int o = 0; o < node->n_out; o++) {
        int32_t out = -1;
        LMB_TRY(new_slot(plan, node->out[o],
            operand_form(plan, node->out[o], output_form(kernel, form)),
            is_static, &out));
        use_out(step, out);
    }
    if (kernel != NULL && kernel->scratch != NULL)
        LMB_TRY(
            add_scratch(plan, step, is_static, kernel->scratch(&step->call)));
    return LMB_OK;
}

/* The reference works in the plan's memory, so that a run allocates nothing. */
static lmb_status lower_to_reference(
    lmb_plan *plan, const lmb_node *node, lmb_step_kind kind)
{
    const bool is_static = plan->is_static[node->out[0].id];
    LMB_TRY(lower_call(plan, node, NULL, LMB_FORM_PLAIN));
    const lmb_steps *list = is_static ? &plan->static_steps : &plan->steps;
    lmb_step *step = list->items[list->count - 1];
    step->kind = kind;
    return add_scratch(plan, step, is_static,
        lmb_call_reference_scratch(node->op, &step->call));
}

/* Notes an op that has no fast kernel for this call, or refuses it. */
static lmb_status fall_back(
    lmb_plan *plan, const lmb_node *node, const char *reason)
{
    if (!plan->opts.allow_reference)
        return LMB_FAIL(LMB_EUNSUPPORTED,
            "%s in %s has no fast kernel (%s); --allow-reference runs it on "
            "the slow reference",
            node->op->name, node->scope, reason);
    if (plan->fallbacks.text == NULL ||
        strstr(plan->fallbacks.text, node->op->name) == NULL)
        lmb_str_printf(&plan->fallbacks, "%s%s",
            plan->fallbacks.length > 0 ? ", " : "", node->op->name);
    return lower_to_reference(plan, node, LMB_STEP_FALLBACK);
}

/* Why the kernel does not take the call in this form; NULL: it does. */
static const char *refusal(const lmb_plan *plan, const lmb_node *node,
    const lmb_kernel *kernel, lmb_form form)
{
    lmb_step trial = {0};
    fill_call(plan, node, kernel, form, &trial);
    return kernel->supports != NULL ? kernel->supports(&trial.call) : NULL;
}

/* Kernels may refuse a call; then other layouts are tried, then the
 * reference. */
static lmb_status lower_kernel(lmb_plan *plan, const lmb_node *node)
{
    const lmb_kernel *kernel = lmb_cpu_kernel_find(node->op);
    if (kernel == NULL)
        return fall_back(plan, node, "none is written");
    const lmb_form form = form_for(plan, node, kernel);
    const char *reason = refusal(plan, node, kernel, form);
    if (reason == NULL)
        return lower_call(plan, node, kernel, form);
    if (form == LMB_FORM_BLOCKED &&
        refusal(plan, node, kernel, LMB_FORM_NHWC) == NULL)
        return lower_call(plan, node, kernel, LMB_FORM_NHWC);
    if (refusal(plan, node, kernel, LMB_FORM_PLAIN) == NULL)
        return lower_call(plan, node, kernel, LMB_FORM_PLAIN);
    return fall_back(plan, node, reason);
}

/* --- special cases -------------------------------------------------------- */

/* The weights' gradient of a depthwise convolution for which oneDNN has none
 * of its depthwise kernels ("jit_dw.."), only a slow one for groups? */
static bool is_slow_depthwise(
    const lmb_dnn_conv_spec *spec, const lmb_dnn_conv *conv)
{
    return spec->attr.groups > 1 && spec->attr.groups == spec->x[1] &&
        spec->attr.groups == spec->y[1] &&
        strncmp(lmb_dnn_conv_impl(conv), "jit_dw", 6) != 0;
}

static lmb_status lower_depthwise_weights(lmb_plan *plan, const lmb_node *node,
    const lmb_kernel *kernel, const lmb_dnn_conv_spec *spec)
{
    LMB_TRY(lower_call(plan, node, kernel, spatial_form(plan)));
    lmb_step *step = plan->steps.items[plan->steps.count - 1];
    step->spec = *spec;
    count_macs(plan, spec);
    return LMB_OK;
}

/* A node of one of the three convolutions, as oneDNN is to see it. */
static lmb_dnn_conv_spec spec_of(
    const lmb_plan *plan, const lmb_node *node, conv_forms *forms)
{
    const lmb_shape a = info(plan, node->in[0])->type.shape;
    const lmb_shape b = info(plan, node->in[1])->type.shape;
    const lmb_shape y = info(plan, node->out[0])->type.shape;
    if (node->op == &lmb_op_conv2d) {
        const lmb_conv_attr *attr = node->attr;
        lmb_dnn_conv_spec spec = conv_spec(
            plan, LMB_DNN_FORWARD_INFER, &a, &y, attr, b.dim[2], b.dim[3]);
        spec.relu = attr->relu;
        spec.bias = lmb_is(input(node, 2));
        *forms = best_conv_forms(plan, &a, &y, attr);
        return spec;
    }
    const lmb_conv_bwd_attr *attr = node->attr;
    if (node->op == &lmb_op_conv2d_bwd_data) {
        *forms = best_conv_forms(plan, &y, &a, &attr->conv);
        return conv_spec(plan, LMB_DNN_BACKWARD_DATA, &y, &a, &attr->conv,
            b.dim[2], b.dim[3]);
    }
    lmb_dnn_conv_spec spec = conv_spec(plan, LMB_DNN_BACKWARD_WEIGHTS, &a, &b,
        &attr->conv, attr->spatial[0], attr->spatial[1]);
    spec.bias = attr->with_bias;
    *forms = best_conv_forms(plan, &a, &b, &attr->conv);
    return spec;
}

static lmb_status conv_in_forms(lmb_plan *plan, const lmb_node *node,
    conv_forms forms, lmb_dnn_conv_spec *spec, lmb_dnn_conv **out)
{
    spec->block_x = dnn_block(forms.x);
    spec->block_y = dnn_block(forms.y);
    if (node->op == &lmb_op_conv2d) {
        /* In place oneDNN's faster kernels serve; beside it they do not. */
        spec->in_place = lmb_is(input(node, 3)) &&
            node->in[3].id != node->in[0].id && /* x + conv(x) */
            may_overwrite(plan, node->in[3], forms.y, node);
        spec->residual = lmb_is(input(node, 3)) && !spec->in_place;
    }
    return new_conv(plan, spec, out);
}

/* Gives LMB_EUNSUPPORTED where oneDNN has no such convolution. */
static lmb_status lower_any_conv(lmb_plan *plan, const lmb_node *node)
{
    conv_forms forms;
    lmb_dnn_conv *conv = NULL;
    lmb_dnn_conv_spec spec = spec_of(plan, node, &forms);
    lmb_status st = conv_in_forms(plan, node, forms, &spec, &conv);
    const bool slow = st == LMB_EUNSUPPORTED ||
        (st == LMB_OK && strncmp(lmb_dnn_conv_impl(conv), "ref", 3) == 0);
    if (slow && forms.y == LMB_FORM_BLOCKED) {
        forms = channels_last_forms(plan);
        st = conv_in_forms(plan, node, forms, &spec, &conv);
    }
    LMB_TRY(st);
    if (node->op != &lmb_op_conv2d_bwd_weights)
        return lower_conv(plan, node, conv, &spec, forms);
    const lmb_kernel *own = lmb_cpu_kernel_find(node->op);
    if (is_slow_depthwise(&spec, conv) &&
        refusal(plan, node, own, spatial_form(plan)) == NULL)
        return lower_depthwise_weights(plan, node, own, &spec);
    return lower_conv_weights(plan, node, conv, &spec, forms);
}

static lmb_status lower_matmul(lmb_plan *plan, const lmb_node *node)
{
    LMB_TRY(lower_call(plan, node, NULL, LMB_FORM_PLAIN));
    const bool is_static = plan->is_static[node->out[0].id];
    lmb_steps *list = is_static ? &plan->static_steps : &plan->steps;
    lmb_step *step = list->items[list->count - 1];
    step->kind = LMB_STEP_MATMUL;
    const lmb_matmul_attr *attr = node->attr;
    const lmb_shape *a = &step->in_buf[0].shape;
    const int64_t k = a->dim[a->rank - (attr->ta ? 2 : 1)];
    plan->macs += k * lmb_shape_count(&step->out_buf[0].shape);
    return LMB_OK;
}

/* The same memory under another shape or name. */
static lmb_status lower_alias(lmb_plan *plan, const lmb_node *node)
{
    int32_t slot = -1;
    LMB_TRY(make_plain(plan, node->in[0]));
    if (node->op == &lmb_op_stop_gradient && lies_spatial(plan, node->in[0])) {
        memcpy(plan->forms[node->out[0].id], plan->forms[node->in[0].id],
            sizeof *plan->forms);
        return LMB_OK;
    }
    LMB_TRY(slot_in(plan, node->in[0], LMB_FORM_PLAIN, &slot));
    plan->forms[node->out[0].id][LMB_FORM_PLAIN] = slot;
    return LMB_OK;
}

static lmb_status lower_store_grad(lmb_plan *plan, const lmb_node *node)
{
    bool plain = false;
    for (int f = 0; f < LMB_FORM_COUNT; f++)
        plain = plain || plan->forms[node->in[0].id][f] >= 0;
    const int32_t packed = packed_gradient(plan, node->in[0]);
    if (!plain && packed >= 0)
        return unpack(plan, node->in[0], packed, node);
    return lower_call(
        plan, node, lmb_cpu_kernel_find(node->op), LMB_FORM_PLAIN);
}

static lmb_status lower_node(lmb_plan *plan, const lmb_node *node)
{
    const lmb_op *op = node->op;
    if (op->host)
        return lower_to_reference(plan, node, LMB_STEP_HOST);
    if (op == &lmb_op_reshape || op == &lmb_op_stop_gradient)
        return lower_alias(plan, node);
    if (op == &lmb_op_store_grad)
        return lower_store_grad(plan, node);
    if (op == &lmb_op_matmul)
        return lower_matmul(plan, node);
    if (op == &lmb_op_conv2d || op == &lmb_op_conv2d_bwd_data ||
        op == &lmb_op_conv2d_bwd_weights) {
        const lmb_status st = lower_any_conv(plan, node);
        if (st != LMB_EUNSUPPORTED)
            return st;
        char reason[256];
        (void)snprintf(reason, sizeof reason, "%s", lmb_last_error());
        return fall_back(plan, node, reason);
    }
    return lower_kernel(plan, node);
}

/* The last node that reads each value. What an alias shares, and outputs,
 * count as read for ever. */
static void find_last_uses(lmb_plan *plan, const bool *live)
{
    for (size_t i = 0; i < plan->g->n_nodes; i++) {
        const lmb_node *node = &plan->g->nodes[i];
        const bool alias =
            node->op == &lmb_op_reshape || node->op == &lmb_op_stop_gradient;
        for (int k = 0; live[i] && k < node->n_in; k++) {
            int32_t *last = &plan->last_use[node->in[k].id];
            if (*last != INT32_MAX)
                *last = alias ? INT32_MAX : (int32_t)i;
        }
        if (alias)
            plan->last_use[node->out[0].id] = INT32_MAX;
    }
    for (int k = 0; k < plan->n_outputs; k++)
        plan->last_use[plan->outputs[k].id] = INT32_MAX;
}

/* Do blocks of channels make this plan faster? Kernels of 3x3 and more gain by
 * them, those of one position (MobileNets, ShuffleNets) lose as much. */
static bool gains_by_blocks(const lmb_plan *plan, const bool *live)
{
    int64_t large = 0, all = 0;
    if (!lmb_dnn_fast_blocks())
        return false;
    for (size_t i = 0; i < plan->g->n_nodes; i++) {
        const lmb_node *node = &plan->g->nodes[i];
        if (!live[i] || node->op != &lmb_op_conv2d)
            continue;
        const lmb_conv_attr *attr = node->attr;
        const lmb_shape w = info(plan, node->in[1])->type.shape;
        const lmb_shape y = info(plan, node->out[0])->type.shape;
        const int64_t macs =
            lmb_shape_count(&y) * w.dim[1] * w.dim[2] * w.dim[3];
        all += macs;
        if (attr->groups == 1 && w.dim[2] * w.dim[3] > 1)
            large += macs;
    }
    return 2 * large > all;
}

static bool choose_blocks(const lmb_plan *plan, const bool *live)
{
    switch (plan->opts.bf16 ? LMB_LAYOUT_NHWC : plan->opts.layout) {
    case LMB_LAYOUT_NHWC:
        return false;
    case LMB_LAYOUT_BLOCKED:
        return true;
    case LMB_LAYOUT_AUTO:
        break;
    }
    return gains_by_blocks(plan, live);
}

lmb_status lmb_plan_lower_fast(lmb_plan *plan)
{
    bool *live = NULL;
    LMB_TRY(LMB_NEW(live, plan->g->n_nodes + 1));
    lmb_status st = LMB_OK;
    LMB_GOTO(lmb_plan_live(plan, live), st, done);
    plan->blocked = choose_blocks(plan, live);
    find_last_uses(plan, live);
    for (size_t i = 0; i < plan->g->n_nodes; i++)
        if (live[i])
            LMB_GOTO(lower_node(plan, &plan->g->nodes[i]), st, done);
    for (int k = 0; k < plan->n_outputs; k++) {
        LMB_GOTO(make_plain(plan, plan->outputs[k]), st, done);
        LMB_GOTO(slot_in(plan, plan->outputs[k], LMB_FORM_PLAIN,
                     &plan->output_slots[k]),
            st, done);
    }
done:
    lmb_free(live);
    return st;
}
