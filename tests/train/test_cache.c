/* The knowledge cache's files: rows that come back, parts that add up, damage
 * that is named, one writer at a time. */
#include "program.h"

#include "base/file.h"
#include "io/weights.h"
#include "train/cache.h"

enum { SAMPLES = 9, CLASSES = 5 };

static const int64_t all_rows[SAMPLES] = {0, 1, 2, 3, 4, 5, 6, 7, 8};

static lmb_cache_key make_key(const char *seed)
{
    lmb_cache_key key = {0};
    lmb_cache_key_add(&key, "teacher", "%s", "resnet\"8\"");
    lmb_cache_key_add(&key, "seed", "%s", seed);
    return key;
}

static lmb_cache *open_rows(const char *dir, int64_t n, const int64_t *rows)
{
    const lmb_cache_key key = make_key("7");
    lmb_cache *c = NULL;
    CHECK_OK(lmb_cache_open(dir, &key, SAMPLES, CLASSES, n, rows, &c));
    return c;
}

static lmb_cache *open_all(const char *dir)
{
    return open_rows(dir, SAMPLES, all_rows);
}

/* The logits of a row: they differ in every epoch. */
static void set_row(int64_t epoch, int64_t row, float *out)
{
    for (int c = 0; c < CLASSES; c++)
        out[c] = (float)(100 * epoch + 10 * row + c) / 8;
}

static lmb_cache_mode enter(lmb_cache *c, int64_t epoch)
{
    lmb_cache_mode mode = LMB_CACHE_PASS;
    CHECK_OK(lmb_cache_enter(c, epoch, true, &mode));
    return mode;
}

/* In one batch, last sample first. */
static void write_rows(
    lmb_cache *c, int64_t epoch, int64_t n, const int64_t *rows)
{
    float batch[SAMPLES * CLASSES];
    int64_t order[SAMPLES];
    for (int64_t i = 0; i < n; i++) {
        order[i] = rows[n - 1 - i];
        set_row(epoch, order[i], batch + i * CLASSES);
    }
    CHECK_OK(lmb_cache_write(c, n, order, batch));
}

static void keep(lmb_cache *c, int64_t epoch, int64_t n, const int64_t *rows)
{
    assert_int_equal(enter(c, epoch), LMB_CACHE_WRITE);
    write_rows(c, epoch, n, rows);
    CHECK_OK(lmb_cache_commit(c));
}

static void check_rows(
    const lmb_cache *c, int64_t epoch, int64_t n, const int64_t *rows)
{
    float found[SAMPLES * CLASSES], row[CLASSES];
    bool equal = false;
    CHECK_OK(lmb_cache_read(c, n, rows, found, &equal));
    assert_true(equal);
    for (int64_t i = 0; i < n; i++) {
        set_row(epoch, rows[i], row);
        assert_memory_equal(found + i * CLASSES, row, sizeof row);
    }
}

/* --- keeping and reading -------------------------------------------------- */

static void epochs_come_back(void **state)
{
    (void)state;
    const int64_t some[SAMPLES] = {8, 0, 3, 3, 1, 2, 7, 7, 0};
    const char *dir = in_folder("plain");
    lmb_cache *c = open_all(dir);
    keep(c, 1, SAMPLES, all_rows);
    keep(c, 240, SAMPLES, all_rows);
    lmb_cache_free(c);
    assert_int_equal(count_files(dir, ".tmp."), 0);
    assert_int_equal(count_files(dir, ".lock"), 0);
    c = open_all(dir);
    assert_int_equal(enter(c, 240), LMB_CACHE_READ);
    check_rows(c, 240, SAMPLES, some);
    assert_int_equal(enter(c, 1), LMB_CACHE_READ);
    check_rows(c, 1, SAMPLES, all_rows);
    lmb_cache_free(c);
}

