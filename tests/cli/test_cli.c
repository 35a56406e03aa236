/* test_cli.c: the program as its users run it: the commands of cases.txt, the
 * golden vectors through `limbeck loss`, a small run with its files, an
 * interrupt and an exact resume. */
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lmb_test.h"

#include "base/file.h"
#include "base/str.h"
#include "io/npy.h"
#include "io/weights.h"
#include "tensor/shape.h"

static char folder[] = "/tmp/limbeck_cli_XXXXXX";

/* A file below the working folder as text; owned by the caller. */
static char *slurp(const char *name)
{
    char path[512];
    lmb_file file = {0};
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    char *text = NULL;
    if (lmb_file_open(path, &file) == LMB_OK) {
        text = calloc(file.size + 1, 1);
        memcpy(text, file.bytes, file.size);
    }
    lmb_file_close(&file);
    return text != NULL ? text : calloc(1, 1);
}

/* limbeck ARGS in the working folder; its exit status. */
static int run(const char *args)
{
    char command[4096];
    (void)snprintf(command, sizeof command,
        "cd %s && '%s' %s >stdout.txt 2>stderr.txt", folder, LMB_PROGRAM, args);
    const int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void must(const char *args)
{
    const int status = run(args);
    if (status != 0) {
        char *err = slurp("stderr.txt");
        fail_msg("limbeck %s: status %d: %s", args, status, err);
    }
}

static int enter(void **state)
{
    (void)state;
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int leave(void **state)
{
    char command[256];
    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

/* --- cases.txt */

typedef struct outcome {
    char command[2048];
    int status;
    char *out, *err;
} outcome;

/* "{T}" becomes the folder of the tests. */
static void expand(const char *from, char *to, size_t size)
{
    size_t n = 0;
    for (; *from != '\0' && n + 1 < size; from++) {
        if (strncmp(from, "{T}", 3) != 0) {
            to[n++] = *from;
            continue;
        }
        n += (size_t)snprintf(to + n, size - n, "%s", LMB_TEST_DIR);
        from += 2;
    }
    to[n] = '\0';
}

static void check_line(const outcome *o, const char *line, int number)
{
    if (strncmp(line, "status ", 7) == 0) {
        if (atoi(line + 7) != o->status)
            fail_msg("cases.txt:%d: limbeck %s: status %d, not %s: %s", number,
                o->command, o->status, line + 7, o->err);
    } else if (strncmp(line, "out ", 4) == 0) {
        if (strstr(o->out, line + 4) == NULL)
            fail_msg("cases.txt:%d: limbeck %s: no '%s' in: %s", number,
                o->command, line + 4, o->out);
    } else if (strncmp(line, "err ", 4) == 0) {
        if (strstr(o->err, line + 4) == NULL)
            fail_msg("cases.txt:%d: limbeck %s: no '%s' in: %s", number,
                o->command, line + 4, o->err);
    } else if (strcmp(line, "noout") == 0) {
        if (o->out[0] != '\0')
            fail_msg("cases.txt:%d: limbeck %s: wrote: %s", number, o->command,
                o->out);
    } else {
        fail_msg("cases.txt:%d: '%s' is not understood", number, line);
    }
}

static void begin_case(outcome *o, const char *line)
{
    free(o->out);
    free(o->err);
    expand(line + 1 + (line[1] == ' '), o->command, sizeof o->command);
    o->status = run(o->command);
    o->out = slurp("stdout.txt");
    o->err = slurp("stderr.txt");
}

static void the_cases_hold(void **state)
{
    (void)state;
    outcome o = {.status = -1};
    char line[2048];
    int number = 0, commands = 0;
    FILE *f = fopen(LMB_TEST_DIR "/cli/cases.txt", "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL) {
        number++;
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '\0' || line[0] == '#')
            continue;
        if (line[0] == '$') {
            begin_case(&o, line);
            commands++;
        } else {
            check_line(&o, line, number);
        }
    }
    (void)fclose(f);
    free(o.out);
    free(o.err);
    assert_true(commands > 40);
}

/* --- warnings */

/* What `version` with these flags says on standard error; free() it. */
static char *warned(const char *flags)
{
    char args[64];
    (void)snprintf(args, sizeof args, "version %s", flags);
    must(args);
    return slurp("stderr.txt");
}

static void quiet_is_errors_alone(void **state)
{
    (void)state;
    const char *before = getenv("LIMBECK_CPU");
    char *kept = before != NULL ? strdup(before) : NULL;
    assert_int_equal(setenv("LIMBECK_CPU", "foo", 1), 0);
    char *loud = warned("");
    char *quiet = warned("-q");
    assert_int_equal(run("versoin -q"), 2);
    char *error = slurp("stderr.txt");
    if (kept != NULL)
        (void)setenv("LIMBECK_CPU", kept, 1);
    else
        (void)unsetenv("LIMBECK_CPU");
    assert_non_null(strstr(loud, "warning: LIMBECK_CPU 'foo'"));
    assert_string_equal(quiet, "");
    assert_non_null(strstr(error, "did you mean 'version'?"));
    free(kept);
    free(loud);
    free(quiet);
    free(error);
}

/* --- loss */

enum { ROWS = 2, CLASSES = 7, SIZE = ROWS * CLASSES };
static const double zt[SIZE] = {5.0, 1.0, -2.0, 0.5, 3.0, -1.0, 0.0, /**/
    0.2, -0.4, 4.0, 1.5, -3.0, 2.5, 0.7};
static const double zs[SIZE] = {2.0, 1.5, -1.0, 0.0, 3.5, 0.5, -0.5, /**/
    1.0, 0.1, 1.0, 2.0, -1.0, 0.5, 0.2};

static void save(
    const char *name, lmb_dtype dtype, lmb_shape shape, const double *values)
{
    char path[512];
    lmb_tensor *t = NULL;
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    CHECK_OK(lmb_tensor_new(dtype, &shape, &t));
    for (int64_t i = 0; i < lmb_tensor_count(t); i++)
        lmb_tensor_set(t, i, values[i]);
    CHECK_OK(lmb_npy_save(path, t));
    lmb_tensor_release(t);
}

static double loss_of(const char *args)
{
    char command[1024];
    (void)snprintf(command, sizeof command,
        "loss --student zs.npy --teacher zt.npy --json %s", args);
    must(command);
    char *out = slurp("stdout.txt");
    const char *at = strchr(out, ':');
    const double value = at != NULL ? strtod(at + 1, NULL) : NAN;
    free(out);
    return value;
}

/* Published values of the paper's formula and of the authors' code. */
static void the_golden_vectors_pass(void **state)
{
    (void)state;
    static const double attached[SIZE] = {-0.4420684898, 0.0211046050,
        0.0768396482, -0.0035344786, 0.0488400264, 0.3017714594, -0.0029527706,
        0.1084598400, 0.0190865158, -0.2872119902, 0.0391132874, 0.2321270786,
        -0.1094142640, -0.0021604676};
    char path[512];
    lmb_tensor *grad = NULL;
    save("zs.npy", LMB_F64, LMB_SHAPE(ROWS, CLASSES), zs);
    save("zt.npy", LMB_F64, LMB_SHAPE(ROWS, CLASSES), zt);
    CHECK_NEAR(loss_of("--method pcd --grad g.npy"), 0.7877855987643133, 1e-9);
    (void)snprintf(path, sizeof path, "%s/g.npy", folder);
    CHECK_OK(lmb_npy_load(path, &grad));
    assert_int_equal(grad->dtype, LMB_F64);
    CHECK_ARRAYS((const double *)grad->data, attached, SIZE, 1e-9);
    lmb_tensor_release(grad);
    CHECK_NEAR(loss_of("--method pcd --set method.preset=release"),
        14.265535515467786, 1e-9);
    CHECK_NEAR(loss_of("--method KD --set method.kd.temperature=4"),
        1.308834738460948, 1e-9);
    CHECK_NEAR(
        loss_of("--method kd --set KD.TEMPERATURE=4"), 1.308834738460948, 1e-9);
    const double at_two = loss_of("--method kd --set temperature=2");
    assert_true(loss_of("--method kd --temperature 2") == at_two);
    assert_true(loss_of("--method kd -T 2") == at_two);
    assert_true(at_two != loss_of("--method kd"));
    assert_int_equal(
        run("loss --method kd --student zs.npy --teacher zt.npy --set x=1"), 2);
}

static void labels_and_taps_are_read(void **state)
{
    (void)state;
    static const double labels[ROWS] = {4, 2};
    static double map[2 * 3 * 4 * 4 + 7];
    for (size_t i = 0; i < LMB_COUNT(map); i++)
        map[i] = sin((double)i);
    save("zs.npy", LMB_F32, LMB_SHAPE(ROWS, CLASSES), zs);
    save("zt.npy", LMB_F32, LMB_SHAPE(ROWS, CLASSES), zt);
    save("y.npy", LMB_I64, LMB_SHAPE(ROWS), labels);
    save("a.npy", LMB_F64, LMB_SHAPE(2, 3, 4, 4), map);
    save("b.npy", LMB_F64, LMB_SHAPE(2, 3, 4, 4), map + 7);
    assert_true(isfinite(loss_of("--method dkd --labels y.npy")));
    assert_int_equal(
        run("loss --method dkd --student zs.npy --teacher zt.npy"), 2);
    must("loss --method fitnet --student f2=a.npy --teacher f2=b.npy "
         "--params p.safetensors --grad f2=g.npy");
    char *first = slurp("stdout.txt");
    must("loss --method fitnet --student f2=a.npy --teacher f2=b.npy "
         "--params p.safetensors --seed 9");
    char *second = slurp("stdout.txt");
    assert_string_equal(first, second);
    free(first);
    free(second);
}

/* Stage, step and seed reach the methods that ask for them. */
static void detection_methods_run_on_pyramid_levels(void **state)
{
    (void)state;
    static double map[2 * 3 * 4 * 4 + 7];
    for (size_t i = 0; i < LMB_COUNT(map); i++)
        map[i] = sin((double)(i * i));
    save("a.npy", LMB_F64, LMB_SHAPE(2, 3, 4, 4), map);
    save("b.npy", LMB_F64, LMB_SHAPE(2, 3, 4, 4), map + 7);
#define LEVELS "--student p3=a.npy --teacher p3=b.npy "
    must("loss --method pkd " LEVELS "--grad p3=g.npy");
    must("loss --method mgd " LEVELS);
    char *first = slurp("stdout.txt");
    must("loss --method mgd --step 1 " LEVELS);
    char *second = slurp("stdout.txt");
    assert_string_not_equal(first, second);
    free(first);
    free(second);
    must("loss --method dfmsd --set alpha=1 " LEVELS);
    first = slurp("stdout.txt");
    must("loss --method dfmsd --set alpha=1 --stage 2 " LEVELS);
    second = slurp("stdout.txt");
    assert_string_not_equal(first, second);
    free(first);
    free(second);
    /* Boxes with and without a class, the size by name and by flag. */
    static const double four[2 * 4] = {1, 2, 20, 18, 0, 0, 0, 0};
    static const double five[2 * 5] = {1, 2, 20, 18, 3, 0, 0, 0, 0, -1};
    save("b4.npy", LMB_F32, LMB_SHAPE(2, 1, 4), four);
    save("b5.npy", LMB_F64, LMB_SHAPE(2, 1, 5), five);
    must("loss --method fgd --boxes b4.npy " LEVELS);
    first = slurp("stdout.txt");
    must("loss --method fgd --boxes b5.npy --size 32 " LEVELS);
    second = slurp("stdout.txt");
    assert_string_equal(first, second);
    free(first);
    free(second);
    assert_int_equal(run("loss --method fgd --boxes a.npy " LEVELS), 1);
    assert_int_not_equal(run("loss --method fgd " LEVELS), 0);
    assert_int_equal(run("loss --method dfmsd --stage 0 " LEVELS), 2);
    assert_int_equal(run("loss --method pkd --size 8x " LEVELS), 2);
#undef LEVELS
}

/* --- runs */

#define TINY \
    "train --model resnet8 --data shapes --fraction 0.02 --batch 20 " \
    "--threads 1 --precision f32 --seed 3 "

/* metrics.jsonl without its speeds. */
static char *metrics_of(const char *dir)
{
    char name[256];
    (void)snprintf(name, sizeof name, "%s/metrics.jsonl", dir);
    char *text = slurp(name);
    char *to = text;
    for (const char *at = text; *at != '\0';) {
        if (strncmp(at, "\"images_per_second\"", 19) == 0)
            at += strcspn(at, ",}\n");
        else
            *to++ = *at++;
    }
    *to = '\0';
    return text;
}

static bool there(const char *name)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return lmb_path_exists(path);
}

static void a_run_writes_its_files(void **state)
{
    (void)state;
    must(TINY "--epochs 2 --out whole --json");
    char *out = slurp("stdout.txt");
    assert_non_null(strstr(out, "\"best_chosen_on_test\": true"));
    free(out);
    char *err = slurp("stderr.txt");
    assert_non_null(strstr(err, "best was chosen on the test set"));
    free(err);
    static const char *const files[] = {"config.yaml", "manifest.json",
        "metrics.jsonl", "classes.json", "student.safetensors",
        "best.safetensors", "last.safetensors"};
    for (size_t i = 0; i < LMB_COUNT(files); i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "whole/%s", files[i]);
        if (!there(name))
            fail_msg("%s is not there", name);
    }
    char *metrics = metrics_of("whole");
    assert_non_null(strstr(metrics, "{\"epoch\": 2, \"step\": "));
    assert_non_null(strstr(metrics, "\"split\": \"test\""));
    free(metrics);
    assert_int_equal(run(TINY "--epochs 2 --out whole"), 2);
    must("report whole");
    assert_true(there("whole/report.html"));
    must("eval --weights whole/student.safetensors --data shapes "
         "--split val --limit 200 --json");
    out = slurp("stdout.txt");
    assert_non_null(strstr(out, "{\"top1\": "));
    free(out);
}

