/* run_start.c: what the student's weights are before the first step: drawn from
 * the seed; those of a file (init), of a classifier of other classes all but
 * its last layer; for a detector the backbone that a file of a classifier has,
 * or backbone and whatever else fits of another detector; and, inherited from
 * the first stage's teacher, whatever lies behind the backbone in neck and
 * heads and has the teacher's name and shape (docs/detection.md; as MGD's and
 * FGD's public configurations start). */
#include "train/run_impl.h"

#include "base/log.h"
#include "base/str.h"
#include "train/weights_io.h"

#include <stdio.h>
#include <string.h>

static bool begins(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* What a backbone's parameters are called below: mmdetection's layout, or
 * torchvision's, whose pyramid is "backbone.fpn." */
static const char *backbone_of(const lmb_params *store)
{
    static const char body[] = "backbone.body.";
    for (int i = 0; i < lmb_params_count(store); i++)
        if (begins(lmb_params_at(store, i)->name, body))
            return body;
    return "backbone.";
}

/* --- a file --------------------------------------------------------------- */

/* A detector's own file names its backbone; a classifier's does not. */
static bool is_detector_file(const lmb_weights *w)
{
    for (size_t i = 0; i < w->count; i++)
        if (begins(w->items[i].name, "backbone."))
            return true;
    return false;
}

/* What a network takes from a file: the tensors of its own, under `prefix` and
 * without it, that have its names and shapes. */
typedef struct part {
    const lmb_weights *weights;
    const char *path;
    const lmb_network *net;
    const char *prefix; /* of the network's names, not of the file's */
} part;

static const lmb_tensor *find_part(const part *from, const lmb_param *p)
{
    if (!begins(p->name, from->prefix))
        return NULL;
    const lmb_tensor *t =
        lmb_weights_find(from->weights, p->name + strlen(from->prefix));
    return t != NULL && lmb_shape_equal(&t->shape, &p->shape) ? t : NULL;
}

/* How many of the network's tensors whose names begin with `scope` the file
 * does not have; `first` is one of them. */
static int misfits(const part *from, const char *scope, const char **first)
{
    const lmb_params *to = from->net->params;
    int n = 0;
    *first = NULL;
    for (int i = 0; i < lmb_params_count(to); i++) {
        const lmb_param *p = lmb_params_at(to, i);
        if (!begins(p->name, scope) || find_part(from, p) != NULL)
            continue;
        if (n++ == 0)
            *first = p->name;
    }
    return n;
}

static lmb_status load_part(const part *from)
{
    const lmb_params *to = from->net->params;
    const char *first = NULL;
    const int drawn = misfits(from, "", &first);
    for (int i = 0; i < lmb_params_count(to); i++) {
        lmb_param *p = lmb_params_at(to, i);
        const lmb_tensor *t = find_part(from, p);
        if (t != NULL)
            LMB_TRY(lmb_param_load(p, t));
    }
    lmb_log_line(LMB_LOG_INFO,
        "init       %d of %d tensors from %s; %d are drawn, the first is %s",
        lmb_params_count(to) - drawn, lmb_params_count(to), from->path, drawn,
        first);
    return LMB_OK;
}

/* A classifier's file has a backbone's tensors without the backbone's prefix;
 * what lies behind it is left alone. */
static lmb_status load_classifier(part *from)
{
    const char *first = NULL;
    from->prefix = backbone_of(from->net->params);
    const int n = misfits(from, from->prefix, &first);
    if (n == 0)
        return load_part(from);
    return LMB_FAIL(LMB_EFORMAT,
        "%s: neither a detector nor the backbone of %s: %d tensors are missing "
        "or of another shape, the first is %s",
        from->path, from->net->text, n, first + strlen(from->prefix));
}

/* Does all of the file fit but the last layer? Then it is a network of other
 * classes. */
static lmb_status only_head_misfits(const part *from, bool *out)
{
    lmb_model_info info;
    char head[sizeof info.head + 1];
    const char *first = NULL;
    LMB_TRY(lmb_model_describe(from->net->model, 0, 0, &info));
    (void)snprintf(head, sizeof head, "%s.", info.head);
    const int of_head = misfits(from, head, &first);
    *out = of_head > 0 && misfits(from, "", &first) == of_head;
    return LMB_OK;
}

/* Another detector's file (of other classes, say) gives what fits, if the
 * backbone is the same. */
static lmb_status load_file(lmb_run *run, const char *path)
{
    lmb_weights *w = NULL;
    const char *first = NULL;
    const lmb_network *net = &run->student;
    bool other_classes = false;
    lmb_status st;
    LMB_TRY(lmb_weights_load(path, &w));
    part from = {w, path, net, ""};
    st = lmb_weights_use_names_of(net->params, w);
    if (st != LMB_OK) {
        lmb_weights_free(w);
        return st;
    }
    if (!lmb_network_detects(net)) {
        st = only_head_misfits(&from, &other_classes);
        if (st == LMB_OK)
            st = other_classes ? load_part(&from)
                               : lmb_weights_to_params(w, path, net->params);
    } else if (!is_detector_file(w))
        st = load_classifier(&from);
    else if (misfits(&from, "", &first) > 0 &&
        misfits(&from, backbone_of(net->params), &first) == 0)
        st = load_part(&from);
    else
        st = lmb_weights_to_params(w, path, net->params);
    if (st == LMB_OK)
        lmb_network_expect_rgb(
            &run->student, lmb_weights_meta_get(w, "channel_order"));
    lmb_weights_free(w);
    return st;
}

/* --- a teacher ------------------------------------------------------------ */

static void copy_values(const lmb_param *to, const lmb_param *from)
{
    for (int64_t i = 0; i < to->count; i++)
        lmb_param_set(to, i, lmb_param_get(from, i));
}

static lmb_status inherit(const lmb_run *run)
{
    int teacher = 0;
    LMB_TRY(lmb_run_stage_teacher(run, 0, &teacher));
    const lmb_params *from = run->teachers[teacher].params;
    lmb_params *to = run->student.params;
    const char *prefix = backbone_of(to);
    int n = 0;
    for (int i = 0; i < lmb_params_count(to); i++) {
        const lmb_param *p = lmb_params_at(to, i);
        const lmb_param *q = lmb_params_find(from, p->name);
        if (begins(p->name, prefix) || q == NULL ||
            !lmb_shape_equal(&p->shape, &q->shape))
            continue;
        copy_values(p, q);
        n++;
    }
    if (n == 0)
        return LMB_FAIL(LMB_EINVAL,
            "inherit: neck and heads of %s and of teacher %s have no tensor of "
            "one name and shape",
            run->student.text, run->teachers[teacher].text);
    lmb_log_line(LMB_LOG_INFO, "inherit    %d tensors of neck and heads", n);
    return LMB_OK;
}

/* --- both ----------------------------------------------------------------- */

static lmb_status check_inherit(const lmb_run *run)
{
    if (!lmb_network_detects(&run->student))
        return LMB_FAIL(LMB_EINVAL,
            "inherit: %s has no neck: it is for detectors", run->student.text);
    if (run->n_teachers == 0)
        return LMB_FAIL(LMB_EINVAL, "inherit: there is no teacher");
    return LMB_OK;
}

static bool has_batch_norms(const lmb_params *store)
{
    const char *prefix = backbone_of(store);
    for (int i = 0; i < lmb_params_count(store); i++)
        if (begins(lmb_params_at(store, i)->name, prefix) &&
            strstr(lmb_params_at(store, i)->name, "running_mean") != NULL)
            return true;
    return false;
}

/* Detectors' defaults are for backbones that have learned: frozen as drawn, one
 * would never be of any use. */
static void warn_of_drawn_backbone(const lmb_network *net)
{
    const bool frozen = net->opts.frozen_stages >= 0;
    const bool norms = net->opts.norm_eval && has_batch_norms(net->params);
    if (!lmb_network_detects(net) || !(frozen || norms))
        return;
    lmb_log_line(LMB_LOG_WARNING,
        "the student's backbone is drawn, and %s%s%s stay as drawn: --init "
        "FILE gives it weights, %s:frozen_stages=-1,norm_eval=false lets it "
        "learn from nothing",
        frozen ? "its frozen stages" : "", frozen && norms ? " and " : "",
        norms ? "its batch norms' statistics" : "", net->model->name);
}

lmb_status lmb_run_start(lmb_run *run)
{
    const lmb_run_config *c = run->config;
    if (c->train.inherit)
        LMB_TRY(check_inherit(run));
    if (run->has_checkpoint)
        return LMB_OK;
    lmb_params_init(run->student.params, (uint64_t)c->train.seed);
    if (c->init != NULL)
        LMB_TRY(load_file(run, c->init));
    else
        warn_of_drawn_backbone(&run->student);
    if (c->train.inherit)
        LMB_TRY(inherit(run));
    lmb_params_touch(run->student.params);
    return LMB_OK;
}
