/* cmd_predict.c: limbeck predict: the likeliest classes of pictures; of a
 * detector the objects in them (predict_boxes.c).
 *
 * A picture is prepared as the test set was: the whole of it resized, or its
 * centre, after the short side became 256 / 224 of the input. Of a file that
 * does not say which, small networks (less than 96 pixels) see the whole. */
#include "cli/predict_boxes.h"

#include "data/transform.h"
#include "train/forward.h"

#include <string.h>

enum { TOP = 5, SMALL = 96 };

static const cli_flag flags[] = {
    CLI_FLAG_WEIGHTS,
    CLI_FLAG_MEAN,
    CLI_FLAG_STD,
    {"size", "N",
        "height and width of the input; detectors: long side (default: the "
        "file's)",
        NULL, NULL},
    {"top", "K", "how many classes (5), objects (100)", "k", NULL},
    {"score", "X", "detectors: least score of an object (0.3)", NULL, NULL},
    {"out", "DIR",
        "detectors: folder of the pictures (default: NAME.det.png beside each)",
        "o", NULL},
    {"no-pictures", NULL, "detectors: only list what is found", NULL, NULL},
    {0},
};

typedef struct predictor {
    lmb_network net;
    lmb_weights_about about;
    lmb_transform transform;
    lmb_normalizer normalizer;
    lmb_forward_opts forward;
    int64_t top;
    int size;
} predictor;

static void prepare(predictor *p)
{
    lmb_transform *t = &p->transform;
    *t = (lmb_transform){.height = p->size, .width = p->size};
    const char *crop = p->about.crop;
    if (crop[0] != '\0' ? strcmp(crop, "center") == 0 : p->size >= SMALL) {
        t->crop = LMB_CROP_CENTER;
        t->resize = p->size * 256 / 224;
    }
    memcpy(t->mean, p->net.mean, sizeof t->mean);
    memcpy(t->std, p->net.std, sizeof t->std);
    p->normalizer = lmb_normalizer_make(t->mean, t->std);
}

/* The logits of one picture, as probabilities. */
static lmb_status classify(
    predictor *p, const char *path, lmb_scratch *scratch, lmb_tensor **out)
{
    lmb_image image;
    lmb_tensor *x = NULL;
    lmb_rng rng = lmb_rng_make(0, LMB_STREAM_AUGMENT, 0, 0);
    lmb_status st = LMB_OK;
    const lmb_shape shape = LMB_SHAPE(1, 3, p->size, p->size);
    LMB_TRY(lmb_image_load(path, scratch, &image));
    LMB_TRY(lmb_tensor_new(LMB_F32, &shape, &x));
    LMB_GOTO(lmb_transform_run(
                 &p->transform, &p->normalizer, &image, &rng, scratch, x->data),
        st, done);
    if (strcmp(p->about.channels, "BGR") == 0)
        lmb_swap_channels(x->data, (size_t)p->size * (size_t)p->size);
    LMB_GOTO(lmb_forward(&p->net, x, &p->forward, out), st, done);
    lmb_softmax_rows(*out);
done:
    lmb_tensor_release(x);
    return st;
}

/* --- printing */

static void add_class(
    lmb_str *out, const predictor *p, int i, double probability, bool json)
{
    const char *name = p->about.class_names != NULL && i < p->about.classes
        ? p->about.class_names[i]
        : NULL;
    if (!json) {
        lmb_str_printf(out, "  %6.2f %%  ", 100 * probability);
        if (name != NULL)
            lmb_str_printf(out, "%-4d %s\n", i, name);
        else
            lmb_str_printf(out, "%d\n", i);
        return;
    }
    lmb_str_printf(out, "{\"class\": %d, ", i);
    if (name != NULL) {
        lmb_str_add(out, "\"name\": ");
        lmb_str_json(out, name);
        lmb_str_add(out, ", ");
    }
    lmb_str_add(out, "\"probability\": ");
    lmb_str_json_number(out, probability);
    lmb_str_add(out, "}");
}