/* `count` lines, name0, name1, ... */
static void write_names(const char *name, int count)
{
    char path[512];
    lmb_str text = {0};
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    for (int i = 0; i < count; i++)
        lmb_str_printf(&text, "name%d\r\n", i);
    CHECK_OK(lmb_str_status(&text));
    CHECK_OK(lmb_file_write(path, text.text, text.length));
    lmb_str_fini(&text);
}

/* Of the run before. */
static void converted_files_have_names(void **state)
{
    (void)state;
    write_names("names.txt", 100);
    write_names("few.txt", 3);
    must("convert whole/student.safetensors named.pth --names names.txt "
         "--model resnet8");
    must("convert named.pth named.safetensors --model resnet8 --mean "
         "0.5,0.5,0.5 --std 0.25,0.25,0.25 --names names.txt");
    must("inspect named.safetensors");
    char *out = slurp("stdout.txt");
    assert_non_null(strstr(out, "class_names    name0 name1 "));
    assert_non_null(strstr(out, "std            0.25 0.25 0.25\n"));
    free(out);
    assert_int_equal(
        run("convert whole/student.safetensors x.pth --names few.txt"), 1);
    char *err = slurp("stderr.txt");
    assert_non_null(strstr(err, "few.txt: 3 names for 100 classes"));
    free(err);
}

