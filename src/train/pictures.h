/* pictures.h: how the pictures of a detection set reach a detector. */
#ifndef LMB_TRAIN_PICTURES_H
#define LMB_TRAIN_PICTURES_H

#include "data/detect_transform.h"
#include "train/run_config.h"

/* mmdetection's and torchvision's, what a detector's file that names no sides
 * was made for. Where only the long side is told, the short one is this or the
 * long one. */
enum { LMB_USUAL_LONG_SIDE = 1333, LMB_USUAL_SHORT_SIDE = 800 };
#define LMB_USUAL_FLIP 0.5

/* The transform that the options ask for on this set; mean and deviation are
 * the network's. EINVAL names the option. */
lmb_status lmb_picture_transform(const lmb_picture_opts *opts,
    const lmb_dataset *ds, bool train, const double mean[3],
    const double std[3], lmb_detect_transform *out) LMB_MUST_CHECK;

#endif
