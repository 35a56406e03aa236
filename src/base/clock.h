/* clock.h: seconds that have gone by, whatever the time of day does. */
#ifndef LMB_BASE_CLOCK_H
#define LMB_BASE_CLOCK_H

/* Seconds of the monotonic clock, from a start of its own. */
double lmb_clock_now(void);

#endif
