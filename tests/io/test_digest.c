/* test_digest.c: known answers of FIPS 180-4, RFC 1321 and RFC 3720. */
#include "io_test.h"

#include "io/digest.h"

static void check(lmb_digest_kind kind, const char *text, const char *want)
{
    char got[LMB_DIGEST_TEXT];
    lmb_digest d;
    lmb_digest_init(&d, kind);
    lmb_digest_add(&d, text, strlen(text));
    lmb_digest_text(&d, got);
    assert_string_equal(got, want);
}

static void sha256_gives_known_answers(void **state)
{
    (void)state;
    check(LMB_SHA256, "",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check(LMB_SHA256, "abc",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check(LMB_SHA256,
        "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

static void md5_gives_known_answers(void **state)
{
    (void)state;
    check(LMB_MD5, "", "d41d8cd98f00b204e9800998ecf8427e");
    check(LMB_MD5, "abc", "900150983cd24fb0d6963f7d28e17f72");
    check(LMB_MD5,
        "1234567890123456789012345678901234567890123456789012345678901234567890"
        "1234567890",
        "57edf4a22be3c955ac49da2e2107b67a");
}

/* A million letters a, in pieces of every size up to 200. */
static void pieces_do_not_matter(void **state)
{
    (void)state;
    char a[200];
    char got[LMB_DIGEST_TEXT];
    memset(a, 'a', sizeof a);
    for (int kind = LMB_MD5; kind <= LMB_SHA256; kind++) {
        lmb_digest d;
        size_t left = 1000000;
        lmb_digest_init(&d, (lmb_digest_kind)kind);
        for (size_t i = 0; left > 0; i++) {
            const size_t n = i % 201 < left ? i % 201 : left;
            lmb_digest_add(&d, a, n);
            left -= n;
        }
        lmb_digest_text(&d, got);
        assert_string_equal(got,
            kind == LMB_MD5 ? "7707d6ae4e027c70eea2a935c2296f21"
                            : "cdc76e5c9914fb9281a1c7e284d73e67"
                              "f1809a48a497200e046d39ccc7112cd0");
    }
}

static void files_and_kinds(void **state)
{
    (void)state;
    char got[LMB_DIGEST_TEXT];
    const char *path = scratch("digest");
    CHECK_OK(lmb_file_write(path, "abc", 3));
    CHECK_OK(lmb_digest_file(path, LMB_MD5, got));
    assert_string_equal(got, "900150983cd24fb0d6963f7d28e17f72");
    assert_int_equal(lmb_digest_kind_of(got), LMB_MD5);
    CHECK_OK(lmb_digest_file(path, LMB_SHA256, got));
    assert_int_equal(lmb_digest_kind_of(got), LMB_SHA256);
    assert_int_equal(lmb_digest_kind_of("abc"), 0);
    got[3] = 'x';
    assert_int_equal(lmb_digest_kind_of(got), 0);
    assert_int_equal(unlink(path), 0);
    CHECK_ERR(lmb_digest_file(path, LMB_MD5, got), LMB_ENOTFOUND, path);
}

static void crc32c_gives_known_answers(void **state)
{
    (void)state;
    uint8_t bytes[32] = {0};
    assert_int_equal(lmb_crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(
        lmb_crc32c(lmb_crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
    assert_int_equal(lmb_crc32c(0, bytes, 32), 0x8a9136aa);
    for (int i = 0; i < 32; i++)
        bytes[i] = (uint8_t)i;
    assert_int_equal(lmb_crc32c(0, bytes, 32), 0x46dd794e);
}

LMB_TEST_MAIN(cmocka_unit_test(sha256_gives_known_answers),
    cmocka_unit_test(md5_gives_known_answers),
    cmocka_unit_test(pieces_do_not_matter), cmocka_unit_test(files_and_kinds),
    cmocka_unit_test(crc32c_gives_known_answers))
