/* resize.c: antialiased bilinear resize of 8-bit RGB, bit-exact with Pillow.
 *
 * Output sample o of n covers the input around centre c = (o + 1/2) * s with
 * s = input / output; weights are the triangle 1 - |i + 1/2 - c| / max(s, 1),
 * normalised to 1, then rounded to 22-bit fixed point. First along x, then
 * along y, each pass rounded to 8 bits.
 * Source: the resampling method of Pillow (PIL), checked against its output. */
#include "data/image.h"

#include <math.h>
#include <string.h>

enum { FRACTION_BITS = 22 };

typedef struct filter {
    int32_t taps; /* most weights of one output */
    int32_t *first; /* [outputs] first input used */
    int32_t *count; /* [outputs] */
    int32_t *weight; /* [outputs, taps] fixed point */
} filter;

static double support(int32_t in, int32_t out)
{
    const double scale = (double)in / out;
    return scale < 1.0 ? 1.0 : scale;
}

static int32_t taps_for(int32_t in, int32_t out)
{
    return (int32_t)ceil(support(in, out)) * 2 + 1;
}

static size_t filter_bytes(int32_t in, int32_t out)
{
    return (size_t)out * ((size_t)taps_for(in, out) + 2) * sizeof(int32_t);
}

static double triangle(double x)
{
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

static void fill_weights(int32_t *weight, int32_t first, int32_t count,
    double center, double inverse)
{
    double sum = 0;
    for (int32_t i = 0; i < count; i++)
        sum += triangle((i + first - center + 0.5) * inverse);
    for (int32_t i = 0; i < count; i++) {
        double w = triangle((i + first - center + 0.5) * inverse);
        if (sum != 0.0)
            w /= sum;
        weight[i] = (int32_t)(0.5 + w * (1 << FRACTION_BITS));
    }
}

static filter filter_make(int32_t in, int32_t out, void *memory)
{
    filter f = {.taps = taps_for(in, out), .first = memory};
    f.count = f.first + out;
    f.weight = f.count + out;
    const double scale = (double)in / out;
    const double reach = support(in, out);
    for (int32_t o = 0; o < out; o++) {
        const double center = (o + 0.5) * scale;
        int32_t low = (int32_t)(center - reach + 0.5);
        int32_t high = (int32_t)(center + reach + 0.5);
        low = low < 0 ? 0 : low;
        high = high > in ? in : high;
        f.first[o] = low;
        f.count[o] = high - low;
        fill_weights(f.weight + (size_t)o * (size_t)f.taps, low, high - low,
            center, 1.0 / reach);
    }
    return f;
}

static uint8_t round8(int32_t sum)
{
    const int32_t v = sum >> FRACTION_BITS;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static void pass_x(const uint8_t *src, size_t stride, int32_t rows,
    const filter *f, int32_t out, uint8_t *dst)
{
    for (int32_t y = 0; y < rows; y++, src += stride)
        for (int32_t o = 0; o < out; o++, dst += 3) {
            const uint8_t *p = src + 3 * (size_t)f->first[o];
            const int32_t *w = f->weight + (size_t)o * (size_t)f->taps;
            int32_t sum[3] = {1 << (FRACTION_BITS - 1),
                1 << (FRACTION_BITS - 1), 1 << (FRACTION_BITS - 1)};
            for (int32_t i = 0; i < f->count[o]; i++, p += 3) {
                sum[0] += p[0] * w[i];
                sum[1] += p[1] * w[i];
                sum[2] += p[2] * w[i];
            }
            for (int c = 0; c < 3; c++)
                dst[c] = round8(sum[c]);
        }
}

static void pass_y(const uint8_t *src, size_t stride, const filter *f,
    int32_t out, size_t row, int32_t *sum, uint8_t *dst)
{
    for (int32_t o = 0; o < out; o++, dst += row) {
        const int32_t *w = f->weight + (size_t)o * (size_t)f->taps;
        for (size_t x = 0; x < row; x++)
            sum[x] = 1 << (FRACTION_BITS - 1);
        for (int32_t i = 0; i < f->count[o]; i++) {
            const uint8_t *p = src + (size_t)(f->first[o] + i) * stride;
            for (size_t x = 0; x < row; x++)
                sum[x] += p[x] * w[i];
        }
        for (size_t x = 0; x < row; x++)
            dst[x] = round8(sum[x]);
    }
}

static lmb_status check(
    const lmb_image *src, const lmb_rect *r, int32_t height, int32_t width)
{
    if (r->y < 0 || r->x < 0 || r->height < 1 || r->width < 1 ||
        r->height > src->height - r->y || r->width > src->width - r->x)
        return LMB_FAIL(LMB_EINVAL,
            "crop %d x %d at (%d, %d) is not inside %d x %d", (int)r->width,
            (int)r->height, (int)r->x, (int)r->y, (int)src->width,
            (int)src->height);
    if (height < 1 || width < 1 || height > LMB_IMAGE_MAX_SIDE ||
        width > LMB_IMAGE_MAX_SIDE ||
        (int64_t)height * width > LMB_IMAGE_MAX_PIXELS)
        return LMB_FAIL(LMB_EINVAL, "resize to %d x %d is beyond the limits",
            (int)width, (int)height);
    return LMB_OK;
}

static void copy_rows(
    const uint8_t *src, size_t stride, int32_t rows, size_t row, uint8_t *dst)
{
    for (int32_t y = 0; y < rows; y++)
        memcpy(dst + (size_t)y * row, src + (size_t)y * stride, row);
}

lmb_status lmb_image_resize(const lmb_image *src, const lmb_rect *crop,
    int32_t height, int32_t width, lmb_scratch *scratch, uint8_t *dst)
{
    const lmb_rect whole = {0, 0, src->height, src->width};
    const lmb_rect r = crop != NULL ? *crop : whole;
    LMB_TRY(check(src, &r, height, width));
    const size_t stride = (size_t)src->width * 3;
    const size_t row = (size_t)width * 3;
    const uint8_t *p = src->rgb + (size_t)r.y * stride + 3 * (size_t)r.x;
    const size_t bytes_x = filter_bytes(r.width, width);
    const size_t bytes_y = filter_bytes(r.height, height);
    const size_t bytes_sum = row * sizeof(int32_t);
    void *memory = NULL;
    LMB_TRY(lmb_scratch_get(scratch, LMB_SLOT_FILTER,
        bytes_x + bytes_y + bytes_sum + row * (size_t)r.height, &memory));
    uint8_t *at = memory;
    const bool both = r.width != width && r.height != height;
    uint8_t *middle = both ? at + bytes_x + bytes_y + bytes_sum : dst;
    if (r.width != width) {
        const filter f = filter_make(r.width, width, at);
        pass_x(p, stride, r.height, &f, width, middle);
    }
    if (r.height != height) {
        const filter f = filter_make(r.height, height, at + bytes_x);
        const bool narrowed = r.width != width;
        pass_y(narrowed ? middle : p, narrowed ? row : stride, &f, height, row,
            (int32_t *)(void *)(at + bytes_x + bytes_y), dst);
    } else if (r.width == width) {
        copy_rows(p, stride, height, row, dst);
    }
    return LMB_OK;
}
