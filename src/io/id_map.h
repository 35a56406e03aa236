/* id_map.h: ids of 64 bits in order of their first coming. */
#ifndef LMB_IO_ID_MAP_H
#define LMB_IO_ID_MAP_H

#include "base/base.h"

/* Starts as {0}. */
typedef struct lmb_id_map {
    int64_t *keys_;
    int32_t *values_; /* place + 1; 0: free */
    size_t capacity_; /* a power of two */
    int32_t count;
} lmb_id_map;

/* *place = which id it is: 0 for the first that was added, 1 for the next ..;
 * *is_new tells whether it was added now. */
lmb_status lmb_id_map_add(
    lmb_id_map *map, int64_t id, int32_t *place, bool *is_new) LMB_MUST_CHECK;
void lmb_id_map_fini(lmb_id_map *map);

#endif
