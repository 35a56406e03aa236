/* assign_points.c: points to boxes by place and size.
 *
 *   points [A, 2], boxes [N, M, 4], labels [N, M], valid [N, M]
 *   -> label I32 [N, A], box [N, A, 4], positives []
 * The rule is that of lmb_assign_by_points (detect/match.h), image by image.
 * A host op without gradient. */
#include "op/host.h"
#include "op/op_util.h"

#include <math.h>

enum { IN_POINTS, IN_TRUTH };

static lmb_status shape_rule(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    const lmb_points_attr *a = attr;
    (void)n_in;
    LMB_TRY(lmb__want_real(in, IN_POINTS));
    LMB_TRY(lmb__want_rank("points", in, IN_POINTS, 2, 2));
    LMB_TRY(lmb__want_truth(in, IN_TRUTH));
    LMB_TRY(
        lmb__want_levels(a->levels, a->level_size, in[IN_POINTS].shape.dim[0]));
    lmb__assigned_types(
        in[IN_TRUTH].shape.dim[0], in[IN_POINTS].shape.dim[0], out);
    return LMB_OK;
}

static size_t scratch(const void *attr, int n_in, const lmb_type *in)
{
    const int64_t points = in[IN_POINTS].shape.dim[0];
    (void)attr;
    (void)n_in;
    return lmb__work_size(2 * points, sizeof(float)) +
        lmb__work_size(points, sizeof(int32_t)) +
        lmb__truth_size(&in[IN_TRUTH]);
}

typedef struct by_points {
    const float *point;
    lmb_points_rule rule;
} by_points;

static void match_image(const void *user, lmb__truth *t, int32_t *match)
{
    const by_points *p = user;
    lmb_assign_by_points(
        p->point, &p->rule, (lmb_truth_boxes){t->box, t->n}, match);
}

static by_points rule_of(const lmb_points_attr *a)
{
    by_points p = {.rule = {.radius = a->radius,
                       .levels = lmb__levels(a->levels, a->level_size)}};
    for (int32_t l = 0; l < a->levels; l++) {
        p.rule.stride[l] = a->stride[l];
        p.rule.range[l][0] = a->range[l][0];
        p.rule.range[l][1] = a->range[l][1];
    }
    return p;
}

static lmb_status assign(const lmb_ref *r, lmb__work *w)
{
    const lmb_points_attr *a = r->attr;
    const int64_t n = r->in_type[IN_POINTS].shape.dim[0];
    by_points p = rule_of(a);
    float *point;
    int32_t *match;
    lmb__truth t;
    LMB__TAKE(w, point, 2 * n);
    LMB__TAKE(w, match, n);
    lmb__truth_take(w, &r->in_type[IN_TRUTH], &t);
    for (int64_t i = 0; i < 2 * n; i++) {
        point[i] = (float)r->in[IN_POINTS][i];
        if (!isfinite(point[i]))
            return LMB_FAIL(LMB_EINVAL, "assign_points: point %lld has a %g",
                (long long)i / 2, r->in[IN_POINTS][i]);
    }
    p.point = point;
    return lmb__assign_images(
        r, "assign_points", a->classes, match_image, &p, &t, match);
}

static lmb_status reference(const lmb_ref *r)
{
    return lmb__work_run(&lmb_op_assign_points, r, assign);
}

const lmb_op lmb_op_assign_points = {
    .name = "assign_points",
    .min_in = 4,
    .max_in = 4,
    .n_out = 3,
    .attr_size = sizeof(lmb_points_attr),
    .shape = shape_rule,
    .no_gradient = true,
    .host = true,
    .reference = reference,
    .scratch = scratch,
};

static lmb_status check(const lmb_points_attr *a)
{
    if (a->classes < 1)
        return LMB_FAIL(
            LMB_EINVAL, "assign_points: classes = %d, at least 1", a->classes);
    if (!(a->radius >= 0))
        return LMB_FAIL(
            LMB_EINVAL, "assign_points: radius = %g, not >= 0", a->radius);
    for (int32_t l = 0; l < a->levels && l < LMB_MAX_LEVELS; l++)
        if (!(a->stride[l] > 0 && a->range[l][0] <= a->range[l][1]))
            return LMB_FAIL(LMB_EINVAL,
                "assign_points: level %d has stride %g and range %g to %g", l,
                a->stride[l], a->range[l][0], a->range[l][1]);
    return LMB_OK;
}

lmb_assigned lmb_assign_points(lmb_graph *g, lmb_value points,
    const lmb_truth *truth, const lmb_points_attr *attr)
{
    const lmb_value in[] = {points, truth->boxes, truth->labels, truth->valid};
    lmb_value out[3];
    lmb_graph_fail(g, check(attr));
    lmb__apply_all(g, &lmb_op_assign_points, attr, 4, in, out);
    return (lmb_assigned){out[0], out[1], out[2]};
}
