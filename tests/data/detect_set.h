/* detect_set.h: sets in memory whose boxes are painted in their colour. */
#ifndef LMB_TESTS_DETECT_SET_H
#define LMB_TESTS_DETECT_SET_H

#include "lmb_test.h"

#include "data/truth.h"

/* Paints box [x0, x1) x [y0, y1) in the colour of its label: 0 red, 1 green,
 * 2 blue. */
static inline void paint_box(
    uint8_t *rgb, int32_t width, const int *box, int32_t label)
{
    for (int y = box[1]; y < box[3]; y++)
        for (int x = box[0]; x < box[2]; x++)
            for (int c = 0; c < 3; c++)
                rgb[3 * (y * width + x) + c] = c == label ? 255 : 0;
}

static inline lmb_dataset *begin_set(int32_t height, int32_t width)
{
    lmb_dataset *ds = NULL;
    CHECK_OK(lmb__dataset_new("painted", &ds));
    ds->height = height;
    ds->width = width;
    ds->classes = 3;
    for (int c = 0; c < 3; c++)
        ds->std[c] = 1;
    CHECK_OK(lmb__truth_new(ds, 1));
    return ds;
}

static inline void add_picture(
    lmb_dataset *ds, const int (*boxes)[4], int count, int first_label)
{
    uint8_t *rgb = NULL;
    CHECK_OK(lmb__dataset_push(ds, 0, &rgb));
    memset(rgb, 0, (size_t)ds->height * (size_t)ds->width * 3);
    CHECK_OK(lmb__truth_picture(ds, NULL, 1, ds->height, ds->width));
    for (int k = 0; k < count; k++) {
        const int *b = boxes[k];
        const lmb_box_row row = {
            {b[0], b[1], b[2], b[3]}, (first_label + k) % 3, false, -1};
        CHECK_OK(lmb__truth_box(ds, &row));
        paint_box(rgb, ds->width, b, row.label);
    }
}

/* Pictures of files of several sizes: nothing is decoded until it is asked
 * for. `sizes` has heights and widths. */
static inline lmb_dataset *sized_set(
    const char *path, const int32_t (*sizes)[2], int64_t count)
{
    lmb_dataset *ds = begin_set(0, 0);
    for (int64_t i = 0; i < count; i++) {
        const lmb_box_row row = {{0, 0, 2, 2}, (int32_t)(i % 3), false, -1};
        CHECK_OK(lmb__truth_picture(ds, path, i + 1, sizes[i][0], sizes[i][1]));
        CHECK_OK(lmb__truth_box(ds, &row));
    }
    CHECK_OK(lmb__truth_finish(ds, "sized"));
    return ds;
}

#endif
