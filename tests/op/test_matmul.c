#include "op_check.h"

static lmb_value build(lmb_graph *g, const lmb_value *x, const void *user)
{
    const bool *t = user;
    return lmb_matmul(g, x[0], x[1], t[0], t[1]);
}

/* Shape of x with op(x) = [m, n]. */
static lmb_shape oriented(int64_t batch, int64_t m, int64_t n, bool transposed)
{
    const int64_t r = transposed ? n : m, c = transposed ? m : n;
    return batch > 0 ? LMB_SHAPE(batch, r, c) : LMB_SHAPE(r, c);
}

static void values_match_hand_numbers(void **state)
{
    (void)state;
    const double *a = OP_D(1, 2, 3, 4, 5, 6), *b = OP_D(1, 0, 2, -1, 3, 1);
    const op_case nn = {build, OP_ANY, (bool[]){false, false}, 2,
        {LMB_SHAPE(2, 3), LMB_SHAPE(3, 2)}};
    op_check_value(&nn, OP_X(a, b), LMB_SHAPE(2, 2), OP_D(14, 1, 32, 1), 0);
    const op_case nt = {build, OP_ANY, (bool[]){false, true}, 2,
        {LMB_SHAPE(2, 3), LMB_SHAPE(2, 3)}};
    op_check_value(&nt, OP_X(a, b), LMB_SHAPE(2, 2), OP_D(7, 8, 16, 17), 0);
    const op_case tn = {build, OP_ANY, (bool[]){true, false}, 2,
        {LMB_SHAPE(3, 2), LMB_SHAPE(3, 2)}};
    op_check_value(&tn, OP_X(a, b), LMB_SHAPE(2, 2), OP_D(22, 2, 28, 2), 0);
    const op_case tt = {build, OP_ANY, (bool[]){true, true}, 2,
        {LMB_SHAPE(3, 2), LMB_SHAPE(2, 3)}};
    op_check_value(&tt, OP_X(a, b), LMB_SHAPE(2, 2), OP_D(11, 13, 14, 16), 0);
}

static void a_batch_is_one_product_after_another(void **state)
{
    (void)state;
    const op_case c = {build, OP_ANY, (bool[]){false, false}, 2,
        {LMB_SHAPE(2, 1, 2), LMB_SHAPE(2, 2, 1)}};
    op_check_value(&c, OP_X(OP_D(1, 2, 3, 4), OP_D(5, 6, 7, 8)),
        LMB_SHAPE(2, 1, 1), OP_D(17, 53), 0);
}

static void an_empty_inner_axis_gives_zero(void **state)
{
    (void)state;
    const op_case c = {build, OP_ANY, (bool[]){false, false}, 2,
        {LMB_SHAPE(2, 0), LMB_SHAPE(0, 1)}};
    op_check_value(&c, OP_X(OP_D(0), OP_D(0)), LMB_SHAPE(2, 1), OP_D(0, 0), 0);
}

static void gradients_match_the_stencil(void **state)
{
    (void)state;
    static const int64_t size[][4] = {
        {0, 3, 4, 5}, {2, 3, 4, 5}, {0, 1, 1, 1}, {1, 1, 6, 1}, {0, 5, 1, 2}};
    for (size_t i = 0; i < LMB_COUNT(size); i++)
        for (int t = 0; t < 4; t++) {
            const bool flags[] = {(t & 1) != 0, (t & 2) != 0};
            const int64_t *s = size[i];
            const op_case c = {build, OP_ANY, flags, 2,
                {oriented(s[0], s[1], s[2], flags[0]),
                    oriented(s[0], s[2], s[3], flags[1])}};
            op_check_gradient(&c);
        }
}

static void misfits_are_refused(void **state)
{
    (void)state;
    static const struct {
        lmb_shape a, b;
        const char *part;
    } bad[] = {
        {{2, {2, 3}}, {2, {2, 3}},
            "matmul: shapes [2, 3] and [2, 3]: 3 columns against 2 rows"},
        {{1, {3}}, {2, {3, 2}}, "are not two matrices or two equal batches"},
        {{2, {2, 3}}, {3, {1, 3, 2}}, "are not two matrices"},
        {{3, {2, 2, 3}}, {3, {4, 3, 2}}, "are not two matrices"},
        {{4, {1, 1, 2, 2}}, {4, {1, 1, 2, 2}}, "are not two matrices"}};
    for (size_t i = 0; i < LMB_COUNT(bad); i++) {
        const op_case c = {
            build, OP_ANY, (bool[]){false, false}, 2, {bad[i].a, bad[i].b}};
        op_check_refused(&c, LMB_ESHAPE, bad[i].part);
    }
    const op_case t = {build, OP_ANY, (bool[]){true, false}, 2,
        {LMB_SHAPE(2, 3), LMB_SHAPE(3, 2)}};
    op_check_refused(&t, LMB_ESHAPE, "[2, 3]^T and [3, 2]");
}

LMB_TEST_MAIN(cmocka_unit_test(values_match_hand_numbers),
    cmocka_unit_test(a_batch_is_one_product_after_another),
    cmocka_unit_test(an_empty_inner_axis_gives_zero),
    cmocka_unit_test(gradients_match_the_stencil),
    cmocka_unit_test(misfits_are_refused))
