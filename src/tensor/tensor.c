/* tensor.c: counted dense arrays. */
#include "limbeck/tensor.h"

#include "tensor/shape.h"

#include <math.h>
#include <stdio.h>

static const struct {
    const char *name;
    size_t size;
} dtypes[] = {
#define LMB_DTYPE_ROW(name, number, bytes, text) [number] = {text, bytes},
    LMB_DTYPE_LIST(LMB_DTYPE_ROW)
#undef LMB_DTYPE_ROW
};

size_t lmb_dtype_size(lmb_dtype dtype)
{
    return (size_t)dtype < LMB_COUNT(dtypes) ? dtypes[dtype].size : 0;
}

const char *lmb_dtype_name(lmb_dtype dtype)
{
    return (size_t)dtype < LMB_COUNT(dtypes) ? dtypes[dtype].name : "?";
}

bool lmb_dtype_parse(const char *name, lmb_dtype *out)
{
    for (size_t i = 0; i < LMB_COUNT(dtypes); i++)
        if (strcmp(name, dtypes[i].name) == 0) {
            *out = (lmb_dtype)i;
            return true;
        }
    return false;
}

int64_t lmb_shape_count(const lmb_shape *shape)
{
    int64_t count = 1;
    int64_t bound = 1; /* as if no dimension were 0: what strides need */
    for (int i = 0; i < shape->rank; i++) {
        const int64_t dim = shape->dim[i];
        if (dim < 0 || !lmb_mul_i64(bound, dim > 0 ? dim : 1, &bound))
            return -1;
        count *= dim;
    }
    return count;
}

bool lmb_shape_equal(const lmb_shape *a, const lmb_shape *b)
{
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i])
            return false;
    return true;
}

const char *lmb_shape_text(const lmb_shape *shape)
{
    static _Thread_local char ring[8][128];
    static _Thread_local unsigned next;
    char *text = ring[next++ % 8];
    size_t used = 0;
    used += (size_t)snprintf(text, 128, "[");
    const int rank = shape->rank < LMB_MAX_RANK ? shape->rank : LMB_MAX_RANK;
    for (int i = 0; i < rank && used < 100; i++)
        used += (size_t)snprintf(text + used, 128 - used, "%s%lld",
            i > 0 ? ", " : "", (long long)shape->dim[i]);
    (void)snprintf(text + used, 128 - used, "]");
    return text;
}

void lmb_shape_strides(const lmb_shape *shape, int64_t stride[LMB_MAX_RANK])
{
    int64_t s = 1;
    for (int i = shape->rank - 1; i >= 0; i--) {
        stride[i] = s;
        s *= shape->dim[i];
    }
}

