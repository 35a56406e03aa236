/* report_json.c: the numbers of the report for programs. */
#include "train/report_impl.h"

#include <string.h>

static void add_text(lmb_str *out, const char *key, const char *text)
{
    lmb_str_printf(out, "\"%s\": ", key);
    lmb_str_json(out, text);
    lmb_str_add(out, ", ");
}

static void add_number(lmb_str *out, const char *key, double v)
{
    lmb_str_printf(out, "\"%s\": ", key);
    lmb_str_json_number(out, v);
}

/* "last": {"AP": .., ..}. */
static void add_scores(
    lmb_str *out, const char *key, const lmb_task *task, const double *score)
{
    lmb_str_printf(out, "\"%s\": {", key);
    for (int i = 0; i < task->n_scores; i++) {
        lmb_str_add(out, i > 0 ? ", " : "");
        add_number(out, task->score[i], score[i]);
    }
    lmb_str_add(out, "}, ");
}

static void add_classes(lmb_str *out, const lmb_report_run *run)
{
    const char *unit = lmb__report_detects(run) ? "AP" : "accuracy";
    lmb_str_add(out, ", \"per_class\": [");
    for (size_t i = 0; i < run->n_classes; i++) {
        const lmb_class_score *c = &run->classes[i];
        lmb_str_printf(out, "%s{\"class\": %lld, ", i > 0 ? ", " : "",
            (long long)c->index);
        add_text(out, "name", c->name);
        add_number(out, "count", c->count);
        lmb_str_printf(out, ", \"student_%s\": ", unit);
        lmb_str_json_number(out, c->student / c->count);
        if (c->teacher >= 0) {
            lmb_str_printf(out, ", \"teacher_%s\": ", unit);
            lmb_str_json_number(out, c->teacher / c->count);
        }
        lmb_str_add(out, "}");
    }
    lmb_str_add(out, "]");
}

/* Rows are true classes, the last row and column nothing. */
static void add_confusion(lmb_str *out, const lmb_report_run *run)
{
    const int64_t n = run->confusion.categories + 1;
    lmb_str_add(out, ", \"confusion\": [");
    for (int64_t i = 0; i < n * n; i++)
        lmb_str_printf(out, "%s%lld%s",
            i % n != 0  ? ", "
                : i > 0 ? ", ["
                        : "[",
            (long long)run->confusion.count[i], i % n == n - 1 ? "]" : "");
    lmb_str_add(out, "]");
}

/* A category's name as a key: two of one name have their ids in it. */
static void add_name_key(lmb_str *out, const lmb_coco *truth, int32_t c)
{
    const lmb_coco_category *own = &truth->categories[c];
    lmb_str key = {0};
    int same = 0;
    for (int64_t k = 0; k < truth->n_categories; k++)
        same += strcmp(truth->categories[k].name, own->name) == 0;
    lmb_str_add(&key, own->name);
    if (same > 1)
        lmb_str_printf(&key, " (id %lld)", (long long)own->id);
    if (key.failed)
        out->failed = true;
    else
        lmb_str_json(out, key.text);
    lmb_str_fini(&key);
}

static void add_precision(lmb_str *out, const lmb_report_boxes *b)
{
    lmb_str_add(out, ", \"precision_at_iou_50\": {");
    for (int32_t c = 0; c < b->scores.categories; c++) {
        lmb_str_add(out, c > 0 ? ", " : "");
        add_name_key(out, &b->files.truth, c);
        lmb_str_add(out, ": [");
        for (int r = 0; r < LMB_COCO_RECALLS; r++) {
            const double v = b->scores.classes[c].precision[r];
            lmb_str_printf(out, "%s%.4g", r > 0 ? ", " : "", v < 0 ? 0 : v);
        }
        lmb_str_add(out, "]");
    }
    lmb_str_add(out, "}");
}

static void add_run(lmb_str *out, const lmb_report_run *run)
{
    lmb_str_add(out, "{");
    add_text(out, "run", run->dir);
    add_text(out, "task", run->task->name);
    add_text(out, "student", run->student);
    add_text(out, "teacher", run->teacher);
    add_text(out, "methods", run->methods);
    add_text(out, "seed", run->seed);
    lmb_str_printf(out, "\"finished\": %s, ", run->finished ? "true" : "false");
    add_scores(out, "last", run->task, run->last);
    add_scores(out, "best", run->task, run->best);
    add_number(out, "best_epoch", run->best_epoch);
    lmb_str_add(out, ", ");
    lmb_str_printf(out, "\"teacher_%s\": ", run->task->score[0]);
    lmb_str_json_number(out, run->teacher_score);
    add_classes(out, run);
    if (run->student_boxes.there) {
        add_confusion(out, run);
        add_precision(out, &run->student_boxes);
    }
    lmb_str_add(out, "}");
}

lmb_status lmb__report_json(lmb_str *out, int n, const lmb_report_run *runs)
{
    lmb_str_add(out, "[");
    for (int i = 0; i < n; i++) {
        lmb_str_add(out, i > 0 ? ",\n" : "");
        add_run(out, &runs[i]);
    }
    lmb_str_add(out, "]");
    return lmb_str_status(out);
}
