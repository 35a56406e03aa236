/* json_string.c: strings of JSON: escapes (RFC 8259, section 7) and UTF-8. */
#include "io/json_impl.h"

#include <string.h>

enum { ESCAPE = 12 }; /* the longest: two halves of a pair */

static lmb_status keep_bytes(lmb_json *j, const char *bytes, size_t count)
{
    if (count > LMB_JSON_TEXT_MAX - j->text.length)
        return lmb_json_bad(
            j, "a string of more than %d bytes", LMB_JSON_TEXT_MAX);
    lmb_str_add_bytes(&j->text, bytes, count);
    return LMB_OK;
}

static lmb_status utf8(lmb_json *j, bool keep)
{
    LMB_TRY(lmb__json_need(j, 4));
    const size_t n = lmb_utf8_length(j->at, 4);
    if (n == 0)
        return lmb_json_bad(
            j, "not UTF-8: the byte 0x%02x", (unsigned)(unsigned char)*j->at);
    if (keep)
        LMB_TRY(keep_bytes(j, j->at, n));
    j->at += n;
    return LMB_OK;
}

static bool hex4(const char *s, uint32_t *out)
{
    *out = 0;
    for (int i = 0; i < 4; i++) {
        const char c = s[i];
        const int d = c >= '0' && c <= '9' ? c - '0'
            : c >= 'a' && c <= 'f'         ? c - 'a' + 10
            : c >= 'A' && c <= 'F'         ? c - 'A' + 10
                                           : -1;
        if (d < 0)
            return false;
        *out = *out * 16 + (uint32_t)d;
    }
    return true;
}

static size_t encode_utf8(uint32_t c, char out[4])
{
    const size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(lead[n] | c);
    return n;
}

/* \uXXXX, two of them for what lies beyond 0xffff. */
static lmb_status unicode(lmb_json *j, bool keep)
{
    uint32_t c = 0, low = 0;
    char out[4];
    if (!hex4(j->at + 2, &c))
        return lmb_json_bad(j, "\\u takes four hexadecimal digits");
    j->at += 6;
    if (c >= 0xd800 && c < 0xe000) {
        if (c >= 0xdc00 || j->at[0] != '\\' || j->at[1] != 'u' ||
            !hex4(j->at + 2, &low) || low < 0xdc00 || low >= 0xe000)
            return lmb_json_bad(j, "half of a surrogate pair");
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        j->at += 6;
    }
    if (!keep)
        return LMB_OK;
    if (c == 0)
        return lmb_json_bad(j, "a NUL in a string");
    return keep_bytes(j, out, encode_utf8(c, out));
}

static lmb_status escape(lmb_json *j, bool keep)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    LMB_TRY(lmb__json_need(j, ESCAPE));
    const char c = j->at[1];
    if (c == 'u')
        return unicode(j, keep);
    const char *found = c != '\0' ? strchr(names, c) : NULL;
    if (found == NULL) {
        j->at++;
        return lmb__json_expected(j, "one of \"\\/bfnrtu behind a backslash");
    }
    if (keep)
        LMB_TRY(keep_bytes(j, &values[found - names], 1));
    j->at += 2;
    return LMB_OK;
}

static inline bool is_plain(char c)
{
    return (signed char)c >= 0x20 && c != '"' && c != '\\';
}

lmb_status lmb__json_string(lmb_json *j, bool keep)
{
    if (*j->at != '"')
        return lmb__json_expected(j, "a string");
    j->at++;
    j->text.length = 0;
    for (;;) {
        const char *from = j->at;
        while (is_plain(*j->at))
            j->at++;
        if (keep)
            LMB_TRY(keep_bytes(j, from, (size_t)(j->at - from)));
        const unsigned char c = (unsigned char)*j->at;
        if (c == '"')
            break;
        if (c == '\\')
            LMB_TRY(escape(j, keep));
        else if (c >= 0x80)
            LMB_TRY(utf8(j, keep));
        else if (j->at < j->end)
            return lmb_json_bad(
                j, "the control character 0x%02x in a string", c);
        else if (j->eof)
            return lmb_json_bad(j, "a string without an end");
        else
            LMB_TRY(lmb__json_fill(j));
    }
    j->at++;
    return lmb_str_status(&j->text);
}
