/* test_config.c: merging of files and keys, origins, errors, mdistiller's
 * files, and the dump that reads back. */
#include "lmb_test.h"
#include "train/config.h"
#include "train/run_impl.h"

#include <unistd.h>

#define GOLDEN LMB_TEST_DIR "/train/golden/"

typedef struct both {
    lmb_config config;
    lmb_run_config run;
} both;

static void begin(both *b)
{
    CHECK_OK(lmb_config_init(&b->config));
    CHECK_OK(lmb_run_config_init(&b->run));
}

static void end(both *b)
{
    lmb_run_config_fini(&b->run);
    lmb_config_fini(&b->config);
}

static void parse(both *b, const char *text)
{
    begin(b);
    CHECK_OK(lmb_config_parse(&b->config, text, strlen(text), "run.yaml"));
}

/* The text must be refused with a message that holds `part`. */
static void refuse(const char *text, lmb_status code, const char *part)
{
    both b;
    begin(&b);
    lmb_status st = lmb_config_parse(&b.config, text, strlen(text), "run.yaml");
    if (st == LMB_OK)
        st = lmb_config_resolve(&b.config, &b.run);
    CHECK_ERR(st, code, part);
    end(&b);
}

/* --- tests ---------------------------------------------------------------- */

static void every_spelling_is_one_key(void **state)
{
    (void)state;
    both b;
    parse(&b,
        "Model: resnet8\nTrain: {LR: 0.1, num_workers: 3}\nbatch-size: 16\n"
        "SOLVER.EPOCHS: 7\nmethod: KD\nmethod.tau: 2\n");
    CHECK_OK(lmb_config_resolve(&b.config, &b.run));
    assert_string_equal(b.run.student, "resnet8");
    CHECK_NEAR(b.run.train.lr, 0.1, 0);
    assert_int_equal(b.run.train.loader_threads, 3);
    assert_int_equal(b.run.train.batch, 16);
    assert_int_equal(b.run.train.epochs, 7);
    assert_int_equal(b.run.n_methods, 1);
    assert_string_equal(b.run.methods[0].name, "kd");
    assert_string_equal(b.run.methods[0].key[0], "temperature");
    assert_string_equal(b.run.methods[0].value[0], "2");
    end(&b);
}

static void later_wins_and_origins_are_kept(void **state)
{
    (void)state;
    both b;
    parse(&b, "student: resnet8\ntrain:\n  lr: 0.1\n");
    assert_string_equal(
        lmb_config_find(&b.config, "train.lr")->origin, "run.yaml:3");
    CHECK_OK(lmb_config_assign(&b.config, "lr=0.2", "--set"));
    assert_string_equal(
        lmb_config_find(&b.config, "train.lr")->origin, "--set lr=0.2");
    CHECK_OK(lmb_config_set(&b.config, "train.lr", "0.3", "--lr"));
    CHECK_OK(lmb_config_resolve(&b.config, &b.run));
    CHECK_NEAR(b.run.train.lr, 0.3, 0);
    assert_string_equal(lmb_config_find(&b.config, "train.lr")->origin, "--lr");
    end(&b);
}

static void the_input_size_reaches_the_data(void **state)
{
    (void)state;
    both b;
    lmb_str text = {0};
    lmb_dataset *ds = NULL;
    parse(&b, "data:\n  spec: shapes\n  classes: 3\n  size: 32\n");
    CHECK_OK(lmb_config_resolve(&b.config, &b.run));
    CHECK_OK(lmb_run_config_data(&b.run, true, &ds));
    assert_int_equal(lmb_dataset_classes(ds), 3);
    assert_int_equal(lmb_dataset_input(ds), 32);
    lmb_dataset_free(ds);
    CHECK_OK(lmb_config_dump(&b.run, &b.config, &text));
    assert_non_null(strstr(text.text, "  size: 32 "));
    lmb_str_fini(&text);
    CHECK_OK(lmb_config_assign(&b.config, "size=64", "--set"));
    CHECK_OK(lmb_config_resolve(&b.config, &b.run));
    CHECK_ERR(lmb_run_config_data(&b.run, false, &ds), LMB_EINVAL,
        "input size 64, but all its pictures are 32 x 32");
    end(&b);
}

static void files_inherit_and_lists_are_replaced(void **state)
{
    (void)state;
    both b;
    begin(&b);
    CHECK_OK(lmb_config_load(&b.config, GOLDEN "child.yaml"));
    CHECK_OK(lmb_config_resolve(&b.config, &b.run));
    const lmb_run_config *r = &b.run;
    assert_string_equal(r->student, "resnet20");
    assert_string_equal(r->data, "cifar100:data");
    assert_string_equal(r->test_split, "test");
    assert_int_equal(r->train.epochs, 12);
    CHECK_NEAR(r->train.lr, 0.05, 0);
    assert_int_equal(r->n_decays, 2);
    CHECK_NEAR(r->decay_epochs[1], 9, 0);
    assert_int_equal(r->n_teachers, 1);
    assert_string_equal(r->teachers[0].model, "resnet56");
    assert_string_equal(r->teachers[0].weights, "teacher.pth");
    /* The list of methods is the child's alone: pcd has no alpha now. */
    assert_int_equal(r->n_methods, 2);
    assert_string_equal(r->methods[0].name, "pcd");
    assert_int_equal(r->methods[0].n_options, 0);
    assert_true(isnan(r->methods[0].weight));
    assert_string_equal(r->methods[1].name, "fitnet");
    CHECK_NEAR(r->methods[1].weight, 30, 0);
    assert_int_equal(r->methods[1].n_map, 1);
    assert_string_equal(r->methods[1].map[0], "teacher.f2 -> student.f3");
    end(&b);
}

