/* npy.h: NumPy's .npy files.
 *
 * Source: numpy/lib/format.py, format versions 1.0, 2.0 and 3.0. */
#ifndef LMB_IO_NPY_H
#define LMB_IO_NPY_H

#include "base/base.h"
#include "limbeck/tensor.h"

/* Reads an array of f2 f4 f8 i1 u1 i2 i4 i8 b1, of either byte order; Fortran
 * order is transposed to row-major. *out has one reference, owned by the
 * caller. Errors name the file: ENOTFOUND, EIO; EFORMAT for a malformed file;
 * EUNSUPPORTED for other element types or more than LMB_MAX_RANK axes. */
lmb_status lmb_npy_load(const char *path, lmb_tensor **out) LMB_MUST_CHECK;
/* The same from memory; `name` stands in the messages. */
lmb_status lmb_npy_parse(const void *bytes, size_t size, const char *name,
    lmb_tensor **out) LMB_MUST_CHECK;
/* Writes version 1.0, little-endian, row-major. EUNSUPPORTED for BF16, which
 * NumPy does not have. */
lmb_status lmb_npy_save(
    const char *path, const lmb_tensor *tensor) LMB_MUST_CHECK;

/* The element type of NumPy's "<f4", "|b1", ...; false if it is not one of
 * those above. *swapped: big-endian. */
bool lmb_npy_dtype(
    const char *descr, size_t length, lmb_dtype *out, bool *swapped);

#endif
