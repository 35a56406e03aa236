/* report.c: the HTML page about runs: tables, curves, gaps, configuration. */
#include "train/report.h"

#include "base/file.h"
#include "train/report_impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char style[] =
    "body{font:15px/1.5 system-ui,sans-serif;color:#1d1f24;background:#fff;"
    "max-width:1180px;margin:2em auto;padding:0 1em}"
    "h1{font-size:1.6em;margin-bottom:.2em}h2{margin:1.8em 0 .4em;font-size:"
    "1.25em;border-bottom:1px solid #d8dbe0}h3{font-size:1em;margin:.2em 0}"
    "table{border-collapse:collapse;margin:.6em 0}th,td{padding:.25em .8em;"
    "text-align:right;border-bottom:1px solid #e6e8ec;white-space:nowrap;"
    "font-variant-numeric:tabular-nums}th:first-child,td:first-child,"
    ".l{text-align:left}"
    "th{background:#f5f6f8;font-weight:600}"
    ".row{display:flex;flex-wrap:wrap;gap:1.2em;align-items:flex-start}"
    "figure{margin:0;flex:1 1 420px;max-width:580px}svg{width:100%;height:auto}"
    ".grid{stroke:#e3e6ea}.tick{font-size:11px;fill:#5d626b}"
    ".key{white-space:nowrap;margin-right:1em;font-size:13px}.key "
    "i{display:inline-block;width:14px;height:3px;margin-right:5px;"
    "vertical-align:middle}"
    "pre{background:#f5f6f8;padding:.8em;overflow:auto;font-size:12.5px}"
    ".note{color:#5d626b}summary{cursor:pointer}";

static void add_cell(lmb_str *out, double value, const char *fmt)
{
    char text[48];
    /* The formats are this file's own literals. */
    (void)snprintf(
        text, sizeof text, strcmp(fmt, "0") == 0 ? "%.0f" : "%.2f", value);
    lmb_str_printf(out, "<td>%s</td>", isnan(value) ? "" : text);
}

static void add_text_cell(lmb_str *out, const char *text)
{
    lmb_str_add(out, "<td class=\"l\">");
    lmb__html(out, text);
    lmb_str_add(out, "</td>");
}

static void add_run_row(lmb_str *out, const lmb_report_run *r)
{
    lmb_str_add(out, "<tr>");
    add_text_cell(out, r->name);
    add_text_cell(out, r->student);
    add_text_cell(out, r->teacher);
    add_cell(out, r->teacher_top1, "2");
    add_text_cell(out, r->methods);
    add_text_cell(out, r->seed);
    add_cell(out, r->last_top1, "2");
    add_cell(out, r->last_top5, "2");
    add_cell(out, r->best_top1, "2");
    add_cell(out, r->best_epoch, "0");
    add_cell(out, r->images_per_second, "0");
    lmb_str_add(out, "</tr>\n");
}

/* --- runs that differ by their seed ----------------------------------------
 */

typedef struct sums {
    int n;
    double sum, square;
} sums;

static void add_to(sums *s, double x)
{
    s->n++;
    s->sum += x;
    s->square += x * x;
}

static void add_mean_cell(lmb_str *out, const sums *s)
{
    const double mean = s->sum / s->n;
    const double variance =
        s->n > 1 ? fmax(0, (s->square - s->n * mean * mean) / (s->n - 1)) : NAN;
    lmb_str_printf(out, "<td>%.2f &plusmn; %.2f</td>", mean, sqrt(variance));
}

/* One row for runs[i] and all later runs of its identity. */
static void add_group_row(
    lmb_str *out, int n, const lmb_report_run *runs, int i)
{
    sums last = {0}, best = {0};
    for (int k = i; k < n; k++) {
        if (strcmp(runs[k].identity, runs[i].identity) != 0)
            continue;
        add_to(&last, runs[k].last_top1);
        add_to(&best, runs[k].best_top1);
    }
    if (last.n < 2)
        return;
    lmb_str_printf(out, "<tr><td>%d seeds</td>", last.n);
    add_text_cell(out, runs[i].student);
    add_text_cell(out, runs[i].methods);
    add_mean_cell(out, &last);
    add_mean_cell(out, &best);
    lmb_str_add(out, "</tr>\n");
}

static bool is_first(const lmb_report_run *runs, int i)
{
    for (int k = 0; k < i; k++)
        if (strcmp(runs[k].identity, runs[i].identity) == 0)
            return false;
    return true;
}

static bool any_group(int n, const lmb_report_run *runs)
{
    for (int i = 0; i < n; i++)
        if (!is_first(runs, i))
            return true;
    return false;
}

