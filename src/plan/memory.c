/* memory.c: where slots lie.
 *
 * Slots of the arena live from the first step that writes them to the last
 * that reads them; the largest are placed first, each at the lowest offset
 * where nothing that lives at the same time lies. */
#include "plan/plan_impl.h"

#include <stdlib.h>

enum { ALIGN = 64 };

static void touch(lmb_plan *plan, int32_t slot, int32_t step)
{
    if (slot < 0)
        return;
    lmb_slot *s = &plan->slots[slot];
    if (s->first < 0)
        s->first = step;
    s->last = step;
}

static void find_lifetimes(lmb_plan *plan)
{
    for (size_t i = 0; i < plan->steps.count; i++) {
        const lmb_step *step = plan->steps.items[i];
        for (int k = 0; k < step->n_in; k++)
            touch(plan, step->in[k], (int32_t)i);
        for (int o = 0; o < step->n_out; o++)
            touch(plan, step->out[o], (int32_t)i);
        touch(plan, step->scratch, (int32_t)i);
    }
    for (int k = 0; k < plan->n_outputs; k++)
        touch(plan, plan->output_slots[k], INT32_MAX);
}

typedef struct order {
    size_t bytes;
    int32_t slot;
} order;

static int by_size(const void *a, const void *b)
{
    const order *x = a;
    const order *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return x->slot < y->slot ? -1 : 1;
}

static bool overlap_in_time(const lmb_slot *a, const lmb_slot *b)
{
    return a->first <= b->last && b->first <= a->last;
}

static size_t padded(size_t bytes)
{
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

/* The placed ones are kept sorted by offset in `placed`. */
static size_t lowest_gap(
    const lmb_plan *plan, const int32_t *placed, size_t n, const lmb_slot *slot)
{
    size_t offset = 0;
    for (size_t i = 0; i < n; i++) {
        const lmb_slot *other = &plan->slots[placed[i]];
        if (!overlap_in_time(slot, other))
            continue;
        if (other->offset >= offset + padded(slot->bytes))
            break;
        if (other->offset + padded(other->bytes) > offset)
            offset = other->offset + padded(other->bytes);
    }
    return offset;
}

static void insert_sorted(
    const lmb_plan *plan, int32_t *placed, size_t n, int32_t slot)
{
    size_t i = n;
    while (
        i > 0 && plan->slots[placed[i - 1]].offset > plan->slots[slot].offset) {
        placed[i] = placed[i - 1];
        i--;
    }
    placed[i] = slot;
}

lmb_status lmb_plan_place(lmb_plan *plan)
{
    find_lifetimes(plan);
    order *orders = NULL;
    int32_t *placed = NULL;
    lmb_status st = LMB_OK;
    LMB_GOTO(LMB_NEW(orders, plan->n_slots + 1), st, done);
    LMB_GOTO(LMB_NEW(placed, plan->n_slots + 1), st, done);
    size_t n = 0;
    for (size_t i = 0; i < plan->n_slots; i++) {
        lmb_slot *slot = &plan->slots[i];
        if (slot->place == LMB_PLACE_STATIC) {
            slot->offset = plan->static_size;
            plan->static_size += padded(slot->bytes);
        } else if (slot->place == LMB_PLACE_ARENA) {
            orders[n++] = (order){slot->bytes, (int32_t)i};
        }
    }
    qsort(orders, n, sizeof *orders, by_size);
    for (size_t i = 0; i < n; i++) {
        lmb_slot *slot = &plan->slots[orders[i].slot];
        slot->offset = lowest_gap(plan, placed, i, slot);
        insert_sorted(plan, placed, i, orders[i].slot);
        if (slot->offset + padded(slot->bytes) > plan->arena_size)
            plan->arena_size = slot->offset + padded(slot->bytes);
    }
done:
    lmb_free(orders);
    lmb_free(placed);
    return st;
}
