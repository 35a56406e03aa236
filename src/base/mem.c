/* mem.c: the one place that asks the C library for memory.
 *
 * A header of one cache line before each block keeps blocks 64-byte aligned
 * (what vector kernels and oneDNN want). */
#include "base/base.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64 };

static atomic_int_fast64_t live, total;
static atomic_int_fast64_t countdown = -1;
static atomic_bool injected;

static bool fail_now(void)
{
    if (atomic_load_explicit(&countdown, memory_order_relaxed) < 0)
        return false;
    if (atomic_fetch_sub(&countdown, 1) != 0)
        return false;
    atomic_store(&injected, true);
    return true;
}

void *lmb_alloc(size_t count, size_t size)
{
    size_t bytes = 0;
    if (__builtin_mul_overflow(count, size, &bytes) ||
        bytes > (size_t)PTRDIFF_MAX - 2 * ALIGN || fail_now())
        return NULL;
    const size_t whole = (bytes + ALIGN + ALIGN - 1) / ALIGN * ALIGN;
    char *base = aligned_alloc(ALIGN, whole);
    if (base == NULL)
        return NULL;
    memset(base, 0, whole);
    atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&total, 1, memory_order_relaxed);
    return base + ALIGN;
}

void *lmb_realloc(void *block, size_t old_count, size_t new_count, size_t size)
{
    void *bigger = lmb_alloc(new_count, size);
    if (bigger == NULL)
        return NULL;
    const size_t kept = old_count < new_count ? old_count : new_count;
    if (block != NULL && kept > 0)
        memcpy(bigger, block, kept * size);
    lmb_free(block);
    return bigger;
}

void lmb_free(void *block)
{
    if (block == NULL)
        return;
    atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
    free((char *)block - ALIGN);
}

char *lmb_strdup(const char *text)
{
    const size_t size = strlen(text) + 1;
    char *copy = lmb_alloc(size, 1);
    if (copy != NULL)
        memcpy(copy, text, size);
    return copy;
}

int64_t lmb_alloc_live(void)
{
    return atomic_load(&live);
}

int64_t lmb_alloc_total(void)
{
    return atomic_load(&total);
}

void lmb_alloc_fail_at(int64_t n)
{
    atomic_store(&injected, false);
    atomic_store(&countdown, n);
}

bool lmb_alloc_failed(void)
{
    return atomic_load(&injected);
}

lmb_status lmb__grow(void **items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return LMB_OK;
    const size_t want = *capacity < 8 ? 8 : *capacity * 2;
    void *bigger = lmb_realloc(*items, count, want, size);
    if (bigger == NULL)
        return LMB_FAIL(
            LMB_ENOMEM, "out of memory: %zu x %zu bytes", want, size);
    *items = bigger;
    *capacity = want;
    return LMB_OK;
}
