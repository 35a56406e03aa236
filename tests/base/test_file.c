/* Files: whole or not at all, directories, locks. */
#include "lmb_test.h"

#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char root[64];

static int make_root(void **state)
{
    (void)state;
    (void)snprintf(root, sizeof root, "/tmp/limbeck-file-XXXXXX");
    return mkdtemp(root) == NULL;
}

static int remove_root(void **state)
{
    (void)state;
    lmb_remove_dir(root);
    return lmb_path_exists(root);
}

static const char *at(const char *name)
{
    static char text[4][256];
    static unsigned next;
    char *out = text[next++ % 4];
    (void)snprintf(out, sizeof text[0], "%s/%s", root, name);
    return out;
}

static void check_content(const char *path, const char *text)
{
    lmb_file f = {0};
    CHECK_OK(lmb_file_open(path, &f));
    assert_int_equal(f.size, strlen(text));
    assert_memory_equal(f.bytes, text, f.size);
    lmb_file_close(&f);
}

/* The name of the temporary file of this process. */
static const char *temporary(const char *name)
{
    char text[128];
    (void)snprintf(text, sizeof text, "%s.tmp.%ld", name, (long)getpid());
    return at(text);
}

static void a_file_appears_when_it_is_whole(void **state)
{
    (void)state;
    lmb_writer w = {0};
    CHECK_OK(lmb_file_write(at("f"), "old", 3));
    CHECK_OK(lmb_writer_open(at("f"), &w));
    CHECK_OK(lmb_writer_write(&w, "new ", 4));
    CHECK_OK(lmb_writer_write(&w, "text", 4));
    check_content(at("f"), "old");
    assert_true(lmb_path_exists(temporary("f")));
    CHECK_OK(lmb_writer_commit(&w));
    check_content(at("f"), "new text");
    assert_false(lmb_path_exists(temporary("f")));
    lmb_writer_abort(&w);
}

static void parts_are_written_in_any_order(void **state)
{
    (void)state;
    lmb_writer w = {0};
    CHECK_OK(lmb_writer_open(at("parts"), &w));
    CHECK_OK(lmb_writer_reserve(&w, 8));
    CHECK_OK(lmb_writer_write_at(&w, 4, "last", 4));
    CHECK_OK(lmb_writer_write_at(&w, 0, "frst", 4));
    CHECK_OK(lmb_writer_commit(&w));
    check_content(at("parts"), "frstlast");
    CHECK_OK(lmb_writer_open(at("parts"), &w));
    CHECK_OK(lmb_writer_reserve(&w, 4));
    CHECK_OK(lmb_writer_commit(&w));
    lmb_file f = {0};
    CHECK_OK(lmb_file_open(at("parts"), &f));
    assert_int_equal(f.size, 4);
    assert_memory_equal(f.bytes, "\0\0\0\0", 4);
    lmb_file_close(&f);
}

static void no_room_is_found_before_the_work(void **state)
{
    (void)state;
    lmb_writer w = {0};
    struct rlimit old;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    const struct rlimit small = {4096, old.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN);
    CHECK_OK(lmb_writer_open(at("big"), &w));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    CHECK_ERR(lmb_writer_reserve(&w, 1 << 20), LMB_EIO, "big: not written");
    CHECK_ERR(
        lmb_writer_write_at(&w, 1 << 20, "x", 1), LMB_EIO, "big: not written");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    lmb_writer_abort(&w);
    assert_false(lmb_path_exists(temporary("big")));
}

/* Files of the test's folder whose names hold `part`. */
static int count_names(const char *part)
{
    int n = 0;
    DIR *d = opendir(root);
    for (const struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d))
        n += strstr(e->d_name, part) != NULL;
    if (d != NULL)
        (void)closedir(d);
    return n;
}

