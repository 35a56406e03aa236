/* test_coco_json.c: COCO's instances and results files: what is kept, what is
 * refused and how it is named, and what is written reads back. */
#include "io_test.h"

#include "base/str.h"
#include "io/coco_json.h"

/* Annotations before what they mean, sparse and unsorted ids, an image without
 * boxes, a crowd, optional keys missing or null, and much to pass over. */
static const char sample[] =
    "{\"info\": {\"year\": 2017, \"x\": [1, {\"y\": null}]},\n"
    "\"annotations\": [\n"
    " {\"id\": 900100581904, \"image_id\": 42, \"category_id\": 90,\n"
    "  \"segmentation\": {\"counts\": [1, 2, 3], \"size\": [4, 5]},\n"
    "  \"bbox\": [1.5, 2, 30, 40.25], \"area\": 7.125, \"iscrowd\": 1},\n"
    " {\"image_id\": 7, \"bbox\": [0, 0, 2, 3], \"id\": 3, \"category_id\": "
    "1,\n"
    "  \"segmentation\": [[1.0, 2.0, 3.5]], \"area\": null, \"ignore\": 1},\n"
    " {\"id\": -4, \"image_id\": 42, \"category_id\": 1, \"iscrowd\": false,\n"
    "  \"bbox\": [5, 6, -1, 8], \"difficult\": 0, \"attributes\": {}}],\n"
    "\"images\": [\n"
    " {\"id\": 42, \"file_name\": \"a \\u00e9.jpg\", \"width\": 640,\n"
    "  \"height\": 480.0, \"license\": 3, \"coco_url\": \"http://x\"},\n"
    " {\"id\": 9, \"file_name\": null},\n"
    " {\"id\": 7, \"height\": 5, \"width\": 6, \"file_name\": \"b.jpg\"}],\n"
    "\"categories\": [{\"id\": 90, \"name\": \"toothbrush\"},\n"
    " {\"supercategory\": \"none\", \"id\": 1, \"name\": \"person\"},\n"
    " {\"id\": 13}],\n"
    "\"licenses\": []}\n";

static lmb_status parse(const char *text, lmb_coco *out)
{
    return lmb_coco_parse(text, strlen(text), "i.json", out);
}

static void check_box(
    const double box[4], double x, double y, double w, double h)
{
    assert_true(box[0] == x && box[1] == y && box[2] == w && box[3] == h);
}

static void check_sample(const lmb_coco *c)
{
    assert_int_equal(c->n_images, 3);
    assert_int_equal(c->images[0].id, 42);
    assert_string_equal(c->images[0].file_name, "a \xc3\xa9.jpg");
    assert_int_equal(c->images[0].width, 640);
    assert_int_equal(c->images[0].height, 480);
    assert_null(c->images[1].file_name);
    assert_int_equal(c->images[1].width, 0);
    assert_int_equal(c->n_categories, 3);
    assert_string_equal(c->categories[0].name, "person");
    assert_string_equal(c->categories[1].name, "13");
    assert_string_equal(c->categories[2].name, "toothbrush");
    assert_int_equal(c->categories[2].id, 90);
    assert_int_equal(c->n_annotations, 3);
    const lmb_coco_annotation *a = c->annotations;
    assert_true(a[0].id == 900100581904 && a[1].id == 3 && a[2].id == -4);
    assert_true(a[0].image == 0 && a[1].image == 2 && a[2].image == 0);
    assert_true(a[0].category == 2 && a[1].category == 0 && a[2].category == 0);
    check_box(a[0].box, 1.5, 2, 30, 40.25);
    check_box(a[2].box, 5, 6, -1, 8);
    assert_true(a[0].area == 7.125 && a[1].area == 6 && a[2].area == -8);
    assert_true(a[0].crowd && !a[1].crowd && !a[2].crowd);
    assert_true(!a[0].difficult && a[1].difficult && !a[2].difficult);
}

static void instances_are_read(void **state)
{
    (void)state;
    lmb_coco c;
    CHECK_OK(parse(sample, &c));
    check_sample(&c);
    lmb_coco_fini(&c);
}

