/* runlog.h: the logs of a run directory: metrics.jsonl, TensorBoard events,
 * manifest.json, config.yaml. Rows are flushed as they are written; on resume
 * the logs are cut back to the sizes that the checkpoint remembers. */
#ifndef LMB_TRAIN_RUNLOG_H
#define LMB_TRAIN_RUNLOG_H

#include "train/trainer.h"

typedef struct lmb_runlog lmb_runlog;

/* What a checkpoint stores to cut logs back to its step. */
typedef struct lmb_runlog_mark {
    int64_t metrics_bytes, events_bytes;
} lmb_runlog_mark;

/* Opens (or continues: mark not NULL, files are truncated to it) the logs of
 * directory `dir`, which exists. */
lmb_status lmb_runlog_open(const char *dir, const lmb_runlog_mark *mark,
    lmb_runlog **out) LMB_MUST_CHECK;
lmb_status lmb_runlog_row(lmb_runlog *log, const lmb_row *row) LMB_MUST_CHECK;
/* Flushes and syncs both files, and gives their sizes. */
lmb_status lmb_runlog_mark_now(
    lmb_runlog *log, lmb_runlog_mark *out) LMB_MUST_CHECK;
void lmb_runlog_free(lmb_runlog *log);

/* manifest.json: build, data and teacher hashes, threads, CPU level, library
 * versions, time. A resumed run adds a session to the one that is there.
 * `command` is the command line, or NULL. */
lmb_status lmb_manifest_write(
    const char *dir, const lmb_run *run, const char *command) LMB_MUST_CHECK;
/* The lmb_precision of the run's last session; LMB_PRECISION_AUTO if there is
 * no manifest that says. */
lmb_status lmb_manifest_precision(const char *dir, int32_t *out) LMB_MUST_CHECK;

/* classes.json: the numbers after training, and the images of each class that
 * student and teacher got right on `test`; of detectors each class's AP. */
#define LMB_RUN_CLASSES "classes.json"
lmb_status lmb_result_save(const char *dir, const lmb_task *task,
    const lmb_dataset *test, const lmb_run_result *r) LMB_MUST_CHECK;

#endif