/* The longest names that a folder can hold leave no room for ".tmp.PID". */
static void a_name_may_be_as_long_as_can_be(void **state)
{
    (void)state;
    char path[512];
    lmb_writer w = {0}, other = {0};
    const int n = snprintf(path, sizeof path, "%s/", root);
    memset(path + n, 'x', 256);
    path[n + 256] = '\0';
    CHECK_ERR(lmb_writer_open(path, &w), LMB_EIO, "File name too long");
    for (int length = 240; length <= 255; length += 5) {
        path[n + length] = '\0';
        CHECK_OK(lmb_file_write(path, "old", 3));
        CHECK_OK(lmb_writer_open(path, &w));
        path[n] = 'y'; /* two such files at the same time */
        CHECK_OK(lmb_writer_open(path, &other));
        CHECK_OK(lmb_writer_write(&w, "new", 3));
        CHECK_OK(lmb_writer_write(&other, "other", 5));
        assert_int_equal(count_names(".tmp."), 2);
        CHECK_OK(lmb_writer_commit(&w));
        CHECK_OK(lmb_writer_commit(&other));
        assert_int_equal(count_names(".tmp."), 0);
        check_content(path, "other");
        path[n] = 'x';
        check_content(path, "new");
        path[n + length] = 'x';
    }
    /* What a kill leaves of one is found, too. */
    path[n + 255] = '\0';
    CHECK_OK(lmb_writer_open(path, &w));
    lmb_remove_temporaries(root);
    assert_int_equal(count_names(".tmp."), 0);
    lmb_writer_abort(&w);
    check_content(path, "new");
}

static void an_aborted_write_leaves_nothing(void **state)
{
    (void)state;
    lmb_writer w = {0};
    CHECK_OK(lmb_writer_open(at("g"), &w));
    CHECK_OK(lmb_writer_write(&w, "text", 4));
    lmb_writer_abort(&w);
    assert_false(lmb_path_exists(at("g")));
    assert_false(lmb_path_exists(temporary("g")));
}

/* The full device takes the bytes of the buffer only at the flush. */
static void a_failed_write_says_which_file(void **state)
{
    (void)state;
    lmb_writer w = {0};
    if (access("/dev/full", W_OK) != 0)
        skip();
    CHECK_OK(lmb_file_write(at("h"), "old", 3));
    assert_int_equal(symlink("/dev/full", temporary("h")), 0);
    CHECK_OK(lmb_writer_open(at("h"), &w));
    CHECK_OK(lmb_writer_write(&w, "new", 3));
    CHECK_ERR(lmb_writer_commit(&w), LMB_EIO, "/h: not written: No space");
    check_content(at("h"), "old");
    assert_false(lmb_path_exists(temporary("h")));
    CHECK_ERR(lmb_file_write(at("no/where"), "", 0), LMB_EIO, "no/where");
}

static bool is_pipe(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0 && S_ISFIFO(info.st_mode);
}

static bool is_link(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0 && S_ISLNK(info.st_mode);
}

/* What a device or a pipe gets, and nothing replaces it: as root that would
 * leave the machine without its /dev/null. */
static void a_pipe_is_written_to_and_stays(void **state)
{
    (void)state;
    static const char *const names[] = {"fifo", "link_to_fifo"};
    char text[8] = "";
    lmb_writer w = {0};
    assert_int_equal(mkfifo(at("fifo"), 0600), 0);
    assert_int_equal(symlink("fifo", at("link_to_fifo")), 0);
    const int fd = open(at("fifo"), O_RDWR | O_NONBLOCK);
    assert_true(fd >= 0);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(lmb_writer_open(at(names[i]), &w));
        assert_false(lmb_path_exists(temporary(names[i])));
        CHECK_OK(lmb_writer_reserve(&w, 1 << 20));
        CHECK_OK(lmb_writer_write(&w, "text", 4));
        CHECK_OK(lmb_writer_commit(&w));
        assert_int_equal(read(fd, text, sizeof text), 4);
        assert_memory_equal(text, "text", 4);
    }
    CHECK_OK(lmb_writer_open(at("fifo"), &w));
    CHECK_ERR(lmb_writer_write_at(&w, 0, "x", 1), LMB_EIO, "fifo: not written");
    assert_null(strstr(lmb_last_error(), "untouched"));
    lmb_writer_abort(&w);
    assert_true(is_pipe(at("fifo")));
    assert_true(is_link(at("link_to_fifo")));
    assert_int_equal(close(fd), 0);
}

/* A number of /proc/self/fd leads to a pipe without a name, as /dev/stdout
 * does in a pipeline. */
static void a_pipe_without_a_name_is_written_to(void **state)
{
    (void)state;
    char path[64];
    char text[8] = "";
    int fd[2];
    assert_int_equal(pipe(fd), 0);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd[1]);
    if (lmb_path_exists(path)) {
        CHECK_OK(lmb_file_write(path, "text", 4));
        assert_int_equal(read(fd[0], text, sizeof text), 4);
    }
    (void)close(fd[0]);
    (void)close(fd[1]);
}