static void annotations_are_found_by_image(void **state)
{
    (void)state;
    lmb_coco c;
    CHECK_OK(parse(sample, &c));
    assert_true(c.images[0].first == 0 && c.images[0].count == 2);
    assert_true(c.images[1].count == 0);
    assert_true(c.images[2].first == 2 && c.images[2].count == 1);
    assert_true(c.by_image[0] == 0 && c.by_image[1] == 2 && c.by_image[2] == 1);
    assert_true(c.by_id[0] == 2 && c.by_id[1] == 1 && c.by_id[2] == 0);
    assert_int_equal(lmb_coco_find_image(&c, 42), 0);
    assert_int_equal(lmb_coco_find_image(&c, 7), 2);
    assert_int_equal(lmb_coco_find_image(&c, 8), -1);
    assert_int_equal(lmb_coco_find_image(&c, 1000), -1);
    assert_int_equal(lmb_coco_find_category(&c, 13), 1);
    assert_int_equal(lmb_coco_find_category(&c, 0), -1);
    lmb_coco_fini(&c);
}

static void lists_may_be_missing_or_empty(void **state)
{
    (void)state;
    lmb_coco c;
    CHECK_OK(parse("{\"images\": []}", &c));
    assert_int_equal(c.n_images + c.n_annotations + c.n_categories, 0);
    assert_int_equal(lmb_coco_find_image(&c, 0), -1);
    assert_int_equal(lmb_coco_find_category(&c, 0), -1);
    lmb_coco_fini(&c);
    CHECK_OK(parse("{\"images\": [{\"id\": 1}], \"annotations\": [], "
                   "\"categories\": [{\"id\": 0}]}",
        &c));
    assert_int_equal(c.n_images, 1);
    lmb_coco_fini(&c);
    CHECK_OK(parse("{\"annotations\": null, \"images\": [{\"id\": 1}], "
                   "\"categories\": null, \"info\": null}",
        &c));
    assert_int_equal(c.n_images, 1);
    assert_int_equal(c.n_annotations + c.n_categories, 0);
    lmb_coco_fini(&c);
}

/* IMAGES, CATEGORIES with ids 1 and 2, and one annotation that is damaged. */
#define AROUND(annotations) \
    "{\"images\": [{\"id\": 1}, {\"id\": 2}], \"categories\": [{\"id\": 1}]," \
    "\"annotations\": [" annotations "]}"

static void broken_instances_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *json, *message;
    } cases[] = {{"[]", "i.json:1:1: an object expected"},
        {"{}", "no \"images\""}, {"{\"images\": null}", "no \"images\""},
        {"{\"images\": [{\"id\": null}]}", "image number 1 has no id"},
        {"{\"images\": [], \"images\": []}", "\"images\" comes twice"},
        {"{\"images\": [{\"id\": 1}, {\"id\": 1}]}", "image id 1 comes twice"},
        {"{\"images\": [{\"id\": 1}, {}]}", "image number 2 has no id"},
        {"{\"images\": [{\"id\": \"a\"}]}", "a number expected, not '\"'"},
        {"{\"images\": [{\"id\": 1.5}]}", "not a whole number"},
        {"{\"images\": [{\"id\": 1, \"width\": -1}]}", "width is -1"},
        {"{\"images\": [{\"id\": 1, \"height\": 3000000000}]}", "height is 30"},
        {"{\"images\": [], \"categories\": [{\"id\": 5}, {\"id\": 5}]}",
            "category id 5 comes twice"},
        {AROUND("{\"id\": 8, \"image_id\": 3, \"category_id\": 1, "
                "\"bbox\": [1, 2, 3, 4]}"),
            "i.json: annotation 8: no image has the id 3"},
        {AROUND("{\"id\": 8, \"image_id\": 2, \"category_id\": 7, "
                "\"bbox\": [1, 2, 3, 4]}"),
            "annotation 8: no category has the id 7"},
        {AROUND("{\"id\": 8, \"image_id\": 2, \"bbox\": [1, 2, 3, 4]}"),
            "annotation 8 has no category_id"},
        {AROUND("{\"id\": 8, \"category_id\": 1, \"bbox\": [1, 2, 3, 4]}"),
            "annotation 8 has no image_id"},
        {AROUND("{\"id\": 8, \"image_id\": 1, \"category_id\": 1}"),
            "annotation 8 has no bbox"},
        {AROUND("{\"image_id\": 1, \"category_id\": 1, "
                "\"bbox\": [1, 2, 3, 4]}"),
            "annotation number 1 has no id"},
        {AROUND("{\"id\": 8, \"bbox\": [1, 2, 3]}"),
            "a bbox of 3 numbers, not four"},
        {AROUND("{\"id\": 8, \"bbox\": [1, 2, 3, 4, 5]}"),
            "a bbox of more than four numbers"},
        {AROUND("{\"id\": 8, \"bbox\": [1, 2, 3, NaN]}"),
            "a number expected, not 'N'"},
        {AROUND("{\"id\": 8, \"bbox\": [1, 2, 3, 1e999]}"), "range of doubles"},
        {AROUND("{\"id\": 8, \"iscrowd\": \"no\"}"), "a number expected"},
        {AROUND("{\"id\": 9, \"image_id\": 1, \"category_id\": 1, "
                "\"bbox\": [1, 2, 3, 4]}, {\"id\": 8, \"image_id\": 1, "
                "\"category_id\": 1, \"bbox\": [1, 2, 3, 4]}, {\"id\": 9, "
                "\"image_id\": 1, \"category_id\": 1, \"bbox\": [1, 2, 3, 4]}"),
            "i.json: annotation id 9 comes twice"},
        {"{\"images\": []} 1", "end of the file behind the value"}};
    for (size_t i = 0; i < LMB_COUNT(cases); i++) {
        lmb_coco c;
        CHECK_ERR(parse(cases[i].json, &c), LMB_EFORMAT, cases[i].message);
        assert_null(c.images);
    }
}

