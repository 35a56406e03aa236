/* plan.c: making, binding and reading plans. */
#include "plan/plan.h"

#include "plan/plan_impl.h"

#include <string.h>

/* --- workspace */

lmb_status lmb_workspace_new(lmb_workspace **out)
{
    return LMB_NEW(*out, 1);
}

void lmb_workspace_free(lmb_workspace *w)
{
    if (w == NULL)
        return;
    lmb_free(w->data);
    lmb_free(w);
}

int64_t lmb_workspace_size(const lmb_workspace *w)
{
    return (int64_t)w->size;
}

static lmb_status workspace_reserve(lmb_workspace *w, size_t size)
{
    if (size <= w->size && w->data != NULL)
        return LMB_OK;
    void *data = lmb_alloc(size, 1);
    if (data == NULL)
        return LMB_FAIL(
            LMB_ENOMEM, "out of memory: %zu bytes of activations", size);
    lmb_free(w->data);
    w->data = data;
    w->size = size;
    return LMB_OK;
}

/* --- what is needed, what never changes */

lmb_status lmb_plan_live(const lmb_plan *plan, bool *live)
{
    const lmb_graph *g = plan->g;
    bool *needed = NULL;
    LMB_TRY(LMB_NEW(needed, g->n_values));
    for (int k = 0; k < plan->n_outputs; k++)
        needed[plan->outputs[k].id] = true;
    for (size_t i = g->n_nodes; i-- > 0;) {
        const lmb_node *node = &g->nodes[i];
        live[i] = node->op->side_effect;
        for (int o = 0; o < node->n_out; o++)
            live[i] = live[i] || needed[node->out[o].id];
        live[i] = live[i] && !node->removed;
        for (int k = 0; live[i] && k < node->n_in; k++)
            needed[node->in[k].id] = true;
    }
    lmb_free(needed);
    return LMB_OK;
}

static int store_index(lmb_plan *plan, const lmb_params *store)
{
    for (int i = 0; i < plan->n_stores; i++)
        if (plan->stores[i] == store)
            return i;
    LMB_ASSERT(plan->n_stores < (int)LMB_COUNT(plan->stores));
    plan->stores[plan->n_stores] = store;
    plan->store_static[plan->n_stores] = true;
    return plan->n_stores++;
}

/* A store that this plan's side effects write to changes at each run. */
static void find_changing_stores(lmb_plan *plan)
{
    const lmb_graph *g = plan->g;
    for (size_t v = 1; v < g->n_values; v++)
        if (g->values[v].leaf == LMB_LEAF_PARAM)
            (void)store_index(plan, g->values[v].param->owner);
    for (size_t i = 0; i < g->n_nodes; i++) {
        const lmb_node *node = &g->nodes[i];
        const lmb_param *p = NULL;
        if (node->op == &lmb_op_store_grad)
            p = ((const lmb_store_grad_attr *)node->attr)->param;
        else if (node->op == &lmb_op_batch_norm_update)
            p = ((const lmb_batch_norm_update_attr *)node->attr)->running_mean;
        if (p != NULL && !node->removed)
            plan->store_static[store_index(plan, p->owner)] = false;
    }
}

static void mark_static(lmb_plan *plan)
{
    const lmb_graph *g = plan->g;
    plan->is_static[0] = true;
    for (size_t v = 1; v < g->n_values; v++) {
        const lmb_value_info *info = &g->values[v];
        plan->is_static[v] = info->leaf == LMB_LEAF_CONSTANT ||
            (info->leaf == LMB_LEAF_PARAM &&
                plan->store_static[store_index(plan, info->param->owner)]);
    }
    for (size_t i = 0; i < g->n_nodes; i++) {
        const lmb_node *node = &g->nodes[i];
        bool all = !node->op->side_effect;
        for (int k = 0; k < node->n_in; k++)
            all = all && plan->is_static[node->in[k].id];
        for (int o = 0; o < node->n_out; o++)
            plan->is_static[node->out[o].id] = all;
    }
}

/* --- slots and steps */

int32_t lmb_plan_add_slot(lmb_plan *plan, const lmb_slot *slot, lmb_status *st)
{
    *st = LMB_GROW(plan->slots, plan->n_slots, plan->slots_capacity);
    if (*st != LMB_OK)
        return -1;
    plan->slots[plan->n_slots] = *slot;
    return (int32_t)plan->n_slots++;
}

