/* http.h: fetching public files over HTTP and HTTPS. */
#ifndef LMB_IO_HTTP_H
#define LMB_IO_HTTP_H

#include "base/base.h"

/* Called now and then; total is 0 while unknown. false stops the download. */
typedef bool lmb_http_progress(int64_t done, int64_t total, void *user);

/* Makes `path` hold what is at `url`. `digest` is the file's SHA-256 or MD5
 * in hexadecimal, or NULL: not checked, not resumed. A file that is there and
 * has the digest is left as it is. Bytes collect in "<path>.part", which a
 * later call with a digest goes on from; `path` appears only when complete
 * and right. `progress` may be NULL.
 * Errors name the address: ENOTFOUND (404, 410), EIO (network, other status,
 * disk), EFORMAT (digest), EINTERRUPTED (stopped), EINVAL (not http or https,
 * malformed digest). */
lmb_status lmb_http_get(const char *url, const char *path, const char *digest,
    lmb_http_progress *progress, void *user) LMB_MUST_CHECK;

#endif
