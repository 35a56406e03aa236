/* k_depthwise.c: weight gradients of depthwise convolutions, channels last.
 *
 * oneDNN has fast kernels for most of them; on the small planes at the end of
 * a network (2 x 2 and the like) it takes its kernel for groups, which spends
 * up to a hundred times as long. The planner asks for this one there. */
#include "backend/cpu/kernel_util.h"

enum { MAX_TAPS = 49 };

typedef struct depthwise {
    const void *x, *dy;
    float *dw, *db; /* [channels][taps]; [channels] or NULL */
    bool half;
    int64_t images, channels, kh, kw;
    int64_t size[2], out[2]; /* H, W of x and of dy */
    const lmb_conv_attr *conv;
} depthwise;

/* Row (axis 0) or column of x that tap k joins with place o of dy; negative or
 * past the end: padding. */
K_INLINE int64_t partner(const depthwise *d, int axis, int64_t o, int64_t k)
{
    return o * d->conv->stride[axis] - d->conv->pad[axis] +
        k * d->conv->dilation[axis];
}

/* m channels from c on: sum over images and places of x dy, by tap. */
K_INLINE void sum_taps(
    const depthwise *d, int64_t c, int64_t m, bool half, vf *sum, vf *bias)
{
    for (int64_t row = 0; row < d->images * d->out[0]; row++) {
        const int64_t n = row / d->out[0], oy = row % d->out[0];
        for (int64_t ox = 0; ox < d->out[1]; ox++) {
            const int64_t place = row * d->out[1] + ox;
            const vf dy = v_load_n(d->dy, place * d->channels + c, m, half);
            *bias += dy;
            for (int64_t ky = 0; ky < d->kh; ky++) {
                const int64_t y = partner(d, 0, oy, ky);
                if (y < 0 || y >= d->size[0])
                    continue;
                for (int64_t kx = 0; kx < d->kw; kx++) {
                    const int64_t x = partner(d, 1, ox, kx);
                    if (x < 0 || x >= d->size[1])
                        continue;
                    const int64_t i = (n * d->size[0] + y) * d->size[1] + x;
                    vf *s = &sum[ky * d->kw + kx];
                    *s = v_fma(
                        v_load_n(d->x, i * d->channels + c, m, half), dy, *s);
                }
            }
        }
    }
}

static void channels_run(const depthwise *d, int64_t c)
{
    const int64_t m = k_min(VL, d->channels - c);
    const int64_t taps = d->kh * d->kw;
    vf sum[MAX_TAPS] = {{0}}, bias = {0};
    if (d->half)
        sum_taps(d, c, m, true, sum, &bias);
    else
        sum_taps(d, c, m, false, sum, &bias);
    for (int64_t i = 0; i < m; i++) {
        for (int64_t t = 0; t < taps; t++)
            d->dw[(c + i) * taps + t] = sum[t][i];
        if (d->db != NULL)
            d->db[c + i] = bias[i];
    }
}

/* Threads share out the channels: no sum is split. */
static void run_weights(const lmb_call *call)
{
    const lmb_conv_bwd_attr *a = call->attr;
    const lmb_buf *x = &call->in[0], *dy = &call->in[1];
    const depthwise d = {
        .x = x->data,
        .dy = dy->data,
        .dw = call->out[0].data,
        .db = a->with_bias ? call->out[1].data : NULL,
        .half = k_is_half(x),
        .images = x->shape.dim[0],
        .channels = x->shape.dim[1],
        .kh = a->spatial[0],
        .kw = a->spatial[1],
        .size = {x->shape.dim[2], x->shape.dim[3]},
        .out = {dy->shape.dim[2], dy->shape.dim[3]},
        .conv = &a->conv,
    };
    K_PARALLEL_FOR(k_count(&x->shape))
    for (int64_t b = 0; b < k_ceil_div(d.channels, VL); b++)
        channels_run(&d, b * VL);
}

static const char *supports(const lmb_call *call)
{
    const lmb_conv_bwd_attr *a = call->attr;
    const lmb_buf *x = &call->in[0], *dy = &call->in[1];
    const int64_t channels = x->shape.dim[1];
    if (a->conv.groups != channels || dy->shape.dim[1] != channels)
        return "it is not depthwise";
    if (x->block != channels || dy->block != channels)
        return "its operands do not lie channels last";
    if (a->spatial[0] * a->spatial[1] > MAX_TAPS)
        return "it has more than 49 taps";
    return NULL;
}

extern const lmb_kernel LMB_KERNEL_TABLE(k_depthwise)[];
const lmb_kernel LMB_KERNEL_TABLE(k_depthwise)[] = {
    {&lmb_op_conv2d_bwd_weights, LMB_RULE_SPATIAL_TO_PLAIN, true, run_weights,
        NULL, supports},
    {0}};
