/* summary.c: the tables before a run's first step and after its last. */
#include "cli/run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- before --------------------------------------------------------------- */

static void add_network(lmb_str *out, const char *role, const lmb_network *net)
{
    lmb_str_printf(out, "%-10s %s, %lld parameters, %d classes\n", role,
        net->text, (long long)lmb_params_trainable(net->params), net->classes);
}

/* Those that a stage can still see; of a run of one stage all. */
static void add_decays(
    lmb_str *out, const lmb_run_facts *f, const lmb_stage_facts *s)
{
    const lmb_train_opts *t = &f->config->train;
    int n = 0;
    if (t->schedule != LMB_SCHEDULE_MULTISTEP)
        return;
    for (int i = 0; i < s->n_decays; i++) {
        if (f->n_stages > 1 && s->decay_epochs[i] >= (double)s->last)
            continue;
        if (n++ == 0)
            lmb_str_printf(out, " times %g after", t->decay_rate);
        lmb_str_printf(out, "%s %g", n > 1 ? "," : "", s->decay_epochs[i]);
    }
}

static void add_schedule(lmb_str *out, const lmb_run_facts *f)
{
    const lmb_train_opts *t = &f->config->train;
    lmb_str_printf(out,
        "plan       %lld epoch%s of %lld steps, batch %lld, seed %lld, %slr %g",
        (long long)t->epochs, t->epochs == 1 ? "" : "s",
        (long long)f->steps_per_epoch, (long long)t->batch, (long long)t->seed,
        t->optimizer == LMB_OPTIM_ADAMW ? "AdamW, " : "", f->lr);
    if (f->n_stages == 1)
        add_decays(out, f, &f->stages[0]);
    if (t->schedule == LMB_SCHEDULE_COSINE)
        lmb_str_printf(out, " to %g by a cosine%s", t->min_lr,
            f->lr_restarts ? " in each stage" : "");
    lmb_str_add(out, "\n");
}

static void add_precision(lmb_str *out, const lmb_run_facts *f)
{
    static const char *const why[] = {"", ", as asked", ", as asked"};
    const int asked = f->config->train.precision;
    lmb_str_printf(out, "precision  %s%s, %d thread%s\n",
        f->bf16 ? "bf16" : "f32",
        asked != LMB_PRECISION_AUTO ? why[asked]
            : f->resumed            ? " (auto: as the run began)"
            : f->bf16               ? " (auto: this CPU has it at speed)"
                                    : " (auto: this CPU has no fast bf16)",
        f->threads, f->threads == 1 ? "" : "s");
}

static void add_teacher_check(lmb_str *out, const lmb_run_facts *f, int i)
{
    if (isnan(f->teacher_score[i]) && f->resumed)
        return; /* it was tried when the run began */
    if (isnan(f->teacher_score[i]))
        lmb_str_add(out, "teacher    was not tried (--teacher-check N)\n");
    else
        lmb_str_printf(out, "teacher    %s %.*f on %lld images of the data\n",
            f->task->score[0], f->task->digits, f->teacher_score[i],
            (long long)f->teacher_checked);
}

/* The stage plan, if there is more than one. */
static void add_stages(lmb_str *out, const lmb_run_facts *f)
{
    for (int i = 0; i < f->n_stages && f->n_stages > 1; i++) {
        const lmb_stage_facts *s = &f->stages[i];
        lmb_str_printf(out, "stage %d    epochs %lld to %lld, lr %g", i + 1,
            (long long)s->first, (long long)s->last, s->lr);
        add_decays(out, f, s);
        if (s->teacher >= 0)
            lmb_str_printf(out, ", teacher %s", f->teachers[s->teacher].text);
        lmb_str_add(out, "\n");
    }
}

/* Stages first .. last (from 0); nothing if these are all. */
static void add_stage_numbers(lmb_str *out, const char *before,
    const lmb_run_facts *f, int first, int last, const char *after)
{
    if (first == 0 && last == f->n_stages - 1)
        return;
    lmb_str_printf(
        out, "%sstage%s %d", before, last > first ? "s" : "", first + 1);
    if (last > first)
        lmb_str_printf(out, " to %d", last + 1);
    lmb_str_add(out, after);
}

