/* runlog.c: metrics.jsonl and TensorBoard events of a run.
 *
 * A row of metrics.jsonl is one object: epoch, step, split, loss, loss_ce,
 * loss_<method>, lr, top1, top5, images_per_second; numbers that a row does
 * not have are left out. In the event file they are "split/name". */
#include "train/runlog.h"

#include "base/file.h"
#include "base/log.h"
#include "io/event.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct lmb_runlog {
    FILE *metrics;
    char *metrics_path, *events_path;
    lmb_event *events;
};

static double wall_time(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* --- opening -------------------------------------------------------------- */

static lmb_status join(const char *dir, const char *name, char **out)
{
    lmb_str path = {0};
    lmb_str_printf(&path, "%s/%s", dir, name);
    const lmb_status st = lmb_str_status(&path);
    if (st == LMB_OK)
        *out = path.text;
    else
        lmb_str_fini(&path);
    return st;
}

/* Bytes of a file; 0 if there is none. */
static int64_t size_of(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 ? (int64_t)info.st_size : 0;
}

/* Cuts off what was written after the checkpoint. */
static lmb_status cut(const char *path, int64_t size)
{
    const int64_t there = size_of(path);
    if (there < size)
        lmb_log_line(LMB_LOG_WARNING,
            "%s has %lld bytes, the checkpoint remembers %lld: rows are lost",
            path, (long long)there, (long long)size);
    if (there > size && truncate(path, (off_t)size) != 0)
        return LMB_FAIL(LMB_EIO, "%s: %s", path, strerror(errno));
    return LMB_OK;
}

/* Without a mark the logs start anew. */
static lmb_status open_files(lmb_runlog *log, const lmb_runlog_mark *mark)
{
    LMB_TRY(cut(log->metrics_path, mark != NULL ? mark->metrics_bytes : 0));
    LMB_TRY(cut(log->events_path, mark != NULL ? mark->events_bytes : 0));
    if (size_of(log->events_path) == 0 && unlink(log->events_path) != 0 &&
        errno != ENOENT)
        return LMB_FAIL(LMB_EIO, "%s: %s", log->events_path, strerror(errno));
    log->metrics = fopen(log->metrics_path, "ab");
    if (log->metrics == NULL)
        return LMB_FAIL(LMB_EIO, "%s: %s", log->metrics_path, strerror(errno));
    return lmb_event_open(log->events_path, wall_time(), &log->events);
}

lmb_status lmb_runlog_open(
    const char *dir, const lmb_runlog_mark *mark, lmb_runlog **out)
{
    lmb_runlog *log = NULL;
    lmb_status st = LMB_OK;
    LMB_TRY(LMB_NEW(log, 1));
    LMB_GOTO(join(dir, LMB_RUN_METRICS, &log->metrics_path), st, failed);
    LMB_GOTO(join(dir, LMB_EVENT_FILE, &log->events_path), st, failed);
    LMB_GOTO(open_files(log, mark), st, failed);
    *out = log;
    return LMB_OK;
failed:
    lmb_runlog_free(log);
    return st;
}

void lmb_runlog_free(lmb_runlog *log)
{
    if (log == NULL)
        return;
    if (log->metrics != NULL)
        (void)fclose(log->metrics);
    const lmb_status st = lmb_event_close(log->events);
    if (st != LMB_OK)
        lmb_log_line(LMB_LOG_WARNING, "%s", lmb_last_error());
    lmb_free(log->metrics_path);
    lmb_free(log->events_path);
    lmb_free(log);
}

/* --- rows ----------------------------------------------------------------- */

enum { MOST_NUMBERS = 8 + LMB_MAX_SCORES + LMB_MAX_PARTS + LMB_MAX_TERMS };

typedef struct number {
    char name[64];
    double value;
} number;

static void add_number(number *list, int *n, const char *name, double value)
{
    if (isnan(value))
        return;
    (void)snprintf(list[*n].name, sizeof list[*n].name, "%s", name);
    list[(*n)++].value = value;
}

static void add_loss(number *list, int *n, const char *what, double value)
{
    char name[60];
    (void)snprintf(name, sizeof name, "loss_%s", what);
    add_number(list, n, name, value);
}

/* The numbers of a row, in the order of the file. */
static int numbers_of(const lmb_row *row, number list[MOST_NUMBERS])
{
    int n = 0;
    add_number(list, &n, "loss", row->loss);
    for (int i = 0; i < row->n_parts; i++)
        add_loss(list, &n, row->part_name[i], row->part[i]);
    for (int i = 0; i < row->n_terms; i++)
        add_loss(list, &n, row->term_name[i], row->term[i]);
    add_number(list, &n, "lr", row->lr);
    for (int i = 0; i < row->task->n_scores; i++)
        add_number(list, &n, row->task->score[i], row->score[i]);
    add_number(list, &n, "images_per_second", row->images_per_second);
    return n;
}

static lmb_status write_line(
    lmb_runlog *log, const lmb_row *row, const number *list, int n)
{
    lmb_str line = {0};
    lmb_str_printf(&line,
        "{\"epoch\": %lld, \"step\": %lld, \"split\": ", (long long)row->epoch,
        (long long)row->step);
    lmb_str_json(&line, row->split != NULL ? row->split : "");
    for (int i = 0; i < n; i++) {
        lmb_str_add(&line, ", ");
        lmb_str_json(&line, list[i].name);
        lmb_str_add(&line, ": ");
        lmb_str_json_number(&line, list[i].value);
    }
    lmb_str_add(&line, "}\n");
    lmb_status st = lmb_str_status(&line);
    if (st == LMB_OK &&
        (fwrite(line.text, 1, line.length, log->metrics) != line.length ||
            fflush(log->metrics) != 0))
        st = LMB_FAIL(LMB_EIO, "%s: %s", log->metrics_path, strerror(errno));
    lmb_str_fini(&line);
    return st;
}

lmb_status lmb_runlog_row(lmb_runlog *log, const lmb_row *row)
{
    number list[MOST_NUMBERS];
    const int n = numbers_of(row, list);
    const double time = wall_time();
    LMB_TRY(write_line(log, row, list, n));
    for (int i = 0; i < n; i++) {
        char tag[128];
        (void)snprintf(tag, sizeof tag, "%.32s/%.64s",
            row->split != NULL ? row->split : "", list[i].name);
        LMB_TRY(
            lmb_event_scalar(log->events, row->step, time, tag, list[i].value));
    }
    return lmb_event_flush(log->events);
}

static lmb_status sync_path(const char *path)
{
    FILE *f = fopen(path, "ab");
    if (f == NULL || fsync(fileno(f)) != 0) {
        const int error = errno;
        if (f != NULL)
            (void)fclose(f);
        return LMB_FAIL(LMB_EIO, "%s: %s", path, strerror(error));
    }
    (void)fclose(f);
    return LMB_OK;
}

lmb_status lmb_runlog_mark_now(lmb_runlog *log, lmb_runlog_mark *out)
{
    if (fflush(log->metrics) != 0)
        return LMB_FAIL(LMB_EIO, "%s: %s", log->metrics_path, strerror(errno));
    LMB_TRY(lmb_event_flush(log->events));
    LMB_TRY(sync_path(log->metrics_path));
    LMB_TRY(sync_path(log->events_path));
    out->metrics_bytes = size_of(log->metrics_path);
    out->events_bytes = size_of(log->events_path);
    return LMB_OK;
}
