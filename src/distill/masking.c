/* masking.c: masks by threshold, by rank, soft and random. */
#include "distill/masking.h"

#include "base/rng.h"

#include <math.h>
#include <stdio.h>

lmb_value lmb_mask_threshold(
    lmb_graph *g, lmb_value weight, double level, int polarity)
{
    lmb_value high = lmb_greater_equal(g, weight, lmb_graph_scalar(g, level));
    return polarity == LMB_HIDE_IMPORTANT ? lmb_affine(g, high, -1, 1) : high;
}

/* How many of n are hidden. */
static int64_t hidden_of(double ratio, int64_t n)
{
    return (int64_t)floor(ratio * (double)n + 0.5);
}

/* weight [N, ..] as rows [N, n]. */
static lmb_value as_rows(lmb_graph *g, lmb_value weight, int64_t *n)
{
    if (!lmb_is(weight))
        return LMB_NONE; /* the graph has failed */
    const lmb_shape shape = lmb_graph_shape(g, weight);
    *n = lmb_shape_count(&shape) / shape.dim[0];
    return lmb_reshape(g, weight, LMB_SHAPE(shape.dim[0], *n));
}

/* 0 for the first k ranks, else 1: [rows, n]. */
static lmb_value by_rank(lmb_graph *g, int64_t rows, int64_t n, int64_t k)
{
    double *rank = lmb_graph_memory(g, (size_t)n * sizeof *rank);
    for (int64_t i = 0; rank != NULL && i < n; i++)
        rank[i] = i >= k;
    lmb_value one = lmb_graph_constant(g, LMB_SHAPE(1, n), rank, 0);
    return lmb_broadcast(g, one, LMB_SHAPE(rows, n));
}

lmb_value lmb_mask_quantile(
    lmb_graph *g, lmb_value weight, double ratio, int polarity)
{
    int64_t n = 1;
    const lmb_shape shape = lmb_graph_shape(g, weight);
    lmb_value rows = as_rows(g, weight, &n);
    lmb_value order = lmb_argsort(g, rows, polarity == LMB_HIDE_IMPORTANT);
    lmb_value shown = by_rank(g, shape.dim[0], n, hidden_of(ratio, n));
    return lmb_reshape(g, lmb_scatter_add(g, shown, order, 1, n), shape);
}

lmb_value lmb_mask_level(
    lmb_graph *g, lmb_value weight, double ratio, int polarity)
{
    int64_t n = 1;
    lmb_value rows = as_rows(g, weight, &n);
    const int64_t k = hidden_of(ratio, n);
    const int64_t last = k > 0 ? k - 1 : 0;
    lmb_value order = lmb_argsort(g, rows, polarity == LMB_HIDE_IMPORTANT);
    lmb_value level =
        lmb_gather(g, rows, lmb_slice(g, order, 1, last, last + 1), 1);
    if (k == 0) /* none is hidden: beyond the foremost one */
        level =
            lmb_shift(g, level, polarity == LMB_HIDE_IMPORTANT ? 1e6 : -1e6);
    return lmb_reshape(
        g, level, LMB_SHAPE(lmb_graph_dim(g, weight, 0), 1, 1, 1));
}

lmb_value lmb_mask_soft(lmb_graph *g, lmb_value weight, lmb_value level,
    double softness, int polarity)
{
    const double sign = polarity == LMB_HIDE_IMPORTANT ? -1 : 1;
    lmb_value over = lmb_scale(g, lmb_sub(g, weight, level), sign / softness);
    return lmb_stop_gradient(g, lmb_sigmoid(g, over));
}

/* --- random masks --------------------------------------------------------- */

static void input_name(int i, char name[16])
{
    (void)snprintf(name, 16, "mask%d", i);
}

lmb_value lmb_mask_random(lmb_graph *g, int i, lmb_shape shape)
{
    char name[16];
    input_name(i, name);
    return lmb_graph_input(g, name, LMB_F32, shape);
}

static lmb_status make_room(lmb_mask_room *room, int64_t n)
{
    if (room->size >= n)
        return LMB_OK;
    lmb_free(room->mask);
    *room = (lmb_mask_room){0};
    LMB_TRY(LMB_NEW(room->mask, n));
    room->size = n;
    return LMB_OK;
}

static lmb_status fill(
    const lmb_feed *f, int i, double ratio, lmb_mask_room *room)
{
    char name[16];
    input_name(i, name);
    const int64_t n = f->size(f->user, name);
    lmb_rng rng =
        lmb_rng_make(f->seed, LMB_STREAM_MASK, (uint64_t)f->step, (uint64_t)i);
    if (n == 0)
        return LMB_OK;
    LMB_TRY(make_room(room, n));
    for (int64_t k = 0; k < n; k++)
        room->mask[k] = lmb_rng_uniform(&rng) > 1 - ratio ? 0 : 1;
    return f->set(f->user, name, n, room->mask);
}

lmb_status lmb_mask_feed(const lmb_feed *f, double ratio, lmb_mask_room *room)
{
    for (int i = 0; i < LMB_MAX_PAIRS; i++)
        LMB_TRY(fill(f, i, ratio, room));
    return LMB_OK;
}
