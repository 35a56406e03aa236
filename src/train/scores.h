/* scores.h: what a network is measured by: top-1 and top-5 in percent for
 * classification, COCO's twelve numbers as fractions for detection. The first
 * score of a task is what its best epoch is chosen by. */
#ifndef LMB_TRAIN_SCORES_H
#define LMB_TRAIN_SCORES_H

#include "base/base.h"

enum { LMB_TOP1, LMB_TOP5 }; /* classification */
enum { LMB_AP, LMB_AP50, LMB_AP75 }; /* detection; nine more follow */
enum { LMB_MAX_SCORES = 12 };

typedef struct lmb_task {
    const char *name; /* "classification": lmb_model.task */
    int n_scores;
    const char *score[LMB_MAX_SCORES]; /* names in logs and JSON */
    int n_shown; /* of them in lines of progress and tables */
    int digits; /* after the point, in these */
} lmb_task;

/* Never NULL: the task of that name. */
const lmb_task *lmb_task_find(const char *name);
static inline bool lmb_task_is_detection(const lmb_task *t)
{
    return t->n_scores == LMB_MAX_SCORES;
}

#endif
