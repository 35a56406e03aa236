/* threads.h: how many threads the arithmetic uses. */
#ifndef LMB_BACKEND_CPU_THREADS_H
#define LMB_BACKEND_CPU_THREADS_H

/* Sets it for the calling thread's parallel regions, and switches dynamic
 * teams off; 0 means OMP_NUM_THREADS, else
 * all cores. Returns the number in force (1 in a build
 * without OpenMP). */
int lmb_set_threads(int threads);

#endif