static void instances_read_back_as_written(void **state)
{
    (void)state;
    const char *path = scratch("instances.json");
    lmb_coco c, again;
    CHECK_OK(parse(sample, &c));
    CHECK_OK(lmb_coco_save(path, &c));
    lmb_coco_fini(&c);
    CHECK_OK(lmb_coco_load(path, &again));
    check_sample(&again);
    lmb_coco_fini(&again);
    (void)unlink(path);
}

/* --- results */

static lmb_status parse_results(const char *text, lmb_coco_results *out)
{
    return lmb_coco_results_parse(text, strlen(text), "r.json", out);
}

static const char results[] =
    "[{\"image_id\": 42, \"category_id\": 18, \"bbox\": [258.15, 41.29, 348, "
    "243.78], \"score\": 0.30000000000000004, \"segmentation\": {}},"
    " {\"score\": 1, \"bbox\": [0, 0, 1e-3, 2], \"image_id\": 7, "
    "\"category_id\": 900100581904}]";

static void check_results(const lmb_coco_results *r)
{
    assert_int_equal(r->count, 2);
    assert_true(r->items[0].image_id == 42 && r->items[0].category_id == 18);
    assert_true(r->items[1].category_id == 900100581904);
    assert_true(r->items[0].score == 0.30000000000000004);
    check_box(r->items[0].box, 258.15, 41.29, 348, 243.78);
    check_box(r->items[1].box, 0, 0, 1e-3, 2);
}

static void results_are_read_and_read_back(void **state)
{
    (void)state;
    const char *path = scratch("results.json");
    lmb_coco_results r, again;
    CHECK_OK(parse_results(results, &r));
    check_results(&r);
    CHECK_OK(lmb_coco_results_save(path, &r));
    CHECK_OK(lmb_coco_results_load(path, &again));
    check_results(&again);
    r.items[1].score = NAN;
    CHECK_ERR(lmb_coco_results_save(path, &r), LMB_ENUMERIC, "detection 1");
    lmb_coco_results_fini(&r);
    lmb_coco_results_fini(&again);
    CHECK_OK(parse_results(" [ ] ", &r));
    assert_int_equal(r.count, 0);
    lmb_coco_results_fini(&r);
    (void)unlink(path);
}

