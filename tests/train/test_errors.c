/* What users and disks do wrong, through the program: each is one line on
 * standard error, status 1 or 2, and nothing left behind. */
#include "program.h"

#include "base/rng.h"
#include "train/run_config.h"

static char data_flags[2 * PROGRAM_PATH], teacher[2 * PROGRAM_PATH];

static int make_folder(void **state)
{
    program p = {0};
    if (program_folder(state) != 0)
        return 1;
    write_data(64);
    (void)snprintf(data_flags, sizeof data_flags,
        "--data idx:%s --batch 16 --epochs 2 --lr 0.02 --precision f32 "
        "--threads 1 --allow-reference",
        in_folder("data"));
    (void)snprintf(teacher, sizeof teacher, "%s",
        in_folder("teacher/student.safetensors"));
    program_start(&p, "train --model resnet8 %s --batch 4 --epochs 5 --out %s",
        data_flags, in_folder("teacher"));
    program_ends(&p, 0);
    program_start(&p,
        "train --model resnet8 %s --max-steps 1 --lr 1e-9 "
        "--out %s",
        data_flags, in_folder("guessing"));
    program_ends(&p, 0);
    /* Six classes, where the data has four. */
    assert_int_equal(mkdir(in_folder("six"), 0777), 0);
    write_idx(in_folder("six"), "train", 12, 6);
    write_idx(in_folder("six"), "t10k", 12, 6);
    program_start(&p,
        "train --model resnet8 %s --data idx:%s --max-steps 1 --out %s",
        data_flags, in_folder("six"), in_folder("other"));
    program_ends(&p, 0);
    return 0;
}

/* One line of error that holds `part`, after at most the table of the run. */
static void check_error(program *p, int status, const char *part)
{
    const int found = program_wait(p);
    if (found != status)
        fail_msg("exit status %d, not %d: %s", found, status, p->text);
    const char *line = program_last_line(p);
    if (strncmp(line, "limbeck", 7) != 0 || strstr(line, part) == NULL)
        fail_msg("'%s' is not an error about '%s'", line, part);
    assert_false(exists(in_folder("out")));
}

typedef struct wrong {
    int status;
    const char *part;
    const char *line; /* what follows "VERB data_flags --out ROOT/out" */
} wrong;

static void check_all(const char *verb, const wrong *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        program p = {0};
        program_start(&p, "%s %s --out %s %s", verb, data_flags,
            in_folder("out"), list[i].line);
        check_error(&p, list[i].status, list[i].part);
    }
}

/* --- wrong usage ---------------------------------------------------------- */

static void wrong_flags_of_train(void **state)
{
    (void)state;
    static const wrong list[] = {
        {2, "--model", ""},
        {2, "did you mean resnet8", "--model resnet9"},
        {2, "--epohcs; did you mean --epochs", "--model resnet8 --epohcs 3"},
        {2, "'three' is not a number", "--model resnet8 --epochs three"},
        {2, "-3 is outside", "--model resnet8 --epochs -3"},
        {2, "0 is outside", "--model resnet8 --batch 0"},
        {2, "nan", "--model resnet8 --lr nan"},
        {2, "1e30 is outside", "--model resnet8 --lr 1e30"},
        {2, "'f16' is not one of", "--model resnet8 --precision f16"},
        {2, "--classes 7", "--model resnet8 --classes 7"},
        {2, "'idxx'; did you mean 'idx'", "--model resnet8 --data idxx:x"},
        {2, "a folder is missing", "--model resnet8 --data idx"},
        {1, "no such folder", "--model resnet8 --data idx:nowhere"},
        {2, "split 'nosuch'", "--model resnet8 --split nosuch"},
        {2, "split 'nosuch'", "--model resnet8 --train-split nosuch"},
        {2, "unknown key 'a.b'", "--model resnet8 --set a.b=c"},
        {2, "KEY=VALUE", "--model resnet8 --set noequals"},
        {1, "nofile", "--model resnet8 --config nofile"},
        {1, "nofile", "--model resnet8 --init nofile"},
        {2, "one argument too many", "--model resnet8 extra"},
        {2, "needs a value", "--model resnet8 --seed"},
        {2, "method", "--model resnet8 --method kd"},
    };
    check_all("train", list, LMB_COUNT(list));
}

