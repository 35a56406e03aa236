/* result.c: classes.json: what a finished run gained and lost, by class. */
#include "train/runlog.h"

#include "base/file.h"

#include <math.h>
#include <stdio.h>

static void add_number(lmb_str *out, const char *key, double value)
{
    lmb_str_printf(out, "  \"%s\": ", key);
    lmb_str_json_number(out, value);
    lmb_str_add(out, ",\n");
}

static void add_scores(
    lmb_str *out, const lmb_task *task, const char *which, const double *score)
{
    for (int i = 0; i < task->n_scores; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "%s_%s", which, task->score[i]);
        add_number(out, key, score[i]);
    }
}

/* Images that are right; of a detector the class's AP, null if undefined. */
static void add_right(lmb_str *out, const lmb_eval_result *r, int i)
{
    if (r->class_ap == NULL)
        lmb_str_printf(out, "%lld", (long long)r->class_correct[i]);
    else
        lmb_str_json_number(out, r->class_ap[i] < 0 ? NAN : r->class_ap[i]);
}

static void add_class(
    lmb_str *out, const lmb_run_result *r, int i, const char *const *names)
{
    lmb_str_printf(out, "%s    {\"class\": %d, ", i > 0 ? ",\n" : "", i);
    if (names != NULL) {
        lmb_str_add(out, "\"name\": ");
        lmb_str_json(out, names[i]);
        lmb_str_add(out, ", ");
    }
    lmb_str_printf(out,
        "\"count\": %lld, \"student\": ", (long long)r->student.class_count[i]);
    add_right(out, &r->student, i);
    if (r->teacher.count > 0 && i < r->teacher.classes) {
        lmb_str_add(out, ", \"teacher\": ");
        add_right(out, &r->teacher, i);
    }
    lmb_str_add(out, "}");
}

lmb_status lmb_result_save(const char *dir, const lmb_task *task,
    const lmb_dataset *test, const lmb_run_result *r)
{
    lmb_str out = {0}, path = {0};
    lmb_status st = LMB_OK;
    const char *const *names = lmb_dataset_class_names(test);
    lmb_str_printf(&path, "%s/" LMB_RUN_CLASSES, dir);
    lmb_str_add(&out, "{\n");
    add_scores(&out, task, "last", r->last);
    add_scores(&out, task, "best", r->best);
    add_number(&out, "best_epoch", (double)r->best_epoch);
    add_scores(&out, task, "test", r->student.score);
    if (r->teacher.count > 0)
        add_scores(&out, task, "teacher", r->teacher.score);
    lmb_str_add(&out, "  \"classes\": [\n");
    for (int i = 0; i < r->student.classes; i++)
        add_class(&out, r, i, names);
    lmb_str_add(&out, "\n  ]\n}\n");
    LMB_GOTO(lmb_str_status(&path), st, done);
    LMB_GOTO(lmb_str_status(&out), st, done);
    LMB_GOTO(lmb_file_write(path.text, out.text, out.length), st, done);
done:
    lmb_str_fini(&out);
    lmb_str_fini(&path);
    return st;
}
