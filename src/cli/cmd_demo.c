/* cmd_demo.c: limbeck demo: the whole job on generated pictures.
 *
 * A teacher is trained, then the same student alone, with KD and with PCD,
 * which reads what KD's run kept of the teacher's logits; then a detector, and
 * a smaller one alone, with PKD and with DFMSD. All runs have the same seed,
 * all students of a task the same number of epochs, and its teacher half as
 * many again: a teacher is a network that had its time. What comes out is
 * printed as it is. */
#include "cli/run.h"

#include "base/file.h"
#include "train/report.h"

#include <math.h>
#include <string.h>

enum { RUNS = 8, FIRST_DETECTOR = 4 };

#define DETECTOR(width) \
    "gfl_r18_fpn:width=" width ",fpn_channels=64,head_convs=1," \
    "norm_eval=false,frozen_stages=-1"

static const struct {
    const char *name, *model, *shown, *method;
} runs[RUNS] = {
    {"teacher", "resnet14", "resnet14", NULL},
    {"alone", "resnet8", "resnet8", NULL},
    {"kd", "resnet8", "resnet8", "kd"},
    {"pcd", "resnet8", "resnet8", "pcd"},
    {"det-teacher", DETECTOR("0.5"), "GFL 1/2", NULL},
    {"det-alone", DETECTOR("0.25"), "GFL 1/4", NULL},
    {"det-pkd", DETECTOR("0.25"), "GFL 1/4", "pkd"},
    {"det-dfmsd", DETECTOR("0.25"), "GFL 1/4", "dfmsd"},
};

/* What the runs of a task have in common, but the number of epochs. */
typedef struct setting {
    const char *key, *value;
} setting;
static const setting of_images[] = {{"data.spec", "shapes"},
    {"train.batch", "32"}, {"train.optimizer", "adamw"}, {"train.lr", "0.01"},
    {"train.schedule", "cosine"}, {"train.warmup_epochs", "1"}, {NULL, NULL}};
static const setting of_scenes[] = {{"data.spec", "scenes"},
    {"data.size", "96"}, {"data.classes", "4"}, {"train.batch", "4"},
    {"train.optimizer", "adamw"}, {"train.lr", "0.001"},
    {"train.weight_decay", "0.01"}, {"train.schedule", "cosine"},
    {"train.warmup_epochs", "1"}, {NULL, NULL}};
/* As the authors of MGD and FGD teach detectors of one stage; and runs this
 * short are not begun anew in their middle. */
static const setting of_taught_detectors[] = {
    {"train.inherit", "true"}, {"train.stage_restart", "false"}, {NULL, NULL}};

static const cli_flag flags[] = {
    {"epochs", "N", "epochs of the classifying students (4)", NULL, NULL},
    {"fraction", "F", "part of the 20,000 generated pictures (0.5)", NULL,
        NULL},
    {"detector-epochs", "N",
        "epochs of the detecting students; 0: no detectors (5)", NULL, NULL},
    {"detector-fraction", "F", "part of the 2,000 generated scenes (0.3)", NULL,
        NULL},
    {"seed", "N", "seed of all runs (0)", NULL, NULL},
    {"precision", "auto|f32|bf16", "of activations in all runs (auto)", NULL,
        NULL},
    {0},
};

typedef struct demo {
    const cli *c;
    const char *out;
    int64_t epochs[2], seed; /* of classifiers, of detectors */
    double fraction[2];
    int n_runs;
    struct {
        double score[3], images_per_second;
        int64_t parameters, count;
        const char *dir;
    } row[RUNS];
} demo;

static lmb_status apply(lmb_config *config, const setting *s)
{
    for (; s->key != NULL; s++)
        LMB_TRY(lmb_config_set(config, s->key, s->value, "demo"));
    return LMB_OK;
}

static lmb_status set_integer(
    lmb_config *config, const char *key, int64_t value)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%lld", (long long)value);
    return lmb_config_set(config, key, text, "demo");
}

static lmb_status set_path(
    lmb_config *config, const char *key, const char *folder, const char *name)
{
    lmb_str path = {0};
    lmb_str_printf(&path, "%s/%s", folder, name);
    lmb_status st = lmb_str_status(&path);
    if (st == LMB_OK)
        st = lmb_config_set(config, key, path.text, "demo");
    lmb_str_fini(&path);
    return st;
}

