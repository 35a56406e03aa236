/* report_boxes.c: truth and detections of a run, read and scored. */
#include "train/report_impl.h"

#include "base/file.h"
#include "train/result_boxes.h"

bool lmb__report_detects(const lmb_report_run *run)
{
    return lmb_task_is_detection(run->task);
}

/* A run that was stopped has no such files: then nothing is shown of them. */
static lmb_status read_boxes(
    lmb_arena *arena, const char *dir, const char *name, lmb_report_boxes *out)
{
    const char *truth = lmb_arena_printf(arena, "%s/" LMB_RUN_TRUTH, dir);
    const char *found = lmb_arena_printf(arena, "%s/%s", dir, name);
    if (truth == NULL || found == NULL)
        return LMB_FAIL(LMB_ENOMEM, "out of memory: path");
    if (!lmb_path_exists(truth) || !lmb_path_exists(found))
        return LMB_OK;
    LMB_TRY(lmb_box_files_load(truth, found, &out->files));
    LMB_TRY(lmb_coco_eval(&out->files.boxes, &out->scores));
    out->there = true;
    return LMB_OK;
}

lmb_status lmb__report_read_boxes(lmb_report_run *run)
{
    lmb_arena *arena = NULL;
    lmb_status st = LMB_OK;
    if (!lmb__report_detects(run))
        return LMB_OK;
    LMB_TRY(lmb_arena_new(&arena));
    LMB_GOTO(read_boxes(arena, run->dir, LMB_RUN_FOUND, &run->student_boxes),
        st, done);
    LMB_GOTO(
        read_boxes(arena, run->dir, LMB_RUN_TEACHER_FOUND, &run->teacher_boxes),
        st, done);
    if (run->student_boxes.there)
        st = lmb_confusion_eval(&run->student_boxes.files.boxes, 0.5,
            LMB_REPORT_SCORE, &run->confusion);
done:
    lmb_arena_free(arena);
    return st;
}
