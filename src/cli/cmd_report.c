/* cmd_report.c: limbeck report RUN...: one HTML page about runs, or about what
 * the networks of one look at. */
#include "cli/cli.h"

#include "base/file.h"
#include "train/features.h"
#include "train/report.h"
#include "train/trainer.h"

enum { IMAGES = 4 };

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

/* --- features */

/* The configuration that the run was started with; it may have moved since. */
static lmb_status load_config(
    const cli *c, lmb_config *config, lmb_run_config *run)
{
    const char *dir = c->words[0];
    const char *path = lmb_arena_printf(c->arena, "%s/" LMB_RUN_CONFIG, dir);
    if (path == NULL)
        return LMB_FAIL(LMB_ENOMEM, "out of memory: path");
    if (!lmb_path_exists(path))
        return LMB_FAIL(
            LMB_ENOTFOUND, "%s is no run: there is no " LMB_RUN_CONFIG, dir);
    LMB_TRY(lmb_config_load(config, path));
    LMB_TRY(lmb_config_resolve(config, run));
    run->out = dir;
    run->cache = NULL;
    run->resume = true;
    run->train.teacher_check = 0;
    run->train.precision = LMB_PRECISION_F32; /* of any processor */
    run->train.loader_threads = 1;
    return LMB_OK;
}

static lmb_status put_features(const char *path)
{
    lmb_str text = {0};
    lmb_str_add(&text, "{\"features\": ");
    lmb_str_json(&text, path);
    lmb_str_add(&text, "}\n");
    return cli_put_str(&text);
}

static lmb_status write_features(const cli *c, const char *path)
{
    lmb_config config = {0};
    lmb_run_config run = {0};
    int64_t images = IMAGES;
    lmb_status st = LMB_OK;
    LMB_TRY(cli_i64(c, "images", 1, 1000, &images));
    LMB_GOTO(lmb_config_init(&config), st, done);
    LMB_GOTO(lmb_run_config_init(&run), st, done);
    LMB_GOTO(load_config(c, &config, &run), st, done);
    LMB_GOTO(lmb_features_write(path, &run, images), st, done);
    cli_note(c, "wrote %s", path);
    if (c->json)
        st = put_features(path);
done:
    lmb_run_config_fini(&run);
    lmb_config_fini(&config);
    return st;
}

/* --- the command */

static lmb_status name_page(const cli *c, const char *name, const char **out)
{
    *out = cli_value(c, "out");
    if (*out == NULL)
        *out = c->n_words == 1
            ? lmb_arena_printf(c->arena, "%s/%s", c->words[0], name)
            : name;
    if (*out == NULL)
        return LMB_FAIL(LMB_ENOMEM, "out of memory: path");
    return LMB_OK;
}

static lmb_status run(cli *c)
{
    const char *out = NULL;
    LMB_TRY(cli_need_words(c, 1, "RUN is"));
    if (cli_has(c, "features")) {
        if (c->n_words > 1)
            return LMB_FAIL(
                LMB_EUSAGE, "limbeck report: --features is about one run");
        LMB_TRY(name_page(c, "features.html", &out));
        return write_features(c, out);
    }
    if (cli_has(c, "images"))
        return LMB_FAIL(
            LMB_EUSAGE, "limbeck report: --images goes with --features");
    LMB_TRY(name_page(c, "report.html", &out));
    return write(c, out);
}

static const cli_flag flags[] = {
    {"out", "FILE", "the page (RUN/report.html; of several runs ./report.html)",
        "o", NULL},
    {"features", NULL,
        "detectors: attention, masks and differences over pictures "
        "(RUN/features.html)",
        NULL, NULL},
    {"images", "N", "of --features: how many pictures (4)", NULL, NULL},
    {0},
};

const cli_command cmd_report = {
    .name = "report",
    .usage = "RUN... [--out FILE] | --features RUN [--images N]",
    .title = "a page about runs: curves, tables, gaps by class",
    .flags = flags,
    .max_words = 256,
    .run = run,
};
