/* What users and files of detection do wrong, through the program: one line
 * that names the thing, status 1 or 2, and no run left behind. */
#include "detect_runs.h"

#include "base/file.h"
#include "base/str.h"
#include "train/network.h"
#include "train/trainer.h"

static char teacher[2 * PROGRAM_PATH], other[2 * PROGRAM_PATH];
static char classifier[2 * PROGRAM_PATH];

static void make_weights(
    const char *model, int classes, int size, char *out, const char *name)
{
    lmb_model_spec spec;
    lmb_network net = {0};
    (void)snprintf(out, 2 * PROGRAM_PATH, "%s", in_folder("%s", name));
    CHECK_OK(lmb_model_spec_parse(model, &spec));
    CHECK_OK(lmb_network_make(&spec, classes, size, LMB_F32, &net));
    lmb_params_init(net.params, 3);
    for (int c = 0; c < 3; c++)
        net.std[c] = 1;
    CHECK_OK(lmb_network_save(&net, NULL, size, 0, out));
    lmb_network_fini(&net);
}

static int make_folder(void **state)
{
    if (program_folder(state) != 0)
        return 1;
    write_scenes("set", 12, 4, SCENE_CLASSES);
    make_weights(TINY_TEACHER, 2, 64, teacher, "teacher.safetensors");
    make_weights(TINY_TEACHER, 3, 64, other, "other.safetensors");
    make_weights("resnet8", 2, 32, classifier, "classifier.safetensors");
    return 0;
}

/* One line of error that holds `part`, after at most the table of the run. */
static void check_error(program *p, int status, const char *part)
{
    const int found = program_wait(p);
    if (found != status)
        fail_msg(
            "exit status %d, not %d ('%s'): %s", found, status, part, p->text);
    const char *line = program_last_line(p);
    if (strncmp(line, "limbeck", 7) != 0 || strstr(line, part) == NULL)
        fail_msg("'%s' is not an error about '%s'", line, part);
}

typedef struct wrong {
    int status;
    const char *part;
    const char *line; /* a %s is the set's folder */
} wrong;

/* "VERB WHAT --out ROOT/out LINE", WHAT as usual: later flags win. */
static void check_train(const wrong *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        program p = {0};
        program_start(&p,
            "train --model " TINY_STUDENT " --data coco:%s " TINY_FLAGS
            "--epochs 2 --out %s %s",
            in_folder("set"), in_folder("out"), list[i].line);
        check_error(&p, list[i].status, list[i].part);
        assert_false(exists(in_folder("out")));
    }
}

static void check_distill(const char *weights, const wrong *w)
{
    program p = {0};
    program_start(&p,
        "distill --student " TINY_STUDENT " --teacher-weights %s --data "
        "coco:%s " TINY_FLAGS "--epochs 2 --teacher-check 0 --out %s %s",
        weights, in_folder("set"), in_folder("out"), w->line);
    check_error(&p, w->status, w->part);
    assert_false(exists(in_folder("out")));
}

/* --- flags ---------------------------------------------------------------- */

static void wrong_flags_of_train(void **state)
{
    (void)state;
    static const wrong list[] = {
        {2, "is for classification, and coco:", "--model resnet8"},
        {2, "is for detection, and shapes", "--data shapes --size 32"},
        {2, "did you mean retinanet_r18_fpn", "--model retinanet_r18"},
        {2, "did you mean 'width'", "--model retinanet_r18_fpn:widht=2"},
        {2, "width: 0 is outside", "--model retinanet_r18_fpn:width=0"},
        {2, "data.size: 16 pixels are too few", "--size 16"},
        {2, "9000 is outside", "--size 9000"},
        {2, "data.short_side: 100 is more than data.size", "--short-side 100"},
        {2, "data.short_least: 100 is more than", "--short-least 100"},
        {2, "99 is outside 1 .. 8", "--max-sizes 99"},
        {2, "data.max_boxes: 1, but picture", "--max-boxes 1"},
        {2, "2 is outside 0 .. 1", "--mosaic 2"},
        {2, "--classes 7, but the data has 2", "--classes 7"},
        {1, "not of this network", "--init TEACHER"},
        {1, "no such folder", "--data coco:nowhere"},
        {2, "a method is configured", "--set methods=pkd"},
    };
    for (size_t i = 0; i < LMB_COUNT(list); i++) {
        char line[4 * PROGRAM_PATH];
        wrong w = list[i];
        if (strcmp(w.line, "--init TEACHER") == 0) {
            (void)snprintf(line, sizeof line, "--init %s", teacher);
            w.line = line;
        }
        check_train(&w, 1);
    }
}

