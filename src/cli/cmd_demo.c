/* cmd_demo.c: limbeck demo: the whole job on generated pictures.
 *
 * A teacher is trained, then the same student alone, with KD and with PCD;
 * all four from the same seed, with the same number of epochs. What comes out
 * is printed as it is. */
#include "cli/run.h"

#include "base/file.h"
#include "train/report.h"

#include <math.h>
#include <string.h>

enum { RUNS = 4 };

static const struct {
    const char *name, *model, *method;
} runs[RUNS] = {
    {"teacher", "resnet20", NULL},
    {"alone", "resnet8", NULL},
    {"kd", "resnet8", "kd"},
    {"pcd", "resnet8", "pcd"},
};

static const cli_flag flags[] = {
    {"epochs", "N", "epochs of each of the four runs (8)", NULL, NULL},
    {"seed", "N", "seed of all four (0)", NULL, NULL},
    {"fraction", "F", "part of the 20,000 generated pictures (0.6)", NULL,
        NULL},
    {0},
};

typedef struct demo {
    const cli *c;
    const char *out;
    int64_t epochs, seed;
    double fraction;
    struct {
        double top1, top5, images_per_second;
        int64_t parameters, count;
        const char *dir;
    } row[RUNS];
} demo;

static lmb_status set_integer(
    lmb_config *config, const char *key, int64_t value)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%lld", (long long)value);
    return lmb_config_set(config, key, text, "demo");
}

static lmb_status configure(demo *d, int i, lmb_config *config)
{
    char text[64];
    LMB_TRY(lmb_config_set(config, "student", runs[i].model, "demo"));
    LMB_TRY(lmb_config_set(config, "data.spec", "shapes", "demo"));
    LMB_TRY(set_integer(config, "train.epochs", d->epochs));
    LMB_TRY(set_integer(config, "train.seed", d->seed));
    LMB_TRY(set_integer(config, "train.eval_every", d->epochs));
    (void)snprintf(text, sizeof text, "%.17g", d->fraction);
    LMB_TRY(lmb_config_set(config, "train.fraction", text, "demo"));
    LMB_TRY(lmb_config_set(config, "out", d->row[i].dir, "demo"));
    if (runs[i].method == NULL)
        return LMB_OK;
    const char *weights =
        lmb_arena_printf(d->c->arena, "%s/%s", d->row[0].dir, LMB_RUN_STUDENT);
    LMB_TRY(lmb_config_set(
        config, "teachers.0.weights", weights != NULL ? weights : "", "demo"));
    LMB_TRY(lmb_config_set(config, "methods.0.name", runs[i].method, "demo"));
    /* 20 of 240 epochs in mdistiller: the same part of ours. */
    (void)snprintf(text, sizeof text, "%.17g",
        runs[i].method[0] == 'p' ? 20.0 / 240 * (double)d->epochs : 0);
    return lmb_config_set(config, "methods.0.warmup", text, "demo");
}

static lmb_status run_one(demo *d, int i, lmb_config *config,
    lmb_run_config *run_config, lmb_run **run, lmb_run_result *result)
{
    cli_progress progress = {.c = d->c, .config = config};
    lmb_observer observer;
    LMB_TRY(lmb_config_init(config));
    LMB_TRY(lmb_run_config_init(run_config));
    LMB_TRY(configure(d, i, config));
    LMB_TRY(lmb_config_resolve(config, run_config));
    cli_progress_observer(&progress, &observer);
    LMB_TRY(lmb_run_open(run_config, &observer, run));
    const lmb_status st = lmb_run_train(*run);
    cli_progress_end(&progress);
    LMB_TRY(st);
    LMB_TRY(lmb_run_finish(*run, result));
    const lmb_run_facts f = lmb_run_describe(*run);
    d->row[i].top1 = result->student.score[LMB_TOP1];
    d->row[i].top5 = result->student.score[LMB_TOP5];
    d->row[i].count = result->student.count;
    d->row[i].images_per_second = result->images_per_second;
    d->row[i].parameters = lmb_params_trainable(f.student->params);
    return LMB_OK;
}

