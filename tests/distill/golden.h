/* golden.h: checks a method against tests/golden/methods.json,
 * methods_detect.json or methods_heads.json, which the published
 * implementations made (tools/golden/methods.py, methods_detect.py). */
#ifndef LMB_TEST_DISTILL_GOLDEN_H
#define LMB_TEST_DISTILL_GOLDEN_H

#include "lmb_test.h"

#include "limbeck/loss.h"
#include "tensor/shape.h"

#include <jansson.h>

enum { GOLDEN_MOST = 24, GOLDEN_SIZE = 1024, GOLDEN_BOXES = 64 };

/* Arrays of one run, in double and in the run's type. */
typedef struct golden_set {
    int n;
    lmb_loss_array arrays[GOLDEN_MOST];
    double data[GOLDEN_MOST][GOLDEN_SIZE];
    double grad[GOLDEN_MOST][GOLDEN_SIZE];
    float data32[GOLDEN_MOST][GOLDEN_SIZE];
    float grad32[GOLDEN_MOST][GOLDEN_SIZE];
} golden_set;

static inline void golden_add(
    golden_set *set, lmb_dtype dtype, const char *name, const json_t *array)
{
    const int i = set->n++;
    lmb_loss_array *a = &set->arrays[i];
    const json_t *shape = json_object_get(array, "shape");
    const json_t *data = json_object_get(array, "data");
    assert_true(i < GOLDEN_MOST && json_array_size(data) <= GOLDEN_SIZE);
    a->name = name;
    a->shape.rank = (int32_t)json_array_size(shape);
    for (int k = 0; k < a->shape.rank; k++)
        a->shape.dim[k] = json_integer_value(json_array_get(shape, (size_t)k));
    for (size_t k = 0; k < json_array_size(data); k++) {
        set->data[i][k] = json_number_value(json_array_get(data, k));
        set->data32[i][k] = (float)set->data[i][k];
    }
    a->data = dtype == LMB_F64 ? (void *)set->data[i] : set->data32[i];
    a->grad = dtype == LMB_F64 ? (void *)set->grad[i] : set->grad32[i];
}

static inline const json_t *golden_array(const json_t *root, const char *name)
{
    const json_t *arrays = json_object_get(root, "arrays");
    for (size_t i = 0; i < json_array_size(arrays); i++) {
        const json_t *a = json_array_get(arrays, i);
        if (strcmp(json_string_value(json_object_get(a, "name")), name) == 0)
            return a;
    }
    fail_msg("the golden file has no array %s", name);
    return NULL;
}

/* Fills a side from {"tap": "array", ..}. */
static inline void golden_side(
    golden_set *set, lmb_dtype dtype, const json_t *root, json_t *side)
{
    const char *tap;
    json_t *name;
    json_object_foreach(side, tap, name) golden_add(
        set, dtype, tap, golden_array(root, json_string_value(name)));
}

/* Compares a set's gradients; `scale` is the least size that counts as 1. */
static inline void golden_compare(golden_set *set, lmb_dtype dtype,
    const char *name, const json_t *want, double tolerance)
{
    double expected[GOLDEN_SIZE], scale = 1;
    const size_t n = json_array_size(want);
    for (size_t k = 0; k < n; k++) {
        expected[k] = json_number_value(json_array_get(want, k));
        scale = fmax(scale, fabs(expected[k]));
    }
    for (int i = 0; i < set->n; i++) {
        if (strcmp(set->arrays[i].name, name) != 0)
            continue;
        for (size_t k = 0; k < n && dtype == LMB_F32; k++)
            set->grad[i][k] = (double)set->grad32[i][k];
        CHECK_ARRAYS(set->grad[i], expected, (int64_t)n, tolerance * scale);
    }
}

/* Ground truth of a case: {"size": [H, W], "most": M, "data": [..]}. */
typedef struct golden_truth {
    double boxes[4 * GOLDEN_BOXES];
    float boxes32[4 * GOLDEN_BOXES];
} golden_truth;

