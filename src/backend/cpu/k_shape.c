/* k_shape.c: data that only moves: reshape, permute, broadcast, concat, slice,
 * pad, roll, channel_shuffle, and store_grad.
 *
 * Concat, slice and pad see a value as [outer][size][inner] around the axis,
 * in its own layout: along channels the unit of `size` is a channel block, or
 * the channels of one position if they come last. */
#include "backend/cpu/kernel_util.h"

/* --- copies --------------------------------------------------------------- */

static void run_reshape(const lmb_call *c)
{
    const int64_t bytes = k_count(&c->out[0].shape) * k_elem_size(&c->out[0]);
    if (c->out[0].data != c->in[0].data)
        memcpy(c->out[0].data, c->in[0].data, (size_t)bytes);
}

static void run_store_grad(const lmb_call *c)
{
    const lmb_param *p = ((const lmb_store_grad_attr *)c->attr)->param;
    const float *g = c->in[0].data;
    if (lmb_params_dtype(p->owner) == LMB_F64) {
        double *slot = lmb_param_grad(p);
        for (int64_t i = 0; i < p->count; i++)
            slot[i] = (double)g[i];
    } else {
        memcpy(lmb_param_grad(p), g, (size_t)p->count * sizeof *g);
    }
    if (c->n_out > 0 && c->out[0].data != NULL)
        *(float *)c->out[0].data = 0;
}

/* --- strided reading: permute, broadcast ---------------------------------- */

/* The output's dimensions with the input's stride along each (0: repeated),
 * neighbours merged, sizes of 1 dropped. */
typedef struct strided {
    int rank;
    int64_t dim[LMB_MAX_RANK], stride[LMB_MAX_RANK];
} strided;

static void strided_add(strided *s, int64_t dim, int64_t stride)
{
    if (dim == 1)
        return;
    if (s->rank > 0 && s->stride[s->rank - 1] == stride * dim) {
        s->dim[s->rank - 1] *= dim;
        s->stride[s->rank - 1] = stride;
        return;
    }
    s->dim[s->rank] = dim;
    s->stride[s->rank++] = stride;
}
/* Offset in the input of run i of the first `rank` dimensions, the innermost
 * of them counting fastest. */
static int64_t strided_at(const strided *s, int rank, int64_t i)
{
    int64_t at = 0;
    for (int d = rank - 1; d >= 0; d--) {
        at += i % s->dim[d] * s->stride[d];
        i /= s->dim[d];
    }
    return at;
}

static void run_copy_runs(
    const strided *s, const k_word *x, k_word *y, int64_t total)
{
    const int last = s->rank - 1;
    const int64_t n = s->dim[last], step = s->stride[last];
    K_PARALLEL_FOR(total)
    for (int64_t r = 0; r < total / n; r++) {
        const k_word *from = x + strided_at(s, last, r);
        if (step == 1)
            memcpy(y + r * n, from, (size_t)n * sizeof *y);
        else
            for (int64_t i = 0; i < n; i++)
                y[r * n + i] = from[i * step];
    }
}

enum { TILE = 16 };

/* y[i * y_step + j] = x[i + j * x_step], rows x columns. */
static void transpose_tile(const k_word *x, int64_t x_step, k_word *y,
    int64_t y_step, int64_t rows, int64_t columns)
{
    if (rows < TILE || columns < TILE) {
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < columns; j++)
                y[i * y_step + j] = x[i + j * x_step];
        return;
    }
    k_word t[TILE][TILE];
    for (int j = 0; j < TILE; j++)
        for (int i = 0; i < TILE; i++)
            t[i][j] = x[i + j * x_step];
    for (int i = 0; i < TILE; i++)
        memcpy(y + i * y_step, t[i], sizeof t[i]);
}

/* Dimension k of the output walks along the input's memory, the last one of
 * the output does not: transposes of [k][last], tile by tile. */