/* One letter more in any option's flag is an error that names it. */
static void a_typo_in_any_flag(void **state)
{
    (void)state;
    for (const lmb_opt *row = lmb_train_opts_table; row->name; row++) {
        program p = {0};
        char part[96];
        program_start(&p, "train --model resnet8 %s --out %s --%sx 1",
            data_flags, in_folder("out"), row->name);
        (void)snprintf(part, sizeof part, "unknown flag --%sx", row->name);
        check_error(&p, 2, part);
    }
}

static void wrong_flags_of_distill(void **state)
{
    (void)state;
    char line[16][4 * PROGRAM_PATH];
    const wrong kinds[] = {
        {2, "--method is missing", ""},
        {2, "2 epochs with a warm-up of 20 reach 1 of 6 phases",
            "--method pcd --set method.schedule=staged"},
        {2, "pcd.schedule: staged has phases of 1 .. 3 groups",
            "--method pcd --set method.schedule=staged --set "
            "method.preset=release"},
        {2, "5 groups are more than the 4 classes",
            "--method pcd --set method.schedule=staged --set "
            "method.directions=c2fl --set method.stages=5 --set "
            "method.warmup=0 --epochs 5"},
        {2, "did you mean 'kd'", "--method kkd"},
        {2, "unknown method 'ofd'; there are", "--method ofd"},
        {2, "did you mean 'temperature'",
            "--method kd --set method.temprature=4"},
        {2, "-4 is outside", "--method kd --set method.temperature=-4"},
        {2, "no tap 'f9'", "--method fitnet --map teacher.f9->student.f2"},
        {2, "a line reads", "--method fitnet --map teacher.f2"},
        {2, "three numbers", "--method kd --teacher-mean 1,2"},
        {2, "twice", "--method kd,kd"},
    };
    wrong list[LMB_COUNT(kinds)];
    for (size_t i = 0; i < LMB_COUNT(kinds); i++) {
        (void)snprintf(line[i], sizeof line[i],
            "--student resnet8 --teacher resnet8 --teacher-weights %s %s",
            teacher, kinds[i].line);
        list[i] = kinds[i];
        list[i].line = line[i];
    }
    check_all("distill", list, LMB_COUNT(list));
}

static void wrong_weights(void **state)
{
    (void)state;
    char line[5][8 * PROGRAM_PATH];
    const wrong list[] = {
        {1, "no better than chance", line[0]},
        {2, "6 classes, the data 4", line[1]},
        {1, "classifier of vgg8", line[2]},
        {1, "60 missing: layer1.1.conv1.weight", line[3]},
        {1, "No such file", line[4]},
    };
    (void)snprintf(line[0], sizeof line[0],
        "--student resnet8 --method kd --teacher-weights %s",
        in_folder("guessing/student.safetensors"));
    (void)snprintf(line[1], sizeof line[1],
        "--student resnet8 --method kd --teacher-weights %s",
        in_folder("other/student.safetensors"));
    (void)snprintf(line[2], sizeof line[2],
        "--student resnet8 --method kd --teacher vgg8 --teacher-weights %s",
        teacher);
    (void)snprintf(line[3], sizeof line[3],
        "--student resnet20 --method kd --teacher-weights %s --init %s",
        teacher, teacher);
    (void)snprintf(line[4], sizeof line[4],
        "--student resnet8 --method kd --teacher-weights nofile");
    check_all("distill", list, LMB_COUNT(list));
}

