/* Any bytes as the manifest of a knowledge cache: an error or a match, never a
 * crash. */
#include "base/base.h"
#include "train/cache.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lmb_cache_key key = {0};
    lmb_cache_key_add(&key, "limbeck_cache", "1");
    lmb_cache_key_add(&key, "teacher", "resnet56");
    lmb_cache_key_add(&key, "seed", "7");
    const lmb_status st = lmb_cache_key_check(&key, data, size, "fuzz");
    (void)st;
    return 0;
}
