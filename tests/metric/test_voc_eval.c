/* test_voc_eval.c: VOC's average precision on drawn scenes with difficult
 * truths (tools/golden/voc_eval.py), and on what another tool prints for 85
 * real images (LIMBECK_DATA). */
#include <dirent.h>

#include "lmb_test.h"

#include "metric/voc_eval.h"
#include "train/box_files.h"

#define SAME 1e-12

static lmb_voc_scores score(
    const lmb_boxes *boxes, bool eleven_points, bool inclusive)
{
    const lmb_voc_opts opts = {
        .iou = 0.5, .eleven_points = eleven_points, .inclusive = inclusive};
    lmb_voc_scores s;
    CHECK_OK(lmb_voc_eval(boxes, &opts, &s));
    return s;
}

/* The i-th of the four ways to score that a scene's file lists. */
static void check_way(const char *path, const lmb_boxes *boxes, int way)
{
    lmb_voc_scores s = score(boxes, way % 2 == 1, way >= 2);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    for (int32_t c = 0; c <= s.categories; c++) {
        double row[4];
        assert_int_equal(
            fscanf(f, "%lf %lf %lf %lf", &row[0], &row[1], &row[2], &row[3]),
            4);
        CHECK_NEAR(c < s.categories ? s.classes[c].ap : s.map, row[way], SAME);
    }
    (void)fclose(f);
    lmb_voc_scores_fini(&s);
}

static void check_scene(const char *name)
{
    char path[3][512];
    static const char *const ends[] = {"_gt.json", "_dt.json", ".txt"};
    lmb_box_files files;
    for (int i = 0; i < 3; i++)
        (void)snprintf(path[i], sizeof path[i], "%s/metric/golden/voc_%s%s",
            LMB_TEST_DIR, name, ends[i]);
    CHECK_OK(lmb_box_files_load(path[0], path[1], &files));
    for (int way = 0; way < 4; way++)
        check_way(path[2], &files.boxes, way);
    lmb_box_files_fini(&files);
}

static void drawn_scenes_score_by_definition(void **state)
{
    (void)state;
    check_scene("few");
    check_scene("more");
}

/* --- by hand */

/* Right, wrong, right of three truths: precision 1, 2/3 at recall 1/3, 2/3. */
static void both_curves_by_hand(void **state)
{
    (void)state;
    const lmb_gt_box gt[] = {{.box = {0, 0, 10, 10}}, {.box = {50, 0, 10, 10}},
        {.box = {100, 0, 10, 10}}};
    const lmb_dt_box dt[] = {{.box = {50, 0, 10, 10}, .score = .1},
        {.box = {0, 0, 10, 10}, .score = .9},
        {.box = {0, 1, 10, 10}, .score = .5}};
    const lmb_boxes boxes = {gt, dt, 3, 3, 1, 2};
    lmb_voc_scores s = score(&boxes, false, false);
    CHECK_NEAR(s.classes[0].ap, 1.0 / 3 + 2.0 / 9, SAME);
    assert_true(s.classes[1].ap == -1);
    CHECK_NEAR(s.map, s.classes[0].ap, SAME);
    assert_true(s.classes[0].truths == 3 && s.classes[0].found == 3);
    lmb_voc_scores_fini(&s);
    s = score(&boxes, true, false);
    CHECK_NEAR(s.classes[0].ap, (4 + 3 * 2.0 / 3) / 11, SAME);
    lmb_voc_scores_fini(&s);
}

static void wrong_options_and_boxes_are_refused(void **state)
{
    (void)state;
    const lmb_dt_box dt[] = {{.score = NAN}};
    const lmb_boxes none = {NULL, NULL, 0, 0, 0, 0},
                    bad = {NULL, dt, 0, 1, 1, 1};
    lmb_voc_opts opts = {.iou = 0};
    lmb_voc_scores s;
    CHECK_ERR(lmb_voc_eval(&none, &opts, &s), LMB_EINVAL, "threshold 0");
    opts.iou = 0.5;
    CHECK_ERR(lmb_voc_eval(&bad, &opts, &s), LMB_EINVAL, "found box 0");
    CHECK_OK(lmb_voc_eval(&none, &opts, &s));
    assert_true(s.map == -1);
    lmb_voc_scores_fini(&s);
}

