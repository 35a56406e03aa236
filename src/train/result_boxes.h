/* result_boxes.h: files of a finished run of a detector: truth, detections and
 * sample pictures of its test split. */
#ifndef LMB_TRAIN_RESULT_BOXES_H
#define LMB_TRAIN_RESULT_BOXES_H

#include "train/trainer.h"

#define LMB_RUN_TRUTH "truth.json"
#define LMB_RUN_FOUND "detections.json"
#define LMB_RUN_TEACHER_FOUND "teacher_detections.json"
#define LMB_RUN_SAMPLES "samples"

/* COCO results: n boxes, `image` a place in the set, `category` a class. */
lmb_status lmb_found_save(const char *path, const lmb_dataset *ds,
    const lmb_dt_box *found, int64_t n) LMB_MUST_CHECK;
/* Writes them to the run directory; student and teacher of `r` were evaluated
 * with keep_found. */
lmb_status lmb_result_save_boxes(const char *dir, const lmb_dataset *test,
    const lmb_run_result *r) LMB_MUST_CHECK;

#endif