static void a_flag_replaces_one_field_of_a_teacher(void **state)
{
    (void)state;
    both b;
    begin(&b);
    CHECK_OK(lmb_config_load(&b.config, GOLDEN "base.yaml"));
    CHECK_OK(lmb_config_set(
        &b.config, "teachers.0.weights", "other.pth", "--teacher-weights"));
    CHECK_OK(lmb_config_set(&b.config, "method.alpha", "7", "--set"));
    CHECK_OK(lmb_config_resolve(&b.config, &b.run));
    assert_string_equal(b.run.teachers[0].model, "resnet56");
    assert_string_equal(b.run.teachers[0].weights, "other.pth");
    CHECK_NEAR(b.run.methods[0].weight, 2, 0);
    assert_int_equal(b.run.methods[0].n_options, 2);
    assert_string_equal(b.run.methods[0].value[0], "7");
    end(&b);
}

static void a_broken_file_says_file_and_line(void **state)
{
    (void)state;
    refuse("a: [1, 2\n", LMB_EFORMAT, "run.yaml:2: ");
    refuse("train:\n  lr: 1\n  LR: 2\n", LMB_EFORMAT,
        "run.yaml:3: key 'LR' is there twice (first in line 2)");
    refuse("a: &x 1\nb: *x\n", LMB_EFORMAT, "run.yaml:1: anchors");
    refuse("a: *x\n", LMB_EFORMAT, "aliases");
    refuse("a: !python/object 1\n", LMB_EFORMAT, "tags");
    refuse("a: 1\n---\nb: 2\n", LMB_EFORMAT, "a second document");
    refuse("- a\n", LMB_EFORMAT, "run.yaml:1: not a map of keys");
    refuse("\"a\\0b\": 1\n", LMB_EFORMAT, "zero byte");
    refuse("a: [[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]\n",
        LMB_EFORMAT, "nested deeper");
}

static void an_unknown_key_names_the_nearest(void **state)
{
    (void)state;
    refuse("\ntrain:\n  epohcs: 3\n", LMB_EUSAGE,
        "run.yaml:3: unknown key 'train.epohcs'; did you mean 'train.epochs'?");
    refuse("data: {siz: 64}\n", LMB_EUSAGE, "did you mean 'data.size'?");
    refuse("studnet: resnet8\n", LMB_EUSAGE, "did you mean 'student'?");
    refuse("student: resnet21\n", LMB_EUSAGE, "run.yaml:1");
    refuse("method: pcd\nmethod.alhpa: 3\n", LMB_EUSAGE,
        "run.yaml:2: pcd: unknown option 'alhpa'; did you mean 'alpha'?");
    refuse("methods: [kdd]\n", LMB_EUSAGE, "run.yaml:1");
    refuse("MODEL: {WEIGHTS: x}\n", LMB_EUSAGE,
        "run.yaml:1: MODEL: configurations of mmdetection and detectron2");
    refuse("what: ever\n", LMB_EUSAGE, "unknown key 'what'");
    refuse("stages: [{teacher: a}]\n", LMB_EUSAGE,
        "is neither a number from 0 nor the model of a teacher");
}

/* Inside the items of lists as well. */
static void an_unknown_field_names_the_nearest(void **state)
{
    (void)state;
    refuse("methods:\n  - name: kd\n    wieght: 2\n", LMB_EUSAGE,
        "run.yaml:3: unknown key 'methods.0.wieght'; did you mean "
        "'methods.0.weight'?");
    refuse("methods: [kd, {name: pcd, temperature: 2}]\n", LMB_EUSAGE,
        "did you mean 'methods.1.options.temperature'?");
    refuse("methods: [{name: kd, optoins: {tau: 2}}]\n", LMB_EUSAGE,
        "did you mean 'methods.0.options.KEY'?");
    refuse("methods: [{name: kd, options: 2}]\n", LMB_EUSAGE,
        "did you mean 'methods.0.options.KEY'?");
    refuse("methods: {kd: {temperature: 3}}\n", LMB_EUSAGE,
        "unknown key 'methods.kd.temperature': methods is a list");
    refuse("stages: [{teecher: 0}]\n", LMB_EUSAGE,
        "did you mean 'stages.0.teacher'?");
    refuse("teachers: [{modle: x}]\n", LMB_EUSAGE,
        "did you mean 'teachers.0.model'?");
    refuse("teachers: [{model: resnet8}, {whatever: x}]\n", LMB_EUSAGE,
        "unknown key 'teachers.1.whatever'; `limbeck help config`");
    refuse("teacher.inptu: 2\n", LMB_EUSAGE, "did you mean 'teacher.input'?");
}

/* Networks of teachers and kinds of data, as the student: with the line. */
static void wrong_teachers_and_data_have_a_line(void **state)
{
    (void)state;
    refuse("student: resnet8\nteachers:\n  - model: resnet57\n", LMB_EUSAGE,
        "run.yaml:3: there is no model 'resnet57'; did you mean resnet");
    refuse("teacher: resnet57\n", LMB_EUSAGE,
        "run.yaml:1: there is no model 'resnet57'");
    refuse("teachers: [resnet56, resnet57]\n", LMB_EUSAGE,
        "run.yaml:1: there is no model 'resnet57'");
    refuse("teachers: [{model: \"retinanet_r50_fpn:widht=2\"}]\n", LMB_EUSAGE,
        "run.yaml:1: retinanet_r50_fpn: unknown option 'widht'");
    refuse("\ndata: shapez\n", LMB_EUSAGE,
        "run.yaml:2: unknown data set 'shapez'; did you mean 'shapes'?");
    refuse("data: {spec: \"cifra100:d\"}\n", LMB_EUSAGE,
        "run.yaml:1: unknown data set 'cifra100'; did you mean 'cifar100'?");
    refuse("data: \":d\"\n", LMB_EUSAGE, "run.yaml:1: data ':d': not NAME");
}

