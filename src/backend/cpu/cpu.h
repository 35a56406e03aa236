/* cpu.h: our own kernels, at the best level that this CPU runs. */
#ifndef LMB_BACKEND_CPU_CPU_H
#define LMB_BACKEND_CPU_CPU_H

#include "backend/cpu/kernel.h"

/* The kernel of an op at the current level, or NULL if we have none. */
const lmb_kernel *lmb_cpu_kernel_find(const lmb_op *op);
/* Rows of the current level: 0 .. count - 1, for tests. */
int lmb_cpu_kernel_count(void);
const lmb_kernel *lmb_cpu_kernel_at(int i);

/* Levels that this build holds and this CPU can run, lowest first: "base",
 * "v3", "v4", "v4bf16". The last one is chosen at start; the environment
 * variable LIMBECK_CPU or lmb_cpu_set_level chooses another. */
int lmb_cpu_level_count(void);
const char *lmb_cpu_level_at(int i);
const char *lmb_cpu_level_name(void);
/* NULL: back to the default. Errors: EINVAL for an unknown level or one that
 * this CPU cannot run. Not thread-safe: for tests and program start. */
lmb_status lmb_cpu_set_level(const char *name) LMB_MUST_CHECK;

#endif
