/* kernel_util.h: what the files k_*.c share: vectors of the level's width,
 * loads and stores of f32 and bf16, parallel loops, elementary functions.
 *
 * The vectors are those of the compilers (gcc, clang); instructions are named
 * only where the language has no operator: fused multiply-add, square root,
 * bf16 rounding, masked loads. Everything is static: each level has its own
 * copy. */
#ifndef LMB_BACKEND_CPU_KERNEL_UTIL_H
#define LMB_BACKEND_CPU_KERNEL_UTIL_H

#include "backend/cpu/kernel.h"

#include <math.h>
#include <string.h>

#if defined(__SSE2__)
#include <immintrin.h>
#endif
#if defined(_OPENMP)
#include <omp.h>
#endif

/* unused: some serve only builds with OpenMP. */
#define K_INLINE static inline __attribute__((always_inline, unused))

/* --- threads */

#if defined(_OPENMP)
#define K_PRAGMA(text) _Pragma(#text)
#else
#define K_PRAGMA(text)
#endif
/* Iterations are independent; each result depends on its own only. */
#define K_PARALLEL_FOR(work) \
    K_PRAGMA(omp parallel for schedule(static) if (LMB_PARALLEL(work)))

K_INLINE int k_thread(void)
{
#if defined(_OPENMP)
    return omp_get_thread_num();
#else
    return 0;
#endif
}
K_INLINE int k_threads(void) /* in this parallel region */
{
#if defined(_OPENMP)
    return omp_get_num_threads();
#else
    return 1;
#endif
}
K_INLINE int k_max_threads(void) /* of the next parallel region */
{
#if defined(_OPENMP)
    return omp_get_max_threads();
#else
    return 1;
#endif
}
K_INLINE int64_t k_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}
K_INLINE int64_t k_max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}
K_INLINE int64_t k_ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* --- vectors */

#if defined(__AVX512F__)
#define VL 16
#elif defined(__AVX2__)
#define VL 8
#else
#define VL 4
#endif
typedef float vf __attribute__((vector_size(VL * 4)));
typedef int32_t vi __attribute__((vector_size(VL * 4)));
typedef uint32_t vu __attribute__((vector_size(VL * 4)));
typedef uint16_t vh __attribute__((vector_size(VL * 2)));
typedef double vd __attribute__((vector_size(VL * 8)));
typedef uint32_t k_word __attribute__((may_alias));
typedef uint16_t k_half __attribute__((may_alias));

K_INLINE vf v_set(float x)
{
    return x - (vf){0};
}
K_INLINE vf v_from_bits(vu u)
{
    vf f;
    memcpy(&f, &u, sizeof f);
    return f;
}
K_INLINE vu v_bits(vf f)
{
    vu u;
    memcpy(&u, &f, sizeof u);
    return u;
}
/* a where mask (all ones or zeros per lane), else b. */
K_INLINE vf v_pick(vi mask, vf a, vf b)
{
    const vu m = (vu)mask;
    return v_from_bits((v_bits(a) & m) | (v_bits(b) & ~m));
}
/* a b + c in one rounding where the level can. */
K_INLINE vf v_fma(vf a, vf b, vf c)
{
#if defined(__AVX512F__)
    return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__) && defined(__FMA__)
    return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return a * b + c;
#endif
}
K_INLINE vf v_sqrt(vf a)
{
#if defined(__AVX512F__)
    return (vf)_mm512_sqrt_ps((__m512)a);
#elif defined(__AVX2__)
    return (vf)_mm256_sqrt_ps((__m256)a);
#elif defined(__SSE2__)
    return (vf)_mm_sqrt_ps((__m128)a);
#else
    for (int i = 0; i < VL; i++)
        a[i] = sqrtf(a[i]);
    return a;
#endif
}
K_INLINE vf v_abs(vf a)
{
    return v_from_bits(v_bits(a) & 0x7fffffffu);
}
/* Either is NaN: NaN. The processors' own maximum gives its second operand
 * when one is NaN. */
K_INLINE vf v_max(vf a, vf b)
{
#if defined(__AVX512F__)
    const __m512 x = (__m512)a;
    return (vf)_mm512_mask_mov_ps(
        _mm512_max_ps(x, (__m512)b), _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), x);
#else
    return v_pick((a >= b) | (a != a), a, b);
