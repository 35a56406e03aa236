/* weights_io.h: a network's parameters from and to named tensors, with what
 * a file needs to be used alone: model, classes, how images were normalised. */
#ifndef LMB_TRAIN_WEIGHTS_IO_H
#define LMB_TRAIN_WEIGHTS_IO_H

#include "graph/param.h"
#include "io/weights.h"
#include "model/model.h"

/* Fills a sealed store by name. All or nothing: names and shapes are checked
 * both ways first. Ignored: "*.num_batches_tracked" and, as they follow from
 * the network, "*.relative_position_index" (Swin) and "*.integral.project"
 * (GFL). `path` stands in messages. Errors: EFORMAT lists what is missing,
 * misshapen and unknown, with the nearest names.
 */
lmb_status lmb_weights_to_params(
    const lmb_weights *w, const char *path, lmb_params *store) LMB_MUST_CHECK;

/* Other people's names turned into those of the store, by the built-in set
 * (io/mapping.h) after which all of them are there; names stay as they are
 * where none does that, for lmb_weights_to_params to list. ENOMEM. */
lmb_status lmb_weights_use_names_of(
    const lmb_params *store, lmb_weights *w) LMB_MUST_CHECK;

/* Classes of the file by the shape of the model's classifier. Errors: EFORMAT
 * if the file has no such tensor. */
lmb_status lmb_weights_classes(const lmb_weights *w, const char *path,
    const lmb_model *m, int *classes) LMB_MUST_CHECK;

/* The metadata of a weights file. Zero means "not known". */
typedef struct lmb_weights_about {
    char model[160];
    int classes;
    char **class_names; /* `classes` of them, or NULL; owned */
    int size; /* input height and width in pixels; detectors: long side */
    int short_side; /* detectors: pictures fit size x short_side */
    bool has_norm;
    double mean[3], std[3]; /* of channels scaled to [0, 1] */
    char channels[8]; /* "RGB" or "BGR" */
    /* How a classifier's test pictures filled its input: "center" (the short
     * side to 256 / 224 of it, then the centre, as for image folders), "whole"
     * (pictures of one size, as they are), or "". */
    char crop[8];
} lmb_weights_about;

/* Reads it; zeroed fields where the file says nothing. Other metadata is left
 * alone. Errors: EFORMAT names path, key, value. *out is owned: _fini. */
lmb_status lmb_weights_about_read(const lmb_weights *w, const char *path,
    lmb_weights_about *out) LMB_MUST_CHECK;
void lmb_weights_about_fini(lmb_weights_about *about);
/* Is it about a network of so many classes, as its classifier's shape says?
 * A script that replaces the head may have left the metadata of the old one,
 * and its names are those of other classes. EFORMAT names path and both. */
lmb_status lmb_weights_check_about(const lmb_weights_about *about,
    const char *path, int classes) LMB_MUST_CHECK;
lmb_status lmb_weights_about_write(
    const lmb_weights_about *about, lmb_weights *w) LMB_MUST_CHECK;
/* Makes the metadata those of a network of so many classes: another number is
 * replaced, and names that are more or fewer are taken out, with warnings. */
lmb_status lmb_weights_set_classes(
    lmb_weights *w, const char *path, int classes) LMB_MUST_CHECK;

/* A new list with a copy of every parameter and buffer, and `about` (may be
 * NULL) as metadata. Owned by the caller. */
lmb_status lmb_params_to_weights(const lmb_params *store,
    const lmb_weights_about *about, lmb_weights **out) LMB_MUST_CHECK;

#endif