static void add_tables(lmb_str *out, int n, const lmb_report_run *runs)
{
    bool on_test = false;
    lmb_str_add(out,
        "<h2>Results</h2><table><tr><th>run</th><th class=\"l\">student</th>"
        "<th class=\"l\">teacher</th><th>its top-1</th>"
        "<th class=\"l\">methods</th>"
        "<th class=\"l\">seed</th><th>last top-1</th><th>last top-5</th>"
        "<th>best top-1</th><th>epoch</th><th>images/s</th></tr>\n");
    for (int i = 0; i < n; i++) {
        add_run_row(out, &runs[i]);
        on_test = on_test || runs[i].chosen_on_test;
    }
    lmb_str_add(out, "</table>\n");
    if (on_test)
        lmb_str_add(out,
            "<p class=\"note\">best was chosen on the test set: last is the "
            "number to compare.</p>\n");
    if (!any_group(n, runs))
        return;
    lmb_str_add(out,
        "<table><tr><th>mean &plusmn; deviation</th><th class=\"l\">student"
        "</th><th class=\"l\">methods</th><th>last top-1</th><th>best top-1"
        "</th></tr>\n");
    for (int i = 0; i < n; i++)
        if (is_first(runs, i))
            add_group_row(out, n, runs, i);
    lmb_str_add(out, "</table>\n");
}

/* --- the page --------------------------------------------------------------
 */

static lmb_status add_top1(lmb_str *out, int n, const lmb_report_run *runs)
{
    const lmb_curve **curves = NULL;
    const char **names = NULL;
    lmb_status st = LMB_OK;
    LMB_GOTO(LMB_NEW(curves, n), st, done);
    LMB_GOTO(LMB_NEW(names, n), st, done);
    for (int i = 0; i < n; i++) {
        curves[i] = &runs[i].top1;
        names[i] = runs[i].name;
    }
    lmb_str_add(out, "<h2>Accuracy</h2><div class=\"row\">\n");
    lmb__svg_lines(out, "top-1 over the epochs", "percent", n, curves, names);
    lmb_str_add(out, "</div>\n");
done:
    lmb_free(curves);
    lmb_free(names);
    return st;
}

static void add_details(lmb_str *out, const char *title, const char *text)
{
    if (text == NULL || text[0] == '\0')
        return;
    lmb_str_printf(out, "<details><summary>%s</summary><pre>", title);
    lmb__html(out, text);
    lmb_str_add(out, "</pre></details>\n");
}

static void add_run(lmb_str *out, const lmb_report_run *run)
{
    const lmb_curve *curves[LMB_REPORT_SERIES];
    const char *names[LMB_REPORT_SERIES];
    for (int i = 0; i < run->n_loss; i++) {
        curves[i] = &run->loss[i];
        names[i] = run->loss[i].name;
    }
    lmb_str_add(out, "<h2>");
    lmb__html(out, run->name);
    lmb_str_add(out, "</h2><p class=\"note\">");
    lmb__html(out, run->dir);
    lmb_str_add(out, "</p><div class=\"row\">\n");
    lmb__svg_lines(
        out, "training loss and its terms", "loss", run->n_loss, curves, names);
    lmb__svg_gaps(out, run);
    lmb_str_add(out, "</div>\n");
    add_details(out, "config.yaml", run->config);
    add_details(out, "manifest.json", run->manifest);
}

static lmb_status write_page(
    const char *path, int n, const lmb_report_run *runs)
{
    lmb_str out = {0};
    lmb_status st = LMB_OK;
    lmb_str_printf(&out,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
        "<meta name=\"viewport\" content=\"width=device-width\">"
        "<title>limbeck: %d run%s</title>\n<style>%s</style></head><body>\n"
        "<h1>limbeck report</h1>\n",
        n, n == 1 ? "" : "s", style);
    add_tables(&out, n, runs);
    LMB_GOTO(add_top1(&out, n, runs), st, done);
    for (int i = 0; i < n; i++)
        add_run(&out, &runs[i]);
    lmb_str_add(&out, "</body></html>\n");
    LMB_GOTO(lmb_str_status(&out), st, done);
    LMB_GOTO(lmb_file_write(path, out.text, out.length), st, done);
done:
    lmb_str_fini(&out);
    return st;
}

lmb_status lmb_report_write(const char *path, int n, const char *const *dirs)
{
    lmb_report_run *runs = NULL;
    int read = 0;
    lmb_status st = LMB_OK;
    if (n < 1)
        return LMB_FAIL(LMB_EUSAGE, "a report needs a run directory");
    LMB_TRY(LMB_NEW(runs, n));
    for (; read < n && st == LMB_OK; read++)
        st = lmb__report_read(dirs[read], &runs[read]);
    if (st == LMB_OK)
        st = write_page(path, n, runs);
    for (int i = 0; i < read; i++)
        lmb__report_fini(&runs[i]);
    lmb_free(runs);
    return st;
}