static void links_lead_to_the_file_written(void **state)
{
    (void)state;
    CHECK_OK(lmb_make_dirs(at("deep")));
    CHECK_OK(lmb_file_write(at("deep/file"), "old", 3));
    assert_int_equal(symlink("deep/file", at("link")), 0);
    assert_int_equal(symlink(at("link"), at("absolute")), 0);
    assert_int_equal(symlink("../absolute", at("deep/up")), 0);
    CHECK_OK(lmb_file_write(at("link"), "one", 3));
    check_content(at("deep/file"), "one");
    CHECK_OK(lmb_file_write(at("deep/up"), "two", 3));
    check_content(at("deep/file"), "two");
    assert_true(is_link(at("link")));
    assert_true(is_link(at("absolute")));
    assert_true(is_link(at("deep/up")));
    /* An aborted write leaves the old file and link here, too. */
    lmb_writer w = {0};
    CHECK_OK(lmb_writer_open(at("absolute"), &w));
    assert_true(lmb_path_exists(temporary("deep/file")));
    CHECK_OK(lmb_writer_write(&w, "three", 5));
    lmb_writer_abort(&w);
    assert_false(lmb_path_exists(temporary("deep/file")));
    check_content(at("link"), "two");
    /* A link to what is not there yet makes it. */
    assert_int_equal(symlink("deep/later", at("dangling")), 0);
    CHECK_OK(lmb_file_write(at("dangling"), "new", 3));
    check_content(at("deep/later"), "new");
    assert_true(is_link(at("dangling")));
    lmb_remove_dir(at("deep"));
}

static void directories_are_not_written_over(void **state)
{
    (void)state;
    lmb_writer w = {0};
    CHECK_OK(lmb_make_dirs(at("folder")));
    assert_int_equal(symlink("folder", at("link_to_folder")), 0);
    CHECK_ERR(lmb_writer_open(at("folder"), &w), LMB_EIO,
        "folder: not written: Is a directory");
    CHECK_ERR(lmb_writer_open(at("link_to_folder"), &w), LMB_EIO,
        "link_to_folder: not written: Is a directory");
    lmb_remove_dir(at("folder"));
    char path[5000];
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    CHECK_ERR(lmb_writer_open(path, &w), LMB_EINVAL, "4999 bytes is too long");
}

static void only_regular_files_are_read(void **state)
{
    (void)state;
    lmb_file f = {0};
    assert_int_equal(mkfifo(at("pipe"), 0600), 0);
    CHECK_ERR(lmb_file_open(at("pipe"), &f), LMB_EIO, "not a regular file");
    CHECK_ERR(lmb_file_open(root, &f), LMB_EIO, "not a regular file");
    CHECK_ERR(lmb_file_open(at("none"), &f), LMB_ENOTFOUND, "none");
    CHECK_OK(lmb_file_write(at("empty"), "", 0));
    CHECK_OK(lmb_file_open(at("empty"), &f));
    assert_int_equal(f.size, 0);
    lmb_file_close(&f);
}

static void what_killed_writers_left_is_removed(void **state)
{
    (void)state;
    static const char *const gone[] = {"last.safetensors.tmp.123", "x.tmp.1"};
    static const char *const kept[] = {
        "x.tmp", "x.tmp.", "x.tmp.1a", "tmp.12", "x.txt"};
    for (size_t i = 0; i < LMB_COUNT(gone); i++)
        CHECK_OK(lmb_file_write(at(gone[i]), "", 0));
    for (size_t i = 0; i < LMB_COUNT(kept); i++)
        CHECK_OK(lmb_file_write(at(kept[i]), "", 0));
    lmb_remove_temporaries(root);
    for (size_t i = 0; i < LMB_COUNT(gone); i++)
        assert_false(lmb_path_exists(at(gone[i])));
    for (size_t i = 0; i < LMB_COUNT(kept); i++)
        assert_true(lmb_path_exists(at(kept[i])));
    lmb_remove_temporaries(at("none"));
}

static void directories(void **state)
{
    (void)state;
    CHECK_OK(lmb_make_new_dir(at("a/b/c/")));
    assert_true(lmb_path_is_dir(at("a/b/c")));
    CHECK_OK(lmb_make_dirs(at("a/b/c")));
    CHECK_ERR(lmb_make_new_dir(at("a/b/c")), LMB_EIO, "exists");
    CHECK_OK(lmb_file_write(at("a/b/c/file"), "", 0));
    CHECK_ERR(lmb_make_dirs(at("a/b/c/file")), LMB_EIO, "not a directory");
    lmb_remove_dir(at("a/b")); /* not with a directory in it */
    assert_true(lmb_path_is_dir(at("a/b/c")));
    lmb_remove_dir(at("a/b/c"));
    lmb_remove_dir(at("a/b"));
    lmb_remove_dir(at("a"));
    assert_false(lmb_path_exists(at("a")));
}

