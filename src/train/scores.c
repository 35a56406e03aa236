/* scores.c: the two tasks and the names of their scores. */
#include "train/scores.h"

#include <string.h>

static const lmb_task tasks[] = {
    {"classification", 2, {"top1", "top5"}, 2, 2},
    {"detection", LMB_MAX_SCORES,
        {"AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100",
            "ARs", "ARm", "ARl"},
        3, 4},
};

const lmb_task *lmb_task_find(const char *name)
{
    for (size_t i = 1; i < LMB_COUNT(tasks); i++)
        if (strcmp(tasks[i].name, name) == 0)
            return &tasks[i];
    return &tasks[0];
}