/* The last of the stages behind `first` that are as it is. */
typedef bool same_stage(const lmb_stage_facts *a, const lmb_stage_facts *b);
static int last_alike(const lmb_run_facts *f, int first, same_stage *same)
{
    int last = first;
    while (
        last + 1 < f->n_stages && same(&f->stages[first], &f->stages[last + 1]))
        last++;
    return last;
}

/* It never comes to its whole weight. */
static bool warms_too_long(const lmb_term *t)
{
    return t->warmup > (double)t->epochs;
}

static bool same_loss(const lmb_stage_facts *a, const lmb_stage_facts *b)
{
    bool same = a->n_terms == b->n_terms && a->task_weight == b->task_weight;
    for (int i = 0; i < a->n_terms && same; i++) {
        const lmb_term *s = &a->terms[i], *t = &b->terms[i];
        same = s->method == t->method && s->weight == t->weight &&
            s->schedule == t->schedule && s->warmup == t->warmup &&
            warms_too_long(s) == warms_too_long(t);
    }
    return same;
}

static void add_terms(
    lmb_str *out, const lmb_run_facts *f, const lmb_stage_facts *s)
{
    lmb_str_printf(out, "loss       %g %s", s->task_weight,
        lmb_task_is_detection(f->task) ? "detection" : "cross-entropy");
    for (int i = 0; i < s->n_terms; i++) {
        const lmb_term *t = &s->terms[i];
        lmb_str_printf(out, " + %g %s", t->weight, t->method->name);
        if (t->schedule != LMB_TERM_CONSTANT)
            lmb_str_printf(
                out, ", falling (%s)", lmb_term_schedules[t->schedule]);
        const char *what =
            t->epochs < f->config->train.epochs ? "stage" : "run";
        if (t->warmup > 0 && warms_too_long(t))
            lmb_str_printf(out,
                " (warm-up %g epochs, more than the %s has: method.warmup)",
                t->warmup, what);
        else if (t->warmup > 0)
            lmb_str_printf(out, " (warm-up %g epochs)", t->warmup);
    }
}

/* A line for each stage that differs from the one before. */
static void add_losses(lmb_str *out, const lmb_run_facts *f)
{
    for (int i = 0, last; i < f->n_stages; i = last + 1) {
        last = last_alike(f, i, same_loss);
        add_terms(out, f, &f->stages[i]);
        add_stage_numbers(out, " (", f, i, last, ")");
        lmb_str_add(out, "\n");
    }
}

static const char *pairs_of(const lmb_stage_facts *s)
{
    return s->pairs != NULL ? s->pairs : "";
}

static bool same_pairs(const lmb_stage_facts *a, const lmb_stage_facts *b)
{
    return strcmp(pairs_of(a), pairs_of(b)) == 0;
}

static void add_pairs(lmb_str *out, const lmb_run_facts *f)
{
    for (int i = 0, last; i < f->n_stages; i = last + 1) {
        last = last_alike(f, i, same_pairs);
        if (f->stages[i].n_terms == 0)
            continue;
        lmb_str_add(out, "pairs of taps (student <- teacher)");
        add_stage_numbers(out, ", ", f, i, last, "");
        lmb_str_printf(out, ":\n%s", pairs_of(&f->stages[i]));
    }
}

static void add_data(lmb_str *out, const lmb_run_facts *f)
{
    lmb_str_printf(out, "data       %s, %lld images to train on, %lld to %s\n",
        f->config->data, (long long)lmb_dataset_count(f->train) - f->left_out,
        (long long)lmb_dataset_count(f->test),
        f->chosen_on_test ? "test" : "choose on (held out)");
    if (f->left_out > 0)
        lmb_str_printf(out,
            "           %lld images without boxes are left out "
            "(--filter-empty=false keeps them)\n",
            (long long)f->left_out);
    if (lmb_task_is_detection(f->task))
        lmb_str_printf(out, "pictures   made to fit %d x %d\n",
            f->student->side[0], f->student->side[1]);
}