lmb_status lmb_plan_add_step(lmb_plan *plan, bool is_static, lmb_step **out)
{
    lmb_steps *list = is_static ? &plan->static_steps : &plan->steps;
    LMB_TRY(LMB_GROW(list->items, list->count, list->capacity));
    LMB_TRY(LMB_NEW(*out, 1));
    (*out)->scratch = -1;
    list->items[list->count++] = *out;
    return LMB_OK;
}

static void free_steps(lmb_steps *list)
{
    for (size_t i = 0; i < list->count; i++) {
        lmb_dnn_reorder_free(list->items[i]->reorder);
        lmb_free(list->items[i]);
    }
    lmb_free(list->items);
}

void lmb_plan_free(lmb_plan *plan)
{
    if (plan == NULL)
        return;
    free_steps(&plan->steps);
    free_steps(&plan->static_steps);
    for (size_t i = 0; i < plan->n_convs; i++)
        lmb_dnn_conv_free(plan->convs[i]);
    lmb_free(plan->convs);
    lmb_free(plan->slots);
    lmb_free(plan->forms);
    lmb_free(plan->is_static);
    lmb_free(plan->last_use);
    lmb_free(plan->static_memory);
    lmb_free(plan->outputs);
    lmb_free(plan->output_slots);
    lmb_workspace_free(plan->own_workspace);
    lmb_arena_free(plan->memory);
    lmb_str_fini(&plan->fallbacks);
    lmb_free(plan);
}

/* --- compiling */

static lmb_status allocate(
    lmb_plan *plan, int n_outputs, const lmb_value *outputs)
{
    LMB_TRY(lmb_arena_new(&plan->memory));
    LMB_TRY(LMB_NEW(plan->forms, plan->g->n_values));
    LMB_TRY(LMB_NEW(plan->is_static, plan->g->n_values));
    LMB_TRY(LMB_NEW(plan->last_use, plan->g->n_values));
    LMB_TRY(LMB_NEW(plan->outputs, n_outputs + 1));
    LMB_TRY(LMB_NEW(plan->output_slots, n_outputs + 1));
    for (size_t v = 0; v < plan->g->n_values; v++)
        for (int f = 0; f < LMB_FORM_COUNT; f++)
            plan->forms[v][f] = -1;
    plan->n_outputs = n_outputs;
    for (int k = 0; k < n_outputs; k++) {
        if (!lmb_is(outputs[k]))
            return LMB_FAIL(LMB_EINVAL, "plan: output %d is no value", k);
        plan->outputs[k] = outputs[k];
    }
    plan->workspace = plan->opts.workspace;
    if (plan->workspace == NULL) {
        LMB_TRY(lmb_workspace_new(&plan->own_workspace));
        plan->workspace = plan->own_workspace;
    }
    return LMB_OK;
}

static lmb_status compile(
    lmb_plan *plan, int n_outputs, const lmb_value *outputs)
{
    LMB_TRY(lmb_graph_status(plan->g));
    LMB_TRY(allocate(plan, n_outputs, outputs));
    find_changing_stores(plan);
    for (int i = 0; i < plan->n_stores; i++)
        LMB_TRY(lmb_params_seal((lmb_params *)(uintptr_t)plan->stores[i]));
    if (plan->opts.reference) {
        LMB_TRY(lmb_plan_lower_reference(plan));
    } else {
        mark_static(plan);
        LMB_TRY(lmb_plan_lower_fast(plan));
    }
    LMB_TRY(lmb_str_status(&plan->fallbacks));
    LMB_TRY(lmb_plan_place(plan));
    LMB_TRY(workspace_reserve(plan->workspace, plan->arena_size + 64));
    plan->static_memory = lmb_alloc(plan->static_size + 64, 1);
    if (plan->static_memory == NULL)
        return LMB_FAIL(LMB_ENOMEM, "out of memory: %zu bytes of weights",
            plan->static_size);
    return LMB_OK;
}

