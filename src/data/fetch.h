/* fetch.h: public data sets, fetched with their published checksums. */
#ifndef LMB_DATA_FETCH_H
#define LMB_DATA_FETCH_H

#include "io/http.h"

/* Names and help of those that can be fetched; NULL at i >= count. */
const char *lmb_fetch_name(int i);
const char *lmb_fetch_help(int i);

/* Brings data set `name` into `dir` (made if needed), so that "KIND:dir" opens
 * it, and unpacks archives. Files that are there and right are kept, broken
 * downloads go on. `base` replaces the public address (may be NULL).
 * Errors: EUSAGE for an unknown name; those of lmb_http_get. */
lmb_status lmb_fetch(const char *name, const char *dir, const char *base,
    lmb_http_progress *progress, void *user) LMB_MUST_CHECK;

#endif
