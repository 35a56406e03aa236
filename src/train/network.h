/* network.h: networks with parameters: made fresh or from weight files. */
#ifndef LMB_TRAIN_NETWORK_H
#define LMB_TRAIN_NETWORK_H

#include "train/step.h"
#include "train/weights_io.h"

/* An empty store filled with the parameters that the model declares, sealed
 * and zeroed. size: height and width of its input. */
lmb_status lmb_network_new(const lmb_model *model, int classes, int size,
    lmb_dtype dtype, lmb_network *out) LMB_MUST_CHECK;
/* The same with options of the network. */
lmb_status lmb_network_make(const lmb_model_spec *spec, int classes, int size,
    lmb_dtype dtype, lmb_network *out) LMB_MUST_CHECK;
void lmb_network_fini(lmb_network *net);

/* From a weights file: the model from `model` (may be NULL: the file's
 * metadata), the classes from the classifier's shape, mean and deviation from
 * `mean`, `std` (may be NULL: the metadata, else those given as defaults).
 * about_out (may be NULL) receives what the file says; owned by the caller.
 * EFORMAT for values that are not finite, and for metadata of another number
 * of classes. */
lmb_status lmb_network_load(const char *path, const char *model,
    const double *mean, const double *std, const double default_mean[3],
    const double default_std[3], int default_size, lmb_network *out,
    lmb_weights_about *about_out) LMB_MUST_CHECK;

/* A network whose file says that it was made for channels in the order BGR
 * (`channels`, lmb_weights_about; NULL: not said) gets the stem that does the
 * same on RGB, which is what data sets give. Mean and deviation are of R, G, B
 * in either case. */
void lmb_network_expect_rgb(lmb_network *net, const char *channels);

/* Writes a network's parameters with its metadata. `data` gives class names;
 * NULL: none. size, short_side: of the input; a classifier's is size x size
 * (short_side 0), a detector's pictures were made to fit these two. */
lmb_status lmb_network_save(const lmb_network *net, const lmb_dataset *data,
    int size, int short_side, const char *path) LMB_MUST_CHECK;

/* The first parameter or buffer that is not finite, or NULL. */
const lmb_param *lmb_params_nonfinite(const lmb_params *store);

#endif