static lmb_status train(demo *d, int i)
{
    lmb_config config = {0};
    lmb_run_config run_config = {0};
    lmb_run *run = NULL;
    lmb_run_result result = {0};
    cli_note(d->c, "\n== %s: %s%s%s", runs[i].name, runs[i].model,
        runs[i].method != NULL ? " taught with " : " alone",
        runs[i].method != NULL ? runs[i].method : "");
    const lmb_status st = run_one(d, i, &config, &run_config, &run, &result);
    lmb_run_result_fini(&result);
    lmb_run_free(run);
    lmb_run_config_fini(&run_config);
    lmb_config_fini(&config);
    return st;
}

/* --- the table */

/* Standard error of a share of n, in percent. */
static double binomial_error(double percent, int64_t n)
{
    const double p = percent / 100;
    return 100 * sqrt(p * (1 - p) / (double)n);
}

static lmb_status print_table(const demo *d)
{
    lmb_str out = {0};
    lmb_str_printf(&out, "%-8s %-9s %6s %-7s %7s %10s %11s\n", "run", "network",
        "top-1", "  +-", "top-5", "images/s", "parameters");
    for (int i = 0; i < RUNS; i++)
        lmb_str_printf(&out, "%-8s %-9s %6.2f  %5.2f %7.2f %10.0f %11lld\n",
            runs[i].name, runs[i].model, d->row[i].top1,
            binomial_error(d->row[i].top1, d->row[i].count), d->row[i].top5,
            d->row[i].images_per_second, (long long)d->row[i].parameters);
    lmb_str_printf(&out,
        "\ntop-1 and top-5 in percent of %lld test pictures after the last "
        "epoch; +- is one\nbinomial standard error; images/s while "
        "training.\n",
        (long long)d->row[0].count);
    for (int i = 0; i < RUNS; i++)
        lmb_str_printf(
            &out, "%-8s %s/%s\n", runs[i].name, d->row[i].dir, LMB_RUN_STUDENT);
    lmb_str_printf(&out, "%-8s %s/report.html\n", "report", d->out);
    return cli_put_str(&out);
}

static lmb_status write_report(const demo *d)
{
    const char *dirs[RUNS];
    for (int i = 0; i < RUNS; i++)
        dirs[i] = d->row[i].dir;
    const char *path = lmb_arena_printf(d->c->arena, "%s/report.html", d->out);
    if (path == NULL)
        return LMB_FAIL(LMB_ENOMEM, "out of memory: path");
    return lmb_report_write(path, RUNS, dirs, NULL);
}

static lmb_status run(cli *c)
{
    demo d = {.c = c, .out = cli_value(c, "out"), .epochs = 8, .fraction = 0.6};
    if (d.out == NULL)
        d.out = "runs/demo";
    LMB_TRY(cli_i64(c, "epochs", 1, 100000, &d.epochs));
    LMB_TRY(cli_i64(c, "seed", 0, INT64_MAX, &d.seed));
    LMB_TRY(cli_f64(c, "fraction", 1e-6, 1, &d.fraction));
    if (lmb_path_exists(d.out))
        return LMB_FAIL(
            LMB_EUSAGE, "%s exists: remove it, or name another --out", d.out);
    for (int i = 0; i < RUNS; i++) {
        d.row[i].dir = lmb_arena_printf(c->arena, "%s/%s", d.out, runs[i].name);
        if (d.row[i].dir == NULL)
            return LMB_FAIL(LMB_ENOMEM, "out of memory: path");
    }
    LMB_TRY(cli_catch_signals());
    for (int i = 0; i < RUNS; i++)
        LMB_TRY(train(&d, i));
    LMB_TRY(write_report(&d));
    return print_table(&d);
}

const cli_command cmd_demo = {
    .name = "demo",
    .usage = "[--out DIR] [--epochs N] [--seed N]",
    .title = "the whole job on generated pictures, in minutes",
    .text = "Trains a resnet20 on 100 classes of generated shapes, then a "
            "resnet8 alone, with KD\nand with PCD, and prints how they "
            "compare.\n",
    .flags = flags,
    .config = "out",
    .run = run,
};
