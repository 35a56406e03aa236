/* cpu.c: chooses the level of our own kernels and finds the rows.
 *
 * The build gives one set of tables per level (LMB_CPU_X86: four levels, else
 * only the baseline); see kernel.h. */
#include "backend/cpu/cpu.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_(file, level) lmb__##file##_##level
#define TABLE(file, level) TABLE_(file, level)

#define LMB_TABLE(file) extern const lmb_kernel TABLE(file, LMB_LEVEL)[];
#undef LMB_LEVEL
#define LMB_LEVEL base
#include "backend/cpu/tables.def"
#if defined(LMB_CPU_X86)
#undef LMB_LEVEL
#define LMB_LEVEL v3
#include "backend/cpu/tables.def"
#undef LMB_LEVEL
#define LMB_LEVEL v4
#include "backend/cpu/tables.def"
#undef LMB_LEVEL
#define LMB_LEVEL v4bf16
#include "backend/cpu/tables.def"
#endif
#undef LMB_TABLE

static bool runs_base(void)
{
    return true;
}
#if defined(LMB_CPU_X86)
static bool runs_v3(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
        __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
}
static bool runs_v4(void)
{
    return runs_v3() && __builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512cd") &&
        __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl");
}
static bool runs_v4bf16(void)
{
    return runs_v4() && __builtin_cpu_supports("avx512bf16");
}
#endif

#define LMB_TABLE(file) +1
enum {
    N_TABLES = 0
#include "backend/cpu/tables.def"
};
#undef LMB_TABLE

typedef struct cpu_level {
    const char *name;
    bool (*runs)(void);
    const lmb_kernel *tables[N_TABLES];
} cpu_level;

#define LMB_TABLE(file) TABLE(file, LMB_LEVEL),
static const cpu_level levels[] = {
#undef LMB_LEVEL
#define LMB_LEVEL base
    {"base", runs_base,
        {
#include "backend/cpu/tables.def"
        }},
#if defined(LMB_CPU_X86)
#undef LMB_LEVEL
#define LMB_LEVEL v3
    {"v3", runs_v3,
        {
#include "backend/cpu/tables.def"
        }},
#undef LMB_LEVEL
#define LMB_LEVEL v4
    {"v4", runs_v4,
        {
#include "backend/cpu/tables.def"
        }},
#undef LMB_LEVEL
#define LMB_LEVEL v4bf16
    {"v4bf16", runs_v4bf16,
        {
#include "backend/cpu/tables.def"
        }},
#endif
};
#undef LMB_TABLE

int lmb_cpu_level_count(void)
{
    int n = 0;
    while (n < (int)LMB_COUNT(levels) && levels[n].runs())
        n++;
    return n;
}

const char *lmb_cpu_level_at(int i)
{
    return i >= 0 && i < lmb_cpu_level_count() ? levels[i].name : NULL;
}

static const cpu_level *level_find(const char *name)
{
    for (int i = 0; i < lmb_cpu_level_count(); i++)
        if (strcmp(levels[i].name, name) == 0)
            return &levels[i];
    return NULL;
}

static const cpu_level *level_default(void)
{
    const char *wish = getenv("LIMBECK_CPU");
    const cpu_level *found = wish != NULL ? level_find(wish) : NULL;
    return found != NULL ? found : &levels[lmb_cpu_level_count() - 1];
}

/* The level in use; NULL until first asked for. */
static _Atomic(const cpu_level *) current;

static const cpu_level *level_now(void)
{
    const cpu_level *level = atomic_load(&current);
    if (level == NULL) {
        level = level_default();
        atomic_store(&current, level);
    }
    return level;
}

const char *lmb_cpu_level_name(void)
{
    return level_now()->name;
}

lmb_status lmb_cpu_set_level(const char *name)
{
    const cpu_level *level = name != NULL ? level_find(name) : level_default();
    if (level == NULL)
        return LMB_FAIL(LMB_EINVAL,
            "CPU level '%s': this build or this CPU does not have it", name);
    atomic_store(&current, level);
    return LMB_OK;
}

const lmb_kernel *lmb_cpu_kernel_at(int i)
{
    const cpu_level *level = level_now();
    for (int t = 0; t < N_TABLES; t++)
        for (const lmb_kernel *k = level->tables[t]; k->op != NULL; k++)
            if (i-- == 0)
                return k;
    return NULL;
}

int lmb_cpu_kernel_count(void)
{
    int n = 0;
    while (lmb_cpu_kernel_at(n) != NULL)
        n++;
    return n;
}

const lmb_kernel *lmb_cpu_kernel_find(const lmb_op *op)
{
    const cpu_level *level = level_now();
    for (int t = 0; t < N_TABLES; t++)
        for (const lmb_kernel *k = level->tables[t]; k->op != NULL; k++)
            if (k->op == op)
                return k;
    return NULL;
}
