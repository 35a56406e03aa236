/* unpickle.c: the pickle machine with everything dangerous left out.
 *
 * A pickle is a program for a machine with a stack, marks on it and a memo.
 * ops[] maps each opcode to a small function; those that name or call go to
 * pickle_calls.c. Source: CPython's Lib/pickletools.py. */
#include "io/unpickle.h"

#include "io/pickle_machine.h"
#include "io/raw.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MARKS_MAX = 1000 };

static size_t left(const lmb_pk_machine *m)
{
    return m->size - m->at;
}

static lmb_status pop_mark(lmb_pk_machine *m, size_t *base)
{
    if (m->mark_count == 0)
        return lmb__pk_bad(m, "no mark is set");
    *base = m->marks[--m->mark_count];
    return LMB_OK;
}

/* An unsigned number of `width` bytes. */
static lmb_status read_uint(lmb_pk_machine *m, size_t width, uint64_t *out)
{
    if (left(m) < width)
        return lmb__pk_bad(m, "the pickle ends early");
    *out = 0;
    for (size_t i = 0; i < width; i++)
        *out |= (uint64_t)m->bytes[m->at + i] << 8 * i;
    m->at += width;
    return LMB_OK;
}

static lmb_status read_bytes(
    lmb_pk_machine *m, uint64_t length, lmb_pk_text *out)
{
    if (length > left(m))
        return lmb__pk_bad(m, "the pickle ends early");
    out->bytes = (const char *)m->bytes + m->at;
    out->length = (size_t)length;
    m->at += (size_t)length;
    return LMB_OK;
}

static lmb_status read_line(lmb_pk_machine *m, lmb_pk_text *out)
{
    const uint8_t *start = m->bytes + m->at;
    const uint8_t *end = left(m) > 0 ? memchr(start, '\n', left(m)) : NULL;
    if (end == NULL)
        return lmb__pk_bad(m, "the pickle ends early");
    LMB_TRY(read_bytes(m, (uint64_t)(end - start) + 1, out));
    out->length--;
    if (out->length > 0 && out->bytes[out->length - 1] == '\r')
        out->length--;
    return LMB_OK;
}

/* A short line as terminated text. */
static lmb_status read_number_line(lmb_pk_machine *m, char text[64])
{
    lmb_pk_text line = {0};
    LMB_TRY(read_line(m, &line));
    if (line.length == 0 || line.length > 62)
        return lmb__pk_bad(m, "not a number");
    memcpy(text, line.bytes, line.length);
    text[line.length] = '\0';
    return LMB_OK;
}

/* Replaces the stack from `base` on by one list, tuple or dict of it. */
static lmb_status collect(lmb_pk_machine *m, lmb_pk_kind kind, size_t base)
{
    const size_t count = m->count - base;
    lmb_pk *value = NULL;
    if (kind == LMB_PK_DICT && count % 2 != 0)
        return lmb__pk_bad(m, "a dict of an odd number of values");
    LMB_TRY(lmb__pk_take(m, sizeof *value, &value));
    value->kind = kind;
    LMB_TRY(lmb__pk_list_add(
        m, value, m->stack == NULL ? NULL : m->stack + base, count));
    m->count = base;
    return lmb__pk_push(m, value);
}

/* --- opcodes */

typedef struct op op;
typedef lmb_status op_fn(lmb_pk_machine *m, const op *row);
struct op {
    op_fn *run;
    int width; /* bytes of the argument, or a count */
    lmb_pk_kind kind;
};

static lmb_status op_constant(lmb_pk_machine *m, const op *row)
{
    lmb_pk *value = NULL;
    LMB_TRY(lmb__pk_push_new(m, row->kind, &value));
    value->u.integer = row->width;
    return LMB_OK;
}

static lmb_status op_empty(lmb_pk_machine *m, const op *row)
{
    lmb_pk *value = NULL;
    return lmb__pk_push_new(m, row->kind, &value);
}

static lmb_status op_uint(lmb_pk_machine *m, const op *row)
{
    uint64_t number = 0;
    lmb_pk *value = NULL;
    LMB_TRY(read_uint(m, (size_t)row->width, &number));
    LMB_TRY(lmb__pk_push_new(m, LMB_PK_INT, &value));
    value->u.integer = (int64_t)number;
    return LMB_OK;
}

