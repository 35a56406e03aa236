/* anchor.c: base anchors and grids; see anchor.h. */
#include "detect/anchor.h"

#include "base/base.h"

#include <math.h>

lmb_anchor_base lmb_anchor_base_of(double size, int32_t n_ratios,
    const double *ratio, int32_t n_scales, const double *scale)
{
    LMB_ASSERT(n_ratios * n_scales <= LMB_MAX_BASE);
    lmb_anchor_base base = {.n = n_ratios * n_scales};
    for (int32_t r = 0; r < n_ratios; r++)
        for (int32_t s = 0; s < n_scales; s++) {
            const double root = sqrt(ratio[r]);
            const double w = size * scale[s] / root, h = size * scale[s] * root;
            double *box = base.box[r * n_scales + s];
            box[0] = -w / 2;
            box[1] = -h / 2;
            box[2] = w / 2;
            box[3] = h / 2;
        }
    return base;
}

lmb_anchor_base lmb_anchor_base_octave(double size, int32_t n_ratios,
    const double *ratio, double octave, int32_t per_octave)
{
    double scale[LMB_MAX_BASE];
    LMB_ASSERT(per_octave <= LMB_MAX_BASE);
    for (int32_t i = 0; i < per_octave; i++)
        scale[i] = octave * pow(2, (double)i / per_octave);
    return lmb_anchor_base_of(size, n_ratios, ratio, per_octave, scale);
}

void lmb_anchor_base_round(lmb_anchor_base *base)
{
    for (int32_t i = 0; i < base->n; i++)
        for (int k = 0; k < 4; k++)
            base->box[i][k] = nearbyint(base->box[i][k]);
}

void lmb_anchor_fill(
    const lmb_anchor_grid *grid, const lmb_anchor_base *base, double *out)
{
    for (int64_t y = 0; y < grid->height; y++)
        for (int64_t x = 0; x < grid->width; x++)
            for (int32_t i = 0; i < base->n; i++)
                for (int k = 0; k < 4; k++)
                    *out++ = base->box[i][k] +
                        (k % 2 == 0 ? (double)x * grid->stride_x
                                    : (double)y * grid->stride_y);
}

void lmb_point_fill(const lmb_anchor_grid *grid, double offset, double *out)
{
    for (int64_t y = 0; y < grid->height; y++)
        for (int64_t x = 0; x < grid->width; x++) {
            *out++ = ((double)x + offset) * grid->stride_x;
            *out++ = ((double)y + offset) * grid->stride_y;
        }
}
