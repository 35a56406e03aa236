/* swin_block.c: Swin's blocks; see the header.
 *
 *   x = x + attention(norm(x));  x = x + mlp(norm(x))
 * Attention is among the tokens of a window of w x w: for each head
 *   softmax(q k^T / sqrt(d) + bias + mask) v
 * bias: one number for each head and each of (2w - 1)^2 distances. In a
 * shifted block the image is rolled by w / 2 before it is cut into windows,
 * and the mask keeps apart what the roll has brought together. Images are
 * padded with zeros to whole windows, below and to the right. */
#include "model/swin_block.h"

#include "op/op_detect.h"

#include <math.h>

/* --- tokens --------------------------------------------------------------- */

lmb_tokens lmb_tokens_of(lmb_graph *g, lmb_value x)
{
    const int last[] = {0, 2, 3, 1};
    lmb_tokens t = {LMB_NONE, lmb_graph_dim(g, x, 0), lmb_graph_dim(g, x, 2),
        lmb_graph_dim(g, x, 3), lmb_graph_dim(g, x, 1)};
    t.v = lmb_reshape(
        g, lmb_permute(g, x, last), LMB_SHAPE(t.n * t.h * t.w, t.c));
    return t;
}

lmb_value lmb_tokens_image(lmb_graph *g, lmb_tokens t)
{
    const int first[] = {0, 3, 1, 2};
    const lmb_value x = lmb_reshape(g, t.v, LMB_SHAPE(t.n, t.h, t.w, t.c));
    return lmb_permute(g, x, first);
}

lmb_tokens lmb_tokens_norm(lmb_nn *nn, const char *name, lmb_tokens t)
{
    t.v = lmb_nn_layer_norm(nn, name, t.v);
    return t;
}

static lmb_init weight_init(void)
{
    return lmb_init_normal(0, 0.02);
}

static lmb_value linear(lmb_nn *nn, const char *name, lmb_value x, int64_t out)
{
    return lmb_nn_linear(
        nn, name, x, (int)out, weight_init(), lmb_init_constant(0));
}

/* Seen as [n, h, w c] and as [n h, w, c] both axes are in the middle: layouts
 * for images do not apply to tokens. */
static lmb_value rows_of(lmb_graph *g, lmb_tokens t)
{
    return lmb_reshape(g, t.v, LMB_SHAPE(t.n, t.h, t.w * t.c));
}
static lmb_value columns_of(lmb_graph *g, lmb_tokens t)
{
    return lmb_reshape(g, t.v, LMB_SHAPE(t.n * t.h, t.w, t.c));
}

/* Zeros below and to the right, up to h x w. */
static lmb_tokens padded(lmb_graph *g, lmb_tokens t, int64_t h, int64_t w)
{
    if (h > t.h) {
        t.v = lmb_pad(g, rows_of(g, t), 1, 0, h - t.h);
        t.h = h;
    }
    if (w > t.w) {
        t.v = lmb_pad(g, columns_of(g, t), 1, 0, w - t.w);
        t.w = w;
    }
    return t;
}
static lmb_tokens cropped(lmb_graph *g, lmb_tokens t, int64_t h, int64_t w)
{
    if (h < t.h) {
        t.v = lmb_slice(g, rows_of(g, t), 1, 0, h);
        t.h = h;
    }
    if (w < t.w) {
        t.v = lmb_slice(g, columns_of(g, t), 1, 0, w);
        t.w = w;
    }
    return t;
}
static lmb_tokens rolled(
    lmb_graph *g, lmb_tokens t, int64_t down, int64_t right)
{
    if (down != 0)
        t.v = lmb_roll(g, rows_of(g, t), 1, down);
    if (right != 0)
        t.v = lmb_roll(g, columns_of(g, t), 1, right);
    return t;
}

/* To windows [windows, window^2] of tokens, and back: its own inverse but for
 * the sizes. */
static lmb_value cut(lmb_graph *g, lmb_tokens t, int64_t window)
{
    const int perm[] = {0, 1, 3, 2, 4, 5};
    const lmb_value x = lmb_reshape(g, t.v,
        LMB_SHAPE(t.n, t.h / window, window, t.w / window, window, t.c));
    return lmb_reshape(
        g, lmb_permute(g, x, perm), LMB_SHAPE(t.n * t.h * t.w, t.c));
}
static lmb_tokens joined(
    lmb_graph *g, lmb_value windows, lmb_tokens t, int64_t window)
{
    const int perm[] = {0, 1, 3, 2, 4, 5};
    const lmb_value x = lmb_reshape(g, windows,
        LMB_SHAPE(t.n, t.h / window, t.w / window, window, window, t.c));
    t.v = lmb_permute(g, x, perm);
    return t;
}