static void wrong_flags_of_distill(void **state)
{
    (void)state;
    static const wrong list[] = {
        {2, "mes=off or mes_from=1",
            "--method dfmsd --set method.sal=false --set method.mes=gap"},
        {2, "dfmsd.mes_from: stage 3, but the run has 2",
            "--method dfmsd --set method.mes_from=3"},
        {2, "dfm=false has none",
            "--method dfmsd --set method.dfm=false --set method.mes=gap"},
        {2, "each stage needs an epoch", "--method dfmsd --epochs 1"},
        {1, "no tap 'f2'", "--method fitnet"},
        {2, "no tap 'p9'", "--method pkd --map teacher.p9->student.p3"},
        {2, "ld: the teacher codes boxes as", "--method ld"},
        {1, "not of this network", "--method pkd --teacher retinanet_r50_fpn"},
    };
    for (size_t i = 0; i < LMB_COUNT(list); i++)
        check_distill(teacher, &list[i]);
}

static void teachers_that_do_not_fit(void **state)
{
    (void)state;
    const wrong classes = {2, "3 classes, the data 2", "--method pkd"};
    const wrong task = {
        2, "is for classification, the student for detection", "--method pkd"};
    const wrong none = {1, "No such file", "--method pkd"};
    check_distill(other, &classes);
    check_distill(classifier, &task);
    check_distill("nofile", &none);
    /* Two teachers, and a switch that says that there is one stage. */
    char line[4 * PROGRAM_PATH];
    (void)snprintf(line, sizeof line,
        "--method dfmsd --set method.sal=false --teacher-weights %s", teacher);
    const wrong stages = {2, "sal: false, but the run has 2 stages", line};
    check_distill(teacher, &stages);
}

static void a_guessing_teacher_needs_force(void **state)
{
    (void)state;
    program p = {0};
    program_start(&p,
        "distill --student " TINY_STUDENT " --teacher-weights %s --data "
        "coco:%s " TINY_FLAGS "--method pkd --out %s",
        teacher, in_folder("set"), in_folder("out"));
    check_error(&p, 1, "no better than chance");
    assert_false(exists(in_folder("out")));
}

/* --- eval ----------------------------------------------------------------- */

static void check_eval(
    const char *weights, const char *flags, int status, const char *part)
{
    program p = {0};
    program_start(&p,
        "eval --weights %s --data coco:%s --threads 1 --precision f32 "
        "--allow-reference %s",
        weights, in_folder("set"), flags);
    check_error(&p, status, part);
}

static void wrong_uses_of_eval(void **state)
{
    (void)state;
    char line[4 * PROGRAM_PATH];
    check_eval(classifier, "", 2, "is for classification, and the data set");
    check_eval(other, "", 1, "the weights tell 3 classes apart");
    check_eval(teacher, "--data shapes", 2, "is for detection, and the data");
    check_eval(teacher, "--size 8", 2, "data.size: 8 pixels are too few");
    check_eval(teacher, "--metric lvis", 2, "coco, voc or voc07");
    check_eval(teacher, "--metric voc --inclusive", 2, "edges, not pixels");
    check_eval(teacher, "--split nosuch", 2, "split 'nosuch'");
    (void)snprintf(line, sizeof line, "--save %s", in_folder("no/found.json"));
    check_eval(teacher, line, 1, "found.json");
    assert_false(exists(in_folder("no")));
    check_eval(classifier, "--data shapes --classes 2 --save x.json", 2,
        "--save is about boxes");
}

/* --- files ---------------------------------------------------------------- */

/* Copies ROOT/set to ROOT/bad, with `from` changed to `to` in one file (all of
 * the file if `from` is NULL, its first half if `to` is, too). */
