/* hash.c: XXH64.
 *
 * Four 64-bit lanes take 8 bytes each per round, are merged, then the rest of
 * up to 31 bytes and an avalanche follow. Words are little-endian.
 * Source: the xxHash fast digest algorithm specification, version 0.1.1. */
#include "data/hash.h"

#define P1 0x9E3779B185EBCA87u
#define P2 0xC2B2AE3D27D4EB4Fu
#define P3 0x165667B19E3779F9u
#define P4 0x85EBCA77C2B2AE63u
#define P5 0x27D4EB2F165667C5u

static uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static uint64_t word(const uint8_t *p, int bytes)
{
    uint64_t x = 0;
    for (int i = bytes - 1; i >= 0; i--)
        x = x << 8 | p[i];
    return x;
}

static uint64_t accumulate(uint64_t lane, uint64_t input)
{
    return rotate(lane + input * P2, 31) * P1;
}

static uint64_t merge(uint64_t h, uint64_t lane)
{
    return (h ^ accumulate(0, lane)) * P1 + P4;
}

static uint64_t finish(uint64_t h, const uint8_t *p, size_t left)
{
    for (; left >= 8; left -= 8, p += 8)
        h = rotate(h ^ accumulate(0, word(p, 8)), 27) * P1 + P4;
    if (left >= 4) {
        h = rotate(h ^ word(p, 4) * P1, 23) * P2 + P3;
        left -= 4;
        p += 4;
    }
    for (; left > 0; left--, p++)
        h = rotate(h ^ *p * P5, 11) * P1;
    h = (h ^ h >> 33) * P2;
    h = (h ^ h >> 29) * P3;
    return h ^ h >> 32;
}

uint64_t lmb_xxh64(const void *bytes, size_t size, uint64_t seed)
{
    const uint8_t *p = bytes;
    size_t left = size;
    uint64_t h = seed + P5;
    if (left >= 32) {
        uint64_t lane[4] = {seed + P1 + P2, seed + P2, seed, seed - P1};
        for (; left >= 32; left -= 32, p += 32)
            for (int i = 0; i < 4; i++)
                lane[i] = accumulate(lane[i], word(p + 8 * i, 8));
        h = rotate(lane[0], 1) + rotate(lane[1], 7) + rotate(lane[2], 12) +
            rotate(lane[3], 18);
        for (int i = 0; i < 4; i++)
            h = merge(h, lane[i]);
    }
    return finish(h + size, p, left);
}
