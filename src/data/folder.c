/* folder.c: readdir, sorted; pictures by the endings of their names. */
#include "data/folder.h"
#include "base/file.h"
#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_DEPTH = 16 };

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

/* --- pictures ------------------------------------------------------------- */

static bool is_picture(const char *name)
{
    static const char *const ends[] = {".jpg", ".jpeg", ".png", ".ppm", ".bmp",
        ".pgm", ".tif", ".tiff", ".webp"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot != NULL && i < LMB_COUNT(ends); i++)
        if (lmb_str_equal_nocase(dot, ends[i]))
            return true;
    return false;
}

static lmb_status walk(
    const char *path, int depth, lmb_arena *arena, lmb_lines *out);

/* The files of the folder, or what is in its folders. */
static lmb_status walk_entries(const char *path, int depth,
    const lmb_folder *folder, bool folders, lmb_arena *arena, lmb_lines *out)
{
    for (int64_t i = 0; i < folder->count; i++) {
        const char *name = folder->names[i];
        const char *entry = lmb_arena_printf(arena, "%s/%s", path, name);
        struct stat info;
        if (entry == NULL)
            return LMB_FAIL(LMB_ENOMEM, "%s: out of memory", path);
        if (stat(entry, &info) != 0) {
            if (folders || !is_picture(name))
                continue; /* a link to nowhere that is no picture either */
            return LMB_FAIL(LMB_EIO, "%s: %s", entry, strerror(errno));
        }
        if (S_ISDIR(info.st_mode) && folders)
            LMB_TRY(walk(entry, depth + 1, arena, out));
        else if (S_ISREG(info.st_mode) && !folders && is_picture(name))
            LMB_TRY(lmb__lines_add(out, entry));
    }
    return LMB_OK;
}

static lmb_status walk(
    const char *path, int depth, lmb_arena *arena, lmb_lines *out)
{
    if (depth > MAX_DEPTH)
        return LMB_FAIL(LMB_EFORMAT, "%s: folders nested deeper than %d", path,
            (int)MAX_DEPTH);
    lmb_folder folder = {0};
    LMB_TRY(lmb__folder_list(path, arena, &folder));
    lmb_status st = walk_entries(path, depth, &folder, false, arena, out);
    if (st == LMB_OK)
        st = walk_entries(path, depth, &folder, true, arena, out);
    lmb__folder_fini(&folder);
    return st;
}

lmb_status lmb__folder_pictures(
    const char *path, lmb_arena *arena, lmb_lines *out)
{
    return walk(path, 0, arena, out);
}