static void spoil(const char *file, const char *from, const char *to)
{
    size_t size = 0;
    remove_tree(in_folder("bad"));
    static const char *const parts[] = {"train", "val"};
    assert_int_equal(mkdir(in_folder("bad"), 0777), 0);
    for (size_t i = 0; i < LMB_COUNT(parts); i++) {
        char name[64];
        assert_int_equal(mkdir(in_folder("bad/%s", parts[i]), 0777), 0);
        (void)snprintf(name, sizeof name, "instances_%s.json", parts[i]);
        char *text = read_all(in_folder("set/%s", name), &size);
        write_all(in_folder("bad/%s", name), text, size);
        free(text);
        for (int k = 0; exists(in_folder("set/%s/%03d.png", parts[i], k));
             k++) {
            text = read_all(in_folder("set/%s/%03d.png", parts[i], k), &size);
            write_all(in_folder("bad/%s/%03d.png", parts[i], k), text, size);
            free(text);
        }
    }
    char *text = read_all(in_folder("bad/%s", file), &size);
    const char *at = from != NULL ? strstr(text, from) : text;
    assert_non_null(at);
    lmb_str out = {0};
    if (from == NULL && to == NULL) {
        lmb_str_add_bytes(&out, text, size / 2);
    } else {
        lmb_str_add_bytes(&out, text, (size_t)(at - text));
        lmb_str_add(&out, to);
        if (from != NULL)
            lmb_str_add(&out, at + strlen(from));
    }
    write_all(in_folder("bad/%s", file), out.text, out.length);
    lmb_str_fini(&out);
    free(text);
}

static void broken_instances(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to;
        int status;
        const char *part;
    } list[] = {
        {NULL, "{", 1, "instances_train.json:1:"},
        {NULL, "[]", 1, "an object expected"},
        {NULL, "{}", 1, "no \"images\""},
        {NULL, NULL, 1, "instances_train.json:"},
        {"\"category_id\": 1", "\"category_id\": 9", 1, "no category has"},
        {"\"image_id\": 1000", "\"image_id\": 5", 1, "no image has the id 5"},
        {"\"bbox\": [", "\"bbox\": [null, ", 1, "a number expected"},
        {"\"bbox\": [", "\"bbox\": [1e999, ", 1, "beyond the range"},
        {"\"width\": 64", "\"width\": 100000", 1, "a picture of 100000 x 64"},
        {"003.png", "nosuch.png", 1, "no such picture"},
        {"003.png", "../../../../etc/passwd", 1, ""},
    };
    for (size_t i = 0; i < LMB_COUNT(list); i++) {
        char line[4 * PROGRAM_PATH];
        spoil("instances_train.json", list[i].from, list[i].to);
        (void)snprintf(line, sizeof line, "--data coco:%s", in_folder("bad"));
        const wrong w = {list[i].status, list[i].part, line};
        check_train(&w, 1);
    }
}

/* Of the split that the epochs are tried on: known before the first step. */
static void a_test_split_of_other_classes(void **state)
{
    (void)state;
    char line[4 * PROGRAM_PATH];
    (void)snprintf(line, sizeof line, "--data coco:%s", in_folder("bad"));
    spoil("instances_val.json", "\"categories\": [",
        "\"categories\": [{\"id\": 99, \"name\": \"more\"}, ");
    const wrong more = {2, "has 2 classes, the one to test on 3", line};
    check_train(&more, 1);
    spoil("instances_val.json", "\"name\": \"disc\"", "\"name\": \"disk\"");
    const wrong name = {2, "class 0 is 'disc' in the split to train on", line};
    check_train(&name, 1);
    spoil("instances_val.json", NULL, NULL);
    const wrong broken = {1, "limbeck: /", line};
    check_train(&broken, 1);
}

/* A picture is decoded when it is needed: the run has begun by then, and its
 * checkpoint stays. */
static void broken_pictures(void **state)
{
    (void)state;
    static const char *const files[] = {"train/003.png", "val/002.png"};
    for (size_t i = 0; i < LMB_COUNT(files); i++) {
        program p = {0};
        char run[2 * PROGRAM_PATH];
        (void)snprintf(run, sizeof run, "%s", in_folder("cut%zu", i));
        spoil(files[i], NULL, NULL);
        program_start(&p,
            "train --model " TINY_STUDENT " --data coco:%s " TINY_FLAGS
            "--epochs 1 --out %s",
            in_folder("bad"), run);
        check_error(&p, 1, files[i]);
        assert_int_equal(count_files(run, ".tmp."), 0);
        assert_int_equal(count_files(run, ".lock"), 0);
    }
}

/* A run on the folder "bad" that goes well all the same. */
static void train_bad(program *p, const char *flags, const char *out)
{
    program_start(p,
        "train --model " TINY_STUDENT " --data coco:%s " TINY_FLAGS
        "%s --out %s",
        in_folder("bad"), flags, in_folder("%s", out));
    program_ends(p, 0);
}

