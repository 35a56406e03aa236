/* What an evaluation tells of itself: its caller how many images are done, and
 * whoever looks at the terminal a bar. */
#include "program.h"

#include "train/network.h"

#include <sys/ioctl.h>

enum { IMAGES = 1500 };

static char weights[2 * PROGRAM_PATH];

static void open_net(lmb_network *net)
{
    const lmb_model *model = NULL;
    *net = (lmb_network){0};
    CHECK_OK(lmb_model_get("resnet20", &model));
    CHECK_OK(lmb_network_new(model, 100, 32, LMB_F32, net));
    lmb_params_init(net->params, 3);
}

static int make_folder(void **state)
{
    lmb_network net;
    if (program_folder(state) != 0)
        return 1;
    (void)snprintf(weights, sizeof weights, "%s", in_folder("net.safetensors"));
    open_net(&net);
    CHECK_OK(lmb_network_save(&net, NULL, 32, 0, weights));
    lmb_network_fini(&net);
    return 0;
}

/* --- the call ------------------------------------------------------------- */

typedef struct calls {
    int64_t done[8], count;
    int n;
} calls;

static void note(int64_t done, int64_t count, void *user)
{
    calls *c = user;
    assert_true(c->n < (int)LMB_COUNT(c->done));
    c->done[c->n++] = done;
    c->count = count;
}

static void each_batch_is_told(void **state)
{
    (void)state;
    static const int64_t want[] = {0, 4, 8, 10};
    lmb_network net;
    lmb_dataset *data = NULL;
    lmb_eval_result r = {0};
    calls seen = {.n = 0};
    const lmb_dataset_opts opts = {0};
    const lmb_eval_spec spec = {.batch = 4,
        .limit = 10,
        .allow_reference = true,
        .on_images = note,
        .user = &seen};
    open_net(&net);
    CHECK_OK(lmb_dataset_open("shapes", "test", &opts, &data));
    CHECK_OK(lmb_evaluate(&net, data, &spec, &r));
    assert_int_equal(seen.count, 10);
    assert_int_equal(seen.n, LMB_COUNT(want));
    assert_memory_equal(seen.done, want, sizeof want);
    lmb_eval_fini(&r);
    lmb_dataset_free(data);
    lmb_network_fini(&net);
}

/* --- the bar -------------------------------------------------------------- */

/* `limbeck eval` with its standard error on `path`. */
static void eval_to(const char *path, const char *flags)
{
    char line[8 * PROGRAM_PATH];
    (void)snprintf(line, sizeof line,
        "'%s' eval --weights %s --data shapes --limit %d --eval-batch 20 "
        "--threads 1 --precision f32 --allow-reference %s >%s 2>%s",
        LMB_PROGRAM, weights, (int)IMAGES, flags, in_folder("out.txt"), path);
    assert_int_equal(system(line), 0);
}

/* A terminal's two ends; false where there are none. */
static bool open_terminal(int *master, char *path, size_t size)
{
    int number = 0;
    const int unlocked = 0;
    *master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (*master < 0)
        return false;
    if (ioctl(*master, TIOCSPTLCK, &unlocked) != 0 ||
        ioctl(*master, TIOCGPTN, &number) != 0) {
        (void)close(*master);
        return false;
    }
    (void)snprintf(path, size, "/dev/pts/%d", number);
    if (access(path, W_OK) == 0)
        return true;
    (void)close(*master);
    return false;
}

/* What `eval` drew on a terminal: it fits the terminal's own memory. */
static void draw(const char *flags, char *out, size_t size)
{
    int master = -1;
    char path[64];
    if (!open_terminal(&master, path, sizeof path)) {
        (void)printf("skipped: there are no terminals here\n");
        skip();
    }
    /* Held open, or what is not read yet would be lost with the last end. */
    const int held = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(held >= 0);
    eval_to(path, flags);
    assert_int_equal(fcntl(master, F_SETFL, O_NONBLOCK), 0);
    size_t length = 0;
    for (ssize_t n = 1; n > 0 && length + 1 < size;) {
        n = read(master, out + length, size - 1 - length);
        length += n > 0 ? (size_t)n : 0;
    }
    out[length] = '\0';
    (void)close(held);
    (void)close(master);
}

static void a_terminal_gets_a_bar(void **state)
{
    (void)state;
    static char seen[1 << 16];
    draw("", seen, sizeof seen);
    static const char *const parts[] = {"\r\033[K[", "] evaluating ", "/1500  ",
        " images/s  left ", "s\r\033[K"};
    for (size_t i = 0; i < LMB_COUNT(parts); i++)
        if (strstr(seen, parts[i]) == NULL)
            fail_msg("no '%s' in: %s", parts[i], seen);
    draw("--quiet", seen, sizeof seen);
    assert_string_equal(seen, "");
}

/* Scripts read what they have always read. */
static void elsewhere_there_is_nothing(void **state)
{
    (void)state;
    size_t size = 0;
    eval_to(in_folder("err.txt"), "");
    char *text = read_all(in_folder("err.txt"), &size);
    assert_string_equal(text, "");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_batch_is_told),
        cmocka_unit_test(a_terminal_gets_a_bar),
        cmocka_unit_test(elsewhere_there_is_nothing),
    };
    const int failed =
        cmocka_run_group_tests(tests, make_folder, program_folder_remove);
    return failed + lmb_test_leaks();
}
