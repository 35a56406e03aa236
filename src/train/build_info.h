/* build_info.h: what this program is made of and runs on. */
#ifndef LMB_TRAIN_BUILD_INFO_H
#define LMB_TRAIN_BUILD_INFO_H

#include "base/base.h"

/* Texts are constant or owned by the backends. */
typedef struct lmb_build_info {
    const char *version; /* "0.1.0" */
    const char *compiler; /* "gcc 12.2.0" */
    const char *dnn; /* "oneDNN 2.6.3" */
    const char *cpu_level; /* of our own kernels: "v4bf16" */
    bool bf16; /* bf16 convolutions at speed */
    bool has_bf16; /* or at any speed: what asking for it needs */
} lmb_build_info;

void lmb_build_info_get(lmb_build_info *out);

/* Threads of the arithmetic from now on (0: all cores); gives their number. */
int lmb_use_threads(int threads);

#endif
