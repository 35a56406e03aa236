/* features_maps.h: maps of one picture and one stage of a run; the inside of
 * features.c. */
#ifndef LMB_TRAIN_FEATURES_MAPS_H
#define LMB_TRAIN_FEATURES_MAPS_H

#include "train/run_impl.h"

/* In the order in which a level has them. */
typedef enum lmb_map_kind {
    LMB_MAP_TEACHER, /* spatial attention */
    LMB_MAP_STUDENT,
    LMB_MAP_GAP, /* how far the student is from the teacher */
    LMB_MAP_MASK, /* of a method: 0 hides */
} lmb_map_kind;

typedef struct lmb_feature_map {
    lmb_map_kind kind;
    char level[16]; /* the student's tap, "p3" */
    const char *method; /* LMB_MAP_MASK */
    lmb_value value;
    int64_t h, w;
    float *data; /* [h, w] after lmb_maps_run */
} lmb_feature_map;

enum { LMB_MAX_MAPS = 72 };

typedef struct lmb_maps {
    lmb_graph *g;
    lmb_plan *plan;
    lmb_value x, sizes;
    int64_t height, width; /* of the input */
    lmb_feature_map map[LMB_MAX_MAPS];
    int count, in_level; /* in_level: maps of the first level */
} lmb_maps;

/* Maps of run->student, and of the teacher of a stage (if there is one), for an
 * input of this size. */
lmb_status lmb_maps_new(lmb_run *run, int stage, int64_t height, int64_t width,
    lmb_maps **out) LMB_MUST_CHECK;
/* x: [1, 3, height, width], the student's input; size: height and width of the
 * picture in it, whose rest is padding. */
lmb_status lmb_maps_run(
    lmb_maps *m, const float *x, const float size[2]) LMB_MUST_CHECK;
void lmb_maps_free(lmb_maps *m); /* accepts NULL */

#endif
