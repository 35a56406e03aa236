/* test_predict_boxes.c: limbeck predict with the weights of a detector. */
#include "../train/program.h"

#include "base/file.h"
#include "data/image.h"
#include "train/network.h"

#include <jansson.h>

enum { H = 70, W = 100 };

static const char *weights(void)
{
    return in_folder("w.safetensors");
}

static const char *picture(void)
{
    return in_folder("a.png");
}

/* A tiny detector with its first weights, and a picture. */
static int make(void **state)
{
    static uint8_t rgb[3 * H * W];
    if (program_folder(state) != 0)
        return -1;
    lmb_model_spec spec;
    lmb_network net = {0};
    for (size_t i = 0; i < sizeof rgb; i++)
        rgb[i] = (uint8_t)(i * 2654435761u >> 24);
    CHECK_OK(lmb_image_save_png(picture(), &(lmb_image){H, W, rgb}));
    CHECK_OK(lmb_model_spec_parse(
        "retinanet_r18_fpn:width=0.125,fpn_channels=32,head_convs=1", &spec));
    CHECK_OK(lmb_network_make(&spec, 3, 64, LMB_F32, &net));
    lmb_params_init(net.params, 1);
    CHECK_OK(lmb_network_save(&net, NULL, 96, 64, weights()));
    CHECK_OK(lmb_network_save(&net, NULL, 96, 96, in_folder("square.pth")));
    CHECK_OK(lmb_network_save(&net, NULL, 0, 0, in_folder("no_sides.pth")));
    lmb_network_fini(&net);
    return 0;
}

/* What the program says on standard output; free() it. */
static char *output_of(const char *from, const char *args, int want)
{
    char command[4096];
    char *text = calloc(1 << 16, 1);
    (void)snprintf(command, sizeof command,
        "OMP_NUM_THREADS=1 %s predict --weights %s %s 2>&1", LMB_PROGRAM, from,
        args);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    assert_non_null(text);
    (void)fread(text, 1, (1 << 16) - 1, f);
    const int status = pclose(f);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != want)
        fail_msg("exit %d: %s", WEXITSTATUS(status), text);
    return text;
}

static char *output(const char *args, int want)
{
    return output_of(weights(), args, want);
}

static void json_has_what_is_drawn(void **state)
{
    (void)state;
    char args[1024];
    json_error_t error;
    (void)snprintf(args, sizeof args, "--json --score 0 --top 5 --out %s %s",
        in_folder("out"), picture());
    char *text = output(args, 0);
    json_t *root = json_loads(text, 0, &error);
    const json_t *one = json_array_get(root, 0);
    const json_t *found = json_object_get(one, "detections");
    assert_string_equal(
        json_string_value(json_object_get(one, "image")), picture());
    assert_int_equal(json_integer_value(json_object_get(one, "width")), W);
    assert_int_equal(json_array_size(found), 5);
    double above = 1;
    for (size_t i = 0; i < 5; i++) {
        const json_t *d = json_array_get(found, i);
        const json_t *box = json_object_get(d, "box");
        const double score = json_number_value(json_object_get(d, "score"));
        assert_int_equal(json_array_size(box), 4);
        for (size_t k = 0; k < 2; k++) {
            const double low = json_number_value(json_array_get(box, k));
            const double side = json_number_value(json_array_get(box, 2 + k));
            assert_true(low >= 0 && side >= 0);
            assert_true(low + side <= (k == 0 ? W : H) + 0.02);
        }
        assert_true(score <= above && score > 0);
        assert_true(json_integer_value(json_object_get(d, "class")) < 3);
        above = score;
    }
    lmb_scratch scratch = {0};
    lmb_image copy;
    CHECK_OK(lmb_image_load(
        json_string_value(json_object_get(one, "drawn")), &scratch, &copy));
    assert_int_equal(copy.height, H);
    assert_int_equal(copy.width, W);
    lmb_scratch_fini(&scratch);
    json_decref(root);
    free(text);
}

static void nothing_is_drawn_unless_asked(void **state)
{
    (void)state;
    char args[1024];
    (void)snprintf(args, sizeof args, "--no-pictures %s", picture());
    char *text = output(args, 0);
    assert_non_null(
        strstr(text, "a.png: 0 objects of score 0.3 and more (--score)\n"));
    assert_false(exists(in_folder("a.det.png")));
    free(text);
    free(output(picture(), 0));
    assert_true(exists(in_folder("a.det.png")));
}

/* As --size of training and evaluation: the short side may be as long. */
static void a_size_means_both_sides_of_a_file_without(void **state)
{
    char args[1024];
    (void)state;
    (void)snprintf(args, sizeof args, "--no-pictures --json --score 0 %s %s",
        picture(), "--size 96");
    char *named = output_of(in_folder("square.pth"), args, 0);
    char *given = output_of(in_folder("no_sides.pth"), args, 0);
    assert_string_equal(named, given);
    free(named);
    free(given);
}

static void broken_input_is_said_in_one_line(void **state)
{
    (void)state;
    static const struct {
        const char *args, *says;
        int status;
    } cases[] = {
        {"%s %s", "two pictures would be drawn to", 2},
        {"--score 2 %s", "--score", 2},
        {"--top 0 %s", "--top", 2},
        {"--no-pictures %s.txt", "neither JPEG nor PNG", 1},
        {"--no-pictures %s.none", "No such file", 1},
    };
    char path[1024];
    (void)snprintf(path, sizeof path, "%s.txt", picture());
    CHECK_OK(lmb_file_write(path, "text", 4));
    for (size_t i = 0; i < LMB_COUNT(cases); i++) {
        char args[4096];
        const char *a = cases[i].args;
        size_t n = 0;
        for (; *a != '\0'; a++)
            if (strncmp(a, "%s", 2) == 0) {
                n += (size_t)snprintf(
                    args + n, sizeof args - n, "%s", picture());
                a++;
            } else {
                args[n++] = *a;
            }
        args[n] = '\0';
        char *text = output(args, cases[i].status);
        if (strstr(text, cases[i].says) == NULL)
            fail_msg("'%s' lacks '%s'", text, cases[i].says);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_has_what_is_drawn),
        cmocka_unit_test(nothing_is_drawn_unless_asked),
        cmocka_unit_test(a_size_means_both_sides_of_a_file_without),
        cmocka_unit_test(broken_input_is_said_in_one_line),
    };
    return cmocka_run_group_tests(tests, make, program_folder_remove);
}