static void a_teacher_in_short(void **state)
{
    static const char *const texts[] = {
        "teacher: resnet56\nteacher_weights: t.pth\nteacher_input: 1.5\n",
        "teacher: {model: resnet56, weights: t.pth, input: 1.5}\n"};
    (void)state;
    for (size_t i = 0; i < LMB_COUNT(texts); i++) {
        both b;
        parse(&b, texts[i]);
        CHECK_OK(lmb_config_resolve(&b.config, &b.run));
        assert_int_equal(b.run.n_teachers, 1);
        assert_string_equal(b.run.teachers[0].model, "resnet56");
        assert_string_equal(b.run.teachers[0].weights, "t.pth");
        CHECK_NEAR(b.run.teachers[0].input, 1.5, 0);
        end(&b);
    }
}

static void a_bad_value_names_the_rule(void **state)
{
    (void)state;
    refuse("train: {lr: fast}\n", LMB_EUSAGE, "run.yaml:1: train.lr: 'fast'");
    refuse("train: {batch: 0}\n", LMB_EUSAGE, "outside 1 .. 65536");
    refuse("train: {precision: f16}\n", LMB_EUSAGE, "auto|f32|bf16");
    refuse("train: {decay_epochs: [3, 2]}\n", LMB_EUSAGE, "does not rise");
    refuse("method: kd\nmethod.temperature: 0\n", LMB_EUSAGE, "run.yaml:2");
    refuse("methods: [kd, kd]\n", LMB_EUSAGE, "there twice");
    refuse("methods: [kd, pcd]\nmethod.temperature: 2\n", LMB_EUSAGE,
        "method.NAME.KEY");
    refuse("method.temperature: 2\n", LMB_EUSAGE, "no method runs");
    refuse("method: kd\nmethod.weight: -1\n", LMB_EUSAGE, "less than 0");
    refuse("method: kd\nmethod.map: 'f2 to f3'\n", LMB_EUSAGE,
        "teacher.TAP -> student.TAP");
    refuse("teachers: [{model: resnet56, mean: [1, 2]}]\n", LMB_EUSAGE,
        "three numbers");
    refuse("method: pcd\nmethod.phase_groups: 9\n", LMB_EUSAGE, "phase_groups");
    refuse("method: kd\nmethod.schedule: staged\n", LMB_EUSAGE,
        "'staged' is not one of constant|linear|cosine");
    refuse("method: pcd\nmethod.schedule: falling\n", LMB_EUSAGE,
        "'falling' is not one of joint|staged");
}

static void mdistiller_files_are_read(void **state)
{
    (void)state;
    both b;
    begin(&b);
    CHECK_OK(lmb_config_load(&b.config, GOLDEN "solver_kd.yaml"));
    CHECK_OK(lmb_config_resolve(&b.config, &b.run));
    const lmb_run_config *r = &b.run;
    assert_string_equal(r->student, "resnet20");
    assert_string_equal(r->teachers[0].model, "resnet56");
    assert_int_equal(r->train.epochs, 24);
    assert_int_equal(r->train.batch, 32);
    CHECK_NEAR(r->train.lr, 0.025, 0);
    CHECK_NEAR(r->train.decay_rate, 0.2, 0);
    CHECK_NEAR(r->train.weight_decay, 3e-4, 0);
    CHECK_NEAR(r->train.momentum, 0.8, 0);
    assert_int_equal(r->n_decays, 3);
    CHECK_NEAR(r->decay_epochs[0], 15, 0);
    assert_string_equal(r->methods[0].name, "kd");
    CHECK_NEAR(r->methods[0].weight, 0.75, 0);
    CHECK_NEAR(r->ce_weight, 0.25, 0);
    assert_string_equal(r->methods[0].value[0], "3");
    end(&b);
}

static void mdistiller_defaults_and_networks(void **state)
{
    (void)state;
    both b;
    parse(&b,
        "DISTILLER: {TYPE: DKD, TEACHER: ResNet50, STUDENT: MobileNetV2}\n"
        "SOLVER: {EPOCHS: 10}\nCRD: {FEAT: {DIM: 128}}\n");
    CHECK_OK(lmb_config_resolve(&b.config, &b.run));
    assert_string_equal(b.run.teachers[0].model, "cifar_ResNet50");
    CHECK_NEAR(b.run.train.weight_decay, 1e-4, 0);
    CHECK_NEAR(b.run.decay_epochs[2], 210, 0);
    end(&b);
    refuse("DISTILLER: {TYPE: CRD}\n", LMB_EUSAGE,
        "the method 'CRD' is not built yet");
    refuse("SOLVER: {TRAINER: dot}\n", LMB_EUSAGE, "SOLVER.TRAINER 'dot'");
    refuse("SOLVER: {EPOHCS: 3}\n", LMB_EUSAGE, "unknown key 'SOLVER.EPOHCS'");
    parse(&b,
        "EXPERIMENT: {LOGIT_STAND: True, TAG: x}\n"
        "DISTILLER: {TYPE: KD, TEACHER: resnet56, STUDENT: resnet20}\n");
    CHECK_OK(lmb_config_resolve(&b.config, &b.run));
    assert_int_equal(b.run.methods[0].n_options, 1);
    assert_string_equal(b.run.methods[0].key[0], "standardize");
    end(&b);
    refuse("EXPERIMENT: {LOGIT_STAND: True}\nDISTILLER: {TYPE: SP}\n",
        LMB_EUSAGE, "unknown option 'standardize'");
    begin(&b);
    CHECK_ERR(lmb_config_load(&b.config, GOLDEN "solver_crd.yaml"), LMB_EUSAGE,
        "solver_crd.yaml:3: the method 'CRD'");
    end(&b);
}

