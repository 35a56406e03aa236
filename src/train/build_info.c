/* build_info.c: versions and features, for `limbeck version` and manifests. */
#include "train/build_info.h"

#include "backend/cpu/cpu.h"
#include "backend/cpu/threads.h"
#include "backend/onednn/dnn.h"

void lmb_build_info_get(lmb_build_info *out)
{
    *out = (lmb_build_info)
    {
        .version = LMB_VERSION,
#if defined(__clang__)
        .compiler = "clang " __clang_version__,
#else
        .compiler = "gcc " __VERSION__,
#endif
        .dnn = lmb_dnn_version(), .cpu_level = lmb_cpu_level_name(),
        .bf16 = lmb_dnn_fast_bf16(), .has_bf16 = lmb_dnn_has_bf16(),
    };
}

int lmb_use_threads(int threads)
{
    return lmb_set_threads(threads);
}
