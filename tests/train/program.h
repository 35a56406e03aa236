/* program.h: tests that run the program itself: starting, watching, killing
 * and waiting for it, in a folder of their own.
 *
 * A test binary calls program_folder() once; everything lies below it and
 * goes with program_folder_remove(). The program is LMB_PROGRAM. */
#ifndef LMB_TEST_PROGRAM_H
#define LMB_TEST_PROGRAM_H

#include "lmb_test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PROGRAM_TEXT = 1 << 16, PROGRAM_PATH = 512, PROGRAM_ARGS = 96 };

/* --- the folder ----------------------------------------------------------- */

static char program_root[PROGRAM_PATH];

static inline void remove_tree(const char *path)
{
    char inner[8 * PROGRAM_PATH];
    DIR *d = opendir(path);
    for (const struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        const int n = snprintf(inner, sizeof inner, "%s/%s", path, e->d_name);
        if (n > 0 && n < (int)sizeof inner && unlink(inner) != 0)
            remove_tree(inner);
    }
    if (d != NULL)
        (void)closedir(d);
    (void)rmdir(path);
}

static inline int program_folder(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    if (tmp == NULL) /* memory syncs faster than disks */
        tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    (void)snprintf(program_root, sizeof program_root, "%s/limbeck-XXXXXX", tmp);
    return mkdtemp(program_root) == NULL;
}

static inline int program_folder_remove(void **state)
{
    (void)state;
    if (getenv("LIMBECK_TEST_KEEP") == NULL)
        remove_tree(program_root);
    return 0;
}

/* "ROOT/name"; a few of them live at the same time. */
static inline const char *in_folder(const char *fmt, ...)
{
    static char text[16][2 * PROGRAM_PATH];
    static unsigned next;
    char name[PROGRAM_PATH];
    char *out = text[next++ % 16];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(name, sizeof name, fmt, args);
    va_end(args);
    (void)snprintf(out, sizeof text[0], "%s/%s", program_root, name);
    return out;
}

static inline bool exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

/* The whole file, ended by a zero; free() it. */
static inline char *read_all(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        fail_msg("%s: %s", path, strerror(errno));
    (void)fseek(f, 0, SEEK_END);
    *size = (size_t)ftell(f);
    rewind(f);
    char *text = calloc(*size + 1, 1);
    if (text == NULL || fread(text, 1, *size, f) != *size)
        fail_msg("%s: cannot be read", path);
    (void)fclose(f);
    return text;
}

static inline void write_all(const char *path, const void *bytes, size_t size)
{
    FILE *f = fopen(path, "wb");
    if (f == NULL || fwrite(bytes, 1, size, f) != size || fclose(f) != 0)
        fail_msg("%s: %s", path, strerror(errno));
}

static inline void check_same_file(const char *a, const char *b)
{
    size_t na = 0, nb = 0;
    char *x = read_all(a, &na), *y = read_all(b, &nb);
    if (na != nb || memcmp(x, y, na) != 0)
        fail_msg("%s and %s differ", a, b);
    free(x);
    free(y);
}

/* Files of a folder whose names hold `part`. */
static inline int count_files(const char *dir, const char *part)
{
    int n = 0;
    DIR *d = opendir(dir);
    for (const struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d))
        n += strstr(e->d_name, part) != NULL;
    if (d != NULL)
        (void)closedir(d);
    return n;
}

static inline void wait_ms(double ms)
{
    const struct timespec t = {
        (time_t)(ms / 1000), (long)(1e6 * (ms - 1000 * floor(ms / 1000)))};
    (void)nanosleep(&t, NULL);
}

/* --- the program ---------------------------------------------------------- */

typedef struct program {
    pid_t pid;
    int pipe; /* its standard error */
    char text[PROGRAM_TEXT]; /* what it has said so far, the tail if long */
    size_t length, seen; /* seen: progress lines read up to here */
    /* Set before the start. */
    const char *write_delay; /* LIMBECK_TEST_WRITE_DELAY_MS, or NULL */
    rlim_t file_limit; /* bytes a file may have; 0: no limit */
    const char *output; /* file that its standard output goes to, or NULL */
    const char *folder; /* that it works in, or NULL: the test's own */
} program;

/* A command line as words between spaces. */
static inline void split_words(char *line, char **argv)
{
    int n = 1;
    for (char *w = strtok(line, " "); w != NULL; w = strtok(NULL, " ")) {
        assert_true(n + 1 < PROGRAM_ARGS);
        argv[n++] = w;
    }
    argv[n] = NULL;
}

static inline void run_child(const program *p, char **argv, int err)
{
    const int out = open(p->output != NULL ? p->output : "/dev/null",
        O_WRONLY | O_CREAT | O_TRUNC, 0666);
    (void)dup2(out, STDOUT_FILENO);
    (void)dup2(err, STDERR_FILENO);
    (void)setenv("OMP_NUM_THREADS", "1", 1);
    if (p->write_delay != NULL)
        (void)setenv("LIMBECK_TEST_WRITE_DELAY_MS", p->write_delay, 1);
    const struct rlimit limit = {p->file_limit, p->file_limit};
    if (p->file_limit > 0)
        (void)setrlimit(RLIMIT_FSIZE, &limit);
    if (p->folder != NULL && chdir(p->folder) != 0)
        _exit(127);
    (void)execv(argv[0], argv);
    _exit(127);
}

