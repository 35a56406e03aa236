/* golden_weights.h: weights, inputs and directions that need no file.
 *
 * Element i of the array called `name` is a pure function of (name, i), the
 * same here and in tools/golden/weights_rule.py: SplitMix64 of the name's
 * FNV-1a hash plus i + 1 steps, its upper 53 bits as a number u in [0, 1), then
 * low + (high - low) u. */
#ifndef LMB_TESTS_GOLDEN_WEIGHTS_H
#define LMB_TESTS_GOLDEN_WEIGHTS_H

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "graph/param.h"

static inline double golden_uniform(
    uint64_t hash, int64_t i, double low, double high)
{
    uint64_t z = hash + (uint64_t)(i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    return low + (high - low) * ((double)(z >> 11) * 0x1p-53);
}

static inline void golden_array(
    const char *name, int64_t count, double low, double high, double *out)
{
    const uint64_t hash = lmb_hash(name);
    for (int64_t i = 0; i < count; i++)
        out[i] = golden_uniform(hash, i, low, high);
}

/* Weights +-sqrt(3 / fan_in), so that sums keep their size; batch norm's gamma
 * and variance in [0.5, 1.5), everything else in [-0.5, 0.5). The numbers are
 * those of `name`. */
static inline void golden_parameter_as(const lmb_param *p, const char *name)
{
    const size_t length = strlen(p->name);
    const char *end = p->name + (length > 11 ? length - 11 : 0);
    double low = -0.5, high = 0.5;
    if (p->shape.rank > 1) {
        high = sqrt(3 / (double)(p->count / p->shape.dim[0]));
        low = -high;
    } else if (strcmp(end, "running_var") == 0 ||
        (length > 6 && strcmp(p->name + length - 6, "weight") == 0)) {
        low = 0.5;
        high = 1.5;
    }
    const uint64_t hash = lmb_hash(name);
    for (int64_t i = 0; i < p->count; i++)
        lmb_param_set(p, i, golden_uniform(hash, i, low, high));
}

static inline void golden_parameter(const lmb_param *p)
{
    golden_parameter_as(p, p->name);
}

static inline void golden_parameters(lmb_params *store)
{
    for (int i = 0; i < lmb_params_count(store); i++)
        golden_parameter(lmb_params_at(store, i));
    lmb_params_touch(store);
}

/* Dot product of an array of a parameter's size and type, its values or its
 * gradient, with direction "direction/<name>". */
static inline double golden_dot(const lmb_param *p, const void *data)
{
    char name[256];
    const bool wide = lmb_params_dtype(p->owner) == LMB_F64;
    double sum = 0;
    (void)snprintf(name, sizeof name, "direction/%s", p->name);
    const uint64_t hash = lmb_hash(name);
    for (int64_t i = 0; i < p->count; i++)
        sum += (wide ? ((const double *)data)[i] : ((const float *)data)[i]) *
            golden_uniform(hash, i, -1, 1);
    return sum;
}

static inline double golden_dot_grad(const lmb_param *p)
{
    return golden_dot(p, lmb_param_grad(p));
}

#endif
