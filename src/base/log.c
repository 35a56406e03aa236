/* log.c: hands lines to the program's sink. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

static lmb_log_sink *current_sink;
static void *current_user;

void lmb_log_set(lmb_log_sink *sink, void *user)
{
    current_sink = sink;
    current_user = user;
}

void lmb_log_line(lmb_log_level level, const char *fmt, ...)
{
    if (current_sink == NULL)
        return;
    char text[4096];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    current_sink(level, text, current_user);
}
