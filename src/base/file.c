/* file.c: mapped reads, atomic writes, directories.
 *
 * For tests alone: with LIMBECK_TEST_WRITE_DELAY_MS=N in the environment a
 * commit waits N milliseconds with part of the file written, and N more with
 * all of it written but not renamed, so that a kill can hit both moments. */
#include "base/file.h"

#include "base/rng.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PATH_SIZE = 4096, LINKS_MAX = 40 };

lmb_status lmb_file_open(const char *path, lmb_file *out)
{
    *out = (lmb_file){0};
    /* Without blocking: a pipe is refused, not waited for. */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
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

static lmb_status not_written(const lmb_writer *w, int error)
{
    return LMB_FAIL(LMB_EIO, "%s: not written: %s%s", w->path_, strerror(error),
        w->temporary_ != NULL && lmb_path_exists(w->path_)
            ? "; the old file is untouched"
            : "");
}

/* If `path` is a symbolic link, replaces it by what the link says. That need
 * not exist, so realpath() is no help. */
static bool follow_link(char path[PATH_SIZE])
{
    char target[PATH_SIZE];
    const ssize_t n = readlink(path, target, sizeof target);
    if (n <= 0)
        return false;
    const char *slash = strrchr(path, '/');
    const size_t dir =
        target[0] == '/' || slash == NULL ? 0 : (size_t)(slash + 1 - path);
    if (dir + (size_t)n >= PATH_SIZE)
        return false;
    memcpy(path + dir, target, (size_t)n);
    path[dir + (size_t)n] = '\0';
    return true;
}

/* The name of the file that `path` leads to; `path` itself if that is in a
 * ring of links. */
static lmb_status resolve_links(const char *path, char out[PATH_SIZE])
{
    int links = 0;
    if (strlen(path) >= PATH_SIZE)
        return LMB_FAIL(
            LMB_EINVAL, "path of %zu bytes is too long", strlen(path));
    (void)snprintf(out, PATH_SIZE, "%s", path);
    while (links < LINKS_MAX && follow_link(out))
        links++;
    if (links == LINKS_MAX)
        (void)snprintf(out, PATH_SIZE, "%s", path);
    return LMB_OK;
}

/* The file that is to be, or the temporary one that will become it. */
static lmb_status name_file(const char *path, bool replace, lmb_writer *w)
{
    w->path_ = lmb_strdup(path);
    if (w->path_ == NULL)
        return LMB_FAIL(LMB_ENOMEM, "out of memory: a path");
    if (!replace)
        return LMB_OK;
    const size_t size = strlen(path) + 64; /* a short name may be longer */
    LMB_TRY(LMB_NEW(w->temporary_, size));
    (void)snprintf(w->temporary_, size, "%s.tmp.%ld", path, (long)getpid());
    return LMB_OK;
}

/* A name that is long itself has no room for more: its hash stands for it. */
static void shorten_temporary(lmb_writer *w)
{
    struct stat info;
    const char *slash = strrchr(w->path_, '/');
    const size_t dir = slash != NULL ? (size_t)(slash + 1 - w->path_) : 0;
    if (stat(w->path_, &info) != 0 && errno == ENAMETOOLONG)
        return; /* no file can have this name */
    (void)snprintf(w->temporary_ + dir, 64, "%016llx.tmp.%ld",
        (unsigned long long)lmb_hash(w->path_ + dir), (long)getpid());
}

static void open_stream(bool replace, lmb_writer *w)
{
    w->stream_ = fopen(replace ? w->temporary_ : w->path_, "wb");
    if (w->stream_ != NULL || !replace || errno != ENAMETOOLONG)
        return;
    shorten_temporary(w);
    w->stream_ = fopen(w->temporary_, "wb");
}

lmb_status lmb_writer_open(const char *path, lmb_writer *out)
{
    char target[PATH_SIZE];
    struct stat info;
    *out = (lmb_writer){0};
    lmb_writer w = {0};
    lmb_status st = LMB_OK;
    /* First as it stands: the link /dev/stdout leads to no name of a pipe. */
    const bool replace = stat(path, &info) != 0 || S_ISREG(info.st_mode);
    if (replace)
        LMB_TRY(resolve_links(path, target));
    LMB_GOTO(name_file(replace ? target : path, replace, &w), st, failed);
    open_stream(replace, &w);
    if (w.stream_ == NULL) {
        st = not_written(&w, errno);
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
        return not_written(w, errno);
    return LMB_OK;
}

lmb_status lmb_writer_reserve(lmb_writer *w, int64_t size)
{
    if (w->temporary_ == NULL)
        return LMB_OK; /* a pipe or device has no size */
    const int fd = fileno(w->stream_);
    int error = EINTR; /* a signal that ends the run may come here, too */
    while (error == EINTR)
        error = posix_fallocate(fd, 0, (off_t)size);
    /* Some file systems cannot: the size is set all the same. */
    if (error == EOPNOTSUPP || error == EINVAL)
        error = ftruncate(fd, (off_t)size) != 0 ? errno : 0;
    return error == 0 ? LMB_OK : not_written(w, error);
}

lmb_status lmb_writer_write_at(
    lmb_writer *w, int64_t offset, const void *bytes, size_t size)
{
    const char *from = bytes;
    for (size_t done = 0; done < size;) {
        const ssize_t n = pwrite(fileno(w->stream_), from + done, size - done,
            (off_t)offset + (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return not_written(w, n < 0 ? errno : ENOSPC);
        done += (size_t)n;
    }
    return LMB_OK;
}

/* So that the rename itself survives a power cut. */
static void sync_directory_of(const char *path)
{
    char dir[PATH_SIZE];
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

static void wait_for_test(void)
{
    const char *text = getenv("LIMBECK_TEST_WRITE_DELAY_MS");
    const long ms = text != NULL ? strtol(text, NULL, 10) : 0;
    if (ms <= 0)
        return;
    const struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    (void)nanosleep(&t, NULL);
}

lmb_status lmb_writer_commit(lmb_writer *w)
{
    FILE *stream = w->stream_;
    wait_for_test();
    const bool replace = w->temporary_ != NULL; /* else nothing to sync */
    bool good = fflush(stream) == 0 && (!replace || fsync(fileno(stream)) == 0);
    int error = errno;
    if (fclose(stream) != 0 && good) {
        good = false;
        error = errno;
    }
    w->stream_ = NULL;
    wait_for_test();
    if (good && replace && rename(w->temporary_, w->path_) != 0) {
        good = false;
        error = errno;
    }
    lmb_status st = LMB_OK;
    if (!good)
        st = not_written(w, error);
    else if (replace)
        sync_directory_of(w->path_);
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

bool lmb_dir_is_empty(const char *path)
{
    DIR *dir = opendir(path);
    if (dir == NULL)
        return false;
    const struct dirent *entry = NULL;
    bool empty = true;
    while (empty && (entry = readdir(dir)) != NULL)
        empty =
            strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    (void)closedir(dir);
    return empty;
}

bool lmb_path_same(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev &&
        x.st_ino == y.st_ino;
}

lmb_status lmb_path_absolute(
    lmb_arena *arena, const char *path, const char **out)
{
    char here[PATH_SIZE] = "";
    if (path[0] != '/' && getcwd(here, sizeof here) == NULL)
        return LMB_FAIL(LMB_EIO, "the working folder: %s", strerror(errno));
    while (strncmp(path, "./", 2) == 0)
        path += 2 + strspn(path + 2, "/");
    if (path[0] == '/')
        *out = lmb_arena_strdup(arena, path);
    else
        *out = lmb_arena_printf(
            arena, "%s/%s", strcmp(here, "/") != 0 ? here : "", path);
    if (*out == NULL)
        return LMB_FAIL(LMB_ENOMEM, "out of memory: path");
    return LMB_OK;
}

static lmb_status make_dir(const char *path, bool must_be_new)
{
    if (mkdir(path, 0777) == 0 || (errno == EEXIST && !must_be_new))
        return LMB_OK;
    return LMB_FAIL(LMB_EIO, "%s: %s", path, strerror(errno));
}

/* All the directories of `path`; the last one new, or there already. */
static lmb_status make_dirs(const char *path, bool must_be_new)
{
    char part[PATH_SIZE];
    size_t length = strlen(path);
    if (length >= sizeof part)
        return LMB_FAIL(LMB_EINVAL, "path of %zu bytes is too long", length);
    while (length > 1 && path[length - 1] == '/')
        length--;
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && i != length)
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        LMB_TRY(make_dir(part, must_be_new && i == length));
    }
    if (!lmb_path_is_dir(path))
        return LMB_FAIL(LMB_EIO, "%s: not a directory", path);
    return LMB_OK;
}

lmb_status lmb_make_dirs(const char *path)
{
    return make_dirs(path, false);
}

lmb_status lmb_make_new_dir(const char *path)
{
    return make_dirs(path, true);
}

/* Removes the regular files of a directory that `chosen` names. */
static void remove_files(const char *dir, bool (*chosen)(const char *name))
{
    char path[PATH_SIZE];
    DIR *d = opendir(dir);
    if (d == NULL)
        return;
    for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        const int n = snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (n > 0 && (size_t)n < sizeof path && chosen(e->d_name))
            (void)unlink(path); /* fails for "." and ".." */
    }
    (void)closedir(d);
}

/* "NAME.tmp.PID" */
static bool is_temporary(const char *name)
{
    const char *at = strrchr(name, '.');
    return at != NULL && at - name > 4 && strncmp(at - 4, ".tmp", 4) == 0 &&
        at[1] != '\0' && strspn(at + 1, "0123456789") == strlen(at + 1);
}

static bool is_any(const char *name)
{
    return name[0] != '\0';
}

void lmb_remove_temporaries(const char *dir)
{
    remove_files(dir, is_temporary);
}

void lmb_remove_files(const char *dir)
{
    remove_files(dir, is_any);
}

void lmb_remove_dir(const char *dir)
{
    lmb_remove_files(dir);
    (void)rmdir(dir);
}

/* Cuts a path to that of the directory it names something in; false if it has
 * no such part. */
static bool cut_last(char *path)
{
    size_t n = strlen(path);
    while (n > 0 && path[n - 1] == '/')
        n--;
    while (n > 0 && path[n - 1] != '/')
        n--;
    while (n > 1 && path[n - 1] == '/')
        n--;
    path[n] = '\0';
    return n > 1;
}

void lmb_remove_below(const char *dir, const char *inner)
{
    char path[PATH_SIZE];
    if (strlen(inner) >= sizeof path)
        return;
    (void)snprintf(path, sizeof path, "%s", inner);
    bool below = false;
    while (!below && cut_last(path))
        below = lmb_path_same(path, dir);
    if (!below)
        return;
    (void)snprintf(path, sizeof path, "%s", inner);
    while (!lmb_path_same(path, dir)) {
        lmb_remove_dir(path);
        (void)cut_last(path);
    }
}

lmb_status lmb_lock_take(const char *path, int *out)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    struct stat info;
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return LMB_FAIL(LMB_EIO, "%s: %s", path, strerror(errno));
    const bool held = fcntl(fd, F_SETLK, &whole) != 0 &&
        (errno == EACCES || errno == EAGAIN); /* else no locks here: go on */
    /* The holder may have dropped the file between open and lock. */
    if (!held && fstat(fd, &info) == 0 && info.st_nlink > 0) {
        *out = fd;
        return LMB_OK;
    }
    (void)close(fd);
    return LMB_FAIL(LMB_EIO, "%s: another process is at work here", path);
}

void lmb_lock_drop(const char *path, int fd)
{
    if (fd < 0)
        return;
    (void)unlink(path);
    (void)close(fd);
}
