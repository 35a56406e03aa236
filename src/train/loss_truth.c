/* loss_truth.c: ground-truth boxes of a loss on arrays. */
#include "train/loss_truth.h"

#include "distill/levels.h"

#include <math.h>

static lmb_status find_size(
    lmb_loss_truth *t, const lmb_loss_inputs *in, const lmb_taps *student)
{
    for (int i = 0; i < student->count && in->input_size[0] == 0; i++) {
        const lmb_tap *tap = &student->taps[i];
        const int level = lmb_level_of(tap->name);
        if (level < 0 || tap->shape.rank != 4)
            continue;
        t->input_size[0] = tap->shape.dim[2] << level;
        t->input_size[1] = tap->shape.dim[3] << level;
        return LMB_OK;
    }
    t->input_size[0] = in->input_size[0];
    t->input_size[1] = in->input_size[1];
    if (t->input_size[0] < 1 || t->input_size[1] < 1)
        return LMB_FAIL(LMB_EINVAL,
            "boxes need the size of the input they lie in, not %lld x %lld",
            (long long)t->input_size[0], (long long)t->input_size[1]);
    return LMB_OK;
}

lmb_status lmb__loss_truth_init(lmb_loss_truth *t, lmb_graph *g,
    const lmb_loss_inputs *in, const lmb_taps *student)
{
    const int64_t most = in->most_boxes;
    if (in->boxes == NULL)
        return LMB_OK;
    const int64_t n = in->student[0].shape.dim[0];
    if (most < 1 || most > INT32_MAX / n)
        return LMB_FAIL(LMB_EINVAL, "%lld boxes an image", (long long)most);
    LMB_TRY(find_size(t, in, student));
    *t = (lmb_loss_truth){
        .boxes = lmb_graph_input(g, "boxes", LMB_F32, LMB_SHAPE(n, most, 4)),
        .labels = lmb_graph_input(g, "box_labels", LMB_I32, LMB_SHAPE(n, most)),
        .valid = lmb_graph_input(g, "box_valid", LMB_F32, LMB_SHAPE(n, most)),
        .images = n,
        .most = most,
        .input_size = {t->input_size[0], t->input_size[1]},
        .dtype = in->dtype,
    };
    double *valid = NULL;
    LMB_TRY(LMB_NEW(t->label_data, n * most));
    LMB_TRY(LMB_NEW(valid, n * most)); /* f32 needs less */
    t->valid_data = valid;
    return LMB_OK;
}

void lmb__loss_truth_fini(lmb_loss_truth *t)
{
    lmb_free(t->label_data);
    lmb_free(t->valid_data);
}

static double number(const lmb_loss_truth *t, const void *data, int64_t i)
{
    return t->dtype == LMB_F64 ? ((const double *)data)[i]
                               : (double)((const float *)data)[i];
}

static lmb_status check_box(
    lmb_loss_truth *t, const lmb_loss_inputs *in, int64_t i)
{
    double v[4];
    for (int k = 0; k < 4; k++) {
        v[k] = number(t, in->boxes, 4 * i + k);
        if (!isfinite(v[k]))
            return LMB_FAIL(LMB_EINVAL, "box %lld of image %lld has a %g",
                (long long)(i % t->most), (long long)(i / t->most), v[k]);
    }
    const bool valid = v[2] > v[0] && v[3] > v[1];
    const int32_t label = in->box_labels != NULL ? in->box_labels[i] : 0;
    if (valid && label < 0)
        return LMB_FAIL(LMB_EINVAL, "box %lld of image %lld has the class %d",
            (long long)(i % t->most), (long long)(i / t->most), (int)label);
    if (valid && t->classes > 0 && label >= t->classes)
        return LMB_FAIL(LMB_EINVAL,
            "box %lld of image %lld has the class %d, outside 0 .. %lld",
            (long long)(i % t->most), (long long)(i / t->most), (int)label,
            (long long)t->classes - 1);
    t->label_data[i] = valid ? label : 0;
    if (t->dtype == LMB_F64)
        ((double *)t->valid_data)[i] = valid;
    else
        ((float *)t->valid_data)[i] = valid;
    return LMB_OK;
}

lmb_status lmb__loss_truth_set(
    lmb_loss_truth *t, lmb_plan *plan, const lmb_loss_inputs *in)
{
    if (!lmb_is(t->boxes))
        return LMB_OK;
    if (in->boxes == NULL || in->most_boxes != t->most)
        return LMB_FAIL(LMB_ESHAPE, "%lld boxes an image, compiled for %lld",
            (long long)in->most_boxes, (long long)t->most);
    for (int64_t i = 0; i < t->images * t->most; i++)
        LMB_TRY(check_box(t, in, i));
    LMB_TRY(lmb_plan_set(plan, t->boxes, t->dtype, in->boxes));
    LMB_TRY(lmb_plan_set(plan, t->labels, LMB_I32, t->label_data));
    return lmb_plan_set(plan, t->valid, t->dtype, t->valid_data);
}
