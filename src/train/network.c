/* network.c: declaring, loading and saving networks. */
#include "train/network.h"

#include "base/log.h"
#include "model/detector.h"
#include "train/pictures.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

bool lmb_network_detects(const lmb_network *net)
{
    return net->model->postprocess != NULL;
}

/* Every picture fills its input. */
static lmb_value whole_sizes(lmb_graph *g, lmb_value x)
{
    const lmb_shape s = lmb_graph_shape(g, x);
    const double size[2] = {(double)s.dim[2], (double)s.dim[3]};
    const lmb_value one = lmb_graph_constant(g, LMB_SHAPE(1, 2), size, 0);
    return lmb_broadcast(g, one, LMB_SHAPE(s.dim[0], 2));
}

lmb_value lmb_network_build(
    const lmb_network *net, lmb_nn *nn, lmb_value x, lmb_detection *detection)
{
    lmb_detection alone = {0};
    if (detection == NULL && lmb_network_detects(net)) {
        alone.sizes = whole_sizes(nn->g, x);
        detection = &alone;
    }
    nn->options = &net->opts;
    nn->detection = detection;
    const lmb_value logits = net->model->build(net->model, nn, x, net->classes);
    nn->detection = NULL; /* may be gone when this one returns */
    return logits;
}

static lmb_status declare(const lmb_network *net, int size)
{
    /* A detector's parameters do not depend on the size of its input. */
    const int side = lmb_network_detects(net) ? 256 : size;
    lmb_graph *g = NULL;
    LMB_TRY(lmb_graph_new(&g));
    lmb_nn *nn = lmb_alloc(1, sizeof *nn);
    lmb_status st =
        nn != NULL ? LMB_OK : LMB_FAIL(LMB_ENOMEM, "out of memory: network");
    if (st == LMB_OK) {
        lmb_nn_init(nn, g, net->params, LMB_MODE_EVAL);
        const lmb_value x =
            lmb_graph_input(g, "x", LMB_F32, LMB_SHAPE(1, 3, side, side));
        (void)lmb_network_build(net, nn, x, NULL);
        st = lmb_graph_status(g);
    }
    lmb_free(nn);
    lmb_graph_free(g);
    if (st == LMB_OK)
        st = lmb_params_seal(net->params);
    return st;
}

lmb_status lmb_network_new(const lmb_model *model, int classes, int size,
    lmb_dtype dtype, lmb_network *out)
{
    lmb_model_spec spec;
    LMB_TRY(lmb_model_spec_parse(model->name, &spec));
    return lmb_network_make(&spec, classes, size, dtype, out);
}

lmb_status lmb_network_make(const lmb_model_spec *spec, int classes, int size,
    lmb_dtype dtype, lmb_network *out)
{
    lmb_network net = {
        .model = spec->model, .opts = spec->opts, .classes = classes};
    (void)snprintf(net.text, sizeof net.text, "%s", spec->text);
    for (int c = 0; c < 3; c++)
        net.std[c] = 1;
    LMB_TRY(lmb_params_new(dtype, &net.params));
    const lmb_status st = declare(&net, size);
    if (st != LMB_OK) {
        lmb_network_fini(&net);
        return st;
    }
    *out = net;
    return LMB_OK;
}

void lmb_network_fini(lmb_network *net)
{
    lmb_params_free(net->params);
    *net = (lmb_network){0};
}

static double sum_of(const void *data, lmb_dtype dtype, int64_t n)
{
    const float *f = data;
    const double *d = data;
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += fabs(dtype == LMB_F32 ? (double)f[i] : d[i]);
    return sum;
}

const lmb_param *lmb_params_nonfinite(const lmb_params *store)
{
    for (int k = 0; k < lmb_params_count(store); k++) {
        const lmb_param *p = lmb_params_at(store, k);
        if (!isfinite(sum_of(lmb_param_data(p), lmb_params_dtype(store),
                lmb_shape_count(&p->shape))))
            return p;
    }
    return NULL;
}

/* What a diverged run or a damaged disk left is of no use. */
static lmb_status check_finite(const lmb_network *net, const char *path)
{
    const lmb_param *bad = lmb_params_nonfinite(net->params);
    if (bad == NULL)
        return LMB_OK;
    return LMB_FAIL(LMB_EFORMAT, "%s: %s holds values that are not finite",
        path, bad->name);
}

/* Weights of both styles fit both networks, and compute nonsense in the other.
 */
static void warn_of_style(
    const lmb_weights *w, const char *path, const lmb_model_spec *spec)
{
    const char *style = lmb_weights_meta_get(w, "resnet_style");
    if (style == NULL || strcmp(style, "caffe") != 0 ||
        spec->opts.style == LMB_RESNET_CAFFE ||
        (spec->model->options & LMB_STYLE_OPTIONS) == 0)
        return;
    lmb_log_line(LMB_LOG_WARNING,
        "%s: its configuration says style='caffe': the model should be "
        "%s%cstyle=caffe, and such weights mostly want BGR pictures "
        "(docs/detection.md)",
        path, spec->text, strchr(spec->text, ':') != NULL ? ',' : ':');
}

