/* cmd_inspect.c: limbeck inspect: what is in a file of weights or an array. */
#include "cli/cli.h"

#include "io/npy.h"
#include "io/weights.h"
#include "tensor/shape.h"

#include <math.h>
#include <string.h>

/* --- weights */

static void weights_json(const char *path, const lmb_weights *w, lmb_str *out)
{
    lmb_str_add(out, "{\"file\": ");
    lmb_str_json(out, path);
    lmb_str_add(out, ", \"format\": ");
    lmb_str_json(out, w->format != NULL ? w->format : "");
    lmb_str_printf(out, ", \"elements\": %lld, \"metadata\": {",
        (long long)lmb_weights_elements(w));
    for (size_t i = 0; i < w->meta_count; i++) {
        lmb_str_add(out, i > 0 ? ", " : "");
        lmb_str_json(out, w->meta[i].key);
        lmb_str_add(out, ": ");
        lmb_str_json(out, w->meta[i].value);
    }
    lmb_str_add(out, "}, \"tensors\": [");
    for (size_t i = 0; i < w->count; i++) {
        const lmb_tensor *t = w->items[i].tensor;
        lmb_str_add(out, i > 0 ? ",\n{\"name\": " : "\n{\"name\": ");
        lmb_str_json(out, w->items[i].name);
        lmb_str_printf(out, ", \"dtype\": \"%s\", \"shape\": %s}",
            lmb_dtype_name(t->dtype), lmb_shape_text(&t->shape));
    }
    lmb_str_add(out, "]}\n");
}

/* Long values (class names) are cut; lines become spaces. */
static void add_meta(lmb_str *out, const char *key, const char *value)
{
    enum { SHOWN = 60 };
    lmb_str_printf(out, "%-14s ", key);
    int n = 0;
    for (; n < SHOWN && value[n] != '\0'; n++) {
        const char c = (unsigned char)value[n] < 0x20 ? ' ' : value[n];
        lmb_str_add_bytes(out, &c, 1);
    }
    lmb_str_add(out, value[n] != '\0' ? " ...\n" : "\n");
}

static void weights_text(const lmb_weights *w, lmb_str *out)
{
    lmb_str_printf(out, "%-14s %s\n", "format", w->format ? w->format : "");
    if (w->unwrapped != NULL)
        lmb_str_printf(out, "%-14s %s\n", "unwrapped", w->unwrapped);
    if (w->ignored > 0)
        lmb_str_printf(out, "%-14s %lld entries that were left out\n",
            "ignored", (long long)w->ignored);
    for (size_t i = 0; i < w->meta_count; i++)
        if (strcmp(w->meta[i].key, "format") != 0) /* "pt", for Python */
            add_meta(out, w->meta[i].key, w->meta[i].value);
    for (size_t i = 0; i < w->count; i++) {
        const lmb_tensor *t = w->items[i].tensor;
        lmb_str_printf(out, "%-44s %-5s %s\n", w->items[i].name,
            lmb_dtype_name(t->dtype), lmb_shape_text(&t->shape));
    }
    lmb_str_printf(out, "%zu tensors, %lld elements\n", w->count,
        (long long)lmb_weights_elements(w));
}

static lmb_status inspect_weights(const cli *c, const char *path, lmb_str *out)
{
    lmb_weights *w = NULL;
    LMB_TRY(lmb_weights_load(path, &w));
    if (c->json)
        weights_json(path, w, out);
    else
        weights_text(w, out);
    lmb_weights_free(w);
    return LMB_OK;
}

/* --- arrays */

static lmb_status inspect_array(const cli *c, const char *path, lmb_str *out)
{
    lmb_tensor *t = NULL;
    double low = INFINITY, high = -INFINITY, sum = 0;
    LMB_TRY(lmb_npy_load(path, &t));
    const int64_t n = lmb_tensor_count(t);
    for (int64_t i = 0; i < n; i++) {
        const double v = lmb_tensor_get(t, i);
        low = fmin(low, v);
        high = fmax(high, v);
        sum += v;
    }
    const double values[] = {low, high, n > 0 ? sum / (double)n : NAN};
    static const char *const names[] = {"min", "max", "mean"};
    lmb_str_printf(out, c->json ? "{\"dtype\": \"%s\", \"shape\": %s" : "%s %s",
        lmb_dtype_name(t->dtype), lmb_shape_text(&t->shape));
    for (size_t i = 0; i < LMB_COUNT(values); i++) {
        lmb_str_printf(out, c->json ? ", \"%s\": " : ", %s ", names[i]);
        lmb_str_json_number(out, values[i]);
    }
    lmb_str_add(out, c->json ? "}\n" : "\n");
    lmb_tensor_release(t);
    return LMB_OK;
}

static lmb_status run(cli *c)
{
    lmb_str out = {0};
    LMB_TRY(cli_need_words(c, 1, "FILE is"));
    const char *path = c->words[0];
    const lmb_status st = lmb_str_ends_with(path, ".npy")
        ? inspect_array(c, path, &out)
        : inspect_weights(c, path, &out);
    if (st != LMB_OK) {
        lmb_str_fini(&out);
        return st;
    }
    return cli_put_str(&out);
}

const cli_command cmd_inspect = {
    .name = "inspect",
    .usage = "FILE [--json]",
    .title = "what is in a file of weights, or in an array",
    .max_words = 1,
    .run = run,
};
