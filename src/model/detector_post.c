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
    *out = (lmb_found_list){NULL, 0, 0};
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

lmb_status lmb_detector_finish(lmb_found_list *p, const lmb_found_rule *rule,
    const lmb_detect_call *call, int64_t capacity, lmb_detected *out,
    int64_t *count)
{
    for (int64_t i = 0; i < p->count; i++)
        p->list[i].box =
            lmb_detect_clip(p->list[i].box, call->size[0], call->size[1]);
    LMB_TRY(lmb_found_finish(p, rule));
    *count = p->count < capacity ? p->count : capacity;
    for (int64_t i = 0; i < *count; i++) {
        const lmb_found *c = &p->list[i];
        out[i] = (lmb_detected){
            {c->box.x0, c->box.y0, c->box.x1, c->box.y1}, c->score, c->label};
    }
    return LMB_OK;
}
