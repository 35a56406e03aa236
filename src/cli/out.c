/* out.c: what goes to standard output and to standard error. */
#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

lmb_status cli_put(const char *text)
{
    if (fputs(text, stdout) == EOF || fflush(stdout) == EOF)
        return LMB_FAIL(LMB_EIO, "standard output: %s", strerror(errno));
    return LMB_OK;
}

lmb_status cli_put_str(lmb_str *text)
{
    lmb_status st = lmb_str_status(text);
    if (st == LMB_OK && text->text != NULL)
        st = cli_put(text->text);
    lmb_str_fini(text);
    return st;
}

lmb_status cli_end_list(lmb_status st)
{
    const lmb_status end = cli_put("\n]\n");
    return st != LMB_OK ? st : end;
}

void cli_note(const cli *c, const char *fmt, ...)
{
    if (c->quiet)
        return;
    va_list args;
    va_start(args, fmt);
    (void)vfprintf(stderr, fmt, args);
    va_end(args);
    (void)fputc('\n', stderr);
}

bool cli_terminal(void)
{
    return isatty(STDERR_FILENO) != 0;
}

int cli_terminal_width(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 20)
        return 80;
    return size.ws_col;
}