static void run_transposes(
    const strided *s, int k, const k_word *x, k_word *y, int64_t total)
{
    const int last = s->rank - 1;
    const int64_t rows = s->dim[k], columns = s->dim[last];
    const int64_t tiles = k_ceil_div(columns, TILE);
    int64_t y_step = 1;
    for (int d = k + 1; d <= last; d++)
        y_step *= s->dim[d];
    strided rest = {.rank = 0}, place = {.rank = 0};
    int64_t stride = total;
    for (int d = 0; d < last; d++) {
        stride /= s->dim[d];
        if (d == k)
            continue;
        rest.dim[rest.rank] = place.dim[rest.rank] = s->dim[d];
        place.stride[rest.rank] = stride;
        rest.stride[rest.rank++] = s->stride[d];
    }
    const int64_t runs = total / (rows * columns);
    K_PARALLEL_FOR(total)
    for (int64_t t = 0; t < runs * tiles; t++) {
        const int64_t j = t % tiles * TILE;
        const k_word *from =
            x + strided_at(&rest, rest.rank, t / tiles) + j * s->stride[last];
        k_word *to = y + strided_at(&place, rest.rank, t / tiles) + j;
        for (int64_t i = 0; i < rows; i += TILE)
            transpose_tile(from + i, s->stride[last], to + i * y_step, y_step,
                k_min(TILE, rows - i), k_min(TILE, columns - j));
    }
}

static void strided_run(const strided *s, const lmb_call *c)
{
    const k_word *x = c->in[0].data;
    k_word *y = c->out[0].data;
    const int64_t total = k_count(&c->out[0].shape);
    if (total == 0)
        return;
    if (s->rank == 0) {
        *y = *x;
        return;
    }
    for (int k = 0; k < s->rank - 1 && s->stride[s->rank - 1] > 1; k++)
        if (s->stride[k] == 1) {
            run_transposes(s, k, x, y, total);
            return;
        }
    run_copy_runs(s, x, y, total);
}

static void run_permute(const lmb_call *c)
{
    const int32_t *perm = ((const lmb_permute_attr *)c->attr)->perm;
    const lmb_shape *y = &c->out[0].shape;
    int64_t stride[LMB_MAX_RANK];
    lmb_shape_strides(&c->in[0].shape, stride);
    strided s = {.rank = 0};
    for (int d = 0; d < y->rank; d++)
        strided_add(&s, y->dim[d], stride[perm[d]]);
    strided_run(&s, c);
}

static void run_broadcast(const lmb_call *c)
{
    const lmb_shape *x = &c->in[0].shape, *y = &c->out[0].shape;
    int64_t stride[LMB_MAX_RANK];
    lmb_shape_strides(x, stride);
    strided s = {.rank = 0};
    for (int d = 0; d < y->rank; d++) {
        const int e = d - (y->rank - x->rank);
        const bool still = e < 0 || x->dim[e] == 1;
        strided_add(&s, y->dim[d], still ? 0 : stride[e]);
    }
    strided_run(&s, c);
}

/* --- along an axis -------------------------------------------------------- */

/* size counts units of `unit` logical elements, inner is in bytes. */
typedef struct view {
    int64_t outer, size, inner, unit;
} view;

static bool channels_last(const lmb_buf *b)
{
    return b->shape.rank == 4 && b->block == b->shape.dim[1] && b->block > 1;
}

static view view_of(const lmb_buf *b, int axis, bool last)
{
    const lmb_shape *s = &b->shape;
    const int64_t block = s->rank == 4 ? b->block : 1;
    view v = {1, s->dim[axis], k_elem_size(b), 1};
    if (axis == 1 && last) {
        v.outer = s->dim[0] * s->dim[2] * s->dim[3];
        return v;
    }
    for (int d = 0; d < axis; d++)
        v.outer *= d == 1 ? s->dim[d] / block : s->dim[d];
    for (int d = axis + 1; d < s->rank; d++)
        v.inner *= d == 1 ? s->dim[d] / block : s->dim[d];
    v.inner *= block;
    if (axis == 1) {
        v.size /= block;
        v.unit = block;
    }
    return v;
}

/* n units of x from unit i on to unit j of y, in every outer part. */
static void units_copy(const void *x, const view *vx, int64_t i, void *y,
    const view *vy, int64_t j, int64_t n)
{
    const int64_t bytes = n * vx->inner;
    const char *from = (const char *)x + i * vx->inner;
    char *to = (char *)y + j * vy->inner;
    K_PARALLEL_FOR(vx->outer * bytes / 4)
    for (int64_t o = 0; o < vx->outer; o++)
        memcpy(to + o * vy->size * vy->inner, from + o * vx->size * vx->inner,
            (size_t)bytes);
}

