/* signals.c: SIGINT and SIGTERM end a run after its step; a second one ends
 * the program at once. */
#include "cli/cli.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t caught;

static void on_signal(int number)
{
    if (caught != 0)
        _exit(128 + number);
    caught = number;
}

lmb_status cli_catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    (void)sigemptyset(&action.sa_mask);
    if (sigaction(SIGINT, &action, NULL) != 0 ||
        sigaction(SIGTERM, &action, NULL) != 0)
        return LMB_FAIL(LMB_EIO, "sigaction: %s", strerror(errno));
    return LMB_OK;
}

void cli_report_full_files(void)
{
#ifdef SIGXFSZ
    (void)signal(SIGXFSZ, SIG_IGN);
#endif
}

const volatile sig_atomic_t *cli_signal(void)
{
    return &caught;
}