/* --- bias and mask -------------------------------------------------------- */

/* Row of the table for places i and j of a window: by their distance. */
static lmb_value make_index(lmb_graph *g, int window, int heads)
{
    const int64_t places = (int64_t)window * window;
    const lmb_shape shape = LMB_SHAPE(places * places, heads);
    int32_t *index =
        lmb_graph_memory(g, (size_t)lmb_shape_count(&shape) * sizeof *index);
    for (int64_t k = 0; index != NULL && k < lmb_shape_count(&shape); k++) {
        const int64_t i = k / heads / places, j = k / heads % places;
        const int64_t down = i / window - j / window + window - 1;
        const int64_t right = i % window - j % window + window - 1;
        index[k] = (int32_t)(down * (2 * window - 1) + right);
    }
    return index != NULL ? lmb_graph_index_constant(g, shape, index) : LMB_NONE;
}

/* 0: untouched, 1: last window, above the seam; 2: below it. */
static int64_t region(int64_t at, int64_t size, int64_t window, int64_t shift)
{
    if (shift == 0 || at < size - window)
        return 0;
    return at < size - shift ? 1 : 2;
}

/* [windows, 1, places, places]: 0 where both places are of one region, else
 * -100. */
static lmb_value make_mask(
    lmb_graph *g, lmb_tokens t, int64_t window, int64_t down, int64_t right)
{
    const int64_t places = window * window, across = t.w / window;
    const int64_t windows = t.h / window * across;
    double *at = lmb_graph_memory(g, (size_t)(t.h * t.w) * sizeof *at);
    if (at == NULL)
        return LMB_NONE;
    for (int64_t k = 0; k < t.h * t.w; k++) {
        const int64_t w = k / places, p = k % places;
        const int64_t y = w / across * window + p / window;
        const int64_t x = w % across * window + p % window;
        at[k] = (double)(3 * region(y, t.h, window, down) +
            region(x, t.w, window, right));
    }
    const lmb_value same = lmb_equal(g,
        lmb_graph_constant(g, LMB_SHAPE(windows, 1, places, 1), at, 0),
        lmb_graph_constant(g, LMB_SHAPE(windows, 1, 1, places), at, 0));
    return lmb_affine(g, same, 100, -100);
}

/* What is added to the products of all heads of the windows of one image,
 * flat; of each window if there is no mask. */
static lmb_value bias_of(lmb_swin_stage *s, lmb_tokens t, bool shifted)
{
    lmb_graph *g = s->nn->g;
    const int64_t side = 2 * s->window - 1;
    const int64_t places = (int64_t)s->window * s->window;
    const lmb_value table = lmb_nn_param(s->nn, "relative_position_bias_table",
        LMB_SHAPE(side * side, s->heads), weight_init(), true);
    if (!lmb_is(s->index))
        s->index = make_index(g, s->window, s->heads);
    lmb_value bias = lmb_transpose(g, lmb_gather(g, table, s->index, 0));
    if (!shifted)
        return lmb_reshape(g, bias, LMB_SHAPE(1, s->heads * places * places));
    bias = lmb_add(
        g, s->mask, lmb_reshape(g, bias, LMB_SHAPE(s->heads, places, places)));
    return lmb_reshape(g, bias, LMB_SHAPE(1, t.h * t.w * s->heads * places));
}

/* --- attention ------------------------------------------------------------ */

/* x: windows of tokens. Returns the same. */
static lmb_value attention(
    lmb_swin_stage *s, lmb_value x, lmb_tokens t, bool shifted)
{
    lmb_graph *g = s->nn->g;
    const int64_t places = (int64_t)s->window * s->window;
    const int64_t windows = t.n * t.h * t.w / places, d = t.c / s->heads;
    const int64_t all = windows * s->heads;
    const int to_parts[] = {2, 0, 3, 1, 4}, back[] = {0, 2, 1, 3};
    lmb_value part[3];
    const lmb_value qkv = lmb_permute(g,
        lmb_reshape(g, linear(s->nn, "qkv", x, 3 * t.c),
            LMB_SHAPE(windows, places, 3, s->heads, d)),
        to_parts);
    const lmb_value parts = lmb_reshape(g, qkv, LMB_SHAPE(3, all * places * d));
    for (int i = 0; i < 3; i++)
        part[i] = lmb_reshape(
            g, lmb_slice(g, parts, 0, i, i + 1), LMB_SHAPE(all, places, d));
    const lmb_value q = lmb_scale(g, part[0], 1 / sqrt((double)d));
    const lmb_value bias = bias_of(s, t, shifted);
    lmb_value a = lmb_matmul(g, q, part[1], false, true);
    a = lmb_add(
        g, lmb_reshape(g, a, LMB_SHAPE(-1, lmb_graph_dim(g, bias, 1))), bias);
    a = lmb_softmax(g, lmb_reshape(g, a, LMB_SHAPE(all, places, places)), 2);
    const lmb_value y = lmb_reshape(g, lmb_matmul(g, a, part[2], false, false),
        LMB_SHAPE(windows, s->heads, places, d));
    return linear(s->nn, "proj",
        lmb_reshape(
            g, lmb_permute(g, y, back), LMB_SHAPE(windows * places, t.c)),
        t.c);
}

