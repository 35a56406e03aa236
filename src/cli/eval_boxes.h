/* eval_boxes.h: the metrics of detection as text and JSON. */
#ifndef LMB_CLI_EVAL_BOXES_H
#define LMB_CLI_EVAL_BOXES_H

#include "cli/cli.h"
#include "io/coco_json.h"
#include "metric/coco_eval.h"
#include "metric/voc_eval.h"

/* limbeck eval --gt FILE --dt FILE: scores the results of any tool. */
lmb_status cli_eval_files(const cli *c) LMB_MUST_CHECK;

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
