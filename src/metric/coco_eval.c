/* coco_eval.c: from matches to the twelve numbers of COCO. */
#include "metric/coco_eval.h"
#include "metric/coco_impl.h"

#include <float.h>

const char *const lmb_coco_names[LMB_COCO_NUMBERS] = {"AP", "AP50", "AP75",
    "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"};

enum { ALL, SMALL, MEDIUM, LARGE }; /* ranges of areas */
enum { AT_50 = 0, AT_75 = 5 }; /* thresholds */

/* A mean of what is defined; -1 of nothing. */
typedef struct mean {
    double sum;
    int64_t count;
} mean;

static void mean_add(mean *m, double value)
{
    if (value > -1) {
        m->sum += value;
        m->count++;
    }
}

static double mean_of(const mean *m)
{
    return m->count > 0 ? m->sum / (double)m->count : -1;
}

/* The matches of a category by falling score; room for a curve. */
typedef struct ranking {
    lmb_coco_matches matches;
    int32_t *place; /* i-th best: its index in matches */
    double *scores; /* by index */
    double *recall, *precision; /* after the i-th best */
} ranking;

static void ranking_fini(ranking *r)
{
    lmb__coco_matches_fini(&r->matches);
    lmb_free(r->place);
    lmb_free(r->scores);
    lmb_free(r->recall);
    lmb_free(r->precision);
    *r = (ranking){0};
}

static lmb_status ranking_init(ranking *r, int64_t most)
{
    *r = (ranking){0};
    LMB_TRY(LMB_NEW(r->place, most));
    LMB_TRY(LMB_NEW(r->scores, most));
    LMB_TRY(LMB_NEW(r->recall, most));
    return LMB_NEW(r->precision, most);
}

static lmb_status rank(ranking *r)
{
    for (int64_t i = 0; i < r->matches.count; i++)
        r->scores[i] = r->matches.items[i].score;
    return lmb_sort_scores(r->scores, r->matches.count, r->place);
}

/* --- one curve */

/* Recall after all of each image's `most` best; -1: nothing to find. */
static double last_recall(const ranking *r, int area, int t, int32_t most)
{
    const int64_t truths = r->matches.truths[area];
    int64_t hits = 0;
    for (int64_t i = 0; i < r->matches.count; i++) {
        const lmb_coco_match *m = &r->matches.items[i];
        if (m->rank < most)
            hits += (m->matched[area] & ~m->ignored[area]) >> t & 1;
    }
    return truths > 0 ? (double)hits / (double)truths : -1;
}

/* Recall and precision after each detection, best first; precision is then
 * the largest at this recall or a larger one. */
static void make_curve(ranking *r, int area, int t)
{
    const int64_t n = r->matches.count;
    double tp = 0, fp = 0;
    for (int64_t i = 0; i < n; i++) {
        const lmb_coco_match *m = &r->matches.items[r->place[i]];
        const bool counts = (m->ignored[area] >> t & 1) == 0;
        const bool hit = (m->matched[area] >> t & 1) != 0;
        tp += counts && hit;
        fp += counts && !hit;
        r->recall[i] = tp / (double)r->matches.truths[area];
        r->precision[i] = tp / (fp + tp + DBL_EPSILON);
    }
    for (int64_t i = n - 1; i > 0; i--)
        if (r->precision[i] > r->precision[i - 1])
            r->precision[i - 1] = r->precision[i];
}

/* Precision where recall 0, 0.01 .. 1 is first reached, 0 if it is not; and
 * the score there. */
static void sample_curve(
    const ranking *r, double precision[LMB_COCO_RECALLS], double *score)
{
    int64_t at = 0;
    for (int i = 0; i < LMB_COCO_RECALLS; i++) {
        const double recall = i == LMB_COCO_RECALLS - 1 ? 1 : i * 0.01;
        while (at < r->matches.count && r->recall[at] < recall)
            at++;
        const bool reached = at < r->matches.count;
        precision[i] = reached ? r->precision[at] : 0;
        if (score != NULL)
            score[i] = reached ? r->scores[r->place[at]] : 0;
    }
}

/* --- one category */

static mean average_precision(
    ranking *r, int area, int t, lmb_coco_class *curve)
{
    double precision[LMB_COCO_RECALLS];
    mean m = {0};
    if (r->matches.truths[area] == 0)
        return m;
    make_curve(r, area, t);
    sample_curve(r, curve != NULL ? curve->precision : precision,
        curve != NULL ? curve->score : NULL);
    for (int i = 0; i < LMB_COCO_RECALLS; i++)
        mean_add(&m, curve != NULL ? curve->precision[i] : precision[i]);
    return m;
}