static void a_file_that_is_its_own_base_is_refused(void **state)
{
    (void)state;
    both b;
    char path[] = "/tmp/limbeck_config_XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *f = fdopen(fd, "w");
    (void)fprintf(f, "_base_: %s\n", path);
    (void)fclose(f);
    begin(&b);
    CHECK_ERR(lmb_config_load(&b.config, path), LMB_EUSAGE, "its own base");
    (void)remove(path);
    CHECK_ERR(lmb_config_load(&b.config, path), LMB_ENOTFOUND, path);
    end(&b);
}

/* Dump, read back, dump again: the same text; and equal as runs. */
static void the_dump_reads_back(void **state)
{
    (void)state;
    both a, b;
    lmb_str first = {0}, second = {0};
    begin(&a);
    CHECK_OK(lmb_config_load(&a.config, GOLDEN "child.yaml"));
    CHECK_OK(lmb_config_set(&a.config, "init", "odd: name #1", "--init"));
    CHECK_OK(lmb_config_set(&a.config, "teacher_mean", "0.5,0.4,0.3", "--x"));
    CHECK_OK(lmb_config_set(&a.config, "teacher_std", "0.2,0.2,0.1", "--x"));
    CHECK_OK(lmb_config_resolve(&a.config, &a.run));
    CHECK_OK(lmb_config_dump(&a.run, &a.config, &first));
    assert_non_null(strstr(first.text, "child.yaml:3"));
    assert_non_null(strstr(first.text, "# default"));
    begin(&b);
    CHECK_OK(
        lmb_config_parse(&b.config, first.text, first.length, "config.yaml"));
    CHECK_OK(lmb_config_resolve(&b.config, &b.run));
    assert_string_equal(b.run.init, "odd: name #1");
    CHECK_NEAR(b.run.teachers[0].mean[2], 0.3, 0);
    CHECK_OK(lmb_config_same_run(&a.run, &b.run));
    lmb_str_fini(&first);
    CHECK_OK(lmb_config_dump(&a.run, NULL, &first));
    CHECK_OK(lmb_config_dump(&b.run, NULL, &second));
    assert_string_equal(first.text, second.text);
    lmb_str_fini(&first);
    lmb_str_fini(&second);
    end(&b);
    end(&a);
}

/* Texts that YAML has no plain form of, and origins of several lines. */
static void odd_texts_read_back(void **state)
{
    (void)state;
    static const char *const texts[] = {"a\nb: c", "tab\there", "\r",
        "caf\xc3\xa9", "del\x7f", "next\xc2\x85line", "control\xc2\x9f",
        "two\xe2\x80\xa8lines", "two\xe2\x80\xa9parts", "\xef\xbb\xbfmark",
        "none\xef\xbf\xbf", "\xf0\x9f\x90\xb1", "\"quoted\" \\ back",
        "'single'", "null", "- item", "a # b", "end:"};
    for (size_t i = 0; i < LMB_COUNT(texts); i++) {
        both a, b;
        lmb_str out = {0};
        char from[64];
        parse(&a, "student: resnet8\n");
        (void)snprintf(from, sizeof from, "--set init=%s\nlr: 9\xe9", texts[i]);
        CHECK_OK(lmb_config_set(&a.config, "init", texts[i], from));
        CHECK_OK(lmb_config_resolve(&a.config, &a.run));
        CHECK_OK(lmb_config_dump(&a.run, &a.config, &out));
        parse(&b, out.text);
        CHECK_OK(lmb_config_resolve(&b.config, &b.run));
        assert_string_equal(b.run.init, texts[i]);
        CHECK_NEAR(b.run.train.lr, 0, 0);
        lmb_str_fini(&out);
        end(&b);
        end(&a);
    }
}

static void a_text_that_is_not_utf8_is_refused(void **state)
{
    (void)state;
    static const char *const keys[] = {
        "init", "out", "data.spec", "teachers.0.weights", "train.cache"};
    for (size_t i = 0; i < LMB_COUNT(keys); i++) {
        both b;
        lmb_str out = {0};
        parse(&b, "student: resnet8\n");
        CHECK_OK(lmb_config_set(&b.config, keys[i], "idx:caf\xe9", "--x"));
        CHECK_OK(lmb_config_resolve(&b.config, &b.run));
        CHECK_ERR(lmb_config_text(&b.run, &b.config, &out), LMB_EUSAGE,
            "' is not UTF-8");
        assert_non_null(strstr(lmb_last_error(), keys[i]));
        assert_non_null(strstr(lmb_last_error(), "caf?'"));
        lmb_str_fini(&out);
        end(&b);
    }
}

/* In a run's folder paths hold from wherever it is resumed; what is no path,
 * and where the run itself lies, stay as they are. */
static void a_runs_paths_count_from_the_root(void **state)
{
    (void)state;
    both b;
    lmb_str out = {0}, want = {0};
    char here[4096];
    assert_non_null(getcwd(here, sizeof here));
    parse(&b,
        "student: resnet8\nteachers: [{weights: ./t.pth}, {weights: /u.pth}]\n"
        "data: {spec: coco:set, train: {json: a.json, images: ../pics}}\n"
        "train: {cache: c}\ninit: i.pth\nout: runs/x\n");
    CHECK_OK(lmb_config_resolve(&b.config, &b.run));
    CHECK_OK(lmb_config_text(&b.run, NULL, &out));
    static const char *const lines[][2] = {{"weights: ", "t.pth"},
        {"spec: coco:", "set"}, {"json: ", "a.json"}, {"images: ", "../pics"},
        {"cache: ", "c"}, {"init: ", "i.pth"}};
    for (size_t i = 0; i < LMB_COUNT(lines); i++) {
        want.length = 0;
        lmb_str_printf(&want, "%s%s/%s\n", lines[i][0], here, lines[i][1]);
        if (strstr(out.text, want.text) == NULL)
            fail_msg("no '%s' in: %s", want.text, out.text);
    }
    assert_non_null(strstr(out.text, "weights: /u.pth\n"));
    assert_non_null(strstr(out.text, "out: runs/x\n"));
    assert_string_equal(b.run.init, "i.pth"); /* the run's own stays */
    lmb_str_fini(&out);
    lmb_str_fini(&want);
    end(&b);
}

