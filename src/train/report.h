/* report.h: one self-contained HTML page about one or more runs. */
#ifndef LMB_TRAIN_REPORT_H
#define LMB_TRAIN_REPORT_H

#include "base/base.h"

/* Reads the run directories (metrics.jsonl, manifest.json, config.yaml,
 * classes.json) and writes `path`: a table of last and best (mean and
 * deviation over runs that differ by seed only), curves, per-class gaps,
 * configuration. Whole or not at all. Errors name the file at fault. */
lmb_status lmb_report_write(
    const char *path, int n, const char *const *runs) LMB_MUST_CHECK;

#endif