static lmb_status op_int32(lmb_pk_machine *m, const op *row)
{
    LMB_TRY(op_uint(m, row));
    lmb_pk *value = m->stack[m->count - 1];
    value->u.integer = (int32_t)(uint32_t)value->u.integer;
    return LMB_OK;
}

/* LONG1, LONG4: two's complement of any length. */
static lmb_status op_long(lmb_pk_machine *m, const op *row)
{
    uint64_t length = 0;
    lmb_pk_text text = {0};
    lmb_pk *value = NULL;
    LMB_TRY(read_uint(m, (size_t)row->width, &length));
    LMB_TRY(read_bytes(m, length, &text));
    LMB_TRY(lmb__pk_push_new(m, LMB_PK_BIGINT, &value));
    value->u.text = text;
    if (length > 8)
        return LMB_OK;
    uint64_t bits =
        length > 0 && (text.bytes[length - 1] & 0x80) != 0 ? UINT64_MAX : 0;
    for (size_t i = (size_t)length; i > 0; i--)
        bits = bits << 8 | (uint8_t)text.bytes[i - 1];
    value->kind = LMB_PK_INT;
    value->u.integer = (int64_t)bits;
    return LMB_OK;
}

/* INT and LONG of protocol 0: "I01" and "I00" are truth values. */
static lmb_status op_int_line(lmb_pk_machine *m, const op *row)
{
    char text[64];
    char *end = NULL;
    lmb_pk *value = NULL;
    const size_t start = m->at;
    LMB_TRY(read_number_line(m, text));
    errno = 0;
    const long long number = strtoll(text, &end, 10);
    if (end == text || !(*end == '\0' || (*end == 'L' && end[1] == '\0')))
        return lmb__pk_bad(m, "not a whole number");
    LMB_TRY(lmb__pk_push_new(m, row->kind, &value));
    if (errno == ERANGE) {
        value->kind = LMB_PK_BIGINT;
        value->u.text =
            (lmb_pk_text){(const char *)m->bytes + start, strlen(text)};
        return LMB_OK;
    }
    value->u.integer = number;
    if (strcmp(text, "00") == 0 || strcmp(text, "01") == 0)
        value->kind = LMB_PK_BOOL;
    return LMB_OK;
}

static lmb_status op_float_line(lmb_pk_machine *m, const op *row)
{
    char text[64];
    char *end = NULL;
    lmb_pk *value = NULL;
    LMB_TRY(read_number_line(m, text));
    const double number = strtod(text, &end);
    if (end == text || *end != '\0')
        return lmb__pk_bad(m, "not a number");
    LMB_TRY(lmb__pk_push_new(m, row->kind, &value));
    value->u.real = number;
    return LMB_OK;
}

/* Big-endian, the only one in a pickle. */
static lmb_status op_float(lmb_pk_machine *m, const op *row)
{
    uint64_t bits = 0;
    lmb_pk *value = NULL;
    LMB_TRY(read_uint(m, 8, &bits));
    LMB_TRY(lmb__pk_push_new(m, row->kind, &value));
    lmb_swap_elements(&bits, 1, sizeof bits);
    memcpy(&value->u.real, &bits, sizeof bits);
    return LMB_OK;
}

