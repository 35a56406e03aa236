/* test_event.c: event files byte by byte, read back, and cut. */
#include "io_test.h"

#include "io/event.h"

#define TIME 1700000000.5

/* What TensorFlow writes; the first record's head is in every event file. */
static const char fixed[] =
    "\x18\x00\x00\x00\x00\x00\x00\x00\xa3\x7f\x4b\x22"
    "\x09\x00\x00\x20\x40\xfc\x54\xd9\x41"
    "\x1a\x0d\x62\x72\x61\x69\x6e\x2e\x45\x76\x65\x6e\x74\x3a\x32"
    "\x2b\x35\x31\x10"
    "\x1b\x00\x00\x00\x00\x00\x00\x00\x1a\x0d\x9e\x13"
    "\x09\x00\x00\x20\x40\xfc\x54\xd9\x41"
    "\x10\xac\x02\x2a\x0d\x0a\x0b\x0a\x04\x6c\x6f\x73\x73\x15\x00\x00\x00"
    "\x3f"
    "\x95\x03\x7a\xad";

static void records_have_fixed_bytes(void **state)
{
    (void)state;
    const char *path = scratch("fixed.tfevents");
    lmb_event *e = NULL;
    lmb_file file = {0};
    CHECK_OK(lmb_event_open(path, TIME, &e));
    CHECK_OK(lmb_event_scalar(e, 300, TIME, "loss", 0.5));
    CHECK_OK(lmb_event_close(e));
    CHECK_OK(lmb_file_open(path, &file));
    assert_int_equal(file.size, sizeof fixed - 1);
    assert_memory_equal(file.bytes, fixed, sizeof fixed - 1);
    lmb_file_close(&file);
    assert_int_equal(unlink(path), 0);
}

typedef struct rows {
    int count;
    int64_t step[64];
    double value[64];
    char tag[64][16];
} rows;

static void keep_row(
    void *user, int64_t step, double wall_time, const char *tag, double value)
{
    rows *r = user;
    assert_true(wall_time == TIME + (double)step);
    r->step[r->count] = step;
    r->value[r->count] = value;
    (void)snprintf(r->tag[r->count++], 16, "%s", tag);
}

static void write_steps(const char *path, int from, int to)
{
    lmb_event *e = NULL;
    CHECK_OK(lmb_event_open(path, TIME, &e));
    for (int step = from; step < to; step++) {
        CHECK_OK(lmb_event_scalar(e, step, TIME + step, "loss", 1.0 / step));
        CHECK_OK(lmb_event_png(
            e, step, TIME + step, "boxes", 8, 4, "\x89PNG...", 8));
        CHECK_OK(lmb_event_scalar(e, step, TIME + step, "top1", step));
    }
    CHECK_OK(lmb_event_close(e));
}

static void check_steps(const char *path, int from, int to)
{
    rows r = {0};
    CHECK_OK(lmb_event_scalars(path, keep_row, &r));
    assert_int_equal(r.count, 2 * (to - from));
    for (int i = 0; i < r.count; i++) {
        assert_int_equal(r.step[i], from + i / 2);
        assert_string_equal(r.tag[i], i % 2 == 0 ? "loss" : "top1");
        assert_true(r.value[i] ==
            (i % 2 == 0 ? (double)(1.0f / (float)r.step[i])
                        : (double)r.step[i]));
    }
}

static void records_read_back_and_go_on(void **state)
{
    (void)state;
    const char *path = scratch("back.tfevents");
    write_steps(path, 1, 10);
    check_steps(path, 1, 10);
    write_steps(path, 10, 20);
    check_steps(path, 1, 20);
    assert_int_equal(unlink(path), 0);
}

