/* cifar.h: what cifar10 and cifar100 share. */
#ifndef LMB_DATA_CIFAR_H
#define LMB_DATA_CIFAR_H

#include "data/dataset.h"
#include "data/stream.h"

/* One file of a split: looked for as NAME.bin, .bin.xz, .bin.gz in DIR and in
 * DIR/binary_dir, then as a pickle NAME, NAME.xz, NAME.gz in DIR and in
 * DIR/python_dir. */
typedef struct lmb_cifar_form {
    const char *binary_dir, *python_dir;
    const char *train[6], *test[2]; /* NULL after the last */
    const char *label_key; /* in the pickles */
    const char *names_file;
    const char *const *names;
    int32_t classes;
    int32_t label_bytes; /* before the pixels; the last one is the label */
    double mean[3], std[3];
} lmb_cifar_form;

lmb_status lmb__cifar_open(const lmb_cifar_form *form, const char *dir,
    lmb_split split, lmb_dataset *ds) LMB_MUST_CHECK;
/* Appends the records of one binary file. */
lmb_status lmb__cifar_read(
    const lmb_cifar_form *form, lmb_stream *in, lmb_dataset *ds) LMB_MUST_CHECK;
/* Appends the records of one pickle; `path` is for messages. */
lmb_status lmb__cifar_read_pickle(const lmb_cifar_form *form, const void *bytes,
    size_t size, const char *path, lmb_dataset *ds) LMB_MUST_CHECK;
enum { LMB_CIFAR_SIDE = 32, LMB_CIFAR_PIXELS = 3 * 32 * 32 };
/* Appends one picture given as red, green and blue planes. */
lmb_status lmb__cifar_push(
    lmb_dataset *ds, int32_t label, const uint8_t *planes) LMB_MUST_CHECK;

#endif
