/* cpu.c: chooses the level of our own kernels and finds the rows.
 *
 * The build gives one set of tables per level (LMB_CPU_X86: four levels, else
 * only the baseline); see kernel.h. */
#include "backend/cpu/cpu.h"
#include "backend/cpu/cpu_layout.h"
#include "backend/cpu/cpu_optim.h"
#include "base/log.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* The files k_*.c that hold kernel rows, and the levels of this build. */
#define FILES(X, level) \
    X(k_elementwise, level) \
    X(k_batch_norm, level) \
    X(k_group_norm, level) \
    X(k_pool, level) \
    X(k_reduce, level) \
    X(k_softmax, level) \
    X(k_shape, level) \
    X(k_resize, level) \
    X(k_depthwise, level) \
    X(k_layer_norm, level) \
    X(k_roi_align, level) \
    X(k_index, level) \
    X(k_detect, level) \
    X(k_focal, level) \
    X(k_box_iou, level) \
    X(k_label_rows, level)
#if defined(LMB_CPU_X86)
#define LEVELS(X) X(base) X(v3) X(v4) X(v4bf16)
#else
#define LEVELS(X) X(base)
#endif

#define DECLARE(file, level) extern const lmb_kernel lmb__##file##_##level[];
#define DECLARE_LEVEL(level) \
    FILES(DECLARE, level) \
    extern lmb_layout_fn *const lmb__k_layout_##level; \
    extern const lmb_optim_kernels lmb__k_optim_##level;
LEVELS(DECLARE_LEVEL)

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

#define COUNT(file, level) +1
enum { N_TABLES = 0 FILES(COUNT, base) };

typedef struct cpu_level {
    const char *name;
    bool (*runs)(void);
    lmb_layout_fn *const *layout;
    const lmb_optim_kernels *optim;
    const lmb_kernel *tables[N_TABLES];
} cpu_level;

#define TABLE(file, level) lmb__##file##_##level,
#define LEVEL_ROW(level) \
    {#level, runs_##level, &lmb__k_layout_##level, &lmb__k_optim_##level, \
        {FILES(TABLE, level)}},
static const cpu_level levels[] = {LEVELS(LEVEL_ROW)};

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
    if (wish != NULL && wish[0] != '\0' && found == NULL)
        lmb_log_line(LMB_LOG_WARNING,
            "LIMBECK_CPU '%s': this build or this CPU does not have it", wish);
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

const lmb_optim_kernels *lmb_cpu_optim(void)
{
    return level_now()->optim;
}

lmb_layout_fn *lmb_cpu_layout(void)
{
    return *level_now()->layout;
}
