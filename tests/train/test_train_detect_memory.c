/* Memory of runs of detectors: out of it at any moment of a run with two
 * stages and pictures of several sizes; flat over epochs, and none asked for by
 * a steady step. */
#include "detect_runs.h"
#include "memory_runs.h"

#include "train/network.h"

enum { IMAGES = 12 };

static char teachers[2][2 * PROGRAM_PATH], data[2 * PROGRAM_PATH];

static void make_teacher(const char *model, char *path, const char *name)
{
    lmb_model_spec spec;
    lmb_network net = {0};
    (void)snprintf(path, 2 * PROGRAM_PATH, "%s", in_folder("%s", name));
    CHECK_OK(lmb_model_spec_parse(model, &spec));
    CHECK_OK(lmb_network_make(&spec, SCENE_CLASSES, 64, LMB_F32, &net));
    lmb_params_init(net.params, 3);
    for (int c = 0; c < 3; c++)
        net.std[c] = 1;
    CHECK_OK(lmb_network_save(&net, NULL, 64, 64, path));
    lmb_network_fini(&net);
}

static int make_folder(void **state)
{
    if (program_folder(state) != 0)
        return 1;
    write_scenes("set", IMAGES, 4, SCENE_CLASSES);
    (void)snprintf(data, sizeof data, "coco:%s", in_folder("set"));
    make_teacher(TINY_TEACHER, teachers[0], "first.safetensors");
    make_teacher(TINY_STUDENT, teachers[1], "second.safetensors");
    return 0;
}

static lmb_status configure(lmb_run_config *c, const char *out)
{
    static const char *const methods[] = {"dfmsd", "mimic"};
    LMB_TRY(lmb_run_config_init(c));
    c->student = TINY_STUDENT;
    c->data = data;
    for (int i = 0; i < 2; i++) {
        c->teachers[i].weights = teachers[i];
        c->methods[i] = (lmb_method_config){
            .name = methods[i], .weight = NAN, .warmup = NAN};
    }
    c->n_teachers = c->n_methods = 2;
    c->pictures.size = 64;
    c->pictures.short_least = 32;
    c->pictures.mosaic = 0.25;
    c->train.epochs = 2;
    c->train.batch = 4;
    c->train.lr = 0.001;
    c->train.ema = 0.9;
    c->train.clip_norm = 35;
    c->train.threads = 1;
    c->train.loader_threads = 0;
    c->train.precision = LMB_PRECISION_F32;
    c->train.eval_batch = 4;
    c->train.save_every = 1;
    c->train.teacher_check = 2;
    c->train.allow_reference = true;
    c->force = true;
    c->out = out;
    return LMB_OK;
}

static void out_of_memory_in_a_new_run(void **state)
{
    (void)state;
    sweep("new", false);
}

static void out_of_memory_in_a_resumed_run(void **state)
{
    (void)state;
    sweep("resumed", true);
}

/* One stage, one size: all plans are made in the first epochs. Methods with
 * random masks, with boxes, with the teacher's head. */
static void memory_is_flat(void **state)
{
    (void)state;
    static const char *const methods[] = {
        "pkd", "mgd", "fgd", "reviewkd", "dmkd", "kd"};
    for (size_t i = 0; i < LMB_COUNT(methods); i++) {
        lmb_run_config c = {0};
        CHECK_OK(configure(&c, in_folder("%s", methods[i])));
        c.n_teachers = 1;
        c.methods[0].name = methods[i];
        c.pictures.short_least = 0;
        c.pictures.mosaic = 0; /* grows its canvas when one is drawn */
        (void)printf("%s: ", methods[i]);
        check_flat(&c, 9);
        lmb_run_config_fini(&c);
    }
}

/* Proposals, samples and regions: scratch is made once. */
static void memory_is_flat_with_regions(void **state)
{
    (void)state;
    lmb_run_config c = {0};
    char path[2 * PROGRAM_PATH];
    make_teacher(TINY_REGIONS("0.0625"), path, "regions.safetensors");
    CHECK_OK(configure(&c, in_folder("flat2")));
    c.student = TINY_REGIONS("0.0625");
    c.teachers[0].weights = path;
    c.n_teachers = c.n_methods = 1;
    c.methods[0].name = "pcd";
    c.pictures.short_least = 0;
    c.pictures.mosaic = 0;
    check_flat(&c, 9);
    lmb_run_config_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_flat),
        cmocka_unit_test(memory_is_flat_with_regions),
        cmocka_unit_test(out_of_memory_in_a_new_run),
        cmocka_unit_test(out_of_memory_in_a_resumed_run),
    };
    failures_wanted = failures_wanted < 60 ? failures_wanted : 60;
    const int failed =
        cmocka_run_group_tests(tests, make_folder, program_folder_remove);
    return failed + lmb_test_leaks();
}
