/* cmd_config.c: limbeck config show: the merged configuration and where each
 * value comes from. */
#include "cli/cli.h"
#include "cli/cli_impl.h"

#include <string.h>

static lmb_status show(const cli *c)
{
    lmb_config config = {0};
    lmb_run_config run = {0};
    lmb_str out = {0};
    lmb_status st = LMB_OK;
    LMB_GOTO(lmb_config_init(&config), st, done);
    LMB_GOTO(lmb_run_config_init(&run), st, done);
    for (size_t i = 1; i < c->n_words; i++)
        LMB_GOTO(lmb_config_load(&config, c->words[i]), st, done);
    LMB_GOTO(cli_run_config(c, &config, &run), st, done);
    LMB_GOTO(lmb_config_dump(&run, &config, &out), st, done);
    LMB_GOTO(cli_put(out.text), st, done);
done:
    lmb_str_fini(&out);
    lmb_run_config_fini(&run);
    lmb_config_fini(&config);
    return st;
}

static lmb_status run(cli *c)
{
    LMB_TRY(cli_need_words(c, 1, "'show' is"));
    if (strcmp(c->words[0], "show") != 0)
        return LMB_FAIL(LMB_EUSAGE,
            "limbeck config: '%s' is not known; it is `config show`",
            c->words[0]);
    return show(c);
}

const cli_command cmd_config = {
    .name = "config",
    .usage = "show [FILE...] [flags]",
    .title = "the configuration that files and flags make, with origins",
    .config = "*",
    .max_words = 32,
    .run = run,
};
