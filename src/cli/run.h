/* run.h: what `train` and `distill` share. */
#ifndef LMB_CLI_RUN_H
#define LMB_CLI_RUN_H

#include "cli/cli.h"
#include "train/trainer.h"

/* Configures, opens, trains and finishes a run, with its tables and progress.
 */
lmb_status cli_run_train(cli *c, bool distil) LMB_MUST_CHECK;

/* --- progress.c */

typedef struct cli_progress {
    const cli *c;
    const lmb_config *config; /* with origins, for config.yaml */
    int64_t log_every;
    double last_line; /* seconds; when the terminal's line was redrawn */
    double eval_begun, eval_line; /* the same of an evaluation */
    bool line_open; /* a line without its end is on the terminal */
} cli_progress;

/* Fills the calls; `p` must outlive the run. */
void cli_progress_observer(cli_progress *p, lmb_observer *out);
/* lmb_eval_spec.on_images: a bar on a terminal, elsewhere a line a minute;
 * user: a cli_progress. */
void cli_progress_images(int64_t done, int64_t count, void *user);
/* Ends an open line of the terminal. */
void cli_progress_end(cli_progress *p);

/* --- summary.c */

/* The tables before the first step, and after the last. */
lmb_status cli_print_plan(const cli *c, const lmb_run *run) LMB_MUST_CHECK;
lmb_status cli_print_result(const cli *c, const lmb_run *run,
    const lmb_run_result *result) LMB_MUST_CHECK;

#endif
