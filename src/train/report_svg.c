/* report_svg.c: curves and bars as inline SVG. */
#include "train/report_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    WIDTH = 560,
    HEIGHT = 300,
    LEFT = 56,
    RIGHT = 12,
    TOP = 26,
    BOTTOM = 36,
    MOST_TICKS = 40
};

static const char *const colors[] = {"#1f5fa8", "#d2601a", "#2f8f4e", "#9b3a9b",
    "#b3261e", "#0f8b8d", "#7a6a00", "#5d5f66", "#e08a9b", "#6f4e37", "#3aa6d8",
    "#8fa52a"};

const char *lmb__svg_color(int i)
{
    return colors[(size_t)i % LMB_COUNT(colors)];
}

void lmb__html(lmb_str *out, const char *text)
{
    for (size_t n = 0; *text != '\0'; text += n > 0 ? n : 1) {
        n = lmb_utf8_length(text, 4); /* a zero ends it, too */
        if (*text == '&')
            lmb_str_add(out, "&amp;");
        else if (*text == '<')
            lmb_str_add(out, "&lt;");
        else if (*text == '>')
            lmb_str_add(out, "&gt;");
        else if (*text == '"')
            lmb_str_add(out, "&quot;");
        else if (n == 0)
            lmb_str_add(out, "&#xfffd;");
        else
            lmb_str_add_bytes(out, text, n);
    }
}

/* --- axes ----------------------------------------------------------------- */

typedef struct frame {
    double x0, x1, y0, y1; /* data at the corners */
} frame;

static double px(const frame *f, double x)
{
    return LEFT + (x - f->x0) / (f->x1 - f->x0) * (WIDTH - LEFT - RIGHT);
}

static double py(const frame *f, double y)
{
    return HEIGHT - BOTTOM -
        (y - f->y0) / (f->y1 - f->y0) * (HEIGHT - TOP - BOTTOM);
}

/* 1, 2 or 5 times a power of ten: about `parts` steps over the span. */
static double nice_step(double span, int parts)
{
    const double raw = span / parts;
    const double power = pow(10, floor(log10(raw)));
    const double head = raw / power;
    return power * (head <= 1 ? 1 : head <= 2 ? 2 : head <= 5 ? 5 : 10);
}

static frame make_frame(int n, const lmb_curve *const *curves)
{
    frame f = {INFINITY, -INFINITY, INFINITY, -INFINITY};
    for (int i = 0; i < n; i++) {
        for (size_t k = 0; k < curves[i]->count; k++) {
            f.x0 = fmin(f.x0, curves[i]->x[k]);
            f.x1 = fmax(f.x1, curves[i]->x[k]);
            f.y0 = fmin(f.y0, curves[i]->y[k]);
            f.y1 = fmax(f.y1, curves[i]->y[k]);
        }
    }
    if (!(f.x1 >= f.x0) || !(f.y1 >= f.y0))
        f = (frame){0, 1, 0, 1};
    if (f.x1 == f.x0)
        f.x1 = f.x0 + 1;
    if (f.y1 == f.y0)
        f.y1 = f.y0 + 1;
    const double step = nice_step(f.y1 - f.y0, 5);
    f.y0 = floor(f.y0 / step) * step;
    f.y1 = ceil(f.y1 / step) * step;
    return f;
}

/* Numbers and lines of the y axis; the ticks are counted, since a step may
 * vanish beside numbers of 1e18. */
static void add_y_axis(lmb_str *out, const frame *f, double step)
{
    for (int i = 0; i < MOST_TICKS; i++) {
        const double y = f->y0 + i * step;
        if (!(y <= f->y1 + step / 2))
            break;
        lmb_str_printf(out,
            "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" "
            "y2=\"%.1f\"/><text class=\"tick\" x=\"%d\" y=\"%.1f\" "
            "text-anchor=\"end\">%.4g</text>\n",
            LEFT, WIDTH - RIGHT, py(f, y), py(f, y), LEFT - 6, py(f, y) + 4,
            fabs(y) < step * 1e-6 ? 0 : y);
    }
}

