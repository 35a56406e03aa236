/* top.h: the k largest of many, best first, in memory of k keys.
 *
 * A key is a rank (the larger the better) over an index: keys never tie, and
 * of equal ranks the lower index is the better one, as in a stable sort. */
#ifndef LMB_DETECT_TOP_H
#define LMB_DETECT_TOP_H

#include <stdint.h>

/* The caller's array of `capacity` keys; count of them are held. */
typedef struct lmb_top {
    uint64_t *key;
    int64_t capacity, count;
} lmb_top;

/* Rank of a score: rising with it, -0 like 0; NaN below everything. */
uint32_t lmb_top_rank(float score);
/* 0 <= index < 2^32. */
static inline uint64_t lmb_top_key(uint32_t rank, int64_t index)
{
    return (uint64_t)rank << 32 | (0xffffffffu - (uint32_t)index);
}
static inline int64_t lmb_top_index(uint64_t key)
{
    return (int64_t)(0xffffffffu - (uint32_t)key);
}

/* Keeps the key if it is among the best so far. */
void lmb_top_push(lmb_top *top, uint64_t key);
/* Best first. Nothing can be pushed afterwards. */
void lmb_top_sort(lmb_top *top);

#endif
