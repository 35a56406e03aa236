/* file.h: reading whole files, and writing them so that nothing is lost. */
#ifndef LMB_BASE_FILE_H
#define LMB_BASE_FILE_H

#include "base/base.h"

/* A whole file in memory (mapped read-only). */
typedef struct lmb_file {
    const uint8_t *bytes;
    size_t size;
    void *private_;
} lmb_file;

/* Errors name the path: ENOTFOUND, EIO (a directory, no permission, ...). */
lmb_status lmb_file_open(const char *path, lmb_file *out) LMB_MUST_CHECK;
void lmb_file_close(lmb_file *file);

/* A file that appears under its name only when complete: written to
 * "<path>.tmp.<pid>" (where that name would be too long, to a short one beside
 * it), synced, renamed; the directory is synced too. A kill at any instant
 * leaves the old file or the new one. If `path` is a symbolic link,
 * all that happens to the file it points to, and the link stays. What is there
 * and no regular file (a pipe, /dev/null, /dev/stdout) is written to as it is:
 * nothing replaces it, and what was written cannot be taken back. EIO for a
 * directory. */
typedef struct lmb_writer {
    void *stream_; /* FILE */
    char *path_, *temporary_; /* temporary_ is NULL if path_ is written to */
} lmb_writer;
lmb_status lmb_writer_open(const char *path, lmb_writer *out) LMB_MUST_CHECK;
lmb_status lmb_writer_write(
    lmb_writer *w, const void *bytes, size_t size) LMB_MUST_CHECK;
/* For files of known size, written in any order: room for all of it, so that a
 * full disk shows now; what is not written reads as zeros. */
lmb_status lmb_writer_reserve(lmb_writer *w, int64_t size) LMB_MUST_CHECK;
lmb_status lmb_writer_write_at(lmb_writer *w, int64_t offset, const void *bytes,
    size_t size) LMB_MUST_CHECK;
/* On failure the temporary file is removed and the old file is untouched. */
lmb_status lmb_writer_commit(lmb_writer *w) LMB_MUST_CHECK;
/* Drops what was not committed; accepts a committed or zeroed writer. */
void lmb_writer_abort(lmb_writer *w);
/* open + write + commit. */
lmb_status lmb_file_write(
    const char *path, const void *bytes, size_t size) LMB_MUST_CHECK;

bool lmb_path_exists(const char *path);
bool lmb_path_is_dir(const char *path);
/* A directory that can be read, and holds nothing. */
bool lmb_dir_is_empty(const char *path);
/* Are both there, and one file or folder, however it is spelt? */
bool lmb_path_same(const char *a, const char *b);
/* A path that counts from the working folder as one that counts from the root;
 * others as they are. Links are not followed. *out lives in the arena. */
lmb_status lmb_path_absolute(
    lmb_arena *arena, const char *path, const char **out) LMB_MUST_CHECK;
/* mkdir -p */
lmb_status lmb_make_dirs(const char *path) LMB_MUST_CHECK;
/* The same, but EIO if `path` itself is there already. */
lmb_status lmb_make_new_dir(const char *path) LMB_MUST_CHECK;
/* Removes what killed writers left in a directory. */
void lmb_remove_temporaries(const char *dir);
/* Removes the files in a directory, not directories in it. */
void lmb_remove_files(const char *dir);
/* The same, and the directory, if it is empty then. */
void lmb_remove_dir(const char *dir);
/* The same for `inner` and for the directories that it lies in below `dir`;
 * nothing if it is not below it. */
void lmb_remove_below(const char *dir, const char *inner);

/* A file that one process at a time holds, until it drops it or dies.
 * EIO while another process holds it; *out is a file descriptor. */
lmb_status lmb_lock_take(const char *path, int *out) LMB_MUST_CHECK;
void lmb_lock_drop(const char *path, int fd); /* accepts -1 */

#endif
