/* manifest.c: manifest.json: what a run's numbers depend on.
 *
 * Build, libraries, CPU level, threads, hashes of data and teacher, and one
 * entry under "sessions" for each time the run was started or resumed. */
#include "train/build_info.h"
#include "train/runlog.h"

#include "base/file.h"
#include "io/digest.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void set_text(json_t *to, const char *key, const char *text)
{
    (void)json_object_set_new(
        to, key, text != NULL ? json_string(text) : json_null());
}

static void set_int(json_t *to, const char *key, int64_t value)
{
    (void)json_object_set_new(to, key, json_integer(value));
}

static void set_real(json_t *to, const char *key, double value)
{
    (void)json_object_set_new(
        to, key, isfinite(value) ? json_real(value) : json_null());
}

static json_t *build_json(void)
{
    json_t *o = json_object();
    lmb_build_info info;
    lmb_build_info_get(&info);
    set_text(o, "version", info.version);
    set_text(o, "compiler", info.compiler);
    set_text(o, "dnn", info.dnn);
    set_text(o, "cpu_level", info.cpu_level);
    return o;
}

static void set_hash(json_t *to, const char *key, const lmb_dataset *ds)
{
    char hash[17];
    (void)snprintf(
        hash, sizeof hash, "%016llx", (unsigned long long)lmb_dataset_hash(ds));
    set_text(to, key, hash);
}

static json_t *data_json(const lmb_run_facts *f)
{
    json_t *o = json_object();
    set_text(o, "spec", f->config->data);
    set_int(o, "train_images", lmb_dataset_count(f->train));
    set_hash(o, "train_xxh64", f->train);
    set_int(o, "choice_images", lmb_dataset_count(f->test));
    set_hash(o, "choice_xxh64", f->test);
    if (f->final_test != NULL) {
        set_int(o, "test_images", lmb_dataset_count(f->final_test));
        set_hash(o, "test_xxh64", f->final_test);
    }
    (void)json_object_set_new(
        o, "best_chosen_on_test", json_boolean(f->chosen_on_test));
    return o;
}

/* The state knows the data to train and to choose on, and not those of the last
 * evaluation. */
static lmb_status check_final_test(
    const char *path, const json_t *before, const json_t *now)
{
    const json_t *old = json_object_get(before, "data");
    const char *x = json_string_value(json_object_get(old, "test_xxh64"));
    const char *y = json_string_value(json_object_get(now, "test_xxh64"));
    if (x == NULL || y == NULL || strcmp(x, y) == 0)
        return LMB_OK;
    return LMB_FAIL(LMB_EFORMAT,
        "%s: the run was begun with another test split (test_xxh64 %s, not %s)",
        path, x, y);
}

static lmb_status set_file(json_t *to, const char *key, const char *path)
{
    char digest[LMB_DIGEST_TEXT];
    json_t *o = json_object();
    set_text(o, "file", path);
    (void)json_object_set_new(to, key, o);
    LMB_TRY(lmb_digest_file(path, LMB_SHA256, digest));
    set_text(o, "sha256", digest);
    return LMB_OK;
}

/* A run that goes on does not try its teacher again, nor read the file that it
 * began from: what its manifest said of them stays. */
static bool keep(json_t *to, const json_t *before, const char *key)
{
    json_t *old = json_object_get(before, key);
    return old != NULL && json_object_set(to, key, old) == 0;
}

/* "teacher", "teacher_weights", "teacher_top1": of the second teacher
 * "teacher2", and so on. */
static lmb_status set_teacher(
    json_t *to, const json_t *before, const lmb_run_facts *f, int i)
{
    char name[24] = "teacher", key[64];
    if (i > 0)
        (void)snprintf(name, sizeof name, "teacher%d", i + 1);
    set_text(to, name, f->teachers[i].text);
    (void)snprintf(key, sizeof key, "%s_weights", name);
    LMB_TRY(set_file(to, key, f->config->teachers[i].weights));
    (void)snprintf(key, sizeof key, "%s_%s", name, f->task->score[0]);
    set_real(to, key, f->teacher_score[i]);
    keep(to, before, key);
    (void)snprintf(key, sizeof key, "%s_checked", name);
    set_int(to, key, f->teacher_checked);
    keep(to, before, key);
    return LMB_OK;
}

