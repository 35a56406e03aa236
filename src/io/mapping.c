/* mapping.c: rename rules with wildcards, and the sets for known sources. */
#include "io/mapping.h"

#include "base/str.h"

#include <string.h>

enum { STARS_MAX = 6, NEAR_MAX_NAMES = 4096 };

/* kuangliu/pytorch-cifar: the same networks with two other words. */
static const lmb_rename_rule kuangliu[] = {
    {"layer*.*.shortcut.**", "layer*.*.downsample.**"},
    {"linear.**", "fc.**"},
    {NULL, NULL},
};

/* weiaicunzai/pytorch-cifar100: blocks as one Sequential each. Convolution,
 * BN, ReLU, ...: 0, 1, 3, 4 and in bottlenecks 6, 7 carry weights. */
static const lmb_rename_rule weiaicunzai[] = {
    {"conv1.0.**", "conv1.**"},
    {"conv1.1.**", "bn1.**"},
    {"conv2_x.*.residual_function.0.**", "layer1.*.conv1.**"},
    {"conv2_x.*.residual_function.1.**", "layer1.*.bn1.**"},
    {"conv2_x.*.residual_function.3.**", "layer1.*.conv2.**"},
    {"conv2_x.*.residual_function.4.**", "layer1.*.bn2.**"},
    {"conv2_x.*.residual_function.6.**", "layer1.*.conv3.**"},
    {"conv2_x.*.residual_function.7.**", "layer1.*.bn3.**"},
    {"conv2_x.*.shortcut.**", "layer1.*.shortcut.**"},
    {"conv3_x.*.residual_function.0.**", "layer2.*.conv1.**"},
    {"conv3_x.*.residual_function.1.**", "layer2.*.bn1.**"},
    {"conv3_x.*.residual_function.3.**", "layer2.*.conv2.**"},
    {"conv3_x.*.residual_function.4.**", "layer2.*.bn2.**"},
    {"conv3_x.*.residual_function.6.**", "layer2.*.conv3.**"},
    {"conv3_x.*.residual_function.7.**", "layer2.*.bn3.**"},
    {"conv3_x.*.shortcut.**", "layer2.*.shortcut.**"},
    {"conv4_x.*.residual_function.0.**", "layer3.*.conv1.**"},
    {"conv4_x.*.residual_function.1.**", "layer3.*.bn1.**"},
    {"conv4_x.*.residual_function.3.**", "layer3.*.conv2.**"},
    {"conv4_x.*.residual_function.4.**", "layer3.*.bn2.**"},
    {"conv4_x.*.residual_function.6.**", "layer3.*.conv3.**"},
    {"conv4_x.*.residual_function.7.**", "layer3.*.bn3.**"},
    {"conv4_x.*.shortcut.**", "layer3.*.shortcut.**"},
    {"conv5_x.*.residual_function.0.**", "layer4.*.conv1.**"},
    {"conv5_x.*.residual_function.1.**", "layer4.*.bn1.**"},
    {"conv5_x.*.residual_function.3.**", "layer4.*.conv2.**"},
    {"conv5_x.*.residual_function.4.**", "layer4.*.bn2.**"},
    {"conv5_x.*.residual_function.6.**", "layer4.*.conv3.**"},
    {"conv5_x.*.residual_function.7.**", "layer4.*.bn3.**"},
    {"conv5_x.*.shortcut.**", "layer4.*.shortcut.**"},
    {"fc.**", "linear.**"},
    {NULL, NULL},
};

/* OpenMMLab's classifiers: torchvision's names in a shell. */
static const lmb_rename_rule openmmlab[] = {
    {"backbone.**", "**"},
    {"head.fc.**", "fc.**"},
    {NULL, NULL},
};

/* torchvision's ImageNet ResNets as the backbone of detectors. */
static const lmb_rename_rule to_mmdet[] = {
    {"fc.**", NULL},
    {"**", "backbone.**"},
    {NULL, NULL},
};
static const lmb_rename_rule to_torchvision_detector[] = {
    {"fc.**", NULL},
    {"**", "backbone.body.**"},
    {NULL, NULL},
};

/* torchvision's RetinaNet and Faster R-CNN as published in 2020: each
 * convolution has been a block of its own since. */
static const lmb_rename_rule torchvision_2020[] = {
    {"backbone.fpn.inner_blocks.*.*", "backbone.fpn.inner_blocks.*.0.*"},
    {"backbone.fpn.layer_blocks.*.*", "backbone.fpn.layer_blocks.*.0.*"},
    {"rpn.head.conv.*", "rpn.head.conv.0.0.*"},
    {"head.*.conv.0.*", "head.*.conv.0.0.*"},
    {"head.*.conv.2.*", "head.*.conv.1.0.*"},
    {"head.*.conv.4.*", "head.*.conv.2.0.*"},
    {"head.*.conv.6.*", "head.*.conv.3.0.*"},
    {NULL, NULL},
};

static const lmb_rename_set sets[] = {
    {"kuangliu", "kuangliu/pytorch-cifar: shortcut, linear", kuangliu},
    {"weiaicunzai", "weiaicunzai/pytorch-cifar100: residual_function",
        weiaicunzai},
    {"openmmlab", "OpenMMLab classifiers: backbone., head.fc", openmmlab},
    {"torchvision_2020", "torchvision's RetinaNet and Faster R-CNN of 2020",
        torchvision_2020},
    {"resnet_to_mmdet", "torchvision ResNet into an mmdetection backbone",
        to_mmdet},
    {"resnet_to_torchvision_detector",
        "torchvision ResNet into a torchvision detector's backbone",
        to_torchvision_detector},
    {NULL, NULL, NULL},
};

