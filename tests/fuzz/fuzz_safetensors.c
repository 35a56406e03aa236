/* fuzz_safetensors.c: any bytes as a safetensors file. */
#include "io/mapping.h"
#include "io/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lmb_weights *w = NULL;
    if (lmb_weights_new(&w) == LMB_OK &&
        lmb_safetensors_parse(data, size, "fuzz.safetensors", w) == LMB_OK)
        for (const lmb_rename_set *s = lmb_rename_sets(); s->name != NULL; s++)
            if (lmb_weights_rename(w, s->rules) != LMB_OK)
                break;
    lmb_weights_free(w);
    return 0;
}
