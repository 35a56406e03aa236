/* draw.h: boxes, names and heat maps drawn over pictures. */
#ifndef LMB_DATA_DRAW_H
#define LMB_DATA_DRAW_H

#include "data/augment.h"

typedef struct lmb_ink {
    uint8_t rgb[3];
} lmb_ink;

/* Colours that can be told apart: neighbouring labels differ most. */
lmb_ink lmb_ink_of_class(int32_t label);

/* Widths that suit a picture: of lines, and of one pixel of a letter. */
typedef struct lmb_pen {
    int32_t line, text;
} lmb_pen;
lmb_pen lmb_pen_for(int32_t height, int32_t width);

/* The outline of x, y, width, height in pixels, `line` pixels inwards; what
 * lies outside the picture is cut off. */
void lmb_draw_box(
    lmb_canvas *c, const lmb_pen *pen, const double box[4], lmb_ink ink);
/* Text on a strip of `ink` above the box, or inside it where there is no room;
 * it stays in the picture and is cut short to do so. */
void lmb_draw_label(lmb_canvas *c, const lmb_pen *pen, const double box[4],
    lmb_ink ink, const char *text);

/* An object: its box x, y, width, height, and its name. */
typedef struct lmb_mark {
    double box[4];
    double score; /* negative: none to be shown */
    const char *name; /* NULL: the label's digits */
    int32_t label;
} lmb_mark;
/* Boxes with names and scores, the first on top. */
void lmb_draw_marks(lmb_canvas *c, int64_t n, const lmb_mark *marks);

/* A map [h, w] over the whole picture, which becomes grey below it: dark where
 * it is `low` or less, bright where it is `high` or more. */
void lmb_draw_heat(lmb_canvas *c, const float *map, int64_t h, int64_t w,
    double low, double high);

/* The picture, dark in the cells [h, w] where the map is 0, as it is at 1. */
void lmb_draw_mask(lmb_canvas *c, const float *map, int64_t h, int64_t w);

#endif
