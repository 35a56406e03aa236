/* mapping.h: names of other people's weights turned into ours.
 *
 * Our CIFAR networks are named as mdistiller's, the ImageNet ones as
 * torchvision's. The published CIFAR ResNets of pytorch-cifar-models have
 * mdistiller's names already; the sets here are for sources that differ. */
#ifndef LMB_IO_MAPPING_H
#define LMB_IO_MAPPING_H

#include "io/weights.h"

/* In `from`, * stands for one or more characters without a dot, ** for any
 * text, empty too; what they matched replaces those of `to` in order. At most
 * six of them. `to` == NULL drops the tensor. */
typedef struct lmb_rename_rule {
    const char *from, *to;
} lmb_rename_rule;

typedef struct lmb_rename_set {
    const char *name; /* "kuangliu" */
    const char *help; /* one line */
    const lmb_rename_rule *rules; /* ended by {NULL, NULL} */
} lmb_rename_set;

/* The built-in sets, ended by a row without name. */
const lmb_rename_set *lmb_rename_sets(void);
const lmb_rename_set *lmb_rename_find(const char *name); /* NULL if unknown */

/* Renames every tensor by the first rule that matches all of its name; names
 * that none matches stay. EFORMAT if two tensors would get one name; `w` is
 * unchanged on failure. */
lmb_status lmb_weights_rename(
    lmb_weights *w, const lmb_rename_rule *rules) LMB_MUST_CHECK;

/* The set after which all `count` names are there; *out = NULL if they are
 * there as they stand. ENOTFOUND names the first one that no set gives, and
 * the nearest name in `w`. */
lmb_status lmb_rename_guess(const lmb_weights *w, const char *const *names,
    size_t count, const lmb_rename_set **out) LMB_MUST_CHECK;

#endif
