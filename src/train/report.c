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
    "table{border-collapse:collapse;margin:.6em 0}th,td{padding:.25em .6em;"
    "text-align:right;border-bottom:1px solid #e6e8ec;white-space:nowrap;"
    "font-variant-numeric:tabular-nums}th:first-child,td:first-child,"
    ".l{text-align:left}td.l{white-space:normal}"
    "th{background:#f5f6f8;font-weight:600}"
    ".row{display:flex;flex-wrap:wrap;gap:1.2em;align-items:flex-start}"
    "figure{margin:0;flex:1 1 420px;max-width:580px}svg{width:100%;height:auto}"
    ".grid{stroke:#e3e6ea}.tick{font-size:11px;fill:#5d626b}"
    ".key{white-space:nowrap;margin-right:1em;font-size:13px}.key "
    "i{display:inline-block;width:14px;height:3px;margin-right:5px;"
    "vertical-align:middle}"
    "pre{background:#f5f6f8;padding:.8em;overflow:auto;font-size:12.5px}"
    ".shots{display:grid;gap:.6em;margin:.6em 0;grid-template-columns:repeat("
    "var(--n),1fr)}.shots figure{max-width:none}"
    ".shots img{width:100%;height:auto;display:block}"
    ".wide{overflow-x:auto}.wide table{font-size:13px}.shots "
    "figcaption{font-size:12.5px;color:#5d626b}"
    ".note{color:#5d626b}summary{cursor:pointer}";

void lmb__html_head(lmb_str *out, const char *title)
{
    lmb_str_add(out,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
        "<meta name=\"viewport\" content=\"width=device-width\"><title>");
    lmb__html(out, title);
    lmb_str_printf(out, "</title>\n<style>%s</style></head><body>\n", style);
}

static void add_cell(lmb_str *out, double value, const char *fmt)
{
    char text[48];
    /* The formats are digits after the point. */
    (void)snprintf(text, sizeof text, "%.*f", fmt[0] - '0', value);
    lmb_str_printf(out, "<td>%s</td>", isnan(value) ? "" : text);
}

/* Names with options may be broken behind each. */
static void add_model_cell(lmb_str *out, const char *text)
{
    lmb_str_add(out, "<td class=\"l\">");
    for (const char *at = text; *at != '\0';) {
        char part[192];
        const size_t n = strcspn(at, ",:");
        (void)snprintf(part, sizeof part, "%.*s", (int)n + 1, at);
        lmb__html(out, part);
        lmb_str_add(out, "<wbr>");
        at += n + (at[n] != '\0');
    }
    lmb_str_add(out, "</td>");
}

static void add_text_cell(lmb_str *out, const char *text)
{
    lmb_str_add(out, "<td class=\"l\">");
    lmb__html(out, text);
    lmb_str_add(out, "</td>");
}

/* Scores of a task that tables show: its first three at most. */
static int shown(const lmb_task *t)
{
    return t->n_scores < LMB_REPORT_SCORES ? t->n_scores : LMB_REPORT_SCORES;
}

/* Of detectors fractions, with one digit more. */
static const char *format_of(const lmb_task *t)
{
    return lmb_task_is_detection(t) ? "3" : "2";
}

static void add_run_row(lmb_str *out, const lmb_report_run *r)
{
    const char *fmt = format_of(r->task);
    lmb_str_add(out, "<tr>");
    add_text_cell(out, r->name);
    add_model_cell(out, r->student);
    add_model_cell(out, r->teacher);
    add_cell(out, r->teacher_score, fmt);
    add_text_cell(out, r->methods);
    add_text_cell(out, r->seed);
    for (int i = 0; i < shown(r->task); i++)
        add_cell(out, r->last[i], fmt);
    for (int i = 0; i < shown(r->task); i++)
        add_cell(out, r->best[i], fmt);
    add_cell(out, r->best_epoch, "0");
    add_cell(out, r->images_per_second, "0");
    lmb_str_add(out, "</tr>\n");
}

/* --- runs that differ by their seed --------------------------------------- */

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

static void add_mean_cell(lmb_str *out, const sums *s, int digits)
{
    const double mean = s->sum / s->n;
    const double variance =
        s->n > 1 ? fmax(0, (s->square - s->n * mean * mean) / (s->n - 1)) : NAN;
    lmb_str_printf(out, "<td>%.*f &plusmn; %.*f</td>", digits, mean, digits,
        sqrt(variance));
}

/* Runs that differ by their seed: the finished ones, each seed once. */
typedef struct group {
    sums last, best;
    int unfinished, repeated; /* left out */
} group;

static bool is_repeated(const lmb_report_run *runs, int i, int k)
{
    for (; i < k; i++)
        if (runs[i].finished &&
            strcmp(runs[i].identity, runs[k].identity) == 0 &&
            strcmp(runs[i].seed, runs[k].seed) == 0)
            return true;
    return false;
}