static void a_guessing_teacher_goes_on_by_force(void **state)
{
    (void)state;
    program p = {0};
    program_start(&p,
        "distill --student resnet8 --method kd --teacher-weights %s %s "
        "--force --max-steps 2 --out %s",
        in_folder("guessing/student.safetensors"), data_flags,
        in_folder("forced"));
    program_ends(&p, 0);
}

/* --- directories of runs -------------------------------------------------- */

static void a_run_is_never_written_over(void **state)
{
    (void)state;
    program p = {0};
    size_t size = 0, after = 0;
    char *before = read_all(teacher, &size);
    program_start(&p, "train --model resnet8 %s --out %s", data_flags,
        in_folder("teacher"));
    check_error(&p, 2, "exists: --resume");
    program_start(
        &p, "train --resume --epochs 9 --out %s", in_folder("teacher"));
    check_error(&p, 2, "has 'epochs: 5', not 'epochs: 9'");
    program_start(&p, "train --resume --lr 0.5 --out %s", in_folder("teacher"));
    check_error(&p, 2, "has 'lr: 0.02', not 'lr: 0.5'");
    program_start(
        &p, "distill --resume --method kd --out %s", in_folder("teacher"));
    check_error(&p, 2, "'");
    program_start(&p, "train --resume --out %s", in_folder("out"));
    check_error(&p, 1, "nothing to resume");
    program_start(&p, "train --resume --out %s", in_folder("data"));
    check_error(&p, 1, "nothing to resume");
    char *now = read_all(teacher, &after);
    assert_int_equal(size, after);
    assert_memory_equal(before, now, size);
    free(before);
    free(now);
}

/* A mounted folder is there before; what is no run is neither taken for one nor
 * written into. */
static void an_empty_folder_will_do(void **state)
{
    (void)state;
    program p = {0};
    assert_int_equal(mkdir(in_folder("empty"), 0777), 0);
    program_start(&p, "train --model resnet8 %s --lr -1 --out %s", data_flags,
        in_folder("empty"));
    check_error(&p, 2, "lr");
    program_start(&p,
        "distill --student resnet8 --method kd --teacher-weights %s %s "
        "--out %s",
        in_folder("other/student.safetensors"), data_flags, in_folder("empty"));
    check_error(&p, 2, "classes");
    assert_int_equal(rmdir(in_folder("empty")), 0);
    assert_int_equal(mkdir(in_folder("empty"), 0777), 0);
    program_start(&p, "train --model resnet8 %s --max-steps 1 --out %s",
        data_flags, in_folder("empty"));
    program_ends(&p, 0);
    assert_true(exists(in_folder("empty/student.safetensors")));
    program_start(&p, "train --model resnet8 %s --max-steps 1 --out %s",
        data_flags, in_folder("data"));
    check_error(&p, 2, "exists and is no run (no config.yaml)");
}

/* The configuration names files: what is in them counts, too. */
static void a_run_goes_on_with_what_it_began_with(void **state)
{
    (void)state;
    program p = {0};
    size_t size = 0;
    const char *copy = in_folder("copy.safetensors");
    const char *run = in_folder("moved"), *set = in_folder("set");
    assert_int_equal(mkdir(set, 0777), 0);
    write_idx(set, "train", 32, 4);
    write_idx(set, "t10k", 16, 4);
    char *text = read_all(teacher, &size);
    write_all(copy, text, size);
    free(text);
    program_start(&p,
        "distill --student resnet8 --method kd --teacher-weights %s %s "
        "--data idx:%s --epochs 1 --force --out %s",
        copy, data_flags, set, run);
    program_ends(&p, 0);
    write_idx(set, "train", 36, 4);
    program_start(&p, "distill --resume --force --out %s", run);
    check_error(&p, 1, "made with other data");
    write_idx(set, "train", 32, 4);
    text = read_all(in_folder("guessing/student.safetensors"), &size);
    write_all(copy, text, size);
    free(text);
    program_start(&p, "distill --resume --force --out %s", run);
    check_error(&p, 1, "made with other data");
}

/* --- values that are not finite ------------------------------------------- */

