/* eval_detector.c: limbeck eval of a detector: run over a set, scored as files
 * of results are scored. */
#include "cli/eval_boxes.h"
#include "cli/run.h"

#include "base/clock.h"
#include "train/detector.h"
#include "train/pictures.h"
#include "train/result_boxes.h"

#include <math.h>
#include <string.h>

/* What was found on a set, and what should have been. */
typedef struct job {
    const lmb_dataset *data;
    lmb_dataset *part; /* with a limit */
    lmb_box_truth truth;
    lmb_coco_category *categories; /* with the ids of the set's files */
    lmb_dt_box *dt; /* image: place in the set */
    int64_t n_dt;
    double seconds;
} job;

static void fini(job *j)
{
    lmb_free(j->dt);
    lmb_free(j->categories);
    lmb_box_truth_fini(&j->truth);
    lmb_dataset_free(j->part);
}

static lmb_status name_categories(const cli *c, job *j)
{
    const int32_t n = lmb_dataset_classes(j->data);
    const char *const *names = lmb_dataset_class_names(j->data);
    LMB_TRY(LMB_NEW(j->categories, n));
    for (int32_t k = 0; k < n; k++) {
        j->categories[k].id = lmb_dataset_category_id(j->data, k);
        j->categories[k].name = names != NULL
            ? names[k]
            : lmb_arena_printf(c->arena, "class %d", (int)k);
        if (j->categories[k].name == NULL)
            return LMB_FAIL(LMB_ENOMEM, "out of memory: names of classes");
    }
    return LMB_OK;
}

/* Pictures as in training, unless the command line says otherwise; a long side
 * alone keeps the ratio of the two, as it does in `predict`. */
static void set_sides(const cli *c, const lmb_network *net, lmb_picture_opts *p)
{
    if (net->side[0] == 0 && p->size == 0 && p->short_side == 0) {
        p->size = LMB_USUAL_LONG_SIDE;
        p->short_side = LMB_USUAL_SHORT_SIDE;
        cli_note(c,
            "the file names no sides: pictures fit %d x %d (--size, "
            "--short-side)",
            (int)p->size, (int)p->short_side);
    }
    if (p->short_side == 0 && net->side[0] > 0)
        p->short_side = p->size == 0
            ? net->side[1]
            : lrint((double)p->size * net->side[1] / net->side[0]);
    if (p->size == 0)
        p->size = net->side[0];
}

static lmb_status find_boxes(
    const cli *c, const lmb_network *net, const lmb_eval_spec *asked, job *j)
{
    lmb_detector *d = NULL;
    lmb_eval_spec spec = *asked;
    cli_progress progress = {.c = c};
    const lmb_detector_opts opts = {
        .bf16 = spec.bf16,
        .allow_reference = spec.allow_reference,
        .detect = spec.detect,
    };
    set_sides(c, net, &spec.pictures);
    memcpy(spec.mean, net->mean, sizeof spec.mean);
    memcpy(spec.std, net->std, sizeof spec.std);
    spec.on_images = cli_progress_images;
    spec.user = &progress;
    LMB_TRY(lmb_detector_new(net, &opts, NULL, &d));
    const double start = lmb_clock_now();
    const lmb_status st = lmb_detect_all(d, j->data, &spec, &j->dt, &j->n_dt);
    j->seconds = lmb_clock_now() - start;
    cli_progress_end(&progress);
    lmb_detector_free(d);
    return st;
}

static void add_rest(const cli *c, const job *j, lmb_str *out)
{
    const int64_t n = lmb_dataset_count(j->data);
    if (c->json) {
        lmb_str_printf(out, ", \"count\": %lld, \"detections\": %lld, ",
            (long long)n, (long long)j->n_dt);
        lmb_str_add(out, "\"seconds\": ");
        lmb_str_json_number(out, j->seconds);
        lmb_str_add(out, "}\n");
        return;
    }
    lmb_str_printf(out, "images %lld\n", (long long)n);
    if (j->seconds > 0)
        lmb_str_printf(out, "images/s %.1f\n", (double)n / j->seconds);
}

static lmb_status print(const cli *c, int metric, const job *j)
{
    lmb_boxes boxes;
    lmb_dt_box *ranked = NULL;
    lmb_str out = {0};
    lmb_status st = LMB_OK;
    LMB_TRY(lmb_box_truth_with(&j->truth, j->dt, j->n_dt, &boxes, &ranked));
    lmb_str_add(&out, c->json ? "{" : "");
    LMB_GOTO(
        cli_add_box_scores(c, metric, &boxes, j->categories, &out), st, done);
    add_rest(c, j, &out);
    LMB_GOTO(cli_put_str(&out), st, done);
done:
    lmb_str_fini(&out);
    lmb_free(ranked);
    return st;
}

lmb_status cli_eval_detector(const cli *c, const lmb_network *net,
    const lmb_dataset *data, const lmb_eval_spec *spec)
{
    job j = {.data = data};
    int metric = 0;
    lmb_status st = LMB_OK;
    const char *path = cli_value(c, "save");
    LMB_TRY(cli_box_metric(c, &metric));
    if (lmb_dataset_notes(data)[0] != '\0')
        cli_note(c, "%s: %s", lmb_dataset_name(data), lmb_dataset_notes(data));
    LMB_TRY(lmb_eval_part(data, spec->limit, &j.part));
    if (j.part != NULL)
        j.data = j.part;
    LMB_GOTO(lmb_box_truth_load(j.data, &j.truth), st, done);
    LMB_GOTO(name_categories(c, &j), st, done);
    LMB_GOTO(find_boxes(c, net, spec, &j), st, done);
    /* A path that cannot be written must not cost the scores. */
    LMB_GOTO(print(c, metric, &j), st, done);
    if (path != NULL)
        LMB_GOTO(lmb_found_save(path, j.data, j.dt, j.n_dt), st, done);
done:
    fini(&j);
    return st;
}
