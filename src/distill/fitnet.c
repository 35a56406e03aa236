/* fitnet.c: hints: the student's map regressed onto the teacher's.
 *
 * L = sum over pairs mean (r(F_s) - F_t)^2 over all elements; r = convolution,
 * batch norm, ReLU (connector.c), F [N, C, H, W].
 * Source: Romero et al., "FitNets: hints for thin deep nets",
 * arXiv:1412.6550, eq. 3; layer 2 and weight 100 are mdistiller's, which
 * trains hint and task together where the paper has a stage of hints first.
 * With ReLU a teacher tap that may be negative (wide residual networks) can
 * not be met: relu=false leaves it out. */
#include "distill/connector.h"

#include <stdio.h>

enum { MOST_LAYERS = 5 };

typedef struct fitnet_state {
    int64_t layer;
    bool relu;
} fitnet_state;

static const lmb_opt options[] = {
    {.name = "layer",
        .help = "which map is the hint: 2 is f2 (a `map` line wins)",
        .type = LMB_OPT_I64,
        .offset = offsetof(fitnet_state, layer),
        .def = 2,
        .high = MOST_LAYERS - 1,
        .aliases = "FITNET.HINT_LAYER|hint_layer"},
    {.name = "relu",
        .help = "end the connector in a ReLU",
        .type = LMB_OPT_BOOL,
        .offset = offsetof(fitnet_state, relu),
        .def = 1,
        .high = 1},
    {0},
};

static lmb_status pairs(const void *state, const lmb_taps *student,
    const lmb_taps *teacher, lmb_pairs *out)
{
    static const char *const names[MOST_LAYERS] = {
        "f0", "f1", "f2", "f3", "f4"};
    const fitnet_state *o = state;
    return lmb_pairs_add_same(out, names[o->layer], student, teacher);
}

static lmb_status describe(const void *state, const lmb_shape *student,
    const lmb_shape *teacher, lmb_str *out)
{
    const fitnet_state *o = state;
    return lmb_connector_describe(student, teacher, o->relu, out);
}

static lmb_value build(void *state, const lmb_build *b)
{
    const fitnet_state *o = state;
    lmb_value total = LMB_NONE;
    for (int i = 0; i < b->pairs.count; i++) {
        lmb_tap s, t;
        char name[32] = "conv_reg";
        if (!lmb_build_pair(b, i, &s, &t))
            return LMB_NONE;
        if (i > 0)
            (void)snprintf(name, sizeof name, "conv_reg%d", i);
        lmb_value x = lmb_connector(b, name, s.value, &t.shape, o->relu);
        lmb_value loss = lmb_mse(b->g, x, t.value);
        total = i == 0 ? loss : lmb_add(b->g, total, loss);
    }
    return total;
}

const lmb_method lmb_method_fitnet = {
    .name = "fitnet",
    .title = "hints: a middle map regressed onto the teacher's",
    .source = "arXiv:1412.6550, eq. 3",
    .ce_weight = 1,
    .weight = 100,
    .ce_weight_keys = "FITNET.LOSS.CE_WEIGHT",
    .weight_keys = "FITNET.LOSS.FEAT_WEIGHT",
    .ignored_keys = "FITNET.INPUT_SIZE",
    .opts = options,
    .state_size = sizeof(fitnet_state),
    .pairs = pairs,
    .describe = describe,
    .build = build,
};
