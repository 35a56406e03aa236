/* model.h: networks as rows of a table: one file per family.
 *
 * A network is named by a text: a row's name, and for networks that have
 * options "NAME:key=value,..": "retinanet_r18_fpn:width=0.5,fpn_channels=64".
 * The text is what flags, configurations and weight files hold. */
#ifndef LMB_MODEL_MODEL_H
#define LMB_MODEL_MODEL_H

#include "base/opt.h"
#include "nn/nn.h"
#include "op/op_detect.h"

/* Whose ResNets, mmdetection's `style`: where a bottleneck has its stride.
 * Weights of both have the same names and shapes. */
typedef enum lmb_resnet_stride {
    LMB_RESNET_PYTORCH, /* on the 3x3 convolution */
    LMB_RESNET_CAFFE, /* on the first 1x1 convolution, as first published */
} lmb_resnet_stride;

/* What can be set of a network; rows in lmb_model_opts_table. Networks that
 * have no such options refuse all but the defaults. */
typedef struct lmb_model_opts {
    double width; /* factor on the backbone's channels; 1 */
    int64_t fpn_channels; /* 256 */
    int64_t head_convs; /* depth of the heads' towers; 4 */
    int64_t head_width; /* RoI head's linear layers; 1024 */
    int64_t rpn_samples; /* anchors of an image in the RPN's losses; 256 */
    int64_t proposals; /* of an image, after NMS; 1000 */
    int64_t rois; /* proposals of an image that train the RoI head; 512 */
    int64_t frozen_stages; /* backbone: -1 none, 0 stem, 1 stem + stage 1 .. */
    bool norm_eval; /* backbone's batch norm keeps its running statistics */
    double drop_path; /* Swin: stochastic depth; 0.2 */
    double anchor_scale; /* factor on the sizes of anchors; 1 */
    double norm_eps; /* of the backbone's batch norms; < 0: the row's */
    int32_t style; /* lmb_resnet_stride: where bottlenecks have their stride */
} lmb_model_opts;
extern const lmb_opt lmb_model_opts_table[];

enum { LMB_MAX_DETECT_LOSSES = 8, LMB_MAX_DETECT_OUTPUTS = 24 };

/* What a detector's build gets beside x and gives beside taps. */
typedef struct lmb_detection {
    /* Given: height and width of each picture inside its padding [N, 2]. */
    lmb_value sizes;
    const lmb_truth *truth; /* TRAIN; NULL else: no losses */
    /* Given to a two-stage teacher: RoIs [R, 5] that its head is to be run on
     * (the student's sampled ones) in place of its own proposals, or NONE. */
    lmb_value rois;
    /* Made: the task's losses, weighted scalars named "cls", "box", .. */
    struct {
        const char *name;
        lmb_value value;
    } loss[LMB_MAX_DETECT_LOSSES];
    int n_losses;
    /* Made in EVAL: raw outputs for `postprocess`, in an order of its own. */
    lmb_value output[LMB_MAX_DETECT_OUTPUTS];
    int n_outputs;
    /* Made by two-stage detectors: the RoIs that "roi.logits" has as rows,
     * their labels (C background, -1 padding) and 1 or 0 for each row. */
    lmb_value roi_rows, roi_label, roi_valid;
} lmb_detection;

/* One detection; box in input pixels, x0 y0 x1 y1. */
typedef struct lmb_detected {
    float box[4], score;
    int32_t label;
} lmb_detected;

/* How detections are cut down; 0 or NULL means the detector's own default. */
typedef struct lmb_detect_opts {
    double score, nms;
    int32_t per_image; /* 100 */
} lmb_detect_opts;

/* Dense f32 arrays of the outputs, of all images of a batch. */
typedef struct lmb_detect_call {
    const lmb_model_opts *opts;
    int classes, n_outputs;
    const float *output[LMB_MAX_DETECT_OUTPUTS];
    lmb_shape shape[LMB_MAX_DETECT_OUTPUTS];
    int64_t image; /* which image of the batch */
    double size[2]; /* its height and width inside the padding */
    int64_t input[2]; /* padded height and width */
    lmb_detect_opts detect;
} lmb_detect_call;

