/* detector.h: what the families of detectors share.
 *
 * A row's `variant` is its backbone, its `width` its layout. Levels are called
 * by the logarithm of their stride: p3 has stride 8. All layers that halve a
 * map round up, so level l of an input of H x W has ceil(H / 2^l) rows and
 * ceil(W / 2^l) columns, in building and in post-processing alike. */
#ifndef LMB_MODEL_DETECTOR_H
#define LMB_MODEL_DETECTOR_H

#include "model/model.h"

/* Layers that keep mmdetection's names and numbers, or torchvision's. */
typedef enum lmb_layout {
    LMB_LAYOUT_MMDET,
    LMB_LAYOUT_TORCHVISION,
} lmb_layout;
static inline lmb_layout lmb_detector_layout(const lmb_model *m)
{
    return (lmb_layout)m->width;
}

/* lmb_model.options: bits of lmb_model_opts_table's rows. */
enum {
    LMB_BACKBONE_OPTIONS = 1 | 2 | 128 | 256, /* and fpn_channels */
    LMB_DENSE_OPTIONS = LMB_BACKBONE_OPTIONS | 4,
    LMB_ANCHOR_OPTIONS = 1024, /* anchor_scale */
    LMB_TWO_STAGE_OPTIONS =
        LMB_BACKBONE_OPTIONS | 8 | 16 | 32 | 64 | LMB_ANCHOR_OPTIONS,
    LMB_SWIN_OPTIONS = 512, /* and drop_path */
    LMB_NORM_OPTIONS = 2048, /* norm_eps */
    LMB_STYLE_OPTIONS = 4096, /* style */
};
/* Of mmdetection's layout with this backbone. */
#define LMB_STYLE_OPTIONS_OF(backbone) \
    ((backbone) == LMB_BACKBONE_R50 || (backbone) == LMB_BACKBONE_R101 \
            ? LMB_STYLE_OPTIONS \
            : 0)
enum { LMB_DETECTOR_LEVELS = 5 }; /* p2..p6 or p3..p7 */

/* The options that the network is built with; the defaults if none are set. */
const lmb_model_opts *lmb_detector_opts(const lmb_nn *nn);
/* Are losses asked for? */
bool lmb_detector_trains(const lmb_nn *nn);

int64_t lmb_detector_side(int64_t input, int level); /* ceil(input / 2^l) */
/* Places of the five levels from `first` on; input is height and width. */
void lmb_detector_places(
    const int64_t input[2], int first, int64_t places[LMB_DETECTOR_LEVELS]);

/* Level l's [N, K A_l, H_l, W_l] -> [N, sum of H_l W_l A_l, K]: level by level,
 * each row-major over y, x, anchor. */
lmb_value lmb_detector_flatten(
    lmb_nn *nn, int n, const lmb_value *maps, int64_t k);
/* Taps "<name>.p<first>", .. */
void lmb_detector_taps(
    lmb_nn *nn, const char *name, int first, int n, const lmb_value *maps);

/* Adds weight * sum / max(count, 1) to the losses. */
void lmb_detector_loss(lmb_nn *nn, const char *name, lmb_value sum,
    lmb_value count, double weight);
void lmb_detector_output(lmb_nn *nn, lmb_value v);
/* [..] -> [.., 1], to be broadcast over the last axis of other values. */
lmb_value lmb_detector_rows(lmb_graph *g, lmb_value v);
/* Says which layer has the classes. */
void lmb_detector_head(lmb_nn *nn, const char *scope, const char *name);

#endif
