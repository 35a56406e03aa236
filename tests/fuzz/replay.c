/* replay.c: a fuzz target's corpus as an ordinary test.
 *
 * Linked with each tests/fuzz/fuzz_<name>.c. Feeds it every file of
 * tests/fuzz/corpus/<name>/ as it is, then cut short at every length and with
 * one bit flipped in each byte (at evenly spaced places in larger files). The
 * target must come back each time, and leave no block behind. */
#include <dirent.h>

#include "lmb_test.h"

#define PLACES 600 /* lengths and bytes tried per file */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Hands over a copy of exactly `size` bytes, so that a read past the end is
 * seen by the address sanitizer. */
static void feed(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    if (size > 0)
        memcpy(copy, data, size);
    (void)LLVMFuzzerTestOneInput(copy, size);
    free(copy);
    if (lmb_alloc_live() != 0)
        fail_msg("%lld blocks still alive", (long long)lmb_alloc_live());
}

static void feed_damaged(uint8_t *data, size_t size)
{
    const size_t step = size / PLACES + 1;
    for (size_t at = 0; at < size; at += step)
        feed(data, at);
    for (size_t at = 0; at < size; at += step) {
        const uint8_t bit = (uint8_t)(1u << (at / step % 8));
        data[at] ^= bit;
        feed(data, size);
        data[at] ^= bit;
    }
}

static void replay_file(const char *path)
{
    static uint8_t data[1 << 20];
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        fail_msg("%s: cannot be opened", path);
    const size_t size = fread(data, 1, sizeof data, file);
    (void)fclose(file);
    feed(data, size);
    feed_damaged(data, size);
}

static void the_corpus_does_no_harm(void **state)
{
    (void)state;
    const char *folder = LMB_TEST_DIR "/fuzz/corpus/" LMB_FUZZ_NAME;
    char path[4096];
    int files = 0;
    feed(NULL, 0);
    DIR *dir = opendir(folder);
    if (dir == NULL)
        fail_msg("%s: no corpus", folder);
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        if (e->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        replay_file(path);
        files++;
    }
    (void)closedir(dir);
    assert_true(files > 0);
}

LMB_TEST_MAIN(cmocka_unit_test(the_corpus_does_no_harm))
