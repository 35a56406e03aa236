/* weights_unwrap.h: a network's own names; behind weights.h. */
#ifndef LMB_IO_WEIGHTS_UNWRAP_H
#define LMB_IO_WEIGHTS_UNWRAP_H

#include "io/weights.h"

/* Takes off what wrapper modules put before the names, again until nothing is
 * left to take, and drops the tensors that are theirs and not the network's;
 * notes both in `unwrapped` and `ignored`. ENOMEM, with `w` still whole. */
lmb_status lmb__weights_unwrap(lmb_weights *w) LMB_MUST_CHECK;

#endif