static void run_concat(const lmb_call *c)
{
    const int axis = ((const lmb_axis_attr *)c->attr)->axis;
    const bool last = channels_last(&c->out[0]);
    const view vy = view_of(&c->out[0], axis, last);
    int64_t at = 0;
    for (int k = 0; k < c->n_in; k++) {
        const view vx = view_of(&c->in[k], axis, last);
        units_copy(c->in[k].data, &vx, 0, c->out[0].data, &vy, at, vx.size);
        at += vx.size;
    }
}

static const char mixed[] = "its operands do not share a layout";
static const char unaligned[] = "a boundary lies inside a channel block";

static const char *supports_concat(const lmb_call *c)
{
    const lmb_buf *y = &c->out[0];
    if (y->shape.rank != 4)
        return NULL;
    const int axis = ((const lmb_axis_attr *)c->attr)->axis;
    for (int k = 0; k < c->n_in; k++) {
        const lmb_buf *x = &c->in[k];
        const bool same = channels_last(y) ? x->block == x->shape.dim[1]
                                           : x->block == y->block;
        if (!same)
            return mixed;
        if (axis == 1 && x->shape.dim[1] % x->block != 0)
            return unaligned;
    }
    return NULL;
}

static void run_slice(const lmb_call *c)
{
    const lmb_slice_attr *a = c->attr;
    const bool last = channels_last(&c->in[0]);
    const view vx = view_of(&c->in[0], a->axis, last);
    const view vy = view_of(&c->out[0], a->axis, last);
    units_copy(c->in[0].data, &vx, a->start / vx.unit, c->out[0].data, &vy, 0,
        vy.size);
}

/* The whole and a part of it along an axis, from `start` on. */
static const char *supports_part(
    const lmb_buf *whole, const lmb_buf *part, int axis, int64_t start)
{
    if (whole->shape.rank != 4)
        return NULL;
    if (channels_last(whole))
        return part->block == part->shape.dim[1] ? NULL : mixed;
    if (part->block != whole->block)
        return mixed;
    const bool fits =
        start % whole->block == 0 && part->shape.dim[1] % whole->block == 0;
    return axis != 1 || fits ? NULL : unaligned;
}
static const char *supports_slice(const lmb_call *c)
{
    const lmb_slice_attr *a = c->attr;
    return supports_part(&c->in[0], &c->out[0], a->axis, a->start);
}

static void run_pad(const lmb_call *c)
{
    const lmb_pad_attr *a = c->attr;
    const bool last = channels_last(&c->out[0]);
    const view vx = view_of(&c->in[0], a->axis, last);
    const view vy = view_of(&c->out[0], a->axis, last);
    const int64_t before = a->before / vy.unit;
    char *y = c->out[0].data;
    K_PARALLEL_FOR(vy.outer * vy.size * vy.inner / 4)
    for (int64_t o = 0; o < vy.outer; o++) {
        char *row = y + o * vy.size * vy.inner;
        const int64_t end = before + vx.size;
        memset(row, 0, (size_t)(before * vy.inner));
        memset(row + end * vy.inner, 0, (size_t)((vy.size - end) * vy.inner));
    }
    units_copy(c->in[0].data, &vx, 0, y, &vy, before, vx.size);
}
static const char *supports_pad(const lmb_call *c)
{
    const lmb_pad_attr *a = c->attr;
    return supports_part(&c->out[0], &c->in[0], a->axis, a->before);
}

static void run_roll(const lmb_call *c)
{
    const lmb_roll_attr *a = c->attr;
    const view v = view_of(&c->in[0], a->axis, false);
    const int64_t rest = v.size - a->by;
    units_copy(c->in[0].data, &v, 0, c->out[0].data, &v, a->by, rest);
    units_copy(c->in[0].data, &v, rest, c->out[0].data, &v, 0, a->by);
}

/* --- channel shuffle ------------------------------------------------------ */

static size_t scratch_shuffle(const lmb_call *c)
{
    return (size_t)c->in[0].shape.dim[1] * sizeof(int64_t);
}