static void what_lies_below_a_directory_is_removed(void **state)
{
    (void)state;
    CHECK_OK(lmb_make_dirs(at("a/b/c")));
    CHECK_OK(lmb_make_dirs(at("ab")));
    CHECK_OK(lmb_file_write(at("a/b/c/file"), "", 0));
    CHECK_OK(lmb_file_write(at("a/b/file"), "", 0));
    CHECK_OK(lmb_file_write(at("a/file"), "", 0));
    lmb_remove_below(at("a"), at("ab"));
    lmb_remove_below(at("a"), at("a"));
    lmb_remove_below(at("a/b"), at("a"));
    lmb_remove_below(at("a"), at("none"));
    assert_true(lmb_path_exists(at("a/b/c/file")));
    assert_true(lmb_path_is_dir(at("ab")));
    lmb_remove_below(at("a"), at("ab/../a/b/c/"));
    assert_false(lmb_path_exists(at("a/b")));
    assert_true(lmb_path_exists(at("a/file")));
    lmb_remove_dir(at("a"));
    lmb_remove_dir(at("ab"));
}

static void paths_are_compared_by_what_they_lead_to(void **state)
{
    (void)state;
    lmb_arena *arena = NULL;
    const char *path = NULL;
    char here[4096];
    CHECK_OK(lmb_make_dirs(at("one")));
    CHECK_OK(lmb_file_write(at("one/file"), "a", 1));
    CHECK_OK(lmb_file_write(at("copy"), "a", 1));
    assert_int_equal(symlink("one/file", at("to_file")), 0);
    assert_true(lmb_path_same(at("one/file"), at("one/../one//file")));
    assert_true(lmb_path_same(at("to_file"), at("one/file")));
    assert_true(lmb_path_same(at("one"), at("one/.")));
    assert_false(lmb_path_same(at("one/file"), at("copy")));
    assert_false(lmb_path_same(at("none"), at("none")));
    lmb_remove_dir(at("one"));
    CHECK_OK(lmb_arena_new(&arena));
    assert_non_null(getcwd(here, sizeof here));
    CHECK_OK(lmb_path_absolute(arena, "/a/./b", &path));
    assert_string_equal(path, "/a/./b");
    CHECK_OK(lmb_path_absolute(arena, ".//a/../b", &path));
    assert_memory_equal(path, here, strlen(here));
    assert_string_equal(path + strlen(here), "/a/../b");
    lmb_arena_free(arena);
}

/* The exit status of a process that tries to take the lock. */
static int try_lock(const char *path)
{
    int status = 0, fd = -1;
    const pid_t child = fork();
    if (child == 0)
        _exit(lmb_lock_take(path, &fd) == LMB_OK ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WEXITSTATUS(status);
}

static void one_process_at_a_time_holds_a_lock(void **state)
{
    (void)state;
    int fd = -1;
    assert_int_equal(try_lock(at("lock")), 0); /* and it has died */
    CHECK_OK(lmb_lock_take(at("lock"), &fd));
    assert_int_equal(try_lock(at("lock")), 1);
    lmb_lock_drop(at("lock"), fd);
    assert_false(lmb_path_exists(at("lock")));
    assert_int_equal(try_lock(at("lock")), 0);
    lmb_lock_drop(NULL, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_appears_when_it_is_whole),
        cmocka_unit_test(parts_are_written_in_any_order),
        cmocka_unit_test(no_room_is_found_before_the_work),
        cmocka_unit_test(a_name_may_be_as_long_as_can_be),
        cmocka_unit_test(an_aborted_write_leaves_nothing),
        cmocka_unit_test(a_failed_write_says_which_file),
        cmocka_unit_test(a_pipe_is_written_to_and_stays),
        cmocka_unit_test(a_pipe_without_a_name_is_written_to),
        cmocka_unit_test(links_lead_to_the_file_written),
        cmocka_unit_test(directories_are_not_written_over),
        cmocka_unit_test(only_regular_files_are_read),
        cmocka_unit_test(what_killed_writers_left_is_removed),
        cmocka_unit_test(directories),
        cmocka_unit_test(what_lies_below_a_directory_is_removed),
        cmocka_unit_test(paths_are_compared_by_what_they_lead_to),
        cmocka_unit_test(one_process_at_a_time_holds_a_lock),
    };
    const int failed = cmocka_run_group_tests(tests, make_root, remove_root);
    return failed + lmb_test_leaks();
}
