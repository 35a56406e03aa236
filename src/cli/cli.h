/* cli.h: the program's commands as rows of a table.
 *
 * A command is one file, cmd_<name>.c, with one row in commands.def: its
 * flags, its help and its function. Flags are spelt the same everywhere:
 * --flag value, --flag=value, dashes and underscores alike, any case; those
 * that set keys of the configuration (config_flags.c) are shared by all
 * commands that name them. Results go to standard output, all else to
 * standard error; errors are returned, main prints them. */
#ifndef LMB_CLI_CLI_H
#define LMB_CLI_CLI_H

#include "train/config.h"

#include <signal.h>
#include <stdio.h>

typedef struct cli_flag {
    const char *name; /* "teacher-weights" */
    const char *value; /* "FILE"; NULL: a switch */
    const char *help; /* one line */
    const char *aliases; /* "work-dir|o", one letter: -o; or NULL */
    const char *key; /* the configuration's key that it sets, or NULL */
} cli_flag;

typedef struct cli cli;

typedef struct cli_command {
    const char *name;
    const char *aliases; /* "val|test" or NULL */
    const char *usage; /* "--model NAME ... FILE", without "limbeck NAME" */
    const char *title; /* one line */
    const char *text; /* more help, or NULL */
    const cli_flag *flags; /* its own, ended by {0}; or NULL */
    /* Configuration flags it takes: names, "model|data|threads", "*" for all
     * of them, "*teacher|map" for all but those, or NULL. */
    const char *config;
    int max_words; /* positional arguments */
    lmb_status (*run)(cli *c);
} cli_command;

typedef struct cli_given {
    const cli_flag *flag;
    const char *spelled; /* "--lr", for messages */
    const char *value; /* "" for a switch */
} cli_given;

struct cli {
    const cli_command *command;
    lmb_arena *arena; /* freed by main */
    cli_flag *rows; /* flags of the training options, ended by {0} */
    cli_given *given;
    size_t n_given, capacity;
    const char **words;
    size_t n_words, words_capacity;
    bool json, quiet;
    int argc;
    char **argv;
};

/* --- commands.c */

const cli_command *const *cli_commands(int *count);
const cli_command *cli_command_find(const char *name); /* NULL if unknown */

/* --- args.c */

/* Reads argv[from..]. Errors: EUSAGE names the flag and the nearest one. */
lmb_status cli_parse(cli *c, int from) LMB_MUST_CHECK;
void cli_fini(cli *c);
/* Value of the last such flag, or NULL (also for flags with a key). */
const char *cli_value(const cli *c, const char *name);
bool cli_has(const cli *c, const char *name);
/* Parses a flag's value if it was given. EUSAGE names flag, value, rule. */
lmb_status cli_i64(const cli *c, const char *name, int64_t low, int64_t high,
    int64_t *inout) LMB_MUST_CHECK;
lmb_status cli_f64(const cli *c, const char *name, double low, double high,
    double *inout) LMB_MUST_CHECK;
/* EUSAGE "VERB needs --NAME" if it is missing. */
lmb_status cli_need(
    const cli *c, const char *name, const char **out) LMB_MUST_CHECK;
/* EUSAGE unless there are `count` words; `what` names them. */
lmb_status cli_need_words(
    const cli *c, size_t count, const char *what) LMB_MUST_CHECK;

/* --- config_flags.c */

/* Calls `visit` for each configuration flag that `names` selects. */
typedef void cli_flag_visit(void *user, const cli_flag *flag);
void cli_config_flags(
    const cli *c, const char *names, cli_flag_visit *visit, void *user);
/* The configuration flag of that spelling (without dashes), or NULL. */
const cli_flag *cli_config_flag_find(
    const cli *c, const char *names, const char *name);
/* Makes c->rows, the flags of the training options. */
lmb_status cli_config_flags_init(cli *c) LMB_MUST_CHECK;
/* Configuration from --config files, then --set and flags, in that order. */
lmb_status cli_config(const cli *c, lmb_config *config) LMB_MUST_CHECK;
/* The same, resolved. run is made by this call: lmb_run_config_fini. */
lmb_status cli_run_config(
    const cli *c, lmb_config *config, lmb_run_config *run) LMB_MUST_CHECK;

/* Makes both, resolves, calls `body`, frees. */
typedef lmb_status cli_body(const cli *c, const lmb_run_config *run);
lmb_status cli_with_config(const cli *c, cli_body *body) LMB_MUST_CHECK;

/* --- help.c */

void cli_help_overview(FILE *out);
lmb_status cli_help_command(
    const cli *c, const cli_command *command, FILE *out) LMB_MUST_CHECK;
/* Verbs and their flags as JSON: one, or all (NULL). */
lmb_status cli_help_json(const cli *c, const cli_command *only) LMB_MUST_CHECK;
/* The command line as one text, for manifests. */
void cli_command_line(const cli *c, lmb_str *out);

/* --- out.c */

/* Writes text to standard output. EIO if that fails. */
lmb_status cli_put(const char *text) LMB_MUST_CHECK;
/* Writes it and frees it; ENOMEM if it failed to grow. */
lmb_status cli_put_str(lmb_str *text) LMB_MUST_CHECK;
/* Closes an array of JSON that was begun, also after an error, so that what was
 * found before it is whole; returns `st`, or what closing gave. */
lmb_status cli_end_list(lmb_status st) LMB_MUST_CHECK;
/* A line on standard error unless --quiet. */
void cli_note(const cli *c, const char *fmt, ...) LMB_PRINTF(2, 3);
/* Is standard error a terminal? */
bool cli_terminal(void);
/* Its columns; 80 if it does not say. */
int cli_terminal_width(void);

/* --- signals.c */

/* SIGINT and SIGTERM set a flag; a second one leaves at once. */
lmb_status cli_catch_signals(void) LMB_MUST_CHECK;
/* A file over the limit on its size is a failed write, not the end. */
void cli_report_full_files(void);
/* The flag: the signal's number, or 0. */
const volatile sig_atomic_t *cli_signal(void);

#endif
