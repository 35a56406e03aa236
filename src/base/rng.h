/* rng.h: counter-based random numbers (Philox4x32-10).
 *
 * There is no generator state: number i of a stream is a pure function of
 * (seed, stream, a, b, i). So a batch depends on (seed, epoch, sample) alone,
 * whatever thread makes it, and resuming needs no saved state.
 * Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
 * SC 2011, doi:10.1145/2063384.2063405. */
#ifndef LMB_BASE_RNG_H
#define LMB_BASE_RNG_H

#include <stdint.h>

typedef enum lmb_stream {
    LMB_STREAM_INIT = 1, /* a = hash of the parameter's name */
    LMB_STREAM_SHUFFLE = 2, /* a = epoch */
    LMB_STREAM_AUGMENT = 3, /* a = epoch or view, b = sample index */
    LMB_STREAM_SPLIT = 4, /* held-out split of the training set */
    LMB_STREAM_GENERATE = 5, /* generated data: a = split, b = sample index */
    LMB_STREAM_TEST = 6,
    LMB_STREAM_DROPOUT = 7,
    LMB_STREAM_SAMPLE = 8, /* a = step, b = sampler << 32 | image */
    LMB_STREAM_MASK = 9, /* random masks of methods: a = step, b = level */
} lmb_stream;

/* A cursor into one stream: plain value, made on the stack, copied freely. */
typedef struct lmb_rng {
    uint32_t key[2];
    uint32_t counter[4]; /* counter[0] counts blocks of four numbers */
    uint32_t block[4];
    int left; /* unused numbers in block */
} lmb_rng;

lmb_rng lmb_rng_make(uint64_t seed, lmb_stream stream, uint64_t a, uint64_t b);
uint32_t lmb_rng_u32(lmb_rng *rng);
/* Uniform in [0, 1): 53 bits. */
double lmb_rng_uniform(lmb_rng *rng);
/* Standard normal (Box-Muller; uses two uniforms a number). */
double lmb_rng_normal(lmb_rng *rng);
/* Uniform in 0 .. n-1 without bias; n >= 1. */
uint32_t lmb_rng_below(lmb_rng *rng, uint32_t n);
/* items becomes a random permutation of 0 .. n-1 (Fisher-Yates). */
void lmb_rng_permutation(lmb_rng *rng, int64_t n, int64_t *items);
/* FNV-1a, for keys made of names. */
uint64_t lmb_hash(const char *text);
/* The Philox4x32-10 bijection itself (exposed for its known-answer test). */
void lmb_philox(
    const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

#endif
