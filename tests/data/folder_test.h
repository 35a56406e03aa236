/* folder_test.h: a folder of its own for a test that writes data sets. */
#ifndef LMB_TESTS_FOLDER_TEST_H
#define LMB_TESTS_FOLDER_TEST_H

#include "lmb_test.h"

#include "base/file.h"
#include "data/data.h"

#include <unistd.h>

static char folder[64];

static inline const char *in_folder(const char *name)
{
    static char path[4][256];
    static int turn;
    turn = (turn + 1) % 4;
    (void)snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

static inline void make_parent(const char *path)
{
    char dir[256];
    (void)snprintf(dir, sizeof dir, "%s", path);
    *strrchr(dir, '/') = '\0';
    CHECK_OK(lmb_make_dirs(dir));
}

static inline void put_text(const char *name, const char *text)
{
    make_parent(in_folder(name));
    CHECK_OK(lmb_file_write(in_folder(name), text, strlen(text)));
}

/* A black PNG. */
static inline void put_picture(const char *name, int32_t height, int32_t width)
{
    uint8_t *rgb = lmb_alloc((size_t)height * (size_t)width, 3);
    assert_non_null(rgb);
    const lmb_image image = {height, width, rgb};
    make_parent(in_folder(name));
    CHECK_OK(lmb_image_save_png(in_folder(name), &image));
    lmb_free(rgb);
}

/* Opens "KIND:FOLDER/SUB". */
static inline lmb_status open_sub(const char *kind, const char *sub,
    const char *split, const lmb_dataset_opts *opts, lmb_dataset **out)
{
    char spec[256];
    (void)snprintf(spec, sizeof spec, "%s:%s/%s", kind, folder, sub);
    return lmb_dataset_open(spec, split, opts, out);
}

/* Boxes of picture i as "label:x0,y0,x1,y1 " with '!' after crowds. */
static inline const char *boxes_of(const lmb_dataset *ds, int64_t i)
{
    static char text[512];
    lmb_ground_truth t;
    text[0] = '\0';
    CHECK_OK(lmb_dataset_truth(ds, i, &t));
    for (int64_t k = 0; k < t.count; k++) {
        const float *b = t.boxes + 4 * k;
        const size_t used = strlen(text);
        (void)snprintf(text + used, sizeof text - used, "%d%s:%g,%g,%g,%g ",
            (int)t.labels[k], t.crowd[k] != 0 ? "!" : "", (double)b[0],
            (double)b[1], (double)b[2], (double)b[3]);
    }
    return text;
}

/* Opening fails cleanly wherever memory runs out. */
static inline void sweep_memory(
    const char *kind, const char *sub, const char *split)
{
    for (int64_t n = 0;; n++) {
        lmb_dataset *ds = NULL;
        lmb_alloc_fail_at(n);
        const lmb_status st = open_sub(kind, sub, split, NULL, &ds);
        const bool injected = lmb_alloc_failed();
        lmb_alloc_fail_at(-1);
        lmb_dataset_free(ds);
        assert_int_equal(st, injected ? LMB_ENOMEM : LMB_OK);
        assert_int_equal(lmb_alloc_live(), 0);
        if (!injected)
            break;
    }
}

/* All pictures decode and have the size that the files say. */
static inline void decode_all(const lmb_dataset *ds)
{
    lmb_scratch scratch = {0};
    for (int64_t i = 0; i < lmb_dataset_count(ds); i++) {
        lmb_image image;
        CHECK_OK(lmb_dataset_image(ds, i, &scratch, &image));
    }
    lmb_scratch_fini(&scratch);
}

static inline int64_t count_boxes(const lmb_dataset *ds)
{
    int64_t n = 0;
    for (int64_t i = 0; i < lmb_dataset_count(ds); i++) {
        lmb_ground_truth t;
        CHECK_OK(lmb_dataset_truth(ds, i, &t));
        n += t.count;
    }
    return n;
}

static inline int run_in_folder(int (*run)(void))
{
    char command[128];
    (void)snprintf(folder, sizeof folder, "/tmp/lmb_test_XXXXXX");
    if (mkdtemp(folder) == NULL)
        return 1;
    const int failed = run();
    (void)snprintf(command, sizeof command, "rm -r '%s'", folder);
    return (system(command) != 0) + failed + lmb_test_leaks();
}

/* LMB_TEST_MAIN with the folder around it. */
#define FOLDER_TEST_MAIN(...) \
    static int all_tests(void) \
    { \
        const struct CMUnitTest tests[] = {__VA_ARGS__}; \
        return cmocka_run_group_tests(tests, NULL, NULL); \
    } \
    int main(void) \
    { \
        return run_in_folder(all_tests); \
    }

#endif
