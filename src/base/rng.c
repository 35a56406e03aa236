/* rng.c: Philox4x32-10 and the distributions made from it. */
#include "base/rng.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

void lmb_philox(
    const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c[4] = {counter[0], counter[1], counter[2], counter[3]};
    uint32_t k0 = key[0];
    uint32_t k1 = key[1];
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)0xD2511F53u * c[0];
        const uint64_t p1 = (uint64_t)0xCD9E8D57u * c[2];
        const uint32_t n0 = (uint32_t)(p1 >> 32) ^ c[1] ^ k0;
        const uint32_t n2 = (uint32_t)(p0 >> 32) ^ c[3] ^ k1;
        c[1] = (uint32_t)p1;
        c[3] = (uint32_t)p0;
        c[0] = n0;
        c[2] = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    memcpy(out, c, sizeof c);
}

/* SplitMix64's finaliser: spreads small integers over all bits. */
static uint64_t mix(uint64_t x)
{
    x += 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

lmb_rng lmb_rng_make(uint64_t seed, lmb_stream stream, uint64_t a, uint64_t b)
{
    const uint64_t key = mix(mix(seed) ^ (uint64_t)stream);
    const uint64_t high = mix(mix(key ^ a) ^ b);
    lmb_rng rng = {
        .key = {(uint32_t)key, (uint32_t)(key >> 32)},
        .counter = {0, (uint32_t)b, (uint32_t)high, (uint32_t)(high >> 32)},
    };
    return rng;
}

uint32_t lmb_rng_u32(lmb_rng *rng)
{
    if (rng->left == 0) {
        lmb_philox(rng->counter, rng->key, rng->block);
        rng->counter[0]++;
        rng->left = 4;
    }
    return rng->block[4 - rng->left--];
}

double lmb_rng_uniform(lmb_rng *rng)
{
    const uint64_t high = lmb_rng_u32(rng) >> 5;
    const uint64_t low = lmb_rng_u32(rng) >> 6;
    return (double)(high << 26 | low) * 0x1p-53;
}

double lmb_rng_normal(lmb_rng *rng)
{
    const double u = 1.0 - lmb_rng_uniform(rng); /* (0, 1]: log is finite */
    const double v = lmb_rng_uniform(rng);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586476925 * v);
}

uint32_t lmb_rng_below(lmb_rng *rng, uint32_t n)
{
    /* Lemire's method: reject the few values that would favour some. */
    uint64_t m = (uint64_t)lmb_rng_u32(rng) * n;
    if ((uint32_t)m < n) {
        const uint32_t threshold = (0u - n) % n;
        while ((uint32_t)m < threshold)
            m = (uint64_t)lmb_rng_u32(rng) * n;
    }
    return (uint32_t)(m >> 32);
}

void lmb_rng_permutation(lmb_rng *rng, int64_t n, int64_t *items)
{
    for (int64_t i = 0; i < n; i++)
        items[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        const int64_t j = lmb_rng_below(rng, (uint32_t)(i + 1));
        const int64_t kept = items[i];
        items[i] = items[j];
        items[j] = kept;
    }
}

uint64_t lmb_hash(const char *text)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *text != '\0'; text++)
        h = (h ^ (unsigned char)*text) * 0x100000001b3u;
    return h;
}
