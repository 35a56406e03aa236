/* cmd_report.c: limbeck report RUN...: one HTML page about runs. */
#include "cli/cli.h"

#include "train/report.h"

static lmb_status write(const cli *c, const char *path)
{
    lmb_str text = {0};
    lmb_str_add(&text, "{\"report\": ");
    lmb_str_json(&text, path);
    lmb_str_add(&text, ", \"runs\": ");
    const lmb_status st = lmb_report_write(
        path, (int)c->n_words, c->words, c->json ? &text : NULL);
    if (st == LMB_OK)
        cli_note(c, "wrote %s", path);
    if (st != LMB_OK || !c->json) {
        lmb_str_fini(&text);
        return st;
    }
    lmb_str_add(&text, "}\n");
    return cli_put_str(&text);
}

static lmb_status run(cli *c)
{
    const char *out = cli_value(c, "out");
    LMB_TRY(cli_need_words(c, 1, "RUN is"));
    if (out == NULL) {
        out = c->n_words == 1
            ? lmb_arena_printf(c->arena, "%s/report.html", c->words[0])
            : "report.html";
        if (out == NULL)
            return LMB_FAIL(LMB_ENOMEM, "out of memory: path");
    }
    return write(c, out);
}

static const cli_flag flags[] = {
    {"out", "FILE", "the page (RUN/report.html; of several runs ./report.html)",
        "o", NULL},
    {0},
};

const cli_command cmd_report = {
    .name = "report",
    .usage = "RUN... [--out FILE]",
    .title = "a page about runs: curves, tables, gaps by class",
    .flags = flags,
    .max_words = 256,
    .run = run,
};
