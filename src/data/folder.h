/* folder.h: the entries of a folder, sorted. */
#ifndef LMB_DATA_FOLDER_H
#define LMB_DATA_FOLDER_H

#include "base/base.h"

typedef struct lmb_folder {
    const char **names; /* sorted by bytes; live in the arena */
    int64_t count;
    size_t capacity;
} lmb_folder;

/* Entries but for hidden ones (".x"). ENOTFOUND, EIO, ENOMEM. */
lmb_status lmb__folder_list(
    const char *path, lmb_arena *arena, lmb_folder *out) LMB_MUST_CHECK;
void lmb__folder_fini(lmb_folder *folder);

#endif
