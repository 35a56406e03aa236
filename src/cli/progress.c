/* progress.c: what a run says while it goes: one line that is drawn again and
 * again on a terminal, plain lines elsewhere. */
#include "cli/run.h"

#include "base/clock.h"
#include "train/runlog.h"

#include <math.h>

/* "1h 02m", "3m 20s", "12s". */
static void add_duration(lmb_str *out, double seconds)
{
    if (!isfinite(seconds) || seconds < 0) {
        lmb_str_add(out, "?");
        return;
    }
    const int64_t s = (int64_t)(seconds + 0.5);
    if (s >= 3600)
        lmb_str_printf(out, "%lldh %02lldm", (long long)(s / 3600),
            (long long)(s / 60 % 60));
    else if (s >= 60)
        lmb_str_printf(
            out, "%lldm %02llds", (long long)(s / 60), (long long)(s % 60));
    else
        lmb_str_printf(out, "%llds", (long long)s);
}

/* "loss 4.32 (ce 0.41, kd 3.91)" */
static void add_losses(lmb_str *out, const lmb_row *row)
{
    if (isnan(row->loss))
        return;
    lmb_str_printf(out, "loss %.4g", row->loss);
    if (row->n_parts + row->n_terms < 2)
        return;
    const char *before = " (";
    for (int i = 0; i < row->n_parts; i++, before = ", ")
        lmb_str_printf(
            out, "%s%s %.4g", before, row->part_name[i], row->part[i]);
    for (int i = 0; i < row->n_terms; i++, before = ", ")
        lmb_str_printf(
            out, "%s%s %.4g", before, row->term_name[i], row->term[i]);
    lmb_str_add(out, ")");
}

/* "  top1 61.20  top5 88.00", as far as the row has them. */
static void add_scores(lmb_str *out, const lmb_row *row)
{
    for (int i = 0; i < row->task->n_shown; i++)
        if (!isnan(row->score[i]))
            lmb_str_printf(out, "  %s %.*f", row->task->score[i],
                row->task->digits, row->score[i]);
}

/* "[####----]", how much is done. */
static void add_bar(lmb_str *out, int64_t done, int64_t all)
{
    enum { WIDTH = 12 };
    lmb_str_add(out, "[");
    for (int64_t i = 0; i < WIDTH; i++)
        lmb_str_add(out, all > 0 && i < WIDTH * done / all ? "#" : "-");
    lmb_str_add(out, "] ");
}

static void add_progress(lmb_str *out, const lmb_progress *p, bool bar)
{
    const lmb_row *row = &p->so_far;
    if (bar)
        add_bar(out, p->step_in_epoch, p->steps_per_epoch);
    lmb_str_printf(out, "epoch %lld/%lld  %lld/%lld  ", (long long)p->epoch,
        (long long)p->epochs, (long long)p->step_in_epoch,
        (long long)p->steps_per_epoch);
    add_losses(out, row);
    add_scores(out, row);
    lmb_str_printf(out, "  lr %.4g  %.0f images/s  left ", row->lr,
        row->images_per_second);
    add_duration(out, p->seconds_left);
}

/* Over the line before on a terminal, on a line of its own elsewhere. */
static void draw(cli_progress *p, lmb_str *line, bool terminal)
{
    /* A line that wraps could not be drawn over. */
    const size_t width = (size_t)cli_terminal_width() - 1;
    if (terminal && line->length > width)
        line->text[width] = '\0';
    if (line->text != NULL)
        (void)fprintf(stderr, terminal ? "\r\033[K%s" : "%s\n", line->text);
    p->line_open = terminal;
}

static void on_step(const lmb_progress *p, void *user)
{
    cli_progress *progress = user;
    const bool terminal = cli_terminal();
    const double t = lmb_clock_now();
    if (progress->c->quiet)
        return;
    if (terminal ? t - progress->last_line < 0.2
                 : progress->log_every == 0 ||
                p->step_in_epoch % progress->log_every != 0)
        return;
    lmb_str line = {0};
    add_progress(&line, p, terminal);
    draw(progress, &line, terminal);
    progress->last_line = t;
    lmb_str_fini(&line);
}

void cli_progress_end(cli_progress *p)
{
    if (p->line_open)
        (void)fputs("\r\033[K", stderr);
    p->line_open = false;
}

void cli_progress_images(int64_t done, int64_t count, void *user)
{
    enum { LINE_SECONDS = 60 };
    cli_progress *p = user;
    const bool terminal = cli_terminal();
    const double t = lmb_clock_now();
    if (done == 0)
        p->eval_begun = p->eval_line = t;
    if (done == count)
        cli_progress_end(p);
    if (p->c->quiet || done == 0 || done == count ||
        t - p->eval_line < (terminal ? 0.2 : LINE_SECONDS))
        return;
    const double rate = (double)done / (t - p->eval_begun);
    lmb_str line = {0};
    if (terminal)
        add_bar(&line, done, count);
    lmb_str_printf(&line, "evaluating %lld/%lld  %.*f images/s  left ",
        (long long)done, (long long)count, rate < 10 ? 1 : 0, rate);
    add_duration(&line, (double)(count - done) / rate);
    draw(p, &line, terminal);
    p->eval_line = t;
    lmb_str_fini(&line);
}

static void on_row(const lmb_row *row, void *user)
{
    cli_progress *progress = user;
    lmb_str line = {0};
    if (progress->c->quiet)
        return;
    cli_progress_end(progress);
    lmb_str_printf(&line, "epoch %-4lld %-5s ", (long long)row->epoch,
        row->split != NULL ? row->split : "");
    add_losses(&line, row);
    add_scores(&line, row);
    if (!isnan(row->lr) && row->lr > 0)
        lmb_str_printf(&line, "  lr %.4g", row->lr);
    if (!isnan(row->images_per_second)) /* no step was left to be made */
        lmb_str_printf(&line, "  %.0f images/s", row->images_per_second);
    lmb_str_add(&line, "  ");
    add_duration(&line, row->seconds);
    if (line.text != NULL)
        (void)fprintf(stderr, "%s\n", line.text);
    lmb_str_fini(&line);
}

/* The directory is there now: the merged configuration and its origins. */
static lmb_status on_start(const lmb_run *run, void *user)
{
    cli_progress *p = user;
    const lmb_run_facts facts = lmb_run_describe(run);
    const char *dir = facts.config->out;
    lmb_str line = {0};
    lmb_status st = LMB_OK;
    cli_command_line(p->c, &line);
    LMB_GOTO(lmb_str_status(&line), st, done);
    if (!facts.config->resume)
        LMB_GOTO(lmb_config_save(facts.config, p->config, dir), st, done);
    LMB_GOTO(lmb_manifest_write(dir, run, line.text), st, done);
    LMB_GOTO(cli_print_plan(p->c, run), st, done);
done:
    lmb_str_fini(&line);
    return st;
}

void cli_progress_observer(cli_progress *p, lmb_observer *out)
{
    *out = (lmb_observer){
        .on_start = on_start,
        .on_step = on_step,
        .on_row = on_row,
        .on_images = cli_progress_images,
        .user = p,
        .stop = cli_signal(),
    };
}
