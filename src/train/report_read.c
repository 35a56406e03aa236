/* report_read.c: reading the files of a run directory for the report. */
#include "train/report_impl.h"

#include "base/file.h"
#include "io/yaml.h"
#include "train/runlog.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static lmb_status path_of(const char *dir, const char *name, lmb_str *out)
{
    lmb_str_printf(out, "%s/%s", dir, name);
    return lmb_str_status(out);
}

/* A text file, terminated; "" if it is not there. */
static lmb_status read_text(const char *dir, const char *name, char **out)
{
    lmb_str path = {0};
    lmb_file file = {0};
    lmb_status st = LMB_OK;
    LMB_GOTO(path_of(dir, name, &path), st, done);
    if (lmb_path_exists(path.text))
        LMB_GOTO(lmb_file_open(path.text, &file), st, done);
    LMB_GOTO(LMB_NEW(*out, file.size + 1), st, done);
    if (file.size > 0)
        memcpy(*out, file.bytes, file.size);
done:
    lmb_file_close(&file);
    lmb_str_fini(&path);
    return st;
}

/* --- metrics.jsonl -------------------------------------------------------- */

static lmb_status add_point(lmb_curve *c, double x, double y)
{
    LMB_TRY(LMB_GROW(c->x, c->count, c->capacity));
    LMB_TRY(LMB_GROW(c->y, c->count, c->y_capacity));
    c->x[c->count] = x;
    c->y[c->count++] = y;
    return LMB_OK;
}