/* The teacher, and what it teaches by. */
static lmb_status set_method(demo *d, int i, lmb_config *config)
{
    const bool detector = i >= FIRST_DETECTOR;
    const int teacher = detector ? FIRST_DETECTOR : 0;
    LMB_TRY(set_path(
        config, "teachers.0.weights", d->row[teacher].dir, LMB_RUN_STUDENT));
    LMB_TRY(lmb_config_set(config, "methods.0.name", runs[i].method, "demo"));
    /* It was evaluated a moment ago. */
    LMB_TRY(lmb_config_set(config, "train.teacher_check", "0", "demo"));
    LMB_TRY(detector ? apply(config, of_taught_detectors)
                     : set_path(config, "train.cache", d->out, "cache"));
    /* Its masking term is a sum over places, and small pictures have few
     * (chosen on scenes held out); on p7 they have one, whose alignment over a
     * batch is noise. */
    if (strcmp(runs[i].method, "dfmsd") == 0) {
        LMB_TRY(lmb_config_set(config, "method.alpha", "8e-5", "demo"));
        return lmb_config_set(config, "method.levels", "4", "demo");
    }
    if (strcmp(runs[i].method, "pcd") != 0)
        return LMB_OK;
    /* Chosen on CIFAR-100 and again on shapes held out (docs/results.md). */
    LMB_TRY(lmb_config_set(config, "method.alpha", "0.25", "demo"));
    /* Its gradients fall by an order of magnitude: a longer memory of their
     * squares would divide small steps by large ones to the end. Chosen there
     * too; kd and the student alone are no better with it. */
    LMB_TRY(lmb_config_set(config, "train.beta2", "0.95", "demo"));
    /* 20 of 240 epochs in mdistiller: the same part of ours. */
    char text[64];
    (void)snprintf(
        text, sizeof text, "%.17g", 20.0 / 240 * (double)d->epochs[0]);
    return lmb_config_set(config, "methods.0.warmup", text, "demo");
}

static int64_t epochs_of(const demo *d, int i)
{
    const int64_t students = d->epochs[i >= FIRST_DETECTOR];
    const bool teacher = i == 0 || i == FIRST_DETECTOR;
    return teacher ? (3 * students + 1) / 2 : students;
}

