/* digest.h: SHA-256 and MD5 of downloads, CRC-32C of event records.
 *
 * MD5 only because data sets publish it: it finds accidents, not attacks. */
#ifndef LMB_IO_DIGEST_H
#define LMB_IO_DIGEST_H

#include "base/base.h"

typedef enum lmb_digest_kind {
    LMB_MD5 = 1,
    LMB_SHA256,
} lmb_digest_kind;

enum { LMB_DIGEST_TEXT = 65 }; /* room for the longest, terminated */

typedef struct lmb_digest {
    lmb_digest_kind kind;
    uint32_t state[8];
    uint64_t length; /* bytes so far */
    uint8_t block[64];
} lmb_digest;

void lmb_digest_init(lmb_digest *d, lmb_digest_kind kind);
void lmb_digest_add(lmb_digest *d, const void *bytes, size_t size);
/* Ends the digest as lower-case hexadecimal: 32 or 64 digits. */
void lmb_digest_text(lmb_digest *d, char out[LMB_DIGEST_TEXT]);

lmb_status lmb_digest_file(const char *path, lmb_digest_kind kind,
    char out[LMB_DIGEST_TEXT]) LMB_MUST_CHECK;
/* The kind that a hexadecimal text has by its length, or 0. */
lmb_digest_kind lmb_digest_kind_of(const char *hex);

/* CRC-32C (Castagnoli), continued from `crc`; start with 0. */
uint32_t lmb_crc32c(uint32_t crc, const void *bytes, size_t size);

#endif