static inline void golden_boxes(
    golden_truth *t, lmb_dtype dtype, const json_t *truth, lmb_loss_inputs *in)
{
    if (truth == NULL)
        return;
    const json_t *data = json_object_get(truth, "data");
    const json_t *size = json_object_get(truth, "size");
    assert_true(json_array_size(data) <= LMB_COUNT(t->boxes));
    for (size_t i = 0; i < json_array_size(data); i++) {
        t->boxes[i] = json_number_value(json_array_get(data, i));
        t->boxes32[i] = (float)t->boxes[i];
    }
    in->boxes = dtype == LMB_F64 ? (void *)t->boxes : t->boxes32;
    in->most_boxes = json_integer_value(json_object_get(truth, "most"));
    for (size_t k = 0; k < 2; k++)
        in->input_size[k] = json_integer_value(json_array_get(size, k));
}

static inline void golden_case(
    const json_t *root, const json_t *c, lmb_dtype dtype, double tolerance)
{
    golden_set *sets = calloc(3, sizeof *sets);
    golden_set *s = &sets[0], *t = &sets[1], *p = &sets[2];
    const char *options[8];
    int32_t labels[16];
    assert_non_null(sets);
    golden_side(s, dtype, root, json_object_get(c, "student"));
    golden_side(t, dtype, root, json_object_get(c, "teacher"));
    const json_t *given = json_object_get(c, "options");
    const json_t *y = json_object_get(root, "labels");
    json_t *params = json_object_get(c, "params"), *value;
    const char *name;
    for (size_t i = 0; i < json_array_size(given); i++)
        options[i] = json_string_value(json_array_get(given, i));
    for (size_t i = 0; i < json_array_size(y); i++)
        labels[i] = (int32_t)json_integer_value(json_array_get(y, i));
    if (params != NULL)
        json_object_foreach(params, name, value)
            golden_add(p, dtype, name, value);
    golden_truth truth;
    lmb_loss_inputs in = {
        .dtype = dtype,
        .n_student = s->n,
        .n_teacher = t->n,
        .student = s->arrays,
        .teacher = t->arrays,
        .labels = labels,
        .n_labels = (int64_t)json_array_size(y),
        .n_options = (int)json_array_size(given),
        .options = options,
        .n_params = p->n,
        .params = p->arrays,
    };
    golden_boxes(&truth, dtype, json_object_get(c, "boxes"), &in);
    double got = 0;
    CHECK_OK(lmb_loss_eval(
        json_string_value(json_object_get(c, "method")), &in, &got));
    const double want = json_number_value(json_object_get(c, "value"));
    CHECK_NEAR(got, want, tolerance * fmax(1, fabs(want)));
    json_t *grads = json_object_get(c, "grad");
    json_object_foreach(grads, name, value)
        golden_compare(s, dtype, name, value, tolerance);
    if (params != NULL)
        json_object_foreach(params, name, value) golden_compare(
            p, dtype, name, json_object_get(value, "grad"), tolerance);
    free(sets);
}

/* Every case of the method in a file, in f64 and in f32. */
static inline void golden_check_in(const char *path, const char *method)
{
    json_error_t error;
    int cases = 0;
    json_t *root = json_load_file(path, 0, &error);
    if (root == NULL)
        fail_msg("%s:%d: %s", path, error.line, error.text);
    const json_t *list = json_object_get(root, "cases");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *c = json_array_get(list, i);
        if (strcmp(json_string_value(json_object_get(c, "method")), method) !=
            0)
            continue;
        golden_case(root, c, LMB_F64, 1e-9);
        golden_case(root, c, LMB_F32, 1e-5);
        cases++;
    }
    json_decref(root);
    assert_true(cases > 0);
}

static inline void golden_check(const char *method)
{
    golden_check_in(LMB_TEST_DIR "/golden/methods.json", method);
}

static inline void golden_check_detect(const char *method)
{
    golden_check_in(LMB_TEST_DIR "/golden/methods_detect.json", method);
}

static inline void golden_check_heads(const char *method)
{
    golden_check_in(LMB_TEST_DIR "/golden/methods_heads.json", method);
}

#endif
