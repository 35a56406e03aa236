/* detector.c: what the families of detectors share; see the header. */
#include "model/detector.h"

#include <stdio.h>

const lmb_model_opts *lmb_detector_opts(const lmb_nn *nn)
{
    /* What lmb_model_opts_table says. */
    static const lmb_model_opts usual = {
        .width = 1,
        .fpn_channels = 256,
        .head_convs = 4,
        .head_width = 1024,
        .rpn_samples = 256,
        .proposals = 1000,
        .rois = 512,
        .anchor_scale = 1,
        .frozen_stages = 1,
        .norm_eval = true,
        .drop_path = 0.2,
        .norm_eps = -1,
    };
    return nn->options != NULL ? nn->options : &usual;
}

bool lmb_detector_trains(const lmb_nn *nn)
{
    return nn->detection != NULL && nn->detection->truth != NULL;
}

int64_t lmb_detector_side(int64_t input, int level)
{
    const int64_t stride = (int64_t)1 << level;
    return (input + stride - 1) / stride;
}

void lmb_detector_places(
    const int64_t input[2], int first, int64_t places[LMB_DETECTOR_LEVELS])
{
    for (int i = 0; i < LMB_DETECTOR_LEVELS; i++)
        places[i] = lmb_detector_side(input[0], first + i) *
            lmb_detector_side(input[1], first + i);
}

lmb_value lmb_detector_flatten(
    lmb_nn *nn, int n, const lmb_value *maps, int64_t k)
{
    static const int to_last[] = {0, 2, 3, 1};
    lmb_value flat[LMB_MAX_LEVELS];
    LMB_ASSERT(n <= LMB_MAX_LEVELS);
    for (int i = 0; i < n; i++) {
        const int64_t images = lmb_graph_dim(nn->g, maps[i], 0);
        flat[i] = lmb_reshape(nn->g, lmb_permute(nn->g, maps[i], to_last),
            LMB_SHAPE(images, -1, k));
    }
    return lmb_concat(nn->g, n, flat, 1);
}

void lmb_detector_taps(
    lmb_nn *nn, const char *name, int first, int n, const lmb_value *maps)
{
    for (int i = 0; i < n; i++) {
        char full[16];
        (void)snprintf(full, sizeof full, "%.10s.p%d", name, first + i);
        lmb_nn_tap(nn, full, maps[i]);
    }
}

void lmb_detector_loss(
    lmb_nn *nn, const char *name, lmb_value sum, lmb_value count, double weight)
{
    lmb_graph *g = nn->g;
    lmb_detection *io = nn->detection;
    LMB_ASSERT(io->n_losses < LMB_MAX_DETECT_LOSSES);
    const lmb_value least = lmb_graph_scalar(g, 1);
    io->loss[io->n_losses].name = name;
    io->loss[io->n_losses++].value =
        lmb_scale(g, lmb_div(g, sum, lmb_maximum(g, count, least)), weight);
}

void lmb_detector_output(lmb_nn *nn, lmb_value v)
{
    lmb_detection *io = nn->detection;
    if (io == NULL)
        return;
    LMB_ASSERT(io->n_outputs < LMB_MAX_DETECT_OUTPUTS);
    io->output[io->n_outputs++] = v;
}

lmb_value lmb_detector_rows(lmb_graph *g, lmb_value v)
{
    lmb_shape shape = lmb_graph_shape(g, v);
    if (shape.rank == LMB_MAX_RANK)
        return v; /* the graph has failed */
    shape.dim[shape.rank++] = 1;
    return lmb_reshape(g, v, shape);
}

void lmb_detector_head(lmb_nn *nn, const char *scope, const char *name)
{
    (void)snprintf(nn->head, sizeof nn->head, "%s.%s", scope, name);
}
