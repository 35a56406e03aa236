/* cpu_layout.h: a rank-4 value from one form into another, per CPU level.
 *
 * A form is [images][channels / block][area][block] (kernel.h): a block of 1 is
 * plain, one of all channels NHWC; f32 or bf16. Of two forms the larger block
 * is a multiple of the smaller one. A value narrows to the nearest bf16, ties
 * to even. */
#ifndef LMB_BACKEND_CPU_CPU_LAYOUT_H
#define LMB_BACKEND_CPU_CPU_LAYOUT_H

#include "base/base.h"

typedef struct lmb_layout_form {
    int64_t block;
    bool bf16;
} lmb_layout_form;

typedef struct lmb_layout {
    lmb_layout_form from, to;
    int64_t images, channels, area;
} lmb_layout;

typedef void lmb_layout_fn(const lmb_layout *l, const void *from, void *to);

/* That of the level in use. The two arrays do not overlap. */
lmb_layout_fn *lmb_cpu_layout(void);

#endif