lmb_status lmb_plan_compile(lmb_graph *g, int n_outputs,
    const lmb_value *outputs, const lmb_plan_opts *opts, lmb_plan **out)
{
    lmb_plan *plan = NULL;
    LMB_TRY(LMB_NEW(plan, 1));
    plan->g = g;
    plan->opts = *opts;
    if (!lmb_dnn_available())
        plan->opts.allow_reference = true;
    const lmb_status st = compile(plan, n_outputs, outputs);
    if (st != LMB_OK) {
        lmb_plan_free(plan);
        return st;
    }
    *out = plan;
    return LMB_OK;
}

/* --- binding and reading */

lmb_status lmb_plan_set(
    lmb_plan *plan, lmb_value input, lmb_dtype dtype, const void *data)
{
    const lmb_value_info *info = &plan->g->values[input.id];
    const bool index = info->type.dtype == LMB_I32;
    const bool good = index
        ? dtype == LMB_I32
        : dtype == LMB_F32 || (dtype == LMB_F64 && plan->opts.reference);
    if (info->leaf != LMB_LEAF_INPUT || !good)
        return LMB_FAIL(LMB_EINVAL, "input %s: %s data for %s%s",
            info->name != NULL ? info->name : "?", lmb_dtype_name(dtype),
            lmb_dtype_name(info->type.dtype),
            info->leaf != LMB_LEAF_INPUT ? ", and it is no input" : "");
    for (size_t i = 0; i < plan->n_slots; i++) {
        lmb_slot *slot = &plan->slots[i];
        if (slot->place != LMB_PLACE_INPUT || slot->value.id != input.id)
            continue;
        slot->input_dtype = dtype;
        slot->input_data = data;
        if (!plan->opts.reference)
            slot->data = (void *)(uintptr_t)data;
    }
    return LMB_OK;
}

static int32_t output_slot(const lmb_plan *plan, lmb_value v)
{
    for (int k = 0; k < plan->n_outputs; k++)
        if (plan->outputs[k].id == v.id)
            return plan->output_slots[k];
    return -1;
}

lmb_status lmb_plan_read(
    const lmb_plan *plan, lmb_value output, lmb_dtype dtype, void *data)
{
    const int32_t slot = output_slot(plan, output);
    if (slot < 0)
        return LMB_FAIL(LMB_EINVAL, "plan: value %d is no output", output.id);
    const lmb_type type = plan->g->values[output.id].type;
    lmb_dtype from_dtype = type.dtype;
    if (plan->opts.reference)
        from_dtype = LMB_F64;
    lmb_tensor from = {
        .dtype = from_dtype,
        .shape = type.shape,
        .data = lmb_plan_slot_data(plan, slot),
    };
    lmb_tensor to = {.dtype = dtype, .shape = type.shape, .data = data};
    const int64_t count = lmb_shape_count(&type.shape);
    if (from_dtype == dtype) {
        memcpy(data, from.data, (size_t)count * lmb_dtype_size(dtype));
        return LMB_OK;
    }
    for (int64_t i = 0; i < count; i++)
        lmb_tensor_set(&to, i, lmb_tensor_get(&from, i));
    return LMB_OK;
}

const void *lmb_plan_view(const lmb_plan *plan, lmb_value output)
{
    return lmb_plan_slot_data(plan, output_slot(plan, output));
}

double lmb_plan_scalar(const lmb_plan *plan, lmb_value output)
{
    const int32_t slot = output_slot(plan, output);
    LMB_ASSERT(slot >= 0);
    const void *data = lmb_plan_slot_data(plan, slot);
    return plan->opts.reference ? *(const double *)data
                                : (double)*(const float *)data;
}

lmb_plan_stats lmb_plan_describe(const lmb_plan *plan)
{
    lmb_plan_stats s = {
        .steps = (int)plan->steps.count,
        .static_steps = (int)plan->static_steps.count,
        .arena_bytes = (int64_t)plan->arena_size,
        .static_bytes = (int64_t)plan->static_size,
        .conv_macs = plan->macs,
    };
    for (size_t i = 0; i < plan->steps.count; i++) {
        const lmb_step *step = plan->steps.items[i];
        s.reference_steps += step->kind == LMB_STEP_FALLBACK &&
            step->node->op != &lmb_op_store_grad;
    }
    return s;
}

const char *lmb_plan_fallbacks(const lmb_plan *plan)
{
    return plan->fallbacks.text != NULL ? plan->fallbacks.text : "";
}
