/* equal_runs.h: two runs of the program that must have given the same bits:
 * weights, metrics and events but for their times. */
#ifndef LMB_TEST_EQUAL_RUNS_H
#define LMB_TEST_EQUAL_RUNS_H

#include "program.h"

#include "base/str.h"
#include "io/event.h"

/* metrics.jsonl without its times; free() it. */
static inline char *metrics_of(const char *run)
{
    static const char key[] = ", \"images_per_second\": ";
    char path[2 * PROGRAM_PATH];
    size_t size = 0;
    (void)snprintf(path, sizeof path, "%s/metrics.jsonl", run);
    char *text = read_all(path, &size);
    for (char *at = strstr(text, key); at != NULL; at = strstr(at, key)) {
        const size_t n = strcspn(at + sizeof key - 1, ",}");
        const char *rest = at + sizeof key - 1 + n;
        memmove(at, rest, strlen(rest) + 1);
    }
    return text;
}

static inline void add_scalar(
    void *user, int64_t step, double wall_time, const char *tag, double value)
{
    (void)wall_time;
    if (strstr(tag, "images_per_second") == NULL)
        lmb_str_printf(user, "%lld %s %a\n", (long long)step, tag, value);
}

/* The numbers of the event file without its times. */
static inline void events_of(const char *run, lmb_str *out)
{
    char path[2 * PROGRAM_PATH];
    (void)snprintf(path, sizeof path, "%s/" LMB_EVENT_FILE, run);
    CHECK_OK(lmb_event_scalars(path, add_scalar, out));
    CHECK_OK(lmb_str_status(out));
}

static inline void check_equal_runs(const char *a, const char *b)
{
    static const char *const files[] = {
        "student.safetensors", "best.safetensors", "classes.json"};
    for (size_t i = 0; i < LMB_COUNT(files); i++) {
        char x[2 * PROGRAM_PATH], y[2 * PROGRAM_PATH];
        (void)snprintf(x, sizeof x, "%s/%s", a, files[i]);
        (void)snprintf(y, sizeof y, "%s/%s", b, files[i]);
        check_same_file(x, y);
    }
    char *x = metrics_of(a), *y = metrics_of(b);
    assert_string_equal(x, y);
    free(x);
    free(y);
    lmb_str u = {0}, v = {0};
    events_of(a, &u);
    events_of(b, &v);
    assert_string_equal(u.text, v.text);
    lmb_str_fini(&u);
    lmb_str_fini(&v);
    assert_int_equal(count_files(b, ".tmp."), 0);
    assert_int_equal(count_files(b, ".lock"), 0);
}

#endif
