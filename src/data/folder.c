/* folder.c: readdir, sorted. */
#include "data/folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static lmb_status read_entries(
    DIR *dir, const char *path, lmb_arena *arena, lmb_folder *out)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (entry == NULL && errno != 0)
            return LMB_FAIL(LMB_EIO, "%s: %s", path, strerror(errno));
        if (entry == NULL)
            return LMB_OK;
        if (entry->d_name[0] == '.')
            continue;
        LMB_TRY(LMB_GROW(out->names, out->count, out->capacity));
        const char *name = lmb_arena_strdup(arena, entry->d_name);
        if (name == NULL)
            return LMB_FAIL(LMB_ENOMEM, "%s: out of memory", path);
        out->names[out->count++] = name;
    }
}

lmb_status lmb__folder_list(const char *path, lmb_arena *arena, lmb_folder *out)
{
    *out = (lmb_folder){0};
    DIR *dir = opendir(path);
    if (dir == NULL)
        return LMB_FAIL(errno == ENOENT ? LMB_ENOTFOUND : LMB_EIO, "%s: %s",
            path, strerror(errno));
    const lmb_status st = read_entries(dir, path, arena, out);
    (void)closedir(dir);
    if (st != LMB_OK)
        lmb__folder_fini(out);
    else if (out->count > 0)
        qsort(out->names, (size_t)out->count, sizeof *out->names, by_bytes);
    return st;
}

void lmb__folder_fini(lmb_folder *folder)
{
    lmb_free(folder->names);
    *folder = (lmb_folder){0};
}
