/* cmd_eval.c: limbeck eval: accuracy of a network on a data set, of a detector
 * what it finds there (eval_detector.c), or what the results of any detector
 * are worth (eval_boxes.c). */
#include "cli/eval_boxes.h"
#include "cli/open.h"
#include "cli/run.h"
#include "train/class_names.h"

#include <math.h>
#include <string.h>

static const cli_flag flags[] = {
    CLI_FLAG_WEIGHTS,
    CLI_FLAG_MEAN,
    CLI_FLAG_STD,
    {"limit", "N", "N of the images, evenly spread", NULL, NULL},
    {"per-class", NULL, "a line for each class", NULL, NULL},
    {"gt", "FILE", "score a results file: COCO instances (ground truth)",
        "ground-truth", NULL},
    {"dt", "FILE", "and the results: image_id, category_id, bbox, score",
        "results|detections", NULL},
    {"metric", "NAME", "of boxes: coco (default), voc, voc07", NULL, NULL},
    {"save", "FILE", "write a detector's boxes as a results file of COCO", NULL,
        NULL},
    {"inclusive", NULL, "voc: corners are pixels of the box (sides + 1)", NULL,
        NULL},
    {"eval-only", NULL, "accepted for old habits", "test-only", NULL},
    {0},
};

/* Where nothing else is said, the data are cut to the size that the network
 * was trained on, as its file has it. */
static lmb_status open_network(const cli *c, const lmb_run_config *run,
    lmb_dataset *data, lmb_network *out)
{
    double mean[3], std[3];
    int32_t height = 0, width = 0;
    lmb_weights_about about = {0};
    lmb_dataset_mean_std(data, mean, std);
    LMB_TRY(cli_open_network(
        c, run->student, mean, std, lmb_dataset_input(data), out, &about));
    const int64_t size = about.size;
    lmb_network_expect_rgb(out, about.channels);
    const lmb_status st =
        lmb_check_class_names(cli_value(c, "weights"), &about, data, true);
    lmb_weights_about_fini(&about);
    LMB_TRY(st);
    if (run->pictures.size > 0 || size == 0 || lmb_dataset_is_detection(data) ||
        lmb_dataset_size(data, &height, &width))
        return LMB_OK;
    return lmb_dataset_set_input(data, size);
}

static lmb_status check_classes(const lmb_network *net, const lmb_dataset *data,
    const char *spec, int64_t asked)
{
    if (asked > 0 && asked != net->classes)
        return LMB_FAIL(LMB_EUSAGE,
            "--classes %lld, but the weights tell %d classes apart",
            (long long)asked, net->classes);
    if (net->classes == lmb_dataset_classes(data))
        return LMB_OK;
    return LMB_FAIL(LMB_ESHAPE,
        "the weights tell %d classes apart, %s has %d: another data set?%s",
        net->classes, spec, (int)lmb_dataset_classes(data),
        lmb_dataset_label_hint(data, net->classes));
}

/* --- printing */

static double percent(int64_t part, int64_t whole)
{
    return whole > 0 ? 100 * (double)part / (double)whole : NAN;
}

static void add_json(
    lmb_str *out, const lmb_eval_result *r, const char *const *names)
{
    lmb_str_add(out, "{\"top1\": ");
    lmb_str_json_number(out, r->score[LMB_TOP1]);
    lmb_str_add(out, ", \"top5\": ");
    lmb_str_json_number(out, r->score[LMB_TOP5]);
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
        r->score[LMB_TOP1], r->score[LMB_TOP5], r->loss, (long long)r->count);
    if (r->seconds > 0)
        lmb_str_printf(out, "images/s %.0f\n", (double)r->count / r->seconds);
    for (int i = 0; i < r->classes && cli_has(c, "per-class"); i++) {
        lmb_str_printf(out, "%-4d %-24s ", i, names != NULL ? names[i] : "");
        if (r->class_count[i] > 0)
            lmb_str_printf(out, "%6.2f of %lld\n",
                percent(r->class_correct[i], r->class_count[i]),
                (long long)r->class_count[i]);
        else
            lmb_str_add(out, "     - of 0\n");
    }
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

