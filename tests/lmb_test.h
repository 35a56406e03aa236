/* lmb_test.h: the house's checks over cmocka.
 *
 * A test file ends with
 *   LMB_TEST_MAIN(cmocka_unit_test(name_of_behaviour), ...)
 * which also checks that no block of the library's heap is left. */
#ifndef LMB_TEST_H
#define LMB_TEST_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"

#define CHECK_OK(expr) \
    do { \
        const lmb_status check_st_ = (expr); \
        if (check_st_ != LMB_OK) \
            fail_msg( \
                "%s: %s (%s)", #expr, lmb_last_error(), lmb_last_trace()); \
    } while (0)

/* The call must fail with `code` and a message that holds `part`. */
#define CHECK_ERR(expr, code, part) \
    do { \
        const lmb_status check_st_ = (expr); \
        if (check_st_ != (code)) \
            fail_msg("%s: status %d, not %s: %s", #expr, (int)check_st_, \
                #code, lmb_last_error()); \
        if (strstr(lmb_last_error(), (part)) == NULL) \
            fail_msg("%s: message lacks '%s': %s", #expr, (part), \
                lmb_last_error()); \
    } while (0)

#define CHECK_NEAR(a, b, tolerance) \
    do { \
        const double check_a_ = (double)(a); \
        const double check_b_ = (double)(b); \
        if (!(fabs(check_a_ - check_b_) <= (double)(tolerance))) \
            fail_msg("%s = %.17g, %s = %.17g, apart by more than %g", #a, \
                check_a_, #b, check_b_, (double)(tolerance)); \
    } while (0)

/* Prints the worst element of two arrays of doubles. */
#define CHECK_ARRAYS(a, b, n, tolerance) \
    lmb_test_arrays((a), (b), (n), (tolerance), #a, __FILE__, __LINE__)
static inline void lmb_test_arrays(const double *a, const double *b, int64_t n,
    double tolerance, const char *what, const char *file, int line)
{
    double worst = -1;
    int64_t at = 0;
    for (int64_t i = 0; i < n; i++) {
        const double d = fabs(a[i] - b[i]);
        if (!(d <= worst)) {
            worst = d;
            at = i;
            if (d != d)
                break;
        }
    }
    if (n > 0 && !(worst <= tolerance))
        fail_msg("%s:%d: %s[%lld]: %.17g is not %.17g (limit %g)", file, line,
            what, (long long)at, a[at], b[at], tolerance);
}

static inline int lmb_test_leaks(void)
{
    if (lmb_alloc_live() == 0)
        return 0;
    (void)fprintf(
        stderr, "%lld blocks still alive\n", (long long)lmb_alloc_live());
    return 1;
}

/* cmocka does not count a failed group teardown, so main looks for leaks. */
#define LMB_TEST_MAIN(...) \
    int main(void) \
    { \
        const struct CMUnitTest tests[] = {__VA_ARGS__}; \
        const int failed = cmocka_run_group_tests(tests, NULL, NULL); \
        return failed + lmb_test_leaks(); \
    }

/* The folder of real data, or NULL: then skip() and say so. */
static inline const char *lmb_test_data(void)
{
    return getenv("LIMBECK_DATA");
}
#define SKIP_WITHOUT_DATA(dir) \
    do { \
        if ((dir) == NULL) { \
            (void)printf("skipped: LIMBECK_DATA is not set\n"); \
            skip(); \
        } \
    } while (0)

#endif