/* Boxes that leave the picture are cut and said; nothing else happens. */
static void boxes_outside_are_mended_and_said(void **state)
{
    (void)state;
    program p = {0};
    spoil("instances_train.json", "\"bbox\": [",
        "\"bbox\": [-500, 0, 510, "
        "64], \"was\": [");
    train_bad(&p, "--epochs 1 --max-steps 1", "mended");
    assert_non_null(strstr(p.text, "1 boxes cut at their picture's border"));
    spoil("instances_train.json", "\"bbox\": [",
        "\"bbox\": [5, 5, 0, "
        "7], \"was\": [");
    train_bad(&p, "--epochs 1 --max-steps 1", "mended2");
    assert_non_null(strstr(p.text, "1 boxes without area left out"));
}

static void pictures_without_boxes_are_counted(void **state)
{
    (void)state;
    program p = {0};
    spoil("instances_train.json", "\"images\": [",
        "\"images\": [{\"id\": 5, \"file_name\": \"000.png\", \"width\": 64, "
        "\"height\": 64},");
    train_bad(&p, "--epochs 1 --max-steps 1", "empty");
    assert_non_null(strstr(p.text, "12 images to train on"));
    assert_non_null(strstr(p.text, "1 images without boxes are left out"));
    train_bad(&p, "--epochs 1 --max-steps 4 --filter-empty=false", "kept");
    assert_non_null(strstr(p.text, "13 images to train on"));
}

/* Where no size is given, pictures lower than a detector needs are no error. */
static void low_pictures_are_trained_on(void **state)
{
    (void)state;
    program p = {0};
    uint8_t rgb[8 * 64 * 3] = {0};
    const lmb_image low = {8, 64, rgb};
    const char *const splits[] = {"train", "val"};
    assert_int_equal(mkdir(in_folder("low"), 0777), 0);
    for (int i = 0; i < 2; i++) {
        char json[512];
        assert_int_equal(mkdir(in_folder("low/%s", splits[i]), 0777), 0);
        CHECK_OK(
            lmb_image_save_png(in_folder("low/%s/1.png", splits[i]), &low));
        (void)snprintf(json, sizeof json,
            "{\"images\": [{\"id\": 1, \"file_name\": \"1.png\", \"width\": "
            "64, "
            "\"height\": 8}], \"categories\": [{\"id\": 1, \"name\": \"a\"}], "
            "\"annotations\": [{\"id\": 1, \"image_id\": 1, \"category_id\": "
            "1, "
            "\"bbox\": [2, 2, 30, 5], \"area\": 150, \"iscrowd\": 0}]}");
        CHECK_OK(lmb_file_write(
            in_folder("low/instances_%s.json", splits[i]), json, strlen(json)));
    }
    program_start(&p,
        "train --model " TINY_STUDENT " --data coco:%s --threads 1 --precision "
        "f32 --batch 1 --loader-threads 0 --allow-reference --epochs 1 --out "
        "%s",
        in_folder("low"), in_folder("low-run"));
    program_ends(&p, 0);
}

/* A part held out stands in for a test split that cannot be opened: the run
 * says so, and why; a file that was named has to be there. */
static void a_missing_test_split_is_said(void **state)
{
    (void)state;
    program p = {0};
    spoil("instances_train.json", "\"images\": [", "\"images\": [");
    (void)remove(in_folder("bad/instances_val.json"));
    train_bad(&p, "--val-split 0.25 --epochs 1 --max-steps 1", "no-test");
    assert_non_null(strstr(p.text, "no test split, the part held out"));
    program_start(&p,
        "train --model " TINY_STUDENT " --data coco:%s " TINY_FLAGS
        "--val-split 0.25 --set data.test.json=gone.json --epochs 1 "
        "--max-steps 1 --out %s",
        in_folder("bad"), in_folder("no-named"));
    check_error(&p, 1, "gone.json");
}

/* Its scores are undefined, -1: the first epoch is the best all the same. */
static void a_test_split_without_boxes_has_a_best_epoch(void **state)
{
    (void)state;
    program p = {0};
    spoil("instances_val.json", "\"annotations\": [",
        "\"annotations\": [], \"other\": [");
    train_bad(&p, "--epochs 1 --max-steps 1", "unscored");
    assert_true(exists(in_folder("unscored/best.safetensors")));
}

static void note_time_left(const lmb_progress *p, void *user)
{
    *(double *)user = p->seconds_left;
}

