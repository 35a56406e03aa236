/* version.c: the library's version. */
#include "limbeck.h"

const char *lmb_version(void)
{
    return LMB_VERSION;
}
