/* kernel_math.h: exp, log and relatives on vectors of f32.
 *
 * Argument reduction to a small interval around 0 or 1, then a polynomial
 * that minimises the largest relative error there (fitted by Lawson's
 * iteration). Errors are about 1 to 2 units in the last place; infinities,
 * NaN, overflow and subnormal numbers behave like the C library's. */
#ifndef LMB_BACKEND_CPU_KERNEL_MATH_H
#define LMB_BACKEND_CPU_KERNEL_MATH_H

#include "backend/cpu/kernel_util.h"

/* 2^n for -126 <= n <= 127. */
K_INLINE vf v_exp2i(vi n)
{
    return v_from_bits((vu)((n + 127) << 23));
}
/* e^x = 2^n e^r, |r| <= ln(2) / 2, e^r = 1 + r + r^2 p(r). */
K_INLINE vf v_exp(vf x)
{
    x = v_pick(x > v_set(89.0f), v_set(89.0f), x);
    x = v_pick(x < v_set(-104.5f), v_set(-104.5f), x);
    /* Adding 1.5 * 2^23 rounds to an integer, left in the low bits. */
    const vf magic = v_set(12582912.0f);
    const vf t = v_fma(x, v_set(1.44269504f), magic);
    const vi n = (vi)(v_bits(t) - v_bits(magic));
    const vf nf = t - magic;
    vf r = v_fma(nf, v_set(-0.693145751953125f), x);
    r = v_fma(nf, v_set(-1.428606765330187e-06f), r);
    vf p = v_fma(v_set(0.001395172f), r, v_set(0.008369599f));
    p = v_fma(p, r, v_set(0.041666187f));
    p = v_fma(p, r, v_set(0.16666512f));
    p = v_fma(p, r, v_set(0.5f));
    p = v_fma(p, r * r, r) + 1.0f;
    /* Two factors: 2^n itself may be out of range. */
    const vi half = n >> 1;
    return p * v_exp2i(half) * v_exp2i(n - half);
}
/* x = m 2^e, sqrt(1/2) <= m < sqrt(2), f = m - 1;
 * log x = e ln 2 + f - f^2 / 2 + f^3 p(f). */
K_INLINE vf v_log(vf x)
{
    const vi tiny = x < v_set(1.17549435e-38f);
    const vf y = v_pick(tiny, x * 8388608.0f, x);
    const vu offset = v_bits(y) - 0x3f3504f3u; /* bits of sqrt(1/2) */
    const vi e = ((vi)offset >> 23) - (tiny & 23);
    const vf m = v_from_bits((offset & 0x007fffffu) + 0x3f3504f3u);
    const vf ef = __builtin_convertvector(e, vf);
    const vf f = m - 1.0f;
    vf p = v_fma(v_set(0.067466415f), f, v_set(-0.11675652f));
    p = v_fma(p, f, v_set(0.11888162f));
    p = v_fma(p, f, v_set(-0.124055885f));
    p = v_fma(p, f, v_set(0.14219552f));
    p = v_fma(p, f, v_set(-0.16667996f));
    p = v_fma(p, f, v_set(0.20002119f));
    p = v_fma(p, f, v_set(-0.2500001f));
    p = v_fma(p, f, v_set(0.33333313f));
    const vf f2 = f * f;
    vf r = v_fma(p * f, f2, ef * v_set(1.428606765330187e-06f));
    r = v_fma(f2, v_set(-0.5f), r) + f;
    r = v_fma(ef, v_set(0.693145751953125f), r);
    r = v_pick(x == (vf){0}, v_set(-INFINITY), r);
    r = v_pick(x < (vf){0}, v_set(NAN), r);
    return v_pick((x < v_set(INFINITY)), r, x); /* +inf and NaN */
}
K_INLINE vf v_sigmoid(vf x)
{
    const vf e = v_exp(-v_abs(x));
    const vf r = 1.0f / (1.0f + e);
    return v_pick(x < (vf){0}, e * r, r);
}
/* Small |x|: x + x^3 p(x^2); else 1 - 2 / (e^2x + 1). */
K_INLINE vf v_tanh(vf x)
{
    const vf a = v_abs(x);
    const vf z = x * x;
    vf p = v_fma(v_set(0.0021429618f), z, v_set(-0.008177399f));
    p = v_fma(p, z, v_set(0.021700703f));
    p = v_fma(p, z, v_set(-0.053946763f));
    p = v_fma(p, z, v_set(0.13333206f));
    p = v_fma(p, z, v_set(-0.3333333f));
    const vf near = v_fma(p * z, x, x);
    const vf far = 1.0f - 2.0f / (v_exp(a + a) + 1.0f);
    const vu sign = v_bits(x) & 0x80000000u;
    return v_pick(a < v_set(0.625f), near, v_from_bits(v_bits(far) | sign));
}
/* log(1 + e^x) = max(x, 0) + log1p(e^-|x|). log1p(t) = log(u) t / (u - 1)
 * with u = 1 + t rounded: the rounding error of u cancels. */
K_INLINE vf v_softplus(vf x)
{
    const vf t = v_exp(-v_abs(x));
    const vf u = 1.0f + t;
    const vf d = u - 1.0f;
    const vf l = v_pick(d == (vf){0}, t, v_log(u) * (t / d));
    return v_pick(x > (vf){0}, x, v_pick(x != x, x, (vf){0})) + l;
}
/* Phi(-a) / e^(-a^2 / 2) for a >= 0, Phi the normal distribution: t p(t),
 * t = 1 / (1 + 0.35 a), relative error 3e-7. */
K_INLINE vf v_normal_tail(vf a)
{
    const vf t = 1.0f / v_fma(v_set(0.35f), a, v_set(1.0f));
    vf p = v_fma(v_set(-0.029157672f), t, v_set(0.14402999f));
    p = v_fma(p, t, v_set(-0.25583729f));
    p = v_fma(p, t, v_set(0.15931798f));
    p = v_fma(p, t, v_set(-0.023211336f));
    p = v_fma(p, t, v_set(0.10555214f));
    p = v_fma(p, t, v_set(0.11982136f));
    p = v_fma(p, t, v_set(0.13986351f));
    return v_fma(p, t, v_set(0.1396213f)) * t;
}
/* x Phi(x); the tail of negative x is as exact as e^(-x^2 / 2) is. */
K_INLINE vf v_gelu(vf x)
{
    const vf tail = v_exp(x * x * -0.5f) * v_normal_tail(v_abs(x));
    return x * v_pick(x < (vf){0}, tail, 1.0f - tail);
}
/* Phi(x) + x phi(x) */
K_INLINE vf v_gelu_slope(vf x)
{
    const vf e = v_exp(x * x * -0.5f);
    const vf tail = e * v_normal_tail(v_abs(x));
    return v_fma(x * 0.39894228f, e, v_pick(x < (vf){0}, tail, 1.0f - tail));
}

#endif