typedef struct lmb_model lmb_model;
struct lmb_model {
    const char *name; /* "resnet20"; matched without case */
    const char *aliases; /* "a|b", or NULL */
    const char *task; /* "classification" or "detection" */
    int default_classes; /* 100, 1000; 80 */
    int default_size; /* 32, 224, 800: the size of tables */
    /* For batches of 64: 0.05; light families 0.01. Detectors: for 16. */
    double default_lr;
    int depth, width, variant; /* free for the family's build function */
    /* Builds the network on x [N, 3, H, W]; declares taps f*, pre*, pooled,
     * logits on nn and returns the logits. A detector finds its options in
     * nn->options and the rest in nn->detection, declares c2.., p2.., cls.p3,
     * box.p3, .., roi.logits, and returns LMB_NONE. */
    lmb_value (*build)(
        const lmb_model *m, lmb_nn *nn, lmb_value x, int classes);
    /* Detectors: from raw outputs to at most `capacity` detections of one
     * image, best first. ENOMEM, EINVAL. */
    lmb_status (*postprocess)(const lmb_model *m, const lmb_detect_call *call,
        int64_t capacity, lmb_detected *out, int64_t *count);
    /* Detectors: rest of the head on other features, frozen, for CrossKD:
     * name "cls.p3" or "box.p3", `features` after tower convolution `after`
     * (pre-activation). NULL: none. */
    lmb_value (*head_tail)(const lmb_model *m, lmb_nn *nn, const char *name,
        int after, lmb_value features, int classes);
    /* Detectors: rows of the classifier's weight (lmb_nn.head) are
     * head_factor * classes + head_extra; 0: as many as classes. */
    int head_factor, head_extra;
    /* Dense heads: what the four numbers of a box are, as crosskd.box has it:
     * "deltas", "log_distances", "distances", "bins"; NULL: no such head. */
    const char *box_code;
    uint32_t options; /* bit i: row i of lmb_model_opts_table may be set */
    int32_t pad; /* detectors: pictures are padded to a multiple of it (32) */
    /* The published weights go with norms of eps 0 under norm_eval. */
    bool zero_eps;
};

/* A network by its text: the row, its options. */
typedef struct lmb_model_spec {
    const lmb_model *model;
    lmb_model_opts opts;
    char text[160]; /* canonical: "name" or "name:key=value,.." */
} lmb_model_spec;
/* EINVAL names the nearest model or option, or the range of a value. */
lmb_status lmb_model_spec_parse(
    const char *text, lmb_model_spec *out) LMB_MUST_CHECK;

const lmb_model *const *lmb_models(int *count);
/* Any case, aliases too; NULL if unknown. */
const lmb_model *lmb_model_find(const char *name);
/* EINVAL names the nearest model. */
lmb_status lmb_model_get(
    const char *name, const lmb_model **out) LMB_MUST_CHECK;

typedef struct lmb_model_info {
    int64_t parameters; /* without running statistics; frozen ones count */
    int64_t macs; /* multiply-adds of convolutions and products, one image */
    int convs;
    char head[64]; /* the classifier's name: "fc" */
    int n_taps;
    struct {
        char name[16];
        lmb_shape shape; /* of one image: [1, C, H, W] or [1, C] */
    } taps[LMB_MAX_TAPS];
} lmb_model_info;

/* What the network is at these classes and this input size (0: the defaults),
 * from a graph that is built and thrown away; no weights are made.
 * Errors: ESHAPE if it cannot be built so. */
lmb_status lmb_model_describe(const lmb_model *m, int classes, int size,
    lmb_model_info *out) LMB_MUST_CHECK;
/* The same of a network with options. */
lmb_status lmb_model_spec_describe(const lmb_model_spec *spec, int classes,
    int size, lmb_model_info *out) LMB_MUST_CHECK;

#endif