/* runs[i] and all later runs of its identity. */
static group gather(int n, const lmb_report_run *runs, int i)
{
    group g = {0};
    for (int k = i; k < n; k++) {
        if (strcmp(runs[k].identity, runs[i].identity) != 0)
            continue;
        if (!runs[k].finished) {
            g.unfinished++;
        } else if (is_repeated(runs, i, k)) {
            g.repeated++;
        } else {
            add_to(&g.last, runs[k].last[0]);
            add_to(&g.best, runs[k].best[0]);
        }
    }
    return g;
}

static void add_group_row(
    lmb_str *out, int n, const lmb_report_run *runs, int i)
{
    const group g = gather(n, runs, i);
    if (g.last.n < 2)
        return;
    lmb_str_printf(out, "<tr><td>%d seeds", g.last.n);
    if (g.unfinished > 0)
        lmb_str_printf(out, ", without %d unfinished", g.unfinished);
    if (g.repeated > 0)
        lmb_str_printf(out, ", without %d of a seed again", g.repeated);
    lmb_str_add(out, "</td>");
    add_model_cell(out, runs[i].student);
    add_text_cell(out, runs[i].methods);
    const int digits = format_of(runs[i].task)[0] - '0';
    add_mean_cell(out, &g.last, digits);
    add_mean_cell(out, &g.best, digits);
    lmb_str_add(out, "</tr>\n");
}

static const char *title_of(const lmb_task *t, int i)
{
    static const char *const dashed[] = {"top-1", "top-5"};
    return lmb_task_is_detection(t) ? t->score[i] : dashed[i];
}

static bool is_first(const lmb_report_run *runs, int i)
{
    for (int k = 0; k < i; k++)
        if (strcmp(runs[k].identity, runs[i].identity) == 0)
            return false;
    return true;
}

static bool any_group(int n, const lmb_report_run *runs, const lmb_task *task)
{
    for (int i = 0; i < n; i++)
        if (runs[i].task == task && is_first(runs, i) &&
            gather(n, runs, i).last.n > 1)
            return true;
    return false;
}

/* "last AP", "last AP50", ..: one header cell for each score. */
static void add_score_heads(lmb_str *out, const lmb_task *t, const char *which)
{
    for (int i = 0; i < shown(t); i++)
        lmb_str_printf(out, "<th>%s %s</th>", which, title_of(t, i));
}

static void add_groups(
    lmb_str *out, int n, const lmb_report_run *runs, const lmb_task *task)
{
    if (!any_group(n, runs, task))
        return;
    lmb_str_printf(out,
        "<table><tr><th>mean &plusmn; deviation</th><th class=\"l\">student"
        "</th><th class=\"l\">methods</th><th>last %s</th><th>best %s"
        "</th></tr>\n",
        title_of(task, 0), title_of(task, 0));
    for (int i = 0; i < n; i++)
        if (runs[i].task == task && is_first(runs, i))
            add_group_row(out, n, runs, i);
    lmb_str_add(out, "</table>\n");
}

/* The runs of one task. */
static void add_table(
    lmb_str *out, int n, const lmb_report_run *runs, const lmb_task *task)
{
    bool on_test = false;
    lmb_str_printf(out,
        "<div class=\"wide\"><table><tr><th>run</th><th "
        "class=\"l\">student</th>"
        "<th class=\"l\">teacher</th><th>its %s</th>"
        "<th class=\"l\">methods</th><th class=\"l\">seed</th>",
        title_of(task, 0));
    add_score_heads(out, task, "last");
    add_score_heads(out, task, "best");
    lmb_str_add(out, "<th>epoch</th><th>images/s</th></tr>\n");
    for (int i = 0; i < n; i++) {
        if (runs[i].task != task)
            continue;
        add_run_row(out, &runs[i]);
        on_test = on_test || runs[i].chosen_on_test;
    }
    lmb_str_add(out, "</table></div>\n");
    if (on_test)
        lmb_str_add(out,
            "<p class=\"note\">best was chosen on the test set: last is the "
            "number to compare.</p>\n");
    add_groups(out, n, runs, task);
}

/* --- the page ------------------------------------------------------------- */

