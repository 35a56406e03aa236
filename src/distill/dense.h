/* dense.h: rows for logit methods out of the maps of a dense head. */
#ifndef LMB_DISTILL_DENSE_H
#define LMB_DISTILL_DENSE_H

#include "distill/logits.h"

/* Of all pairs' maps [N, A C, H, W] (channel a C + c), of each image:
 *   the dense_positives best of those that the student's assigner made
 *   positive, then the dense_top best of the others;
 * best by the teacher's largest logit. Rows that are missing have weight 0.
 * Labels: the assigned class, and the teacher's best class. Where no assigner
 * is (arrays given to a loss), positive are all anchors of places whose centre
 * lies in a box, with the class of the smallest; without ground truth there is
 * only the second kind. A sticky error if shapes differ or channels are no
 * multiple of the anchors. */
bool lmb_dense_logits(
    const lmb_build *b, const lmb_logits_opts *o, lmb_logits *out);

/* [N, A K, H, W] -> [N, H W A, K]: a row for each anchor of each place. */
lmb_value lmb_dense_rows(lmb_graph *g, lmb_value x, int64_t anchors);

#endif
