/* kernel.h: the interface of our own CPU kernels.
 *
 * Every file k_*.c in this folder is compiled several times, once per CPU
 * feature level (baseline x86-64, AVX2, AVX-512, AVX-512 with bf16), with
 * LMB_LEVEL set to the level's name; it keeps everything static and exports
 * one table LMB_KERNEL_TABLE(<file>). The level is chosen at start (cpu.c).
 *
 * A rank-4 value in the planner's layout is an array [N][C / block][H * W]
 * [block]: block = C is NHWC, block = 8 a blocked layout of oneDNN's (then C
 * is a multiple of 8), block = 1 plain NCHW. All other values are dense and
 * row-major. Elements are f32 or bf16 (rank 4 in the planner's layout only),
 * or int32 for indices.
 *
 * Kernels never allocate: scratch is asked for before. Sums over large sets
 * use a tree that does not depend on the number of threads, so the bits do
 * not either. OpenMP only where LMB_PARALLEL(work) says that it pays. */
#ifndef LMB_BACKEND_CPU_KERNEL_H
#define LMB_BACKEND_CPU_KERNEL_H

#include "op/ops.h"

typedef struct lmb_buf {
    void *data; /* NULL: absent optional input */
    lmb_shape shape; /* logical */
    lmb_dtype dtype; /* F32, BF16 or I32 */
    int64_t block; /* rank 4: see above; else 1 */
} lmb_buf;

typedef struct lmb_call {
    const void *attr;
    int n_in, n_out;
    const lmb_buf *in;
    lmb_buf *out;
    void *scratch; /* 64-byte aligned; contents undefined */
} lmb_call;

typedef enum lmb_layout_rule {
    /* All operands dense row-major; reals are f32. */
    LMB_RULE_PLAIN = 1,
    /* Rank-4 operands in the planner's layout (same block), f32 or bf16 (the
     * rank-4 operands of one call agree); other operands plain f32. */
    LMB_RULE_SPATIAL,
    /* Inputs as SPATIAL; outputs dense row-major f32. */
    LMB_RULE_SPATIAL_TO_PLAIN,
    /* Elementwise: if all real operands have the same rank-4 shape, any one
     * layout, same for all (treat data as a flat array), else PLAIN. */
    LMB_RULE_FLAT,
} lmb_layout_rule;

typedef struct lmb_kernel {
    const lmb_op *op;
    lmb_layout_rule rule;
    bool bf16; /* all but PLAIN: accepts bf16 operands */
    void (*run)(const lmb_call *c);
    /* Bytes of scratch for this call (data pointers are not set yet), or NULL
     * for none. */
    size_t (*scratch)(const lmb_call *c);
    /* NULL, or says why this call cannot be done by this kernel (static
     * text); NULL result = it can. */
    const char *(*supports)(const lmb_call *c);
} lmb_kernel;

#define LMB_PASTE_(a, b) a##_##b
#define LMB_PASTE(a, b) LMB_PASTE_(a, b)
#ifndef LMB_LEVEL
#define LMB_LEVEL base
#endif
/* const lmb_kernel LMB_KERNEL_TABLE(k_reduce)[] = { {...}, ..., {0} }; */
#define LMB_KERNEL_TABLE(file) LMB_PASTE(lmb__##file, LMB_LEVEL)

/* Worth a parallel region (elements touched)? */
#define LMB_PARALLEL(work) ((work) >= 32768)

/* Runs a call on the op's f64 reference, converting operands; for host ops,
 * for ops without a kernel and for tests. Works in c->scratch, of so many
 * bytes, or allocates where that is NULL. */
lmb_status lmb_call_reference(
    const lmb_op *op, const lmb_call *c) LMB_MUST_CHECK;
size_t lmb_call_reference_scratch(const lmb_op *op, const lmb_call *c);

#endif