static void truncation_keeps_steps_up_to_n(void **state)
{
    (void)state;
    const char *path = scratch("cut.tfevents");
    CHECK_OK(lmb_event_truncate(path, 3));
    assert_false(lmb_path_exists(path));
    write_steps(path, 1, 20);
    CHECK_OK(lmb_event_truncate(path, 25));
    check_steps(path, 1, 20);
    CHECK_OK(lmb_event_truncate(path, 7));
    check_steps(path, 1, 8);
    write_steps(path, 8, 11);
    check_steps(path, 1, 11);
    CHECK_OK(lmb_event_truncate(path, 0));
    check_steps(path, 1, 1);
    assert_int_equal(unlink(path), 0);
}

/* A kill in the middle of a record: it is gone, the others are not. */
static void torn_records_are_dropped(void **state)
{
    (void)state;
    const char *path = scratch("torn.tfevents");
    write_steps(path, 1, 5);
    lmb_file file = {0};
    CHECK_OK(lmb_file_open(path, &file));
    uint8_t *copy = lmb_alloc(file.size, 1);
    const size_t size = file.size;
    assert_non_null(copy);
    memcpy(copy, file.bytes, size);
    lmb_file_close(&file);
    for (size_t cut = 1; cut < 40; cut++) {
        CHECK_OK(lmb_file_write(path, copy, size - cut));
        write_steps(path, 5, 6);
        rows r = {0};
        CHECK_OK(lmb_event_scalars(path, keep_row, &r));
        assert_int_equal(r.count, 9);
        assert_int_equal(r.step[8], 5);
    }
    copy[size - 1] ^= 1;
    CHECK_OK(lmb_file_write(path, copy, size));
    CHECK_OK(lmb_event_truncate(path, 10));
    CHECK_OK(lmb_file_open(path, &file));
    assert_true(file.size < size - 30);
    lmb_file_close(&file);
    lmb_free(copy);
    assert_int_equal(unlink(path), 0);
}

static void other_files_are_left_alone(void **state)
{
    (void)state;
    const char *path = scratch("other.txt");
    lmb_event *e = NULL;
    CHECK_OK(lmb_file_write(path, "my thesis, only copy", 20));
    CHECK_ERR(lmb_event_open(path, TIME, &e), LMB_EFORMAT, "not an event");
    CHECK_ERR(lmb_event_truncate(path, 0), LMB_EFORMAT, "not an event");
    CHECK_ERR(lmb_event_open("/nowhere/e", TIME, &e), LMB_EIO, "/nowhere/e");
    CHECK_OK(lmb_event_close(NULL));
    assert_int_equal(unlink(path), 0);
    CHECK_OK(lmb_event_open(path, TIME, &e));
    CHECK_ERR(lmb_event_scalar(e, -1, TIME, "a", 1), LMB_EINVAL, "-1");
    CHECK_OK(lmb_event_close(e));
    assert_int_equal(unlink(path), 0);
}

static lmb_status write_one(const char *path)
{
    lmb_event *e = NULL;
    LMB_TRY(lmb_event_open(path, TIME, &e));
    lmb_status st = lmb_event_scalar(e, 1, TIME + 1, "a", 1);
    if (st == LMB_OK)
        st = lmb_event_png(e, 1, TIME + 1, "b", 1, 1, "png", 3);
    const lmb_status closed = lmb_event_close(e);
    return st != LMB_OK ? st : closed;
}

static void out_of_memory_leaves_nothing(void **state)
{
    (void)state;
    const char *path = scratch("oom.tfevents");
    CHECK_OOM_SWEEP(write_one(path), (void)0);
    CHECK_OOM_SWEEP(lmb_event_truncate(path, 0), (void)0);
    rows r = {0};
    CHECK_OK(lmb_event_scalars(path, keep_row, &r));
    assert_int_equal(r.count, 0);
    assert_int_equal(unlink(path), 0);
}

LMB_TEST_MAIN(cmocka_unit_test(records_have_fixed_bytes),
    cmocka_unit_test(records_read_back_and_go_on),
    cmocka_unit_test(truncation_keeps_steps_up_to_n),
    cmocka_unit_test(torn_records_are_dropped),
    cmocka_unit_test(other_files_are_left_alone),
    cmocka_unit_test(out_of_memory_leaves_nothing))