static void broken_results_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *json, *message;
    } cases[] = {{"{\"annotations\": []}", "r.json:1:1: results are a list"},
        {"[1]", "an object expected"}, {"[{}]", "without image_id"},
        {"[{\"image_id\": 1}]", "without category_id"},
        {"[{\"image_id\": 1, \"category_id\": 1, \"score\": 1}]",
            "without bbox"},
        {"[{\"image_id\": 1, \"category_id\": 1, \"bbox\": [1, 2, 3, 4]}]",
            "without score"},
        {"[{\"image_id\": \"000001\"}]", "a number expected"},
        {"[{\"score\": null}]", "without image_id"},
        {"[{\"image_id\": 1, \"category_id\": 1, \"bbox\": [1, 2, 3, 4], "
         "\"score\": null}]",
            "without score"},
        {"[{\"image_id\": 1, \"category_id\": 1, \"bbox\": null, "
         "\"score\": 1}]",
            "without bbox"},
        {"[{\"bbox\": [1, 2, 3, null]}]", "a number expected"},
        {"[{\"score\": NaN}]", "a number expected, not 'N'"},
        {"[{\"bbox\": [1, 2]}]", "a bbox of 2 numbers"}};
    for (size_t i = 0; i < LMB_COUNT(cases); i++) {
        lmb_coco_results r;
        CHECK_ERR(
            parse_results(cases[i].json, &r), LMB_EFORMAT, cases[i].message);
        assert_null(r.items);
    }
}

/* --- size and memory */

static void long_lists_grow(void **state)
{
    (void)state;
    enum { ITEMS = 30000 };
    lmb_str s = {0};
    lmb_coco_results r;
    lmb_coco c;
    for (int i = 0; i < ITEMS; i++)
        lmb_str_printf(&s,
            "%s{\"image_id\": %d, \"category_id\": 1, \"bbox\": [1, 2, 3, 4], "
            "\"score\": 0.5}",
            i > 0 ? ", " : "[", i);
    lmb_str_add(&s, "]");
    CHECK_OK(parse_results(s.text, &r));
    assert_int_equal(r.count, ITEMS);
    for (int i = 0; i < ITEMS; i++)
        assert_int_equal(r.items[i].image_id, i);
    lmb_coco_results_fini(&r);
    s.length = 0;
    for (int i = 0; i < ITEMS; i++)
        lmb_str_printf(&s, "%s{\"id\": %d}", i > 0 ? ", " : "{\"images\": [",
            (int)((uint32_t)i * 2654435761u >> 1));
    lmb_str_add(&s, "]}");
    CHECK_OK(parse(s.text, &c));
    assert_int_equal(c.n_images, ITEMS);
    for (int i = 0; i < ITEMS; i++)
        assert_int_equal(lmb_coco_find_image(&c, c.images[i].id), i);
    lmb_coco_fini(&c);
    lmb_str_fini(&s);
}

static void failing_allocations_leave_nothing(void **state)
{
    (void)state;
    lmb_coco c;
    lmb_coco_results r;
    CHECK_OOM_SWEEP(parse(sample, &c), lmb_coco_fini(&c));
    CHECK_OOM_SWEEP(parse_results(results, &r), lmb_coco_results_fini(&r));
}

static void real_files_are_read(void **state)
{
    (void)state;
    const char *dir = lmb_test_data();
    char path[4096];
    lmb_coco c;
    SKIP_WITHOUT_DATA(dir);
    (void)snprintf(path, sizeof path,
        "%s/detection/aquarium416/instances_train.json", dir);
    CHECK_OK(lmb_coco_load(path, &c));
    assert_int_equal(c.n_images, 448);
    assert_int_equal(c.n_annotations, 3324);
    assert_int_equal(c.n_categories, 7);
    assert_string_equal(c.categories[0].name, "fish");
    lmb_coco_fini(&c);
}

LMB_TEST_MAIN(cmocka_unit_test(instances_are_read),
    cmocka_unit_test(annotations_are_found_by_image),
    cmocka_unit_test(lists_may_be_missing_or_empty),
    cmocka_unit_test(broken_instances_are_refused),
    cmocka_unit_test(instances_read_back_as_written),
    cmocka_unit_test(results_are_read_and_read_back),
    cmocka_unit_test(broken_results_are_refused),
    cmocka_unit_test(long_lists_grow),
    cmocka_unit_test(failing_allocations_leave_nothing),
    cmocka_unit_test(real_files_are_read))
