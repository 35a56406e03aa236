/* cpu_cases.h: the calls on which kernels are compared with references. */
#define UNARY(k) A(lmb_unary_attr, LMB_UNARY_##k)
#define BINARY(k) A(lmb_binary_attr, LMB_BINARY_##k)
#define REDUCE(k, axes, keep) A(lmb_reduce_attr, LMB_REDUCE_##k, axes, keep)
#define AXIS(a) A(lmb_axis_attr, a)
#define POOL(k, s, p, pad) A(lmb_pool_attr, {k, k}, {s, s}, {p, p}, pad)
#define POOL_BWD(k, s, p, pad, h, w) \
    A(lmb_pool_bwd_attr, {{k, k}, {s, s}, {p, p}, pad}, {h, w})
#define NORM(eps, relu) A(lmb_batch_norm_attr, eps, relu)
#define NORM_BWD(relu, res) A(lmb_batch_norm_bwd_attr, 1e-5, relu, res)

#define IN(f, ...) \
    { \
        .fill = f, .shape = __VA_ARGS__ \
    }
#define INDICES(n, ...) \
    { \
        .fill = INDEX, .limit = n, .shape = __VA_ARGS__ \
    }
#define CASE(name, attribute, ...) \
    { \
        .op = &lmb_op_##name, .attr = attribute, .in = { __VA_ARGS__ } \
    }
#define CASE_OF(name, attribute, other, other_attribute, ...) \
    { \
        .op = &lmb_op_##name, .attr = attribute, .in = {__VA_ARGS__}, \
        .forward = &lmb_op_##other, .forward_attr = other_attribute \
    }

static const int32_t bounds[] = {0, 1, 4, 24, 57, 100};
#define SEGMENTS A(lmb_segment_attr, 5, bounds)

#define SMALL S(3, 16, 5, 7)
#define ODD S(2, 11, 6, 3)
#define BIG S(4, 32, 20, 20)

