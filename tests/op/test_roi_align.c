/* roi_align: by hand, levels, gradients, boxes at and beyond the border,
 * refusals. */
#include "op_check.h"

enum { MAX_ROIS = 6 };

typedef struct align {
    lmb_roi_align_attr attr;
    int n;
    double roi[MAX_ROIS][5];
} align;

/* x: the levels. */
static lmb_value build(lmb_graph *g, const lmb_value *x, const void *user)
{
    const align *a = user;
    const lmb_value rois =
        lmb_graph_constant(g, LMB_SHAPE(a->n, 5), a->roi[0], 0);
    return lmb_roi_align(g, x, rois, &a->attr);
}

#define ONE_LEVEL(stride, size, samples, aligned) \
    { \
        1, size, samples, {stride}, 56, 0, aligned \
    }

/* x[y][x] = 10 y + x on 4 x 4. */
static const double ramp[16] = {
    0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23, 30, 31, 32, 33};

/* A linear picture: a bin is its value in the middle of the bin. */
static void linear_pictures_by_hand(void **state)
{
    (void)state;
    const align a = {ONE_LEVEL(2, 2, 2, true), 1, {{0, 1, 1, 5, 7}}};
    const op_case c = {build, OP_ANY, &a, 1, {LMB_SHAPE(1, 1, 4, 4)}};
    /* x 0 to 2, y 0 to 3 after the shift: centres 0.5, 1.5; 0.75, 2.25. */
    op_check_value(
        &c, OP_X(ramp), LMB_SHAPE(1, 1, 2, 2), OP_D(8, 9, 23, 24), 1e-14);
}

static void not_aligned_boxes_are_one_wide(void **state)
{
    (void)state;
    const align a = {ONE_LEVEL(1, 1, 1, false), 1, {{0, 1, 2, 1.5, 2}}};
    const op_case c = {build, OP_ANY, &a, 1, {LMB_SHAPE(1, 1, 4, 4)}};
    op_check_value(&c, OP_X(ramp), LMB_SHAPE(1, 1, 1, 1), OP_D(26.5), 1e-14);
}

/* Beyond -1 or the size: 0. From -1 to 0: the first element. */
static void borders_by_hand(void **state)
{
    (void)state;
    const align a = {ONE_LEVEL(1, 1, 1, true), 5,
        {{0, -1, 0, 0, 3}, {0, -2, 0, -1, 1}, {0, 3.5, 3, 4.5, 4},
            {0, 4, 0, 6, 1}, {0, 3, 1, 2, 2}}};
    const op_case c = {build, OP_ANY, &a, 1, {LMB_SHAPE(1, 1, 4, 4)}};
    /* Middles (x, y): (-1, 1), (-2, 0), (3.5, 3), (4.5, 0); (2, 1). */
    op_check_value(
        &c, OP_X(ramp), LMB_SHAPE(5, 1, 1, 1), OP_D(10, 0, 33, 0, 12), 1e-14);
}

/* Turned boxes have no pixels: 0. */
static void turned_boxes_have_no_pixels(void **state)
{
    (void)state;
    const align a = {
        ONE_LEVEL(1, 1, 0, true), 2, {{0, 3, 1, 2, 2}, {0, 1, 1, 1, 1}}};
    const op_case c = {build, OP_ANY, &a, 1, {LMB_SHAPE(1, 1, 4, 4)}};
    op_check_value(&c, OP_X(ramp), LMB_SHAPE(2, 1, 1, 1), OP_D(0, 0), 0);
}

/* Sides 55.9, 56, 112, 223, 224, 5000: levels 0, 0, 1, 1, 2, 2. */
static const align levels = {{3, 1, 0, {4, 8, 16}, 56, 0, true}, 6,
    {{0, 0, 0, 55.9, 55.9}, {0, 0, 0, 56, 56}, {0, 0, 0, 112, 112},
        {0, 0, 0, 223, 223}, {0, 0, 0, 224, 224}, {0, -2500, 0, 2500, 5000}}};

static void boxes_lie_on_the_level_of_their_size(void **state)
{
    (void)state;
    const op_case c = {build, OP_ANY, &levels, 3,
        {LMB_SHAPE(1, 1, 60, 60), LMB_SHAPE(1, 1, 30, 30),
            LMB_SHAPE(1, 1, 400, 200)}};
    double *x = lmb_alloc(400 * 200, sizeof *x);
    double *one = lmb_alloc(3600, sizeof *x), *two = lmb_alloc(900, sizeof *x);
    for (int i = 0; i < 400 * 200; i++) {
        x[i] = 3;
        if (i < 3600)
            one[i] = 1;
        if (i < 900)
            two[i] = 2;
    }
    /* The last one: half of it hangs over the left border, up to -1. */
    op_check_value(&c, OP_X(one, two, x), LMB_SHAPE(6, 1, 1, 1),
        OP_D(1, 1, 2, 2, 3, 3 * 157.0 / 313), 1e-12);
    lmb_free(x);
    lmb_free(one);
    lmb_free(two);
}

