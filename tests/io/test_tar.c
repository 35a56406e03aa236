/* test_tar.c: archives unpack below their folder and nowhere else. */
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "lmb_test.h"

#include "base/file.h"
#include "io/tar.h"

enum { BLOCK = 512 };

static char folder[] = "/tmp/limbeck_tar_XXXXXX";

static const char *at(const char *name)
{
    static char path[4][256];
    static int turn;
    turn = (turn + 1) % 4;
    (void)snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

static int enter(void **state)
{
    (void)state;
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int leave(void **state)
{
    char command[256];
    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

/* An entry's header, with its checksum. */
static void write_header(
    gzFile out, const char *name, const char *prefix, char type, size_t size)
{
    unsigned char h[BLOCK] = {0};
    unsigned sum = 0;
    (void)snprintf((char *)h, 100, "%s", name);
    (void)snprintf((char *)h + 124, 12, "%011o", (unsigned)size);
    memcpy(h + 257, "ustar\00000", 8);
    (void)snprintf((char *)h + 345, 155, "%s", prefix);
    h[156] = (unsigned char)type;
    memset(h + 148, ' ', 8);
    for (int i = 0; i < BLOCK; i++)
        sum += h[i];
    (void)snprintf((char *)h + 148, 8, "%06o", sum);
    (void)gzwrite(out, h, BLOCK);
}

static void write_content(gzFile out, const char *text)
{
    unsigned char block[BLOCK] = {0};
    memcpy(block, text, strlen(text));
    if (text[0] != '\0')
        (void)gzwrite(out, block, BLOCK);
}

/* a.tar.gz with one entry; `whole` adds the two empty blocks of the end. */
static void make(const char *name, const char *prefix, char type,
    const char *text, bool whole)
{
    static const unsigned char zero[2 * BLOCK];
    gzFile out = gzopen(at("a.tar.gz"), "wb");
    write_header(out, name, prefix, type, strlen(text));
    write_content(out, text);
    if (whole)
        (void)gzwrite(out, zero, sizeof zero);
    (void)gzclose(out);
}

static lmb_status unpack(int64_t most)
{
    return lmb_tar_unpack(at("a.tar.gz"), at("to"), most);
}

static void files_and_folders_appear(void **state)
{
    (void)state;
    lmb_file file;
    make("deep/er/x.txt", "", '0', "hello", true);
    CHECK_OK(unpack(100));
    CHECK_OK(lmb_file_open(at("to/deep/er/x.txt"), &file));
    assert_int_equal(file.size, 5);
    assert_memory_equal(file.bytes, "hello", 5);
    lmb_file_close(&file);
    make("y.txt", "front", '0', "", true);
    CHECK_OK(unpack(100));
    assert_true(lmb_path_exists(at("to/front/y.txt")));
    make("empty/", "", '5', "", true);
    CHECK_OK(unpack(100));
    assert_true(lmb_path_is_dir(at("to/empty")));
    make("whatever", "", 'x', "30 path=elsewhere", true);
    CHECK_OK(unpack(100));
    assert_false(lmb_path_exists(at("to/whatever")));
}

static void names_cannot_leave_the_folder(void **state)
{
    (void)state;
    static const char *const names[] = {
        "../x", "a/../../x", "/tmp/x", "..", "a\\b", "a\nb"};
    for (size_t i = 0; i < LMB_COUNT(names); i++) {
        make(names[i], "", '0', "bad", true);
        CHECK_ERR(unpack(100), LMB_EFORMAT, "would leave");
    }
    make("x", "..", '0', "bad", true);
    CHECK_ERR(unpack(100), LMB_EFORMAT, "would leave");
    assert_false(lmb_path_exists(at("x")));
    make("link", "", '2', "", true);
    CHECK_ERR(unpack(100), LMB_EUNSUPPORTED, "type '2'");
}

static void damage_is_an_error(void **state)
{
    (void)state;
    make("x", "", '0', "hello", true);
    CHECK_ERR(unpack(4), LMB_EFORMAT, "more than is allowed");
    make("x", "", '0', "hello", false);
    CHECK_ERR(unpack(100), LMB_EFORMAT, "ends too early");
    CHECK_OK(lmb_file_write(at("a.tar.gz"), "not an archive", 14));
    CHECK_ERR(unpack(100), LMB_EFORMAT, "a.tar.gz");
    char junk[2 * BLOCK];
    memset(junk, 'x', sizeof junk);
    CHECK_OK(lmb_file_write(at("a.tar.gz"), junk, sizeof junk));
    CHECK_ERR(unpack(100), LMB_EFORMAT, "not a tar archive");
    CHECK_ERR(lmb_tar_unpack(at("none"), at("to"), 1), LMB_ENOTFOUND, "none");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_and_folders_appear),
        cmocka_unit_test(names_cannot_leave_the_folder),
        cmocka_unit_test(damage_is_an_error)};
    const int failed = cmocka_run_group_tests(tests, enter, leave);
    return failed + lmb_test_leaks();
}
