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

enum { LMB_FETCH_FILES = 4, LMB_FETCH_BASES = 2 };

/* Where a data set lies. */
typedef struct lmb_fetch_source {
    const char *name, *help;
    const char *base[LMB_FETCH_BASES]; /* tried in order */
    struct {
        const char *name, *md5;
    } file[LMB_FETCH_FILES];
    bool archive; /* tar files, to be unpacked */
} lmb_fetch_source;

/* lmb_fetch from any source: the library offers the public ones only. */
lmb_status lmb__fetch(const lmb_fetch_source *s, const char *dir,
    const char *base, lmb_http_progress *progress, void *user) LMB_MUST_CHECK;

#endif
