/* hash.h: XXH64, a fast 64-bit checksum of content (not a secure one). */
#ifndef LMB_DATA_HASH_H
#define LMB_DATA_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Several pieces are chained by passing the last hash as the next seed. */
uint64_t lmb_xxh64(const void *bytes, size_t size, uint64_t seed);

#endif
