/* result.c: classes.json: what a finished run gained and lost, by class. */
#include "train/runlog.h"

#include "base/file.h"

static void add_number(lmb_str *out, const char *key, double value)
{
    lmb_str_printf(out, "  \"%s\": ", key);
    lmb_str_json_number(out, value);
    lmb_str_add(out, ",\n");
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
    lmb_str_printf(out, "\"count\": %lld, \"student\": %lld",
        (long long)r->student.class_count[i],
        (long long)r->student.class_correct[i]);
    if (r->teacher.count > 0 && i < r->teacher.classes)
        lmb_str_printf(
            out, ", \"teacher\": %lld", (long long)r->teacher.class_correct[i]);
    lmb_str_add(out, "}");
}

lmb_status lmb_result_save(
    const char *dir, const lmb_dataset *test, const lmb_run_result *r)
{
    lmb_str out = {0}, path = {0};
    lmb_status st = LMB_OK;
    const char *const *names = lmb_dataset_class_names(test);
    lmb_str_printf(&path, "%s/" LMB_RUN_CLASSES, dir);
    lmb_str_add(&out, "{\n");
    add_number(&out, "last_top1", r->last_top1);
    add_number(&out, "last_top5", r->last_top5);
    add_number(&out, "best_top1", r->best_top1);
    add_number(&out, "best_top5", r->best_top5);
    add_number(&out, "best_epoch", (double)r->best_epoch);
    add_number(&out, "test_top1", r->student.top1);
    add_number(&out, "test_top5", r->student.top5);
    if (r->teacher.count > 0) {
        add_number(&out, "teacher_top1", r->teacher.top1);
        add_number(&out, "teacher_top5", r->teacher.top5);
    }
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
