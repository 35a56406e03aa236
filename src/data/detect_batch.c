/* detect_batch.c: the tensors of boxes of a batch. */
#include "data/detect_batch.h"
#include "tensor/shape.h"

lmb_status lmb__detect_batch_init(
    lmb_detect_batch *b, int64_t batch, int64_t max_boxes)
{
    const lmb_shape boxes = LMB_SHAPE(batch, max_boxes, 4);
    const lmb_shape rows = LMB_SHAPE(batch, max_boxes);
    const lmb_shape pairs = LMB_SHAPE(batch, 2);
    LMB_TRY(lmb_tensor_new(LMB_F32, &boxes, &b->boxes));
    LMB_TRY(lmb_tensor_new(LMB_I32, &rows, &b->labels));
    LMB_TRY(lmb_tensor_new(LMB_F32, &rows, &b->valid));
    LMB_TRY(lmb_tensor_new(LMB_F32, &pairs, &b->sizes));
    return lmb_tensor_new(LMB_F32, &pairs, &b->scales);
}

void lmb__detect_batch_fini(lmb_detect_batch *b)
{
    lmb_tensor_release(b->boxes);
    lmb_tensor_release(b->labels);
    lmb_tensor_release(b->valid);
    lmb_tensor_release(b->sizes);
    lmb_tensor_release(b->scales);
    *b = (lmb_detect_batch){0};
}

lmb_detect_sample lmb__detect_batch_sample(const lmb_detect_batch *b,
    const lmb_dataset *ds, int64_t index, int64_t i, float *pixels)
{
    const int64_t most = b->boxes->shape.dim[1];
    return (lmb_detect_sample){
        .ds = ds,
        .index = index,
        .short_side = b->short_side,
        .height = b->height,
        .width = b->width,
        .max_boxes = most,
        .pixels = pixels + 3 * i * b->height * b->width,
        .boxes = (float *)b->boxes->data + 4 * i * most,
        .labels = (int32_t *)b->labels->data + i * most,
        .valid = (float *)b->valid->data + i * most,
        .size = (float *)b->sizes->data + 2 * i,
        .scale = (float *)b->scales->data + 2 * i,
    };
}
