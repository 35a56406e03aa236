/* raw.h: numbers, text and strided arrays in the bytes of a foreign file.
 *
 * All of io/ assumes a little-endian host with IEEE floats (checked below). */
#ifndef LMB_IO_RAW_H
#define LMB_IO_RAW_H

#include "base/base.h"
#include "limbeck/tensor.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
    "the file readers are written for little-endian hosts");

static inline uint16_t lmb_le16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}
static inline uint32_t lmb_le32(const uint8_t *p)
{
    return (uint32_t)lmb_le16(p) | (uint32_t)lmb_le16(p + 2) << 16;
}
static inline uint64_t lmb_le64(const uint8_t *p)
{
    return (uint64_t)lmb_le32(p) | (uint64_t)lmb_le32(p + 4) << 32;
}
void lmb_put_le16(uint8_t *p, uint16_t value);
void lmb_put_le32(uint8_t *p, uint32_t value);
void lmb_put_le64(uint8_t *p, uint64_t value);

/* Reverses the bytes of each of `count` elements of `size` bytes. */
void lmb_swap_elements(void *bytes, int64_t count, size_t size);

/* dst (row-major, packed) = the elements of src at the given strides, which
 * count elements of `size` bytes (1, 2, 4 or 8). The caller has checked that
 * every element lies inside src. */
void lmb_gather_raw(void *dst, const void *src, size_t size,
    const lmb_shape *shape, const int64_t stride[LMB_MAX_RANK]);

/* A bool tensor from a file may hold any byte: afterwards 0 or 1. */
void lmb_normalize_bools(lmb_tensor *tensor);

/* Well-formed UTF-8: no overlong forms, no surrogates, no NUL. */
bool lmb_utf8_is_valid(const char *text, size_t length);

#endif
