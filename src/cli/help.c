/* help.c: help texts, from the tables of commands, flags and options. */
#include "cli/cli.h"
#include "cli/cli_impl.h"

#include <string.h>

void cli_help_overview(FILE *out)
{
    int count = 0;
    const cli_command *const *all = cli_commands(&count);
    (void)fputs("limbeck: knowledge distillation for vision networks\n\n"
                "usage: limbeck VERB [flags]\n\n",
        out);
    for (int i = 0; i < count; i++)
        (void)fprintf(out, "  %-10s %s\n", all[i]->name, all[i]->title);
    (void)fputs("\n`limbeck help VERB` says all about a verb, `limbeck help "
                "METHOD` about a method,\n`limbeck help config` about "
                "configuration files.\n",
        out);
}

/* " (also --workers, --num-workers)": spellings of more than one letter. */
static void add_aliases(lmb_str *out, const char *at)
{
    bool any = false;
    while (at != NULL && *at != '\0') {
        const size_t n = strcspn(at, "|");
        if (n > 1) {
            lmb_str_add(out, any ? ", --" : " (also --");
            for (size_t i = 0; i < n; i++)
                lmb_str_add_bytes(out, at[i] == '_' ? "-" : at + i, 1);
            any = true;
        }
        at += n;
        at += *at == '|';
    }
    lmb_str_add(out, any ? ")" : "");
}

static void add_flag(void *user, const cli_flag *flag)
{
    lmb_str *out = user;
    lmb_str left = {0};
    const char *at = flag->aliases;
    lmb_str_add(&left, "  ");
    if (at != NULL && at[0] != '\0' && (at[1] == '|' || at[1] == '\0'))
        lmb_str_printf(&left, "-%c, ", at[0]);
    lmb_str_printf(&left, "--%s", flag->name);
    if (flag->value != NULL)
        lmb_str_printf(&left, " %s", flag->value);
    lmb_str_printf(
        out, "%-32s %s", left.text != NULL ? left.text : "", flag->help);
    add_aliases(out, flag->aliases);
    lmb_str_add(out, "\n");
    lmb_str_fini(&left);
}

static void add_methods(lmb_str *out)
{
    int count = 0;
    const lmb_method *const *all = lmb_methods(&count);
    for (int i = 0; i < count; i++) {
        lmb_str_printf(out, "\n%s: %s (weight %g, beside cross-entropy %g)\n",
            all[i]->name, all[i]->title, all[i]->weight, all[i]->ce_weight);
        lmb_opt_help(all[i]->opts, out);
    }
}

lmb_status cli_help_command(const cli *c, const cli_command *command, FILE *out)
{
    lmb_str text = {0};
    lmb_str_printf(&text, "limbeck %s: %s\n\nusage: limbeck %s %s\n",
        command->name, command->title, command->name, command->usage);
    if (command->text != NULL)
        lmb_str_printf(&text, "\n%s\n", command->text);
    lmb_str_add(&text, "\nflags:\n");
    for (const cli_flag *f = command->flags; f && f->name != NULL; f++)
        add_flag(&text, f);
    cli_config_flags(c, command->config, add_flag, &text);
    for (const cli_flag *f = cli_common_flags(); f->name != NULL; f++)
        add_flag(&text, f);
    if (strcmp(command->name, "train") == 0 ||
        strcmp(command->name, "distill") == 0) {
        lmb_str_add(&text,
            "\nkeys of `train:`, their defaults and ranges (a detector's run "
            "has others for\nepochs, batch, lr, weight_decay, clip_norm, "
            "warmup_epochs: docs/detection.md):\n");
        lmb_opt_help(lmb_train_opts_table, &text);
    }
    if (strcmp(command->name, "distill") == 0 ||
        strcmp(command->name, "loss") == 0) {
        lmb_str_add(
            &text, "\nmethods and their options (--set method.KEY=VALUE):\n");
        if (strcmp(command->name, "distill") == 0)
            lmb_str_add(&text,
                "(all of them also have weight, warmup (epochs) and schedule, "
                "by which the weight\nfalls: constant, linear or cosine)\n");
        add_methods(&text);
    }
    const lmb_status st = lmb_str_status(&text);
    if (st == LMB_OK)
        (void)fputs(text.text, out);
    lmb_str_fini(&text);
    return st;
}

/* --- for tools (completion, checks) */

static void flag_json(void *user, const cli_flag *flag)
{
    lmb_str *out = user;
    /* A comma unless it is the first of its list. */
    lmb_str_add(out, out->text[out->length - 1] == '[' ? "" : ", ");
    lmb_str_add(out, "{\"name\": ");
    lmb_str_json(out, flag->name);
    lmb_str_add(out, ", \"value\": ");
    if (flag->value != NULL)
        lmb_str_json(out, flag->value);
    else
        lmb_str_add(out, "null");
    lmb_str_add(out, ", \"aliases\": ");
    lmb_str_json(out, flag->aliases != NULL ? flag->aliases : "");
    lmb_str_add(out, ", \"help\": ");
    lmb_str_json(out, flag->help);
    lmb_str_add(out, "}");
}

static void command_json(
    const cli *c, const cli_command *command, bool first, lmb_str *out)
{
    lmb_str_add(out, first ? "\n{\"name\": " : ",\n{\"name\": ");
    lmb_str_json(out, command->name);
    lmb_str_add(out, ", \"title\": ");
    lmb_str_json(out, command->title);
    lmb_str_add(out, ", \"usage\": ");
    lmb_str_json(out, command->usage);
    lmb_str_add(out, ", \"flags\": [");
    for (const cli_flag *f = command->flags; f && f->name != NULL; f++)
        flag_json(out, f);
    cli_config_flags(c, command->config, flag_json, out);
    for (const cli_flag *f = cli_common_flags(); f->name != NULL; f++)
        flag_json(out, f);
    lmb_str_add(out, "]}");
}

lmb_status cli_help_json(const cli *c, const cli_command *only)
{
    int count = 0;
    lmb_str out = {0};
    const cli_command *const *all = cli_commands(&count);
    lmb_str_add(&out, "[");
    LMB_TRY(lmb_str_status(&out));
    bool first = true;
    for (int i = 0; i < count && !out.failed; i++) {
        if (only != NULL && all[i] != only)
            continue;
        command_json(c, all[i], first, &out);
        first = false;
    }
    lmb_str_add(&out, "\n]\n");
    return cli_put_str(&out);
}

void cli_command_line(const cli *c, lmb_str *out)
{
    for (int i = 0; i < c->argc; i++) {
        const bool plain = c->argv[i][0] != '\0' &&
            strpbrk(c->argv[i], " \t\n'\"\\$*?&|;<>()[]{}#~`!") == NULL;
        lmb_str_add(out, i > 0 ? " " : "");
        lmb_str_add(out, plain ? "" : "'");
        for (const char *at = c->argv[i]; *at != '\0'; at++) {
            if (*at == '\'')
                lmb_str_add(out, "'\\''");
            else
                lmb_str_add_bytes(out, at, 1);
        }
        lmb_str_add(out, plain ? "" : "'");
    }
}
