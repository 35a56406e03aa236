/* spec.c: networks by their text: "NAME" or "NAME:key=value,..".
 *
 * The canonical text names the row as its table does and only the options that
 * differ from their defaults, in the table's order: two texts that mean the
 * same network become the same text. */
#include "model/model.h"

#include <stdio.h>
#include <string.h>

#define AT(field) offsetof(lmb_model_opts, field)
/* clang-format off */
const lmb_opt lmb_model_opts_table[] = {
    {"width", "factor on the channels of the backbone", LMB_OPT_F64, AT(width), 1, 0.0625, 4, NULL, NULL},
    {"fpn_channels", "channels of the feature pyramid and the dense heads, a multiple of 32", LMB_OPT_I64, AT(fpn_channels), 256, 32, 2048, NULL, NULL},
    {"head_convs", "convolutions in each tower of a dense head", LMB_OPT_I64, AT(head_convs), 4, 1, 8, NULL, NULL},
    {"head_width", "width of the linear layers on RoIs", LMB_OPT_I64, AT(head_width), 1024, 16, 8192, NULL, NULL},
    {"rpn_samples", "anchors of an image that the losses of the region proposals take", LMB_OPT_I64, AT(rpn_samples), 256, 2, 65536, NULL, NULL},
    {"proposals", "proposals of an image after non-maximum suppression", LMB_OPT_I64, AT(proposals), 1000, 1, 10000, NULL, NULL},
    {"rois", "proposals of an image that train the RoI head", LMB_OPT_I64, AT(rois), 512, 1, 10000, NULL, NULL},
    {"frozen_stages", "parts of the backbone that do not learn; -1: none, 0: stem, 1: stem and stage 1, ..", LMB_OPT_I64, AT(frozen_stages), 1, -1, 4, NULL, NULL},
    {"norm_eval", "the backbone's batch norms keep their running statistics", LMB_OPT_BOOL, AT(norm_eval), 1, 0, 1, NULL, NULL},
    {"drop_path", "Swin: share of images for which the last block is left out in training", LMB_OPT_F64, AT(drop_path), 0.2, 0, 0.9, NULL, NULL},
    {"anchor_scale", "factor on the sizes of all anchors", LMB_OPT_F64, AT(anchor_scale), 1, 0.0625, 16, NULL, NULL},
    {"norm_eps", "eps of the backbone's batch norms; -1: 1e-5, or 0 where torchvision's published weights want that", LMB_OPT_F64, AT(norm_eps), -1, -1, 1, NULL, NULL},
    {"style", "ResNet: a bottleneck's stride is on its 3x3 convolution (pytorch) or its first 1x1 (caffe)", LMB_OPT_ENUM, AT(style), 0, 0, 1, "pytorch|caffe", NULL},
    {0},
};
/* clang-format on */
#undef AT

static double number_at(const lmb_opt *row, const lmb_model_opts *opts)
{
    const void *at = (const char *)opts + row->offset;
    if (row->type == LMB_OPT_I64)
        return (double)*(const int64_t *)at;
    if (row->type == LMB_OPT_ENUM)
        return *(const int32_t *)at;
    return row->type == LMB_OPT_BOOL ? *(const bool *)at : *(const double *)at;
}

static bool is_default(const lmb_opt *row, const lmb_model_opts *opts)
{
    lmb_model_opts plain;
    lmb_opt_defaults(lmb_model_opts_table, &plain);
    return number_at(row, opts) == number_at(row, &plain);
}

/* One "key=value". */
static lmb_status set_option(
    const char *pair, lmb_model_spec *out, uint32_t *seen)
{
    const lmb_model *m = out->model;
    char key[64];
    const char *equals = strchr(pair, '=');
    if (equals == NULL || equals == pair ||
        (size_t)(equals - pair) >= sizeof key)
        return LMB_FAIL(
            LMB_EINVAL, "model %s: '%s' is not KEY=VALUE", m->name, pair);
    (void)snprintf(key, sizeof key, "%.*s", (int)(equals - pair), pair);
    LMB_TRY(lmb_opt_set(
        lmb_model_opts_table, &out->opts, m->name, key, equals + 1));
    const lmb_opt *row = lmb_opt_find(lmb_model_opts_table, key);
    const uint32_t bit = (uint32_t)1 << (row - lmb_model_opts_table);
    if ((m->options & bit) == 0 && !is_default(row, &out->opts))
        return LMB_FAIL(
            LMB_EINVAL, "model %s has no option '%s'", m->name, row->name);
    if ((*seen & bit) != 0)
        return LMB_FAIL(
            LMB_EINVAL, "model %s: %s is given twice", m->name, row->name);
    *seen |= bit;
    return LMB_OK;
}

static lmb_status set_options(const char *list, lmb_model_spec *out)
{
    uint32_t seen = 0;
    for (const char *at = list;; at++) {
        char pair[128];
        const size_t length = strcspn(at, ",");
        if (length >= sizeof pair)
            return LMB_FAIL(LMB_EINVAL,
                "model %s: the option '%.40s..' is too "
                "long",
                out->model->name, at);
        (void)snprintf(pair, sizeof pair, "%.*s", (int)length, at);
        LMB_TRY(set_option(pair, out, &seen));
        at += length;
        if (*at == '\0')
            return LMB_OK;
    }
}

static lmb_status write_text(lmb_model_spec *out)
{
    lmb_str text = {0};
    char sep = ':';
    lmb_str_add(&text, out->model->name);
    for (const lmb_opt *row = lmb_model_opts_table; row->name != NULL; row++) {
        if (is_default(row, &out->opts))
            continue;
        lmb_str_printf(&text, "%c%s=", sep, row->name);
        lmb_opt_print(row, &out->opts, &text);
        sep = ',';
    }
    lmb_status st = lmb_str_status(&text);
    if (st == LMB_OK && text.length >= sizeof out->text)
        st = LMB_FAIL(LMB_EINVAL,
            "model %s: the options are longer than %zu "
            "bytes",
            out->model->name, sizeof out->text - 1);
    if (st == LMB_OK)
        memcpy(out->text, text.text, text.length + 1);
    lmb_str_fini(&text);
    return st;
}

/* Rules between rows and about multiples. */
static lmb_status check(const lmb_model_spec *spec)
{
    if (spec->opts.fpn_channels % 32 != 0)
        return LMB_FAIL(LMB_EINVAL,
            "%s.fpn_channels: %lld is not a multiple of 32", spec->model->name,
            (long long)spec->opts.fpn_channels);
    return LMB_OK;
}

lmb_status lmb_model_spec_parse(const char *text, lmb_model_spec *out)
{
    char name[64];
    const size_t length = strcspn(text, ":");
    if (length >= sizeof name)
        return LMB_FAIL(LMB_EINVAL, "there is no model '%.60s..'", text);
    (void)snprintf(name, sizeof name, "%.*s", (int)length, text);
    *out = (lmb_model_spec){0};
    LMB_TRY(lmb_model_get(name, &out->model));
    lmb_opt_defaults(lmb_model_opts_table, &out->opts);
    if (text[length] == ':')
        LMB_TRY(set_options(text + length + 1, out));
    LMB_TRY(check(out));
    return write_text(out);
}
