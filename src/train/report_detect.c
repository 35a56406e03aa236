/* report_detect.c: what the page says of detectors: each class's AP of
 * teachers and students side by side, and precision over recall. */
#include "train/report_impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_COLUMNS = 64, MOST_BARS = 40, MOST_CURVES = 12 };

/* --- columns: a teacher or a run ------------------------------------------ */

typedef struct column {
    char name[320];
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

/* How many classes of a run have that name; *at: one of them. */
static int count_named(const lmb_report_run *run, const char *name, size_t *at)
{
    int n = 0;
    for (size_t i = 0; i < run->n_classes; i++)
        if (strcmp(run->classes[i].name, name) == 0) {
            *at = i;
            n++;
        }
    return n;
}

/* That class, of the run `of`: the one of its index and name; in a run on data
 * that count otherwise, the one that has the name alone. */
static double ap_of(
    const column *c, const lmb_report_run *of, const lmb_class_score *cls)
{
    const lmb_report_run *run = c->run;
    size_t at = 0;
    for (size_t i = 0; i < run->n_classes; i++)
        if (run->classes[i].index == cls->index &&
            strcmp(run->classes[i].name, cls->name) == 0)
            return ap_in(c, i);
    const bool alone = count_named(of, cls->name, &at) == 1 &&
        count_named(run, cls->name, &at) == 1;
    return alone ? ap_in(c, at) : NAN;
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
            add_ap_cell(out, ap_of(&all->items[k], first, c));
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

/* Bars from left to right: a group a class, in it a bar a column. */
typedef struct bars {
    int bar, row, height; /* of one; of a group with its gap; of all */
    double most, unit; /* AP at the right end; pixels for 1 */
} bars;

enum { BARS_WIDTH = 560, BARS_LEFT = 110, BARS_FOOT = 24 };

static bars layout_of(const columns *all)
{
    bars b = {.bar = all->count < 3 ? 12 : 7, .most = largest_ap(all)};
    b.row = b.bar * all->count + 6;
    b.height = b.row * (int)all->items[0].run->n_classes + BARS_FOOT;
    b.unit = (BARS_WIDTH - BARS_LEFT - 10) / b.most;
    return b;
}

static void add_bar_axis(lmb_str *out, const bars *b)
{
    for (int t = 0; t <= 4; t++) {
        const double v = b->most * t / 4, x = BARS_LEFT + b->unit * v;
        lmb_str_printf(out,
            "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"0\" y2=\"%d\"/>"
            "<text class=\"tick\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">"
            "%.3g</text>\n",
            x, x, b->height - 20, x, b->height - 6, v);
    }
}

static void add_bar_group(lmb_str *out, const columns *all, const bars *b,
    const lmb_class_score *cls, int y)
{
    lmb_str_printf(out,
        "<text class=\"tick\" x=\"%d\" y=\"%d\" text-anchor=\"end\">",
        BARS_LEFT - 6, y + (b->row + 6) / 2);
    lmb__html(out, cls->name);
    lmb_str_add(out, "</text>\n");
    for (int k = 0; k < all->count; k++) {
        const double v = ap_of(&all->items[k], all->items[0].run, cls);
        lmb_str_printf(out,
            "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" "
            "fill=\"%s\"/>\n",
            BARS_LEFT, y + b->bar * k, b->unit * (v > 0 ? v : 0), b->bar - 1,
            lmb__svg_color(k));
    }
}

static void add_class_bars(lmb_str *out, const columns *all)
{
    const lmb_report_run *first = all->items[0].run;
    const bars b = layout_of(all);
    const char *names[MOST_COLUMNS];
    lmb_str_printf(out,
        "<figure><h3>AP by class</h3>\n<svg viewBox=\"0 0 %d %d\" "
        "role=\"img\">\n",
        BARS_WIDTH, b.height);
    add_bar_axis(out, &b);
    for (size_t i = 0; i < first->n_classes; i++)
        add_bar_group(out, all, &b, &first->classes[i], b.row * (int)i);
    lmb_str_add(out, "</svg>\n");
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

/* The class with the most objects that is not taken yet, or -1. */
static int32_t next_class(const lmb_coco_scores *s, bool *taken)
{
    int32_t best = -1;
    for (int32_t c = 0; c < s->categories; c++)
        if (!taken[c] && s->classes[c].truths > 0 &&
            (best < 0 || s->classes[c].truths > s->classes[best].truths))
            best = c;
    if (best >= 0)
        taken[best] = true;
    return best;
}

/* A curve for each of the classes with the most objects. */
static lmb_status add_class_precision(lmb_str *out, const lmb_report_boxes *b)
{
    const lmb_coco_scores *s = &b->scores;
    lmb_curve *curves = NULL;
    const char *names[MOST_CURVES];
    int n = 0;
    bool *taken = NULL;
    lmb_status st = LMB_OK;
    LMB_TRY(LMB_NEW(curves, MOST_CURVES));
    LMB_GOTO(LMB_NEW(taken, s->categories), st, done);
    while (n < MOST_CURVES) {
        const int32_t c = next_class(s, taken);
        if (c < 0)
            break;
        names[n] = b->files.truth.categories[c].name;
        LMB_GOTO(curve_init(&curves[n++]), st, done);
        memcpy(curves[n - 1].y, s->classes[c].precision,
            sizeof s->classes[c].precision);
    }
    put_curves(
        out, "precision over recall at IoU 0.5, by class", n, curves, names);
done:
    lmb_free(taken);
    curves_free(MOST_CURVES, curves);
    return st;
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
    lmb__svg_confusion(out, run);
    lmb_str_add(out, "</div>\n");
    return LMB_OK;
}
