/* cmd_infer.c: limbeck infer: a network's raw forward pass on an array. */
#include "cli/open.h"

#include "io/npy.h"
#include "train/forward.h"

static const cli_flag flags[] = {
    CLI_FLAG_WEIGHTS,
    {"input", "x.npy", "[N, 3, H, W], normalised already; f64 runs exactly",
        NULL, NULL},
    {"output", "y.npy", "where the result goes", NULL, NULL},
    {"tap", "NAME", "which value (logits); `limbeck list taps MODEL`", NULL,
        NULL},
    {0},
};

/* The input is used as it is, so the normalisation does not matter. */
static lmb_status load(
    const cli *c, const char *model, const lmb_tensor *x, lmb_network *out)
{
    static const double zero[3] = {0, 0, 0}, one[3] = {1, 1, 1};
    const int size = x->shape.rank == 4 && x->shape.dim[2] < INT16_MAX
        ? (int)x->shape.dim[2]
        : 0;
    return cli_open_network(c, model, zero, one, size, out, NULL);
}

static lmb_status print(const cli *c, const char *path, const lmb_tensor *y)
{
    lmb_str out = {0};
    if (!c->json) {
        cli_note(c, "%s: %s %s", path, lmb_dtype_name(y->dtype),
            lmb_shape_text(&y->shape));
        return LMB_OK;
    }
    lmb_str_add(&out, "{\"output\": ");
    lmb_str_json(&out, path);
    lmb_str_printf(&out, ", \"shape\": %s, \"dtype\": \"%s\"}\n",
        lmb_shape_text(&y->shape), lmb_dtype_name(y->dtype));
    return cli_put_str(&out);
}

static lmb_status run_forward(const lmb_network *net, const char *input,
    const lmb_tensor *x, const lmb_forward_opts *opts, lmb_tensor **y)
{
    const lmb_status st = lmb_forward(net, x, opts, y);
    return st == LMB_ESHAPE ? lmb__wrap(st, "%s", input) : st;
}

static lmb_status infer(const cli *c, const lmb_run_config *config)
{
    const char *input = NULL, *output = NULL;
    lmb_tensor *x = NULL, *y = NULL;
    lmb_network net = {0};
    lmb_status st = LMB_OK;
    lmb_forward_opts opts = {
        .tap = cli_value(c, "tap"),
        .allow_reference = config->train.allow_reference,
        .batch = lmb_eval_batch(config->train.eval_batch, false),
    };
    LMB_TRY(cli_need(c, "input", &input));
    LMB_TRY(cli_need(c, "output", &output));
    LMB_TRY(cli_bf16(c, config, &opts.bf16));
    LMB_GOTO(lmb_npy_load(input, &x), st, done);
    LMB_GOTO(load(c, config->student, x, &net), st, done);
    LMB_GOTO(run_forward(&net, input, x, &opts, &y), st, done);
    LMB_GOTO(lmb_npy_save(output, y), st, done);
    LMB_GOTO(print(c, output, y), st, done);
done:
    lmb_network_fini(&net);
    lmb_tensor_release(x);
    lmb_tensor_release(y);
    return st;
}

static lmb_status run(cli *c)
{
    return cli_with_config(c, infer);
}

const cli_command cmd_infer = {
    .name = "infer",
    .usage = "--weights FILE --input x.npy --output y.npy [--model NAME] "
             "[--tap NAME]",
    .title = "a network's forward pass on an array",
    .flags = flags,
    .config = "model|precision|threads|eval-batch|allow-reference",
    .run = run,
};
