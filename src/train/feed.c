/* feed.c: serves lmb_method.feed: finds the inputs that a build made, owns
 * their memory, takes the method's numbers. */
#include "train/feed.h"

#include <string.h>

static int count_inputs(const lmb_graph *g, lmb_value after)
{
    int n = 0;
    while (lmb_is(after = lmb_graph_next_input(g, after)))
        n++;
    return n;
}

lmb_status lmb_feeds_init(
    lmb_feeds *f, const lmb_graph *g, lmb_value after, lmb_dtype dtype)
{
    *f = (lmb_feeds){.dtype = dtype};
    const int n = count_inputs(g, after);
    LMB_TRY(LMB_NEW(f->fed, n));
    for (int i = 0; i < n; i++) {
        struct lmb_fed *e = &f->fed[i];
        after = lmb_graph_next_input(g, after);
        const lmb_type type = lmb_graph_type(g, after);
        const lmb_shape shape = type.shape;
        e->input = after;
        e->name = lmb_graph_input_name(g, after);
        e->real = type.dtype == LMB_F32;
        e->count = lmb_shape_count(&shape);
        char *data = NULL;
        LMB_TRY(LMB_NEW(data,
            e->count * (int64_t)lmb_dtype_size(e->real ? dtype : LMB_I32)));
        e->data = data;
        f->n++;
    }
    return LMB_OK;
}

void lmb_feeds_fini(lmb_feeds *f)
{
    for (int i = 0; i < f->n; i++)
        lmb_free(f->fed[i].data);
    lmb_free(f->fed);
    *f = (lmb_feeds){0};
}

lmb_status lmb_feeds_bind(const lmb_feeds *f, lmb_plan *plan)
{
    for (int i = 0; i < f->n; i++)
        LMB_TRY(lmb_plan_set(plan, f->fed[i].input,
            f->fed[i].real ? f->dtype : LMB_I32, f->fed[i].data));
    return LMB_OK;
}

static struct lmb_fed *find(const lmb_feeds *f, const char *name)
{
    for (int i = 0; i < f->n; i++)
        if (strcmp(f->fed[i].name, name) == 0)
            return &f->fed[i];
    return NULL;
}

static int64_t size_of(void *user, const char *input)
{
    const struct lmb_fed *e = find(user, input);
    return e != NULL ? e->count : 0;
}

static void store(
    const lmb_feeds *f, struct lmb_fed *e, int64_t i, double value)
{
    if (!e->real)
        ((int32_t *)e->data)[i] = (int32_t)value;
    else if (f->dtype == LMB_F64)
        ((double *)e->data)[i] = value;
    else
        ((float *)e->data)[i] = (float)value;
}

static lmb_status set(
    void *user, const char *input, int64_t count, const double *data)
{
    lmb_feeds *f = user;
    struct lmb_fed *e = find(f, input);
    if (e == NULL || e->count != count)
        return LMB_FAIL(LMB_EINVAL,
            "feed: input '%s' has %lld elements, not %lld", input,
            (long long)(e != NULL ? e->count : 0), (long long)count);
    for (int64_t i = 0; i < count; i++)
        store(f, e, i, data[i]);
    e->filled = true;
    return LMB_OK;
}

lmb_status lmb_feeds_run(
    lmb_feeds *f, const lmb_method *m, void *state, const lmb_feed *at)
{
    if (m->feed == NULL || f->n == 0)
        return LMB_OK;
    lmb_feed served = *at;
    served.size = size_of;
    served.set = set;
    served.user = f;
    for (int i = 0; i < f->n; i++)
        f->fed[i].filled = false;
    LMB_TRY(m->feed(state, &served));
    for (int i = 0; i < f->n; i++)
        if (!f->fed[i].filled)
            return LMB_FAIL(LMB_EINVAL, "%s: its feed leaves input '%s' unset",
                m->name, f->fed[i].name);
    return LMB_OK;
}