#endif
}
K_INLINE vf v_min(vf a, vf b)
{
    return v_pick((a <= b) | (a != a), a, b);
}
/* NaN stays NaN. */
K_INLINE vf v_relu(vf a)
{
#if defined(__AVX512F__)
    return (vf)_mm512_max_ps(_mm512_setzero_ps(), (__m512)a);
#elif defined(__AVX2__)
    return (vf)_mm256_max_ps(_mm256_setzero_ps(), (__m256)a);
#elif defined(__SSE2__)
    return (vf)_mm_max_ps(_mm_setzero_ps(), (__m128)a);
#else
    return v_pick(a < (vf){0}, (vf){0}, a);
#endif
}
/* Bit i: lane i is greater than 0. */
K_INLINE uint16_t v_positive(vf a)
{
#if defined(__AVX512F__)
    return (uint16_t)_mm512_cmp_ps_mask(
        (__m512)a, _mm512_setzero_ps(), _CMP_GT_OQ);
#elif defined(__AVX2__)
    return (uint16_t)_mm256_movemask_ps(
        _mm256_cmp_ps((__m256)a, _mm256_setzero_ps(), _CMP_GT_OQ));
#elif defined(__SSE2__)
    return (uint16_t)_mm_movemask_ps(_mm_cmpgt_ps((__m128)a, _mm_setzero_ps()));
#else
    unsigned bits = 0;
    for (int i = 0; i < VL; i++)
        bits |= (a[i] > 0 ? 1u : 0u) << i;
    return (uint16_t)bits;
#endif
}
/* Lanes whose bit is set; 0 elsewhere. */
K_INLINE vf v_keep(vf a, uint16_t bits)
{
#if defined(__AVX512F__)
    return (vf)_mm512_maskz_mov_ps(bits, (__m512)a);
#else
    vu lane;
    for (int i = 0; i < VL; i++)
        lane[i] = 1u << i;
    const vu set = (vu)((lane & (uint32_t)bits) != (vu){0});
    return v_from_bits(v_bits(a) & set);
#endif
}
K_INLINE vd v_double(vf a)
{
    return __builtin_convertvector(a, vd);
}
K_INLINE float v_sum(vf a)
{
    float s[VL];
    memcpy(s, &a, sizeof s);
    for (int n = VL / 2; n > 0; n /= 2)
        for (int i = 0; i < n; i++)
            s[i] += s[i + n];
    return s[0];
}
K_INLINE float k_maxf(float a, float b)
{
    return a >= b || a != a ? a : b;
}
K_INLINE float v_reduce_max(vf a)
{
    float s[VL];
    memcpy(s, &a, sizeof s);
    for (int n = VL / 2; n > 0; n /= 2)
        for (int i = 0; i < n; i++)
            s[i] = k_maxf(s[i], s[i + n]);
    return s[0];
}
/* Lanes 0 .. m-1 of a, the others from b. */
K_INLINE vf v_first(int64_t m, vf a, vf b)
{
    vi lane;
    for (int i = 0; i < VL; i++)
        lane[i] = i;
    return v_pick(lane < (int32_t)m, a, b);
}

/* --- loads and stores: element i of p; half: bf16, else f32 */

K_INLINE vf v_widen(vh h)
{
#if defined(__AVX512F__)
    return v_from_bits((vu)_mm512_cvtepu16_epi32((__m256i)h) << 16);
#elif defined(__AVX2__)
    return v_from_bits((vu)_mm256_cvtepu16_epi32((__m128i)h) << 16);
#else
    return v_from_bits(__builtin_convertvector(h, vu) << 16);
#endif
}
K_INLINE vh v_narrow(vf f)
{
    vh h;
#if defined(__AVX512BF16__)
    const __m256bh b = _mm512_cvtneps_pbh((__m512)f);
    memcpy(&h, &b, sizeof h);
#else
    const vu u = v_bits(f);
    const vu nan = (vu)((u & 0x7fffffffu) > 0x7f800000u);
    const vu r = (u + 0x7fffu + (u >> 16 & 1u)) >> 16;
    const vu q = u >> 16 | 0x40u;
    h = __builtin_convertvector((q & nan) | (r & ~nan), vh);
#endif
    return h;
}
K_INLINE vf v_load(const void *p, int64_t i, bool half)
{
    if (half) {
        vh h;
        memcpy(&h, (const char *)p + 2 * i, sizeof h);
        return v_widen(h);
    }
    vf f;
    memcpy(&f, (const char *)p + 4 * i, sizeof f);
    return f;
}
K_INLINE void v_store(void *p, int64_t i, bool half, vf f)
{
    if (half) {
        const vh h = v_narrow(f);
        memcpy((char *)p + 2 * i, &h, sizeof h);
    } else {
        memcpy((char *)p + 4 * i, &f, sizeof f);
    }
}
/* Past the caches; p + i starts a vector's own cache line. Ends with
 * k_stream_end() before others may read. */
