#include "op_check.h"

static lmb_value build(lmb_graph *g, const lmb_value *x, const void *user)
{
    return lmb_permute(g, x[0], user);
}

static lmb_value turned(lmb_graph *g, const lmb_value *x, const void *user)
{
    (void)user;
    return lmb_transpose(g, x[0]);
}

static void value_matches_a_naive_loop(void **state)
{
    (void)state;
    double x[24], y[24];
    for (int i = 0; i < 24; i++)
        x[i] = i;
    for (int c = 0; c < 4; c++) /* y[c][a][b] = x[a][b][c] */
        for (int a = 0; a < 2; a++)
            for (int b = 0; b < 3; b++)
                y[(c * 2 + a) * 3 + b] = x[(a * 3 + b) * 4 + c];
    const op_case c = {
        build, OP_ANY, (int[]){2, 0, 1}, 1, {LMB_SHAPE(2, 3, 4)}};
    op_check_value(&c, OP_X(x), LMB_SHAPE(4, 2, 3), y, 0);
    const op_case n = {
        build, OP_ANY, (int[]){-1, -3, -2}, 1, {LMB_SHAPE(2, 3, 4)}};
    op_check_value(&n, OP_X(x), LMB_SHAPE(4, 2, 3), y, 0);
}

static void transpose_swaps_rows_and_columns(void **state)
{
    (void)state;
    const op_case c = {turned, OP_ANY, NULL, 1, {LMB_SHAPE(2, 3)}};
    op_check_value(&c, OP_X(OP_D(1, 2, 3, 4, 5, 6)), LMB_SHAPE(3, 2),
        OP_D(1, 4, 2, 5, 3, 6), 0);
    const op_case bad = {turned, OP_ANY, NULL, 1, {LMB_SHAPE(3)}};
    op_check_refused(&bad, LMB_ESHAPE, "transpose: shape [3] is not a matrix");
}

static void a_scalar_stays(void **state)
{
    (void)state;
    const op_case c = {build, OP_ANY, (int[]){0}, 1, {LMB_SCALAR}};
    op_check_value(&c, OP_X(OP_D(7)), LMB_SCALAR, OP_D(7), 0);
}

static void what_is_no_permutation_is_refused(void **state)
{
    (void)state;
    static const int bad[][2] = {{0, 0}, {0, 2}, {-3, 1}, {1, -1}};
    for (size_t i = 0; i < LMB_COUNT(bad); i++) {
        const op_case c = {build, OP_ANY, bad[i], 1, {LMB_SHAPE(2, 3)}};
        op_check_refused(&c, LMB_ESHAPE, "permute: entry");
    }
}

static void gradients_match_the_stencil(void **state)
{
    (void)state;
    static const int perm[][4] = {
        {0, 1, 2, 3}, {3, 2, 1, 0}, {1, 2, 3, 0}, {0, 2, 3, 1}};
    for (size_t i = 0; i < LMB_COUNT(perm); i++) {
        const op_case c = {build, OP_ANY, perm[i], 1, {LMB_SHAPE(2, 3, 1, 4)}};
        op_check_gradient(&c);
    }
}

LMB_TEST_MAIN(cmocka_unit_test(value_matches_a_naive_loop),
    cmocka_unit_test(transpose_swaps_rows_and_columns),
    cmocka_unit_test(a_scalar_stays),
    cmocka_unit_test(what_is_no_permutation_is_refused),
    cmocka_unit_test(gradients_match_the_stencil))