static int64_t whole(int64_t size, int64_t window)
{
    return (size + window - 1) / window * window;
}

static lmb_tokens window_attention(lmb_swin_stage *s, lmb_tokens x, int shift)
{
    lmb_graph *g = s->nn->g;
    const int64_t h = whole(x.h, s->window), w = whole(x.w, s->window);
    const bool always = s->mmdetection;
    const int64_t down = always || h > s->window ? shift : 0;
    const int64_t right = always || w > s->window ? shift : 0;
    const bool shifted = down != 0 || right != 0;
    lmb_tokens t = rolled(g, padded(g, x, h, w), -down, -right);
    if (shifted && !lmb_is(s->mask))
        s->mask = make_mask(g, t, s->window, down, right);
    const lmb_value y = attention(s, cut(g, t, s->window), t, shifted);
    t = rolled(g, joined(g, y, t, s->window), down, right);
    t = cropped(g, t, x.h, x.w);
    t.v = lmb_reshape(g, t.v, LMB_SHAPE(t.n * t.h * t.w, t.c));
    return t;
}

/* --- blocks --------------------------------------------------------------- */

static lmb_value mlp(lmb_swin_stage *s, lmb_tokens x)
{
    lmb_nn *nn = s->nn;
    lmb_nn_push(nn, "%s", s->mmdetection ? "ffn.layers" : "mlp");
    const char *first = s->mmdetection ? "0.0" : "0";
    const char *second = s->mmdetection ? "1" : "3";
    const lmb_value y = lmb_gelu(nn->g, linear(nn, first, x.v, 4 * x.c));
    const lmb_value z = linear(nn, second, y, x.c);
    lmb_nn_pop(nn);
    return z;
}

/* x + branch, but for images whose branch is left out. */
static void add_branch(const lmb_swin_stage *s, lmb_tokens *x, lmb_value branch,
    double drop, int number)
{
    lmb_graph *g = s->nn->g;
    if (drop > 0 && lmb_is(s->draw)) {
        const lmb_shape shape = lmb_graph_shape(g, branch);
        branch = lmb_reshape(g, branch, LMB_SHAPE(x->n, x->h * x->w * x->c));
        branch = lmb_drop_path(g, branch, s->draw, drop, (uint32_t)number);
        branch = lmb_reshape(g, branch, shape);
    }
    x->v = lmb_add(g, x->v, branch);
}

lmb_tokens lmb_swin_block(
    lmb_swin_stage *s, lmb_tokens x, int shift, double drop, int number)
{
    lmb_nn *nn = s->nn;
    lmb_tokens y = lmb_tokens_norm(nn, "norm1", x);
    lmb_nn_push(nn, "%s", s->mmdetection ? "attn.w_msa" : "attn");
    y = window_attention(s, y, shift);
    lmb_nn_pop(nn);
    add_branch(s, &x, y.v, drop, 2 * number);
    y = lmb_tokens_norm(nn, "norm2", x);
    add_branch(s, &x, mlp(s, y), drop, 2 * number + 1);
    return x;
}

lmb_tokens lmb_swin_merge(lmb_nn *nn, lmb_tokens x, bool mmdetection)
{
    lmb_graph *g = nn->g;
    const int column_row[] = {0, 1, 3, 4, 2, 5};
    const int row_column[] = {0, 1, 3, 5, 2, 4};
    x = padded(g, x, whole(x.h, 2), whole(x.w, 2));
    lmb_tokens y = {LMB_NONE, x.n, x.h / 2, x.w / 2, 4 * x.c};
    const lmb_value pairs =
        lmb_reshape(g, x.v, LMB_SHAPE(x.n, y.h, 2, y.w, 2, x.c));
    y.v = lmb_reshape(g,
        lmb_permute(g, pairs, mmdetection ? row_column : column_row),
        LMB_SHAPE(y.n * y.h * y.w, y.c));
    y = lmb_tokens_norm(nn, "norm", y);
    y.c /= 2;
    lmb_nn_push(nn, "reduction");
    const lmb_value weight = lmb_nn_param(
        nn, "weight", LMB_SHAPE(y.c, 2 * y.c), weight_init(), true);
    y.v = lmb_linear(g, y.v, weight, LMB_NONE);
    lmb_nn_pop(nn);
    return y;
}