K_INLINE void v_stream(void *p, int64_t i, bool half, vf f)
{
#if defined(__AVX512F__)
    if (half) {
        const vh h = v_narrow(f);
        _mm256_stream_si256((__m256i *)(void *)((k_half *)p + i), (__m256i)h);
    } else {
        _mm512_stream_ps((float *)p + i, (__m512)f);
    }
#else
    v_store(p, i, half, f);
#endif
}
K_INLINE void k_stream_end(void)
{
#if defined(__AVX512F__)
    _mm_sfence();
#endif
}
/* Only the first m lanes; the others are 0. */
#if defined(__AVX512BW__) && defined(__AVX512VL__)
K_INLINE __mmask16 k_lanes(int64_t m)
{
    return (__mmask16)((1u << m) - 1u);
}
K_INLINE vh h_load_n(const void *p, int64_t i, int64_t m)
{
    return (vh)_mm256_maskz_loadu_epi16(k_lanes(m), (const k_half *)p + i);
}
K_INLINE void h_store_n(void *p, int64_t i, int64_t m, vh h)
{
    _mm256_mask_storeu_epi16((k_half *)p + i, k_lanes(m), (__m256i)h);
}
K_INLINE vf f_load_n(const void *p, int64_t i, int64_t m)
{
    return (vf)_mm512_maskz_loadu_ps(k_lanes(m), (const float *)p + i);
}
K_INLINE void f_store_n(void *p, int64_t i, int64_t m, vf f)
{
    _mm512_mask_storeu_ps((float *)p + i, k_lanes(m), (__m512)f);
}
#else
K_INLINE vh h_load_n(const void *p, int64_t i, int64_t m)
{
    vh h = {0};
    for (int64_t k = 0; k < m; k++)
        h[k] = ((const k_half *)p)[i + k];
    return h;
}
K_INLINE void h_store_n(void *p, int64_t i, int64_t m, vh h)
{
    for (int64_t k = 0; k < m; k++)
        ((k_half *)p)[i + k] = h[k];
}
#if defined(__AVX2__)
K_INLINE __m256i k_lanes(int64_t m)
{
    return _mm256_cmpgt_epi32(
        _mm256_set1_epi32((int)m), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
K_INLINE vf f_load_n(const void *p, int64_t i, int64_t m)
{
    return (vf)_mm256_maskload_ps((const float *)p + i, k_lanes(m));
}
K_INLINE void f_store_n(void *p, int64_t i, int64_t m, vf f)
{
    _mm256_maskstore_ps((float *)p + i, k_lanes(m), (__m256)f);
}
#else
K_INLINE vf f_load_n(const void *p, int64_t i, int64_t m)
{
    vf f = {0};
    for (int64_t k = 0; k < m; k++)
        f[k] = ((const float *)p)[i + k];
    return f;
}
K_INLINE void f_store_n(void *p, int64_t i, int64_t m, vf f)
{
    for (int64_t k = 0; k < m; k++)
        ((float *)p)[i + k] = f[k];
}
#endif
#endif
K_INLINE vf v_load_n(const void *p, int64_t i, int64_t m, bool half)
{
    if (m >= VL)
        return v_load(p, i, half);
    return half ? v_widen(h_load_n(p, i, m)) : f_load_n(p, i, m);
}
K_INLINE void v_store_n(void *p, int64_t i, int64_t m, bool half, vf f)
{
    if (m >= VL)
        v_store(p, i, half, f);
    else if (half)
        h_store_n(p, i, m, v_narrow(f));
    else
        f_store_n(p, i, m, f);
}
K_INLINE float k_load(const void *p, int64_t i, bool half)
{
    return half ? lmb_bf16_to_f32(((const k_half *)p)[i])
                : ((const float *)p)[i];
}
K_INLINE void k_store(void *p, int64_t i, bool half, float f)
{
    if (half)
        ((k_half *)p)[i] = lmb_f32_to_bf16(f);
    else
        ((float *)p)[i] = f;
}
K_INLINE bool k_is_half(const lmb_buf *b)
{
    return b->dtype == LMB_BF16;
}
K_INLINE int64_t k_elem_size(const lmb_buf *b)
{
    return b->dtype == LMB_BF16 ? 2 : 4;
}
K_INLINE int64_t k_count(const lmb_shape *s)
{
    int64_t n = 1;
    for (int i = 0; i < s->rank; i++)
        n *= s->dim[i];
    return n;
}

#endif
