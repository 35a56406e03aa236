/* run.c: the life of a run, from the command line to the last table. */
#include "cli/run.h"

#include "base/file.h"
#include "cli/cli_impl.h"
#include "train/runlog.h"

#include <string.h>

/* `train` has no teacher, `distill` needs one and a method. */
static lmb_status check_kind(const lmb_run_config *run, bool distil)
{
    if (run->student == NULL)
        return LMB_FAIL(LMB_EUSAGE, "limbeck: --%s is missing",
            distil ? "student" : "model");
    if (run->data == NULL)
        return LMB_FAIL(LMB_EUSAGE, "limbeck: --data KIND:DIR is missing");
    if (run->out == NULL)
        return LMB_FAIL(LMB_EUSAGE, "limbeck: --out RUN is missing");
    if (!distil && (run->n_methods > 0 || run->n_teachers > 0))
        return LMB_FAIL(LMB_EUSAGE,
            "limbeck train: a %s is configured; `limbeck distill` uses it",
            run->n_methods > 0 ? "method" : "teacher");
    if (distil && run->n_methods == 0)
        return LMB_FAIL(LMB_EUSAGE, "limbeck distill: --method is missing");
    if (distil && (run->n_teachers == 0 || run->teachers[0].weights == NULL))
        return LMB_FAIL(
            LMB_EUSAGE, "limbeck distill: --teacher-weights is missing");
    return LMB_OK;
}

/* --- going on with a run */

/* The configuration that RUN was started with, then what the command line
 * adds, which may change nothing that matters. */
static lmb_status resume_config(
    const cli *c, lmb_config *config, lmb_run_config *run)
{
    const char *out = NULL;
    lmb_str path = {0};
    lmb_run_config before = {0};
    lmb_status st = LMB_OK;
    LMB_TRY(cli_need(c, "out", &out));
    lmb_str_printf(&path, "%s/" LMB_RUN_CONFIG, out);
    LMB_GOTO(lmb_str_status(&path), st, done);
    if (!lmb_path_exists(path.text))
        LMB_GOTO(LMB_FAIL(LMB_ENOTFOUND, "%s: nothing to resume: no %s", out,
                     LMB_RUN_CONFIG),
            st, done);
    LMB_GOTO(lmb_config_load(config, path.text), st, done);
    LMB_GOTO(lmb_run_config_init(&before), st, done);
    LMB_GOTO(lmb_config_resolve(config, &before), st, done);
    LMB_GOTO(cli_config(c, config), st, done);
    LMB_GOTO(lmb_config_resolve(config, run), st, done);
    LMB_GOTO(lmb_config_same_run(&before, run), st, done);
    /* Of 1 and of nothing, which are the same, the state's hash differs. */
    for (int i = 0; i < run->n_teachers; i++)
        run->teachers[i].input = before.teachers[i].input;
done:
    lmb_run_config_fini(&before);
    lmb_str_fini(&path);
    return st;
}

/* Before the long work: can it be written, and read by --resume? */
static lmb_status check_text(
    const lmb_run_config *run, const lmb_config *config)
{
    lmb_str text = {0};
    const lmb_status st = lmb_config_text(run, config, &text);
    lmb_str_fini(&text);
    return st;
}

static lmb_status configure(
    const cli *c, bool distil, lmb_config *config, lmb_run_config *run)
{
    LMB_TRY(lmb_config_init(config));
    LMB_TRY(lmb_run_config_init(run));
    const bool resume = cli_has(c, "resume");
    if (resume)
        LMB_TRY(resume_config(c, config, run));
    else
        LMB_TRY(cli_run_config(c, config, run));
    run->resume = resume;
    run->force = cli_has(c, "force");
    /* Either verb goes on with any run. */
    LMB_TRY(check_kind(run, resume ? run->n_methods > 0 : distil));
    return resume ? LMB_OK : check_text(run, config);
}

/* --- the run */

static lmb_status train(const cli *c, cli_progress *progress,
    const lmb_run_config *config, lmb_run **run, lmb_run_result *result)
{
    lmb_observer observer;
    cli_progress_observer(progress, &observer);
    LMB_TRY(cli_catch_signals());
    LMB_TRY(lmb_run_open(config, &observer, run));
    const lmb_status st = lmb_run_train(*run);
    cli_progress_end(progress);
    LMB_TRY(st);
    LMB_TRY(lmb_run_finish(*run, result));
    return cli_print_result(c, *run, result);
}

lmb_status cli_run_train(cli *c, bool distil)
{
    lmb_config config = {0};
    lmb_run_config run_config = {0};
    lmb_run *run = NULL;
    lmb_run_result result = {0};
    cli_progress progress = {.c = c, .config = &config};
    lmb_status st = LMB_OK;
    LMB_GOTO(configure(c, distil, &config, &run_config), st, done);
    progress.log_every = run_config.train.log_every;
    LMB_GOTO(train(c, &progress, &run_config, &run, &result), st, done);
done:
    cli_progress_end(&progress);
    lmb_run_result_fini(&result);
    lmb_run_free(run);
    lmb_run_config_fini(&run_config);
    lmb_config_fini(&config);
    return st;
}
