/* limbeck.h: the one include of liblimbeck.
 *
 *   #include <limbeck.h>
 *   cc program.c $(pkg-config --cflags --libs limbeck)
 *
 * Today the library offers its losses to programs (limbeck/loss.h); networks,
 * data and training are offered by the program `limbeck`. */
#ifndef LIMBECK_H
#define LIMBECK_H

#include "limbeck/loss.h"
#include "limbeck/status.h"
#include "limbeck/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/** "0.1.0". */
LMB_API const char *lmb_version(void);

#ifdef __cplusplus
}
#endif
#endif
