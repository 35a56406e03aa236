/* status.c: status texts and the thread-local message of the last failure. */
#include "base/base.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGE_SIZE = 2048, TRACE_SIZE = 1024 };

static _Thread_local char message[MESSAGE_SIZE];
static _Thread_local char trace[TRACE_SIZE];

const char *lmb_status_text(lmb_status status)
{
    switch (status) {
#define LMB_STATUS_CASE(name, number, text) \
    case LMB_##name: \
        return text;
        LMB_STATUS_LIST(LMB_STATUS_CASE)
#undef LMB_STATUS_CASE
    }
    return "unknown status";
}

const char *lmb_last_error(void)
{
    return message;
}

const char *lmb_last_trace(void)
{
    return trace;
}

void lmb__trace(const char *file, int line)
{
    const size_t used = strlen(trace);
    (void)snprintf(trace + used, sizeof trace - used, "%s%s:%d",
        used > 0 ? "\n" : "", file, line);
}

/* A message is one line whatever it quotes from a hostile file. */
static void make_one_line(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = ' ';
}

void lmb__restore(const char *kept)
{
    if (strcmp(kept, message) != 0)
        (void)snprintf(message, sizeof message, "%s", kept);
}

lmb_status lmb__fail(
    lmb_status st, const char *file, int line, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    make_one_line(message);
    trace[0] = '\0';
    lmb__trace(file, line);
    return st;
}

lmb_status lmb__wrap(lmb_status st, const char *fmt, ...)
{
    char inner[MESSAGE_SIZE];
    memcpy(inner, message, sizeof inner);
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    const size_t used = strlen(message);
    (void)snprintf(message + used, sizeof message - used, ": %s", inner);
    make_one_line(message);
    return st;
}

_Noreturn void lmb__assert_failed(const char *cond, const char *file, int line)
{
    (void)fprintf(
        stderr, "limbeck: %s:%d: broken invariant: %s\n", file, line, cond);
    abort();
}
