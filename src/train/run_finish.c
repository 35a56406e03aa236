/* run_finish.c: the end of a run: the student's file, student and teacher on
 * the test split, what the report reads; and the facts of a run. */
#include "train/result_boxes.h"
#include "train/run_impl.h"

#include <string.h>

/* --- the end -------------------------------------------------------------- */

lmb_status lmb_run_finish(lmb_run *run, lmb_run_result *out)
{
    const lmb_run_state *s = &run->state;
    *out = (lmb_run_result){
        .best_epoch = s->best_epoch,
        .train_seconds = run->train_seconds,
        .images_per_second = run->train_seconds > 0
            ? (double)run->trained_images / run->train_seconds
            : 0,
    };
    memcpy(out->last, s->last, sizeof out->last);
    memcpy(out->best, s->best, sizeof out->best);
    const lmb_dataset *test = run->test != NULL ? run->test : run->chosen;
    lmb_eval_spec spec = lmb_run_eval_spec(run);
    spec.keep_found = lmb_task_is_detection(run->task);
    lmb_run_swap_average(run);
    lmb_status st = lmb_run_save_student(run, LMB_RUN_STUDENT);
    if (st == LMB_OK)
        st = lmb_evaluate(&run->student, test, &spec, &out->student);
    lmb_run_swap_average(run);
    /* The last teacher is the one that the student is held against. */
    if (st == LMB_OK && run->n_teachers > 0) {
        const lmb_network *last = run->stages[run->n_stages - 1].teacher;
        spec = lmb_run_teacher_spec(run, (int)(last - run->teachers));
        spec.keep_found = lmb_task_is_detection(run->task);
        st = lmb_evaluate(last, test, &spec, &out->teacher);
    }
    if (st == LMB_OK)
        st = lmb_result_save(run->config->out, run->task, test, out);
    if (st == LMB_OK && spec.keep_found)
        st = lmb_result_save_boxes(run->config->out, test, out);
    if (st != LMB_OK)
        lmb_run_result_fini(out);
    return st;
}

void lmb_run_result_fini(lmb_run_result *r)
{
    lmb_eval_fini(&r->student);
    lmb_eval_fini(&r->teacher);
}

/* --- facts ---------------------------------------------------------------- */

lmb_run_facts lmb_run_describe(const lmb_run *run)
{
    const bool held_out = run->test != NULL && run->chosen != run->test;
    lmb_run_facts f = {
        .config = run->config,
        .student = &run->student,
        .n_teachers = run->n_teachers,
        .teachers = run->teachers,
        .lr = run->stages[0].schedule.lr,
        .bf16 = run->bf16,
        .threads = run->threads,
        .train = run->train_data,
        .test = run->chosen,
        .chosen_on_test =
            run->chosen == run->test && lmb_dataset_is_test(run->test),
        .held_out = held_out,
        .final_test = held_out ? run->test : NULL,
        .left_out = lmb_loader_left_out(run->loader),
        .steps_per_epoch = lmb_loader_steps(run->loader),
        .task = run->task,
        .teacher_score = run->teacher_score,
        .teacher_checked = run->teacher_checked,
        .lr_restarts = run->stages[run->n_stages - 1].schedule_first > 1,
        .n_stages = run->n_stages,
        .resumed = run->has_checkpoint,
        .start_step = run->start_step,
        .peak_plan_bytes = lmb_workspace_size(run->workspace),
    };
    for (int i = 0; i < run->n_stages; i++) {
        const lmb_schedule *s = &run->stages[i].schedule;
        f.stages[i] = (lmb_stage_facts){
            .teacher = run->stages[i].teacher_index,
            .first = run->stages[i].first,
            .last = run->stages[i].last,
            .lr = s->lr,
            .n_decays = s->n_decays,
            .terms = run->stages[i].terms,
            .n_terms = run->stages[i].n_terms,
            .task_weight = run->stages[i].task_weight,
            .pairs = run->stages[i].pairs.text,
        };
        for (int k = 0; k < s->n_decays; k++)
            f.stages[i].decay_epochs[k] =
                (double)(run->stages[i].schedule_first - 1) +
                s->decay_epochs[k];
    }
    return f;
}
