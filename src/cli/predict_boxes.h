/* predict_boxes.h: limbeck predict with the weights of a detector. */
#ifndef LMB_CLI_PREDICT_BOXES_H
#define LMB_CLI_PREDICT_BOXES_H

#include "cli/open.h"
#include "train/detector.h"

/* Lists and draws the objects in the pictures that the words name. */
lmb_status cli_predict_boxes(const cli *c, const lmb_network *net,
    const lmb_weights_about *about,
    const lmb_detector_opts *opts) LMB_MUST_CHECK;

#endif
