/* dnn_none.c: what the planner gets in a build without oneDNN (sanitizers,
 * fuzzing): no convolutions (they run on the reference), a plain product. */
#include "backend/onednn/dnn.h"

bool lmb_dnn_available(void)
{
    return false;
}

lmb_status lmb_dnn_conv_new(const lmb_dnn_conv_spec *spec, lmb_dnn_conv **out)
{
    (void)spec;
    (void)out;
    return LMB_FAIL(LMB_EUNSUPPORTED, "built without oneDNN");
}

void lmb_dnn_conv_free(lmb_dnn_conv *conv)
{
    (void)conv;
}

size_t lmb_dnn_conv_x_size(const lmb_dnn_conv *conv)
{
    (void)conv;
    return 0;
}

size_t lmb_dnn_conv_y_size(const lmb_dnn_conv *conv)
{
    (void)conv;
    return 0;
}

size_t lmb_dnn_conv_weights_size(const lmb_dnn_conv *conv)
{
    (void)conv;
    return 0;
}

size_t lmb_dnn_conv_scratch_size(const lmb_dnn_conv *conv)
{
    (void)conv;
    return 0;
}

const char *lmb_dnn_conv_impl(const lmb_dnn_conv *conv)
{
    (void)conv;
    return "none";
}

bool lmb_dnn_conv_same_weights(const lmb_dnn_conv *a, const lmb_dnn_conv *b)
{
    (void)a;
    (void)b;
    return false;
}

lmb_status lmb_dnn_conv_run(lmb_dnn_conv *conv, const lmb_dnn_conv_args *args)
{
    (void)conv;
    (void)args;
    return LMB_FAIL(LMB_EUNSUPPORTED, "built without oneDNN");
}

lmb_status lmb_dnn_pack_new(const lmb_dnn_conv *conv, lmb_dnn_reorder **out)
{
    (void)conv;
    (void)out;
    return LMB_FAIL(LMB_EUNSUPPORTED, "built without oneDNN");
}

lmb_status lmb_dnn_unpack_new(const lmb_dnn_conv *conv, lmb_dnn_reorder **out)
{
    (void)conv;
    (void)out;
    return LMB_FAIL(LMB_EUNSUPPORTED, "built without oneDNN");
}

lmb_status lmb_dnn_reorder_run(lmb_dnn_reorder *r, const void *from, void *to)
{
    (void)r;
    (void)from;
    (void)to;
    return LMB_FAIL(LMB_EUNSUPPORTED, "built without oneDNN");
}

void lmb_dnn_reorder_free(lmb_dnn_reorder *r)
{
    (void)r;
}

lmb_status lmb_dnn_sgemm(bool ta, bool tb, int64_t m, int64_t n, int64_t k,
    const float *a, const float *b, float *c)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            float sum = 0;
            for (int64_t p = 0; p < k; p++)
                sum += a[ta ? p * m + i : i * k + p] *
                    b[tb ? j * k + p : p * n + j];
            c[i * n + j] = sum;
        }
    return LMB_OK;
}

const char *lmb_dnn_version(void)
{
    return "without oneDNN";
}

unsigned lmb_dnn_isa(void)
{
    return 0;
}

bool lmb_dnn_has_bf16(void)
{
    return false;
}

bool lmb_dnn_fast_bf16(void)
{
    return false;
}

bool lmb_dnn_fast_blocks(void)
{
    return false;
}
