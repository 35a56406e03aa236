/* test_coco_eval.c: COCO's numbers against pycocotools on drawn scenes
 * (tools/golden/coco_eval.py), and small cases that can be seen through. */
#include "lmb_test.h"

#include "metric/coco_eval.h"
#include "train/box_files.h"

#define SAME 1e-9

/* --- pycocotools */

static double next_number(FILE *f)
{
    double value = 0;
    assert_int_equal(fscanf(f, "%lf", &value), 1);
    return value;
}

static void check_curve(FILE *f, const double curve[LMB_COCO_RECALLS])
{
    for (int i = 0; i < LMB_COCO_RECALLS; i++)
        CHECK_NEAR(curve[i], next_number(f), SAME);
}

static void check_class(FILE *f, const lmb_coco_class *c, int64_t id)
{
    long long want = 0;
    assert_int_equal(fscanf(f, " class %lld", &want), 1);
    assert_int_equal(id, want);
    const double row[] = {
        c->ap, c->ap50, c->ap75, c->aps, c->apm, c->apl, c->ar100};
    for (size_t i = 0; i < LMB_COUNT(row); i++)
        CHECK_NEAR(row[i], next_number(f), SAME);
    check_curve(f, c->precision);
    check_curve(f, c->score);
}

static void check_scene(const char *name)
{
    char path[3][512], key[16];
    static const char *const ends[] = {"_gt.json", "_dt.json", ".txt"};
    lmb_box_files files;
    lmb_coco_scores scores;
    for (int i = 0; i < 3; i++)
        (void)snprintf(path[i], sizeof path[i], "%s/metric/golden/coco_%s%s",
            LMB_TEST_DIR, name, ends[i]);
    CHECK_OK(lmb_box_files_load(path[0], path[1], &files));
    CHECK_OK(lmb_coco_eval(&files.boxes, &scores));
    FILE *f = fopen(path[2], "r");
    assert_non_null(f);
    for (int i = 0; i < LMB_COCO_NUMBERS; i++) {
        assert_int_equal(fscanf(f, "%15s", key), 1);
        assert_string_equal(key, lmb_coco_names[i]);
        CHECK_NEAR(scores.number[i], next_number(f), SAME);
    }
    for (int32_t c = 0; c < scores.categories; c++)
        check_class(f, &scores.classes[c], files.truth.categories[c].id);
    (void)fclose(f);
    lmb_coco_scores_fini(&scores);
    lmb_box_files_fini(&files);
}

static void drawn_scenes_score_as_pycocotools(void **state)
{
    (void)state;
    check_scene("mixed");
    check_scene("ties");
    check_scene("many");
    check_scene("zero");
    check_scene("sparse");
}

/* --- by hand */

static lmb_gt_box truth(
    int32_t image, int32_t category, double x, double y, double w, double h)
{
    return (lmb_gt_box){.box = {x, y, w, h},
        .area = w * h,
        .image = image,
        .category = category};
}

static lmb_dt_box found(int32_t image, int32_t category, double score,
    const lmb_gt_box *like, double dx)
{
    return (lmb_dt_box){
        .box = {like->box[0] + dx, like->box[1], like->box[2], like->box[3]},
        .score = score,
        .image = image,
        .category = category};
}

static lmb_coco_scores score(const lmb_gt_box *gt, int64_t n_gt,
    const lmb_dt_box *dt, int64_t n_dt, int32_t categories)
{
    const lmb_boxes boxes = {gt, dt, n_gt, n_dt, 4, categories};
    lmb_coco_scores s;
    CHECK_OK(lmb_coco_eval(&boxes, &s));
    return s;
}

static void perfect_boxes_score_one(void **state)
{
    (void)state;
    const lmb_gt_box gt[] = {
        truth(0, 0, 5, 5, 20, 20), truth(1, 1, 0, 0, 50, 50)};
    const lmb_dt_box dt[] = {
        found(0, 0, .9, &gt[0], 0), found(1, 1, .8, &gt[1], 0)};
    lmb_coco_scores s = score(gt, 2, dt, 2, 3);
    CHECK_NEAR(s.number[LMB_COCO_AP], 1, 1e-12);
    CHECK_NEAR(s.number[LMB_COCO_AR1], 1, 1e-12);
    CHECK_NEAR(s.number[LMB_COCO_APS], 1, 1e-12);
    CHECK_NEAR(s.number[LMB_COCO_APM], 1, 1e-12);
    assert_true(s.number[LMB_COCO_APL] == -1);
    assert_true(s.classes[2].ap == -1 && s.classes[2].precision[0] == -1);
    assert_int_equal(s.classes[0].truths, 1);
    lmb_coco_scores_fini(&s);
}