static void add_axes(lmb_str *out, const frame *f, const lmb_chart *chart)
{
    const double span = nice_step(f->x1 - f->x0, 8);
    const double step = chart->unit ? span : fmax(span, 1);
    const double first = ceil(f->x0 / step) * step;
    add_y_axis(out, f, nice_step(f->y1 - f->y0, 5));
    for (int i = 0; i < MOST_TICKS; i++) {
        const double x = first + i * step;
        if (!(x <= f->x1 + step * 1e-6))
            break;
        lmb_str_printf(out,
            "<text class=\"tick\" x=\"%.1f\" y=\"%d\" "
            "text-anchor=\"middle\">%.4g</text>\n",
            px(f, x), HEIGHT - BOTTOM + 16, x);
    }
    lmb_str_printf(out,
        "<text class=\"tick\" x=\"%d\" y=\"%d\" text-anchor=\"end\">",
        WIDTH - RIGHT, HEIGHT - 4);
    lmb__html(out, chart->x_label);
    lmb_str_printf(
        out, "</text><text class=\"tick\" x=\"4\" y=\"%d\">", TOP - 10);
    lmb__html(out, chart->y_label);
    lmb_str_add(out, "</text>\n");
}

/* --- curves --------------------------------------------------------------- */

static void add_curve(
    lmb_str *out, const frame *f, const lmb_curve *c, const char *stroke)
{
    if (c->count > 1) {
        lmb_str_printf(out,
            "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.8\" "
            "points=\"",
            stroke);
        for (size_t k = 0; k < c->count; k++)
            lmb_str_printf(out, "%.1f,%.1f ", px(f, c->x[k]), py(f, c->y[k]));
        lmb_str_add(out, "\"/>\n");
    }
    const bool dots = c->count <= 60;
    for (size_t k = 0; k < c->count && dots; k++)
        lmb_str_printf(out,
            "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2.4\" fill=\"%s\"><title>"
            "epoch %.4g: %.5g</title></circle>\n",
            px(f, c->x[k]), py(f, c->y[k]), stroke, c->x[k], c->y[k]);
}

/* Names under the chart wrap as HTML does. */
void lmb__svg_legend(lmb_str *out, int n, const char *const *names)
{
    lmb_str_add(out, "<figcaption>");
    for (int i = 0; i < n; i++) {
        lmb_str_printf(out,
            "<span class=\"key\"><i style=\"background:%s\"></i>",
            lmb__svg_color(i));
        lmb__html(out, names[i]);
        lmb_str_add(out, "</span> ");
    }
    lmb_str_add(out, "</figcaption>");
}

void lmb__svg_lines(lmb_str *out, const lmb_chart *chart, int n,
    const lmb_curve *const *curves, const char *const *names)
{
    const frame f = chart->unit ? (frame){0, 1, 0, 1} : make_frame(n, curves);
    lmb_str_add(out, "<figure><h3>");
    lmb__html(out, chart->title);
    lmb_str_printf(out, "</h3>\n<svg viewBox=\"0 0 %d %d\" role=\"img\">\n",
        WIDTH, HEIGHT);
    add_axes(out, &f, chart);
    for (int i = 0; i < n; i++)
        add_curve(out, &f, curves[i], lmb__svg_color(i));
    lmb_str_add(out, "</svg>\n");
    lmb__svg_legend(out, n, names);
    lmb_str_add(out, "</figure>\n");
}

/* --- gaps ----------------------------------------------------------------- */

static double gap_of(const lmb_class_score *c)
{
    const double teacher = c->teacher >= 0 ? c->teacher : 0;
    return 100 * (c->student - teacher) / c->count;
}

static int by_gap(const void *a, const void *b)
{
    const lmb_class_score *c = a, *d = b;
    const double x = gap_of(c), y = gap_of(d);
    const int names = strcmp(c->name, d->name);
    if (x != y)
        return x < y ? 1 : -1;
    return names != 0 ? names : (c->index > d->index) - (c->index < d->index);
}

