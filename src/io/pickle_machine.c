/* pickle_machine.c: the unpickler's stack and its memory.
 *
 * All values live in one arena. What they may take together is bounded by the
 * size of the input, so that a short pickle that copies itself again and again
 * ends with an error and not with the memory. */
#include "io/pickle_machine.h"

#include <string.h>

/* Values may take this much, and four times the input on top. */
static const size_t memory_floor = (size_t)256 << 20;

lmb_status lmb__pk_bad(const lmb_pk_machine *m, const char *rule)
{
    return LMB_FAIL(LMB_EFORMAT, "%s: pickle, byte %zu, opcode 0x%02x: %s",
        m->name, m->at - 1, m->opcode, rule);
}

/* Arena memory within the budget. */
lmb_status lmb__pk_take(lmb_pk_machine *m, size_t size, void *block)
{
    const size_t limit =
        memory_floor + 4 * (m->size < memory_floor ? m->size : memory_floor);
    if (size > limit || m->out->memory_ > limit - size)
        return LMB_FAIL(LMB_EFORMAT,
            "%s: pickle needs more than the %zu bytes of memory allowed",
            m->name, limit);
    m->out->memory_ += size;
    void *bytes = lmb_arena_alloc(m->out->arena_, size);
    if (bytes == NULL)
        return LMB_FAIL(LMB_ENOMEM, "out of memory: pickle");
    memcpy(block, &bytes, sizeof bytes);
    return LMB_OK;
}

lmb_status lmb__pk_push(lmb_pk_machine *m, lmb_pk *value)
{
    LMB_TRY(LMB_GROW(m->stack, m->count, m->capacity));
    m->stack[m->count++] = value;
    return LMB_OK;
}

lmb_status lmb__pk_push_new(lmb_pk_machine *m, lmb_pk_kind kind, lmb_pk **out)
{
    lmb_pk *value = NULL;
    LMB_TRY(lmb__pk_take(m, sizeof *value, &value));
    value->kind = kind;
    *out = value;
    return lmb__pk_push(m, value);
}

/* Values above the last mark belong to it. */
size_t lmb__pk_floor(const lmb_pk_machine *m)
{
    return m->mark_count > 0 ? m->marks[m->mark_count - 1] : 0;
}

lmb_status lmb__pk_need(const lmb_pk_machine *m, size_t count)
{
    if (m->count - lmb__pk_floor(m) < count)
        return lmb__pk_bad(m, "the stack holds too few values");
    return LMB_OK;
}

lmb_status lmb__pk_pop(lmb_pk_machine *m, lmb_pk **out)
{
    LMB_TRY(lmb__pk_need(m, 1));
    *out = m->stack[--m->count];
    return LMB_OK;
}

static lmb_status list_reserve(
    lmb_pk_machine *m, lmb_pk_list *list, size_t more)
{
    if (more <= list->capacity - list->count)
        return LMB_OK;
    size_t want = list->count + more;
    if (list->capacity > 0 && want < list->capacity * 2)
        want = list->capacity * 2;
    lmb_pk **items = NULL;
    LMB_TRY(lmb__pk_take(m, want * sizeof *items, &items));
    if (list->count > 0)
        memcpy(items, list->items, list->count * sizeof *items);
    list->items = items;
    list->capacity = want;
    return LMB_OK;
}

lmb_status lmb__pk_list_add(
    lmb_pk_machine *m, lmb_pk *container, lmb_pk **items, size_t count)
{
    lmb_pk_list *list = &container->u.list;
    LMB_TRY(list_reserve(m, list, count));
    for (size_t i = 0; i < count; i++)
        container->opaque = container->opaque || items[i]->opaque;
    if (count > 0)
        memcpy(list->items + list->count, items, count * sizeof *items);
    list->count += count;
    return LMB_OK;
}
