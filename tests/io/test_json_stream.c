/* test_json_stream.c: JSON in pieces: values, exact numbers, strings, what the
 * grammar refuses and where, and files larger than the buffer. */
#include "io_test.h"

#include "base/str.h"
#include "io/json_number.h"
#include "io/json_stream.h"

#include <locale.h>

static lmb_json *open_text(const char *text)
{
    lmb_json *j = NULL;
    CHECK_OK(lmb_json_open_memory(text, strlen(text), "t.json", &j));
    return j;
}

/* Skips the whole of a text: its status. */
static lmb_status skim(const char *text, size_t size)
{
    lmb_json *j = NULL;
    LMB_TRY(lmb_json_open_memory(text, size, "t.json", &j));
    lmb_status st = lmb_json_skip(j);
    if (st == LMB_OK)
        st = lmb_json_end(j);
    lmb_json_close(j);
    return st;
}

static void check_key(lmb_json *j, const char *key)
{
    const char *got = NULL;
    CHECK_OK(lmb_json_key(j, &got));
    if (key == NULL)
        assert_null(got);
    else
        assert_string_equal(got, key);
}

static void check_item(lmb_json *j, bool more)
{
    bool got = !more;
    CHECK_OK(lmb_json_item(j, &got));
    assert_int_equal(got, more);
}

static void values_are_read_in_their_order(void **state)
{
    (void)state;
    lmb_json *j = open_text("\xef\xbb\xbf {\"a\": [1, 2.5 ,-3e2],\r\n\t\"b\":"
                            "{}, \"c\" : [ ], \"d\": [true,false,null,\"x\"],"
                            "\"e\": {\"f\": {\"g\": [[1], {}]}}} ");
    double x = 0;
    int64_t n = 0;
    bool b = false;
    const char *text = NULL;
    CHECK_OK(lmb_json_object(j));
    check_key(j, "a");
    CHECK_OK(lmb_json_list(j));
    check_item(j, true);
    CHECK_OK(lmb_json_i64(j, &n));
    assert_int_equal(n, 1);
    check_item(j, true);
    CHECK_OK(lmb_json_f64(j, &x));
    assert_true(x == 2.5);
    check_item(j, true);
    CHECK_OK(lmb_json_i64(j, &n));
    assert_int_equal(n, -300);
    check_item(j, false);
    check_key(j, "b");
    CHECK_OK(lmb_json_object(j));
    check_key(j, NULL);
    check_key(j, "c");
    CHECK_OK(lmb_json_list(j));
    check_item(j, false);
    check_key(j, "d");
    CHECK_OK(lmb_json_list(j));
    check_item(j, true);
    CHECK_OK(lmb_json_bool(j, &b));
    assert_true(b);
    check_item(j, true);
    CHECK_OK(lmb_json_bool(j, &b));
    assert_false(b);
    check_item(j, true);
    CHECK_OK(lmb_json_null(j));
    check_item(j, true);
    CHECK_OK(lmb_json_text(j, &text));
    assert_string_equal(text, "x");
    check_item(j, false);
    check_key(j, "e");
    CHECK_OK(lmb_json_skip(j));
    check_key(j, NULL);
    CHECK_OK(lmb_json_end(j));
    lmb_json_close(j);
}

static void the_next_kind_can_be_seen(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        lmb_json_kind kind;
    } cases[] = {{" {}", LMB_JSON_OBJECT}, {"[]", LMB_JSON_LIST},
        {"\"\"", LMB_JSON_TEXT}, {"-1", LMB_JSON_NUMBER},
        {"0", LMB_JSON_NUMBER}, {"true", LMB_JSON_BOOL},
        {"false", LMB_JSON_BOOL}, {"null", LMB_JSON_NULL}};
    for (size_t i = 0; i < LMB_COUNT(cases); i++) {
        lmb_json *j = open_text(cases[i].text);
        lmb_json_kind kind = LMB_JSON_NULL;
        CHECK_OK(lmb_json_peek(j, &kind));
        assert_int_equal(kind, cases[i].kind);
        CHECK_OK(lmb_json_skip(j));
        CHECK_OK(lmb_json_end(j));
        lmb_json_close(j);
    }
}

/* --- strings */

