/* pass.h: what the planner's passes share. A pass rewrites the nodes of a
 * graph in place; one file each. */
#ifndef LMB_PLAN_PASS_H
#define LMB_PLAN_PASS_H

#include "graph/ir.h"
#include "op/ops.h"

/* Users of each value among the nodes that are left. `keep` counts as a use. */
typedef struct lmb_uses {
    int32_t *count; /* per value id */
    int32_t *user; /* a node that uses it, -1 if none */
} lmb_uses;
lmb_status lmb_uses_make(const lmb_graph *g, int n_keep, const lmb_value *keep,
    lmb_uses *out) LMB_MUST_CHECK;
void lmb_uses_fini(lmb_uses *u);

/* The only user of v if it is a node of `op`, else NULL. */
lmb_node *lmb_only_user(
    const lmb_graph *g, const lmb_uses *u, lmb_value v, const lmb_op *op);
/* The node that makes v if it is of `op`, else NULL. */
lmb_node *lmb_maker(const lmb_graph *g, lmb_value v, const lmb_op *op);
/* Makes `to` the maker of value v (output slot `slot`). */
void lmb_take_output(lmb_graph *g, lmb_node *to, int slot, lmb_value v);
/* Replaces the inputs of a node. Sticky ENOMEM. */
void lmb_set_inputs(lmb_graph *g, lmb_node *node, int n, const lmb_value *in);

/* Puts the nodes in topological order again (the smallest old place first)
 * and drops removed ones. */
lmb_status lmb_pass_sort(lmb_graph *g) LMB_MUST_CHECK;
/* batch_norm_train -> [add] -> relu becomes one node. */
lmb_status lmb_pass_fuse_batch_norm(
    lmb_graph *g, int n_keep, const lmb_value *keep) LMB_MUST_CHECK;
/* add -> batch_norm_bwd: the sum of two gradients is made inside. */
lmb_status lmb_pass_fuse_grad_add(
    lmb_graph *g, int n_keep, const lmb_value *keep) LMB_MUST_CHECK;
/* conv2d -> batch_norm_infer: the norm goes into weights and bias. */
lmb_status lmb_pass_fold_batch_norm(
    lmb_graph *g, int n_keep, const lmb_value *keep) LMB_MUST_CHECK;
/* conv2d -> [add] -> relu becomes one node. */
lmb_status lmb_pass_fuse_conv(
    lmb_graph *g, int n_keep, const lmb_value *keep) LMB_MUST_CHECK;

#endif