/* "bad" has one, and no time is left behind the last step. */
static void pictures_without_boxes_take_no_time(void **state)
{
    (void)state;
    double left = NAN;
    lmb_run *run = NULL;
    lmb_run_config c = {0};
    const lmb_observer observer = {.on_step = note_time_left, .user = &left};
    char data[2 * PROGRAM_PATH];
    (void)snprintf(data, sizeof data, "coco:%s", in_folder("bad"));
    CHECK_OK(lmb_run_config_init(&c));
    c.student = TINY_STUDENT;
    c.data = data;
    c.out = in_folder("timed");
    c.pictures.size = 64;
    c.train.epochs = 1;
    c.train.batch = 4;
    c.train.threads = 1;
    c.train.loader_threads = 0;
    c.train.precision = LMB_PRECISION_F32;
    c.train.allow_reference = true;
    CHECK_OK(lmb_run_open(&c, &observer, &run));
    CHECK_OK(lmb_run_train(run));
    CHECK_NEAR(left, 0, 0);
    lmb_run_free(run);
    lmb_run_config_fini(&c);
}

/* --- Pascal VOC and YOLO -------------------------------------------------- */

static void put(const char *name, const char *text)
{
    char path[2 * PROGRAM_PATH];
    (void)snprintf(path, sizeof path, "%s", in_folder("%s", name));
    *strrchr(path, '/') = '\0';
    CHECK_OK(lmb_make_dirs(path));
    write_all(in_folder("%s", name), text, strlen(text));
}

static void put_scene(const char *name)
{
    size_t size = 0;
    put(name, "");
    char *bytes = read_all(in_folder("set/train/000.png"), &size);
    write_all(in_folder("%s", name), bytes, size);
    free(bytes);
}

static void broken_voc(void **state)
{
    (void)state;
    static const char good[] =
        "<annotation><filename>a.png</filename><size><width>64</width>"
        "<height>64</height></size><object><name>cat</name><bndbox>"
        "<xmin>3</xmin><ymin>3</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>"
        "</object></annotation>";
    char line[4 * PROGRAM_PATH], cut[sizeof good];
    put_scene("voc/JPEGImages/a.png");
    put("voc/ImageSets/Main/train.txt", "a\n");
    put("voc/ImageSets/Main/val.txt", "a\n");
    (void)snprintf(line, sizeof line, "--data voc:%s", in_folder("voc"));
    const wrong w = {1, "a.xml", line};
    for (size_t n = 20; n < sizeof good - 1; n += 40) {
        (void)snprintf(cut, sizeof cut, "%.*s", (int)n, good);
        put("voc/Annotations/a.xml", cut);
        check_train(&w, 1);
    }
}

static void broken_yolo(void **state)
{
    (void)state;
    static const char *const texts[] = {"7 0.5 0.5 0.2 0.2\n",
        "0 0.5 0.5 0.2\n", "0 0.5 nan 0.2 0.2\n", "x 1 1 1 1\n"};
    char line[4 * PROGRAM_PATH];
    put_scene("yolo/images/train/a.png");
    put_scene("yolo/images/val/a.png");
    put("yolo/labels/val/a.txt", "0 0.5 0.5 0.2 0.2\n");
    put("yolo/data.yaml",
        "train: images/train\nval: images/val\nnc: 1\nnames: [cat]\n");
    (void)snprintf(line, sizeof line, "--data yolo:%s", in_folder("yolo"));
    const wrong w = {1, "a.txt", line};
    for (size_t i = 0; i < LMB_COUNT(texts); i++) {
        put("yolo/labels/train/a.txt", texts[i]);
        check_train(&w, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_flags_of_train),
        cmocka_unit_test(wrong_flags_of_distill),
        cmocka_unit_test(teachers_that_do_not_fit),
        cmocka_unit_test(a_guessing_teacher_needs_force),
        cmocka_unit_test(wrong_uses_of_eval),
        cmocka_unit_test(broken_instances),
        cmocka_unit_test(a_test_split_of_other_classes),
        cmocka_unit_test(broken_pictures),
        cmocka_unit_test(boxes_outside_are_mended_and_said),
        cmocka_unit_test(pictures_without_boxes_are_counted),
        cmocka_unit_test(pictures_without_boxes_take_no_time),
        cmocka_unit_test(low_pictures_are_trained_on),
        cmocka_unit_test(a_missing_test_split_is_said),
        cmocka_unit_test(a_test_split_without_boxes_has_a_best_epoch),
        cmocka_unit_test(broken_voc),
        cmocka_unit_test(broken_yolo),
    };
    const int failed =
        cmocka_run_group_tests(tests, make_folder, program_folder_remove);
    return failed + lmb_test_leaks();
}
