/* eval_boxes.h: the metrics of detection as text and JSON. */
#ifndef LMB_CLI_EVAL_BOXES_H
#define LMB_CLI_EVAL_BOXES_H

#include "cli/cli.h"
#include "io/coco_json.h"
#include "metric/coco_eval.h"
#include "metric/voc_eval.h"
#include "train/step.h"

/* limbeck eval --gt FILE --dt FILE: scores the results of any tool. */
lmb_status cli_eval_files(const cli *c) LMB_MUST_CHECK;

/* Runs a detector over a set, prints what it is worth, and saves what it found
 * (eval_detector.c). */
lmb_status cli_eval_detector(const cli *c, const lmb_network *net,
    const lmb_dataset *data, const lmb_eval_spec *spec) LMB_MUST_CHECK;
/* --metric: 0 coco, 1 voc, 2 voc07. */
lmb_status cli_box_metric(const cli *c, int *out) LMB_MUST_CHECK;
/* Scores boxes by a metric as members of a JSON object, or as a table. */
lmb_status cli_add_box_scores(const cli *c, int metric, const lmb_boxes *boxes,
    const lmb_coco_category *categories, lmb_str *out) LMB_MUST_CHECK;

/* The twelve numbers: members of a JSON object, "AP": .., "per_class": [..],
 * or the table that pycocotools prints, with a line for each class if asked.
 * categories[i] names class i. */
void cli_add_coco_json(lmb_str *out, const lmb_coco_scores *scores,
    const lmb_coco_category *categories);
void cli_add_coco_table(lmb_str *out, const lmb_coco_scores *scores,
    const lmb_coco_category *categories, bool per_class);
/* The same of VOC: "mAP", "per_class". */
void cli_add_voc_json(lmb_str *out, const lmb_voc_scores *scores,
    const lmb_coco_category *categories);
void cli_add_voc_table(lmb_str *out, const lmb_voc_scores *scores,
    const lmb_coco_category *categories, bool per_class);

#endif
