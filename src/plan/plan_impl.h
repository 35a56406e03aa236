/* plan_impl.h: the inside of a plan: slots (where values lie) and steps. */
#ifndef LMB_PLAN_PLAN_IMPL_H
#define LMB_PLAN_PLAN_IMPL_H

#include "backend/cpu/kernel.h"
#include "backend/onednn/dnn.h"
#include "base/str.h"
#include "graph/ir.h"
#include "plan/plan.h"

enum { LMB_BLOCK = 8 };

/* How a value lies in memory. */
typedef enum lmb_form {
    LMB_FORM_PLAIN, /* dense row-major, f32 or int32 */
    LMB_FORM_NHWC, /* rank 4, f32 */
    LMB_FORM_BLOCKED, /* rank 4, f32, channels in blocks of LMB_BLOCK */
    LMB_FORM_NHWC_BF16, /* rank 4, bf16 */
    LMB_FORM_COUNT,
    LMB_FORM_PACKED, /* convolution weights, oneDNN's own layout */
    LMB_FORM_REF, /* dense double: reference plans */
} lmb_form;

typedef enum lmb_place {
    LMB_PLACE_ARENA, /* workspace + offset */
    LMB_PLACE_STATIC, /* plan->static_memory + offset */
    LMB_PLACE_FIXED, /* `data` was set when compiled (parameter, constant) */
    LMB_PLACE_INPUT, /* `data` is set by lmb_plan_set */
} lmb_place;

typedef struct lmb_slot {
    lmb_value value; /* {0}: scratch */
    lmb_form form;
    lmb_place place;
    size_t bytes, offset;
    void *data;
    int32_t first, last; /* steps between which it lives */
    const lmb_dnn_conv *packed_by;
    lmb_dtype input_dtype; /* INPUT on the reference: F32, F64 or I32 */
    const void *input_data;
} lmb_slot;

typedef enum lmb_step_kind {
    LMB_STEP_KERNEL, /* one of our CPU kernels */
    LMB_STEP_FALLBACK, /* f64 reference on converted operands */
    LMB_STEP_HOST, /* the same for ops that have nothing else */
    LMB_STEP_REFERENCE, /* f64 reference directly */
    LMB_STEP_CONV, /* any of the three convolutions */
    LMB_STEP_MATMUL,
    LMB_STEP_PACK, /* plain weights -> packed */
    LMB_STEP_UNPACK, /* packed gradient -> plain */
    LMB_STEP_UNPACK_GRAD, /* packed gradient -> slot of the parameter */
    LMB_STEP_LAYOUT, /* between forms of a rank-4 value */
} lmb_step_kind;

typedef struct lmb_step {
    lmb_step_kind kind;
    const lmb_node *node; /* NULL: made by the planner */
    const char *name; /* op name, or "pack", "layout", ... */
    int n_in, n_out;
    int32_t in[LMB_MAX_IN], out[LMB_MAX_OUT]; /* slots; -1: absent */
    int32_t scratch;
    bool bias_after; /* CONV: transposed convolution with bias */
    const lmb_kernel *kernel;
    lmb_dnn_conv *conv;
    lmb_dnn_conv_spec spec;
    lmb_dnn_reorder *reorder;
    lmb_call call;
    lmb_buf in_buf[LMB_MAX_IN], out_buf[LMB_MAX_OUT];
} lmb_step;

typedef struct lmb_steps {
    lmb_step **items; /* pointers: calls point into the steps */
    size_t count, capacity;
} lmb_steps;

struct lmb_workspace {
    void *data;
    size_t size;
};

struct lmb_plan {
    lmb_graph *g;
    lmb_plan_opts opts;
    bool blocked; /* BLOCKED, not NHWC, is the way of the convolutions */
    lmb_workspace *workspace, *own_workspace;
    lmb_slot *slots;
    size_t n_slots, slots_capacity;
    int32_t (*forms)[LMB_FORM_COUNT]; /* per value: slot of each form, or -1 */
    bool *is_static; /* per value */
    int32_t *last_use; /* per value: its last node; INT32_MAX: keep */
    lmb_steps steps, static_steps;
    size_t arena_size, static_size;
    void *static_memory;
    lmb_arena *memory; /* constants */
    bool static_done;
    uint64_t static_version; /* sum of the static stores' versions */
    const lmb_params *stores[16];
    bool store_static[16];
    int n_stores;
    lmb_value *outputs;
    int32_t *output_slots;
    int n_outputs;
    lmb_dnn_conv **convs;
    size_t n_convs, convs_capacity;
    lmb_str fallbacks;
    int64_t macs;
};

/* Marks nodes that outputs or side effects need (compile.c). */
lmb_status lmb_plan_live(const lmb_plan *plan, bool *live) LMB_MUST_CHECK;
/* Channels that lie together: the block of kernel.h. */
int64_t lmb_form_block(lmb_form form, int64_t channels);
int32_t lmb_plan_add_slot(lmb_plan *plan, const lmb_slot *slot, lmb_status *st);
lmb_status lmb_plan_add_step(
    lmb_plan *plan, bool is_static, lmb_step **out) LMB_MUST_CHECK;
lmb_status lmb_plan_lower_fast(lmb_plan *plan) LMB_MUST_CHECK;
lmb_status lmb_plan_lower_reference(lmb_plan *plan) LMB_MUST_CHECK;
/* Places slots in arena and static memory (memory.c). */
lmb_status lmb_plan_place(lmb_plan *plan) LMB_MUST_CHECK;
/* Runs one step whose pointers are resolved (execute.c). */
lmb_status lmb_plan_prepare(lmb_plan *plan) LMB_MUST_CHECK;
lmb_status lmb_plan_step(lmb_plan *plan, lmb_step *step) LMB_MUST_CHECK;
void *lmb_plan_slot_data(const lmb_plan *plan, int32_t slot);

#endif
