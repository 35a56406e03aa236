/* ir.h: the inside of a graph, for autodiff, planner passes and plans. */
#ifndef LMB_GRAPH_IR_H
#define LMB_GRAPH_IR_H

#include "graph/graph.h"
#include "graph/param.h"

typedef enum lmb_leaf {
    LMB_LEAF_NONE, /* made by a node */
    LMB_LEAF_INPUT,
    LMB_LEAF_PARAM,
    LMB_LEAF_CONSTANT,
} lmb_leaf;

typedef struct lmb_value_info {
    lmb_type type;
    lmb_leaf leaf;
    int32_t node; /* maker, -1 for leaves */
    int32_t slot; /* which output of the maker */
    const char *name; /* inputs only */
    lmb_param *param;
    const double *constant; /* NULL: all elements are `fill` */
    double fill;
} lmb_value_info;

typedef struct lmb_node {
    const lmb_op *op;
    void *attr;
    int n_in, n_out;
    lmb_value *in, *out;
    const char *scope;
    bool removed; /* by a pass */
} lmb_node;

struct lmb_graph {
    lmb_arena *arena;
    lmb_value_info *values; /* [0] is unused */
    size_t n_values, values_capacity;
    lmb_node *nodes; /* topological order */
    size_t n_nodes, nodes_capacity;
    lmb_status failed;
    char *error;
    char scope[256];
};

#endif