/* On top of a run's own configuration, which spells every option. */
static void a_new_preset_replaces_the_old_ones_options(void **state)
{
    (void)state;
    both a, b;
    lmb_str text = {0};
    parse(
        &a, "student: resnet8\nmethods: [{name: pcd, options: {stages: 2}}]\n");
    CHECK_OK(lmb_config_resolve(&a.config, &a.run));
    CHECK_OK(lmb_config_dump(&a.run, &a.config, &text));
    parse(&b, text.text);
    CHECK_OK(lmb_config_assign(&b.config, "method.preset=release", "--set"));
    CHECK_OK(lmb_config_assign(&b.config, "method.alpha=2", "--set"));
    CHECK_OK(lmb_config_resolve(&b.config, &b.run));
    assert_int_equal(b.run.methods[0].n_options, 2);
    lmb_str_fini(&text);
    CHECK_OK(lmb_config_dump(&b.run, &b.config, &text));
    assert_non_null(strstr(text.text, "rank: index"));
    assert_non_null(strstr(text.text, "stages: 3"));
    lmb_str_fini(&text);
    end(&b);
    end(&a);
}

/* The configuration of `student` and `methods` as a run writes it, with `set`
 * on top of it (ended by NULL): its text must hold what is wanted. */
static void check_on_top(const char *student, const char *methods,
    const char *const *set, const char *const *want)
{
    both a, b;
    char from[256];
    lmb_str text = {0};
    (void)snprintf(
        from, sizeof from, "student: %s\nmethods: [%s]\n", student, methods);
    parse(&a, from);
    CHECK_OK(lmb_config_resolve(&a.config, &a.run));
    CHECK_OK(lmb_config_dump(&a.run, &a.config, &text));
    parse(&b, text.text);
    for (int i = 0; set[i] != NULL; i++)
        CHECK_OK(lmb_config_assign(&b.config, set[i], "--set"));
    CHECK_OK(lmb_config_resolve(&b.config, &b.run));
    lmb_str_fini(&text);
    CHECK_OK(lmb_config_dump(&b.run, &b.config, &text));
    for (int i = 0; want[i] != NULL; i++)
        if (strstr(text.text, want[i]) == NULL)
            fail_msg("no '%s' with %s:\n%s", want[i], set[0], text.text);
    lmb_str_fini(&text);
    end(&b);
    end(&a);
}

/* What is given beside a preset stays, before or behind it; and a detector's
 * own defaults come back in place of the older preset's. */
static void options_beside_a_new_preset_stay(void **state)
{
    static const struct {
        const char *student, *methods;
        const char *set[4], *want[5];
    } cases[] = {
        {"resnet8", "pcd", {"method.stages=5", "method.preset=release"},
            {"stages: 5  ", "rank: index "}},
        {"resnet8", "pcd", {"method.preset=release", "method.stages=5"},
            {"stages: 5  ", "rank: index "}},
        {"resnet8", "pcd",
            {"methods.0.options.stages=5", "methods.0.options.preset=release"},
            {"stages: 5  ", "rank: index ", "groups: full "}},
        {"resnet8", "{name: pcd, options: {alpha: 3, rank: index}}",
            {"method.pcd.preset=release", "pcd.stages=5"},
            {"stages: 5  ", "alpha: 1  ", "groups: full "}},
        {"resnet8", "{name: pcd, options: {alpha: 3}}",
            {"method.preset=paper", "method.stages=5"},
            {"stages: 5  ", "alpha: 3  ", "preset: paper "}},
        {"retinanet_r18_fpn", "pcd", {"method.preset=release"},
            {"preset: release ", "temperature: 1  "}},
        {"retinanet_r18_fpn", "{name: pcd, options: {temperature: 2}}",
            {"method.alpha=2", "method.preset=release"},
            {"temperature: 1  ", "alpha: 2  ", "groups: full "}},
        {"faster_rcnn_r18_fpn", "dfmsd",
            {"method.alpha=0.002", "method.detector=one_stage"},
            {"alpha: 0.002 ", "sfa_weight: 10 ", "levels: 0 "}},
        {"faster_rcnn_r18_fpn", "dfmsd",
            {"method.detector=one_stage", "method.alpha=0.002"},
            {"alpha: 0.002 ", "sfa_weight: 10 ", "levels: 0 "}},
    };
    (void)state;
    for (size_t i = 0; i < LMB_COUNT(cases); i++)
        check_on_top(
            cases[i].student, cases[i].methods, cases[i].set, cases[i].want);
}

/* The program's own `detector` takes nothing with it: not what one map has, nor
 * what one command line has. */
