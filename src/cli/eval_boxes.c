/* eval_boxes.c: boxes scored as COCO or VOC scores them; limbeck eval --gt
 * --dt: the results of any tool. */
#include "cli/eval_boxes.h"

#include "cli/cli_impl.h"
#include "train/box_files.h"

/* --- COCO */

static void add_member(lmb_str *out, const char *key, double value)
{
    lmb_str_printf(out, "\"%s\": ", key);
    lmb_str_json_number(out, value);
}

static void add_class_head(
    lmb_str *out, int32_t i, const lmb_coco_category *category, int64_t truths)
{
    lmb_str_printf(out, "%s{\"id\": %lld, \"name\": ", i > 0 ? ", " : "",
        (long long)category->id);
    lmb_str_json(out, category->name);
    lmb_str_printf(out, ", \"truths\": %lld", (long long)truths);
}

void cli_add_coco_json(lmb_str *out, const lmb_coco_scores *scores,
    const lmb_coco_category *categories)
{
    for (int i = 0; i < LMB_COCO_NUMBERS; i++) {
        add_member(out, lmb_coco_names[i], scores->number[i]);
        lmb_str_add(out, ", ");
    }
    lmb_str_add(out, "\"per_class\": [");
    for (int32_t i = 0; i < scores->categories; i++) {
        const lmb_coco_class *c = &scores->classes[i];
        const double row[] = {
            c->ap, c->ap50, c->ap75, c->aps, c->apm, c->apl, c->ar100};
        static const int key[] = {LMB_COCO_AP, LMB_COCO_AP50, LMB_COCO_AP75,
            LMB_COCO_APS, LMB_COCO_APM, LMB_COCO_APL, LMB_COCO_AR100};
        add_class_head(out, i, &categories[i], c->truths);
        for (size_t k = 0; k < LMB_COUNT(row); k++) {
            lmb_str_add(out, ", ");
            add_member(out, lmb_coco_names[key[k]], row[k]);
        }
        lmb_str_add(out, "}");
    }
    lmb_str_add(out, "]");
}

void cli_add_coco_table(lmb_str *out, const lmb_coco_scores *scores,
    const lmb_coco_category *categories, bool per_class)
{
    static const struct {
        const char *iou, *area;
        int most;
    } rows[LMB_COCO_NUMBERS] = {{"0.50:0.95", "all", 100}, {"0.50", "all", 100},
        {"0.75", "all", 100}, {"0.50:0.95", "small", 100},
        {"0.50:0.95", "medium", 100}, {"0.50:0.95", "large", 100},
        {"0.50:0.95", "all", 1}, {"0.50:0.95", "all", 10},
        {"0.50:0.95", "all", 100}, {"0.50:0.95", "small", 100},
        {"0.50:0.95", "medium", 100}, {"0.50:0.95", "large", 100}};
    for (int i = 0; i < LMB_COCO_NUMBERS; i++)
        lmb_str_printf(out,
            " %-18s %s @[ IoU=%-9s | area=%6s | maxDets=%3d ] = %0.3f\n",
            i < LMB_COCO_AR1 ? "Average Precision" : "Average Recall",
            i < LMB_COCO_AR1 ? "(AP)" : "(AR)", rows[i].iou, rows[i].area,
            rows[i].most, scores->number[i]);
    if (!per_class)
        return;
    lmb_str_printf(out, "\n%-8s %-24s %8s %7s %7s %7s\n", "id", "class",
        "truths", "AP", "AP50", "AP75");
    for (int32_t i = 0; i < scores->categories; i++) {
        const lmb_coco_class *c = &scores->classes[i];
        lmb_str_printf(out, "%-8lld %-24s %8lld %7.3f %7.3f %7.3f\n",
            (long long)categories[i].id, categories[i].name,
            (long long)c->truths, c->ap, c->ap50, c->ap75);
    }
}

/* --- VOC */

void cli_add_voc_json(lmb_str *out, const lmb_voc_scores *scores,
    const lmb_coco_category *categories)
{
    add_member(out, "mAP", scores->map);
    lmb_str_add(out, ", \"per_class\": [");
    for (int32_t i = 0; i < scores->categories; i++) {
        add_class_head(out, i, &categories[i], scores->classes[i].truths);
        lmb_str_add(out, ", ");
        add_member(out, "AP", scores->classes[i].ap);
        lmb_str_add(out, "}");
    }
    lmb_str_add(out, "]");
}