/* offset[c]: where the source of output channel c begins in an image. */
#define K_SHUFFLE(name, word) \
    static void name##_any(const word *x, word *y, const int64_t *offset, \
        int64_t area, int64_t b) \
    { \
        for (int64_t p = 0; p < area; p++) \
            for (int64_t j = 0; j < b; j++) \
                y[p * b + j] = x[offset[j] + p * b]; \
    } \
    /* Two groups, channels last: both halves of a position interlaced. */ \
    static void name##_zip( \
        const word *restrict x, word *restrict y, int64_t area, int64_t half) \
    { \
        for (int64_t p = 0; p < area; p++, x += 2 * half, y += 2 * half) \
            for (int64_t j = 0; j < half; j++) { \
                y[2 * j] = x[j]; \
                y[2 * j + 1] = x[half + j]; \
            } \
    } \
    /* Groups of two: the reverse. */ \
    static void name##_unzip( \
        const word *restrict x, word *restrict y, int64_t area, int64_t half) \
    { \
        for (int64_t p = 0; p < area; p++, x += 2 * half, y += 2 * half) \
            for (int64_t j = 0; j < half; j++) { \
                y[j] = x[2 * j]; \
                y[half + j] = x[2 * j + 1]; \
            } \
    } \
    static void name(const word *x, word *y, const int64_t *offset, \
        int64_t area, int64_t b, int64_t channels, int64_t groups) \
    { \
        if (b == channels && groups == 2) \
            name##_zip(x, y, area, channels / 2); \
        else if (b == channels && 2 * groups == channels) \
            name##_unzip(x, y, area, channels / 2); \
        else \
            name##_any(x, y, offset, area, b); \
    }
K_SHUFFLE(shuffle_words, k_word)
K_SHUFFLE(shuffle_halves, k_half)

static void run_shuffle(const lmb_call *c)
{
    const lmb_buf *x = &c->in[0];
    const int64_t groups = ((const lmb_shuffle_attr *)c->attr)->groups;
    const int64_t channels = x->shape.dim[1], b = x->block;
    const int64_t area = x->shape.dim[2] * x->shape.dim[3];
    const int64_t blocks = b > 0 ? channels / b : 0, size = k_elem_size(x);
    int64_t *offset = c->scratch;
    for (int64_t k = 0; k < channels; k++) {
        const int64_t from = k % groups * (channels / groups) + k / groups;
        offset[k] = from / b * area * b + from % b;
    }
    K_PARALLEL_FOR(k_count(&x->shape))
    for (int64_t k = 0; k < x->shape.dim[0] * blocks; k++) {
        const void *from =
            (const char *)x->data + k / blocks * channels * area * size;
        void *to = (char *)c->out[0].data + k * b * area * size;
        const int64_t *off = offset + k % blocks * b;
        if (b == 1)
            memcpy(
                to, (const char *)from + off[0] * size, (size_t)(area * size));
        else if (size == 2)
            shuffle_halves(from, to, off, area, b, channels, groups);
        else
            shuffle_words(from, to, off, area, b, channels, groups);
    }
}

extern const lmb_kernel LMB_KERNEL_TABLE(k_shape)[];
const lmb_kernel LMB_KERNEL_TABLE(k_shape)[] = {
    {&lmb_op_reshape, LMB_RULE_PLAIN, false, run_reshape, NULL, NULL},
    {&lmb_op_permute, LMB_RULE_PLAIN, false, run_permute, NULL, NULL},
    {&lmb_op_broadcast, LMB_RULE_PLAIN, false, run_broadcast, NULL, NULL},
    {&lmb_op_concat, LMB_RULE_SPATIAL, true, run_concat, NULL, supports_concat},
    {&lmb_op_slice, LMB_RULE_SPATIAL, true, run_slice, NULL, supports_slice},
    {&lmb_op_pad, LMB_RULE_SPATIAL, true, run_pad, NULL, supports_pad},
    {&lmb_op_roll, LMB_RULE_PLAIN, false, run_roll, NULL, NULL},
    {&lmb_op_channel_shuffle, LMB_RULE_SPATIAL, true, run_shuffle,
        scratch_shuffle, NULL},
    {&lmb_op_store_grad, LMB_RULE_PLAIN, false, run_store_grad, NULL, NULL},
    {0},
};