/* Score k of all runs of a task over the epochs. */
static lmb_status add_curves(lmb_str *out, int n, const lmb_report_run *runs,
    const lmb_task *task, int k)
{
    const lmb_curve **curves = NULL;
    const char **names = NULL;
    int count = 0;
    lmb_status st = LMB_OK;
    LMB_GOTO(LMB_NEW(curves, n), st, done);
    LMB_GOTO(LMB_NEW(names, n), st, done);
    for (int i = 0; i < n; i++) {
        if (runs[i].task != task)
            continue;
        curves[count] = &runs[i].score[k];
        names[count++] = runs[i].name;
    }
    char title[64];
    (void)snprintf(
        title, sizeof title, "%s over the epochs", title_of(task, k));
    const lmb_chart chart = {.title = title,
        .x_label = "epoch",
        .y_label = lmb_task_is_detection(task) ? "" : "percent"};
    lmb__svg_lines(out, &chart, count, curves, names);
done:
    lmb_free(curves);
    lmb_free(names);
    return st;
}

/* Tables and curves of the runs of one task; nothing if there is none. */
static lmb_status add_task(
    lmb_str *out, int n, const lmb_report_run *runs, const char *name)
{
    const lmb_task *task = lmb_task_find(name);
    bool any = false;
    for (int i = 0; i < n; i++)
        any = any || runs[i].task == task;
    if (!any)
        return LMB_OK;
    const bool boxes = lmb_task_is_detection(task);
    lmb_str_printf(out, "<h2>%s</h2>\n", boxes ? "Detection" : "Results");
    add_table(out, n, runs, task);
    lmb_str_add(out, "<div class=\"row\">\n");
    LMB_TRY(add_curves(out, n, runs, task, 0));
    if (boxes)
        LMB_TRY(add_curves(out, n, runs, task, 1));
    lmb_str_add(out, "</div>\n");
    return boxes ? lmb__report_compare(out, n, runs) : LMB_OK;
}

static void add_details(lmb_str *out, const char *title, const char *text)
{
    if (text == NULL || text[0] == '\0')
        return;
    lmb_str_printf(out, "<details><summary>%s</summary><pre>", title);
    lmb__html(out, text);
    lmb_str_add(out, "</pre></details>\n");
}

static lmb_status add_run(lmb_str *out, const lmb_report_run *run)
{
    const lmb_curve *curves[LMB_REPORT_SERIES];
    const char *names[LMB_REPORT_SERIES];
    static const lmb_chart chart = {.title = "training loss and its terms",
        .x_label = "epoch",
        .y_label = "loss"};
    for (int i = 0; i < run->n_loss; i++) {
        curves[i] = &run->loss[i];
        names[i] = run->loss[i].name;
    }
    lmb_str_add(out, "<h2>");
    lmb__html(out, run->name);
    lmb_str_add(out, "</h2><p class=\"note\">");
    lmb__html(out, run->dir);
    lmb_str_add(out, "</p><div class=\"row\">\n");
    lmb__svg_lines(out, &chart, run->n_loss, curves, names);
    lmb__svg_gaps(out, run);
    lmb_str_add(out, "</div>\n");
    LMB_TRY(lmb__report_detail(out, run));
    LMB_TRY(lmb__report_samples(out, run));
    add_details(out, "config.yaml", run->config);
    add_details(out, "manifest.json", run->manifest);
    return LMB_OK;
}

static lmb_status write_page(
    const char *path, int n, const lmb_report_run *runs)
{
    lmb_str out = {0};
    lmb_status st = LMB_OK;
    char title[64];
    (void)snprintf(
        title, sizeof title, "limbeck: %d run%s", n, n == 1 ? "" : "s");
    lmb__html_head(&out, title);
    lmb_str_add(&out, "<h1>limbeck report</h1>\n");
    LMB_GOTO(add_task(&out, n, runs, "classification"), st, done);
    LMB_GOTO(add_task(&out, n, runs, "detection"), st, done);
    for (int i = 0; i < n; i++)
        LMB_GOTO(add_run(&out, &runs[i]), st, done);
    lmb_str_add(&out, "</body></html>\n");
    LMB_GOTO(lmb_str_status(&out), st, done);
    LMB_GOTO(lmb_file_write(path, out.text, out.length), st, done);
done:
    lmb_str_fini(&out);
    return st;
}

lmb_status lmb_report_write(
    const char *path, int n, const char *const *dirs, lmb_str *json)
{
    lmb_report_run *runs = NULL;
    int read = 0;
    lmb_status st = LMB_OK;
    if (n < 1)
        return LMB_FAIL(LMB_EUSAGE, "a report needs a run directory");
    LMB_TRY(LMB_NEW(runs, n));
    for (; read < n && st == LMB_OK; read++) {
        st = lmb__report_read(dirs[read], &runs[read]);
        if (st == LMB_OK)
            st = lmb__report_read_boxes(&runs[read]);
    }
    if (st == LMB_OK)
        st = write_page(path, n, runs);
    if (st == LMB_OK && json != NULL)
        st = lmb__report_json(json, n, runs);
    for (int i = 0; i < read; i++)
        lmb__report_fini(&runs[i]);
    lmb_free(runs);
    return st;
}
