/* tar.h: unpacking .tar.gz archives, whose names are not trusted. */
#ifndef LMB_IO_TAR_H
#define LMB_IO_TAR_H

#include "base/base.h"

/* Unpacks the plain files and folders of a gzip-compressed (or plain) ustar
 * archive below `dir`, each file whole or not at all. Errors: ENOTFOUND, EIO;
 * EFORMAT for a damaged archive, a name that is absolute or holds "..", or
 * more than `most` bytes in all; EUNSUPPORTED for links and devices. */
lmb_status lmb_tar_unpack(
    const char *path, const char *dir, int64_t most) LMB_MUST_CHECK;

#endif