static inline void program_start(program *p, const char *fmt, ...)
{
    char line[8192];
    char *argv[PROGRAM_ARGS] = {LMB_PROGRAM};
    int ends[2];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    split_words(line, argv);
    p->length = p->seen = 0;
    p->text[0] = '\0';
    assert_int_equal(pipe(ends), 0);
    (void)fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    p->pid = fork();
    assert_true(p->pid >= 0);
    if (p->pid == 0)
        run_child(p, argv, ends[1]);
    (void)close(ends[1]);
    p->pipe = ends[0];
}

/* Reads more of what it says; false at the end. */
static inline bool program_read(program *p)
{
    if (p->length > sizeof p->text / 2) {
        const size_t gone = p->length / 2;
        memmove(p->text, p->text + gone, p->length - gone + 1);
        p->length -= gone;
        p->seen = p->seen > gone ? p->seen - gone : 0;
    }
    const ssize_t n =
        read(p->pipe, p->text + p->length, sizeof p->text - p->length - 1);
    if (n <= 0)
        return n < 0 && errno == EINTR;
    p->length += (size_t)n;
    p->text[p->length] = '\0';
    return true;
}

/* The next whole line, or NULL at the end. */
static inline char *program_line(program *p, char *line, size_t size)
{
    char *end = NULL;
    while ((end = strchr(p->text + p->seen, '\n')) == NULL)
        if (!program_read(p))
            return NULL;
    const size_t n = (size_t)(end - p->text) - p->seen;
    (void)snprintf(line, size, "%.*s", (int)n, p->text + p->seen);
    p->seen += n + 1;
    return line;
}

/* Steps done, over all epochs, by the next progress line; -1 at the end. */
static inline long program_step(program *p)
{
    char line[4096];
    while (program_line(p, line, sizeof line) != NULL) {
        long epoch = 0, epochs = 0, step = 0, steps = 0;
        if (sscanf(line, "epoch %ld/%ld %ld/%ld", &epoch, &epochs, &step,
                &steps) == 4)
            return (epoch - 1) * steps + step;
    }
    return -1;
}

/* Its exit status, or 1000 + the signal that killed it. */
static inline int program_wait(program *p)
{
    int status = 0;
    while (program_read(p))
        ;
    (void)close(p->pipe);
    while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* Waits; it must end with `status`. */
static inline void program_ends(program *p, int status)
{
    const int found = program_wait(p);
    if (found != status)
        fail_msg("exit status %d, not %d: %s", found, status, p->text);
}

/* The last line it said. */
static inline const char *program_last_line(program *p)
{
    while (p->length > 0 && p->text[p->length - 1] == '\n')
        p->text[--p->length] = '\0';
    const char *at = strrchr(p->text, '\n');
    return at != NULL ? at + 1 : p->text;
}

static inline void check_said(const program *p, const char *part)
{
    if (strstr(p->text, part) == NULL)
        fail_msg("nothing about '%s': %s", part, p->text);
}

/* --- tiny data ------------------------------------------------------------ */

static inline void put_be32(FILE *f, uint32_t v)
{
    const uint8_t b[4] = {
        (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    (void)fwrite(b, 1, 4, f);
}

/* IDX pictures, 16 x 16: class k is a bright bar in column 3 k + 1 .. 3 k + 3
 * over noise. */
static inline void write_idx(
    const char *dir, const char *stem, uint32_t count, uint32_t classes)
{
    char path[3 * PROGRAM_PATH];
    uint32_t noise = 12345 + count;
    (void)snprintf(path, sizeof path, "%s/%s-images-idx3-ubyte", dir, stem);
    FILE *images = fopen(path, "wb");
    (void)snprintf(path, sizeof path, "%s/%s-labels-idx1-ubyte", dir, stem);
    FILE *labels = fopen(path, "wb");
    assert_true(images != NULL && labels != NULL);
    put_be32(images, 0x803);
    put_be32(images, count);
    put_be32(images, 16);
    put_be32(images, 16);
    put_be32(labels, 0x801);
    put_be32(labels, count);
    for (uint32_t i = 0; i < count; i++) {
        (void)fputc((int)(i % classes), labels);
        for (uint32_t k = 0; k < 256; k++) {
            noise = noise * 1664525 + 1013904223;
            const uint32_t column = k % 16, first = 3 * (i % classes) + 1;
            const bool bar = column >= first && column < first + 3;
            (void)fputc((int)((noise >> 25) + (bar ? 120 : 0)), images);
        }
    }
    (void)fclose(images);
    (void)fclose(labels);
}

/* "ROOT/data": a set of `train` pictures to learn, 40 to try, 4 classes. */
static inline void write_data(uint32_t train)
{
    const char *dir = in_folder("data");
    assert_int_equal(mkdir(dir, 0777), 0);
    write_idx(dir, "train", train, 4);
    write_idx(dir, "t10k", 40, 4);
}

#endif