static void add_bar(lmb_str *out, const frame *f, const lmb_class_score *c,
    size_t i, double width, bool gaps)
{
    const double gap = gap_of(c);
    const double y = py(f, gap > 0 ? gap : 0);
    lmb_str_printf(out,
        "<rect x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" height=\"%.1f\" "
        "fill=\"%s\"><title>",
        LEFT + width * (double)i, y, width * 0.86,
        fabs(py(f, gap) - py(f, 0)) + 0.4, gap >= 0 ? colors[2] : colors[4]);
    lmb__html(out, c->name);
    lmb_str_printf(out, ": student %.1f %%", 100 * c->student / c->count);
    if (gaps)
        lmb_str_printf(out, ", teacher %.1f %%, gap %+.1f",
            100 * c->teacher / c->count, gap);
    lmb_str_add(out, "</title></rect>\n");
}

static void add_gap_table(
    lmb_str *out, const lmb_class_score *c, size_t n, bool gaps)
{
    enum { SHOWN = 5 };
    lmb_str_add(out, "<table><tr><th>class</th><th>student</th>");
    lmb_str_add(out, gaps ? "<th>teacher</th><th>gap</th></tr>\n" : "</tr>\n");
    for (size_t i = 0; i < n; i++) {
        if (i >= SHOWN && i + SHOWN < n)
            continue;
        lmb_str_add(out, "<tr><td>");
        lmb__html(out, c[i].name);
        lmb_str_printf(
            out, "</td><td>%.1f</td>", 100 * c[i].student / c[i].count);
        if (gaps)
            lmb_str_printf(out, "<td>%.1f</td><td>%+.1f</td>",
                100 * c[i].teacher / c[i].count, gap_of(&c[i]));
        lmb_str_add(out, "</tr>\n");
    }
    lmb_str_add(out, "</table>\n");
}

/* A frame that holds 0 and every gap, with whole ticks. */
static frame gap_frame(const lmb_report_run *run, double *step)
{
    frame f = {0, 1, 0, 0};
    for (size_t i = 0; i < run->n_classes; i++) {
        f.y0 = fmin(f.y0, gap_of(&run->classes[i]));
        f.y1 = fmax(f.y1, gap_of(&run->classes[i]));
    }
    *step = nice_step(fmax(f.y1 - f.y0, 1), 5);
    f.y0 = floor(f.y0 / *step) * *step;
    f.y1 = fmax(ceil(f.y1 / *step) * *step, f.y0 + *step);
    return f;
}

void lmb__svg_gaps(lmb_str *out, const lmb_report_run *run)
{
    double step = 1;
    const bool gaps = run->n_classes > 0 && run->classes[0].teacher >= 0;
    /* A detector's AP by class is on the page already. */
    if (run->n_classes == 0 || (!gaps && lmb__report_detects(run)))
        return;
    const double width =
        (double)(WIDTH - LEFT - RIGHT) / (double)run->n_classes;
    const frame f = gap_frame(run, &step);
    qsort(run->classes, run->n_classes, sizeof *run->classes, by_gap);
    lmb_str_printf(out,
        "<figure><h3>%s</h3>\n<svg viewBox=\"0 0 %d %d\" role=\"img\">\n",
        gaps ? "student minus teacher, by class" : "right, by class", WIDTH,
        HEIGHT);
    add_y_axis(out, &f, step);
    lmb_str_printf(out, "<text class=\"tick\" x=\"4\" y=\"%d\">%s</text>\n",
        TOP - 10, gaps ? "percentage points" : "percent");
    for (size_t i = 0; i < run->n_classes; i++)
        add_bar(out, &f, &run->classes[i], i, width, gaps);
    lmb_str_add(out, "</svg></figure>\n");
    add_gap_table(out, run->classes, run->n_classes, gaps);
}
