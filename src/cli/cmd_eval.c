/* cmd_eval.c: limbeck eval: accuracy of a network on a data set. */
#include "cli/cli.h"

#include "train/build_info.h"
#include "train/network.h"

#include <math.h>
#include <string.h>

static const cli_flag flags[] = {
    {"weights", "FILE", "safetensors or torch file", NULL, NULL},
    {"limit", "N", "only the first N images", NULL, NULL},
    {"per-class", NULL, "a line for each class", NULL, NULL},
    {"mean", "R,G,B", "of the input, pixels in 0 .. 1 (default: the file's)",
        NULL, "teachers.0.mean"},
    {"std", "R,G,B", "and its deviation", NULL, "teachers.0.std"},
    {"eval-only", NULL, "accepted for old habits", "test-only", NULL},
    {0},
};

static lmb_status open_network(const cli *c, const lmb_run_config *run,
    const lmb_dataset *data, lmb_network *out)
{
    const char *weights = NULL;
    double mean[3], std[3];
    int32_t height = 0, width = 0;
    const lmb_teacher_config *t = &run->teachers[0];
    LMB_TRY(cli_need(c, "weights", &weights));
    lmb_dataset_mean_std(data, mean, std);
    if (!lmb_dataset_size(data, &height, &width))
        height = 224;
    return lmb_network_load(weights, run->student, t->has_norm ? t->mean : NULL,
        t->has_norm ? t->std : NULL, mean, std, height, out, NULL);
}

static lmb_status check_classes(
    const lmb_network *net, const lmb_dataset *data, const char *spec)
{
    if (net->classes == lmb_dataset_classes(data))
        return LMB_OK;
    return LMB_FAIL(LMB_ESHAPE,
        "the weights tell %d classes apart, %s has %d: another data set?",
        net->classes, spec, (int)lmb_dataset_classes(data));
}

static lmb_status set_precision(const lmb_train_opts *t, lmb_eval_spec *spec)
{
    lmb_build_info info;
    lmb_build_info_get(&info);
    if (t->precision == LMB_PRECISION_BF16 && !info.bf16)
        return LMB_FAIL(LMB_EUNSUPPORTED,
            "--precision bf16: this CPU has no fast bf16 arithmetic");
    spec->bf16 = t->precision == LMB_PRECISION_BF16;
    return LMB_OK;
}

/* --- printing --------------------------------------------------------------
 */

static double percent(int64_t part, int64_t whole)
{
    return whole > 0 ? 100 * (double)part / (double)whole : NAN;
}

static void add_json(
    lmb_str *out, const lmb_eval_result *r, const char *const *names)
{
    lmb_str_add(out, "{\"top1\": ");
    lmb_str_json_number(out, r->top1);
    lmb_str_add(out, ", \"top5\": ");
    lmb_str_json_number(out, r->top5);
    lmb_str_add(out, ", \"loss\": ");
    lmb_str_json_number(out, r->loss);
    lmb_str_printf(
        out, ", \"count\": %lld, \"seconds\": ", (long long)r->count);
    lmb_str_json_number(out, r->seconds);
    lmb_str_add(out, ", \"per_class\": [");
    for (int i = 0; i < r->classes; i++) {
        lmb_str_printf(out, "%s{\"class\": %d, ", i > 0 ? ", " : "", i);
        if (names != NULL) {
            lmb_str_add(out, "\"name\": ");
            lmb_str_json(out, names[i]);
            lmb_str_add(out, ", ");
        }
        lmb_str_printf(
            out, "\"count\": %lld, \"top1\": ", (long long)r->class_count[i]);
        lmb_str_json_number(
            out, percent(r->class_correct[i], r->class_count[i]));
        lmb_str_add(out, "}");
    }
    lmb_str_add(out, "]}\n");
}

static void add_plain(const cli *c, lmb_str *out, const lmb_eval_result *r,
    const char *const *names)
{
    lmb_str_printf(out, "top1 %.2f\ntop5 %.2f\nloss %.4f\nimages %lld\n",
        r->top1, r->top5, r->loss, (long long)r->count);
    if (r->seconds > 0)
        lmb_str_printf(out, "images/s %.0f\n", (double)r->count / r->seconds);
    for (int i = 0; i < r->classes && cli_has(c, "per-class"); i++)
        lmb_str_printf(out, "%-4d %-24s %6.2f of %lld\n", i,
            names != NULL ? names[i] : "",
            percent(r->class_correct[i], r->class_count[i]),
            (long long)r->class_count[i]);
}

static lmb_status print(
    const cli *c, const lmb_eval_result *r, const char *const *names)
{
    lmb_str out = {0};
    if (c->json)
        add_json(&out, r, names);
    else
        add_plain(c, &out, r, names);
    return cli_put_str(&out);
}

/* --- the command -----------------------------------------------------------
 */

static lmb_status evaluate(const cli *c, const lmb_run_config *run)
{
    lmb_dataset *data = NULL;
    lmb_network net = {0};
    lmb_eval_result result = {0};
    lmb_status st = LMB_OK;
    const lmb_dataset_opts opts = {.classes = (int32_t)run->classes};
    lmb_eval_spec spec = {
        .batch = run->train.eval_batch,
        .loader_threads = (int32_t)run->train.loader_threads,
        .allow_reference = run->train.allow_reference,
    };
    LMB_TRY(cli_i64(c, "limit", 1, INT32_MAX, &spec.limit));
    LMB_TRY(set_precision(&run->train, &spec));
    LMB_GOTO(
        lmb_dataset_open(run->data,
            run->test_split != NULL ? run->test_split : "test", &opts, &data),
        st, done);
    LMB_GOTO(open_network(c, run, data, &net), st, done);
    LMB_GOTO(check_classes(&net, data, run->data), st, done);
    LMB_GOTO(lmb_evaluate(&net, data, &spec, &result), st, done);
    LMB_GOTO(print(c, &result, lmb_dataset_class_names(data)), st, done);
done:
    lmb_eval_fini(&result);
    lmb_network_fini(&net);
    lmb_dataset_free(data);
    return st;
}

static lmb_status run(cli *c)
{
    lmb_config config = {0};
    lmb_run_config run_config = {0};
    lmb_status st = LMB_OK;
    const char *data = NULL;
    LMB_GOTO(lmb_config_init(&config), st, done);
    LMB_GOTO(lmb_run_config_init(&run_config), st, done);
    LMB_GOTO(cli_run_config(c, &config, &run_config), st, done);
    if (run_config.data == NULL)
        LMB_GOTO(cli_need(c, "data", &data), st, done);
    LMB_GOTO(evaluate(c, &run_config), st, done);
done:
    lmb_run_config_fini(&run_config);
    lmb_config_fini(&config);
    return st;
}

const cli_command cmd_eval = {
    .name = "eval",
    .aliases = "val|test",
    .usage = "--weights FILE --data KIND:DIR [--model NAME] [flags]",
    .title = "top-1 and top-5 of a network on a data set",
    .flags = flags,
    .config = "config|set|model|data|split|classes|precision|threads|"
              "loader-threads|eval-batch|allow-reference",
    .run = run,
};
