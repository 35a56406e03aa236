/* raw.c: byte order, strided copies, UTF-8. */
#include "io/raw.h"

#include "base/str.h"

#include <string.h>

void lmb_put_le16(uint8_t *p, uint16_t value)
{
    p[0] = (uint8_t)value;
    p[1] = (uint8_t)(value >> 8);
}

void lmb_put_le32(uint8_t *p, uint32_t value)
{
    lmb_put_le16(p, (uint16_t)value);
    lmb_put_le16(p + 2, (uint16_t)(value >> 16));
}

void lmb_put_le64(uint8_t *p, uint64_t value)
{
    lmb_put_le32(p, (uint32_t)value);
    lmb_put_le32(p + 4, (uint32_t)(value >> 32));
}

void lmb_swap_elements(void *bytes, int64_t count, size_t size)
{
    uint8_t *p = bytes;
    for (int64_t i = 0; i < count; i++, p += size)
        for (size_t a = 0, b = size - 1; a < b; a++, b--) {
            const uint8_t kept = p[a];
            p[a] = p[b];
            p[b] = kept;
        }
}

/* One row: the constant sizes let the compiler make plain loads of memcpy. */
static void gather_row(uint8_t *dst, const uint8_t *src, size_t size,
    int64_t count, int64_t stride)
{
    if (stride == 1) {
        memcpy(dst, src, (size_t)count * size);
        return;
    }
    const size_t step = (size_t)stride * size;
    for (int64_t i = 0; i < count; i++, src += step, dst += size) {
        if (size == 4)
            memcpy(dst, src, 4);
        else if (size == 8)
            memcpy(dst, src, 8);
        else if (size == 2)
            memcpy(dst, src, 2);
        else
            *dst = *src;
    }
}

void lmb_gather_raw(void *dst, const void *src, size_t size,
    const lmb_shape *shape, const int64_t stride[LMB_MAX_RANK])
{
    const int last = shape->rank - 1;
    if (last < 0) {
        memcpy(dst, src, size);
        return;
    }
    int64_t rows = 1;
    for (int i = 0; i <= last; i++)
        rows *= i < last || shape->dim[i] == 0 ? shape->dim[i] : 1;
    int64_t index[LMB_MAX_RANK] = {0};
    int64_t offset = 0;
    uint8_t *out = dst;
    for (int64_t r = 0; r < rows; r++) {
        gather_row(out, (const uint8_t *)src + (size_t)offset * size, size,
            shape->dim[last], stride[last]);
        out += (size_t)shape->dim[last] * size;
        for (int i = last - 1; i >= 0; i--) {
            offset += stride[i];
            if (++index[i] < shape->dim[i])
                break;
            offset -= index[i] * stride[i];
            index[i] = 0;
        }
    }
}

void lmb_normalize_bools(lmb_tensor *tensor)
{
    if (tensor->dtype != LMB_BOOL)
        return;
    uint8_t *p = tensor->data;
    const int64_t count = lmb_tensor_count(tensor);
    for (int64_t i = 0; i < count; i++)
        p[i] = p[i] != 0;
}

bool lmb_utf8_is_valid(const char *text, size_t length)
{
    for (size_t i = 0; i < length;) {
        const size_t n = lmb_utf8_length(text + i, length - i);
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}
