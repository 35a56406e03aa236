/* io_test.h: paths and sweeps that the tests of io share. */
#ifndef IO_TEST_H
#define IO_TEST_H

#include "lmb_test.h"

#include "base/file.h"
#include "tensor/shape.h"

#include <unistd.h>

/* A fixture made by tools/golden/io_fixtures.py. */
static inline const char *golden(const char *name)
{
    static char path[8][512];
    static unsigned next;
    char *p = path[next++ % 8];
    (void)snprintf(p, sizeof path[0], "%s/io/golden/%s", LMB_TEST_DIR, name);
    return p;
}

/* A file name of this process in the temporary folder. */
static inline const char *scratch(const char *name)
{
    static char path[8][512];
    static unsigned next;
    char *p = path[next++ % 8];
    const char *dir = getenv("TMPDIR");
    (void)snprintf(p, sizeof path[0], "%s/lmb_io_%ld_%s",
        dir != NULL ? dir : "/tmp", (long)getpid(), name);
    return p;
}

/* Makes allocation n = 0, 1, ... of `call` fail until it succeeds; each
 * failure must be ENOMEM and leave nothing behind; then runs `cleanup`. */
#define CHECK_OOM_SWEEP(call, cleanup) \
    do { \
        const int64_t sweep_live_ = lmb_alloc_live(); \
        for (int64_t sweep_n_ = 0;; sweep_n_++) { \
            lmb_alloc_fail_at(sweep_n_); \
            const lmb_status sweep_st_ = (call); \
            const bool sweep_hit_ = lmb_alloc_failed(); \
            lmb_alloc_fail_at(-1); \
            if (sweep_st_ == LMB_OK) { \
                assert_false(sweep_hit_); \
                cleanup; \
                break; \
            } \
            if (sweep_st_ != LMB_ENOMEM || !sweep_hit_) \
                fail_msg("allocation %lld: %s", (long long)sweep_n_, \
                    lmb_last_error()); \
            assert_int_equal(lmb_alloc_live(), sweep_live_); \
        } \
    } while (0)

#endif
