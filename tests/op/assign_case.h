/* assign_case.h: what the tests of the three assigners share: an assigner run
 * alone on fixed anchors (or points) and ground truth. */
#ifndef LMB_TESTS_ASSIGN_CASE_H
#define LMB_TESTS_ASSIGN_CASE_H

#include "host_check.h"

/* Outputs 0, 1, 2: labels, boxes, number of positives. */
static inline int assign_outputs(const lmb_assigned *a, lmb_value *out)
{
    out[0] = a->label;
    out[1] = a->box;
    out[2] = a->positives;
    return 3;
}

/* Inputs: five anchors of `width` numbers, boxes, labels, valid; the test's
 * own `build` names the assigner, `attr` goes to it. */
#define ASSIGN_CASE( \
    attr, places, width, images, boxes, box_data, label_data, valid_data) \
    { \
        .build = build, .user = (attr), .n = 4, .in = { \
            {LMB_F32, LMB_SHAPE(5, width), (places)}, \
            {LMB_F32, LMB_SHAPE(images, boxes, 4), (box_data)}, \
            {LMB_I32, LMB_SHAPE(images, boxes), (label_data)}, \
            {LMB_F32, LMB_SHAPE(images, boxes), (valid_data)}, \
        } \
    }

#endif
