/* report_detect.c: what the page says of detectors: each class's AP of
 * teachers and students side by side, precision over recall, and what is taken
 * for what. */
#include "train/report_impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_COLUMNS = 64, MOST_BARS = 40, MOST_CURVES = 12 };

/* --- columns: a teacher or a run ------------------------------------------ */

typedef struct column {
    char name[96];
    const lmb_report_run *run;
    bool teacher;
} column;

typedef struct columns {
    column items[MOST_COLUMNS];
    int count;
} columns;

static double ap_in(const column *c, size_t i)
{
    const lmb_class_score *s = &c->run->classes[i];
    const double v = c->teacher ? s->teacher : s->student;
    return v < 0 ? NAN : v / s->count;
}

/* The class of that name, wherever it stands. */
static double ap_of(const column *c, const char *name)
{
    for (size_t i = 0; i < c->run->n_classes; i++)
        if (strcmp(c->run->classes[i].name, name) == 0)
            return ap_in(c, i);
    return NAN;
}

/* Runs with one teacher show it once. */
static bool is_known(const columns *all, const lmb_report_run *run)
{
    for (int i = 0; i < all->count; i++) {
        const lmb_report_run *r = all->items[i].run;
        if (all->items[i].teacher && strcmp(r->teacher, run->teacher) == 0 &&
            r->teacher_score == run->teacher_score)
            return true;
    }
    return false;
}

static void add_column(columns *all, const lmb_report_run *run, bool teacher)
{
    if (all->count == MOST_COLUMNS)
        return;
    column *c = &all->items[all->count++];
    *c = (column){.run = run, .teacher = teacher};
    (void)snprintf(c->name, sizeof c->name, "%s%s",
        teacher ? "teacher of " : "", run->name);
}

/* Teachers first, then the runs in their order. */
static void find_columns(columns *all, int n, const lmb_report_run *runs)
{
    all->count = 0;
    for (int i = 0; i < n; i++)
        if (lmb__report_detects(&runs[i]) && runs[i].n_classes > 0 &&
            runs[i].classes[0].teacher >= 0 && !is_known(all, &runs[i]))
            add_column(all, &runs[i], true);
    for (int i = 0; i < n; i++)
        if (lmb__report_detects(&runs[i]) && runs[i].n_classes > 0)
            add_column(all, &runs[i], false);
}

/* --- AP by class ---------------------------------------------------------- */

static void add_ap_cell(lmb_str *out, double v)
{
    if (isnan(v))
        lmb_str_add(out, "<td></td>");
    else
        lmb_str_printf(out, "<td>%.3f</td>", v);
}

static void add_class_table(lmb_str *out, const columns *all)
{
    const lmb_report_run *first = all->items[0].run;
    lmb_str_add(out, "<table><tr><th>class</th><th>objects</th>");
    for (int k = 0; k < all->count; k++) {
        lmb_str_add(out, "<th>");
        lmb__html(out, all->items[k].name);
        lmb_str_add(out, "</th>");
    }
    lmb_str_add(out, "</tr>\n");
    for (size_t i = 0; i < first->n_classes; i++) {
        const lmb_class_score *c = &first->classes[i];
        lmb_str_add(out, "<tr><td>");
        lmb__html(out, c->name);
        lmb_str_printf(out, "</td><td>%.0f</td>", c->count);
        for (int k = 0; k < all->count; k++)
            add_ap_cell(out, ap_of(&all->items[k], c->name));
        lmb_str_add(out, "</tr>\n");
    }
    lmb_str_add(out, "</table>\n");
}

static double largest_ap(const columns *all)
{
    double most = 0.05;
    for (int k = 0; k < all->count; k++)
        for (size_t i = 0; i < all->items[k].run->n_classes; i++)
            most = fmax(most, ap_in(&all->items[k], i)); /* NaN: not taken */
    return ceil(most * 10) / 10;
}

/* One row of bars a class, from left to right. */
static void add_class_bars(lmb_str *out, const columns *all)
{
    enum { WIDTH = 560, LEFT = 110, GAP = 6 };
    const int bar = all->count < 3 ? 12 : 7;
    const lmb_report_run *first = all->items[0].run;
    const int row = bar * all->count + GAP;
    const int height = row * (int)first->n_classes + 24;
    const double most = largest_ap(all);
    const double unit = (WIDTH - LEFT - 10) / most;
    lmb_str_printf(out,
        "<figure><h3>AP by class</h3>\n<svg viewBox=\"0 0 %d %d\" "
        "role=\"img\">\n",
        WIDTH, height);
    for (int t = 0; t <= 4; t++)
        lmb_str_printf(out,
            "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"0\" y2=\"%d\"/>"
            "<text class=\"tick\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">"
            "%.3g</text>\n",
            LEFT + unit * most * t / 4, LEFT + unit * most * t / 4, height - 20,
            LEFT + unit * most * t / 4, height - 6, most * t / 4);
    for (size_t i = 0; i < first->n_classes; i++) {
        const int y = row * (int)i;
        lmb_str_printf(out,
            "<text class=\"tick\" x=\"%d\" y=\"%d\" text-anchor=\"end\">",
            LEFT - 6, y + (row + 6) / 2);
        lmb__html(out, first->classes[i].name);
        lmb_str_add(out, "</text>\n");
        for (int k = 0; k < all->count; k++) {
            const double v = ap_of(&all->items[k], first->classes[i].name);
            lmb_str_printf(out,
                "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" "
                "fill=\"%s\"/>\n",
                LEFT, y + bar * k, unit * (v > 0 ? v : 0), bar - 1,
                lmb__svg_color(k));
        }
    }
    lmb_str_add(out, "</svg>\n");
    const char *names[MOST_COLUMNS];
    for (int k = 0; k < all->count; k++)
        names[k] = all->items[k].name;
    lmb__svg_legend(out, all->count, names);
    lmb_str_add(out, "</figure>\n");
}

