/* safetensors.h: reader and writer behind weights.h. */
#ifndef LMB_IO_SAFETENSORS_H
#define LMB_IO_SAFETENSORS_H

#include "io/weights.h"

lmb_status lmb_safetensors_parse(const uint8_t *bytes, size_t size,
    const char *name, lmb_weights *w) LMB_MUST_CHECK;
lmb_status lmb_safetensors_save(
    const char *path, const lmb_weights *w) LMB_MUST_CHECK;

#endif
