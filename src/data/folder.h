/* folder.h: the entries of a folder, sorted; the pictures below a folder. */
#ifndef LMB_DATA_FOLDER_H
#define LMB_DATA_FOLDER_H

#include "data/lines.h"

typedef struct lmb_folder {
    const char **names; /* sorted by bytes; live in the arena */
    int64_t count;
    size_t capacity;
} lmb_folder;

/* Entries but for hidden ones (".x"). ENOTFOUND, EIO, ENOMEM. */
lmb_status lmb__folder_list(
    const char *path, lmb_arena *arena, lmb_folder *out) LMB_MUST_CHECK;
void lmb__folder_fini(lmb_folder *folder);
/* Adds the paths of all files in `path` that are named like pictures, sorted;
 * those of its folders follow, sorted by folder, at most 16 deep. */
lmb_status lmb__folder_pictures(
    const char *path, lmb_arena *arena, lmb_lines *out) LMB_MUST_CHECK;

#endif