lmb_status cli_print_plan(const cli *c, const lmb_run *run)
{
    const lmb_run_facts f = lmb_run_describe(run);
    lmb_str out = {0};
    lmb_status st = LMB_OK;
    if (c->quiet)
        return LMB_OK;
    add_network(&out, "student", f.student);
    for (int i = 0; i < f.n_teachers; i++) {
        add_network(&out, "teacher", &f.teachers[i]);
        add_teacher_check(&out, &f, i);
    }
    add_data(&out, &f);
    add_schedule(&out, &f);
    add_precision(&out, &f);
    add_losses(&out, &f);
    add_stages(&out, &f);
    if (f.config->cache != NULL)
        lmb_str_printf(&out, "cache      %s\n", f.config->cache);
    add_pairs(&out, &f);
    if (f.resumed)
        lmb_str_printf(
            &out, "resumed    at step %lld\n", (long long)f.start_step);
    LMB_GOTO(lmb_str_status(&out), st, done);
    (void)fputs(out.text, stderr);
done:
    lmb_str_fini(&out);
    return st;
}

/* --- after ---------------------------------------------------------------- */

typedef struct gap {
    int cls;
    int64_t count;
    double student, teacher; /* percent */
} gap;

static int by_gap(const void *a, const void *b)
{
    const gap *x = a, *y = b;
    const double dx = x->student - x->teacher, dy = y->student - y->teacher;
    if (dx != dy)
        return dx < dy ? 1 : -1;
    return x->cls - y->cls;
}

/* Percent of a class that is right, or its AP; NaN if there is nothing of it.
 */
static double class_score(const lmb_eval_result *r, int i)
{
    if (r->class_ap != NULL)
        return r->class_ap[i] < 0 ? NAN : 100 * r->class_ap[i];
    return r->class_count[i] > 0
        ? 100 * (double)r->class_correct[i] / (double)r->class_count[i]
        : NAN;
}

static lmb_status make_gaps(const lmb_run_result *r, gap **out, int *n)
{
    gap *gaps = NULL;
    const int classes = r->student.classes < r->teacher.classes
        ? r->student.classes
        : r->teacher.classes;
    LMB_TRY(LMB_NEW(gaps, classes));
    *n = 0;
    for (int i = 0; i < classes; i++) {
        const gap g = {i, r->student.class_count[i],
            class_score(&r->student, i), class_score(&r->teacher, i)};
        if (!isnan(g.student) && !isnan(g.teacher))
            gaps[(*n)++] = g;
    }
    qsort(gaps, (size_t)*n, sizeof *gaps, by_gap);
    *out = gaps;
    return LMB_OK;
}

static void add_gap(lmb_str *out, const gap *g, const char *const *names)
{
    char number[24];
    (void)snprintf(number, sizeof number, "class %d", g->cls);
    lmb_str_printf(out, "  %-24s %8.1f %8.1f %+8.1f  (%lld)\n",
        names != NULL ? names[g->cls] : number, g->student, g->teacher,
        g->student - g->teacher, (long long)g->count);
}

/* The classes with the largest gains and losses against the teacher. */
static lmb_status add_classes(
    lmb_str *out, const lmb_run_facts *f, const lmb_run_result *r)
{
    enum { SHOWN = 5 };
    gap *gaps = NULL;
    int n = 0;
    if (r->teacher.count == 0)
        return LMB_OK;
    LMB_TRY(make_gaps(r, &gaps, &n));
    const char *const *names = lmb_dataset_class_names(f->test);
    lmb_str_printf(out, "\nby class, %-16s student  teacher     gap  (%s)\n",
        lmb_task_is_detection(f->task) ? "AP in percent" : "percent right",
        lmb_task_is_detection(f->task) ? "boxes" : "images");
    for (int i = 0; i < n; i++) {
        if (i == SHOWN && n > 2 * SHOWN)
            lmb_str_add(out, "  ...\n");
        if (i < SHOWN || i >= n - SHOWN)
            add_gap(out, &gaps[i], names);
    }
    lmb_free(gaps);
    return LMB_OK;
}

static void add_scores_json(
    lmb_str *out, const lmb_task *task, const char *which, const double *score)
{
    for (int i = 0; i < task->n_scores; i++) {
        lmb_str_printf(out, "\"%s%s\": ", which, task->score[i]);
        lmb_str_json_number(out, score[i]);
        lmb_str_add(out, ", ");
    }
}