/* As a script leaves a file whose head it has replaced: 100 classes by its
 * shape, two by what it says. */
static void a_replaced_head_is_converted(void **state)
{
    (void)state;
    char path[512];
    lmb_weights *w = NULL;
    (void)snprintf(path, sizeof path, "%s/whole/student.safetensors", folder);
    CHECK_OK(lmb_weights_load(path, &w));
    CHECK_OK(lmb_weights_meta_set(w, "classes", "2"));
    CHECK_OK(lmb_weights_meta_set(w, "class_names", "cat\ndog"));
    (void)snprintf(path, sizeof path, "%s/head.safetensors", folder);
    CHECK_OK(lmb_weights_save(path, w));
    lmb_weights_free(w);
    assert_int_equal(
        run("eval --weights head.safetensors --data shapes --limit 20"), 1);
    char *err = slurp("stderr.txt");
    assert_non_null(strstr(
        err, "head.safetensors: metadata classes is 2, and the head has 100"));
    free(err);
    must("convert head.safetensors right.safetensors --model resnet8");
    err = slurp("stderr.txt");
    assert_non_null(strstr(err, "class_names has 2 lines for 100 classes"));
    free(err);
    must("inspect right.safetensors");
    char *out = slurp("stdout.txt");
    assert_null(strstr(out, "class_names"));
    free(out);
    must("eval --weights right.safetensors --data shapes --limit 20");
    must("convert head.safetensors named.safetensors --model resnet8 --names "
         "names.txt");
}

