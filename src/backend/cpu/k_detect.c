/* k_detect.c: codes of boxes, smooth L1, masks of labels.
 *
 * Boxes are rows of four; a row's work is short, so these are plain loops. */
#include "backend/cpu/kernel_util.h"

/* --- box codes ------------------------------------------------------------ */

typedef struct code {
    float std[4], most;
    int64_t rows, anchors;
} code;

static code code_of(const lmb_call *c, int anchors)
{
    const lmb_box_code_attr *a = c->attr;
    code v = {.most = (float)a->most};
    for (int i = 0; i < 4; i++)
        v.std[i] = (float)a->std[i];
    v.rows = k_count(&c->out[0].shape) / 4;
    v.anchors = k_count(&c->in[anchors].shape) / 4;
    return v;
}

static void encode_row(const code *v, const float *a, const float *b, float *d)
{
    const bool empty =
        !(a[2] > a[0] && a[3] > a[1] && b[2] > b[0] && b[3] > b[1]);
    for (int i = 0; i < 2; i++) {
        const float size = a[i + 2] - a[i];
        const float shift = (b[i] + b[i + 2] - a[i] - a[i + 2]) / 2;
        d[i] = empty ? 0 : shift / size / v->std[i];
        d[i + 2] = empty ? 0 : logf((b[i + 2] - b[i]) / size) / v->std[i + 2];
    }
}
static void run_box_encode(const lmb_call *c)
{
    const code v = code_of(c, 0);
    const float *anchor = c->in[0].data, *box = c->in[1].data;
    float *delta = c->out[0].data;
    K_PARALLEL_FOR(16 * v.rows)
    for (int64_t r = 0; r < v.rows; r++)
        encode_row(&v, anchor + r % v.anchors * 4, box + 4 * r, delta + 4 * r);
}

static void run_box_decode(const lmb_call *c)
{
    const code v = code_of(c, 0);
    const float *anchor = c->in[0].data, *delta = c->in[1].data;
    float *box = c->out[0].data;
    K_PARALLEL_FOR(16 * v.rows)
    for (int64_t r = 0; r < v.rows; r++)
        for (int i = 0; i < 2; i++) {
            const float *a = anchor + r % v.anchors * 4 + i;
            const float *d = delta + 4 * r + i;
            float grow = d[2] * v.std[i + 2];
            grow = grow > v.most ? v.most : grow < -v.most ? -v.most : grow;
            const float size = a[2] - a[0];
            const float centre = (a[0] + a[2]) / 2 + size * (d[0] * v.std[i]);
            const float half = size * expf(grow) / 2;
            box[4 * r + i] = centre - half;
            box[4 * r + i + 2] = centre + half;
        }
}
static void run_box_decode_bwd(const lmb_call *c)
{
    const code v = code_of(c, 1);
    const float *dbox = c->in[0].data, *anchor = c->in[1].data;
    const float *delta = c->in[2].data;
    float *out = c->out[0].data;
    K_PARALLEL_FOR(16 * v.rows)
    for (int64_t r = 0; r < v.rows; r++)
        for (int i = 0; i < 2; i++) {
            const float *a = anchor + r % v.anchors * 4 + i;
            const float *d = dbox + 4 * r + i;
            const float size = a[2] - a[0];
            const float grow = delta[4 * r + i + 2] * v.std[i + 2];
            const float half = fabsf(grow) > v.most ? 0 : size * expf(grow) / 2;
            out[4 * r + i] = size * v.std[i] * (d[0] + d[2]);
            out[4 * r + i + 2] = half * v.std[i + 2] * (d[2] - d[0]);
        }
}

/* --- smooth L1 ------------------------------------------------------------ */

static void run_smooth_l1(const lmb_call *c)
{
    const float beta = (float)((const lmb_smooth_l1_attr *)c->attr)->beta;
    const vf scale = v_set(beta > 0 ? 0.5f / beta : 0), half = v_set(beta / 2);
    const int64_t n = k_count(&c->in[0].shape);
    const float *x = c->in[0].data;
    float *y = c->out[0].data;
    K_PARALLEL_FOR(n)
    for (int64_t i = 0; i < n; i += VL) {
        const int64_t m = k_min(VL, n - i);
        const vf a = v_abs(v_load_n(x, i, m, false));
        v_store_n(
            y, i, m, false, v_pick(a < v_set(beta), a * a * scale, a - half));
    }
}
static void run_smooth_l1_bwd(const lmb_call *c)
{
    const float beta = (float)((const lmb_smooth_l1_attr *)c->attr)->beta;
    const vf scale = v_set(beta > 0 ? 1 / beta : 0), one = v_set(1);
    const int64_t n = k_count(&c->in[0].shape);
    const float *dy = c->in[0].data, *x = c->in[1].data;
    float *dx = c->out[0].data;
    K_PARALLEL_FOR(n)
    for (int64_t i = 0; i < n; i += VL) {
        const int64_t m = k_min(VL, n - i);
        const vf d = v_load_n(x, i, m, false);
        const vf sign = v_pick(d > (vf){0}, one, v_pick(d < (vf){0}, -one, d));
        const vf slope = v_pick(v_abs(d) < v_set(beta), d * scale, sign);
        v_store_n(dx, i, m, false, v_load_n(dy, i, m, false) * slope);
    }
}

/* --- labels --------------------------------------------------------------- */

static void run_label_mask(const lmb_call *c)
{
    const lmb_label_mask_attr *a = c->attr;
    const int64_t n = k_count(&c->in[0].shape);
    const int32_t *label = c->in[0].data;
    float *y = c->out[0].data;
    for (int64_t i = 0; i < n; i++)
        y[i] = label[i] >= a->low && label[i] < a->high ? 1 : 0;
}

extern const lmb_kernel LMB_KERNEL_TABLE(k_detect)[];
const lmb_kernel LMB_KERNEL_TABLE(k_detect)[] = {
    {&lmb_op_box_encode, LMB_RULE_PLAIN, false, run_box_encode, NULL, NULL},
    {&lmb_op_box_decode, LMB_RULE_PLAIN, false, run_box_decode, NULL, NULL},
    {&lmb_op_box_decode_bwd, LMB_RULE_PLAIN, false, run_box_decode_bwd, NULL,
        NULL},
    {&lmb_op_smooth_l1, LMB_RULE_FLAT, false, run_smooth_l1, NULL, NULL},
    {&lmb_op_smooth_l1_bwd, LMB_RULE_FLAT, false, run_smooth_l1_bwd, NULL,
        NULL},
    {&lmb_op_label_mask, LMB_RULE_PLAIN, false, run_label_mask, NULL, NULL},
    {0},
};