static lmb_status configure(demo *d, int i, lmb_config *config)
{
    char text[64];
    const int task = i >= FIRST_DETECTOR;
    const int64_t epochs = epochs_of(d, i);
    LMB_TRY(lmb_config_set(config, "student", runs[i].model, "demo"));
    LMB_TRY(apply(config, task ? of_scenes : of_images));
    LMB_TRY(set_integer(config, "train.epochs", epochs));
    LMB_TRY(set_integer(config, "train.seed", d->seed));
    LMB_TRY(set_integer(config, "train.eval_every", epochs));
    (void)snprintf(text, sizeof text, "%.17g", d->fraction[task]);
    LMB_TRY(lmb_config_set(config, "train.fraction", text, "demo"));
    LMB_TRY(lmb_config_set(config, "out", d->row[i].dir, "demo"));
    if (cli_value(d->c, "precision") != NULL)
        LMB_TRY(lmb_config_set(config, "train.precision",
            cli_value(d->c, "precision"), "--precision"));
    return runs[i].method != NULL ? set_method(d, i, config) : LMB_OK;
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
    lmb_status st = lmb_run_open(run_config, &observer, run);
    if (st == LMB_OK)
        st = lmb_run_train(*run);
    if (st == LMB_OK)
        st = lmb_run_finish(*run, result);
    cli_progress_end(&progress);
    LMB_TRY(st);
    const lmb_run_facts f = lmb_run_describe(*run);
    memcpy(d->row[i].score, result->student.score, sizeof d->row[i].score);
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
    cli_note(d->c, "\n== %s: %s%s%s", runs[i].name, runs[i].shown,
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

static void add_classifiers(lmb_str *out, const demo *d)
{
    lmb_str_printf(out, "%-11s %-13s %6s %-7s %7s %10s %11s\n", "run",
        "network", "top-1", "  +-", "top-5", "images/s", "parameters");
    for (int i = 0; i < FIRST_DETECTOR; i++)
        lmb_str_printf(out, "%-11s %-13s %6.2f  %5.2f %7.2f %10.0f %11lld\n",
            runs[i].name, runs[i].shown, d->row[i].score[LMB_TOP1],
            binomial_error(d->row[i].score[LMB_TOP1], d->row[i].count),
            d->row[i].score[LMB_TOP5], d->row[i].images_per_second,
            (long long)d->row[i].parameters);
    lmb_str_printf(out,
        "\ntop-1 and top-5 in percent of %lld test pictures after the last "
        "epoch; +- is one\nbinomial standard error; images/s while "
        "training, pcd's with the teacher's logits that\nkd's run kept in "
        "%s/cache.\n\n",
        (long long)d->row[0].count, d->out);
}

static void add_detectors(lmb_str *out, const demo *d)
{
    lmb_str_printf(out, "%-11s %-13s %6s %7s %7s %10s %11s\n", "run", "network",
        "AP", "AP50", "AP75", "images/s", "parameters");
    for (int i = FIRST_DETECTOR; i < d->n_runs; i++)
        lmb_str_printf(out, "%-11s %-13s %6.2f %7.2f %7.2f %10.0f %11lld\n",
            runs[i].name, runs[i].shown, 100 * d->row[i].score[LMB_AP],
            100 * d->row[i].score[LMB_AP50], 100 * d->row[i].score[LMB_AP75],
            d->row[i].images_per_second, (long long)d->row[i].parameters);
    lmb_str_printf(out,
        "\nAP of %lld test scenes in percent, as COCO measures it, after the "
        "last epoch; the\ntaught ones began with the teacher's neck and "
        "head.\n\n",
        (long long)d->row[FIRST_DETECTOR].count);
}

static void add_number(lmb_str *out, const char *key, double value)
{
    lmb_str_printf(out, ", \"%s\": ", key);
    lmb_str_json_number(out, value);
}

static void add_text(lmb_str *out, const char *key, const char *value)
{
    lmb_str_printf(out, ", \"%s\": ", key);
    lmb_str_json(out, value);
}

static void add_path(
    lmb_str *out, const char *key, const char *folder, const char *name)
{
    lmb_str path = {0};
    lmb_str_printf(&path, "%s/%s", folder, name);
    if (path.text != NULL)
        add_text(out, key, path.text);
    out->failed = out->failed || path.failed;
    lmb_str_fini(&path);
}

/* The numbers as `eval --json` gives them: percent, and AP as fractions. */
static void add_run_json(lmb_str *out, const demo *d, int i)
{
    const double *score = d->row[i].score;
    lmb_str_printf(out, "%s\n  {\"name\": ", i > 0 ? "," : "");
    lmb_str_json(out, runs[i].name);
    add_text(out, "network", runs[i].model);
    lmb_str_add(out, ", \"method\": ");
    if (runs[i].method != NULL)
        lmb_str_json(out, runs[i].method);
    else
        lmb_str_add(out, "null");
    if (i < FIRST_DETECTOR) {
        add_number(out, "top1", score[LMB_TOP1]);
        add_number(out, "top1_error",
            binomial_error(score[LMB_TOP1], d->row[i].count));
        add_number(out, "top5", score[LMB_TOP5]);
    } else {
        add_number(out, "AP", score[LMB_AP]);
        add_number(out, "AP50", score[LMB_AP50]);
        add_number(out, "AP75", score[LMB_AP75]);
    }
    add_number(out, "count", (double)d->row[i].count);
    add_number(out, "images_per_second", d->row[i].images_per_second);
    add_number(out, "parameters", (double)d->row[i].parameters);
    add_path(out, "weights", d->row[i].dir, LMB_RUN_STUDENT);
    lmb_str_add(out, "}");
}

static lmb_status print_json(const demo *d)
{
    lmb_str out = {0};
    lmb_str_add(&out, "{\"runs\": [");
    for (int i = 0; i < d->n_runs; i++)
        add_run_json(&out, d, i);
    lmb_str_add(&out, "]");
    add_path(&out, "report", d->out, "report.html");
    if (d->n_runs > FIRST_DETECTOR)
        add_path(&out, "report_detectors", d->out, "report-detectors.html");
    lmb_str_add(&out, "}\n");
    return cli_put_str(&out);
}

static lmb_status print_table(const demo *d)
{
    lmb_str out = {0};
    add_classifiers(&out, d);
    if (d->n_runs > FIRST_DETECTOR)
        add_detectors(&out, d);
    for (int i = 0; i < d->n_runs; i++)
        lmb_str_printf(&out, "%-11s %s/%s\n", runs[i].name, d->row[i].dir,
            LMB_RUN_STUDENT);
    lmb_str_printf(&out, "%-11s %s/report.html\n", "report", d->out);
    if (d->n_runs > FIRST_DETECTOR)
        lmb_str_printf(&out, "%-11s %s/report-detectors.html\n", "", d->out);
    return cli_put_str(&out);
}

/* One page for each task: their curves have no axis in common. */
static lmb_status write_page(const demo *d, const char *name, int from, int to)
{
    const char *dirs[RUNS];
    for (int i = from; i < to; i++)
        dirs[i - from] = d->row[i].dir;
    const char *path = lmb_arena_printf(d->c->arena, "%s/%s", d->out, name);
    if (path == NULL)
        return LMB_FAIL(LMB_ENOMEM, "out of memory: path");
    return lmb_report_write(path, to - from, dirs, NULL);
}

static lmb_status write_report(const demo *d)
{
    LMB_TRY(write_page(d, "report.html", 0, FIRST_DETECTOR));
    return d->n_runs > FIRST_DETECTOR
        ? write_page(d, "report-detectors.html", FIRST_DETECTOR, d->n_runs)
        : LMB_OK;
}

static lmb_status read_flags(cli *c, demo *d)
{
    LMB_TRY(cli_i64(c, "epochs", 1, 100000, &d->epochs[0]));
    LMB_TRY(cli_i64(c, "detector-epochs", 0, 100000, &d->epochs[1]));
    LMB_TRY(cli_i64(c, "seed", 0, INT64_MAX, &d->seed));
    LMB_TRY(cli_f64(c, "fraction", 1e-6, 1, &d->fraction[0]));
    LMB_TRY(cli_f64(c, "detector-fraction", 1e-6, 1, &d->fraction[1]));
    if (d->epochs[1] == 1)
        return LMB_FAIL(LMB_EUSAGE,
            "--detector-epochs 1: 2 at least, one for each stage of dfmsd; or "
            "0: no detectors");
    d->n_runs = d->epochs[1] > 0 ? RUNS : FIRST_DETECTOR;
    return LMB_OK;
}

static lmb_status run(cli *c)
{
    demo d = {.c = c,
        .out = cli_value(c, "out"),
        .epochs = {4, 5},
        .fraction = {0.5, 0.3}};
    if (d.out == NULL)
        d.out = "runs/demo";
    LMB_TRY(read_flags(c, &d));
    if (lmb_path_exists(d.out))
        return LMB_FAIL(
            LMB_EUSAGE, "%s exists: remove it, or name another --out", d.out);
    for (int i = 0; i < d.n_runs; i++) {
        d.row[i].dir = lmb_arena_printf(c->arena, "%s/%s", d.out, runs[i].name);
        if (d.row[i].dir == NULL)
            return LMB_FAIL(LMB_ENOMEM, "out of memory: path");
    }
    LMB_TRY(cli_catch_signals());
    for (int i = 0; i < d.n_runs; i++)
        LMB_TRY(train(&d, i));
    LMB_TRY(write_report(&d));
    return c->json ? print_json(&d) : print_table(&d);
}

const cli_command cmd_demo = {
    .name = "demo",
    .usage = "[--out DIR] [--epochs N] [--seed N] [--precision P]",
    .title = "the whole job on generated pictures, in minutes",
    .text = "Trains a resnet14 on 100 classes of generated shapes, then a "
            "resnet8 alone, with KD\nand with PCD; then a small GFL detector "
            "on generated scenes, and a smaller one alone,\nwith PKD and with "
            "DFMSD; and prints how they compare. Teachers train half as long\n"
            "again as students.\n",
    .flags = flags,
    .config = "out",
    .run = run,
};
