/* threads.c: the only place that talks to OpenMP's run time. */
#include "backend/cpu/threads.h"

#ifdef _OPENMP
#include <omp.h>

int lmb_set_threads(int threads)
{
    /* What the run time found at start: OMP_NUM_THREADS, else the cores. */
    static int at_start;
    if (at_start == 0)
        at_start = omp_get_max_threads();
    omp_set_dynamic(0);
    omp_set_num_threads(threads > 0 ? threads : at_start);
    return omp_get_max_threads();
}
#else
int lmb_set_threads(int threads)
{
    (void)threads;
    return 1;
}
#endif
