/* test_fetch.c: data sets fetched from a server on the loopback: checksums,
 * progress, resuming, other addresses, archives, and that they open. */
#include "lmb_test.h"

#include "http_server.h"

#include "base/file.h"
#include "data/data.h"
#include "data/fetch.h"
#include "io/digest.h"

#include <zlib.h>

enum { FILES = 5, MOST = 4096, PICTURES = 3, SIDE = 28 };

static const char *const names[FILES] = {"train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz", "set.tar.gz"};
static uint8_t content[FILES][MOST];
static size_t size[FILES];
static char md5[FILES][LMB_DIGEST_TEXT];
static http_server server;
static char folder[] = "/tmp/limbeck_fetch_XXXXXX";

static const char *at(const char *name)
{
    static char path[4][256];
    static unsigned next;
    char *p = path[next++ % 4];
    (void)snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

static const char *address(const char *what)
{
    static char text[4][64];
    static unsigned next;
    char *url = text[next++ % 4];
    (void)snprintf(
        url, sizeof text[0], "http://127.0.0.1:%d/%s", server.port, what);
    return url;
}

/* --- what the server has */

static void put_number(uint8_t *to, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(v >> (24 - 8 * i));
}

static void pack(const uint8_t *plain, unsigned count)
{
    gzFile f = gzopen(at("packed.gz"), "wb");
    assert_non_null(f);
    assert_int_equal(gzwrite(f, plain, count), count);
    assert_int_equal(gzclose(f), Z_OK);
}

static void take(int i, const char *path)
{
    lmb_file file = {0};
    lmb_digest d;
    CHECK_OK(lmb_file_open(path, &file));
    assert_in_range(file.size, 1, MOST);
    memcpy(content[i], file.bytes, file.size);
    size[i] = file.size;
    lmb_file_close(&file);
    lmb_digest_init(&d, LMB_MD5);
    lmb_digest_add(&d, content[i], size[i]);
    lmb_digest_text(&d, md5[i]);
}

static void make_idx(void)
{
    enum { PIXELS = PICTURES * SIDE * SIDE };
    static uint8_t images[16 + PIXELS];
    uint8_t labels[8 + PICTURES] = {0, 0, 8, 1};
    memcpy(images, (uint8_t[]){0, 0, 8, 3}, 4);
    put_number(images + 4, PICTURES);
    put_number(images + 8, SIDE);
    put_number(images + 12, SIDE);
    put_number(labels + 4, PICTURES);
    for (int i = 0; i < PIXELS; i++)
        images[16 + i] = (uint8_t)(i * 37);
    for (int i = 0; i < PICTURES; i++)
        labels[8 + i] = (uint8_t)i;
    for (int i = 0; i < 4; i++) {
        if (i % 2 == 0)
            pack(images, sizeof images);
        else
            pack(labels, sizeof labels);
        take(i, at("packed.gz"));
    }
}

static void make_archive(void)
{
    char command[512];
    CHECK_OK(lmb_make_dirs(at("set")));
    CHECK_OK(lmb_file_write(at("set/names.txt"), "ant\nbee\n", 8));
    (void)snprintf(
        command, sizeof command, "cd %s && tar czf set.tar.gz set", folder);
    assert_int_equal(system(command), 0);
    take(4, at("set.tar.gz"));
}

/* /good/FILE; /tail/FILE answers only who goes on from the middle; /bad/FILE
 * has one bit wrong. */
static void answer(int fd, const char *request)
{
    char where[16] = "", name[64] = "";
    (void)sscanf(request, "GET /%15[a-z]/%63[^ ]", where, name);
    for (int i = 0; i < FILES; i++) {
        if (strcmp(name, names[i]) != 0)
            continue;
        const bool bad = strcmp(where, "bad") == 0;
        if (!bad && strcmp(where, "good") != 0 &&
            (strcmp(where, "tail") != 0 || server_range(request) <= 0))
            break;
        content[i][size[i] / 2] ^= bad;
        server_reply_range(fd, request, content[i], size[i]);
        content[i][size[i] / 2] ^= bad;
        return;
    }
    server_reply(fd, "404 Not Found", "", "", 0, 0);
}

static int start(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    make_idx();
    make_archive();
    return server_start(&server, answer);
}

static int stop(void **state)
{
    char command[256];
    (void)state;
    server_stop(&server);
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static lmb_fetch_source digits(void)
{
    lmb_fetch_source s = {.name = "digits"};
    for (int i = 0; i < 4; i++) {
        s.file[i].name = names[i];
        s.file[i].md5 = md5[i];
    }
    return s;
}

static lmb_fetch_source archive(void)
{
    return (lmb_fetch_source){
        .name = "set", .file = {{names[4], md5[4]}}, .archive = true};
}

/* --- the tests */

typedef struct progress {
    int calls;
    int64_t done, total;
} progress;

static bool note(int64_t done, int64_t total, void *user)
{
    progress *s = user;
    s->calls++;
    s->done = done;
    s->total = total;
    return true;
}

static bool refuse(int64_t done, int64_t total, void *user)
{
    (void)done;
    (void)total;
    (void)user;
    return false;
}

static void a_fetched_set_opens(void **state)
{
    (void)state;
    const lmb_fetch_source s = digits();
    progress seen = {0};
    char spec[300];
    lmb_dataset *ds = NULL;
    CHECK_OK(lmb__fetch(&s, at("new/idx"), address("good"), note, &seen));
    assert_true(seen.calls >= 4);
    assert_int_equal(seen.done, size[3]);
    assert_int_equal(seen.total, size[3]);
    (void)snprintf(spec, sizeof spec, "idx:%s", at("new/idx"));
    CHECK_OK(lmb_dataset_open(spec, "test", NULL, &ds));
    assert_int_equal(lmb_dataset_count(ds), PICTURES);
    assert_int_equal(lmb_dataset_label(ds, 2), 2);
    lmb_dataset_free(ds);
    /* What is there and right is not asked for again. */
    CHECK_OK(lmb__fetch(&s, at("new/idx"), address("none"), NULL, NULL));
}

static void archives_are_unpacked(void **state)
{
    (void)state;
    const lmb_fetch_source s = archive();
    lmb_file file = {0};
    CHECK_OK(lmb__fetch(&s, at("unpacked"), address("good/"), NULL, NULL));
    CHECK_OK(lmb_file_open(at("unpacked/set/names.txt"), &file));
    assert_int_equal(file.size, 8);
    assert_memory_equal(file.bytes, "ant\nbee\n", 8);
    lmb_file_close(&file);
}

static void a_broken_download_goes_on(void **state)
{
    (void)state;
    const lmb_fetch_source s = archive();
    CHECK_OK(lmb_make_dirs(at("half")));
    CHECK_OK(
        lmb_file_write(at("half/set.tar.gz.part"), content[4], size[4] / 2));
    CHECK_OK(lmb__fetch(&s, at("half"), address("tail"), NULL, NULL));
    assert_true(lmb_path_exists(at("half/set/names.txt")));
    assert_false(lmb_path_exists(at("half/set.tar.gz.part")));
}

static void a_wrong_checksum_leaves_nothing(void **state)
{
    (void)state;
    const lmb_fetch_source s = archive();
    CHECK_ERR(lmb__fetch(&s, at("wrong"), address("bad"), NULL, NULL),
        LMB_EFORMAT, md5[4]);
    assert_false(lmb_path_exists(at("wrong/set.tar.gz")));
    assert_false(lmb_path_exists(at("wrong/set")));
    CHECK_OK(lmb__fetch(&s, at("wrong"), address("good"), NULL, NULL));
}

static void the_next_address_is_tried(void **state)
{
    (void)state;
    lmb_fetch_source s = archive();
    s.base[0] = address("none/");
    CHECK_ERR(lmb__fetch(&s, at("second"), NULL, NULL, NULL), LMB_ENOTFOUND,
        "status 404");
    s.base[1] = address("good/");
    CHECK_OK(lmb__fetch(&s, at("second"), NULL, NULL, NULL));
    assert_true(lmb_path_exists(at("second/set/names.txt")));
}

static void errors_and_stops(void **state)
{
    (void)state;
    const lmb_fetch_source s = archive();
    CHECK_ERR(lmb__fetch(&s, at("stop"), address("good"), refuse, NULL),
        LMB_EINTERRUPTED, "stopped");
    CHECK_ERR(lmb_fetch("cifar1000", at("x"), NULL, NULL, NULL), LMB_EUSAGE,
        "did you mean 'cifar100'?");
    /* The public sums do not fit what this server has. */
    CHECK_ERR(lmb_fetch("mnist", at("y"), address("good"), NULL, NULL),
        LMB_EFORMAT, "f68b3c2dcbeaaa9fbdd348bbdeb94873");
    for (int i = 0; lmb_fetch_name(i) != NULL; i++)
        assert_non_null(lmb_fetch_help(i));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fetched_set_opens),
        cmocka_unit_test(archives_are_unpacked),
        cmocka_unit_test(a_broken_download_goes_on),
        cmocka_unit_test(a_wrong_checksum_leaves_nothing),
        cmocka_unit_test(the_next_address_is_tried),
        cmocka_unit_test(errors_and_stops),
    };
    const int failed = cmocka_run_group_tests(tests, start, stop);
    return failed + lmb_test_leaks();
}