static lmb_status from_weights(lmb_weights *w, const char *path,
    const char *model_name, const lmb_weights_about *about, int default_size,
    lmb_network *net)
{
    if (model_name == NULL && about->model[0] == '\0')
        return LMB_FAIL(LMB_EINVAL,
            "%s does not say which model it is of: name it (--model, "
            "--teacher)",
            path);
    lmb_model_spec spec;
    LMB_TRY(lmb_model_spec_parse(
        model_name != NULL ? model_name : about->model, &spec));
    int classes = 0;
    LMB_TRY(lmb_weights_classes(w, path, spec.model, &classes));
    LMB_TRY(lmb_weights_check_about(about, path, classes));
    const int size = about->size > 0 ? about->size
        : default_size > 0           ? default_size
                                     : spec.model->default_size;
    warn_of_style(w, path, &spec);
    LMB_TRY(lmb_network_make(&spec, classes, size, LMB_F32, net));
    LMB_TRY(lmb_weights_use_names_of(net->params, w));
    LMB_TRY(lmb_weights_to_params(w, path, net->params));
    return check_finite(net, path);
}

lmb_status lmb_network_load(const char *path, const char *model,
    const double *mean, const double *std, const double default_mean[3],
    const double default_std[3], int default_size, lmb_network *out,
    lmb_weights_about *about_out)
{
    lmb_weights *w = NULL;
    lmb_weights_about about = {0};
    lmb_network net = {0};
    lmb_status st = LMB_OK;
    LMB_GOTO(lmb_weights_load(path, &w), st, done);
    if (lmb_weights_meta_get(w, "state.step") != NULL)
        LMB_GOTO(LMB_FAIL(LMB_EFORMAT,
                     "%s: the checkpoint of a run, not a network: take "
                     "student.safetensors or best.safetensors beside it",
                     path),
            st, done);
    LMB_GOTO(lmb_weights_about_read(w, path, &about), st, done);
    LMB_GOTO(
        from_weights(w, path, model, &about, default_size, &net), st, done);
    for (int c = 0; c < 3; c++) {
        net.mean[c] = mean != NULL ? mean[c]
            : about.has_norm       ? about.mean[c]
                                   : default_mean[c];
        net.std[c] = std != NULL ? std[c]
            : about.has_norm     ? about.std[c]
                                 : default_std[c];
    }
    if (lmb_network_detects(&net) && about.size > 0 && about.short_side == 0)
        about.short_side = about.size < LMB_USUAL_SHORT_SIDE
            ? about.size
            : LMB_USUAL_SHORT_SIDE;
    net.side[0] = about.size;
    net.side[1] = about.short_side;
    *out = net;
    if (about_out != NULL)
        *about_out = about;
done:
    lmb_weights_free(w);
    if (st != LMB_OK)
        lmb_network_fini(&net);
    if (st != LMB_OK || about_out == NULL)
        lmb_weights_about_fini(&about);
    return st;
}

/* The stem is the first convolution of three channels that is built. */
void lmb_network_expect_rgb(lmb_network *net, const char *channels)
{
    if (channels == NULL || strcmp(channels, "BGR") != 0)
        return;
    for (int i = 0; i < lmb_params_count(net->params); i++) {
        lmb_param *p = lmb_params_at(net->params, i);
        if (p->shape.rank != 4 || p->shape.dim[1] != 3)
            continue;
        const int64_t plane = p->shape.dim[2] * p->shape.dim[3];
        for (int64_t k = 0; k < p->shape.dim[0] * 3 * plane; k += 3 * plane)
            for (int64_t j = k; j < k + plane; j++) {
                const double blue = lmb_param_get(p, j);
                lmb_param_set(p, j, lmb_param_get(p, j + 2 * plane));
                lmb_param_set(p, j + 2 * plane, blue);
            }
        break;
    }
    lmb_params_touch(net->params);
}

lmb_status lmb_network_save(const lmb_network *net, const lmb_dataset *data,
    int size, int short_side, const char *path)
{
    lmb_weights_about about = {
        .classes = net->classes,
        .size = size,
        .short_side = short_side,
        .has_norm = true,
        .channels = "RGB",
    };
    (void)snprintf(about.model, sizeof about.model, "%s", net->text);
    memcpy(about.mean, net->mean, sizeof about.mean);
    memcpy(about.std, net->std, sizeof about.std);
    int height = 0, width = 0;
    if (data != NULL && !lmb_network_detects(net))
        (void)snprintf(about.crop, sizeof about.crop, "%s",
            lmb_dataset_size(data, &height, &width) ? "whole" : "center");
    /* Borrowed for the call: not ours to free. */
    if (data != NULL && lmb_dataset_classes(data) == net->classes)
        about.class_names = (char **)(uintptr_t)lmb_dataset_class_names(data);
    lmb_weights *w = NULL;
    LMB_TRY(lmb_params_to_weights(net->params, &about, &w));
    const lmb_status st = lmb_weights_save(path, w);
    lmb_weights_free(w);
    return st;
}
