/* event.h: TensorBoard's event files. */
#ifndef LMB_IO_EVENT_H
#define LMB_IO_EVENT_H

#include "base/base.h"

/* A name that TensorBoard recognises, one file a run. */
#define LMB_EVENT_FILE "events.out.tfevents.limbeck"

typedef struct lmb_event lmb_event;

/* Creates the file or goes on at the end of an existing one, after cutting
 * off a record that a kill left half written. `wall_time`: seconds since 1970.
 * EFORMAT if the file is something else. */
lmb_status lmb_event_open(
    const char *path, double wall_time, lmb_event **out) LMB_MUST_CHECK;
/* Adds one number under `tag` ("train/loss"); step >= 0. */
lmb_status lmb_event_scalar(lmb_event *e, int64_t step, double wall_time,
    const char *tag, double value) LMB_MUST_CHECK;
/* Adds an RGB picture, already encoded as PNG. */
lmb_status lmb_event_png(lmb_event *e, int64_t step, double wall_time,
    const char *tag, int width, int height, const void *png,
    size_t size) LMB_MUST_CHECK;
/* Hands everything to the operating system. */
lmb_status lmb_event_flush(lmb_event *e) LMB_MUST_CHECK;
/* Flushes, syncs and closes; e is gone whatever it returns. Accepts NULL. */
lmb_status lmb_event_close(lmb_event *e) LMB_MUST_CHECK;

/* Keeps only the records of steps <= `step`, for a run that resumes from
 * there; the file is replaced as a whole. A file that is not there is fine. */
lmb_status lmb_event_truncate(const char *path, int64_t step) LMB_MUST_CHECK;

/* Calls `row` with every number of the file in order. */
typedef void lmb_event_row(
    void *user, int64_t step, double wall_time, const char *tag, double value);
lmb_status lmb_event_scalars(
    const char *path, lmb_event_row *row, void *user) LMB_MUST_CHECK;

#endif
