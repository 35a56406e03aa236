/* top.c: a heap whose root is the worst key held. */
#include "detect/top.h"

#include <string.h>

uint32_t lmb_top_rank(float score)
{
    uint32_t bits;
    if (score != score)
        return 0;
    score += 0.0f;
    memcpy(&bits, &score, sizeof bits);
    return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

static void swap(uint64_t *a, uint64_t *b)
{
    const uint64_t kept = *a;
    *a = *b;
    *b = kept;
}

static void sift_down(uint64_t *key, int64_t count)
{
    for (int64_t i = 0;;) {
        int64_t least = i;
        for (int64_t child = 2 * i + 1; child <= 2 * i + 2; child++)
            if (child < count && key[child] < key[least])
                least = child;
        if (least == i)
            return;
        swap(&key[i], &key[least]);
        i = least;
    }
}

static void sift_up(uint64_t *key, int64_t i)
{
    while (i > 0 && key[i] < key[(i - 1) / 2]) {
        swap(&key[i], &key[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
}

void lmb_top_push(lmb_top *top, uint64_t key)
{
    if (top->count < top->capacity) {
        top->key[top->count] = key;
        sift_up(top->key, top->count++);
    } else if (top->capacity > 0 && key > top->key[0]) {
        top->key[0] = key;
        sift_down(top->key, top->count);
    }
}

/* Heap sort: the worst goes to the end. */
void lmb_top_sort(lmb_top *top)
{
    for (int64_t n = top->count; n > 1; n--) {
        swap(&top->key[0], &top->key[n - 1]);
        sift_down(top->key, n - 1);
    }
}