/* --- the command */

/* What is said of boxes alone, and what a detector takes from its file. */
static lmb_status check_task(
    const cli *c, const lmb_network *net, const lmb_dataset *data)
{
    static const char *const boxes_only[] = {"metric", "inclusive", "save"};
    const bool boxes = lmb_dataset_is_detection(data);
    if (boxes != lmb_network_detects(net))
        return LMB_FAIL(LMB_EINVAL,
            "%s is for %s, and the data set %s is for %s", net->text,
            net->model->task, lmb_dataset_name(data),
            boxes ? "detection" : "classification");
    for (size_t i = 0; i < LMB_COUNT(boxes_only) && !boxes; i++)
        if (cli_has(c, boxes_only[i]))
            return LMB_FAIL(LMB_EUSAGE,
                "limbeck eval: --%s is about boxes, and %s has none",
                boxes_only[i], lmb_dataset_name(data));
    if (boxes && cli_has(c, "inclusive"))
        return LMB_FAIL(LMB_EUSAGE,
            "limbeck eval: --inclusive is for the boxes of --gt and --dt; "
            "those of data sets are edges, not pixels (VOC's are made so)");
    return LMB_OK;
}

static lmb_status evaluate_classes(const cli *c, const lmb_network *net,
    const lmb_dataset *data, const lmb_eval_spec *asked)
{
    lmb_eval_result result = {0};
    lmb_eval_spec spec = *asked;
    cli_progress progress = {.c = c};
    spec.on_images = cli_progress_images;
    spec.user = &progress;
    lmb_status st = lmb_evaluate(net, data, &spec, &result);
    cli_progress_end(&progress);
    LMB_TRY(st);
    st = print(c, &result, lmb_dataset_class_names(data));
    lmb_eval_fini(&result);
    return st;
}

static lmb_status evaluate(const cli *c, const lmb_run_config *run)
{
    lmb_dataset *data = NULL;
    lmb_network net = {0};
    lmb_status st = LMB_OK;
    const char *missing = NULL;
    lmb_eval_spec spec = {
        .batch = run->train.eval_batch,
        .loader_threads = (int32_t)run->train.loader_threads,
        .allow_reference = run->train.allow_reference,
        .pictures = run->pictures,
    };
    if (run->data == NULL)
        LMB_TRY(cli_need(c, "data", &missing));
    LMB_TRY(cli_i64(c, "limit", 1, INT32_MAX, &spec.limit));
    LMB_TRY(cli_bf16(c, run, &spec.bf16));
    LMB_GOTO(lmb_run_config_data(run, false, &data), st, done);
    LMB_GOTO(open_network(c, run, data, &net), st, done);
    LMB_GOTO(check_task(c, &net, data), st, done);
    LMB_GOTO(check_classes(&net, data, run->data, run->classes), st, done);
    LMB_GOTO(lmb_network_detects(&net) ? cli_eval_detector(c, &net, data, &spec)
                                       : evaluate_classes(c, &net, data, &spec),
        st, done);
done:
    lmb_network_fini(&net);
    lmb_dataset_free(data);
    return st;
}

static lmb_status run(cli *c)
{
    if (cli_has(c, "gt") || cli_has(c, "dt"))
        return cli_eval_files(c);
    return cli_with_config(c, evaluate);
}

const cli_command cmd_eval = {
    .name = "eval",
    .aliases = "val|test",
    .usage = "--weights FILE --data KIND:DIR [--model NAME] | "
             "--gt FILE --dt FILE [flags]",
    .title = "a network on a data set; results of any detector",
    .text =
        "Computes in f32, unless --precision bf16 asks for less. With --gt "
        "and --dt nothing is\nrun: the results of any tool are scored, "
        "the numbers are those of pycocotools. So are\nthose of a detector; "
        "its pictures fit the sides that it was trained on, unless\n--size "
        "and --short-side say otherwise (--size alone keeps their ratio).",
    .flags = flags,
    .config = "config|set|model|data|split|classes|size|"
              "short-side|max-sizes|label-by|precision|threads|loader-threads|"
              "eval-batch|allow-reference",
    .run = run,
};