static void a_default_preset_takes_nothing_with_it(void **state)
{
    static const char *const texts[] = {
        "methods: [{name: dfmsd, options: {alpha: 0.002, sfa_weight: 2, "
        "detector: one_stage}}]\n",
        "methods: [{name: dfmsd, options: {detector: one_stage, alpha: 0.002, "
        "sfa_weight: 2}}]\n",
        "method: dfmsd\nmethod.alpha: 0.002\ndfmsd.sfa_weight: 2\n"
        "method.dfmsd.detector: one_stage\n"};
    (void)state;
    for (size_t i = 0; i < LMB_COUNT(texts); i++) {
        both b;
        lmb_str out = {0};
        parse(&b, texts[i]);
        CHECK_OK(lmb_config_assign(
            &b.config, "student=faster_rcnn_r18_fpn", "--set"));
        CHECK_OK(lmb_config_resolve(&b.config, &b.run));
        CHECK_OK(lmb_config_dump(&b.run, &b.config, &out));
        assert_non_null(strstr(out.text, "detector: one_stage "));
        assert_non_null(strstr(out.text, "alpha: 0.002 "));
        assert_non_null(strstr(out.text, "sfa_weight: 2 "));
        assert_non_null(strstr(out.text, "levels: 0 "));
        lmb_str_fini(&out);
        end(&b);
    }
}

/* A base is older than the file that names it. */
static void a_base_has_its_own_place(void **state)
{
    (void)state;
    both b;
    const char *base = "method: pcd\nmethod.alpha: 4\n";
    const char *more = "pcd.preset: paper\npcd.stages: 2\n";
    begin(&b);
    CHECK_OK(lmb_config_parse(&b.config, base, strlen(base), "base.yaml"));
    CHECK_OK(lmb_config_parse(&b.config, more, strlen(more), "more.yaml"));
    CHECK_OK(lmb_config_assign(&b.config, "method.temperature=2", "--set"));
    CHECK_OK(lmb_config_assign(&b.config, "method.preset=release", "--set"));
    CHECK_OK(lmb_config_resolve(&b.config, &b.run));
    const lmb_method_config *m = &b.run.methods[0];
    assert_int_equal(m->n_options, 2);
    assert_string_equal(m->key[0], "temperature");
    assert_string_equal(m->value[1], "release");
    end(&b);
}

/* Of a term's weight; and pcd's option of this name, by its values. */
static void a_term_has_a_schedule(void **state)
{
    (void)state;
    both a, b;
    lmb_str text = {0};
    parse(&a,
        "student: resnet8\nmethods:\n"
        "  - {name: kd, schedule: cosine, warmup: 2}\n"
        "  - {name: pcd, schedule: linear, options: {schedule: staged}}\n"
        "  - {name: dkd}\n");
    CHECK_OK(lmb_config_resolve(&a.config, &a.run));
    CHECK_OK(lmb_config_dump(&a.run, &a.config, &text));
    parse(&b, text.text);
    CHECK_OK(lmb_config_resolve(&b.config, &b.run));
    CHECK_OK(lmb_config_same_run(&a.run, &b.run));
    lmb_term terms[3] = {0};
    for (int i = 0; i < 3; i++)
        CHECK_OK(
            lmb_term_open(b.run.arena, &b.run.methods[i], false, &terms[i]));
    CHECK_NEAR(lmb_term_share(&terms[0], 1, 8), 0.5, 1e-15);
    CHECK_NEAR(lmb_term_share(&terms[0], 5, 8), 0.5, 1e-15);
    CHECK_NEAR(lmb_term_share(&terms[0], 7, 8), 0.146446609406726, 1e-14);
    terms[1].warmup = 0;
    CHECK_NEAR(lmb_term_share(&terms[1], 1, 8), 1, 0);
    CHECK_NEAR(lmb_term_share(&terms[1], 8, 8), 0.125, 0);
    CHECK_NEAR(lmb_term_share(&terms[2], 5, 8), 0.25, 0);
    const char *weight = strstr(text.text, "\n    schedule: linear");
    const char *option = strstr(text.text, "\n      schedule: staged");
    assert_non_null(weight);
    assert_non_null(option);
    const char *origin = strstr(weight, "# run.yaml:4\n");
    assert_true(origin == strchr(weight + 1, '#'));
    origin = strstr(option, "# run.yaml:4\n");
    assert_true(origin == strchr(option + 1, '#'));
    for (int i = 0; i < 3; i++)
        lmb_method_free(terms[i].method, terms[i].state);
    lmb_str_fini(&text);
    end(&b);
    end(&a);
}

/* Stages by numbers and by models of teachers; and as the dump has them. */
static void stages_are_read_and_dumped(void **state)
{
    (void)state;
    both a, b;
    lmb_str text = {0};
    parse(&a,
        "student: retinanet_r18_fpn:width=0.5,head_convs=2\n"
        "teachers:\n"
        "  - {model: \"retinanet_r50_fpn:width=0.5\", weights: near.pth}\n"
        "  - {model: retinanet_r101_fpn, weights: far.pth, input: 1.5}\n"
        "methods: [{name: dfmsd}, {name: pkd, weight: 3}]\n"
        "stages:\n"
        "  - {teacher: 1, until: 3, lr: 0.02}\n"
        "  - {teacher: \"retinanet_r50_fpn:width=0.5\", methods: [pkd]}\n"
        "data: {spec: coco:d, size: 640, short_side: 320, mosaic: 0.5,\n"
        "  train: {json: a.json, images: pics}, max_boxes: 70}\n");
    CHECK_OK(lmb_config_resolve(&a.config, &a.run));
    const lmb_stage_config *s = a.run.stages;
    assert_int_equal(a.run.n_stages, 2);
    assert_int_equal(s[0].teacher, 1);
    CHECK_NEAR(s[0].until, 3, 0);
    CHECK_NEAR(s[0].lr, 0.02, 0);
    assert_false(s[0].has_methods);
    assert_int_equal(s[1].teacher, 0);
    assert_true(isnan(s[1].until) && isnan(s[1].lr));
    assert_true(s[1].has_methods && !s[1].method[0] && s[1].method[1]);
    CHECK_OK(lmb_config_dump(&a.run, &a.config, &text));
    parse(&b, text.text);
    CHECK_OK(lmb_config_resolve(&b.config, &b.run));
    CHECK_OK(lmb_config_same_run(&a.run, &b.run));
    assert_int_equal(b.run.pictures.short_side, 320);
    assert_int_equal(b.run.pictures.max_boxes, 70);
    CHECK_NEAR(b.run.pictures.mosaic, 0.5, 0);
    assert_string_equal(b.run.train_images, "pics");
    CHECK_NEAR(b.run.teachers[1].input, 1.5, 0);
    lmb_str_fini(&text);
    end(&b);
    end(&a);
}

