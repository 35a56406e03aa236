/* cmd_train.c: limbeck train: a network on its own, also to make teachers. */
#include "cli/run.h"

static const cli_flag flags[] = {
    {"resume", NULL, "go on exactly where the run in --out stopped", NULL,
        NULL},
    {0},
};

static lmb_status run(cli *c)
{
    return cli_run_train(c, false);
}

const cli_command cmd_train = {
    .name = "train",
    .usage = "--model NAME --data KIND:DIR --out RUN [flags]",
    .title = "trains a network without a teacher",
    .flags = flags,
    .config = "*student|teacher|teacher-weights|teacher-mean|teacher-std|"
              "teacher-input|method|temperature|map|ce-weight|teacher-check|"
              "cache|inherit",
    .run = run,
};
