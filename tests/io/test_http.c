/* test_http.c: downloads from a small server of our own on the loopback. */
#include "io_test.h"

#include "http_server.h"

#include "io/digest.h"
#include "io/http.h"

enum { SIZE = 300000 };

static uint8_t content[SIZE];
static char sha256[LMB_DIGEST_TEXT], md5[LMB_DIGEST_TEXT];
static http_server server;

/* /file honours ranges, /whole ignores them, /tail insists on one, /cut hangs
 * up half way, /moved leads to /file. */
static void answer(int fd, const char *request)
{
    const bool whole = strncmp(request, "GET /whole ", 11) == 0;
    if (strncmp(request, "GET /cut ", 9) == 0) {
        server_reply(fd, "200 OK", "", content, SIZE, SIZE / 2);
    } else if (strncmp(request, "GET /moved ", 11) == 0) {
        server_reply(fd, "302 Found", "Location: /file\r\n", content, 0, 0);
    } else if (strncmp(request, "GET /gopher ", 12) == 0) {
        server_reply(
            fd, "302 Found", "Location: file:///etc/passwd\r\n", content, 0, 0);
    } else if (strncmp(request, "GET /busy ", 10) == 0 ||
        (strncmp(request, "GET /tail ", 10) == 0 &&
            server_range(request) < 0)) {
        server_reply(fd, "503 Busy", "", content, 4, 4);
    } else if (strncmp(request, "GET /file ", 10) != 0 &&
        strncmp(request, "GET /tail ", 10) != 0 && !whole) {
        server_reply(fd, "404 Not Found", "", content, 9, 9);
    } else if (whole) {
        server_reply(fd, "200 OK", "", content, SIZE, SIZE);
    } else {
        server_reply_range(fd, request, content, SIZE);
    }
}

static int start_server(void **state)
{
    (void)state;
    lmb_digest d;
    for (int i = 0; i < SIZE; i++)
        content[i] = (uint8_t)(i * 7 + i / 251);
    lmb_digest_init(&d, LMB_SHA256);
    lmb_digest_add(&d, content, SIZE);
    lmb_digest_text(&d, sha256);
    lmb_digest_init(&d, LMB_MD5);
    lmb_digest_add(&d, content, SIZE);
    lmb_digest_text(&d, md5);
    return server_start(&server, answer);
}

static int stop_server(void **state)
{
    (void)state;
    server_stop(&server);
    return 0;
}

static const char *address(const char *what)
{
    static char text[4][128];
    static unsigned next;
    char *url = text[next++ % 4];
    (void)snprintf(
        url, sizeof text[0], "http://127.0.0.1:%d/%s", server.port, what);
    return url;
}

static const char *target(void)
{
    return scratch("download.bin");
}

static void check_complete(void)
{
    lmb_file file = {0};
    char part[600];
    CHECK_OK(lmb_file_open(target(), &file));
    assert_int_equal(file.size, SIZE);
    assert_memory_equal(file.bytes, content, SIZE);
    lmb_file_close(&file);
    (void)snprintf(part, sizeof part, "%s.part", target());
    assert_false(lmb_path_exists(part));
    assert_int_equal(unlink(target()), 0);
}

static void write_part(const void *bytes, size_t size)
{
    char part[600];
    (void)snprintf(part, sizeof part, "%s.part", target());
    CHECK_OK(lmb_file_write(part, bytes, size));
}

static void remove_part(void)
{
    char part[600];
    (void)snprintf(part, sizeof part, "%s.part", target());
    (void)unlink(part);
}

static bool note(int64_t done, int64_t total, void *user)
{
    int64_t *last = user;
    assert_true(total == 0 || done <= total);
    *last = done;
    return true;
}

static void whole_files_arrive_and_are_checked(void **state)
{
    (void)state;
    int64_t done = 0;
    CHECK_OK(lmb_http_get(address("file"), target(), NULL, NULL, NULL));
    check_complete();
    CHECK_OK(lmb_http_get(address("file"), target(), md5, note, &done));
    assert_int_equal(done, SIZE);
    check_complete();
    CHECK_OK(lmb_http_get(address("moved"), target(), sha256, NULL, NULL));
    /* What is there and right is not fetched again. */
    CHECK_OK(lmb_http_get(address("gone"), target(), sha256, NULL, NULL));
    check_complete();
}

