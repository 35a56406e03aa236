/* post.c: picking, sorting and suppressing candidates; see post.h. */
#include "detect/post.h"

#include "detect/nms.h"

void lmb_post_pick(
    const float *score, int64_t count, double threshold, lmb_top *top)
{
    for (int64_t i = 0; i < count; i++)
        if ((double)score[i] > threshold)
            lmb_top_push(top, lmb_top_key(lmb_top_rank(score[i]), i));
}

/* Candidates in the order of their scores, as nms wants them. */
typedef struct sorted {
    lmb_candidate *candidate;
    uint64_t *key;
    lmb_box *box;
    int32_t *label;
    lmb_nms_tile *tile;
    int64_t *kept;
    int64_t n;
} sorted;

static bool usable(const lmb_candidate *c, bool keep_empty)
{
    const bool area = c->box.x1 > c->box.x0 && c->box.y1 > c->box.y0;
    return lmb_detect_finite(&c->box) && (area || keep_empty) &&
        c->score == c->score;
}

static void sort(
    const lmb_post_rule *rule, lmb_candidate *from, int64_t n, sorted *s)
{
    lmb_top top = {s->key, n, 0};
    for (int64_t i = 0; i < n; i++) {
        if (rule->height > 0 && rule->width > 0)
            from[i].box =
                lmb_detect_clip(from[i].box, rule->height, rule->width);
        if (usable(&from[i], rule->keep_empty))
            lmb_top_push(&top, lmb_top_key(lmb_top_rank(from[i].score), i));
    }
    lmb_top_sort(&top);
    s->n = top.count;
    for (int64_t k = 0; k < top.count; k++) {
        s->candidate[k] = from[lmb_top_index(top.key[k])];
        s->box[k] = s->candidate[k].box;
        s->label[k] = s->candidate[k].label;
    }
}

static lmb_status allocate(int64_t n, int64_t most, sorted *s)
{
    LMB_TRY(LMB_NEW(s->candidate, n));
    LMB_TRY(LMB_NEW(s->key, n));
    LMB_TRY(LMB_NEW(s->box, n));
    LMB_TRY(LMB_NEW(s->label, n));
    LMB_TRY(LMB_NEW(s->tile, lmb_nms_tiles(most)));
    return LMB_NEW(s->kept, most);
}

lmb_status lmb_post_finish(const lmb_post_rule *rule, lmb_candidate *candidate,
    int64_t n, int64_t *kept)
{
    sorted s = {0};
    lmb_status st = LMB_OK;
    const int64_t most = rule->most < n ? rule->most : n;
    *kept = 0;
    LMB_GOTO(allocate(n, most, &s), st, done);
    sort(rule, candidate, n, &s);
    *kept = lmb_nms(
        (lmb_nms_boxes){s.box, s.label, s.n}, rule->nms, most, s.tile, s.kept);
    for (int64_t k = 0; k < *kept; k++)
        candidate[k] = s.candidate[s.kept[k]];
done:
    lmb_free(s.candidate);
    lmb_free(s.key);
    lmb_free(s.box);
    lmb_free(s.label);
    lmb_free(s.tile);
    lmb_free(s.kept);
    return st;
}
