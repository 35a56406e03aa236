/* anchors.c: anchors of dense heads; see the header. */
#include "model/anchors.h"

void lmb_anchors_init(
    lmb_anchors *a, lmb_layout layout, int first, const int64_t input[2])
{
    *a = (lmb_anchors){.n_ratios = 1, .n_sizes = 1, .ratio = {1}};
    a->whole = layout == LMB_LAYOUT_TORCHVISION;
    for (int i = 0; i < LMB_DETECTOR_LEVELS; i++) {
        const int64_t rows = lmb_detector_side(input[0], first + i);
        const int64_t columns = lmb_detector_side(input[1], first + i);
        const int64_t stride = (int64_t)1 << (first + i);
        a->level[i].grid = (lmb_anchor_grid){.height = rows,
            .width = columns,
            .stride_y = (double)(a->whole ? input[0] / rows : stride),
            .stride_x = (double)(a->whole ? input[1] / columns : stride)};
    }
}

void lmb_anchors_sizes(const lmb_anchors *a, int64_t size[LMB_DETECTOR_LEVELS])
{
    for (int i = 0; i < LMB_DETECTOR_LEVELS; i++)
        size[i] = a->level[i].grid.height * a->level[i].grid.width *
            a->n_ratios * a->n_sizes;
}

int64_t lmb_anchors_count(const lmb_anchors *a)
{
    int64_t size[LMB_DETECTOR_LEVELS], total = 0;
    lmb_anchors_sizes(a, size);
    for (int i = 0; i < LMB_DETECTOR_LEVELS; i++)
        total += size[i];
    return total;
}

void lmb_anchors_write(const lmb_anchors *a, double *out)
{
    int64_t size[LMB_DETECTOR_LEVELS];
    lmb_anchors_sizes(a, size);
    for (int i = 0; i < LMB_DETECTOR_LEVELS; i++) {
        lmb_anchor_base base = lmb_anchor_base_of(
            1, a->n_ratios, a->ratio, a->n_sizes, a->level[i].size);
        if (a->whole)
            lmb_anchor_base_round(&base);
        lmb_anchor_fill(&a->level[i].grid, &base, out);
        out += 4 * size[i];
    }
}

void lmb_points_write(const lmb_anchors *a, double *out)
{
    for (int i = 0; i < LMB_DETECTOR_LEVELS; i++) {
        const lmb_anchor_grid *grid = &a->level[i].grid;
        lmb_point_fill(grid, a->offset, out);
        out += 2 * grid->height * grid->width;
    }
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

void lmb_anchors_taps(
    lmb_nn *nn, const lmb_anchors *a, int first, const char *name, lmb_value v)
{
    int64_t size[LMB_DETECTOR_LEVELS], from = 0;
    lmb_value level[LMB_DETECTOR_LEVELS];
    lmb_anchors_sizes(a, size);
    for (int i = 0; i < LMB_DETECTOR_LEVELS; i++) {
        level[i] = lmb_slice(nn->g, v, 1, from, from + size[i]);
        from += size[i];
    }
    lmb_detector_taps(nn, name, first, LMB_DETECTOR_LEVELS, level);
}

void lmb_anchors_assigned(
    lmb_nn *nn, const lmb_anchors *a, int first, lmb_value label, int classes)
{
    lmb_anchors_taps(nn, a, first, "label", label);
    lmb_anchors_taps(
        nn, a, first, "positive", lmb_label_mask(nn->g, label, 0, classes));
}
