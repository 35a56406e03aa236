/* augment.c: which changes are made, drawn from the stream of the sample.
 *
 * Jitter: the four changes in random order, factor ~ U(max(0, 1 - b), 1 + b),
 * hue ~ U(-h, h), as torchvision's ColorJitter. RandAugment: n operations
 * with replacement, each value uniform in its range (no magnitude), then
 * Cutout with side ~ U(0, cutout) * width: Cubuk et al., "RandAugment",
 * arXiv:1909.13719, in the form used for FixMatch, arXiv:2001.07685. */
#include "data/augment.h"

static double between(lmb_rng *rng, double low, double high)
{
    return low + (high - low) * lmb_rng_uniform(rng);
}

/* One of brightness, contrast and colour; 0 is off. */
static lmb_status jitter_one(lmb_augment_op op, double amount, lmb_rng *rng,
    lmb_scratch *scratch, lmb_canvas *canvas)
{
    if (!(amount > 0))
        return LMB_OK;
    const double low = amount > 1 ? 0 : 1 - amount;
    return lmb__augment_apply(
        op, between(rng, low, 1 + amount), scratch, canvas);
}

static lmb_status jitter(const lmb_transform *t, lmb_rng *rng,
    lmb_scratch *scratch, lmb_canvas *canvas)
{
    int64_t order[4];
    lmb_rng_permutation(rng, 4, order);
    for (int i = 0; i < 4; i++) {
        lmb_status st = LMB_OK;
        if (order[i] == 0)
            st = jitter_one(
                LMB_AUGMENT_BRIGHTNESS, t->brightness, rng, scratch, canvas);
        else if (order[i] == 1)
            st = jitter_one(
                LMB_AUGMENT_CONTRAST, t->contrast, rng, scratch, canvas);
        else if (order[i] == 2)
            st = jitter_one(
                LMB_AUGMENT_COLOR, t->saturation, rng, scratch, canvas);
        else if (t->hue > 0)
            lmb__augment_hue(between(rng, -t->hue, t->hue), canvas);
        LMB_TRY(st);
    }
    return LMB_OK;
}

static lmb_status random_op(
    lmb_rng *rng, lmb_scratch *scratch, lmb_canvas *canvas)
{
    static const double range[LMB_AUGMENT_COUNT][2] = {
#define LMB_AUGMENT_RANGE(name, low, high) {low, high},
        LMB_AUGMENT_LIST(LMB_AUGMENT_RANGE)
#undef LMB_AUGMENT_RANGE
    };
    const uint32_t op = lmb_rng_below(rng, LMB_AUGMENT_COUNT);
    const double value = between(rng, range[op][0], range[op][1]);
    return lmb__augment_apply((lmb_augment_op)op, value, scratch, canvas);
}

static void random_cutout(double most, lmb_rng *rng, lmb_canvas *canvas)
{
    const double side = between(rng, 0, most) * canvas->width;
    const double x = between(rng, 0, canvas->width);
    const double y = between(rng, 0, canvas->height);
    lmb__augment_cutout(side, x, y, canvas);
}

lmb_status lmb__augment(const lmb_transform *t, lmb_rng *rng,
    lmb_scratch *scratch, lmb_canvas *canvas)
{
    if (t->brightness > 0 || t->contrast > 0 || t->saturation > 0 || t->hue > 0)
        LMB_TRY(jitter(t, rng, scratch, canvas));
    for (int32_t i = 0; i < t->randaugment; i++)
        LMB_TRY(random_op(rng, scratch, canvas));
    if (t->cutout > 0)
        random_cutout(t->cutout, rng, canvas);
    return LMB_OK;
}
