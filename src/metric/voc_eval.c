/* voc_eval.c: matching and average precision as VOC's development kit does
 * them. The eleven recalls are multiples of 0.1 in double, as in the Python
 * tools of the field: 3 of 10 found does not reach the fourth. */
#include "metric/voc_eval.h"

#include <math.h>

enum { IGNORED = -1, WRONG = 0, RIGHT = 1 };

typedef struct work {
    const lmb_boxes *boxes;
    const lmb_voc_opts *opts;
    lmb_box_order order;
    bool *taken; /* by index of truth */
    /* Of one class, in the order of order.dt. */
    double *score, *recall, *precision;
    int32_t *place; /* i-th best */
    int8_t *verdict;
    int32_t *best; /* the truth that it overlaps enough, or -1 */
} work;

static void work_fini(work *w)
{
    lmb_box_order_fini(&w->order);
    lmb_free(w->taken);
    lmb_free(w->score);
    lmb_free(w->recall);
    lmb_free(w->precision);
    lmb_free(w->place);
    lmb_free(w->verdict);
    lmb_free(w->best);
    *w = (work){0};
}

static lmb_status work_init(work *w)
{
    const int64_t n = w->boxes->n_dt;
    LMB_TRY(lmb_box_order_init(&w->order, w->boxes));
    LMB_TRY(LMB_NEW(w->taken, w->boxes->n_gt));
    LMB_TRY(LMB_NEW(w->score, n));
    LMB_TRY(LMB_NEW(w->recall, n + 2));
    LMB_TRY(LMB_NEW(w->precision, n + 2));
    LMB_TRY(LMB_NEW(w->place, n));
    LMB_TRY(LMB_NEW(w->verdict, n));
    return LMB_NEW(w->best, n);
}

/* --- matching */

static double overlap(const work *w, const double a[4], const double b[4])
{
    if (!w->opts->inclusive)
        return lmb_box_overlap(a, b, false);
    const double longer[2][4] = {
        {a[0], a[1], a[2] + 1, a[3] + 1}, {b[0], b[1], b[2] + 1, b[3] + 1}};
    return lmb_box_overlap(longer[0], longer[1], false);
}

static int32_t best_truth(
    const work *w, const lmb_box_group *g, const double box[4])
{
    double most = 0;
    int32_t best = -1;
    for (int64_t i = g->gt; i < g->gt + g->n_gt; i++) {
        const int32_t gt = w->order.gt[i];
        const double iou = overlap(w, box, w->boxes->gt[gt].box);
        if (iou > most) {
            most = iou;
            best = gt;
        }
    }
    return most >= w->opts->iou ? best : -1;
}

static bool counts(const lmb_gt_box *gt)
{
    return !gt->difficult && !gt->crowd;
}

static int8_t judge(work *w, int32_t gt)
{
    if (gt < 0)
        return WRONG;
    if (!counts(&w->boxes->gt[gt]))
        return IGNORED;
    const bool right = !w->taken[gt];
    w->taken[gt] = true;
    return right ? RIGHT : WRONG;
}

/* Fills score, place and verdict of a class. */
static lmb_status match_class(work *w, int32_t c, lmb_voc_class *out)
{
    const int64_t first = w->order.dt_first[c];
    lmb_box_group g = {-1, w->order.gt_first[c], 0, first, 0};
    while (lmb_box_group_next(w->boxes, &w->order, c, &g)) {
        for (int64_t i = g.gt; i < g.gt + g.n_gt; i++)
            out->truths += counts(&w->boxes->gt[w->order.gt[i]]);
        for (int64_t i = g.dt; i < g.dt + g.n_dt; i++) {
            const lmb_dt_box *dt = &w->boxes->dt[w->order.dt[i]];
            w->score[i - first] = dt->score;
            w->best[i - first] = best_truth(w, &g, dt->box);
        }
    }
    out->found = w->order.dt_first[c + 1] - first;
    LMB_TRY(lmb_sort_scores(w->score, out->found, w->place));
    for (int64_t i = 0; i < out->found; i++)
        w->verdict[w->place[i]] = judge(w, w->best[w->place[i]]);
    return LMB_OK;
}

/* --- average precision */

/* The curve with a beginning at recall 0 and an end at recall 1, precision
 * made monotone; returns its number of points. */
static int64_t make_curve(work *w, const lmb_voc_class *c)
{
    double right = 0, wrong = 0;
    int64_t n = 1;
    w->recall[0] = w->precision[0] = 0;
    for (int64_t i = 0; i < c->found; i++) {
        const int8_t verdict = w->verdict[w->place[i]];
        if (verdict == IGNORED)
            continue;
        right += verdict == RIGHT;
        wrong += verdict == WRONG;
        w->recall[n] = right / (double)c->truths;
        w->precision[n++] = right / (right + wrong);
    }
    w->recall[n] = 1;
    w->precision[n++] = 0;
    for (int64_t i = n - 1; i > 0; i--)
        w->precision[i - 1] = fmax(w->precision[i - 1], w->precision[i]);
    return n;
}

static double area_under(const work *w, int64_t n)
{
    double area = 0;
    for (int64_t i = 1; i < n; i++)
        area += (w->recall[i] - w->recall[i - 1]) * w->precision[i];
    return area;
}

static double eleven_points(const work *w, int64_t n)
{
    double sum = 0;
    int64_t at = 0;
    for (int i = 0; i <= 10; i++) {
        while (at < n && w->recall[at] < i * 0.1)
            at++;
        sum += at < n ? w->precision[at] : 0;
    }
    return sum / 11;
}

static double average_precision(work *w, const lmb_voc_class *c)
{
    if (c->truths == 0)
        return -1;
    const int64_t n = make_curve(w, c);
    return w->opts->eleven_points ? eleven_points(w, n) : area_under(w, n);
}

static lmb_status score_all(work *w, lmb_voc_scores *out)
{
    double sum = 0;
    int32_t defined = 0;
    LMB_TRY(LMB_NEW(out->classes, w->boxes->categories));
    out->categories = w->boxes->categories;
    for (int32_t c = 0; c < out->categories; c++) {
        LMB_TRY(match_class(w, c, &out->classes[c]));
        out->classes[c].ap = average_precision(w, &out->classes[c]);
        if (out->classes[c].ap >= 0) {
            sum += out->classes[c].ap;
            defined++;
        }
    }
    out->map = defined > 0 ? sum / defined : -1;
    return LMB_OK;
}

lmb_status lmb_voc_eval(
    const lmb_boxes *boxes, const lmb_voc_opts *opts, lmb_voc_scores *out)
{
    work w = {.boxes = boxes, .opts = opts};
    lmb_status st = LMB_OK;
    *out = (lmb_voc_scores){0};
    if (!(opts->iou > 0 && opts->iou <= 1))
        return LMB_FAIL(LMB_EINVAL,
            "voc: the IoU threshold %g is not in 0 .. 1", opts->iou);
    LMB_TRY(lmb_boxes_check(boxes));
    LMB_GOTO(work_init(&w), st, done);
    LMB_GOTO(score_all(&w, out), st, done);
done:
    if (st != LMB_OK)
        lmb_voc_scores_fini(out);
    work_fini(&w);
    return st;
}

void lmb_voc_scores_fini(lmb_voc_scores *scores)
{
    lmb_free(scores->classes);
    *scores = (lmb_voc_scores){0};
}
