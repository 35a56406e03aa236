/* shape.h: arithmetic on shapes, and half-precision conversions. */
#ifndef LMB_TENSOR_SHAPE_H
#define LMB_TENSOR_SHAPE_H

#include "base/base.h"
#include "limbeck/tensor.h"

#include <string.h>

/* LMB_SHAPE(2, 3) is a shape of rank 2. LMB_SCALAR is rank 0. */
#define LMB_SHAPE(...) \
    ((lmb_shape){ \
        (int32_t)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), \
        {__VA_ARGS__}})
#define LMB_SCALAR ((lmb_shape){0})

/* Number of elements; -1 if a dimension is negative or it overflows. */
int64_t lmb_shape_count(const lmb_shape *shape);
bool lmb_shape_equal(const lmb_shape *a, const lmb_shape *b);
/* "[64, 3, 32, 32]" for messages; a ring of 8 thread-local buffers. */
const char *lmb_shape_text(const lmb_shape *shape);
/* Row-major strides in elements. */
void lmb_shape_strides(const lmb_shape *shape, int64_t stride[LMB_MAX_RANK]);
/* Parses "F32" etc.; false if unknown. */
bool lmb_dtype_parse(const char *name, lmb_dtype *out);

static inline float lmb_bf16_to_f32(uint16_t h)
{
    const uint32_t u = (uint32_t)h << 16;
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}
/* Round to nearest even; NaN stays NaN. */
static inline uint16_t lmb_f32_to_bf16(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    if ((u & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(u >> 16 | 0x40u);
    return (uint16_t)((u + 0x7fffu + (u >> 16 & 1u)) >> 16);
}
float lmb_f16_to_f32(uint16_t h);
uint16_t lmb_f32_to_f16(float f);

#endif