/* --- the other tool */

enum { MOST = 2000, CLASSES = 64 };

typedef struct oracle {
    char folder[512];
    char name[CLASSES][32];
    double ap[CLASSES]; /* percent, two decimals */
    int32_t classes, images;
    lmb_gt_box gt[MOST];
    lmb_dt_box dt[MOST];
    int64_t n_gt, n_dt;
} oracle;

static int32_t class_of(const oracle *o, const char *name)
{
    for (int32_t c = 0; c < o->classes; c++)
        if (strcmp(o->name[c], name) == 0)
            return c;
    return -1;
}

static void read_expected(oracle *o)
{
    char path[600];
    (void)snprintf(path, sizeof path, "%s/expected_AP50.tsv", o->folder);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        fail_msg("%s: cannot be opened", path);
    while (o->classes < CLASSES &&
        fscanf(f, "%31[a-z] %lf%% ", o->name[o->classes], &o->ap[o->classes]) ==
            2)
        o->classes++;
    (void)fclose(f);
}

/* Lines "class [score] left top right bottom" of one image. */
static void read_boxes(oracle *o, const char *kind, const char *file)
{
    char path[1200], name[32];
    double v[5];
    const bool scored = kind[0] == 'd';
    (void)snprintf(path, sizeof path, "%s/%s/%s", o->folder, kind, file);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    while (fscanf(f, "%31s", name) == 1) {
        const int32_t c = class_of(o, name);
        v[0] = 0;
        for (int i = scored ? 0 : 1; i < 5; i++)
            assert_int_equal(fscanf(f, "%lf", &v[i]), 1);
        assert_true(o->n_gt < MOST && o->n_dt < MOST);
        if (scored && c >= 0)
            o->dt[o->n_dt++] = (lmb_dt_box){
                {v[1], v[2], v[3] - v[1], v[4] - v[2]}, v[0], o->images, c};
        else if (!scored)
            o->gt[o->n_gt++] =
                (lmb_gt_box){.box = {v[1], v[2], v[3] - v[1], v[4] - v[2]},
                    .image = o->images,
                    .category = c};
    }
    (void)fclose(f);
}

static void read_oracle(oracle *o)
{
    char path[600];
    struct dirent **entries = NULL;
    read_expected(o);
    (void)snprintf(path, sizeof path, "%s/ground-truth", o->folder);
    const int n = scandir(path, &entries, NULL, alphasort);
    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        if (strstr(entries[i]->d_name, ".txt") != NULL) {
            read_boxes(o, "ground-truth", entries[i]->d_name);
            read_boxes(o, "detection-results", entries[i]->d_name);
            o->images++;
        }
        free(entries[i]);
    }
    free(entries);
}

static void another_tool_agrees_on_real_images(void **state)
{
    (void)state;
    static oracle o;
    const char *dir = lmb_test_data();
    SKIP_WITHOUT_DATA(dir);
    (void)snprintf(o.folder, sizeof o.folder, "%s/detection/map-oracle", dir);
    read_oracle(&o);
    assert_int_equal(o.classes, 30);
    assert_int_equal(o.images, 85);
    const lmb_boxes boxes = {o.gt, o.dt, o.n_gt, o.n_dt, o.images, o.classes};
    lmb_voc_scores s = score(&boxes, false, true);
    for (int32_t c = 0; c < o.classes; c++)
        CHECK_NEAR(100 * s.classes[c].ap, o.ap[c], 0.005 + 1e-9);
    CHECK_NEAR(100 * s.map, 31.05, 0.005 + 1e-9);
    lmb_voc_scores_fini(&s);
}

LMB_TEST_MAIN(cmocka_unit_test(drawn_scenes_score_by_definition),
    cmocka_unit_test(both_curves_by_hand),
    cmocka_unit_test(wrong_options_and_boxes_are_refused),
    cmocka_unit_test(another_tool_agrees_on_real_images))
