/* zip.h: reading zip archives in memory, and writing stored ones. */
#ifndef LMB_IO_ZIP_H
#define LMB_IO_ZIP_H

#include "base/base.h"

typedef struct lmb_zip_entry {
    const char *name; /* not terminated */
    size_t name_length;
    size_t size; /* of the content */
    const uint8_t *data; /* after lmb_zip_read */
    /* private */
    size_t header_, packed_;
    uint32_t crc_;
    uint16_t method_, flags_;
    uint8_t *owned_;
} lmb_zip_entry;

typedef struct lmb_zip {
    lmb_zip_entry *entries; /* sorted by name */
    size_t count;
    /* private */
    const char *name_;
    const uint8_t *bytes_;
    size_t size_, inflated_;
} lmb_zip;

/* Reads the directory; `bytes` and `name` must outlive *out. Entries may not
 * overlap or share a name. Close also after a failure. */
lmb_status lmb_zip_open(const void *bytes, size_t size, const char *name,
    lmb_zip *out) LMB_MUST_CHECK;
void lmb_zip_close(lmb_zip *zip);
/* The entry of that name or NULL. */
lmb_zip_entry *lmb_zip_find(
    const lmb_zip *zip, const char *name, size_t length);
/* Sets entry->data, which lives as long as the zip: stored data in place,
 * deflated data inflated; the checksum is verified. */
lmb_status lmb_zip_read(lmb_zip *zip, lmb_zip_entry *entry) LMB_MUST_CHECK;

/* One file of an archive to be written. */
typedef struct lmb_zip_member {
    const char *name;
    const void *data;
    size_t size;
} lmb_zip_member;

/* Writes an archive of stored members, each starting at a multiple of 64,
 * under its name only when complete. EUNSUPPORTED from 4 GiB on. */
lmb_status lmb_zip_save(const char *path, const lmb_zip_member *members,
    size_t count) LMB_MUST_CHECK;

#endif