/* torchvision's: 224 is level 2 of 0 .. 3. */
static void canonical_level_may_be_in_the_middle(void **state)
{
    (void)state;
    const align a = {{4, 1, 2, {4, 8, 16, 32}, 224, 2, false}, 4,
        {{0, 0, 0, 20, 20}, {0, 0, 0, 112, 112}, {0, 0, 0, 224, 224},
            {0, 0, 0, 448, 448}}};
    const lmb_shape s = LMB_SHAPE(1, 1, 14, 14);
    const op_case c = {build, OP_ANY, &a, 4, {s, s, s, s}};
    double x[4][14 * 14];
    for (int l = 0; l < 4; l++)
        for (int i = 0; i < 14 * 14; i++)
            x[l][i] = l;
    op_check_value(&c, OP_X(x[0], x[1], x[2], x[3]), LMB_SHAPE(4, 1, 1, 1),
        OP_D(0, 1, 2, 3), 1e-14);
}

static const align few = {{2, 3, 2, {4, 8}, 16, 0, true}, 4,
    {{0, 1, 2, 14, 11}, {1, -3, 5, 40, 31}, {1, 4, 4, 5, 25}, {0, 0, 0, 4, 2}}};
static const align pixels = {{2, 2, 0, {4, 8}, 16, 0, false}, 4,
    {{0, 1, 2, 14, 11}, {1, -3, 5, 40, 31}, {1, 4, 4, 5, 25}, {0, 0, 0, 4, 2}}};

static void gradients_match_stencils(void **state)
{
    (void)state;
    op_case c = {
        build, OP_ANY, &few, 2, {LMB_SHAPE(2, 2, 6, 5), LMB_SHAPE(2, 2, 3, 4)}};
    op_check_gradient(&c);
    c.user = &pixels;
    op_check_gradient(&c);
}

static void no_boxes_are_fine(void **state)
{
    (void)state;
    align a = few;
    a.n = 0;
    const op_case c = {
        build, OP_ANY, &a, 2, {LMB_SHAPE(2, 2, 6, 5), LMB_SHAPE(2, 2, 3, 4)}};
    op_check_gradient(&c);
}

static void wrong_calls_are_refused(void **state)
{
    (void)state;
    align a = few;
    op_case c = {
        build, OP_ANY, &a, 2, {LMB_SHAPE(2, 2, 6, 5), LMB_SHAPE(2, 3, 3, 4)}};
    op_check_refused(&c, LMB_ESHAPE, "images or channels differ");
    c.shape[1] = LMB_SHAPE(2, 2, 0, 4);
    op_check_refused(&c, LMB_ESHAPE, "of level 1 are empty");
    c.shape[1] = LMB_SHAPE(2, 2, 3, 4);
    a.attr.levels = 0;
    op_check_refused(&c, LMB_EINVAL, "0 levels are not in 1..6");
    a.attr.levels = 2;
    a.attr.stride[1] = 0;
    op_check_refused(&c, LMB_EINVAL, "stride 0 of level 1");
    a.attr.stride[1] = 8;
    a.attr.size = 0;
    op_check_refused(&c, LMB_EINVAL, "size 0");
}

static void boxes_nowhere_are_refused(void **state)
{
    (void)state;
    static const struct {
        double roi[5];
        const char *part;
    } bad[] = {{{2, 0, 0, 4, 4}, "image 2"}, {{-1, 0, 0, 4, 4}, "image -1"},
        {{0.5, 0, 0, 4, 4}, "image 0.5"}, {{NAN, 0, 0, 4, 4}, "image nan"},
        {{0, 0, NAN, 4, 4}, "(0, nan"}, {{0, 0, 0, INFINITY, 4}, "inf"},
        {{0, 0, 0, 4, 2e6}, "2e+06"}};
    const double x[120] = {0};
    for (size_t i = 0; i < LMB_COUNT(bad); i++) {
        align a = few;
        memcpy(a.roi[1], bad[i].roi, sizeof a.roi[1]);
        const op_case c = {build, OP_ANY, &a, 2,
            {LMB_SHAPE(2, 2, 6, 5), LMB_SHAPE(2, 2, 3, 4)}};
        op_check_run_fails(&c, OP_X(x, x), LMB_EINVAL, bad[i].part);
    }
}

LMB_TEST_MAIN(cmocka_unit_test(linear_pictures_by_hand),
    cmocka_unit_test(not_aligned_boxes_are_one_wide),
    cmocka_unit_test(borders_by_hand),
    cmocka_unit_test(turned_boxes_have_no_pixels),
    cmocka_unit_test(boxes_lie_on_the_level_of_their_size),
    cmocka_unit_test(canonical_level_may_be_in_the_middle),
    cmocka_unit_test(gradients_match_stencils),
    cmocka_unit_test(no_boxes_are_fine),
    cmocka_unit_test(wrong_calls_are_refused),
    cmocka_unit_test(boxes_nowhere_are_refused))