static void partial_files_go_on(void **state)
{
    (void)state;
    int64_t done = 0;
    write_part(content, 1000);
    CHECK_OK(lmb_http_get(address("tail"), target(), sha256, note, &done));
    assert_int_equal(done, SIZE);
    check_complete();
    write_part(content, SIZE); /* complete, but for its name */
    CHECK_OK(lmb_http_get(address("tail"), target(), sha256, NULL, NULL));
    check_complete();
    write_part(content, 1000); /* a server without ranges */
    CHECK_OK(lmb_http_get(address("whole"), target(), md5, NULL, NULL));
    check_complete();
    write_part("something else", 14);
    CHECK_OK(lmb_http_get(address("file"), target(), md5, NULL, NULL));
    check_complete();
    write_part(content, 1000); /* without a digest nothing is resumed */
    CHECK_ERR(lmb_http_get(address("tail"), target(), NULL, NULL, NULL),
        LMB_EIO, "status 503");
    remove_part();
}

static void broken_transfers_resume_later(void **state)
{
    (void)state;
    CHECK_ERR(lmb_http_get(address("cut"), target(), sha256, NULL, NULL),
        LMB_EIO, "goes on from there");
    assert_false(lmb_path_exists(target()));
    CHECK_OK(lmb_http_get(address("tail"), target(), sha256, NULL, NULL));
    check_complete();
}

static bool stop_at_once(int64_t done, int64_t total, void *user)
{
    (void)done;
    (void)total;
    (void)user;
    return false;
}

static void errors_name_address_and_reason(void **state)
{
    (void)state;
    char wrong[] = "900150983cd24fb0d6963f7d28e17f72";
    CHECK_ERR(lmb_http_get(address("none"), target(), NULL, NULL, NULL),
        LMB_ENOTFOUND, "/none: the server answers with status 404");
    CHECK_ERR(lmb_http_get(address("busy"), target(), NULL, NULL, NULL),
        LMB_EIO, "status 503");
    CHECK_ERR(lmb_http_get(address("file"), target(), wrong, NULL, NULL),
        LMB_EFORMAT, "not 900150983cd24fb0d6963f7d28e17f72; it was removed");
    CHECK_ERR(lmb_http_get(address("file"), target(), "12", NULL, NULL),
        LMB_EINVAL, "'12' is neither");
    CHECK_ERR(lmb_http_get(address("gopher"), target(), NULL, NULL, NULL),
        LMB_EINVAL, "not an http");
    CHECK_ERR(lmb_http_get("file:///etc/passwd", target(), NULL, NULL, NULL),
        LMB_EINVAL, "not an http");
    CHECK_ERR(lmb_http_get("http://127.0.0.1:1/", target(), NULL, NULL, NULL),
        LMB_EIO, "http://127.0.0.1:1/: ");
    CHECK_ERR(lmb_http_get(address("file"), "/nowhere/x", NULL, NULL, NULL),
        LMB_EIO, "/nowhere/x.part");
    CHECK_ERR(lmb_http_get(address("file"), target(), NULL, stop_at_once, NULL),
        LMB_EINTERRUPTED, "stopped");
    assert_false(lmb_path_exists(target()));
    remove_part();
}

static void out_of_memory_leaves_nothing(void **state)
{
    (void)state;
    CHECK_OOM_SWEEP(lmb_http_get(address("file"), target(), md5, NULL, NULL),
        check_complete());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_files_arrive_and_are_checked),
        cmocka_unit_test(partial_files_go_on),
        cmocka_unit_test(broken_transfers_resume_later),
        cmocka_unit_test(errors_name_address_and_reason),
        cmocka_unit_test(out_of_memory_leaves_nothing),
    };
    const int failed = cmocka_run_group_tests(tests, start_server, stop_server);
    return failed + lmb_test_leaks();
}