float lmb_f16_to_f32(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
    const uint32_t exponent = h >> 10 & 0x1fu;
    const uint32_t mantissa = h & 0x3ffu;
    if (exponent == 0) {
        const float magnitude = (float)mantissa * 0x1p-24f;
        return sign != 0 ? -magnitude : magnitude;
    }
    const uint32_t u = exponent == 31
        ? sign | 0x7f800000u | mantissa << 13
        : sign | (exponent + 112) << 23 | mantissa << 13;
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

uint16_t lmb_f32_to_f16(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    const uint16_t sign = (uint16_t)(u >> 16 & 0x8000u);
    const uint32_t magnitude = u & 0x7fffffffu;
    if (magnitude > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u);
    if (magnitude >= 0x477ff000u) /* rounds to 65536 or more */
        return (uint16_t)(sign | 0x7c00u);
    if (magnitude < 0x38800000u) { /* subnormal in f16 */
        const float scaled = fabsf(f) * 0x1p24f;
        return (uint16_t)(sign | (uint16_t)lrintf(scaled));
    }
    const uint32_t rounded = magnitude + 0xfffu + (magnitude >> 13 & 1u);
    return (uint16_t)(sign | (rounded - 0x38000000u) >> 13);
}

lmb_status lmb_tensor_new(
    lmb_dtype dtype, const lmb_shape *shape, lmb_tensor **out)
{
    if (shape->rank < 0 || shape->rank > LMB_MAX_RANK)
        return LMB_FAIL(LMB_ESHAPE, "tensor: rank %d outside 0..%d",
            shape->rank, LMB_MAX_RANK);
    if (lmb_dtype_size(dtype) == 0)
        return LMB_FAIL(LMB_EINVAL, "tensor: unknown type %d", (int)dtype);
    const int64_t count = lmb_shape_count(shape);
    int64_t bytes = 0;
    if (count < 0 ||
        !lmb_mul_i64(count, (int64_t)lmb_dtype_size(dtype), &bytes))
        return LMB_FAIL(LMB_ESHAPE, "tensor: shape %s is negative or too large",
            lmb_shape_text(shape));
    lmb_tensor *t = NULL;
    LMB_TRY(LMB_NEW(t, 1));
    t->data = lmb_alloc((size_t)bytes, 1);
    if (t->data == NULL) {
        lmb_free(t);
        return LMB_FAIL(LMB_ENOMEM, "out of memory: tensor %s of %s",
            lmb_shape_text(shape), lmb_dtype_name(dtype));
    }
    t->dtype = dtype;
    t->shape = *shape;
    t->refs_ = 1;
    t->owned_ = 1;
    *out = t;
    return LMB_OK;
}

lmb_status lmb_tensor_wrap(
    lmb_dtype dtype, const lmb_shape *shape, void *data, lmb_tensor **out)
{
    if (shape->rank < 0 || shape->rank > LMB_MAX_RANK ||
        lmb_shape_count(shape) < 0)
        return LMB_FAIL(LMB_ESHAPE, "tensor: rank or dimension out of range");
    if (lmb_dtype_size(dtype) == 0)
        return LMB_FAIL(LMB_EINVAL, "tensor: unknown type %d", (int)dtype);
    lmb_tensor *t = NULL;
    LMB_TRY(LMB_NEW(t, 1));
    t->dtype = dtype;
    t->shape = *shape;
    t->data = data;
    t->refs_ = 1;
    *out = t;
    return LMB_OK;
}

lmb_tensor *lmb_tensor_retain(lmb_tensor *tensor)
{
    __atomic_add_fetch(&tensor->refs_, 1, __ATOMIC_RELAXED);
    return tensor;
}

void lmb_tensor_release(lmb_tensor *tensor)
{
    if (tensor == NULL ||
        __atomic_sub_fetch(&tensor->refs_, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    if (tensor->owned_)
        lmb_free(tensor->data);
    lmb_free(tensor);
}

int64_t lmb_tensor_count(const lmb_tensor *tensor)
{
    return lmb_shape_count(&tensor->shape);
}

double lmb_tensor_get(const lmb_tensor *tensor, int64_t i)
{
    switch (tensor->dtype) {
    case LMB_F32:
        return (double)((const float *)tensor->data)[i];
    case LMB_F64:
        return ((const double *)tensor->data)[i];
    case LMB_BF16:
        return (double)lmb_bf16_to_f32(((const uint16_t *)tensor->data)[i]);
    case LMB_F16:
        return (double)lmb_f16_to_f32(((const uint16_t *)tensor->data)[i]);
    case LMB_I8:
        return (double)((const int8_t *)tensor->data)[i];
    case LMB_U8:
    case LMB_BOOL:
        return (double)((const uint8_t *)tensor->data)[i];
    case LMB_I16:
        return (double)((const int16_t *)tensor->data)[i];
    case LMB_I32:
        return (double)((const int32_t *)tensor->data)[i];
    case LMB_I64:
        return (double)((const int64_t *)tensor->data)[i];
    }
    return 0;
}

/* Truncates towards zero and clamps; NaN becomes 0. */
static int64_t to_integer(double value, double low, double high)
{
    if (!(value == value))
        return 0;
    if (value <= low)
        return (int64_t)low;
    if (value >= high)
        return high >= 0x1p63 ? INT64_MAX : (int64_t)high;
    return (int64_t)value;
}

void lmb_tensor_set(lmb_tensor *tensor, int64_t i, double value)
{
    switch (tensor->dtype) {
    case LMB_F32:
        ((float *)tensor->data)[i] = (float)value;
        break;
    case LMB_F64:
        ((double *)tensor->data)[i] = value;
        break;
    case LMB_BF16:
        ((uint16_t *)tensor->data)[i] = lmb_f32_to_bf16((float)value);
        break;
    case LMB_F16:
        ((uint16_t *)tensor->data)[i] = lmb_f32_to_f16((float)value);
        break;
    case LMB_I8:
        ((int8_t *)tensor->data)[i] = (int8_t)to_integer(value, -128, 127);
        break;
    case LMB_U8:
        ((uint8_t *)tensor->data)[i] = (uint8_t)to_integer(value, 0, 255);
        break;
    case LMB_BOOL:
        ((uint8_t *)tensor->data)[i] = value != 0;
        break;
    case LMB_I16:
        ((int16_t *)tensor->data)[i] =
            (int16_t)to_integer(value, -32768, 32767);
        break;
    case LMB_I32:
        ((int32_t *)tensor->data)[i] =
            (int32_t)to_integer(value, -2147483648.0, 2147483647.0);
        break;
    case LMB_I64:
        ((int64_t *)tensor->data)[i] = to_integer(value, -0x1p63, 0x1p63);
        break;
    }
}

lmb_status lmb_tensor_convert(
    const lmb_tensor *tensor, lmb_dtype dtype, lmb_tensor **out)
{
    lmb_tensor *t = NULL;
    LMB_TRY(lmb_tensor_new(dtype, &tensor->shape, &t));
    const int64_t count = lmb_tensor_count(tensor);
    if (dtype == tensor->dtype) {
        memcpy(t->data, tensor->data, (size_t)count * lmb_dtype_size(dtype));
    } else {
        for (int64_t i = 0; i < count; i++)
            lmb_tensor_set(t, i, lmb_tensor_get(tensor, i));
    }
    *out = t;
    return LMB_OK;
}
