/* augment.c: colour jitter, RandAugment and Cutout. */
#include "data/augment.h"

lmb_status lmb__augment(const lmb_transform *t, lmb_rng *rng,
    lmb_scratch *scratch, lmb_canvas *canvas)
{
    (void)rng;
    (void)scratch;
    (void)canvas;
    if (t->brightness > 0 || t->contrast > 0 || t->saturation > 0 ||
        t->hue > 0 || t->randaugment > 0 || t->cutout > 0)
        return LMB_FAIL(LMB_EUNSUPPORTED,
            "transform: colour changes are not available yet");
    return LMB_OK;
}