void cli_add_voc_table(lmb_str *out, const lmb_voc_scores *scores,
    const lmb_coco_category *categories, bool per_class)
{
    lmb_str_printf(out, "mAP %.4f\n", scores->map);
    if (!per_class)
        return;
    lmb_str_printf(
        out, "\n%-8s %-24s %8s %7s\n", "id", "class", "truths", "AP");
    for (int32_t i = 0; i < scores->categories; i++)
        lmb_str_printf(out, "%-8lld %-24s %8lld %7.4f\n",
            (long long)categories[i].id, categories[i].name,
            (long long)scores->classes[i].truths, scores->classes[i].ap);
}

/* --- either */

static lmb_status add_coco(const cli *c, const lmb_boxes *boxes,
    const lmb_coco_category *categories, lmb_str *out)
{
    lmb_coco_scores scores = {0};
    LMB_TRY(lmb_coco_eval(boxes, &scores));
    if (c->json)
        cli_add_coco_json(out, &scores, categories);
    else
        cli_add_coco_table(out, &scores, categories, cli_has(c, "per-class"));
    lmb_coco_scores_fini(&scores);
    return lmb_str_status(out);
}

static lmb_status add_voc(const cli *c, bool eleven_points,
    const lmb_boxes *boxes, const lmb_coco_category *categories, lmb_str *out)
{
    const lmb_voc_opts opts = {.iou = 0.5,
        .eleven_points = eleven_points,
        .inclusive = cli_has(c, "inclusive")};
    lmb_voc_scores scores = {0};
    LMB_TRY(lmb_voc_eval(boxes, &opts, &scores));
    if (c->json)
        cli_add_voc_json(out, &scores, categories);
    else
        cli_add_voc_table(out, &scores, categories, cli_has(c, "per-class"));
    lmb_voc_scores_fini(&scores);
    return lmb_str_status(out);
}

lmb_status cli_add_box_scores(const cli *c, int metric, const lmb_boxes *boxes,
    const lmb_coco_category *categories, lmb_str *out)
{
    return metric == 0 ? add_coco(c, boxes, categories, out)
                       : add_voc(c, metric == 2, boxes, categories, out);
}

/* --- files */

/* Everything else belongs to networks, which are not run here. */
static lmb_status check_flags(const cli *c)
{
    static const char allowed[] =
        "gt|dt|metric|inclusive|per-class|json|quiet|help";
    for (size_t i = 0; i < c->n_given; i++)
        if (!cli_among(allowed, c->given[i].flag->name))
            return LMB_FAIL(LMB_EUSAGE,
                "limbeck eval: %s does not go with --gt and --dt, which score "
                "results that are there already",
                c->given[i].spelled);
    return LMB_OK;
}

lmb_status cli_box_metric(const cli *c, int *out)
{
    static const char *const names[] = {"coco", "voc", "voc07"};
    const int n = (int)LMB_COUNT(names);
    const char *name = cli_value(c, "metric");
    *out = 0;
    while (name != NULL && *out < n && !lmb_str_equal_nocase(name, names[*out]))
        ++*out;
    if (*out == n)
        return LMB_FAIL(LMB_EUSAGE,
            "limbeck eval: --metric is coco, voc or voc07, not '%s'", name);
    if (*out == 0 && cli_has(c, "inclusive"))
        return LMB_FAIL(LMB_EUSAGE,
            "limbeck eval: --inclusive goes with --metric voc or voc07");
    return LMB_OK;
}

lmb_status cli_eval_files(const cli *c)
{
    const char *gt = NULL, *dt = NULL;
    int metric = 0;
    lmb_box_files files;
    lmb_str text = {0}, out = {0};
    LMB_TRY(check_flags(c));
    LMB_TRY(cli_need(c, "gt", &gt));
    LMB_TRY(cli_need(c, "dt", &dt));
    LMB_TRY(cli_box_metric(c, &metric));
    LMB_TRY(lmb_box_files_load(gt, dt, &files));
    if (files.left_out > 0)
        cli_note(c, "%lld detections are of categories that %s lacks: left out",
            (long long)files.left_out, gt);
    if (files.zero_ids > 0 && metric == 0)
        cli_note(c,
            "an annotation has the id 0: as in pycocotools, finding it does "
            "not count");
    lmb_status st = cli_add_box_scores(
        c, metric, &files.boxes, files.truth.categories, &text);
    if (st == LMB_OK) {
        lmb_str_printf(&out, c->json ? "{%s}\n" : "%s", text.text);
        st = cli_put_str(&out);
    }
    lmb_str_fini(&text);
    lmb_box_files_fini(&files);
    return st;
}