const lmb_rename_set *lmb_rename_sets(void)
{
    return sets;
}

const lmb_rename_set *lmb_rename_find(const char *name)
{
    for (const lmb_rename_set *s = sets; s->name != NULL; s++)
        if (lmb_str_equal_nocase(s->name, name))
            return s;
    return NULL;
}

typedef struct span {
    const char *text;
    size_t length;
} span;

/* Shortest match first; each star tries again with one character more. The
 * depth of the recursion is the number of stars. */
static bool match(const char *pattern, const char *text, span *found, int left)
{
    while (*pattern != '\0' && *pattern != '*') {
        if (*pattern++ != *text++)
            return false;
    }
    if (*pattern == '\0')
        return *text == '\0';
    const bool any = pattern[1] == '*';
    LMB_ASSERT(left > 0);
    for (size_t n = any ? 0 : 1;; n++) {
        if (n > 0 && (text[n - 1] == '\0' || (!any && text[n - 1] == '.')))
            return false;
        *found = (span){text, n};
        if (match(pattern + (any ? 2 : 1), text + n, found + 1, left - 1))
            return true;
    }
}

static void substitute(const char *to, const span *found, lmb_str *out)
{
    while (*to != '\0') {
        if (*to != '*') {
            lmb_str_add_bytes(out, to++, 1);
            continue;
        }
        lmb_str_add_bytes(out, found->text, found->length);
        found++;
        to += to[1] == '*' ? 2 : 1;
    }
}

/* The name after the rules, in *out; *dropped if a rule drops it. */
static void new_name(
    const lmb_rename_rule *rules, const char *name, lmb_str *out, bool *dropped)
{
    span found[STARS_MAX] = {{NULL, 0}};
    *dropped = false;
    out->length = 0;
    for (; rules->from != NULL; rules++) {
        if (!match(rules->from, name, found, STARS_MAX))
            continue;
        *dropped = rules->to == NULL;
        if (!*dropped)
            substitute(rules->to, found, out);
        return;
    }
    lmb_str_add(out, name);
}

static lmb_status renamed(
    const lmb_weights *w, const lmb_rename_rule *rules, lmb_weights *out)
{
    lmb_str name = {0};
    lmb_status st = LMB_OK;
    for (size_t i = 0; i < w->count; i++) {
        bool dropped = false;
        new_name(rules, w->items[i].name, &name, &dropped);
        LMB_GOTO(lmb_str_status(&name), st, done);
        if (!dropped)
            LMB_GOTO(
                lmb_weights_add(out, name.text, w->items[i].tensor), st, done);
    }
done:
    lmb_str_fini(&name);
    return st;
}

/* Everything but the tensors. */
static lmb_status copy_notes(const lmb_weights *w, lmb_weights *out)
{
    for (size_t i = 0; i < w->meta_count; i++)
        LMB_TRY(lmb_weights_meta_set(out, w->meta[i].key, w->meta[i].value));
    out->format = w->format;
    out->ignored = w->ignored;
    if (w->unwrapped == NULL)
        return LMB_OK;
    out->unwrapped = lmb_arena_strdup(out->text_, w->unwrapped);
    return out->unwrapped != NULL
        ? LMB_OK
        : LMB_FAIL(LMB_ENOMEM, "out of memory: weights");
}

lmb_status lmb_weights_rename(lmb_weights *w, const lmb_rename_rule *rules)
{
    lmb_weights *next = NULL;
    LMB_TRY(lmb_weights_new(&next));
    lmb_status st = renamed(w, rules, next);
    if (st == LMB_OK)
        st = copy_notes(w, next);
    if (st == LMB_OK) {
        const lmb_weights kept = *w;
        *w = *next;
        *next = kept;
    }
    lmb_weights_free(next);
    return st;
}

/* Whether every name is among w's after the rules. */
static lmb_status gives_all(const lmb_weights *w, const lmb_rename_rule *rules,
    const char *const *names, size_t count, bool *out)
{
    lmb_weights *trial = NULL;
    LMB_TRY(lmb_weights_new(&trial));
    const lmb_status st = renamed(w, rules, trial);
    *out = st == LMB_OK;
    for (size_t i = 0; i < count && *out; i++)
        *out = lmb_weights_find(trial, names[i]) != NULL;
    lmb_weights_free(trial);
    return st == LMB_EFORMAT ? LMB_OK : st; /* names that clash: not this */
}

static lmb_status missing(const lmb_weights *w, const char *name)
{
    const char **all = NULL;
    const size_t count = w->count < NEAR_MAX_NAMES ? w->count : NEAR_MAX_NAMES;
    LMB_TRY(LMB_NEW(all, count));
    for (size_t i = 0; i < count; i++)
        all[i] = w->items[i].name;
    const char *near = lmb_str_nearest(name, all, count);
    const lmb_status st =
        LMB_FAIL(LMB_ENOTFOUND, "the weights have no tensor '%s'%s%s%s", name,
            near != NULL ? "; nearest is '" : "", near != NULL ? near : "",
            near != NULL ? "'" : "");
    lmb_free(all);
    return st;
}

lmb_status lmb_rename_guess(const lmb_weights *w, const char *const *names,
    size_t count, const lmb_rename_set **out)
{
    size_t at = 0;
    while (at < count && lmb_weights_find(w, names[at]) != NULL)
        at++;
    if (at == count) {
        *out = NULL;
        return LMB_OK;
    }
    for (const lmb_rename_set *s = sets; s->name != NULL; s++) {
        bool good = false;
        LMB_TRY(gives_all(w, s->rules, names, count, &good));
        if (good) {
            *out = s;
            return LMB_OK;
        }
    }
    return missing(w, names[at]);
}
