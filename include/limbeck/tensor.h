/* tensor.h: dense n-dimensional arrays, shared by counting. */
#ifndef LIMBECK_TENSOR_H
#define LIMBECK_TENSOR_H

#include "limbeck/status.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LMB_MAX_RANK 6

/* name, number (ABI: never renumbered), bytes, safetensors' spelling */
#define LMB_DTYPE_LIST(X) \
    X(F32, 0, 4, "F32") \
    X(F64, 1, 8, "F64") \
    X(BF16, 2, 2, "BF16") \
    X(F16, 3, 2, "F16") \
    X(I8, 4, 1, "I8") \
    X(U8, 5, 1, "U8") \
    X(I16, 6, 2, "I16") \
    X(I32, 7, 4, "I32") \
    X(I64, 8, 8, "I64") \
    X(BOOL, 9, 1, "BOOL")

typedef enum lmb_dtype {
#define LMB_DTYPE_ENUM(name, number, bytes, text) LMB_##name = number,
    LMB_DTYPE_LIST(LMB_DTYPE_ENUM)
#undef LMB_DTYPE_ENUM
} lmb_dtype;

LMB_API size_t lmb_dtype_size(lmb_dtype dtype);
LMB_API const char *lmb_dtype_name(lmb_dtype dtype); /* "F32", ... */

/** A shape: rank 0 is a scalar of one element. Dimensions may be 0. */
typedef struct lmb_shape {
    int32_t rank;
    int64_t dim[LMB_MAX_RANK];
} lmb_shape;

/** A dense row-major array. The struct is read-only for users; the elements
 *  may be written by who holds the only reference. */
typedef struct lmb_tensor {
    lmb_dtype dtype;
    lmb_shape shape;
    void *data;
    int32_t refs_; /* private */
    int32_t owned_; /* private */
} lmb_tensor;

/** A new zeroed tensor with one reference, owned by the caller.
 *  Errors: ENOMEM; ESHAPE for a negative dimension or an overflow. */
LMB_API lmb_status lmb_tensor_new(
    lmb_dtype dtype, const lmb_shape *shape, lmb_tensor **out) LMB_MUST_CHECK;
/** A tensor over the caller's memory, which must outlive it. */
LMB_API lmb_status lmb_tensor_wrap(lmb_dtype dtype, const lmb_shape *shape,
    void *data, lmb_tensor **out) LMB_MUST_CHECK;
LMB_API lmb_tensor *lmb_tensor_retain(lmb_tensor *tensor);
LMB_API void lmb_tensor_release(lmb_tensor *tensor); /* accepts NULL */

/** Number of elements; 1 for a scalar. */
LMB_API int64_t lmb_tensor_count(const lmb_tensor *tensor);
/** Element i (flat index) as a double; integers beyond 2^53 are rounded. */
LMB_API double lmb_tensor_get(const lmb_tensor *tensor, int64_t i);
LMB_API void lmb_tensor_set(lmb_tensor *tensor, int64_t i, double value);
/** A new tensor with the elements converted (round to nearest even; integers
 *  are truncated towards zero and clamped). Owned by the caller. */
LMB_API lmb_status lmb_tensor_convert(
    const lmb_tensor *tensor, lmb_dtype dtype, lmb_tensor **out) LMB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
