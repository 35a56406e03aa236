/* log.h: what the program tells a person, on standard error.
 *
 * The library never prints by itself: it calls the sink that the program has
 * set (none by default). */
#ifndef LMB_BASE_LOG_H
#define LMB_BASE_LOG_H

#include "base/base.h"

typedef enum lmb_log_level {
    LMB_LOG_DEBUG,
    LMB_LOG_INFO,
    LMB_LOG_WARNING,
} lmb_log_level;

typedef void lmb_log_sink(lmb_log_level level, const char *text, void *user);

void lmb_log_set(lmb_log_sink *sink, void *user);
/* One line without the newline. */
void lmb_log_line(lmb_log_level level, const char *fmt, ...) LMB_PRINTF(2, 3);

#endif