/* --- precision over recall ------------------------------------------------ */

static lmb_status curve_init(lmb_curve *c)
{
    LMB_TRY(LMB_NEW(c->x, LMB_COCO_RECALLS));
    LMB_TRY(LMB_NEW(c->y, LMB_COCO_RECALLS));
    c->count = LMB_COCO_RECALLS;
    for (int r = 0; r < LMB_COCO_RECALLS; r++)
        c->x[r] = r / (double)(LMB_COCO_RECALLS - 1);
    return LMB_OK;
}

static void curves_free(int n, lmb_curve *c)
{
    for (int i = 0; i < n; i++) {
        lmb_free(c[i].x);
        lmb_free(c[i].y);
    }
    lmb_free(c);
}

/* The mean over the classes that there is something to find of. */
static void mean_precision(const lmb_coco_scores *s, double *out)
{
    int n = 0;
    for (int32_t c = 0; c < s->categories; c++) {
        if (s->classes[c].truths == 0)
            continue;
        n++;
        for (int r = 0; r < LMB_COCO_RECALLS; r++)
            out[r] += s->classes[c].precision[r];
    }
    for (int r = 0; r < LMB_COCO_RECALLS && n > 0; r++)
        out[r] /= n;
}

static void put_curves(lmb_str *out, const char *title, int n,
    const lmb_curve *curves, const char *const *names)
{
    const lmb_curve *list[MOST_COLUMNS];
    const lmb_chart chart = {.title = title,
        .x_label = "recall",
        .y_label = "precision",
        .unit = true};
    for (int i = 0; i < n; i++)
        list[i] = &curves[i];
    lmb__svg_lines(out, &chart, n, list, names);
}

static lmb_status add_precision(lmb_str *out, const columns *all)
{
    lmb_curve *curves = NULL;
    const char *names[MOST_COLUMNS];
    int n = 0;
    lmb_status st = LMB_OK;
    LMB_TRY(LMB_NEW(curves, all->count));
    for (int k = 0; k < all->count; k++) {
        const column *c = &all->items[k];
        const lmb_report_boxes *b =
            c->teacher ? &c->run->teacher_boxes : &c->run->student_boxes;
        if (!b->there)
            continue;
        names[n] = c->name;
        LMB_GOTO(curve_init(&curves[n++]), st, done);
        mean_precision(&b->scores, curves[n - 1].y);
    }
    if (n > 0)
        put_curves(out, "precision over recall at IoU 0.5, mean of classes", n,
            curves, names);
done:
    curves_free(all->count, curves);
    return st;
}

/* The classes with the most objects, each a curve. */
static lmb_status add_class_precision(lmb_str *out, const lmb_report_boxes *b)
{
    const lmb_coco_scores *s = &b->scores;
    lmb_curve *curves = NULL;
    const char *names[MOST_CURVES];
    int n = 0;
    bool *taken = NULL;
    lmb_status st = LMB_OK;
    LMB_GOTO(LMB_NEW(curves, MOST_CURVES), st, done);
    LMB_GOTO(LMB_NEW(taken, s->categories), st, done);
    while (n < MOST_CURVES) {
        int32_t best = -1;
        for (int32_t c = 0; c < s->categories; c++)
            if (!taken[c] && s->classes[c].truths > 0 &&
                (best < 0 || s->classes[c].truths > s->classes[best].truths))
                best = c;
        if (best < 0)
            break;
        taken[best] = true;
        names[n] = b->files.truth.categories[best].name;
        LMB_GOTO(curve_init(&curves[n]), st, done);
        memcpy(curves[n++].y, s->classes[best].precision,
            sizeof s->classes[best].precision);
    }
    put_curves(
        out, "precision over recall at IoU 0.5, by class", n, curves, names);
done:
    lmb_free(taken);
    if (curves != NULL)
        curves_free(MOST_CURVES, curves);
    return st;
}

/* --- what is taken for what ----------------------------------------------- */

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

static void add_confusion(lmb_str *out, const lmb_report_run *run)
{
    enum { WIDTH = 560, LEFT = 110, TOP = 84, LARGEST = 34, LEAST = 4 };
    const int n = (int)run->confusion.categories + 1;
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

/* --- the sections --------------------------------------------------------- */

lmb_status lmb__report_compare(lmb_str *out, int n, const lmb_report_run *runs)
{
    columns *all = NULL;
    lmb_status st = LMB_OK;
    LMB_TRY(LMB_NEW(all, 1));
    find_columns(all, n, runs);
    if (all->count == 0)
        goto done;
    lmb_str_add(out, "<div class=\"row\">\n");
    if (all->items[0].run->n_classes <= MOST_BARS)
        add_class_bars(out, all);
    LMB_GOTO(add_precision(out, all), st, done);
    lmb_str_add(out, "</div>\n");
    add_class_table(out, all);
done:
    lmb_free(all);
    return st;
}

lmb_status lmb__report_detail(lmb_str *out, const lmb_report_run *run)
{
    if (!run->student_boxes.there)
        return LMB_OK;
    lmb_str_add(out, "<div class=\"row\">\n");
    LMB_TRY(add_class_precision(out, &run->student_boxes));
    add_confusion(out, run);
    lmb_str_add(out, "</div>\n");
    return LMB_OK;
}