static void strings_are_decoded(void **state)
{
    (void)state;
    static const struct {
        const char *json, *text;
    } cases[] = {{"\"\"", ""}, {"\"a b\"", "a b"},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
        {"\"\\u0041\\u00e9\\u20AC\"", "A\xc3\xa9\xe2\x82\xac"},
        {"\"\\ud83d\\ude00!\"", "\xf0\x9f\x98\x80!"},
        {"\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
            "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"\"\xf4\x8f\xbf\xbf\x7f\"", "\xf4\x8f\xbf\xbf\x7f"}};
    for (size_t i = 0; i < LMB_COUNT(cases); i++) {
        lmb_json *j = open_text(cases[i].json);
        const char *text = NULL;
        CHECK_OK(lmb_json_text(j, &text));
        assert_string_equal(text, cases[i].text);
        CHECK_OK(lmb_json_end(j));
        lmb_json_close(j);
        CHECK_OK(skim(cases[i].json, strlen(cases[i].json)));
    }
}

static void a_kept_string_has_its_limits(void **state)
{
    (void)state;
    const char *text = NULL;
    lmb_str s = {0};
    lmb_json *j = open_text("\"a\\u0000b\"");
    CHECK_ERR(lmb_json_text(j, &text), LMB_EFORMAT, "a NUL in a string");
    lmb_json_close(j);
    CHECK_OK(skim("\"a\\u0000b\"", 10));

    lmb_str_add(&s, "\"");
    for (int i = 0; i < LMB_JSON_TEXT_MAX / 8 + 1; i++)
        lmb_str_add(&s, "12345678");
    lmb_str_add(&s, "\"");
    j = open_text(s.text);
    CHECK_ERR(lmb_json_text(j, &text), LMB_EFORMAT, "more than 1048576 bytes");
    lmb_json_close(j);
    CHECK_OK(skim(s.text, s.length));
    lmb_str_fini(&s);
}

/* --- numbers */

static double read_number(const char *text)
{
    lmb_json *j = open_text(text);
    double value = 0;
    CHECK_OK(lmb_json_f64(j, &value));
    CHECK_OK(lmb_json_end(j));
    lmb_json_close(j);
    return value;
}

static void check_number(const char *text)
{
    const double got = read_number(text), want = strtod(text, NULL);
    if (memcmp(&got, &want, sizeof got) != 0)
        fail_msg("%s: %.17g, not %.17g", text, got, want);
}

static void hard_numbers_are_exact(void **state)
{
    (void)state;
    static const char *const cases[] = {"0", "-0", "-0.0", "0e5", "0.1",
        "123456789012345678", "9007199254740993", "9007199254740992",
        "9007199254740991.5", "1e22", "1e23", "8.5e22",
        "1.7976931348623157e308", "2.2250738585072011e-308", "4.9e-324",
        "2e-324", "1e-400", "0.000000000000000000000000000000000001", "5e-20",
        "9223372036854775808", "18446744073709551615", "18446744073709551616",
        "9999999999999999999", "0.9999999999999999999", "1e19", "1e-19",
        "1.00000000000000011102230246251565404236316680908203125",
        "1.00000000000000011102230246251565404236316680908203124",
        "1.00000000000000011102230246251565404236316680908203126",
        "0.3333333333333333", "0.30000000000000004", "100.0e-2", "1E+2",
        "123e0000000000000000000000000000001", "1e-99999999999999999999"};
    for (size_t i = 0; i < LMB_COUNT(cases); i++)
        check_number(cases[i]);
}

/* Doubles of any size with 17 digits, and decimals of any length. */
static void numbers_are_the_nearest_doubles(void **state)
{
    (void)state;
    char text[80];
    uint64_t bits = 0x9e3779b97f4a7c15u;
    for (int i = 0; i < 60000; i++) {
        double value = 0;
        bits = bits * 6364136223846793005u + 1442695040888963407u;
        const uint64_t mixed = bits ^ (bits >> 29);
        memcpy(&value, &mixed, sizeof value);
        if (!isfinite(value))
            continue;
        (void)snprintf(text, sizeof text, "%.*g", 1 + i % 17, value);
        if (isfinite(strtod(text, NULL)))
            check_number(text);
        (void)snprintf(text, sizeof text, "%llu.%0*llue%d",
            (unsigned long long)(mixed >> (i % 60)), 1 + i % 9,
            (unsigned long long)(mixed % 10), (int)(mixed % 50) - 25);
        check_number(text);
    }
}

static void numbers_do_not_heed_the_locale(void **state)
{
    (void)state;
    static const char *const names[] = {
        "de_DE.UTF-8", "de_DE", "fr_FR.UTF-8", "ru_RU.UTF-8"};
    const char *set = NULL;
    for (size_t i = 0; i < LMB_COUNT(names) && set == NULL; i++)
        set = setlocale(LC_NUMERIC, names[i]);
    const double value = read_number("1.00000000000000000000001e-30");
    (void)setlocale(LC_NUMERIC, "C");
    assert_true(value == 1e-30);
}

