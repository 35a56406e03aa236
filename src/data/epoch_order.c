/* epoch_order.c: samples wait in groups until they are a batch. */
#include "data/epoch_order.h"
#include "base/rng.h"

#include <string.h>

enum { MAX_GROUPS = 256 };

static int32_t group_of(const lmb_epoch_order *o, int64_t i)
{
    return o->group != NULL ? o->group[i] : 0;
}

static int64_t count_steps(const lmb_epoch_order *o)
{
    int64_t size[MAX_GROUPS] = {0};
    int64_t steps = 0;
    for (int64_t i = 0; i < o->n; i++)
        size[group_of(o, i)]++;
    for (int32_t g = 0; g < o->groups; g++) {
        steps += size[g] / o->batch;
        steps += !o->drop_last && size[g] % o->batch > 0;
    }
    return steps;
}

lmb_status lmb__epoch_order_init(lmb_epoch_order *o)
{
    int64_t room = 0;
    LMB_ASSERT(o->groups >= 1 && o->groups <= MAX_GROUPS);
    o->epoch = -1;
    o->steps = count_steps(o);
    /* A batch may be asked for that is larger than the set. */
    const int64_t most = o->batch < o->n ? o->batch : o->n;
    if (!lmb_mul_i64(o->groups, most, &room))
        return LMB_FAIL(
            LMB_ENOMEM, "out of memory: %lld samples", (long long)o->n);
    LMB_TRY(LMB_NEW(o->order, o->n));
    LMB_TRY(LMB_NEW(o->shuffled, o->n));
    LMB_TRY(LMB_NEW(o->first, o->steps + 1));
    return LMB_NEW(o->waiting, room);
}

static void take_batch(
    lmb_epoch_order *o, int64_t *step, const int64_t *members, int64_t count)
{
    int64_t *at = &o->first[*step];
    memcpy(o->order + at[0], members, (size_t)count * sizeof *members);
    at[1] = at[0] + count;
    ++*step;
}

static void fill(lmb_epoch_order *o)
{
    int64_t waiting[MAX_GROUPS] = {0};
    int64_t step = 0;
    const int64_t room = o->batch < o->n ? o->batch : o->n;
    for (int64_t i = 0; i < o->n; i++) {
        const int32_t g = group_of(o, o->shuffled[i]);
        int64_t *members = o->waiting + g * room;
        members[waiting[g]++] = o->shuffled[i];
        if (waiting[g] < o->batch)
            continue;
        take_batch(o, &step, members, o->batch);
        waiting[g] = 0;
    }
    for (int32_t g = 0; g < o->groups && !o->drop_last; g++)
        if (waiting[g] > 0)
            take_batch(o, &step, o->waiting + g * room, waiting[g]);
    LMB_ASSERT(step == o->steps);
}

void lmb__epoch_order_set(lmb_epoch_order *o, int64_t epoch)
{
    if (o->epoch == epoch)
        return;
    lmb_rng rng = lmb_rng_make(o->seed, LMB_STREAM_SHUFFLE, (uint64_t)epoch, 0);
    if (o->shuffle)
        lmb_rng_permutation(&rng, o->n, o->shuffled);
    else
        for (int64_t i = 0; i < o->n; i++)
            o->shuffled[i] = i;
    fill(o);
    o->epoch = epoch;
}

void lmb__epoch_order_fini(lmb_epoch_order *o)
{
    lmb_free(o->order);
    lmb_free(o->first);
    lmb_free(o->shuffled);
    lmb_free(o->waiting);
    o->order = o->first = o->shuffled = o->waiting = NULL;
}
