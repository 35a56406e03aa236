/* file.c: mapped reads and atomic writes. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

lmb_status lmb_file_open(const char *path, lmb_file *out)
{
    *out = (lmb_file){0};
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return LMB_FAIL(errno == ENOENT ? LMB_ENOTFOUND : LMB_EIO, "%s: %s",
            path, strerror(errno));
    struct stat info;
    lmb_status st = LMB_OK;
    if (fstat(fd, &info) != 0) {
        st = LMB_FAIL(LMB_EIO, "%s: %s", path, strerror(errno));
    } else if (!S_ISREG(info.st_mode)) {
        st = LMB_FAIL(LMB_EIO, "%s: not a regular file", path);
    } else if (info.st_size > 0) {
        void *map =
            mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map == MAP_FAILED) {
            st = LMB_FAIL(LMB_EIO, "%s: %s", path, strerror(errno));
        } else {
            out->bytes = map;
            out->private_ = map;
            out->size = (size_t)info.st_size;
        }
    } else {
        out->bytes = (const uint8_t *)"";
    }
    (void)close(fd);
    return st;
}

void lmb_file_close(lmb_file *file)
{
    if (file->private_ != NULL)
        (void)munmap(file->private_, file->size);
    *file = (lmb_file){0};
}

lmb_status lmb_writer_open(const char *path, lmb_writer *out)
{
    *out = (lmb_writer){0};
    lmb_writer w = {0};
    lmb_status st = LMB_OK;
    const size_t size = strlen(path) + 32;
    LMB_GOTO(LMB_NEW(w.path_, size), st, failed);
    LMB_GOTO(LMB_NEW(w.temporary_, size), st, failed);
    (void)snprintf(w.path_, size, "%s", path);
    (void)snprintf(w.temporary_, size, "%s.tmp.%ld", path, (long)getpid());
    w.stream_ = fopen(w.temporary_, "wb");
    if (w.stream_ == NULL) {
        st = LMB_FAIL(LMB_EIO, "%s: %s", w.temporary_, strerror(errno));
        goto failed;
    }
    *out = w;
    return LMB_OK;
failed:
    lmb_free(w.path_);
    lmb_free(w.temporary_);
    return st;
}

lmb_status lmb_writer_write(lmb_writer *w, const void *bytes, size_t size)
{
    if (size > 0 && fwrite(bytes, 1, size, w->stream_) != size)
        return LMB_FAIL(LMB_EIO, "%s: %s", w->path_, strerror(errno));
    return LMB_OK;
}

/* So that the rename itself survives a power cut. */
static void sync_directory_of(const char *path)
{
    char dir[4096];
    (void)snprintf(dir, sizeof dir, "%s", path);
    char *slash = strrchr(dir, '/');
    if (slash == NULL)
        (void)snprintf(dir, sizeof dir, ".");
    else
        slash[slash == dir ? 1 : 0] = '\0';
    const int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        (void)close(fd);
    }
}

lmb_status lmb_writer_commit(lmb_writer *w)
{
    FILE *stream = w->stream_;
    bool good = fflush(stream) == 0 && fsync(fileno(stream)) == 0;
    int error = errno;
    if (fclose(stream) != 0 && good) {
        good = false;
        error = errno;
    }
    w->stream_ = NULL;
    if (good && rename(w->temporary_, w->path_) != 0) {
        good = false;
        error = errno;
    }
    lmb_status st = LMB_OK;
    if (good)
        sync_directory_of(w->path_);
    else
        st = LMB_FAIL(LMB_EIO, "%s: %s; the old file is untouched", w->path_,
            strerror(error));
    lmb_writer_abort(w);
    return st;
}

void lmb_writer_abort(lmb_writer *w)
{
    if (w->stream_ != NULL)
        (void)fclose(w->stream_);
    if (w->temporary_ != NULL)
        (void)unlink(w->temporary_); /* gone already after a commit */
    lmb_free(w->path_);
    lmb_free(w->temporary_);
    *w = (lmb_writer){0};
}

lmb_status lmb_file_write(const char *path, const void *bytes, size_t size)
{
    lmb_writer w = {0};
    LMB_TRY(lmb_writer_open(path, &w));
    lmb_status st = lmb_writer_write(&w, bytes, size);
    if (st == LMB_OK)
        return lmb_writer_commit(&w);
    lmb_writer_abort(&w);
    return st;
}

bool lmb_path_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

bool lmb_path_is_dir(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

lmb_status lmb_make_dirs(const char *path)
{
    char part[4096];
    const size_t length = strlen(path);
    if (length >= sizeof part)
        return LMB_FAIL(LMB_EINVAL, "path of %zu bytes is too long", length);
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            return LMB_FAIL(LMB_EIO, "%s: %s", part, strerror(errno));
    }
    if (!lmb_path_is_dir(path))
        return LMB_FAIL(LMB_EIO, "%s: not a directory", path);
    return LMB_OK;
}
