/* detect_picture.c: a detector on a picture of no set. */
#include "train/detector.h"

#include "tensor/shape.h"
#include "train/forward.h"

#include <string.h>

static int32_t padded(int32_t side, int32_t pad)
{
    return (side + pad - 1) / pad * pad;
}

lmb_detect_transform lmb_detector_transform(
    const lmb_network *net, int32_t long_side, int32_t short_side)
{
    lmb_detect_transform t = {.long_side = long_side,
        .short_side = {short_side},
        .scales = 1,
        .pad = net->model->pad > 0 ? net->model->pad : 32};
    memcpy(t.mean, net->mean, sizeof t.mean);
    memcpy(t.std, net->std, sizeof t.std);
    return t;
}

static lmb_status take(lmb_detector *d, const float scale[2],
    const lmb_image *image, lmb_dt_box **out, int64_t *count)
{
    const int32_t size[2] = {image->height, image->width};
    const lmb_detected *items = NULL;
    lmb_dt_box *boxes = NULL;
    LMB_TRY(lmb_detector_take(d, 0, &items, count));
    LMB_TRY(LMB_NEW(boxes, *count));
    for (int64_t k = 0; k < *count; k++)
        boxes[k] = lmb_detected_stored(&items[k], scale, size, 0);
    *out = boxes;
    return LMB_OK;
}

lmb_status lmb_detector_picture(lmb_detector *d, const lmb_detect_transform *t,
    const lmb_image *image, bool bgr, lmb_scratch *scratch, lmb_dt_box **out,
    int64_t *count)
{
    const lmb_normalizer normalizer = lmb_normalizer_make(t->mean, t->std);
    lmb_tensor *x = NULL, *sizes = NULL;
    int32_t size[2];
    float scale[2];
    lmb_status st = LMB_OK;
    LMB_TRY(lmb_detect_transform_check(t));
    lmb_detect_resized(t, t->short_side[0], image->height, image->width, size);
    const lmb_shape shape =
        LMB_SHAPE(1, 3, padded(size[0], t->pad), padded(size[1], t->pad));
    const lmb_shape pair = LMB_SHAPE(1, 2);
    LMB_GOTO(lmb_tensor_new(LMB_F32, &shape, &x), st, done);
    LMB_GOTO(lmb_tensor_new(LMB_F32, &pair, &sizes), st, done);
    const lmb_detect_sample sample = {.short_side = t->short_side[0],
        .height = (int32_t)shape.dim[2],
        .width = (int32_t)shape.dim[3],
        .pixels = x->data,
        .size = sizes->data,
        .scale = scale};
    LMB_GOTO(
        lmb_detect_transform_image(t, &normalizer, image, &sample, scratch), st,
        done);
    if (bgr)
        lmb_swap_channels(x->data, (size_t)(shape.dim[2] * shape.dim[3]));
    LMB_GOTO(lmb_detector_run(d, x, sizes), st, done);
    LMB_GOTO(take(d, scale, image, out, count), st, done);
done:
    lmb_tensor_release(x);
    lmb_tensor_release(sizes);
    return st;
}