static void nothing_found_scores_zero_and_nothing_at_all_minus_one(void **state)
{
    (void)state;
    const lmb_gt_box gt[] = {truth(0, 0, 5, 5, 20, 20)};
    lmb_coco_scores s = score(gt, 1, NULL, 0, 1);
    assert_true(s.number[LMB_COCO_AP] == 0 && s.number[LMB_COCO_AR100] == 0);
    lmb_coco_scores_fini(&s);
    s = score(NULL, 0, NULL, 0, 0);
    for (int i = 0; i < LMB_COCO_NUMBERS; i++)
        assert_true(s.number[i] == -1);
    lmb_coco_scores_fini(&s);
}

/* A shift by a third overlaps by a half: found at 0.50 alone. */
static void a_threshold_is_reached_by_equality(void **state)
{
    (void)state;
    const lmb_gt_box gt[] = {truth(0, 0, 0, 0, 30, 20)};
    const lmb_dt_box dt[] = {found(0, 0, .5, &gt[0], 10)};
    lmb_coco_scores s = score(gt, 1, dt, 1, 1);
    CHECK_NEAR(s.number[LMB_COCO_AP50], 1, 1e-12);
    CHECK_NEAR(s.number[LMB_COCO_AP], 0.1, 1e-12);
    lmb_coco_scores_fini(&s);
}

static void a_crowd_takes_any_number_of_boxes(void **state)
{
    (void)state;
    lmb_gt_box gt[] = {
        truth(0, 0, 0, 0, 400, 400), truth(0, 0, 450, 0, 20, 20)};
    gt[0].crowd = true;
    const lmb_gt_box inside = truth(0, 0, 100, 100, 20, 20);
    const lmb_dt_box dt[] = {found(0, 0, .9, &inside, 0),
        found(0, 0, .8, &inside, 5), found(0, 0, .7, &gt[1], 0)};
    lmb_coco_scores s = score(gt, 2, dt, 3, 1);
    CHECK_NEAR(s.number[LMB_COCO_AP], 1, 1e-12);
    assert_int_equal(s.classes[0].truths, 1);
    lmb_coco_scores_fini(&s);
}

static void an_annotation_with_the_id_zero_is_never_found(void **state)
{
    (void)state;
    lmb_gt_box gt[] = {truth(0, 0, 0, 0, 30, 20)};
    const lmb_dt_box dt[] = {found(0, 0, .5, &gt[0], 0)};
    gt[0].id_zero = true;
    lmb_coco_scores s = score(gt, 1, dt, 1, 1);
    assert_true(s.number[LMB_COCO_AP] == 0);
    lmb_coco_scores_fini(&s);
}

static void bad_boxes_are_refused(void **state)
{
    (void)state;
    lmb_gt_box gt[] = {truth(0, 0, 0, 0, 30, 20)};
    lmb_dt_box dt[] = {found(0, 0, .5, &gt[0], 0)};
    const lmb_boxes boxes = {gt, dt, 1, 1, 1, 1};
    lmb_coco_scores s;
    gt[0].image = 1;
    CHECK_ERR(lmb_coco_eval(&boxes, &s), LMB_EINVAL, "image 1 of 1");
    gt[0].image = 0;
    dt[0].category = -1;
    CHECK_ERR(lmb_coco_eval(&boxes, &s), LMB_EINVAL, "found box 0 has image");
    dt[0].category = 0;
    dt[0].score = NAN;
    CHECK_ERR(lmb_coco_eval(&boxes, &s), LMB_EINVAL, "found box 0 is not fin");
    dt[0].score = 0;
    gt[0].area = INFINITY;
    CHECK_ERR(lmb_coco_eval(&boxes, &s), LMB_EINVAL, "true box 0 is not fin");
}

static void failing_allocations_leave_nothing(void **state)
{
    (void)state;
    const lmb_gt_box gt[] = {truth(0, 0, 0, 0, 30, 20)};
    const lmb_dt_box dt[] = {found(0, 0, .5, &gt[0], 0)};
    const lmb_boxes boxes = {gt, dt, 1, 1, 1, 1};
    lmb_coco_scores s;
    for (int64_t n = 0;; n++) {
        lmb_alloc_fail_at(n);
        const lmb_status st = lmb_coco_eval(&boxes, &s);
        lmb_alloc_fail_at(-1);
        if (st == LMB_OK)
            break;
        assert_int_equal(st, LMB_ENOMEM);
        assert_int_equal(lmb_alloc_live(), 0);
    }
    lmb_coco_scores_fini(&s);
}

LMB_TEST_MAIN(cmocka_unit_test(drawn_scenes_score_as_pycocotools),
    cmocka_unit_test(perfect_boxes_score_one),
    cmocka_unit_test(nothing_found_scores_zero_and_nothing_at_all_minus_one),
    cmocka_unit_test(a_threshold_is_reached_by_equality),
    cmocka_unit_test(a_crowd_takes_any_number_of_boxes),
    cmocka_unit_test(an_annotation_with_the_id_zero_is_never_found),
    cmocka_unit_test(bad_boxes_are_refused),
    cmocka_unit_test(failing_allocations_leave_nothing))
