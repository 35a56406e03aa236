/* yolo_txt.c: label files of the YOLO kind, line by line. */
#include "data/yolo_txt.h"
#include "base/file.h"
#include "base/str.h"

#include <math.h>
#include <string.h>

enum { NUMBER_SIZE = 64 };

/* Writers round, and boxes that touch the border may stick out a little. */
static const double most = 1.01;

typedef struct cursor {
    const char *at, *end; /* of the line */
    const char *name;
    int64_t line;
} cursor;

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == ',';
}

/* The next number of the line; *found is false at its end. */
static lmb_status take_number(cursor *c, bool *found, double *out)
{
    char text[NUMBER_SIZE];
    while (c->at < c->end && is_blank(*c->at))
        c->at++;
    const char *start = c->at;
    while (c->at < c->end && !is_blank(*c->at))
        c->at++;
    const size_t n = (size_t)(c->at - start);
    *found = n > 0;
    if (n == 0)
        return LMB_OK;
    memcpy(text, start, n < NUMBER_SIZE ? n : NUMBER_SIZE - 1);
    text[n < NUMBER_SIZE ? n : NUMBER_SIZE - 1] = '\0';
    if (n >= NUMBER_SIZE || strlen(text) != n || !lmb_parse_f64(text, out) ||
        !isfinite(*out))
        return LMB_FAIL(LMB_EFORMAT, "%s:%lld: '%.20s' is not a number",
            c->name, (long long)c->line, text);
    return LMB_OK;
}

static lmb_status take_part(cursor *c, bool *found, double *out)
{
    LMB_TRY(take_number(c, found, out));
    if (*found && !(*out >= 1 - most && *out <= most))
        return LMB_FAIL(LMB_EFORMAT,
            "%s:%lld: %g is not a part of the picture, 0 .. 1", c->name,
            (long long)c->line, *out);
    return LMB_OK;
}

static void grow_box(double box[4], double x, double y)
{
    box[0] = fmin(box[0], x);
    box[1] = fmin(box[1], y);
    box[2] = fmax(box[2], x);
    box[3] = fmax(box[3], y);
}

/* The numbers behind the class. */
static lmb_status take_box(cursor *c, double box[4])
{
    double first[4] = {0};
    double outline[4] = {INFINITY, INFINITY, -INFINITY, -INFINITY};
    int64_t count = 0;
    for (;;) {
        double v[2] = {0};
        bool found[2] = {false, false};
        LMB_TRY(take_part(c, &found[0], &v[0]));
        if (!found[0])
            break;
        LMB_TRY(take_part(c, &found[1], &v[1]));
        if (count < 4)
            memcpy(first + count, v, sizeof v);
        count += found[1] ? 2 : 1;
        if (!found[1])
            break;
        grow_box(outline, v[0], v[1]);
    }
    if (count != 4 && (count < 6 || count % 2 != 0))
        return LMB_FAIL(LMB_EFORMAT,
            "%s:%lld: %lld numbers behind the class, not 4 (a box) or an even "
            "number from 6 on (an outline)",
            c->name, (long long)c->line, (long long)count);
    for (int k = 0; k < 2; k++) {
        box[k] = count == 4 ? first[k] - first[2 + k] / 2 : outline[k];
        box[2 + k] = count == 4 ? first[k] + first[2 + k] / 2 : outline[2 + k];
    }
    return LMB_OK;
}

static lmb_status take_line(cursor *c, int32_t classes, lmb_yolo_rows *rows)
{
    double label = 0;
    bool found = false;
    LMB_TRY(take_number(c, &found, &label));
    if (!found)
        return LMB_OK;
    if (!(label >= 0 && label < classes) || label != floor(label))
        return LMB_FAIL(LMB_EFORMAT, "%s:%lld: class %g is not 0 .. %d",
            c->name, (long long)c->line, label, (int)classes - 1);
    LMB_TRY(LMB_GROW(rows->rows, rows->count, rows->capacity));
    lmb_yolo_row *row = &rows->rows[rows->count];
    row->label = (int32_t)label;
    LMB_TRY(take_box(c, row->box));
    rows->count++;
    return LMB_OK;
}

lmb_status lmb__yolo_parse(const void *bytes, size_t size, const char *name,
    int32_t classes, lmb_yolo_rows *rows)
{
    cursor c = {.name = name};
    rows->count = 0;
    if (size == 0)
        return LMB_OK;
    const char *end = (const char *)bytes + size;
    const char *at = (const char *)bytes + lmb_utf8_mark(bytes, size);
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        c.at = at;
        c.end = stop != NULL ? stop : end;
        c.line++;
        LMB_TRY(take_line(&c, classes, rows));
        at = stop != NULL ? stop + 1 : end;
    }
    return LMB_OK;
}

lmb_status lmb__yolo_load(
    const char *path, int32_t classes, lmb_yolo_rows *rows)
{
    lmb_file file = {0};
    LMB_TRY(lmb_file_open(path, &file));
    const lmb_status st =
        lmb__yolo_parse(file.bytes, file.size, path, classes, rows);
    lmb_file_close(&file);
    return st;
}

void lmb__yolo_fini(lmb_yolo_rows *rows)
{
    lmb_free(rows->rows);
    *rows = (lmb_yolo_rows){0};
}
