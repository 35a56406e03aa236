/* pth.h: torch.save's files, behind weights.h. */
#ifndef LMB_IO_PTH_H
#define LMB_IO_PTH_H

#include "io/weights.h"

/* The zip form, torch.save's default since torch 1.6. */
lmb_status lmb_pth_parse_zip(const uint8_t *bytes, size_t size,
    const char *name, lmb_weights *w) LMB_MUST_CHECK;
/* The form before that: pickles one after the other, then raw storages. */
lmb_status lmb_pth_parse_legacy(const uint8_t *bytes, size_t size,
    const char *name, lmb_weights *w) LMB_MUST_CHECK;
/* Writes a zip that torch.load reads as an OrderedDict of tensors; metadata
 * go into an entry of their own, which torch ignores. */
lmb_status lmb_pth_save(const char *path, const lmb_weights *w) LMB_MUST_CHECK;

#endif