static void a_diverging_run_keeps_its_checkpoint(void **state)
{
    (void)state;
    program p = {0};
    program_start(&p,
        "train --model resnet8 %s --lr 99 --weight-decay 10 --save-every 2 "
        "--out %s",
        data_flags, in_folder("diverging"));
    program_ends(&p, 3);
    const char *line = program_last_line(&p);
    if (strstr(line, ", step ") == NULL || strstr(line, "layer") == NULL ||
        strstr(line, "last good checkpoint is kept") == NULL)
        fail_msg("%s", line);
    assert_true(exists(in_folder("diverging/last.safetensors")));
    assert_int_equal(count_files(in_folder("diverging"), ".tmp."), 0);
}

/* Sets the first value of a tensor, whose name is in the header, to NaN. */
static void put_nan(const char *path, const char *name)
{
    size_t size = 0;
    char *text = read_all(path, &size);
    uint64_t header = 0;
    memcpy(&header, text, 8); /* tests run on little-endian machines */
    char key[128];
    (void)snprintf(key, sizeof key, "\"%s\":", name);
    const char *at = NULL;
    for (size_t i = 8; i + strlen(key) < 8 + header && at == NULL; i++)
        if (memcmp(text + i, key, strlen(key)) == 0)
            at = strstr(text + i, "\"data_offsets\":[");
    assert_non_null(at);
    const uint64_t offset =
        strtoull(at + strlen("\"data_offsets\":["), NULL, 10);
    const float bad = NAN;
    memcpy(text + 8 + header + offset, &bad, sizeof bad);
    write_all(path, text, size);
    free(text);
}

static void weights_that_are_not_finite(void **state)
{
    (void)state;
    program p = {0};
    size_t size = 0;
    const char *path = in_folder("nan.safetensors");
    char *good = read_all(teacher, &size);
    write_all(path, good, size);
    free(good);
    put_nan(path, "layer2.0.conv1.weight");
    program_start(&p, "train --model resnet8 %s --init %s --out %s", data_flags,
        path, in_folder("out"));
    check_error(&p, 3, "layer2.0.conv1.weight");
    program_start(&p,
        "distill --student resnet8 --method kd --teacher-weights %s %s "
        "--out %s",
        path, data_flags, in_folder("out"));
    check_error(&p, 1, "layer2.0.conv1.weight holds values that are not");
}

/* --- damaged files -------------------------------------------------------- */

/* A copy of a file, cut or with one bit turned. */
static void damage(const char *from, const char *to, lmb_rng *rng, int way)
{
    size_t size = 0;
    char *text = read_all(from, &size);
    assert_true(size > 0);
    const size_t at =
        lmb_rng_below(rng, (uint32_t)(way == 2 && size > 2000 ? 2000 : size));
    if (way == 0) /* cut */
        size = at;
    else /* one bit, anywhere or in the first bytes */
        text[at] = (char)(text[at] ^ (1 << lmb_rng_below(rng, 8)));
    write_all(to, text, size);
    free(text);
}

/* It may have been harmless; else it is one line, and never a crash. */
static void check_survives(program *p, bool must_fail, const char *part)
{
    const int status = program_wait(p);
    const bool good = status == 0 && !must_fail;
    if (!good && status != 1 && status != 2)
        fail_msg("exit status %d: %s", status, p->text);
    const char *line = program_last_line(p);
    if (status != 0 &&
        (strncmp(line, "limbeck", 7) != 0 || strstr(line, part) == NULL))
        fail_msg("'%s' is not an error about '%s'", line, part);
}

enum { DAMAGES = 24 };

