/* adaptive_avg_pool2d: cells that divide, overlap and repeat. */
#include "op_check.h"

static lmb_value build(lmb_graph *g, const lmb_value *x, const void *user)
{
    const int64_t *size = user;
    return lmb_adaptive_avg_pool2d(g, x[0], size[0], size[1]);
}

static void cells_divide_overlap_and_repeat(void **state)
{
    (void)state;
    const int64_t divide[2] = {1, 2}, overlap[2] = {1, 3}, repeat[2] = {2, 5};
    op_case c = {build, OP_ANY, divide, 1, {LMB_SHAPE(1, 1, 1, 4)}};
    const double *const x = OP_D(1, 2, 3, 6);
    op_check_value(&c, &x, LMB_SHAPE(1, 1, 1, 2), OP_D(1.5, 4.5), 0);
    c.user = overlap; /* [0, 2), [1, 3), [2, 4) */
    op_check_value(&c, &x, LMB_SHAPE(1, 1, 1, 3), OP_D(1.5, 2.5, 4.5), 0);
    op_check_slope(&c, &x, 0, OP_D(0.5, 1, 1, 0.5), 0);
    c.user = repeat; /* columns [0,1) [0,2) [1,3) [2,4) [3,4) */
    op_check_value(&c, &x, LMB_SHAPE(1, 1, 2, 5),
        OP_D(1, 1.5, 2.5, 4.5, 6, 1, 1.5, 2.5, 4.5, 6), 0);
}

static void one_cell_is_the_mean(void **state)
{
    (void)state;
    const int64_t size[2] = {1, 1};
    const op_case c = {build, OP_ANY, size, 1, {LMB_SHAPE(2, 1, 2, 2)}};
    op_check_value(&c, OP_X(OP_D(1, 2, 3, 4, 5, 6, 7, 8)),
        LMB_SHAPE(2, 1, 1, 1), OP_D(2.5, 6.5), 0);
}

static void gradients_match_stencils(void **state)
{
    (void)state;
    const int64_t sizes[][2] = {{1, 1}, {3, 2}, {4, 4}, {7, 9}, {5, 7}};
    for (size_t i = 0; i < LMB_COUNT(sizes); i++) {
        const op_case c = {build, OP_ANY, sizes[i], 1, {LMB_SHAPE(2, 3, 5, 7)}};
        op_check_gradient(&c);
    }
}

static void wrong_shapes_are_refused(void **state)
{
    (void)state;
    const int64_t zero[2] = {0, 2}, two[2] = {2, 2};
    op_case c = {build, OP_ANY, zero, 1, {LMB_SHAPE(2, 3, 5, 7)}};
    op_check_refused(&c, LMB_ESHAPE, "to 0 x 2");
    c.user = two;
    c.shape[0] = LMB_SHAPE(2, 3, 5);
    op_check_refused(&c, LMB_ESHAPE, "rank 3, not 4");
    c.shape[0] = LMB_SHAPE(2, 3, 5, 0);
    op_check_refused(&c, LMB_ESHAPE, "at least 1");
}

LMB_TEST_MAIN(cmocka_unit_test(cells_divide_overlap_and_repeat),
    cmocka_unit_test(one_cell_is_the_mean),
    cmocka_unit_test(gradients_match_stencils),
    cmocka_unit_test(wrong_shapes_are_refused))
