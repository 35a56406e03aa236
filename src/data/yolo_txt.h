/* yolo_txt.h: one label file of the YOLO kind. */
#ifndef LMB_DATA_YOLO_TXT_H
#define LMB_DATA_YOLO_TXT_H

#include "base/base.h"

typedef struct lmb_yolo_row {
    int32_t label;
    double box[4]; /* x0 y0 x1 y1 as parts of the width and height */
} lmb_yolo_row;

typedef struct lmb_yolo_rows {
    lmb_yolo_row *rows;
    int64_t count;
    size_t capacity;
} lmb_yolo_rows;

/* Lines "class cx cy w h", or "class x y x y x y ..." with at least three
 * corners of an outline, whose bounding box is taken; all but the class as
 * parts of the picture's width and height. Replaces the rows, keeps their
 * memory. Errors: EFORMAT names file, line and rule; ENOMEM. */
lmb_status lmb__yolo_parse(const void *bytes, size_t size, const char *name,
    int32_t classes, lmb_yolo_rows *rows) LMB_MUST_CHECK;
lmb_status lmb__yolo_load(
    const char *path, int32_t classes, lmb_yolo_rows *rows) LMB_MUST_CHECK;
void lmb__yolo_fini(lmb_yolo_rows *rows);

#endif