static const kernel_case cases[] = {
    CASE(unary, UNARY(NEG), IN(SPECIAL, S(257))),
    CASE(unary, UNARY(EXP), IN(SPECIAL, S(257))),
    CASE(unary, UNARY(EXP), IN(LOGITS, BIG)),
    CASE(unary, UNARY(LOG), IN(SPECIAL, S(257))),
    CASE(unary, UNARY(LOG), IN(POSITIVE, SMALL)),
    CASE(unary, UNARY(SQRT), IN(SPECIAL, S(257))),
    CASE(unary, UNARY(SQUARE), IN(NORMAL, ODD)),
    CASE(unary, UNARY(RECIPROCAL), IN(SPECIAL, S(257))),
    CASE(unary, UNARY(ABS), IN(SPECIAL, S(257))),
    CASE(unary, UNARY(SIGN), IN(SPECIAL, S(257))),
    CASE(unary, UNARY(SIGMOID), IN(SPECIAL, S(257))),
    CASE(unary, UNARY(TANH), IN(SPECIAL, S(257))),
    CASE(unary, UNARY(SOFTPLUS), IN(SPECIAL, S(257))),
    CASE(unary, UNARY(RELU6), IN(SPECIAL, S(257))),
    CASE(relu, NULL, IN(SPECIAL, S(257))),
    CASE(relu, NULL, IN(NORMAL, BIG)),
    CASE(relu_bwd, NULL, IN(NORMAL, ODD), IN(MASK, ODD)),
    CASE(affine, A(lmb_affine_attr, 2.5, -1), IN(NORMAL, SMALL)),
    CASE(stop_gradient, NULL, IN(NORMAL, SMALL)),
    CASE(binary, BINARY(ADD), IN(NORMAL, BIG), IN(NORMAL, BIG)),
    CASE(binary, BINARY(SUB), IN(NORMAL, S(64, 100)), IN(NORMAL, S(64, 1))),
    CASE(binary, BINARY(MUL), IN(NORMAL, S(64, 100)), IN(NORMAL, S(100))),
    CASE(binary, BINARY(DIV), IN(NORMAL, S(640, 100)), IN(POSITIVE, S(1))),
    CASE(binary, BINARY(DIV), IN(SPECIAL, S(257)), IN(SPECIAL, S(257))),
    CASE(
        binary, BINARY(ADD), IN(NORMAL, S(4, 1, 5, 1)), IN(NORMAL, S(3, 1, 7))),
    CASE(binary, BINARY(MUL), IN(NORMAL, BIG), IN(NORMAL, S(4, 32, 1, 1))),
    CASE(binary, BINARY(MAXIMUM), IN(SPECIAL, S(257)), IN(SPECIAL, S(257))),
    CASE(binary, BINARY(MINIMUM), IN(SPECIAL, S(257)), IN(SPECIAL, S(257))),
    CASE(binary, BINARY(GREATER), IN(TIES, S(257)), IN(TIES, S(257))),
    CASE(binary, BINARY(GREATER_EQUAL), IN(TIES, S(257)), IN(TIES, S(257))),
    CASE(binary, BINARY(EQUAL), IN(TIES, S(9, 40)), IN(TIES, S(9, 1))),
    CASE(select, NULL, IN(TIES, SMALL), IN(NORMAL, SMALL), IN(NORMAL, SMALL)),
    CASE(select, NULL, IN(TIES, S(30, 1)), IN(NORMAL, S(20)), IN(TIES, S(1))),
    CASE(batch_norm_train, NORM(1e-5, false), IN(NORMAL, SMALL),
        IN(NORMAL, S(16)), IN(NORMAL, S(16))),
    CASE(batch_norm_train, NORM(1e-5, true), IN(SHIFTED, ODD),
        IN(NORMAL, S(11)), IN(NORMAL, S(11)), IN(NORMAL, ODD)),
    CASE(batch_norm_train, NORM(1e-5, true), IN(NORMAL, BIG), IN(NORMAL, S(32)),
        IN(NORMAL, S(32)), IN(NORMAL, BIG)),
    CASE(batch_norm_train, NORM(1e-3, false), IN(NORMAL, S(16, 112, 8, 8)),
        IN(NORMAL, S(112)), IN(NORMAL, S(112))),
    CASE(batch_norm_train, NORM(1e-5, false), IN(NORMAL, S(3, 16, 37, 41)),
        IN(NORMAL, S(16)), IN(NORMAL, S(16))),
    CASE(batch_norm_train, NORM(1e-5, false), IN(NORMAL, S(70, 50)),
        IN(NORMAL, S(50)), IN(NORMAL, S(50))),
    CASE(batch_norm_train, NORM(1e-5, false), IN(NORMAL, S(9, 32, 1, 1)),
        IN(NORMAL, S(32)), IN(NORMAL, S(32))),
    CASE(batch_norm_bwd, NORM_BWD(false, false), IN(NORMAL, SMALL),
        IN(ABSENT, S(1)), IN(NORMAL, SMALL), IN(NORMAL, S(16)),
        IN(NORMAL, S(16)), IN(POSITIVE, S(16))),
    CASE(batch_norm_bwd, NORM_BWD(true, false), IN(NORMAL, BIG),
        IN(ABSENT, S(1)), IN(NORMAL, BIG), IN(NORMAL, S(32)), IN(NORMAL, S(32)),
        IN(POSITIVE, S(32)), IN(MASK, BIG)),
    CASE(batch_norm_bwd, NORM_BWD(true, true), IN(NORMAL, BIG), IN(NORMAL, BIG),
        IN(NORMAL, BIG), IN(NORMAL, S(32)), IN(NORMAL, S(32)),
        IN(POSITIVE, S(32)), IN(MASK, BIG)),
    CASE(batch_norm_bwd, NORM_BWD(false, true), IN(NORMAL, ODD),
        IN(NORMAL, ODD), IN(NORMAL, ODD), IN(NORMAL, S(11)), IN(NORMAL, S(11)),
        IN(POSITIVE, S(11))),
    CASE(batch_norm_bwd, NORM_BWD(true, true), IN(NORMAL, S(16, 112, 8, 8)),
        IN(ABSENT, S(1)), IN(NORMAL, S(16, 112, 8, 8)), IN(NORMAL, S(112)),
        IN(NORMAL, S(112)), IN(POSITIVE, S(112)), IN(MASK, S(16, 112, 8, 8))),
    CASE(batch_norm_bwd, NORM_BWD(false, false), IN(NORMAL, S(70, 50)),
        IN(ABSENT, S(1)), IN(NORMAL, S(70, 50)), IN(NORMAL, S(50)),
        IN(NORMAL, S(50)), IN(POSITIVE, S(50))),
    CASE(batch_norm_infer, NORM(1e-5, true), IN(NORMAL, BIG), IN(NORMAL, S(32)),
        IN(NORMAL, S(32)), IN(NORMAL, S(32)), IN(POSITIVE, S(32))),
    CASE(batch_norm_infer, NORM(1e-5, false), IN(NORMAL, S(70, 50)),
        IN(NORMAL, S(50)), IN(NORMAL, S(50)), IN(NORMAL, S(50)),
        IN(POSITIVE, S(50))),
    CASE(max_pool2d, POOL(2, 2, 0, true), IN(NORMAL, BIG)),
    CASE(max_pool2d, POOL(3, 2, 1, true), IN(SPECIAL, ODD)),
    CASE_OF(max_pool2d_bwd, POOL_BWD(3, 2, 1, true, 7, 9), max_pool2d,
        POOL_BWD(3, 2, 1, true, 7, 9), IN(NORMAL, S(2, 16, 4, 5)),
        IN(TIES, S(2, 16, 7, 9)), IN(FORWARD_POOL, S(2, 16, 4, 5))),
    CASE_OF(max_pool2d_bwd, POOL_BWD(2, 2, 0, true, 6, 8), max_pool2d,
        POOL_BWD(2, 2, 0, true, 6, 8), IN(NORMAL, S(2, 5, 3, 4)),
        IN(TIES, S(2, 5, 6, 8)), IN(FORWARD_POOL, S(2, 5, 3, 4))),
    CASE(avg_pool2d, POOL(3, 2, 1, true), IN(NORMAL, ODD)),
    CASE(avg_pool2d, POOL(3, 2, 1, false), IN(NORMAL, BIG)),
    CASE(avg_pool2d_bwd, POOL_BWD(3, 2, 1, false, 7, 9),
        IN(NORMAL, S(2, 16, 4, 5))),
    CASE(avg_pool2d_bwd, POOL_BWD(2, 2, 0, true, 6, 8),
        IN(NORMAL, S(2, 5, 3, 4))),
    CASE(avg_pool2d_bwd, POOL_BWD(2, 3, 0, true, 7, 9),
        IN(NORMAL, S(2, 5, 2, 3))),
    CASE(adaptive_avg_pool2d, A(lmb_size_attr, {3, 4}, 0), IN(NORMAL, ODD)),
    CASE(adaptive_avg_pool2d, A(lmb_size_attr, {4, 4}, 0), IN(NORMAL, BIG)),
    CASE(adaptive_avg_pool2d_bwd, A(lmb_size_attr, {7, 5}, 0),
        IN(NORMAL, S(2, 16, 3, 4))),
    CASE(adaptive_avg_pool2d_bwd, A(lmb_size_attr, {3, 2}, 0),
        IN(NORMAL, S(2, 3, 5, 7))),
    CASE(global_avg_pool, NULL, IN(NORMAL, BIG)),
    CASE(global_avg_pool, NULL, IN(SHIFTED, ODD)),
    CASE(global_avg_pool_bwd, A(lmb_size_attr, {20, 20}, 0),
        IN(NORMAL, S(4, 32))),
    CASE(
        global_avg_pool_bwd, A(lmb_size_attr, {6, 3}, 0), IN(NORMAL, S(2, 11))),
    CASE(reduce, REDUCE(SUM, 1, false), IN(NORMAL, S(1003))),
    CASE(reduce, REDUCE(MEAN, 3, false), IN(NORMAL, S(300, 1001))),
    CASE(reduce, REDUCE(SUM, 1, false), IN(NORMAL, S(3000, 70))),
    CASE(reduce, REDUCE(SUM, 2, true), IN(NORMAL, S(64, 100))),
    CASE(reduce, REDUCE(MEAN, 12, false), IN(NORMAL, BIG)),
    CASE(reduce, REDUCE(MEAN, 13, false), IN(SHIFTED, BIG)),
    CASE(reduce, REDUCE(SUM, 2, true), IN(NORMAL, BIG)),
    CASE(reduce, REDUCE(SUM, 10, false), IN(NORMAL, S(5, 6, 7, 8))),
    CASE(reduce, REDUCE(SUM, 5, false), IN(NORMAL, S(5, 6, 7, 8))),
    CASE(reduce, REDUCE(SUM, 21, true), IN(NORMAL, S(3, 4, 2, 5, 6))),
    CASE(reduce, REDUCE(MAX, 10, false), IN(SPECIAL, S(5, 6, 7, 8))),
    CASE(reduce, REDUCE(MAX, 1, false), IN(TIES, S(700, 33))),
    CASE(reduce, REDUCE(MAX, 2, true), IN(TIES, S(64, 100))),
    CASE(reduce, REDUCE(SUM, 1, false), IN(NORMAL, S(1, 5))),
    CASE_OF(max_bwd, NULL, reduce, REDUCE(MAX, 2, true), IN(NORMAL, S(64, 1)),
        IN(TIES, S(64, 100)), IN(FORWARD, S(64, 1))),
    CASE_OF(max_bwd, NULL, reduce, REDUCE(MAX, 5, true),
        IN(NORMAL, S(1, 6, 1, 8)), IN(TIES, S(5, 6, 7, 8)),
        IN(FORWARD, S(1, 6, 1, 8))),
    CASE(softmax, AXIS(1), IN(LOGITS, S(64, 100))),
    CASE(softmax, AXIS(1), IN(LOGITS, S(400, 1000))),
    CASE(softmax, AXIS(1), IN(LOGITS, S(6, 10, 19))),
    CASE(softmax, AXIS(0), IN(NORMAL, S(33))),
    CASE(softmax_bwd, AXIS(1), IN(NORMAL, S(64, 100)), IN(NORMAL, S(64, 100))),
    CASE(softmax_bwd, AXIS(1), IN(NORMAL, S(6, 10, 19)),
        IN(NORMAL, S(6, 10, 19))),
    CASE(log_softmax, AXIS(1), IN(LOGITS, S(64, 100))),
    CASE(log_softmax, AXIS(1), IN(SPECIAL, S(9, 10))),
    CASE(log_softmax, AXIS(0), IN(LOGITS, S(64, 35))),
    CASE(log_softmax_bwd, AXIS(1), IN(NORMAL, S(64, 100)),
        IN(NORMAL, S(64, 100))),
    CASE(
        log_softmax_bwd, AXIS(0), IN(NORMAL, S(64, 35)), IN(NORMAL, S(64, 35))),
    CASE(segment_log_softmax, SEGMENTS, IN(LOGITS, S(30, 100))),
    CASE(segment_log_softmax_bwd, SEGMENTS, IN(NORMAL, S(30, 100)),
        IN(NORMAL, S(30, 100))),
    CASE(segment_sum, SEGMENTS, IN(NORMAL, S(30, 100))),
    CASE(segment_broadcast, SEGMENTS, IN(NORMAL, S(2, 15, 5))),
};