static lmb_status print(const cli *c, const predictor *p, const char *path,
    const lmb_tensor *probabilities, bool first)
{
    enum { MOST = 100 };
    int best[MOST];
    const int n = (int)probabilities->shape.dim[1];
    const int top = p->top < n ? (int)p->top : n;
    double *values = NULL;
    lmb_str out = {0};
    LMB_TRY(LMB_NEW(values, n));
    for (int i = 0; i < n; i++)
        values[i] = lmb_tensor_get(probabilities, i);
    lmb_largest(values, n, top, best);
    if (c->json) {
        lmb_str_add(&out, first ? "[\n{\"image\": " : ",\n{\"image\": ");
        lmb_str_json(&out, path);
        lmb_str_add(&out, ", \"top\": [");
    } else {
        lmb_str_printf(&out, "%s\n", path);
    }
    for (int i = 0; i < top; i++) {
        lmb_str_add(&out, c->json && i > 0 ? ", " : "");
        add_class(&out, p, best[i], values[best[i]], c->json);
    }
    lmb_str_add(&out, c->json ? "]}" : "");
    lmb_free(values);
    return cli_put_str(&out);
}

/* --- the command */

static lmb_status check_flags(const cli *c, const char *model)
{
    static const char *const boxes_only[] = {"score", "out", "no-pictures"};
    for (size_t i = 0; i < LMB_COUNT(boxes_only); i++)
        if (cli_has(c, boxes_only[i]))
            return LMB_FAIL(LMB_EUSAGE,
                "limbeck predict: --%s is for detectors, and %s is for "
                "classification",
                boxes_only[i], model);
    return LMB_OK;
}

static lmb_status open_predictor(
    const cli *c, const lmb_run_config *config, predictor *p)
{
    int64_t size = 0;
    LMB_TRY(cli_i64(c, "size", 8, 4096, &size));
    LMB_TRY(cli_bf16(c, config, &p->forward.bf16));
    LMB_TRY(cli_open_network(
        c, config->student, NULL, NULL, (int)size, &p->net, &p->about));
    if (lmb_network_detects(&p->net))
        return LMB_OK;
    LMB_TRY(check_flags(c, p->net.text));
    LMB_TRY(cli_i64(c, "top", 1, 100, &p->top));
    p->size = size > 0      ? (int)size
        : p->about.size > 0 ? p->about.size
                            : p->net.model->default_size;
    prepare(p);
    return LMB_OK;
}

static lmb_status predict(const cli *c, const lmb_run_config *config)
{
    predictor p = {.top = TOP,
        .forward = {.allow_reference = config->train.allow_reference}};
    lmb_scratch scratch = {0};
    lmb_status st = LMB_OK;
    LMB_TRY(cli_need_words(c, 1, "IMAGE is"));
    LMB_GOTO(open_predictor(c, config, &p), st, done);
    if (lmb_network_detects(&p.net)) {
        const lmb_detector_opts opts = {.bf16 = p.forward.bf16,
            .allow_reference = p.forward.allow_reference};
        st = cli_predict_boxes(c, &p.net, &p.about, &opts);
        goto done;
    }
    bool begun = false;
    for (size_t i = 0; i < c->n_words && st == LMB_OK; i++) {
        lmb_tensor *probabilities = NULL;
        st = classify(&p, c->words[i], &scratch, &probabilities);
        if (st == LMB_OK) {
            st = print(c, &p, c->words[i], probabilities, i == 0);
            begun = true;
        }
        lmb_tensor_release(probabilities);
    }
    if (c->json && begun)
        st = cli_end_list(st);
done:
    lmb_scratch_fini(&scratch);
    lmb_weights_about_fini(&p.about);
    lmb_network_fini(&p.net);
    return st;
}

static lmb_status run(cli *c)
{
    return cli_with_config(c, predict);
}

const cli_command cmd_predict = {
    .name = "predict",
    .usage = "--weights FILE IMAGE... [--model NAME]",
    .title = "the likeliest classes of pictures, or the objects in them",
    .text = "A file that limbeck wrote says model, classes, input size and "
            "normalisation; for\nothers give --model, --mean and --std, or "
            "let `convert` note them down, with the\nnames of the classes. "
            "With the weights of a detector the objects are listed (score,\n"
            "left, top, width and height in pixels, class) and drawn on a "
            "copy, NAME.det.png.",
    .flags = flags,
    .config = "model|precision|threads|allow-reference",
    .max_words = 1000000,
    .run = run,
};
