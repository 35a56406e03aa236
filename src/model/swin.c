/* swin.c: Swin-T and Swin-S: networks for ImageNet as torchvision lays them
 * out, and backbones as mmdetection does.
 *
 * Patches of 4 x 4 to tokens of 96 channels, norm; four stages of blocks, every
 * second one shifted; between them four tokens merge to one of twice the
 * channels; norm, mean over the image, linear layer. A backbone gives the
 * stages, each with a norm of its own.
 * Taps: f0 the patches after their norm, f1..f4 the stages before merging and
 * before the last norm. Source: Liu et al. 2021, arXiv:2103.14030, figure 3. */
#include "model/swin.h"
#include "model/model.h"
#include "model/swin_block.h"

const lmb_swin_opts lmb_swin_t = {
    .embed = 96,
    .depth = {2, 2, 6, 2},
    .heads = {3, 6, 12, 24},
    .window = 7,
    .outputs = 15,
    .frozen_stages = -1,
};
const lmb_swin_opts lmb_swin_s = {
    .embed = 96,
    .depth = {2, 2, 18, 2},
    .heads = {3, 6, 12, 24},
    .window = 7,
    .outputs = 15,
    .frozen_stages = -1,
};

/* Patches are 4 x 4; what is left of an image at its end is cut off. */
static lmb_tokens embed(lmb_nn *nn, const lmb_swin_opts *o, lmb_value x,
    const char *projection, const char *norm)
{
    const lmb_conv_opt conv = {
        .out = o->embed, .kernel = 4, .stride = 4, .bias = true};
    const lmb_tokens t =
        lmb_tokens_of(nn->g, lmb_nn_conv(nn, projection, x, &conv));
    return lmb_tokens_norm(nn, norm, t);
}

/* Stage i, its blocks named by their numbers alone. */
static lmb_tokens stage(
    lmb_nn *nn, const lmb_swin_opts *o, lmb_tokens x, int i, bool mmdetection)
{
    const bool learns = nn->mode == LMB_MODE_TRAIN && !nn->frozen;
    lmb_swin_stage s = {
        .nn = nn,
        .mmdetection = mmdetection,
        .heads = o->heads[i],
        .window = o->window,
        .draw = learns ? o->draw : LMB_NONE,
    };
    int before = 0, all = 0;
    for (int k = 0; k < 4; k++) {
        before += k < i ? o->depth[k] : 0;
        all += o->depth[k];
    }
    for (int k = 0; k < o->depth[i]; k++) {
        const int number = before + k;
        const double drop = all > 1 ? o->drop_path * number / (all - 1) : 0;
        lmb_nn_push(nn, "%d", k);
        x = lmb_swin_block(&s, x, k % 2 * (o->window / 2), drop, number);
        lmb_nn_pop(nn);
    }
    return x;
}

/* --- networks of torchvision ---------------------------------------------- */

static lmb_value build(const lmb_model *m, lmb_nn *nn, lmb_value x, int classes)
{
    lmb_graph *g = nn->g;
    const lmb_swin_opts *o = m->variant == 0 ? &lmb_swin_t : &lmb_swin_s;
    lmb_nn_push(nn, "features");
    lmb_tokens t = embed(nn, o, x, "0.0", "0.2");
    lmb_nn_tap_at(nn, "f", 0, lmb_tokens_image(g, t));
    for (int i = 0; i < 4; i++) {
        if (i > 0) {
            lmb_nn_push(nn, "%d", 2 * i);
            t = lmb_swin_merge(nn, t, false);
            lmb_nn_pop(nn);
        }
        lmb_nn_push(nn, "%d", 2 * i + 1);
        t = stage(nn, o, t, i, false);
        lmb_nn_pop(nn);
        lmb_nn_tap_at(nn, "f", i + 1, lmb_tokens_image(g, t));
    }
    lmb_nn_pop(nn);
    t = lmb_tokens_norm(nn, "norm", t);
    const lmb_value pooled =
        lmb_mean(g, lmb_reshape(g, t.v, LMB_SHAPE(t.n, t.h * t.w, t.c)),
            LMB_AXIS(1), false);
    const lmb_value logits = lmb_nn_linear(nn, "head", pooled, classes,
        lmb_init_normal(0, 0.02), lmb_init_constant(0));
    lmb_nn_head(nn, "head", pooled, logits);
    return logits;
}

#define SWIN(ident, number) \
    const lmb_model lmb_model_##ident = { \
        .name = #ident, \
        .task = "classification", \
        .default_classes = 1000, \
        .default_size = 224, \
        .default_lr = 0.01, \
        .variant = (number), \
        .build = build, \
    }
SWIN(swin_t, 0);
SWIN(swin_s, 1);

/* --- backbones of mmdetection --------------------------------------------- */

static lmb_value whole_patches(lmb_graph *g, lmb_value x)
{
    const int64_t h = lmb_graph_dim(g, x, 2), w = lmb_graph_dim(g, x, 3);
    if (h % 4 != 0)
        x = lmb_pad(g, x, 2, 0, 4 - h % 4);
    if (w % 4 != 0)
        x = lmb_pad(g, x, 3, 0, 4 - w % 4);
    return x;
}

static lmb_value output(lmb_nn *nn, lmb_tokens t, int i)
{
    char name[] = "norm0";
    name[4] = (char)('0' + i);
    return lmb_tokens_image(nn->g, lmb_tokens_norm(nn, name, t));
}

void lmb_swin_backbone(
    lmb_nn *nn, lmb_value x, const lmb_swin_opts *opts, lmb_value stage_out[4])
{
    const bool frozen = nn->frozen;
    nn->frozen = frozen || opts->frozen_stages >= 0;
    lmb_nn_push(nn, "patch_embed");
    lmb_tokens t =
        embed(nn, opts, whole_patches(nn->g, x), "projection", "norm");
    lmb_nn_pop(nn);
    for (int i = 0; i < 4; i++) {
        nn->frozen = frozen || i < opts->frozen_stages;
        lmb_nn_push(nn, "stages.%d.blocks", i);
        t = stage(nn, opts, t, i, true);
        lmb_nn_pop(nn);
        const bool wanted = (opts->outputs >> i & 1) != 0;
        stage_out[i] = wanted ? output(nn, t, i) : LMB_NONE;
        if (i == 3)
            break;
        lmb_nn_push(nn, "stages.%d.downsample", i);
        t = lmb_swin_merge(nn, t, true);
        lmb_nn_pop(nn);
    }
    nn->frozen = frozen;
}