/* What the literature takes on detectors, unless it is given; written out, so
 * that a run goes on with what it began with. */
static void detectors_have_their_own_options(void **state)
{
    static const struct {
        const char *student, *method, *want[2];
    } cases[] = {
        {"faster_rcnn_r18_fpn", "{name: dkd, options: {beta: 0.5}}",
            {"temperature: 1 ", "beta: 0.5 "}},
        {"resnet20", "{name: dkd, options: {beta: 0.5}}",
            {"temperature: 4 ", "beta: 0.5 "}},
        {"retinanet_r18_fpn", "mgd", {"alpha: 2e-05 ", "levels: 0 "}},
        {"faster_rcnn_r18_fpn", "mgd", {"alpha: 5e-07 ", "levels: 4 "}},
        {"faster_rcnn_r18_fpn", "{name: amd, options: {ratio: 0.3}}",
            {"alpha: 5e-07 ", "ratio: 0.3 "}},
        {"faster_rcnn_r18_fpn", "dmkd", {"ratio_space: 0.45 ", "levels: 4 "}},
        {"gfl_r18_fpn", "dfmsd", {"detector: one_stage ", "sfa_weight: 10 "}},
        {"faster_rcnn_r18_fpn", "dfmsd",
            {"detector: two_stage ", "sfa_weight: 6 "}},
        {"faster_rcnn_r18_fpn", "{name: dfmsd, options: {sfa_weight: 2}}",
            {"alpha: 5e-07 ", "sfa_weight: 2 "}},
        {"faster_rcnn_r18_fpn", "{name: fgd, options: {detector: one_stage}}",
            {"alpha: 0.001 ", "levels: 0 "}},
    };
    (void)state;
    for (size_t i = 0; i < LMB_COUNT(cases); i++) {
        both b;
        char text[160];
        lmb_str out = {0};
        (void)snprintf(text, sizeof text, "student: %s\nmethods: [%s]\n",
            cases[i].student, cases[i].method);
        parse(&b, text);
        CHECK_OK(lmb_config_resolve(&b.config, &b.run));
        CHECK_OK(lmb_config_dump(&b.run, &b.config, &out));
        for (int k = 0; k < 2; k++)
            if (strstr(out.text, cases[i].want[k]) == NULL)
                fail_msg(
                    "case %zu has no '%s':\n%s", i, cases[i].want[k], out.text);
        lmb_str_fini(&out);
        end(&b);
    }
}

static void a_wrong_stage_is_refused(void **state)
{
    (void)state;
    refuse("stages: [{until: 2.5}]\n", LMB_EUSAGE, "is not an epoch");
    refuse("stages: [{until: 0}]\n", LMB_EUSAGE, "is not an epoch");
    refuse("stages: [{lr: -1}]\n", LMB_EUSAGE, "less than 0");
    refuse("stages: [{teachr: 0}]\n", LMB_EUSAGE, "stages.0.teachr");
    refuse("methods: [pkd]\nstages: [{methods: [kd]}]\n", LMB_EUSAGE,
        "kd is not among the methods");
    refuse("stages: [{lr: 1}, {lr: 1}, {lr: 1}, {lr: 1}, {lr: 1}]\n",
        LMB_EUSAGE, "stages: more than 4");
    refuse("stages: [0, 1]\n", LMB_EUSAGE, "stages");
    refuse("teachers: [{model: resnet56}, {model: ResNet56}]\n"
           "stages: [{teacher: resnet56}]\n",
        LMB_EUSAGE,
        "run.yaml:2: stages.0.teacher: 'resnet56' is the model of teachers 0 "
        "and 1: give the number");
}

static void a_resumed_run_must_be_the_same(void **state)
{
    (void)state;
    both a, b;
    parse(&a, "student: resnet8\nout: x\ntrain: {lr: 0.1}\n");
    parse(&b, "student: resnet8\nout: y\ntrain: {lr: 0.1, log_every: 5}\n");
    CHECK_OK(lmb_config_resolve(&a.config, &a.run));
    CHECK_OK(lmb_config_resolve(&b.config, &b.run));
    CHECK_OK(lmb_config_same_run(&a.run, &b.run));
    b.run.train.lr = 0.2;
    CHECK_ERR(lmb_config_same_run(&a.run, &b.run), LMB_EUSAGE,
        "has 'lr: 0.1', not 'lr: 0.2'");
    end(&b);
    end(&a);
}

#define RUN \
    "student: resnet8\nmethod: kd\nteacher_weights: t.pth\n" \
    "data: idx:data\ntrain: {epochs: 16}\n"

static void parse_run(both *b, const char *more)
{
    parse(b, RUN);
    CHECK_OK(lmb_config_parse(&b->config, more, strlen(more), "more.yaml"));
    CHECK_OK(lmb_config_resolve(&b->config, &b->run));
}

/* A run of RUN and `more`, gone on with RUN and `flags`. */
static lmb_status go_on(const char *more, const char *flags)
{
    both a, b;
    parse_run(&a, more);
    parse_run(&b, flags);
    const lmb_status st = lmb_config_same_run(&a.run, &b.run);
    end(&b);
    end(&a);
    return st;
}