static double real(const json_t *row, const char *key)
{
    const json_t *v = json_object_get(row, key);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

static lmb_curve *loss_curve(lmb_report_run *run, const char *name)
{
    for (int i = 0; i < run->n_loss; i++)
        if (strcmp(run->loss[i].name, name) == 0)
            return &run->loss[i];
    if (run->n_loss == LMB_REPORT_SERIES)
        return NULL;
    lmb_curve *c = &run->loss[run->n_loss++];
    (void)snprintf(c->name, sizeof c->name, "%s", name);
    return c;
}

static lmb_status add_train_row(lmb_report_run *run, json_t *row, double epoch)
{
    const char *key;
    json_t *value;
    if (!isnan(real(row, "images_per_second")))
        run->images_per_second = real(row, "images_per_second");
    json_object_foreach(row, key, value)
    {
        if (strncmp(key, "loss", 4) != 0 || !json_is_number(value))
            continue;
        /* Without a method the loss is cross-entropy. */
        if (run->methods[0] == '\0' && strcmp(key, "loss_ce") == 0)
            continue;
        lmb_curve *c = loss_curve(run, key);
        if (c != NULL)
            LMB_TRY(add_point(c, epoch, json_number_value(value)));
    }
    return LMB_OK;
}

/* The row of an evaluation. */
static lmb_status add_scores(
    lmb_report_run *run, json_t *row, double epoch, bool test)
{
    const lmb_task *boxes = lmb_task_find("detection");
    run->task = isnan(real(row, boxes->score[0]))
        ? lmb_task_find("classification")
        : boxes;
    if (isnan(real(row, run->task->score[0])))
        return LMB_OK;
    for (int i = 0; i < run->task->n_scores; i++)
        run->last[i] = real(row, run->task->score[i]);
    if (!(run->best[0] >= run->last[0])) {
        memcpy(run->best, run->last, sizeof run->best);
        run->best_epoch = epoch;
    }
    run->chosen_on_test = test;
    for (int i = 0; i < LMB_REPORT_SCORES && i < run->task->n_scores; i++)
        if (!isnan(run->last[i]))
            LMB_TRY(add_point(&run->score[i], epoch, run->last[i]));
    return LMB_OK;
}

static lmb_status add_row(lmb_report_run *run, json_t *row)
{
    const char *split = json_string_value(json_object_get(row, "split"));
    const double epoch = real(row, "epoch");
    if (split == NULL || isnan(epoch))
        return LMB_OK;
    if (strcmp(split, "train") == 0)
        return add_train_row(run, row, epoch);
    return add_scores(run, row, epoch, strcmp(split, "test") == 0);
}

static lmb_status no_rows(const char *dir)
{
    lmb_str path = {0};
    LMB_TRY(path_of(dir, LMB_RUN_METRICS, &path));
    const bool begun = lmb_path_exists(path.text);
    lmb_str_fini(&path);
    if (!lmb_path_is_dir(dir))
        return LMB_FAIL(LMB_ENOTFOUND, "%s: no such run", dir);
    if (!begun)
        return LMB_FAIL(LMB_ENOTFOUND,
            "%s is no run: there is no " LMB_RUN_METRICS " in it", dir);
    return LMB_FAIL(LMB_ENOTFOUND, "%s: no epoch of it is finished yet", dir);
}

static lmb_status read_metrics(lmb_report_run *run)
{
    char *text = NULL;
    int line = 0;
    lmb_status st = LMB_OK;
    LMB_TRY(read_text(run->dir, LMB_RUN_METRICS, &text));
    if (text[0] == '\0')
        LMB_GOTO(no_rows(run->dir), st, done);
    for (const char *at = text; *at != '\0' && st == LMB_OK; line++) {
        const size_t n = strcspn(at, "\n");
        json_error_t error;
        json_t *row = json_loadb(at, n, 0, &error);
        if (row == NULL && n > 0)
            st = LMB_FAIL(LMB_EFORMAT, "%s/" LMB_RUN_METRICS ":%d: %s",
                run->dir, line + 1, error.text);
        else if (n > 0)
            st = add_row(run, row);
        json_decref(row);
        at += n + (at[n] == '\n');
    }
done:
    lmb_free(text);
    return st;
}

/* --- config.yaml ---------------------------------------------------------- */

/* Does the line say what one run of several seeds may have of its own? */
static bool is_own(const char *word)
{
    static const char *const names[] = {"seed:", "out:", "cache:",
        "loader_threads:", "save_every:", "save_minutes:", "log_every:"};
    for (size_t i = 0; i < LMB_COUNT(names); i++)
        if (strncmp(word, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

/* The config without comments and what does not change its numbers but by
 * chance: equal for runs that differ by their seed only. */
static lmb_status make_identity(lmb_report_run *run)
{
    lmb_str out = {0};
    for (const char *at = run->config; *at != '\0';) {
        const size_t n = strcspn(at, "\n");
        const char *word = at + strspn(at, " ");
        size_t length = 0;
        while (length < n && strncmp(at + length, " # ", 3) != 0)
            length++;
        while (length > 0 && at[length - 1] == ' ')
            length--;
        if (word[0] != '#' && !is_own(word)) {
            lmb_str_add_bytes(&out, at, length);
            lmb_str_add(&out, "\n");
        }
        at += n + (at[n] == '\n');
    }
    lmb_str_add(&out, "");
    LMB_TRY(lmb_str_status(&out));
    run->identity = out.text;
    return LMB_OK;
}

static void copy_scalar(const lmb_yaml *node, char *out, size_t size)
{
    if (node != NULL && node->kind == LMB_YAML_SCALAR)
        (void)snprintf(out, size, "%s", node->text);
}

static void read_lists(lmb_report_run *run, const lmb_yaml *root)
{
    const lmb_yaml *list = lmb_yaml_get(root, "methods");
    for (const lmb_yaml *i = list != NULL ? list->first : NULL; i != NULL;
         i = i->next) {
        char name[64] = "";
        copy_scalar(i->kind == LMB_YAML_MAP ? lmb_yaml_get(i, "name") : i, name,
            sizeof name);
        const size_t used = strlen(run->methods);
        (void)snprintf(run->methods + used, sizeof run->methods - used, "%s%s",
            used > 0 ? " + " : "", name);
    }
}

static lmb_status read_config(lmb_report_run *run)
{
    lmb_arena *arena = NULL;
    const lmb_yaml *root = NULL;
    lmb_status st = LMB_OK;
    LMB_TRY(read_text(run->dir, LMB_RUN_CONFIG, &run->config));
    LMB_TRY(make_identity(run));
    LMB_TRY(lmb_arena_new(&arena));
    LMB_GOTO(lmb_yaml_parse(run->config, strlen(run->config), LMB_RUN_CONFIG,
                 arena, &root),
        st, done);
    copy_scalar(
        lmb_yaml_get(root, "student"), run->student, sizeof run->student);
    copy_scalar(lmb_yaml_get(lmb_yaml_get(root, "train"), "seed"), run->seed,
        sizeof run->seed);
    read_lists(run, root);
done:
    lmb_arena_free(arena);
    return st;
}

/* --- classes.json --------------------------------------------------------- */

/* Row `place` of the list, whose number it says itself. */
static lmb_status read_class(
    lmb_report_run *run, const json_t *row, size_t place)
{
    lmb_class_score *c = &run->classes[run->n_classes];
    const char *name = json_string_value(json_object_get(row, "name"));
    const json_t *index = json_object_get(row, "class");
    const double count = real(row, "count");
    if (!(count > 0))
        return LMB_OK;
    c->index = json_is_integer(index) ? (int64_t)json_integer_value(index)
                                      : (int64_t)place;
    c->name = name != NULL
        ? lmb_arena_strdup(run->arena, name)
        : lmb_arena_printf(run->arena, "class %lld", (long long)c->index);
    if (c->name == NULL)
        return LMB_FAIL(LMB_ENOMEM, "out of memory: names");
    const double unit = lmb__report_detects(run) ? count : 1;
    c->count = count;
    c->student = unit * real(row, "student");
    c->teacher = unit * real(row, "teacher");
    if (isnan(c->teacher))
        c->teacher = -1;
    if (!isnan(c->student))
        run->n_classes++;
    return LMB_OK;
}

static lmb_status read_classes(lmb_report_run *run)
{
    char *text = NULL;
    json_t *root = NULL;
    json_error_t error;
    lmb_status st = LMB_OK;
    LMB_TRY(read_text(run->dir, LMB_RUN_CLASSES, &text));
    if (text[0] == '\0')
        goto done;
    run->finished = true;
    root = json_loads(text, 0, &error);
    if (root == NULL)
        LMB_GOTO(LMB_FAIL(LMB_EFORMAT, "%s/" LMB_RUN_CLASSES ":%d: %s",
                     run->dir, error.line, error.text),
            st, done);
    const json_t *list = json_object_get(root, "classes");
    char key[40];
    (void)snprintf(key, sizeof key, "teacher_%s", run->task->score[0]);
    run->teacher_score = real(root, key);
    LMB_GOTO(LMB_NEW(run->classes, json_array_size(list)), st, done);
    for (size_t i = 0; i < json_array_size(list); i++)
        LMB_GOTO(read_class(run, json_array_get(list, i), i), st, done);
done:
    json_decref(root);
    lmb_free(text);
    return st;
}

/* Names of the teachers: the config may leave them to the weights files. */
static void read_teachers(lmb_report_run *run, const json_t *root)
{
    for (int i = 1; i <= LMB_MAX_TEACHERS; i++) {
        char key[24] = "teacher";
        if (i > 1)
            (void)snprintf(key, sizeof key, "teacher%d", i);
        const char *name = json_string_value(json_object_get(root, key));
        const size_t used = strlen(run->teacher);
        if (name != NULL)
            (void)snprintf(run->teacher + used, sizeof run->teacher - used,
                "%s%s", used > 0 ? " + " : "", name);
    }
}

/* It knows what split "test" was in the metrics: --split may name another. */
static lmb_status read_manifest(lmb_report_run *run)
{
    json_error_t error;
    LMB_TRY(read_text(run->dir, LMB_RUN_MANIFEST, &run->manifest));
    json_t *root = json_loads(run->manifest, 0, &error);
    const json_t *on_test =
        json_object_get(json_object_get(root, "data"), "best_chosen_on_test");
    if (json_is_boolean(on_test))
        run->chosen_on_test = json_is_true(on_test);
    read_teachers(run, root);
    json_decref(root);
    return LMB_OK;
}

lmb_status lmb__report_read(const char *dir, lmb_report_run *out)
{
    const char *slash = strrchr(dir, '/');
    *out = (lmb_report_run){
        .dir = dir,
        .name = slash != NULL && slash[1] != '\0' ? slash + 1 : dir,
        .task = lmb_task_find("classification"),
        .teacher_score = NAN,
        .best_epoch = NAN,
        .images_per_second = NAN,
    };
    for (int i = 0; i < LMB_MAX_SCORES; i++)
        out->last[i] = out->best[i] = NAN;
    LMB_TRY(lmb_arena_new(&out->arena));
    LMB_TRY(read_config(out));
    LMB_TRY(read_metrics(out));
    LMB_TRY(read_manifest(out));
    return read_classes(out);
}

static void curve_fini(lmb_curve *c)
{
    lmb_free(c->x);
    lmb_free(c->y);
}

static void boxes_fini(lmb_report_boxes *b)
{
    lmb_coco_scores_fini(&b->scores);
    lmb_box_files_fini(&b->files);
}

void lmb__report_fini(lmb_report_run *run)
{
    for (int i = 0; i < run->n_loss; i++)
        curve_fini(&run->loss[i]);
    for (int i = 0; i < LMB_REPORT_SCORES; i++)
        curve_fini(&run->score[i]);
    boxes_fini(&run->student_boxes);
    boxes_fini(&run->teacher_boxes);
    lmb_confusion_fini(&run->confusion);
    lmb_free(run->config);
    lmb_free(run->manifest);
    lmb_free(run->identity);
    lmb_free(run->classes);
    lmb_arena_free(run->arena);
}
