/* cmd_data.c: limbeck data get NAME DIR: fetches a public data set. */
#include "cli/cli.h"

#include "data/fetch.h"

#include <string.h>

static const cli_flag flags[] = {
    {"url", "BASE", "fetch from here instead of the public address", NULL,
        NULL},
    {0},
};

static bool on_progress(int64_t done, int64_t total, void *user)
{
    const cli *c = user;
    if (!c->quiet && cli_terminal()) {
        (void)fprintf(stderr, "\r\033[K%.1f MiB", (double)done / (1 << 20));
        if (total > 0)
            (void)fprintf(stderr, " of %.1f, %.0f %%",
                (double)total / (1 << 20), 100 * (double)done / (double)total);
    }
    return *cli_signal() == 0;
}

/* What --data calls a set that was fetched under `name`, in any case. */
static const char *kind_of(const char *name)
{
    for (int i = 0; lmb_fetch_name(i) != NULL; i++)
        if (lmb_str_equal_nocase(lmb_fetch_name(i), name))
            name = lmb_fetch_name(i);
    return strstr(name, "mnist") != NULL ? "idx" : name;
}

static lmb_status print_json(const char *kind, const char *dir)
{
    lmb_str spec = {0}, out = {0};
    lmb_str_printf(&spec, "%s:%s", kind, dir);
    lmb_str_add(&out, "{\"data\": ");
    lmb_str_json(&out, spec.text != NULL ? spec.text : "");
    lmb_str_add(&out, "}\n");
    lmb_str_fini(&spec);
    return cli_put_str(&out);
}

static lmb_status run(cli *c)
{
    LMB_TRY(cli_need_words(c, 1, "'get' is"));
    if (strcmp(c->words[0], "get") != 0)
        return LMB_FAIL(LMB_EUSAGE,
            "limbeck data: '%s' is not known; it is `data get NAME DIR`",
            c->words[0]);
    LMB_TRY(cli_need_words(c, 3, "NAME and DIR are"));
    LMB_TRY(cli_catch_signals());
    const lmb_status st = lmb_fetch(
        c->words[1], c->words[2], cli_value(c, "url"), on_progress, c);
    if (!c->quiet && cli_terminal())
        (void)fputs("\r\033[K", stderr);
    LMB_TRY(st);
    const char *kind = kind_of(c->words[1]);
    cli_note(c, "%s: ready; use --data %s:%s", c->words[2], kind, c->words[2]);
    return c->json ? print_json(kind, c->words[2]) : LMB_OK;
}

const cli_command cmd_data = {
    .name = "data",
    .usage = "get cifar10 | cifar100 | mnist | fashion-mnist DIR",
    .title = "fetches a public data set and checks its checksum",
    .flags = flags,
    .max_words = 3,
    .run = run,
};