static void whole_numbers_are_exact(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {{"0", 0}, {"-0", 0}, {"9223372036854775807", INT64_MAX},
        {"-9223372036854775808", INT64_MIN}, {"900100581904", 900100581904},
        {"9007199254740993", 9007199254740993}, {"1.0", 1}, {"12e2", 1200},
        {"-250e-1", -25}};
    static const char *const bad[] = {"9223372036854775808",
        "-9223372036854775809", "1.5", "1e19", "99999999999999999999"};
    int64_t value = 0;
    for (size_t i = 0; i < LMB_COUNT(good); i++) {
        lmb_json *j = open_text(good[i].text);
        CHECK_OK(lmb_json_i64(j, &value));
        assert_true(value == good[i].value);
        lmb_json_close(j);
    }
    for (size_t i = 0; i < LMB_COUNT(bad); i++) {
        lmb_json *j = open_text(bad[i]);
        CHECK_ERR(lmb_json_i64(j, &value), LMB_EFORMAT, "not a whole number");
        lmb_json_close(j);
    }
}

/* --- errors */

static void broken_json_is_refused_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *json, *message;
    } cases[] = {{"", "t.json:1:1: a value expected, not the end of the file"},
        {"[1,\n 2,\n  x]", "t.json:3:3: a value expected, not 'x'"},
        {"[1,]", "t.json:1:4: a value expected, not ']'"},
        {"[1 2]", "t.json:1:4: ',' or ']' expected, not '2'"},
        {"[1}", "',' or ']' expected, not '}'"},
        {"{\"a\":1,}", "a string expected, not '}'"},
        {"{\"a\" 1}", "':' expected, not '1'"},
        {"{\"a\":1 \"b\":2}", "',' or '}' expected"},
        {"{a:1}", "a string expected, not 'a'"}, {"{,}", "a string expected"},
        {"[,1]", "a value expected, not ','"},
        {"[1", "',' or ']' expected, not the end of the file"},
        {"{\"a\":", "a value expected, not the end"}, {"[] []", "1:4: the end"},
        {"nul", "null expected"}, {"truE", "true or false expected"},
        {"NaN", "a value expected, not 'N'"}, {"[Infinity]", "not 'I'"},
        {"[-Infinity]", "a digit expected, not 'I'"},
        {"01", "a digit expected"}, {"[1.]", "a digit expected, not ']'"},
        {"[1e]", "a digit expected"}, {"[.5]", "a value expected"},
        {"[+1]", "a value expected"}, {"[-]", "a digit expected"},
        {"\"abc", "a string without an end"},
        {"\"\\x\"", "one of \"\\/bfnrtu behind a backslash expected, not 'x'"},
        {"\"\\", "behind a backslash expected, not the end"},
        {"\"\\u12g4\"", "four hexadecimal digits"},
        {"\"\\ud800\"", "half of a surrogate pair"},
        {"\"\\udc00\\ud800\"", "half of a surrogate pair"},
        {"\"\\ud800\\u0041\"", "half of a surrogate pair"},
        {"\"a\tb\"", "the control character 0x09"},
        {"\"\xff\"", "not UTF-8: the byte 0xff"}, {"\"\xc0\x80\"", "not UTF-8"},
        {"\"\xed\xa0\x80\"", "not UTF-8"}, {"\"\xe2\x82\"", "not UTF-8"},
        {"\"\xf4\x90\x80\x80\"", "not UTF-8"}, {"\"\x80\"", "not UTF-8"},
        {"// no\n1", "a value expected, not '/'"}};
    for (size_t i = 0; i < LMB_COUNT(cases); i++)
        CHECK_ERR(skim(cases[i].json, strlen(cases[i].json)), LMB_EFORMAT,
            cases[i].message);
    CHECK_ERR(skim("[1,\0 2]", 7), LMB_EFORMAT, "not the byte 0x00");
    CHECK_ERR(skim("\"a\0b\"", 5), LMB_EFORMAT, "control character 0x00");
}

static void values_of_another_kind_are_refused(void **state)
{
    (void)state;
    double x = 0;
    bool b = false;
    const char *text = NULL;
    lmb_json *j = open_text("\"1\"");
    CHECK_ERR(lmb_json_f64(j, &x), LMB_EFORMAT, "a number expected, not '\"'");
    CHECK_ERR(lmb_json_bool(j, &b), LMB_EFORMAT, "true or false expected");
    CHECK_ERR(lmb_json_object(j), LMB_EFORMAT, "an object expected");
    CHECK_ERR(lmb_json_list(j), LMB_EFORMAT, "a list expected");
    CHECK_ERR(lmb_json_null(j), LMB_EFORMAT, "null expected");
    lmb_json_close(j);
    j = open_text("1e999");
    CHECK_ERR(lmb_json_text(j, &text), LMB_EFORMAT, "a string expected");
    CHECK_ERR(lmb_json_f64(j, &x), LMB_EFORMAT, "beyond the range");
    lmb_json_close(j);
}