static lmb_status set_networks(
    json_t *to, const json_t *before, const lmb_run_facts *f)
{
    set_text(to, "student", f->student->text);
    set_int(to, "student_parameters", lmb_params_trainable(f->student->params));
    if (f->config->init != NULL && !keep(to, before, "init"))
        LMB_TRY(set_file(to, "init", f->config->init));
    for (int i = 0; i < f->n_teachers; i++)
        LMB_TRY(set_teacher(to, before, f, i));
    return LMB_OK;
}

static json_t *session_json(const lmb_run_facts *f, const char *command)
{
    char date[32] = "";
    struct tm parts;
    const time_t now = time(NULL);
    json_t *o = json_object();
    if (gmtime_r(&now, &parts) != NULL)
        (void)strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &parts);
    set_text(o, "date", date);
    set_int(o, "start_step", f->start_step);
    set_text(o, "command", command);
    (void)json_object_set_new(o, "build", build_json());
    set_int(o, "threads", f->threads);
    set_text(o, "precision", f->bf16 ? "bf16" : "f32");
    if (f->config->cache != NULL)
        set_text(o, "cache", f->config->cache);
    return o;
}

/* The sessions of the manifest that is there, with the new one. */
static json_t *all_sessions(const json_t *before, json_t *session)
{
    json_t *list = json_object_get(before, "sessions");
    list = json_is_array(list) ? json_incref(list) : json_array();
    (void)json_array_append_new(list, session);
    return list;
}

static lmb_status write_manifest(
    const char *path, const lmb_run_facts *f, const char *command)
{
    json_error_t error;
    json_t *o = json_object();
    json_t *data = data_json(f);
    json_t *before = f->config->resume ? json_load_file(path, 0, &error) : NULL;
    /* Without a state the run begins again: it has tried its teacher anew. */
    const json_t *kept = f->resumed ? before : NULL;
    char *text = NULL;
    lmb_str line = {0};
    lmb_status st = LMB_OK;
    (void)json_object_set_new(o, "data", data);
    LMB_GOTO(check_final_test(path, kept, data), st, done);
    LMB_GOTO(set_networks(o, kept, f), st, done);
    set_int(o, "seed", f->config->train.seed);
    (void)json_object_set_new(
        o, "sessions", all_sessions(before, session_json(f, command)));
    text = json_dumps(o, JSON_INDENT(2));
    if (text == NULL)
        LMB_GOTO(LMB_FAIL(LMB_ENOMEM, "%s: out of memory", path), st, done);
    lmb_str_printf(&line, "%s\n", text);
    LMB_GOTO(lmb_str_status(&line), st, done);
    LMB_GOTO(lmb_file_write(path, line.text, line.length), st, done);
done:
    lmb_str_fini(&line);
    free(text); /* jansson's */
    json_decref(before);
    json_decref(o);
    return st;
}

lmb_status lmb_manifest_write(
    const char *dir, const lmb_run *run, const char *command)
{
    const lmb_run_facts f = lmb_run_describe(run);
    lmb_str path = {0};
    lmb_status st = LMB_OK;
    lmb_str_printf(&path, "%s/" LMB_RUN_MANIFEST, dir);
    LMB_GOTO(lmb_str_status(&path), st, done);
    LMB_GOTO(write_manifest(path.text, &f, command), st, done);
done:
    lmb_str_fini(&path);
    return st;
}

lmb_status lmb_manifest_precision(const char *dir, int32_t *out)
{
    lmb_str path = {0};
    lmb_status st = LMB_OK;
    json_error_t error;
    json_t *root = NULL;
    *out = LMB_PRECISION_AUTO;
    lmb_str_printf(&path, "%s/" LMB_RUN_MANIFEST, dir);
    LMB_GOTO(lmb_str_status(&path), st, done);
    root = json_load_file(path.text, 0, &error);
    const json_t *list = json_object_get(root, "sessions");
    const size_t n = json_array_size(list);
    const char *said = json_string_value(
        json_object_get(json_array_get(list, n > 0 ? n - 1 : 0), "precision"));
    if (said != NULL && strcmp(said, "bf16") == 0)
        *out = LMB_PRECISION_BF16;
    else if (said != NULL && strcmp(said, "f32") == 0)
        *out = LMB_PRECISION_F32;
done:
    json_decref(root);
    lmb_str_fini(&path);
    return st;
}
