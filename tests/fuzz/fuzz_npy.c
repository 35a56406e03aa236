/* fuzz_npy.c: any bytes as a .npy file. */
#include "io/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lmb_tensor *t = NULL;
    if (lmb_npy_parse(data, size, "fuzz.npy", &t) == LMB_OK)
        lmb_tensor_release(t);
    return 0;
}
