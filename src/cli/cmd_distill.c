/* cmd_distill.c: limbeck distill: a student from a teacher. */
#include "cli/run.h"

static const cli_flag flags[] = {
    {"resume", NULL, "go on exactly where the run in --out stopped", NULL,
        NULL},
    {"force", NULL, "go on with a teacher at chance level", NULL, NULL},
    {0},
};

static lmb_status run(cli *c)
{
    return cli_run_train(c, true);
}

const cli_command cmd_distill = {
    .name = "distill",
    .usage = "--student NAME --teacher NAME --teacher-weights FILE "
             "--data KIND:DIR --method NAME --out RUN [flags]",
    .title = "trains a student with the help of a teacher",
    .flags = flags,
    .config = "*",
    .run = run,
};
