/* str.c: growing strings and text helpers. */
#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(lmb_str *s, size_t more)
{
    if (s->failed || more > (size_t)PTRDIFF_MAX / 4) {
        s->failed = true;
        return false;
    }
    const size_t need = s->length + more + 1;
    if (need <= s->capacity)
        return true;
    const size_t want = need * 2 < 64 ? 64 : need * 2;
    char *text = lmb_realloc(s->text, s->length, want, 1);
    if (text == NULL) {
        s->failed = true;
        return false;
    }
    s->text = text;
    s->capacity = want;
    return true;
}

void lmb_str_add_bytes(lmb_str *s, const void *bytes, size_t count)
{
    if (!reserve(s, count))
        return;
    if (count > 0)
        memcpy(s->text + s->length, bytes, count);
    s->length += count;
    s->text[s->length] = '\0';
}

void lmb_str_add(lmb_str *s, const char *text)
{
    lmb_str_add_bytes(s, text, strlen(text));
}

void lmb_str_printf(lmb_str *s, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    const int length = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (length >= 0 && reserve(s, (size_t)length)) {
        (void)vsnprintf(s->text + s->length, (size_t)length + 1, fmt, again);
        s->length += (size_t)length;
    }
    va_end(again);
}

/* Bytes that follow a lead byte, -1 if it cannot lead; *low is the least code
 * point that needs so many. */
static int follow_count(uint8_t lead, uint32_t *low)
{
    if (lead < 0x80) {
        *low = 1;
        return 0;
    }
    if (lead >= 0xc0 && lead < 0xe0) {
        *low = 0x80;
        return 1;
    }
    if (lead >= 0xe0 && lead < 0xf0) {
        *low = 0x800;
        return 2;
    }
    *low = 0x10000;
    return lead >= 0xf0 && lead < 0xf8 ? 3 : -1;
}

size_t lmb_utf8_length(const char *text, size_t length)
{
    const uint8_t *p = (const uint8_t *)text;
    uint32_t low = 0;
    const int follow = length > 0 ? follow_count(p[0], &low) : -1;
    if (follow < 0 || (size_t)follow >= length)
        return 0;
    uint32_t code = p[0] & (follow == 0 ? 0x7fu : 0x3fu >> follow);
    for (int k = 1; k <= follow; k++) {
        if ((p[k] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (p[k] & 0x3fu);
    }
    if (code < low || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return 0;
    return (size_t)follow + 1;
}

size_t lmb_utf8_mark(const void *bytes, size_t size)
{
    return size >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
}

void lmb_str_json(lmb_str *s, const char *text)
{
    lmb_str_add(s, "\"");
    for (const char *end = text + strlen(text); text < end;) {
        const unsigned char c = (unsigned char)*text;
        const size_t n = lmb_utf8_length(text, (size_t)(end - text));
        if (c == '"' || c == '\\')
            lmb_str_printf(s, "\\%c", c);
        else if (c == '\n')
            lmb_str_add(s, "\\n");
        else if (c < 0x20 || n == 0)
            lmb_str_printf(s, "\\u%04x", c);
        else
            lmb_str_add_bytes(s, text, n);
        text += n > 0 ? n : 1;
    }
    lmb_str_add(s, "\"");
}

void lmb_str_json_number(lmb_str *s, double value)
{
    if (!isfinite(value)) {
        lmb_str_add(s, "null");
        return;
    }
    char text[40];
    /* 15 digits give back every shorter number, less its zeros. */
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    lmb_str_add(s, text);
}

lmb_status lmb_str_status(const lmb_str *s)
{
    return s->failed ? LMB_FAIL(LMB_ENOMEM, "out of memory: string") : LMB_OK;
}

void lmb_str_fini(lmb_str *s)
{
    lmb_free(s->text);
    *s = (lmb_str){0};
}

bool lmb_str_equal_nocase(const char *a, const char *b)
{
    while (*a != '\0' &&
        tolower((unsigned char)*a) == tolower((unsigned char)*b)) {
        a++;
        b++;
    }
    return *a == '\0' && *b == '\0';
}

bool lmb_str_ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text);
    const size_t m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

enum { NEAR_MAX = 64 };

static bool same_letter(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

static size_t least_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Letters put in, left out, exchanged, or swapped with their neighbour. */
static size_t edit_distance(const char *a, const char *b)
{
    const size_t n = strlen(a);
    const size_t m = strlen(b);
    if (n > NEAR_MAX || m > NEAR_MAX)
        return SIZE_MAX;
    size_t rows[3][NEAR_MAX + 1]; /* i - 2, i - 1 and i, in turn */
    for (size_t j = 0; j <= m; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        const size_t *before = rows[(i + 1) % 3], *last = rows[(i + 2) % 3];
        size_t *row = rows[i % 3];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            const bool same = same_letter(a[i - 1], b[j - 1]);
            row[j] = least_of(last[j - 1] + (same ? 0 : 1),
                least_of(last[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) &&
                same_letter(a[i - 2], b[j - 1]))
                row[j] = least_of(row[j], before[j - 2] + 1);
        }
    }
    return rows[n % 3][m];
}

const char *lmb_str_nearest(
    const char *text, const char *const *candidates, size_t count)
{
    const char *best = NULL;
    /* Of short words everything is near: one letter of them may be wrong. */
    const size_t third = strlen(text) / 3;
    size_t least = (third > 1 ? third : 1) + 1;
    for (size_t i = 0; i < count; i++) {
        const size_t d = edit_distance(text, candidates[i]);
        if (d < least) {
            least = d;
            best = candidates[i];
        }
    }
    return best;
}

bool lmb_parse_i64(const char *text, int64_t *out)
{
    char *end = NULL;
    errno = 0;
    const long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0)
        return false;
    *out = value;
    return true;
}

bool lmb_parse_f64(const char *text, double *out)
{
    char *end = NULL;
    errno = 0;
    const double value = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(value))
        return false;
    *out = value;
    return true;
}