static lmb_status op_text(lmb_pk_machine *m, const op *row)
{
    uint64_t length = 0;
    lmb_pk_text text = {0};
    lmb_pk *value = NULL;
    LMB_TRY(read_uint(m, (size_t)row->width, &length));
    LMB_TRY(read_bytes(m, length, &text));
    LMB_TRY(lmb__pk_push_new(m, row->kind, &value));
    value->u.text = text;
    return LMB_OK;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Reads `digits` hexadecimal digits at s; -1 if they are not there. */
static int64_t hex_number(const char *s, size_t length, size_t digits)
{
    int64_t value = 0;
    if (length < digits)
        return -1;
    for (size_t i = 0; i < digits; i++) {
        const int digit = hex_digit(s[i]);
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

static size_t put_utf8(char *out, uint32_t code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

/* One escape of a Python 2 string literal after the backslash; *used counts
 * its characters. -1 if it is malformed. */
static int byte_escape(const char *s, size_t length, size_t *used)
{
    static const char letters[] = "\\'\"abfnrtv";
    static const char meanings[] = "\\'\"\a\b\f\n\r\t\v";
    if (length == 0)
        return -1;
    *used = 1;
    const char *found = memchr(letters, s[0], sizeof letters - 1);
    if (found != NULL)
        return meanings[found - letters];
    if (s[0] == 'x') {
        *used = 3;
        return (int)hex_number(s + 1, length - 1, 2);
    }
    int value = 0;
    size_t i = 0;
    for (; i < 3 && i < length && s[i] >= '0' && s[i] <= '7'; i++)
        value = value * 8 + s[i] - '0';
    *used = i;
    return i > 0 && value < 256 ? value : -1;
}

/* STRING of protocol 0: a quoted literal with escapes, never longer than its
 * source. */
static lmb_status op_string_line(lmb_pk_machine *m, const op *row)
{
    lmb_pk_text line = {0};
    lmb_pk *value = NULL;
    char *out = NULL;
    size_t n = 0;
    LMB_TRY(read_line(m, &line));
    if (line.length < 2 || (line.bytes[0] != '\'' && line.bytes[0] != '"') ||
        line.bytes[line.length - 1] != line.bytes[0])
        return lmb__pk_bad(m, "a string without quotes");
    LMB_TRY(lmb__pk_take(m, line.length, &out));
    const size_t end = line.length - 1;
    for (size_t i = 1; i < end; i++) {
        int c = (uint8_t)line.bytes[i];
        if (c == '\\') {
            size_t used = 0;
            c = byte_escape(line.bytes + i + 1, end - i - 1, &used);
            if (c < 0)
                return lmb__pk_bad(m, "a malformed escape in a string");
            i += used;
        }
        out[n++] = (char)c;
    }
    LMB_TRY(lmb__pk_push_new(m, row->kind, &value));
    value->u.text = (lmb_pk_text){out, n};
    return LMB_OK;
}

/* UNICODE of protocol 0: Latin-1 bytes with \uXXXX and \UXXXXXXXX. */
static lmb_status op_unicode_line(lmb_pk_machine *m, const op *row)
{
    lmb_pk_text line = {0};
    lmb_pk *value = NULL;
    char *out = NULL;
    size_t n = 0;
    LMB_TRY(read_line(m, &line));
    LMB_TRY(lmb__pk_take(m, 2 * line.length + 1, &out));
    for (size_t i = 0; i < line.length;) {
        const char c = line.bytes[i++];
        int64_t code = (uint8_t)c;
        const size_t rest = line.length - i;
        if (c == '\\' && rest > 0 &&
            (line.bytes[i] == 'u' || line.bytes[i] == 'U')) {
            const size_t digits = line.bytes[i] == 'u' ? 4 : 8;
            code = hex_number(line.bytes + i + 1, rest - 1, digits);
            if (code < 0 || code > 0x10ffff)
                return lmb__pk_bad(m, "a malformed escape in a string");
            i += 1 + digits;
        }
        n += put_utf8(out + n, (uint32_t)code);
    }
    LMB_TRY(lmb__pk_push_new(m, row->kind, &value));
    value->u.text = (lmb_pk_text){out, n};
    return LMB_OK;
}

static lmb_status op_mark(lmb_pk_machine *m, const op *row)
{
    (void)row;
    if (m->mark_count == MARKS_MAX)
        return lmb__pk_bad(m, "more than 1000 nested marks");
    LMB_TRY(LMB_GROW(m->marks, m->mark_count, m->mark_capacity));
    m->marks[m->mark_count++] = m->count;
    return LMB_OK;
}

static lmb_status op_collect(lmb_pk_machine *m, const op *row)
{
    size_t base = 0;
    LMB_TRY(pop_mark(m, &base));
    return collect(m, row->kind, base);
}

static lmb_status op_tuple(lmb_pk_machine *m, const op *row)
{
    const size_t count = (size_t)row->width;
    LMB_TRY(lmb__pk_need(m, count));
    return collect(m, LMB_PK_TUPLE, m->count - count);
}

static lmb_status op_pop(lmb_pk_machine *m, const op *row)
{
    lmb_pk *value = NULL;
    (void)row;
    if (m->mark_count > 0 && m->count == lmb__pk_floor(m)) {
        m->mark_count--;
        return LMB_OK;
    }
    return lmb__pk_pop(m, &value);
}

static lmb_status op_pop_mark(lmb_pk_machine *m, const op *row)
{
    (void)row;
    return pop_mark(m, &m->count);
}

static lmb_status op_dup(lmb_pk_machine *m, const op *row)
{
    (void)row;
    LMB_TRY(lmb__pk_need(m, 1));
    return lmb__pk_push(m, m->stack[m->count - 1]);
}

/* Adds the values above `base` to the container below them; an opaque one
 * swallows them. */
static lmb_status add_to(lmb_pk_machine *m, lmb_pk_kind kind, size_t base)
{
    const size_t count = m->count - base;
    lmb_pk *into = base > lmb__pk_floor(m) ? m->stack[base - 1] : NULL;
    if (into == NULL || (into->kind != kind && into->kind != LMB_PK_OPAQUE))
        return lmb__pk_bad(
            m, "adds values to something other than a list or dict");
    if (kind == LMB_PK_DICT && count % 2 != 0)
        return lmb__pk_bad(m, "a dict of an odd number of values");
    if (into->kind == kind)
        LMB_TRY(lmb__pk_list_add(m, into, m->stack + base, count));
    m->count = base;
    return LMB_OK;
}

static lmb_status op_add_one(lmb_pk_machine *m, const op *row)
{
    LMB_TRY(lmb__pk_need(m, (size_t)row->width));
    return add_to(m, row->kind, m->count - (size_t)row->width);
}

static lmb_status op_add_marked(lmb_pk_machine *m, const op *row)
{
    size_t base = 0;
    LMB_TRY(pop_mark(m, &base));
    return add_to(m, row->kind, base);
}

/* The memo's index: a number of `width` bytes, or a line if that is 0. */
static lmb_status read_index(lmb_pk_machine *m, const op *row, size_t *out)
{
    char text[64];
    char *end = NULL;
    uint64_t index = 0;
    if (row->width > 0) {
        LMB_TRY(read_uint(m, (size_t)row->width, &index));
    } else {
        LMB_TRY(read_number_line(m, text));
        index = strtoull(text, &end, 10);
        if (*end != '\0')
            return lmb__pk_bad(m, "not a number");
    }
    /* Picklers count up, an opcode for each: no index is above the bytes. */
    if (index > m->at)
        return lmb__pk_bad(m, "the memo's index is out of range");
    *out = (size_t)index;
    return LMB_OK;
}

static lmb_status put(lmb_pk_machine *m, size_t index)
{
    LMB_TRY(lmb__pk_need(m, 1));
    if (index >= m->memo_size) {
        size_t want = m->memo_size * 2 > 64 ? m->memo_size * 2 : 64;
        if (want < index + 1)
            want = index + 1;
        lmb_pk **memo = lmb_realloc(m->memo, m->memo_size, want, sizeof *memo);
        if (memo == NULL)
            return LMB_FAIL(LMB_ENOMEM, "out of memory: pickle's memo");
        m->memo = memo;
        m->memo_size = want;
    }
    if (m->memo[index] == NULL)
        m->memo_used++;
    m->memo[index] = m->stack[m->count - 1];
    return LMB_OK;
}

static lmb_status op_put(lmb_pk_machine *m, const op *row)
{
    size_t index = 0;
    LMB_TRY(read_index(m, row, &index));
    return put(m, index);
}

static lmb_status op_memoize(lmb_pk_machine *m, const op *row)
{
    (void)row;
    return put(m, m->memo_used);
}

static lmb_status op_get(lmb_pk_machine *m, const op *row)
{
    size_t index = 0;
    LMB_TRY(read_index(m, row, &index));
    if (index >= m->memo_size || m->memo[index] == NULL)
        return lmb__pk_bad(m, "the memo holds nothing there");
    return lmb__pk_push(m, m->memo[index]);
}

static lmb_status op_proto(lmb_pk_machine *m, const op *row)
{
    uint64_t version = 0;
    LMB_TRY(read_uint(m, (size_t)row->width, &version));
    if (version > 5)
        return LMB_FAIL(LMB_EUNSUPPORTED,
            "%s: pickle protocol %llu; 0 to 5 are read", m->name,
            (unsigned long long)version);
    return LMB_OK;
}

static lmb_status op_frame(lmb_pk_machine *m, const op *row)
{
    uint64_t length = 0;
    LMB_TRY(read_uint(m, (size_t)row->width, &length));
    return length <= left(m) ? LMB_OK : lmb__pk_bad(m, "the pickle ends early");
}

static lmb_status op_nothing(lmb_pk_machine *m, const op *row)
{
    (void)m;
    (void)row;
    return LMB_OK;
}

static lmb_status op_stop(lmb_pk_machine *m, const op *row)
{
    lmb_pk *value = NULL;
    (void)row;
    LMB_TRY(lmb__pk_pop(m, &value));
    m->out->root = value;
    m->stopped = true;
    return LMB_OK;
}

static lmb_status op_global(lmb_pk_machine *m, const op *row)
{
    lmb_pk_text module = {0};
    lmb_pk_text name = {0};
    (void)row;
    LMB_TRY(read_line(m, &module));
    LMB_TRY(read_line(m, &name));
    return lmb__pk_global(m, module, name);
}

static lmb_status op_stack_global(lmb_pk_machine *m, const op *row)
{
    lmb_pk *module = NULL;
    lmb_pk *name = NULL;
    (void)row;
    LMB_TRY(lmb__pk_pop(m, &name));
    LMB_TRY(lmb__pk_pop(m, &module));
    if (module->kind != LMB_PK_STR || name->kind != LMB_PK_STR)
        return lmb__pk_bad(m, "a global whose name is no text");
    return lmb__pk_global(m, module->u.text, name->u.text);
}

static lmb_status op_call(lmb_pk_machine *m, const op *row)
{
    (void)row;
    return lmb__pk_call(m);
}

static lmb_status op_build(lmb_pk_machine *m, const op *row)
{
    (void)row;
    return lmb__pk_build(m);
}

static lmb_status op_persistent(lmb_pk_machine *m, const op *row)
{
    (void)row;
    return lmb__pk_persistent(m);
}

/* clang-format off */
static const op ops[256] = {
    ['N'] = {op_constant, 0, LMB_PK_NONE},
    [0x88] = {op_constant, 1, LMB_PK_BOOL},
    [0x89] = {op_constant, 0, LMB_PK_BOOL},
    ['K'] = {op_uint, 1, LMB_PK_INT},
    ['M'] = {op_uint, 2, LMB_PK_INT},
    ['J'] = {op_int32, 4, LMB_PK_INT},
    [0x8a] = {op_long, 1, LMB_PK_INT},
    [0x8b] = {op_long, 4, LMB_PK_INT},
    ['I'] = {op_int_line, 0, LMB_PK_INT},
    ['L'] = {op_int_line, 0, LMB_PK_INT},
    ['F'] = {op_float_line, 0, LMB_PK_FLOAT},
    ['G'] = {op_float, 8, LMB_PK_FLOAT},
    ['S'] = {op_string_line, 0, LMB_PK_BYTES},
    ['V'] = {op_unicode_line, 0, LMB_PK_STR},
    ['X'] = {op_text, 4, LMB_PK_STR},
    [0x8c] = {op_text, 1, LMB_PK_STR},
    [0x8d] = {op_text, 8, LMB_PK_STR},
    ['T'] = {op_text, 4, LMB_PK_BYTES},
    ['U'] = {op_text, 1, LMB_PK_BYTES},
    ['B'] = {op_text, 4, LMB_PK_BYTES},
    ['C'] = {op_text, 1, LMB_PK_BYTES},
    [0x8e] = {op_text, 8, LMB_PK_BYTES},
    [0x96] = {op_text, 8, LMB_PK_BYTES},
    [']'] = {op_empty, 0, LMB_PK_LIST},
    [0x8f] = {op_empty, 0, LMB_PK_LIST},
    [')'] = {op_empty, 0, LMB_PK_TUPLE},
    ['}'] = {op_empty, 0, LMB_PK_DICT},
    ['('] = {op_mark, 0, LMB_PK_NONE},
    ['l'] = {op_collect, 0, LMB_PK_LIST},
    [0x91] = {op_collect, 0, LMB_PK_LIST},
    ['t'] = {op_collect, 0, LMB_PK_TUPLE},
    ['d'] = {op_collect, 0, LMB_PK_DICT},
    [0x85] = {op_tuple, 1, LMB_PK_TUPLE},
    [0x86] = {op_tuple, 2, LMB_PK_TUPLE},
    [0x87] = {op_tuple, 3, LMB_PK_TUPLE},
    ['0'] = {op_pop, 0, LMB_PK_NONE},
    ['1'] = {op_pop_mark, 0, LMB_PK_NONE},
    ['2'] = {op_dup, 0, LMB_PK_NONE},
    ['a'] = {op_add_one, 1, LMB_PK_LIST},
    ['s'] = {op_add_one, 2, LMB_PK_DICT},
    ['e'] = {op_add_marked, 0, LMB_PK_LIST},
    [0x90] = {op_add_marked, 0, LMB_PK_LIST},
    ['u'] = {op_add_marked, 0, LMB_PK_DICT},
    ['p'] = {op_put, 0, LMB_PK_NONE},
    ['q'] = {op_put, 1, LMB_PK_NONE},
    ['r'] = {op_put, 4, LMB_PK_NONE},
    [0x94] = {op_memoize, 0, LMB_PK_NONE},
    ['g'] = {op_get, 0, LMB_PK_NONE},
    ['h'] = {op_get, 1, LMB_PK_NONE},
    ['j'] = {op_get, 4, LMB_PK_NONE},
    ['c'] = {op_global, 0, LMB_PK_GLOBAL},
    [0x93] = {op_stack_global, 0, LMB_PK_GLOBAL},
    ['R'] = {op_call, 0, LMB_PK_NONE},
    [0x81] = {op_call, 0, LMB_PK_NONE},
    ['b'] = {op_build, 0, LMB_PK_NONE},
    ['Q'] = {op_persistent, 0, LMB_PK_STORAGE},
    [0x80] = {op_proto, 1, LMB_PK_NONE},
    [0x95] = {op_frame, 8, LMB_PK_NONE},
    [0x98] = {op_nothing, 0, LMB_PK_NONE},
    ['.'] = {op_stop, 0, LMB_PK_NONE},
};
/* clang-format on */

static lmb_status run(lmb_pk_machine *m)
{
    while (!m->stopped) {
        if (left(m) == 0)
            return LMB_FAIL(
                LMB_EFORMAT, "%s: pickle ends without a STOP", m->name);
        m->opcode = m->bytes[m->at++];
        const op *row = &ops[m->opcode];
        if (row->run == NULL)
            return lmb__pk_bad(m, "not an opcode of data");
        LMB_TRY(row->run(m, row));
    }
    return LMB_OK;
}

static lmb_status parse(lmb_pk_machine *m, lmb_pickle **out)
{
    lmb_status st = LMB_OK;
    LMB_GOTO(LMB_NEW(m->out, 1), st, done);
    LMB_GOTO(lmb_arena_new(&m->out->arena_), st, done);
    LMB_GOTO(run(m), st, done);
    m->out->used = m->at;
    *out = m->out;
    m->out = NULL;
done:
    lmb_free(m->stack);
    lmb_free(m->marks);
    lmb_free(m->memo);
    lmb_pickle_free(m->out);
    return st;
}

lmb_status lmb_pickle_parse(
    const void *bytes, size_t size, const char *name, lmb_pickle **out)
{
    lmb_pk_machine m = {.name = name, .bytes = bytes, .size = size};
    return parse(&m, out);
}

lmb_status lmb_pickle_parse_opaque(
    const void *bytes, size_t size, const char *name, lmb_pickle **out)
{
    lmb_pk_machine m = {
        .name = name, .bytes = bytes, .size = size, .any_global = true};
    return parse(&m, out);
}

void lmb_pickle_free(lmb_pickle *pickle)
{
    if (pickle == NULL)
        return;
    lmb_free(pickle->storages);
    lmb_arena_free(pickle->arena_);
    lmb_free(pickle);
}
