/* report.h: one self-contained HTML page about one or more runs. */
#ifndef LMB_TRAIN_REPORT_H
#define LMB_TRAIN_REPORT_H

#include "base/str.h"

/* Reads the run directories (metrics.jsonl, manifest.json, config.yaml,
 * classes.json; of detectors truth.json, detections.json, samples/) and writes
 * `path`: a table of last and best (mean and deviation over runs that differ by
 * seed only), curves, per-class gaps, configuration; of detectors each class's
 * AP side by side, precision and recall, what is taken for what, and sample
 * pictures. Whole or not at all. json (may be NULL) gets the numbers, as a list
 * of runs. Errors name the file at fault. */
lmb_status lmb_report_write(const char *path, int n, const char *const *runs,
    lmb_str *json) LMB_MUST_CHECK;

#endif