static void add_result_json(
    lmb_str *out, const lmb_run_facts *f, const lmb_run_result *r)
{
    const double values[] = {
        (double)r->best_epoch, r->images_per_second, r->train_seconds};
    static const char *const keys[] = {
        "best_epoch", "images_per_second", "seconds"};
    lmb_str_add(out, "{");
    add_scores_json(out, f->task, "", r->last);
    add_scores_json(out, f->task, "best_", r->best);
    for (size_t i = 0; i < LMB_COUNT(values); i++) {
        lmb_str_printf(out, "\"%s\": ", keys[i]);
        lmb_str_json_number(out, values[i]);
        lmb_str_add(out, ", ");
    }
    if (f->held_out)
        add_scores_json(out, f->task, "test_", r->student.score);
    if (r->teacher.count > 0)
        add_scores_json(out, f->task, "teacher_", r->teacher.score);
    lmb_str_printf(out, "\"best_chosen_on_test\": %s, \"out\": ",
        f->chosen_on_test ? "true" : "false");
    lmb_str_json(out, f->config->out);
    lmb_str_add(out, "}\n");
}

/* One row of the table. */
static void add_scores(
    lmb_str *out, const lmb_task *task, const char *name, const double *score)
{
    lmb_str_printf(out, "%-7s", name);
    for (int i = 0; i < task->n_shown; i++)
        lmb_str_printf(out, " %8.*f", task->digits, score[i]);
}

static void add_binomial(lmb_str *out, double top1, int64_t images)
{
    const double n = images > 0 ? (double)images : 1, p = top1 / 100;
    lmb_str_printf(out, "   +- %.2f (binomial)", 100 * sqrt(p * (1 - p) / n));
}

static lmb_status add_result(
    lmb_str *out, const lmb_run_facts *f, const lmb_run_result *r)
{
    lmb_str_add(out, "\n       ");
    for (int i = 0; i < f->task->n_shown; i++)
        lmb_str_printf(out, " %8s", f->task->score[i]);
    const bool classes = !lmb_task_is_detection(f->task);
    lmb_str_add(out, "\n");
    add_scores(out, f->task, "last", r->last);
    if (classes)
        add_binomial(out, r->last[LMB_TOP1], lmb_dataset_count(f->test));
    lmb_str_add(out, "\n");
    add_scores(out, f->task, "best", r->best);
    lmb_str_printf(out, "   epoch %lld\n", (long long)r->best_epoch);
    if (f->held_out) {
        add_scores(out, f->task, "test", r->student.score);
        if (classes)
            add_binomial(out, r->student.score[LMB_TOP1], r->student.count);
        lmb_str_add(out, "\n");
    }
    if (r->teacher.count > 0) {
        add_scores(out, f->task, "teacher", r->teacher.score);
        lmb_str_add(out, "\n");
    }
    lmb_str_printf(out, "%.0f images/s\n", r->images_per_second);
    if (f->held_out)
        lmb_str_printf(out,
            "note: last and best are on the %lld images held out, test (the "
            "last epoch's student)%s on the test set\n",
            (long long)lmb_dataset_count(f->test),
            r->teacher.count > 0 ? " and teacher" : "");
    if (f->chosen_on_test)
        lmb_str_add(out,
            "note: best was chosen on the test set (--val-split F holds a "
            "part of the training set out for that)\n");
    return add_classes(out, f, r);
}

lmb_status cli_print_result(
    const cli *c, const lmb_run *run, const lmb_run_result *r)
{
    const lmb_run_facts f = lmb_run_describe(run);
    lmb_str out = {0};
    lmb_status st = LMB_OK;
    if (c->json) {
        add_result_json(&out, &f, r);
        LMB_TRY(cli_put_str(&out));
    }
    if (c->quiet)
        return LMB_OK;
    LMB_GOTO(add_result(&out, &f, r), st, done);
    LMB_GOTO(lmb_str_status(&out), st, done);
    (void)fputs(out.text, stderr);
done:
    lmb_str_fini(&out);
    return st;
}
