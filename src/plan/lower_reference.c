/* lower_reference.c: nodes to steps on the reference: all values are dense
 * doubles, each node is one call of its op's reference kernel. */
#include "plan/plan_impl.h"

/* The elements of a leaf as doubles that live as long as the plan; an f64
 * parameter is used where it lies. */
static lmb_status leaf_data(
    lmb_plan *plan, const lmb_value_info *v, lmb_slot *slot)
{
    slot->place = v->leaf == LMB_LEAF_INPUT ? LMB_PLACE_INPUT : LMB_PLACE_FIXED;
    if (v->leaf == LMB_LEAF_PARAM &&
        lmb_params_dtype(v->param->owner) == LMB_F64) {
        slot->data = lmb_param_data(v->param);
        return LMB_OK;
    }
    double *data = lmb_arena_alloc(plan->memory, slot->bytes + 8);
    if (data == NULL)
        return LMB_FAIL(LMB_ENOMEM, "out of memory: plan");
    for (size_t i = 0; v->leaf == LMB_LEAF_CONSTANT && i < slot->bytes / 8; i++)
        data[i] = v->constant != NULL ? v->constant[i] : v->fill;
    slot->data = data;
    return LMB_OK;
}

static lmb_status slot_of(lmb_plan *plan, lmb_value v, int32_t *out)
{
    *out = -1;
    if (!lmb_is(v))
        return LMB_OK;
    int32_t *known = &plan->forms[v.id][LMB_FORM_PLAIN];
    if (*known < 0) {
        const lmb_value_info *info = &plan->g->values[v.id];
        lmb_slot slot = {
            .value = v,
            .form = LMB_FORM_REF,
            .place = LMB_PLACE_ARENA,
            .bytes = (size_t)lmb_shape_count(&info->type.shape) * 8,
            .first = -1,
            .last = -1,
        };
        if (info->leaf != LMB_LEAF_NONE)
            LMB_TRY(leaf_data(plan, info, &slot));
        lmb_status st = LMB_OK;
        *known = lmb_plan_add_slot(plan, &slot, &st);
        LMB_TRY(st);
    }
    *out = *known;
    return LMB_OK;
}

static lmb_status lower_node(lmb_plan *plan, const lmb_node *node)
{
    lmb_step *step = NULL;
    LMB_TRY(lmb_plan_add_step(plan, false, &step));
    step->kind = LMB_STEP_REFERENCE;
    step->node = node;
    step->name = node->op->name;
    step->n_in = node->n_in;
    step->n_out = node->n_out;
    for (int k = 0; k < node->n_in; k++)
        LMB_TRY(slot_of(plan, node->in[k], &step->in[k]));
    for (int o = 0; o < node->n_out; o++)
        LMB_TRY(slot_of(plan, node->out[o], &step->out[o]));
    return LMB_OK;
}

lmb_status lmb_plan_lower_reference(lmb_plan *plan)
{
    bool *live = NULL;
    LMB_TRY(LMB_NEW(live, plan->g->n_nodes + 1));
    lmb_status st = LMB_OK;
    LMB_GOTO(lmb_plan_live(plan, live), st, done);
    for (size_t i = 0; i < plan->g->n_nodes; i++)
        if (live[i])
            LMB_GOTO(lower_node(plan, &plan->g->nodes[i]), st, done);
    for (int k = 0; k < plan->n_outputs; k++)
        LMB_GOTO(
            slot_of(plan, plan->outputs[k], &plan->output_slots[k]), st, done);
done:
    lmb_free(live);
    return st;
}
