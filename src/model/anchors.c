/* anchors.c: anchors of dense heads; see the header. */
#include "model/anchors.h"

#include <math.h>

void lmb_anchors_init(
    lmb_anchors *a, lmb_layout layout, int first, const int64_t input[2])
{
    *a = (lmb_anchors){.n_ratios = 1, .n_sizes = 1, .ratio = {1}};
    a->whole = layout == LMB_LAYOUT_TORCHVISION;
    for (int i = 0; i < LMB_DETECTOR_LEVELS; i++) {
        const int64_t rows = lmb_detector_side(input[0], first + i);
        const int64_t columns = lmb_detector_side(input[1], first + i);
        const int64_t stride = (int64_t)1 << (first + i);
        a->level[i].rows = rows;
        a->level[i].columns = columns;
        a->level[i].step_y = (double)(a->whole ? input[0] / rows : stride);
        a->level[i].step_x = (double)(a->whole ? input[1] / columns : stride);
    }
}

void lmb_anchors_sizes(const lmb_anchors *a, int64_t size[LMB_DETECTOR_LEVELS])
{
    for (int i = 0; i < LMB_DETECTOR_LEVELS; i++)
        size[i] =
            a->level[i].rows * a->level[i].columns * a->n_ratios * a->n_sizes;
}

int64_t lmb_anchors_count(const lmb_anchors *a)
{
    int64_t size[LMB_DETECTOR_LEVELS], total = 0;
    lmb_anchors_sizes(a, size);
    for (int i = 0; i < LMB_DETECTOR_LEVELS; i++)
        total += size[i];
    return total;
}

/* Half of an anchor's sides. */
static void half_sides(
    const lmb_anchors *a, int level, int kind, float *x, float *y)
{
    const float up = sqrtf(a->ratio[kind / a->n_sizes]);
    const float size = a->level[level].size[kind % a->n_sizes];
    *x = 1 / up * size / 2;
    *y = up * size / 2;
    if (a->whole) {
        *x = rintf(*x);
        *y = rintf(*y);
    }
}

static float centre(int64_t place, double offset, double step)
{
    return (float)(((double)place + offset) * step);
}

static double *write_place(
    const lmb_anchors *a, int level, int64_t row, int64_t column, double *out)
{
    const float cy = centre(row, a->offset, a->level[level].step_y);
    const float cx = centre(column, a->offset, a->level[level].step_x);
    for (int kind = 0; kind < a->n_ratios * a->n_sizes; kind++) {
        float x, y;
        half_sides(a, level, kind, &x, &y);
        *out++ = cx - x;
        *out++ = cy - y;
        *out++ = cx + x;
        *out++ = cy + y;
    }
    return out;
}

void lmb_anchors_write(const lmb_anchors *a, double *out)
{
    for (int i = 0; i < LMB_DETECTOR_LEVELS; i++)
        for (int64_t row = 0; row < a->level[i].rows; row++)
            for (int64_t column = 0; column < a->level[i].columns; column++)
                out = write_place(a, i, row, column, out);
}

/* Room for `width` numbers of each anchor; NULL once the graph has failed. */
static double *numbers(lmb_graph *g, const lmb_anchors *a, int64_t width)
{
    return lmb_graph_memory(
        g, (size_t)(width * lmb_anchors_count(a)) * sizeof(double));
}

lmb_value lmb_anchors_constant(lmb_graph *g, const lmb_anchors *a)
{
    double *data = numbers(g, a, 4);
    if (data == NULL)
        return LMB_NONE;
    lmb_anchors_write(a, data);
    return lmb_graph_constant(g, LMB_SHAPE(lmb_anchors_count(a), 4), data, 0);
}

void lmb_points_write(const lmb_anchors *a, double *out)
{
    for (int i = 0; i < LMB_DETECTOR_LEVELS; i++)
        for (int64_t row = 0; row < a->level[i].rows; row++)
            for (int64_t column = 0; column < a->level[i].columns; column++) {
                *out++ = centre(column, a->offset, a->level[i].step_x);
                *out++ = centre(row, a->offset, a->level[i].step_y);
            }
}

lmb_value lmb_points_constant(lmb_graph *g, const lmb_anchors *a)
{
    double *data = numbers(g, a, 2);
    if (data == NULL)
        return LMB_NONE;
    lmb_points_write(a, data);
    return lmb_graph_constant(g, LMB_SHAPE(lmb_anchors_count(a), 2), data, 0);
}

lmb_value lmb_strides_constant(lmb_graph *g, const lmb_anchors *a, int first)
{
    int64_t size[LMB_DETECTOR_LEVELS];
    double *data = numbers(g, a, 1), *out = data;
    if (data == NULL)
        return LMB_NONE;
    lmb_anchors_sizes(a, size);
    for (int i = 0; i < LMB_DETECTOR_LEVELS; i++)
        for (int64_t k = 0; k < size[i]; k++)
            *out++ = 1 << (first + i);
    return lmb_graph_constant(g, LMB_SHAPE(lmb_anchors_count(a), 1), data, 0);
}
