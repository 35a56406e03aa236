/* class_names.h: do the class names of a file of weights go with the data's? */
#ifndef LMB_TRAIN_CLASS_NAMES_H
#define LMB_TRAIN_CLASS_NAMES_H

#include "data/data.h"
#include "train/weights_io.h"

/* How two lists of n names differ. Case does not count, and '_', '-' and ' '
 * are one; "" and "N/A", as ids without a class have it, are no names. */
typedef struct lmb_names_gap {
    int32_t known; /* classes that have a name in both lists */
    int32_t differ; /* of these, with two names */
    int32_t first; /* of these; -1: none */
    int32_t moved; /* the first whose name b has for another one; -1: none */
} lmb_names_gap;
lmb_names_gap lmb_names_compare(
    const char *const *a, const char *const *b, int32_t n);

/* EFORMAT names the first class of the file that has its name elsewhere in the
 * data: it would be taken for another one. `tolerant`: a warning in its place.
 * Other names alone, as of a set that was renamed, are a warning. Nothing is
 * said where one side has no names or another number of classes. */
lmb_status lmb_check_class_names(const char *path,
    const lmb_weights_about *about, const lmb_dataset *data,
    bool tolerant) LMB_MUST_CHECK;

#endif