/* Any reader of safetensors can use the logits. */
static void the_files_are_safetensors(void **state)
{
    (void)state;
    float row[CLASSES];
    lmb_weights *w = NULL;
    const char *dir = in_folder("tensors");
    lmb_cache *c = open_all(dir);
    keep(c, 2, SAMPLES, all_rows);
    lmb_cache_free(c);
    CHECK_OK(lmb_weights_load(in_folder("tensors/epoch-0002.safetensors"), &w));
    const lmb_tensor *t = lmb_weights_find(w, "logits");
    assert_non_null(t);
    assert_int_equal(t->dtype, LMB_F32);
    assert_int_equal(t->shape.dim[0], SAMPLES);
    assert_int_equal(t->shape.dim[1], CLASSES);
    set_row(2, 4, row);
    assert_memory_equal((float *)t->data + 4 * CLASSES, row, sizeof row);
    lmb_weights_free(w);
}

static void an_epoch_in_part_is_not_kept(void **state)
{
    (void)state;
    lmb_cache_mode mode = LMB_CACHE_WRITE;
    const char *dir = in_folder("part");
    lmb_cache *c = open_all(dir);
    assert_int_equal(enter(c, 1), LMB_CACHE_WRITE);
    write_rows(c, 1, SAMPLES - 1, all_rows);
    CHECK_OK(lmb_cache_commit(c));
    CHECK_OK(lmb_cache_enter(c, 1, false, &mode));
    assert_int_equal(mode, LMB_CACHE_PASS);
    assert_int_equal(enter(c, 1), LMB_CACHE_WRITE);
    lmb_cache_free(c); /* as when a run is stopped */
    assert_int_equal(count_files(dir, "epoch"), 0);
    assert_int_equal(count_files(dir, ".lock"), 0);
}

/* Runs on parts of a data set add their rows to one file. */
static void parts_add_up(void **state)
{
    (void)state;
    const int64_t odd[] = {1, 3, 5, 7}, even[] = {8, 6, 4, 2, 0};
    const char *dir = in_folder("parts");
    lmb_cache *a = open_rows(dir, LMB_COUNT(odd), odd);
    keep(a, 1, LMB_COUNT(odd), odd);
    lmb_cache *b = open_rows(dir, LMB_COUNT(even), even);
    keep(b, 1, LMB_COUNT(even), even);
    assert_int_equal(enter(a, 1), LMB_CACHE_READ);
    check_rows(a, 1, LMB_COUNT(odd), odd);
    lmb_cache *all = open_all(dir);
    assert_int_equal(enter(all, 1), LMB_CACHE_READ);
    check_rows(all, 1, LMB_COUNT(odd), odd);
    check_rows(all, 1, LMB_COUNT(even), even);
    lmb_cache_free(all);
    lmb_cache_free(a);
    lmb_cache_free(b);
}

/* A batch of another size may have been summed in another order. */
static void rows_of_another_batch_size_are_told_apart(void **state)
{
    (void)state;
    const int64_t five[] = {0, 1, 2, 3, 4}, four[] = {5, 6, 7, 8};
    const int64_t mixed[] = {0, 5, 1, 2}, none[] = {0, 1, 2};
    float found[SAMPLES * CLASSES];
    bool equal = true;
    lmb_cache *c = open_all(in_folder("sizes"));
    assert_int_equal(enter(c, 1), LMB_CACHE_WRITE);
    write_rows(c, 1, LMB_COUNT(five), five);
    write_rows(c, 1, LMB_COUNT(four), four);
    CHECK_OK(lmb_cache_commit(c));
    assert_int_equal(enter(c, 1), LMB_CACHE_READ);
    check_rows(c, 1, LMB_COUNT(five), five);
    check_rows(c, 1, LMB_COUNT(four), four);
    CHECK_OK(lmb_cache_read(c, LMB_COUNT(mixed), mixed, found, &equal));
    assert_false(equal);
    CHECK_OK(lmb_cache_read(c, LMB_COUNT(none), none, found, &equal));
    assert_false(equal);
    lmb_cache_free(c);
}

/* --- other processes ------------------------------------------------------ */