static void depth_and_length_are_bounded(void **state)
{
    (void)state;
    lmb_str s = {0};
    for (int i = 0; i < LMB_JSON_DEPTH; i++)
        lmb_str_add(&s, "[");
    for (int i = 0; i < LMB_JSON_DEPTH; i++)
        lmb_str_add(&s, "]");
    CHECK_OK(skim(s.text, s.length));
    s.length = 0;
    for (int i = 0; i < 100000; i++)
        lmb_str_add(&s, "{\"a\":[");
    CHECK_ERR(skim(s.text, s.length), LMB_EFORMAT, "more than 128 levels");
    s.length = 0;
    for (int i = 0; i < LMB_JSON_NUMBER_MAX; i++)
        lmb_str_add(&s, "1");
    CHECK_OK(skim(s.text, s.length));
    lmb_str_add(&s, "1");
    CHECK_ERR(skim(s.text, s.length), LMB_EFORMAT, "more than 1023 characters");
    lmb_str_fini(&s);
}

/* --- files */

/* Tokens of all kinds fall on the borders of the buffer. */
static void files_of_many_buffers_are_read(void **state)
{
    (void)state;
    enum { ITEMS = 60000 };
    const char *path = scratch("many.json");
    lmb_str s = {0};
    lmb_json *j = NULL;
    lmb_str_add(&s, "[");
    for (int i = 0; i < ITEMS; i++)
        lmb_str_printf(&s, "%s{\"n\": %d.25, \"t\": \"\\u00e9\xc3\xa9%d\"}",
            i > 0 ? ",\n" : "", i, i);
    lmb_str_add(&s, "]");
    CHECK_OK(lmb_file_write(path, s.text, s.length));
    CHECK_OK(lmb_json_open(path, &j));
    assert_int_equal(lmb_json_size(j), s.length);
    CHECK_OK(lmb_json_list(j));
    for (int i = 0; i < ITEMS; i++) {
        char want[32];
        const char *text = NULL;
        double n = 0;
        check_item(j, true);
        CHECK_OK(lmb_json_object(j));
        check_key(j, "n");
        CHECK_OK(lmb_json_f64(j, &n));
        assert_true(n == i + 0.25);
        check_key(j, "t");
        CHECK_OK(lmb_json_text(j, &text));
        (void)snprintf(want, sizeof want, "\xc3\xa9\xc3\xa9%d", i);
        assert_string_equal(text, want);
        check_key(j, NULL);
    }
    check_item(j, false);
    CHECK_OK(lmb_json_end(j));
    assert_int_equal(lmb_json_offset(j), s.length);
    lmb_json_close(j);
    (void)unlink(path);
    lmb_str_fini(&s);
}

static void a_file_that_is_none_is_an_error(void **state)
{
    (void)state;
    lmb_json *j = NULL;
    CHECK_ERR(
        lmb_json_open("/nowhere/x.json", &j), LMB_ENOTFOUND, "/nowhere/x.json");
    assert_null(j);
    CHECK_ERR(lmb_json_open("/", &j), LMB_EIO, "/: ");
    assert_null(j);
}

static void failing_allocations_leave_nothing(void **state)
{
    (void)state;
    CHECK_OOM_SWEEP(skim("{\"a\": \"b\", \"c\": [1, 2]}", 23), (void)0);
}

LMB_TEST_MAIN(cmocka_unit_test(values_are_read_in_their_order),
    cmocka_unit_test(the_next_kind_can_be_seen),
    cmocka_unit_test(strings_are_decoded),
    cmocka_unit_test(a_kept_string_has_its_limits),
    cmocka_unit_test(hard_numbers_are_exact),
    cmocka_unit_test(numbers_are_the_nearest_doubles),
    cmocka_unit_test(numbers_do_not_heed_the_locale),
    cmocka_unit_test(whole_numbers_are_exact),
    cmocka_unit_test(broken_json_is_refused_with_its_place),
    cmocka_unit_test(values_of_another_kind_are_refused),
    cmocka_unit_test(depth_and_length_are_bounded),
    cmocka_unit_test(files_of_many_buffers_are_read),
    cmocka_unit_test(a_file_that_is_none_is_an_error),
    cmocka_unit_test(failing_allocations_leave_nothing))
