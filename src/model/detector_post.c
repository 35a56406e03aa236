/* detector_post.c: post-processing that the families share; see the header. */
#include "model/detector_post.h"

lmb_found_rule lmb_detector_rule(
    const lmb_detect_call *call, const lmb_found_rule *usual)
{
    lmb_found_rule rule = *usual;
    if (call->detect.score > 0)
        rule.score = call->detect.score;
    if (call->detect.nms > 0)
        rule.nms = call->detect.nms;
    if (call->detect.per_image > 0)
        rule.per_image = call->detect.per_image;
    return rule;
}

lmb_status lmb_detector_rows_of(const lmb_detect_call *call, int i,
    int64_t rows, int64_t width, const float **out)
{
    if (i >= call->n_outputs)
        return LMB_FAIL(LMB_EINVAL, "detections: output %d of %d is missing", i,
            call->n_outputs);
    const lmb_shape *s = &call->shape[i];
    if (s->rank != 3 || s->dim[1] != rows || s->dim[2] != width ||
        call->image < 0 || call->image >= s->dim[0])
        return LMB_FAIL(LMB_EINVAL,
            "detections: output %d is %s; image %lld of it is not [%lld, %lld]",
            i, lmb_shape_text(s), (long long)call->image, (long long)rows,
            (long long)width);
    *out = call->output[i] + call->image * rows * width;
    return LMB_OK;
}

lmb_status lmb_detector_candidates(const lmb_detect_call *call,
    const int64_t size[LMB_DETECTOR_LEVELS], int factor,
    const lmb_found_rule *rule, lmb_found_list *out)
{
    const float *logits = NULL, *second = NULL;
    int64_t rows = 0, first = 0;
    *out = (lmb_found_list){NULL, NULL, 0, 0};
    for (int i = 0; i < LMB_DETECTOR_LEVELS; i++)
        rows += size[i];
    LMB_TRY(lmb_detector_rows_of(call, 0, rows, call->classes, &logits));
    if (rule->factor != LMB_FOUND_ALONE)
        LMB_TRY(lmb_detector_rows_of(call, factor, rows, 1, &second));
    LMB_TRY(lmb_found_init(out, rule->top * LMB_DETECTOR_LEVELS));
    for (int i = 0; i < LMB_DETECTOR_LEVELS; i++) {
        LMB_TRY(lmb_found_level(
            out, logits, second, first, size[i], call->classes, rule));
        first += size[i];
    }
    return LMB_OK;
}

static double stride_of(
    const int64_t size[LMB_DETECTOR_LEVELS], int first, int64_t place)
{
    int level = 0;
    for (; level < LMB_DETECTOR_LEVELS - 1 && place >= size[level]; level++)
        place -= size[level];
    return 1 << (first + level);
}

lmb_status lmb_detector_around(const lmb_anchors *points,
    const float *distances, bool in_strides, int first, lmb_found_list *p)
{
    int64_t size[LMB_DETECTOR_LEVELS];
    double *point = NULL;
    LMB_TRY(LMB_NEW(point, 2 * lmb_anchors_count(points)));
    lmb_points_write(points, point);
    lmb_anchors_sizes(points, size);
    for (int64_t i = 0; i < p->count; i++) {
        const int64_t at = p->place[i];
        const double unit = in_strides ? stride_of(size, first, at) : 1;
        double d[4], box[4];
        for (int k = 0; k < 4; k++)
            d[k] = unit * distances[4 * at + k];
        lmb_detect_around(point + 2 * at, d, box);
        p->item[i].box = lmb_detect_box(box);
    }
    lmb_free(point);
    return LMB_OK;
}

lmb_status lmb_detector_finish(lmb_found_list *p, const lmb_found_rule *rule,
    const lmb_detect_call *call, int64_t capacity, lmb_detected *out,
    int64_t *count)
{
    const lmb_post_rule last = {.nms = rule->nms,
        .most = rule->per_image < capacity ? rule->per_image : capacity,
        .height = call->size[0],
        .width = call->size[1],
        .keep_empty = rule->keep_empty};
    LMB_TRY(lmb_post_finish(&last, p->item, p->count, count));
    for (int64_t i = 0; i < *count; i++) {
        const lmb_candidate *c = &p->item[i];
        out[i] = (lmb_detected){
            {c->box.x0, c->box.y0, c->box.x1, c->box.y1}, c->score, c->label};
    }
    return LMB_OK;
}