static void damaged_weights(void **state)
{
    (void)state;
    static const char *const ends[] = {"safetensors", "pth"};
    program p = {0};
    char good[2 * PROGRAM_PATH], bad[2 * PROGRAM_PATH];
    lmb_rng rng = lmb_rng_make(5, 0x64616d61, 0, 0);
    for (int i = 0; i < 2 * DAMAGES; i++) {
        const char *end = ends[i % 2];
        (void)snprintf(good, sizeof good, "%s", in_folder("good.%s", end));
        (void)snprintf(bad, sizeof bad, "%s", in_folder("bad.%s", end));
        if (!exists(good)) {
            program_start(&p, "convert %s %s", teacher, good);
            program_ends(&p, 0);
        }
        damage(good, bad, &rng, i % 3);
        program_start(&p,
            "eval --model resnet8 --weights %s --data idx:%s "
            "--threads 1 --precision f32 --allow-reference",
            bad, in_folder("data"));
        check_survives(&p, i % 3 == 0, "bad.");
    }
}

/* last.safetensors and config.yaml of a run that goes on. */
static void damaged_run(void **state)
{
    (void)state;
    static const char *const files[] = {"last.safetensors", "config.yaml"};
    program p = {0};
    lmb_rng rng = lmb_rng_make(6, 0x64616d61, 0, 0);
    char from[2][2 * PROGRAM_PATH], to[2][2 * PROGRAM_PATH];
    const char *run = in_folder("copy");
    assert_int_equal(mkdir(run, 0777), 0);
    for (int i = 0; i < 2; i++) {
        (void)snprintf(
            from[i], sizeof from[i], "%s", in_folder("guessing/%s", files[i]));
        (void)snprintf(to[i], sizeof to[i], "%s/%s", run, files[i]);
    }
    for (int i = 0; i < 2 * DAMAGES; i++) {
        const int bad = i % 2;
        size_t size = 0;
        char *text = read_all(from[!bad], &size);
        write_all(to[!bad], text, size);
        free(text);
        damage(from[bad], to[bad], &rng, i % 3);
        program_start(&p, "train --resume --out %s", run);
        check_survives(&p, bad == 0, "");
        assert_int_equal(count_files(run, ".tmp."), 0);
        assert_int_equal(count_files(run, ".lock"), 0);
    }
}

static void damaged_arrays(void **state)
{
    (void)state;
    program p = {0};
    char npy[80 + 64] = "\x93NUMPY\x01\x00\x46";
    lmb_rng rng = lmb_rng_make(7, 0x64616d61, 0, 0);
    const char *good = in_folder("z.npy"), *bad = in_folder("bad.npy");
    memset(npy + 10, ' ', 70);
    const char head[] =
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 4), }";
    memcpy(npy + 10, head, sizeof head - 1);
    npy[9] = 0;
    npy[79] = '\n';
    write_all(good, npy, sizeof npy);
    program_start(&p, "loss --method kd --student %s --teacher %s", good, good);
    program_ends(&p, 0);
    for (int i = 0; i < DAMAGES; i++) {
        damage(good, bad, &rng, i % 3);
        program_start(
            &p, "loss --method kd --student %s --teacher %s", bad, good);
        const int status = program_wait(&p);
        if (status != 0 && status != 1 && status != 2 && status != 3)
            fail_msg("exit status %d: %s", status, p.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_flags_of_train),
        cmocka_unit_test(a_typo_in_any_flag),
        cmocka_unit_test(wrong_flags_of_distill),
        cmocka_unit_test(wrong_weights),
        cmocka_unit_test(a_guessing_teacher_goes_on_by_force),
        cmocka_unit_test(a_run_is_never_written_over),
        cmocka_unit_test(an_empty_folder_will_do),
        cmocka_unit_test(a_run_goes_on_with_what_it_began_with),
        cmocka_unit_test(a_diverging_run_keeps_its_checkpoint),
        cmocka_unit_test(weights_that_are_not_finite),
        cmocka_unit_test(damaged_weights),
        cmocka_unit_test(damaged_run),
        cmocka_unit_test(damaged_arrays),
    };
    const int failed =
        cmocka_run_group_tests(tests, make_folder, program_folder_remove);
    return failed + lmb_test_leaks();
}