static void a_conflict_names_key_and_values(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"", "ce_weight: 1\n",
            "ce_weight: the run to resume has 'ce_weight: 0.1', not "
            "'ce_weight: 1'"},
        {"ce_weight: 1\n", "ce_weight: 2\n", "has 'ce_weight: 1', not"},
        {"", "classes: 7\n",
            "data.classes: the run to resume has nothing, its default, not "
            "'classes: 7'"},
        {"classes: 7\n", "", "has 'classes: 7', not nothing"},
        {"", "init: w.pth\n", "init: the run to resume has nothing"},
        {"", "lr: 0.3\n",
            "train.lr: the run to resume has 'lr: 0.05', not 'lr: 0.3'"},
        {"", "decay_epochs: [3]\n",
            "train.decay_epochs: the run to resume has 'decay_epochs: 10, 12, "
            "14', not 'decay_epochs: 3'"},
        {"", "method.temperature: 2\n",
            "methods.0.options.temperature: the run to resume has "
            "'temperature: 4', not 'temperature: 2'"},
        {"", "split: val\n", "has 'test_split: test', not 'test_split: val'"},
        {"", "teacher_weights: u.pth\n", "teachers.0.weights: "},
        {"", "data: idx:other\n", "data.spec: "},
        {"", "precision: bf16\nseed: 3\n", "train.seed: "},
        {"precision: f32\n", "precision: bf16\n",
            "has 'precision: f32', not 'precision: bf16'"},
        {"threads: 2\n", "threads: 3\n", "has 'threads: 2', not"},
    };
    for (size_t i = 0; i < LMB_COUNT(cases); i++)
        CHECK_ERR(go_on(cases[i][0], cases[i][1]), LMB_EUSAGE, cases[i][2]);
}

static void what_says_the_same_is_no_conflict(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", "ce_weight: 0.1\n"},
        {"ce_weight: 0.1\n", ""},
        {"", "lr: 0.05\neval_batch: 100\nwarmup_epochs: 0\n"},
        {"", "decay_epochs: [10, 12, 14]\n"},
        {"", "split: test\ntrain_split: train\n"},
        {"", "method.temperature: 4\nmethod.weight: 0.9\n"},
        {"", "precision: bf16\nthreads: 3\n"}, /* the machine's, so far */
        {"", "teacher: resnet56\n"}, /* its file names it */
        {"teacher: resnet56\n", "teacher: ResNet56\n"},
        {"", "data: idx:./data\n"},
        {"", "save_every: 3\nlog_every: 1\ncache: x\nout: y\n"},
    };
    for (size_t i = 0; i < LMB_COUNT(cases); i++)
        CHECK_OK(go_on(cases[i][0], cases[i][1]));
}

static void no_memory_leaks_at_any_failed_allocation(void **state)
{
    (void)state;
    const int64_t before = lmb_alloc_live();
    for (int64_t n = 0; n < 5000; n++) {
        both b = {0};
        lmb_str out = {0};
        lmb_alloc_fail_at(n);
        lmb_status st = lmb_config_init(&b.config);
        if (st == LMB_OK)
            st = lmb_run_config_init(&b.run);
        if (st == LMB_OK)
            st = lmb_config_load(&b.config, GOLDEN "child.yaml");
        if (st == LMB_OK)
            st = lmb_config_resolve(&b.config, &b.run);
        if (st == LMB_OK)
            st = lmb_config_dump(&b.run, &b.config, &out);
        const bool failed = lmb_alloc_failed();
        lmb_alloc_fail_at(-1);
        lmb_str_fini(&out);
        end(&b);
        assert_true(lmb_alloc_live() == before);
        if (!failed) {
            CHECK_OK(st);
            return;
        }
        CHECK_ERR(st, LMB_ENOMEM, "");
    }
    fail_msg("never got through");
}

LMB_TEST_MAIN(cmocka_unit_test(every_spelling_is_one_key),
    cmocka_unit_test(later_wins_and_origins_are_kept),
    cmocka_unit_test(the_input_size_reaches_the_data),
    cmocka_unit_test(files_inherit_and_lists_are_replaced),
    cmocka_unit_test(a_flag_replaces_one_field_of_a_teacher),
    cmocka_unit_test(a_broken_file_says_file_and_line),
    cmocka_unit_test(an_unknown_key_names_the_nearest),
    cmocka_unit_test(an_unknown_field_names_the_nearest),
    cmocka_unit_test(wrong_teachers_and_data_have_a_line),
    cmocka_unit_test(a_teacher_in_short),
    cmocka_unit_test(a_bad_value_names_the_rule),
    cmocka_unit_test(mdistiller_files_are_read),
    cmocka_unit_test(mdistiller_defaults_and_networks),
    cmocka_unit_test(a_file_that_is_its_own_base_is_refused),
    cmocka_unit_test(the_dump_reads_back),
    cmocka_unit_test(odd_texts_read_back),
    cmocka_unit_test(a_text_that_is_not_utf8_is_refused),
    cmocka_unit_test(a_runs_paths_count_from_the_root),
    cmocka_unit_test(a_new_preset_replaces_the_old_ones_options),
    cmocka_unit_test(options_beside_a_new_preset_stay),
    cmocka_unit_test(a_default_preset_takes_nothing_with_it),
    cmocka_unit_test(a_base_has_its_own_place),
    cmocka_unit_test(a_term_has_a_schedule),
    cmocka_unit_test(stages_are_read_and_dumped),
    cmocka_unit_test(detectors_have_their_own_options),
    cmocka_unit_test(a_wrong_stage_is_refused),
    cmocka_unit_test(a_resumed_run_must_be_the_same),
    cmocka_unit_test(a_conflict_names_key_and_values),
    cmocka_unit_test(what_says_the_same_is_no_conflict),
    cmocka_unit_test(no_memory_leaks_at_any_failed_allocation))
