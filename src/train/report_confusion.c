/* report_confusion.c: what a detector takes for what, as a board of cells. */
#include "train/report_impl.h"

static const char *row_name(const lmb_report_boxes *b, int32_t i, bool found)
{
    if (i < (int32_t)b->files.truth.n_categories)
        return b->files.truth.categories[i].name;
    return found ? "(missed)" : "(nothing there)";
}

/* Cells of `side` pixels from (left, top) on. */
typedef struct board {
    int left, top, side;
} board;

/* Blue on the diagonal, red beside it; `share` of the row's boxes. */
static void add_cell(lmb_str *out, const lmb_report_run *run, const board *b,
    int32_t row, int32_t k, double share)
{
    static const double fade[2][3] = {{30, 170, 170}, {200, 140, 40}};
    const int64_t count =
        run->confusion.count[row * (run->confusion.categories + 1) + k];
    const double *f = fade[row == k];
    const int x = b->left + b->side * k, y = b->top + b->side * row;
    lmb_str_printf(out,
        "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" "
        "fill=\"rgb(%.0f,%.0f,%.0f)\"><title>",
        x, y, b->side - 1, b->side - 1, 255 - f[0] * share, 255 - f[1] * share,
        255 - f[2] * share);
    lmb__html(out, row_name(&run->student_boxes, row, false));
    lmb_str_add(out, " as ");
    lmb__html(out, row_name(&run->student_boxes, k, true));
    lmb_str_printf(out, ": %lld</title></rect>\n", (long long)count);
    if (b->side >= 22 && count > 0)
        lmb_str_printf(out,
            "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\" font-size=\"9\" "
            "fill=\"%s\">%lld</text>\n",
            x + b->side / 2, y + b->side / 2 + 3,
            share > 0.6 ? "#fff" : "#1d1f24", (long long)count);
}

static void add_confusion_row(
    lmb_str *out, const lmb_report_run *run, const board *b, int32_t row)
{
    const int32_t n = run->confusion.categories + 1;
    double sum = 0;
    for (int32_t k = 0; k < n; k++)
        sum += (double)run->confusion.count[row * n + k];
    for (int32_t k = 0; k < n; k++)
        add_cell(out, run, b, row, k,
            sum > 0 ? (double)run->confusion.count[row * n + k] / sum : 0);
}

static void add_confusion_names(
    lmb_str *out, const lmb_report_run *run, const board *b)
{
    for (int32_t k = 0; k <= run->confusion.categories && b->side >= 9; k++) {
        const int at = b->side * k + b->side / 2;
        lmb_str_printf(out,
            "<text class=\"tick\" x=\"%d\" y=\"%d\" text-anchor=\"end\">",
            b->left - 5, b->top + at + 4);
        lmb__html(out, row_name(&run->student_boxes, k, false));
        lmb_str_printf(out,
            "</text><text class=\"tick\" transform=\"translate(%d,%d) "
            "rotate(-50)\">",
            b->left + at + 3, b->top - 5);
        lmb__html(out, row_name(&run->student_boxes, k, true));
        lmb_str_add(out, "</text>\n");
    }
}

/* Cells grow with the square of the classes: of LVIS a page of 300 MB. */
static void say_too_many(lmb_str *out, int classes)
{
    lmb_str_printf(out,
        "<p class=\"note\">%d classes are too many for a board of what is "
        "taken for what; report --json has its numbers</p>\n",
        classes);
}

void lmb__svg_confusion(lmb_str *out, const lmb_report_run *run)
{
    enum { WIDTH = 560, LEFT = 110, TOP = 84, LARGEST = 34, LEAST = 4 };
    enum { MOST = 128 };
    const int n = (int)run->confusion.categories + 1;
    if (n > MOST) {
        say_too_many(out, n - 1);
        return;
    }
    int side = (WIDTH - LEFT - 40) / n;
    side = side > LARGEST ? LARGEST : side < LEAST ? LEAST : side;
    const board b = {.left = LEFT, .top = TOP, .side = side};
    lmb_str_printf(out,
        "<figure><h3>what is taken for what, at IoU 0.5 and score %.1f: rows "
        "are true classes</h3>\n<svg viewBox=\"0 0 %d %d\" role=\"img\">\n",
        LMB_REPORT_SCORE,
        LEFT + side * n + 40 > WIDTH ? LEFT + side * n + 40 : WIDTH,
        TOP + side * n + 8);
    add_confusion_names(out, run, &b);
    for (int32_t row = 0; row < n; row++)
        add_confusion_row(out, run, &b, row);
    lmb_str_add(out, "</svg></figure>\n");
}
