/* main.c: limbeck VERB ...: finds the command, runs it, reports its error.
 *
 * Exit status: 0 done; 1 failed; 2 wrong usage; 3 a loss or weight became
 * non-finite; 128 + signal when one has stopped the run. */
#include "cli/cli.h"
#include "cli/cli_impl.h"

#include "base/log.h"

#include <string.h>

static int exit_status(lmb_status st)
{
    switch (st) {
    case LMB_OK:
        return 0;
    case LMB_EINVAL:
    case LMB_EUSAGE:
        return 2;
    case LMB_ENUMERIC:
        return 3;
    case LMB_EINTERRUPTED:
        return *cli_signal() != 0 ? 128 + *cli_signal() : 1;
    default:
        return 1;
    }
}

static lmb_status unknown_verb(const char *verb)
{
    enum { MOST = 64 };
    const char *names[MOST];
    int count = 0;
    const cli_command *const *all = cli_commands(&count);
    for (int i = 0; i < count && i < MOST; i++)
        names[i] = all[i]->name;
    const char *near = lmb_str_nearest(verb, names, (size_t)count);
    if (near != NULL)
        return LMB_FAIL(LMB_EUSAGE,
            "limbeck: unknown verb '%s'; did you mean '%s'?", verb, near);
    return LMB_FAIL(LMB_EUSAGE,
        "limbeck: unknown verb '%s'; `limbeck help` lists them", verb);
}

/* "--help" and "--version" are verbs, too. */
static const char *verb_of(const char *arg)
{
    if (strcmp(arg, "-h") == 0 || strcmp(arg, "--help") == 0)
        return "help";
    if (strcmp(arg, "-V") == 0 || strcmp(arg, "--version") == 0)
        return "version";
    return arg;
}

static lmb_status run(cli *c)
{
    if (c->argc < 2) {
        cli_help_overview(stderr);
        return LMB_FAIL(LMB_EUSAGE, "limbeck: a verb is missing");
    }
    const char *verb = verb_of(c->argv[1]);
    c->command = cli_command_find(verb);
    if (c->command == NULL)
        return unknown_verb(verb);
    LMB_TRY(lmb_arena_new(&c->arena));
    LMB_TRY(cli_config_flags_init(c));
    LMB_TRY(cli_parse(c, 2));
    if (cli_has(c, "help"))
        return cli_help_command(c, c->command, stdout);
    return c->command->run(c);
}

static void print_log(lmb_log_level level, const char *text, void *user)
{
    const cli *c = user;
    if (c->quiet)
        return; /* errors alone, which are no log */
    if (level == LMB_LOG_WARNING)
        (void)fprintf(stderr, "warning: %s\n", text);
    else if (level == LMB_LOG_INFO)
        (void)fprintf(stderr, "%s\n", text);
}

/* Messages about the command line name the program already. */
static void print_error(const char *text)
{
    const bool named = strncmp(text, "limbeck", strlen("limbeck")) == 0;
    (void)fprintf(stderr, "%s%s\n", named ? "" : "limbeck: ", text);
}

int main(int argc, char **argv)
{
    cli c = {.argc = argc, .argv = argv};
    lmb_log_set(print_log, &c);
    cli_report_full_files();
    const lmb_status st = run(&c);
    const int code = exit_status(st);
    if (st != LMB_OK)
        print_error(lmb_last_error());
    cli_fini(&c);
    return code;
}