static int hold_lock(const char *path, int tell, int wait)
{
    int fd = -1;
    char byte = 0;
    if (lmb_lock_take(path, &fd) != LMB_OK || write(tell, "x", 1) != 1)
        return 1;
    return read(wait, &byte, 1) < 0;
}

static void one_process_writes(void **state)
{
    (void)state;
    int tell[2], wait[2], status = 0;
    char byte = 0;
    const char *dir = in_folder("shared"), *lock = in_folder("shared/.lock");
    lmb_cache *c = open_all(dir);
    keep(c, 1, SAMPLES, all_rows);
    CHECK_OK(lmb_file_write(in_folder("shared/e.tmp.1"), "", 0));
    assert_true(pipe(tell) == 0 && pipe(wait) == 0);
    const pid_t pid = fork();
    if (pid == 0)
        _exit(hold_lock(lock, tell[1], wait[0]));
    assert_int_equal(read(tell[0], &byte, 1), 1);
    assert_int_equal(enter(c, 2), LMB_CACHE_PASS);
    assert_true(exists(in_folder("shared/e.tmp.1")));
    assert_int_equal(enter(c, 1), LMB_CACHE_READ);
    check_rows(c, 1, SAMPLES, all_rows);
    assert_int_equal(write(wait[1], "x", 1), 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    keep(c, 2, SAMPLES, all_rows); /* the lock went with its holder */
    assert_false(exists(in_folder("shared/e.tmp.1")));
    lmb_cache_free(c);
    for (int i = 0; i < 2; i++) {
        (void)close(tell[i]);
        (void)close(wait[i]);
    }
}

static void a_full_disk_shows_at_the_beginning(void **state)
{
    (void)state;
    enum { MANY = 1000 };
    struct rlimit old;
    lmb_cache_mode mode = LMB_CACHE_READ;
    lmb_cache *c = NULL;
    const lmb_cache_key key = make_key("7");
    const char *dir = in_folder("full");
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    const struct rlimit small = {4096, old.rlim_max};
    CHECK_OK(lmb_cache_open(dir, &key, MANY, 100, SAMPLES, all_rows, &c));
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    CHECK_ERR(lmb_cache_enter(c, 3, true, &mode), LMB_EIO,
        "full/epoch-0003.safetensors: not written: File too large");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    lmb_cache_free(c);
    assert_int_equal(count_files(dir, ".tmp."), 0);
    assert_int_equal(count_files(dir, ".lock"), 0);
}

/* --- identity ------------------------------------------------------------- */

static void another_identity_is_named(void **state)
{
    (void)state;
    lmb_cache *c = open_all(in_folder("seven"));
    lmb_cache_free(c);
    lmb_cache_key key = make_key("8");
    CHECK_ERR(lmb_cache_open(
                  in_folder("seven"), &key, SAMPLES, CLASSES, 1, all_rows, &c),
        LMB_EFORMAT,
        "seven/cache.json: the cache was made with seed '7', this run has "
        "'8'");
    key = make_key("7");
    lmb_cache_key_add(&key, "more", "%d", 1);
    CHECK_ERR(lmb_cache_open(
                  in_folder("seven"), &key, SAMPLES, CLASSES, 1, all_rows, &c),
        LMB_EFORMAT, "more is missing");
    key = make_key("7");
    key.count = 1;
    CHECK_ERR(lmb_cache_open(
                  in_folder("seven"), &key, SAMPLES, CLASSES, 1, all_rows, &c),
        LMB_EFORMAT, "2 keys, not 1");
}

static void a_damaged_manifest_is_named(void **state)
{
    (void)state;
    lmb_str text = {0};
    const lmb_cache_key key = make_key("7");
    lmb_cache_key_text(&key, &text);
    CHECK_OK(lmb_str_status(&text));
    CHECK_OK(lmb_cache_key_check(&key, text.text, text.length, "m"));
    for (size_t n = 0; n + 2 < text.length; n++)
        CHECK_ERR(lmb_cache_key_check(&key, text.text, n, "m"), LMB_EFORMAT,
            "m: no JSON object");
    CHECK_ERR(lmb_cache_key_check(&key, "[]", 2, "m"), LMB_EFORMAT, "no JSON");
    CHECK_ERR(lmb_cache_key_check(&key, "{\"teacher\": 3}", 14, "m"),
        LMB_EFORMAT, "teacher is missing or no text");
    CHECK_ERR(lmb_cache_key_check(&key, text.text, 1 << 20, "m"), LMB_EFORMAT,
        "no manifest");
    lmb_str_fini(&text);
}

/* --- damage --------------------------------------------------------------- */

/* Reads all of epoch 1 of "ROOT/bad" after `size` bytes became its file. */
static lmb_status read_damaged(const char *bytes, size_t size)
{
    float found[SAMPLES * CLASSES];
    bool complete = false;
    write_all(in_folder("bad/epoch-0001.safetensors"), bytes, size);
    lmb_cache *c = open_all(in_folder("bad"));
    lmb_status st = lmb_cache_find(c, 1, &complete);
    bool equal = false;
    if (st == LMB_OK && complete)
        st = lmb_cache_read(c, SAMPLES, all_rows, found, &equal);
    else if (st == LMB_OK)
        st = LMB_ENOTFOUND;
    lmb_cache_free(c);
    return st;
}

static void damage_is_named(void **state)
{
    (void)state;
    size_t size = 0;
    lmb_cache *c = open_all(in_folder("bad"));
    keep(c, 1, SAMPLES, all_rows);
    keep(c, 2, SAMPLES, all_rows);
    lmb_cache_free(c);
    char *good = read_all(in_folder("bad/epoch-0001.safetensors"), &size);
    CHECK_OK(read_damaged(good, size));
    for (size_t n = 0; n < size; n += 7)
        CHECK_ERR(read_damaged(good, n), LMB_EFORMAT,
            "bad/epoch-0001.safetensors: damaged: ");
    for (size_t i = 0; i < size; i++) {
        good[i] ^= 4;
        CHECK_ERR(read_damaged(good, size), LMB_EFORMAT,
            "bad/epoch-0001.safetensors: damaged");
        good[i] ^= 4;
    }
    free(good);
    char *other = read_all(in_folder("bad/epoch-0002.safetensors"), &size);
    CHECK_ERR(read_damaged(other, size), LMB_EFORMAT,
        "its header is not that of epoch 1 of ");
    free(other);
}

static void lack_of_memory_is_reported(void **state)
{
    (void)state;
    lmb_cache *c = open_all(in_folder("memory"));
    lmb_cache_free(c);
    const lmb_cache_key key = make_key("7");
    const int64_t live = lmb_alloc_live();
    for (int64_t n = 0;; n++) {
        lmb_cache_mode mode = LMB_CACHE_PASS;
        c = NULL;
        lmb_alloc_fail_at(n);
        lmb_status st = lmb_cache_open(
            in_folder("memory"), &key, SAMPLES, CLASSES, SAMPLES, all_rows, &c);
        if (st == LMB_OK)
            st = lmb_cache_enter(c, 1, true, &mode);
        lmb_cache_free(c);
        const bool injected = lmb_alloc_failed();
        lmb_alloc_fail_at(-1);
        assert_int_equal(lmb_alloc_live(), live);
        if (!injected)
            break;
        assert_int_equal(st, LMB_ENOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(epochs_come_back),
        cmocka_unit_test(the_files_are_safetensors),
        cmocka_unit_test(an_epoch_in_part_is_not_kept),
        cmocka_unit_test(parts_add_up),
        cmocka_unit_test(rows_of_another_batch_size_are_told_apart),
        cmocka_unit_test(one_process_writes),
        cmocka_unit_test(a_full_disk_shows_at_the_beginning),
        cmocka_unit_test(another_identity_is_named),
        cmocka_unit_test(a_damaged_manifest_is_named),
        cmocka_unit_test(damage_is_named),
        cmocka_unit_test(lack_of_memory_is_reported),
    };
    const int failed =
        cmocka_run_group_tests(tests, program_folder, program_folder_remove);
    return failed + lmb_test_leaks();
}