static double average_over_thresholds(
    ranking *r, int area, lmb_coco_class *c, mean *total)
{
    mean all = {0};
    for (int t = 0; t < LMB_COCO_THRESHOLDS; t++) {
        const bool curve = area == ALL && t == AT_50;
        const mean m = average_precision(r, area, t, curve ? c : NULL);
        if (area == ALL && t == AT_50)
            c->ap50 = mean_of(&m);
        if (area == ALL && t == AT_75)
            c->ap75 = mean_of(&m);
        all.sum += m.sum;
        all.count += m.count;
    }
    total->sum += all.sum;
    total->count += all.count;
    return mean_of(&all);
}

static double average_recall(
    const ranking *r, int area, int32_t most, mean *total)
{
    mean m = {0};
    for (int t = 0; t < LMB_COCO_THRESHOLDS; t++) {
        const double recall = last_recall(r, area, t, most);
        mean_add(&m, recall);
        mean_add(total, recall);
    }
    return mean_of(&m);
}

static void no_curve(lmb_coco_class *c)
{
    for (int i = 0; i < LMB_COCO_RECALLS; i++)
        c->precision[i] = c->score[i] = -1;
}

static void score_class(
    ranking *r, lmb_coco_class *c, mean number[LMB_COCO_NUMBERS])
{
    c->truths = r->matches.truths[ALL];
    c->found = r->matches.count;
    no_curve(c);
    c->ap = average_over_thresholds(r, ALL, c, &number[LMB_COCO_AP]);
    c->aps = average_over_thresholds(r, SMALL, c, &number[LMB_COCO_APS]);
    c->apm = average_over_thresholds(r, MEDIUM, c, &number[LMB_COCO_APM]);
    c->apl = average_over_thresholds(r, LARGE, c, &number[LMB_COCO_APL]);
    mean_add(&number[LMB_COCO_AP50], c->ap50);
    mean_add(&number[LMB_COCO_AP75], c->ap75);
    (void)average_recall(r, ALL, 1, &number[LMB_COCO_AR1]);
    (void)average_recall(r, ALL, 10, &number[LMB_COCO_AR10]);
    c->ar100 = average_recall(r, ALL, LMB_COCO_MOST, &number[LMB_COCO_AR100]);
    (void)average_recall(r, SMALL, LMB_COCO_MOST, &number[LMB_COCO_ARS]);
    (void)average_recall(r, MEDIUM, LMB_COCO_MOST, &number[LMB_COCO_ARM]);
    (void)average_recall(r, LARGE, LMB_COCO_MOST, &number[LMB_COCO_ARL]);
}

/* --- all categories */

static lmb_status score_all(const lmb_boxes *boxes, const lmb_box_order *order,
    ranking *r, lmb_coco_scores *out)
{
    mean number[LMB_COCO_NUMBERS] = {0};
    LMB_TRY(LMB_NEW(out->classes, boxes->categories));
    out->categories = boxes->categories;
    for (int32_t c = 0; c < boxes->categories; c++) {
        LMB_TRY(lmb__coco_match(&r->matches, boxes, order, c));
        LMB_TRY(rank(r));
        score_class(r, &out->classes[c], number);
    }
    for (int i = 0; i < LMB_COCO_NUMBERS; i++)
        out->number[i] = mean_of(&number[i]);
    return LMB_OK;
}

static int64_t largest_class(const lmb_boxes *boxes, const lmb_box_order *order)
{
    int64_t most = 0;
    for (int32_t c = 0; c < boxes->categories; c++) {
        const int64_t n = order->dt_first[c + 1] - order->dt_first[c];
        most = n > most ? n : most;
    }
    return most;
}

lmb_status lmb_coco_eval(const lmb_boxes *boxes, lmb_coco_scores *out)
{
    lmb_box_order order = {0};
    ranking r = {0};
    lmb_status st = LMB_OK;
    *out = (lmb_coco_scores){0};
    LMB_TRY(lmb_boxes_check(boxes));
    LMB_GOTO(lmb_box_order_init(&order, boxes), st, done);
    LMB_GOTO(ranking_init(&r, largest_class(boxes, &order)), st, done);
    LMB_GOTO(score_all(boxes, &order, &r, out), st, done);
done:
    if (st != LMB_OK)
        lmb_coco_scores_fini(out);
    ranking_fini(&r);
    lmb_box_order_fini(&order);
    return st;
}

void lmb_coco_scores_fini(lmb_coco_scores *scores)
{
    lmb_free(scores->classes);
    *scores = (lmb_coco_scores){0};
}
