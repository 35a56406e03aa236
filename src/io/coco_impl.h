/* coco_impl.h: what the readers of coco_json.h share. */
#ifndef LMB_IO_COCO_IMPL_H
#define LMB_IO_COCO_IMPL_H

#include "io/coco_json.h"
#include "io/json_stream.h"

/* A growing array read from a list of the file. */
typedef struct lmb_coco_list {
    int64_t start; /* where in the file the list begins */
    size_t capacity;
} lmb_coco_list;

/* Room for one more of `count` items of `size` bytes. */
lmb_status lmb__coco_room(const lmb_json *j, lmb_coco_list *list, void **items,
    int64_t count, size_t size) LMB_MUST_CHECK;
/* Reads a bbox: four numbers. */
lmb_status lmb__coco_box(lmb_json *j, double box[4]) LMB_MUST_CHECK;
/* True if the next value is null; it is read then. */
lmb_status lmb__coco_null(lmb_json *j, bool *is_null) LMB_MUST_CHECK;
/* Checks annotation ids, sorts categories, makes by_id and by_image; the
 * annotations have indexes already. `name` is the file's, for errors. */
lmb_status lmb__coco_index(lmb_coco *coco, const char *name) LMB_MUST_CHECK;

#endif
