/* loss.h: any distillation loss on the caller's own arrays: value and
 * gradient, without models, data or a trainer.
 *
 * One call, nothing kept:
 *     double value;
 *     lmb_loss_eval("pcd", &in, &value);
 * or, for a training loop, compile once and run on new numbers each step:
 *     lmb_loss_new("pcd", &in, &loss);
 *     lmb_loss_run(loss, &in, &value);    (same names and shapes, any data)
 *     lmb_loss_free(loss);
 * The value is the method's own term with weight 1 and no warm-up, the mean
 * over the batch; weights are the caller's business. */
#ifndef LIMBECK_LOSS_H
#define LIMBECK_LOSS_H

#include "limbeck/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A dense row-major array of floats or doubles (see lmb_loss_inputs.dtype)
 *  that the caller owns. */
typedef struct lmb_loss_array {
    /** The tap's or parameter's name: "logits" [N, C], "pooled" [N, D], "f0"
     *  .. "f4", "pre0" .., "p2" .. "p7", "cls.p3" .. [N, C, H, W]; for "ld"
     *  "box.p3" .. too, and of the student what its assigner gave, for each
     *  anchor of each place, [N, H W A]: "label.p3" .., "positive.p3" ..,
     *  "valuable.p3" .. */
    const char *name;
    lmb_shape shape;
    const void *data;
    /** Receives d value / d data, of the same shape and type; NULL if not
     *  wanted. Not written for the teacher's arrays. */
    void *grad;
} lmb_loss_array;

/** What a loss is computed from. All-zero fields mean "none". */
typedef struct lmb_loss_inputs {
    /** LMB_F32: fast kernels; LMB_F64: exact reference kernels. */
    lmb_dtype dtype;
    int n_student, n_teacher;
    const lmb_loss_array *student, *teacher;
    /** Class of each row, 0 .. C-1; for methods that need labels. Of the tap
     *  "roi.logits" also -1: the row is padding and counts nothing. */
    const int32_t *labels;
    int64_t n_labels;
    /** "key=value" as in `limbeck help pcd`; mdistiller's keys too. */
    int n_options;
    const char *const *options;
    /** "teacher.f3 -> student.f2" lines; none: the method's own pairs. */
    int n_map;
    const char *const *map;
    /** Trained parameters of the method (connectors), see lmb_loss_params.
     *  Those not given are drawn from `seed`. */
    int n_params;
    const lmb_loss_array *params;
    uint64_t seed;
    /** Phase of a staged schedule, from 0. */
    int phase;
    /** Stage of a run with several teachers, from 0 (dfmsd). */
    int stage;
    /** Random masks are drawn from (seed, step). */
    int64_t step;
    /** Ground truth for methods that need boxes: [N, most_boxes, 4] of
     *  `dtype`, x0 y0 x1 y1 in pixels of the network's input, N as the
     *  student's arrays; empty boxes (x1 <= x0 or y1 <= y0) are padding. */
    const void *boxes;
    int64_t most_boxes;
    /** Class of each box, [N, most_boxes]; NULL: all 0. */
    const int32_t *box_labels;
    /** Height and width of the input; 0: from a tap's name ("p3", "cls.p3":
     *  8 times the map). */
    int64_t input_size[2];
} lmb_loss_inputs;

/** A compiled loss. One thread at a time; different losses may run in
 *  different threads. */
typedef struct lmb_loss lmb_loss;

/** Compiles the loss for these names, shapes, options, maps, phase, stage and
 *  input size: each phase or stage is a loss of its own.
 *  Errors: EINVAL (option, missing labels or boxes), ENOTFOUND (method, tap),
 *  ESHAPE (shapes, number of labels), EUNSUPPORTED (the method needs more than
 *  arrays: crosskd), ENOMEM, EDEVICE (oneDNN). */
LMB_API lmb_status lmb_loss_new(const char *method, const lmb_loss_inputs *in,
    lmb_loss **out) LMB_MUST_CHECK;
/** Evaluates it; gradients are written where `grad` pointers are set, which
 *  must be the same ones (set or NULL) as in lmb_loss_new.
 *  Errors: ESHAPE if an array's shape changed; EINVAL for another type, name,
 *  phase or stage than it was compiled for, for a label or a box's class out
 *  of range and a coordinate that is not finite; ENOTFOUND for a parameter
 *  that it has not; ENUMERIC if the value is not finite (the value is
 *  written); ENOMEM, EDEVICE. */
LMB_API lmb_status lmb_loss_run(
    lmb_loss *loss, const lmb_loss_inputs *in, double *value) LMB_MUST_CHECK;
LMB_API void lmb_loss_free(lmb_loss *loss); /* accepts NULL */

/** lmb_loss_new, lmb_loss_run and lmb_loss_free in one. */
LMB_API lmb_status lmb_loss_eval(const char *method, const lmb_loss_inputs *in,
    double *value) LMB_MUST_CHECK;

/** Calls `visit` with each parameter that the loss has, in order, and its
 *  present values (of in->dtype; borrowed). */
typedef void (*lmb_loss_visit)(void *user, const char *name,
    const lmb_shape *shape, int trainable, const void *data);
LMB_API lmb_status lmb_loss_params(
    const lmb_loss *loss, lmb_loss_visit visit, void *user) LMB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