static void nap(void)
{
    const struct timespec t = {.tv_nsec = 20000000};
    (void)nanosleep(&t, NULL);
}

/* Starts a run, sends `number` once its first rows are there; its status. */
static int interrupt_run(const char *dir, int number)
{
    char command[1024], metrics[300];
    (void)snprintf(metrics, sizeof metrics, "%s/metrics.jsonl", dir);
    const pid_t child = fork();
    if (child == 0) {
        (void)snprintf(command, sizeof command,
            "cd %s && exec '%s' " TINY
            "--epochs 6 --eval-every 3 --decay-epochs 3 --out %s >o.txt "
            "2>e.txt",
            folder, LMB_PROGRAM, dir);
        (void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    for (int i = 0; i < 3000; i++) {
        char *text = slurp(metrics);
        const bool begun = text[0] != '\0';
        free(text);
        if (begun)
            break;
        nap();
    }
    int status = 0;
    (void)kill(child, number);
    (void)waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* The same rows and the same weights as the run that nobody stopped. */
static void check_resume(const char *dir, int number)
{
    char args[512];
    assert_int_equal(interrupt_run(dir, number), 128 + number);
    (void)snprintf(args, sizeof args, "train --resume --out %s", dir);
    must(args);
    char *want = metrics_of("unbroken"), *got = metrics_of(dir);
    assert_string_equal(want, got);
    free(want);
    free(got);
    (void)snprintf(args, sizeof args,
        "cmp -s %s/unbroken/student.safetensors %s/%s/student.safetensors",
        folder, folder, dir);
    assert_int_equal(system(args), 0);
}

static void a_stopped_run_goes_on_exactly(void **state)
{
    (void)state;
    must(TINY "--epochs 6 --eval-every 3 --decay-epochs 3 --out unbroken");
    check_resume("by_int", SIGINT);
    assert_int_equal(interrupt_run("by_term", SIGTERM), 128 + SIGTERM);
    assert_int_equal(run("train --resume --out by_int --lr 0.3"), 2);
    char *err = slurp("stderr.txt");
    assert_non_null(strstr(err, "the run to resume has 'lr: "));
    free(err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_cases_hold),
        cmocka_unit_test(quiet_is_errors_alone),
        cmocka_unit_test(the_golden_vectors_pass),
        cmocka_unit_test(labels_and_taps_are_read),
        cmocka_unit_test(detection_methods_run_on_pyramid_levels),
        cmocka_unit_test(a_run_writes_its_files),
        cmocka_unit_test(converted_files_have_names),
        cmocka_unit_test(a_replaced_head_is_converted),
        cmocka_unit_test(a_stopped_run_goes_on_exactly)};
    const int failed = cmocka_run_group_tests(tests, enter, leave);
    return failed + lmb_test_leaks();
}
