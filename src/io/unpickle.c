/* unpickle.c: the pickle machine with everything dangerous left out.
 *
 * A pickle is a program for a machine with a stack, marks on it and a memo.
 * ops[] maps each opcode to a small function; GLOBAL looks names up in
 * globals[], and REDUCE, NEWOBJ and BUILD know what those few names make of
 * their arguments. Source: CPython's pickletools.py; torch/_utils.py and
 * torch/serialization.py; numpy/core/_internal and multiarray's __reduce__. */
#include "io/unpickle.h"

#include "io/npy.h"
#include "io/raw.h"
#include "tensor/shape.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MARKS_MAX = 1000, LINE_SHOWN = 80 };
/* Values may take this much, and four times the input on top. */
static const size_t memory_floor = (size_t)256 << 20;

/* --- what a pickle may name ----------------------------------------------- */

typedef enum global_id {
    G_NONE,
    G_ORDERED_DICT,
    G_NAMESPACE,
    G_SEQUENCE, /* a container made of its one argument */
    G_BYTES,
    G_ENCODE,
    G_DEVICE,
    G_TORCH_DTYPE,
    G_STORAGE,
    G_TENSOR,
    G_PARAMETER,
    G_NUMPY_RECONSTRUCT,
    G_NUMPY_FROMBUFFER,
    G_NUMPY_ARRAY,
    G_NUMPY_DTYPE,
    G_NUMPY_SCALAR,
} global_id;

static const struct {
    const char *module, *name;
    global_id id;
    lmb_dtype dtype; /* of a G_STORAGE */
} globals[] = {
    {"collections", "OrderedDict", G_ORDERED_DICT, 0},
    {"argparse", "Namespace", G_NAMESPACE, 0},
    {"builtins", "set", G_SEQUENCE, 0},
    {"__builtin__", "set", G_SEQUENCE, 0},
    {"builtins", "frozenset", G_SEQUENCE, 0},
    {"__builtin__", "frozenset", G_SEQUENCE, 0},
    {"torch", "Size", G_SEQUENCE, 0},
    {"builtins", "bytes", G_BYTES, 0},
    {"__builtin__", "bytes", G_BYTES, 0},
    {"_codecs", "encode", G_ENCODE, 0},
    {"torch", "device", G_DEVICE, 0},
    {"torch", "float32", G_TORCH_DTYPE, 0},
    {"torch", "float64", G_TORCH_DTYPE, 0},
    {"torch", "float16", G_TORCH_DTYPE, 0},
    {"torch", "bfloat16", G_TORCH_DTYPE, 0},
    {"torch", "int64", G_TORCH_DTYPE, 0},
    {"torch._utils", "_rebuild_tensor", G_TENSOR, 0},
    {"torch._utils", "_rebuild_tensor_v2", G_TENSOR, 0},
    {"torch._utils", "_rebuild_parameter", G_PARAMETER, 0},
    {"torch", "FloatStorage", G_STORAGE, LMB_F32},
    {"torch", "DoubleStorage", G_STORAGE, LMB_F64},
    {"torch", "HalfStorage", G_STORAGE, LMB_F16},
    {"torch", "BFloat16Storage", G_STORAGE, LMB_BF16},
    {"torch", "CharStorage", G_STORAGE, LMB_I8},
    {"torch", "ByteStorage", G_STORAGE, LMB_U8},
    {"torch", "ShortStorage", G_STORAGE, LMB_I16},
    {"torch", "IntStorage", G_STORAGE, LMB_I32},
    {"torch", "LongStorage", G_STORAGE, LMB_I64},
    {"torch", "BoolStorage", G_STORAGE, LMB_BOOL},
    {"numpy", "ndarray", G_NUMPY_ARRAY, 0},
    {"numpy", "dtype", G_NUMPY_DTYPE, 0},
    {"numpy.core.multiarray", "_reconstruct", G_NUMPY_RECONSTRUCT, 0},
    {"numpy._core.multiarray", "_reconstruct", G_NUMPY_RECONSTRUCT, 0},
    {"numpy.core.multiarray", "scalar", G_NUMPY_SCALAR, 0},
    {"numpy._core.multiarray", "scalar", G_NUMPY_SCALAR, 0},
    {"numpy.core.numeric", "_frombuffer", G_NUMPY_FROMBUFFER, 0},
    {"numpy._core.numeric", "_frombuffer", G_NUMPY_FROMBUFFER, 0},
};

/* --- the machine ---------------------------------------------------------- */

typedef struct machine {
    const char *name; /* of the file */
    const uint8_t *bytes;
    size_t size, at;
    lmb_pickle *out;
    lmb_pk **stack;
    size_t count, capacity;
    size_t *marks;
    size_t mark_count, mark_capacity;
    lmb_pk **memo;
    size_t memo_size; /* slots; unset ones are NULL */
    size_t memo_used; /* values put: the index of the next MEMOIZE */
    bool stopped;
    uint8_t opcode;
} machine;

static lmb_status bad(const machine *m, const char *rule)
{
    return LMB_FAIL(LMB_EFORMAT, "%s: pickle, byte %zu, opcode 0x%02x: %s",
        m->name, m->at - 1, m->opcode, rule);
}

static size_t left(const machine *m)
{
    return m->size - m->at;
}

/* Arena memory within the budget. */
static lmb_status take(machine *m, size_t size, void *block)
{
    const size_t limit =
        memory_floor + 4 * (m->size < memory_floor ? m->size : memory_floor);
    if (size > limit || m->out->memory_ > limit - size)
        return LMB_FAIL(LMB_EFORMAT,
            "%s: pickle needs more than the %zu bytes of memory allowed",
            m->name, limit);
    m->out->memory_ += size;
    void *bytes = lmb_arena_alloc(m->out->arena_, size);
    if (bytes == NULL)
        return LMB_FAIL(LMB_ENOMEM, "out of memory: pickle");
    memcpy(block, &bytes, sizeof bytes);
    return LMB_OK;
}

static lmb_status push(machine *m, lmb_pk *value)
{
    LMB_TRY(LMB_GROW(m->stack, m->count, m->capacity));
    m->stack[m->count++] = value;
    return LMB_OK;
}

static lmb_status push_new(machine *m, lmb_pk_kind kind, lmb_pk **out)
{
    lmb_pk *value = NULL;
    LMB_TRY(take(m, sizeof *value, &value));
    value->kind = kind;
    *out = value;
    return push(m, value);
}

/* Values above the last mark belong to it. */
static size_t floor_of(const machine *m)
{
    return m->mark_count > 0 ? m->marks[m->mark_count - 1] : 0;
}

static lmb_status need(const machine *m, size_t count)
{
    if (m->count - floor_of(m) < count)
        return bad(m, "the stack holds too few values");
    return LMB_OK;
}

static lmb_status pop(machine *m, lmb_pk **out)
{
    LMB_TRY(need(m, 1));
    *out = m->stack[--m->count];
    return LMB_OK;
}

static lmb_status pop_mark(machine *m, size_t *base)
{
    if (m->mark_count == 0)
        return bad(m, "no mark is set");
    *base = m->marks[--m->mark_count];
    return LMB_OK;
}

/* An unsigned number of `width` bytes. */
static lmb_status read_uint(machine *m, size_t width, uint64_t *out)
{
    if (left(m) < width)
        return bad(m, "the pickle ends early");
    *out = 0;
    for (size_t i = 0; i < width; i++)
        *out |= (uint64_t)m->bytes[m->at + i] << 8 * i;
    m->at += width;
    return LMB_OK;
}

static lmb_status read_bytes(machine *m, uint64_t length, lmb_pk_text *out)
{
    if (length > left(m))
        return bad(m, "the pickle ends early");
    out->bytes = (const char *)m->bytes + m->at;
    out->length = (size_t)length;
    m->at += (size_t)length;
    return LMB_OK;
}

static lmb_status read_line(machine *m, lmb_pk_text *out)
{
    const uint8_t *start = m->bytes + m->at;
    const uint8_t *end = left(m) > 0 ? memchr(start, '\n', left(m)) : NULL;
    if (end == NULL)
        return bad(m, "the pickle ends early");
    LMB_TRY(read_bytes(m, (uint64_t)(end - start) + 1, out));
    out->length--;
    if (out->length > 0 && out->bytes[out->length - 1] == '\r')
        out->length--;
    return LMB_OK;
}

/* A short line as terminated text. */
static lmb_status read_number_line(machine *m, char text[64])
{
    lmb_pk_text line;
    LMB_TRY(read_line(m, &line));
    if (line.length == 0 || line.length > 62)
        return bad(m, "not a number");
    memcpy(text, line.bytes, line.length);
    text[line.length] = '\0';
    return LMB_OK;
}

/* --- lists ---------------------------------------------------------------- */

static lmb_status list_reserve(machine *m, lmb_pk_list *list, size_t more)
{
    if (more <= list->capacity - list->count)
        return LMB_OK;
    size_t want = list->count + more;
    if (list->capacity > 0 && want < list->capacity * 2)
        want = list->capacity * 2;
    lmb_pk **items = NULL;
    LMB_TRY(take(m, want * sizeof *items, &items));
    if (list->count > 0)
        memcpy(items, list->items, list->count * sizeof *items);
    list->items = items;
    list->capacity = want;
    return LMB_OK;
}

static lmb_status list_add(
    machine *m, lmb_pk_list *list, lmb_pk **items, size_t count)
{
    LMB_TRY(list_reserve(m, list, count));
    if (count > 0)
        memcpy(list->items + list->count, items, count * sizeof *items);
    list->count += count;
    return LMB_OK;
}

/* Replaces the stack from `base` on by one list, tuple or dict of it. */
static lmb_status collect(machine *m, lmb_pk_kind kind, size_t base)
{
    const size_t count = m->count - base;
    lmb_pk *value = NULL;
    if (kind == LMB_PK_DICT && count % 2 != 0)
        return bad(m, "a dict of an odd number of values");
    LMB_TRY(take(m, sizeof *value, &value));
    value->kind = kind;
    LMB_TRY(list_add(
        m, &value->u.list, m->stack == NULL ? NULL : m->stack + base, count));
    m->count = base;
    return push(m, value);
}

/* --- opcodes -------------------------------------------------------------- */

typedef struct op op;
typedef lmb_status op_fn(machine *m, const op *row);
struct op {
    op_fn *run;
    int width; /* bytes of the argument, or a count */
    lmb_pk_kind kind;
};

static lmb_status op_constant(machine *m, const op *row)
{
    lmb_pk *value = NULL;
    LMB_TRY(push_new(m, row->kind, &value));
    value->u.integer = row->width;
    return LMB_OK;
}

static lmb_status op_empty(machine *m, const op *row)
{
    lmb_pk *value = NULL;
    return push_new(m, row->kind, &value);
}

static lmb_status op_uint(machine *m, const op *row)
{
    uint64_t number = 0;
    lmb_pk *value = NULL;
    LMB_TRY(read_uint(m, (size_t)row->width, &number));
    LMB_TRY(push_new(m, LMB_PK_INT, &value));
    value->u.integer = (int64_t)number;
    return LMB_OK;
}

static lmb_status op_int32(machine *m, const op *row)
{
    LMB_TRY(op_uint(m, row));
    lmb_pk *value = m->stack[m->count - 1];
    value->u.integer = (int32_t)(uint32_t)value->u.integer;
    return LMB_OK;
}

/* LONG1, LONG4: two's complement of any length. */
static lmb_status op_long(machine *m, const op *row)
{
    uint64_t length = 0;
    lmb_pk_text text;
    lmb_pk *value = NULL;
    LMB_TRY(read_uint(m, (size_t)row->width, &length));
    LMB_TRY(read_bytes(m, length, &text));
    LMB_TRY(push_new(m, LMB_PK_BIGINT, &value));
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
static lmb_status op_int_line(machine *m, const op *row)
{
    char text[64];
    char *end = NULL;
    lmb_pk *value = NULL;
    const size_t start = m->at;
    LMB_TRY(read_number_line(m, text));
    errno = 0;
    const long long number = strtoll(text, &end, 10);
    if (end == text || !(*end == '\0' || (*end == 'L' && end[1] == '\0')))
        return bad(m, "not a whole number");
    LMB_TRY(push_new(m, row->kind, &value));
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

static lmb_status op_float_line(machine *m, const op *row)
{
    char text[64];
    char *end = NULL;
    lmb_pk *value = NULL;
    LMB_TRY(read_number_line(m, text));
    const double number = strtod(text, &end);
    if (end == text || *end != '\0')
        return bad(m, "not a number");
    LMB_TRY(push_new(m, row->kind, &value));
    value->u.real = number;
    return LMB_OK;
}

/* Big-endian, the only one in a pickle. */
static lmb_status op_float(machine *m, const op *row)
{
    uint64_t bits = 0;
    lmb_pk *value = NULL;
    LMB_TRY(read_uint(m, 8, &bits));
    LMB_TRY(push_new(m, row->kind, &value));
    lmb_swap_elements(&bits, 1, sizeof bits);
    memcpy(&value->u.real, &bits, sizeof bits);
    return LMB_OK;
}

static lmb_status op_text(machine *m, const op *row)
{
    uint64_t length = 0;
    lmb_pk_text text;
    lmb_pk *value = NULL;
    LMB_TRY(read_uint(m, (size_t)row->width, &length));
    LMB_TRY(read_bytes(m, length, &text));
    LMB_TRY(push_new(m, row->kind, &value));
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
static lmb_status op_string_line(machine *m, const op *row)
{
    lmb_pk_text line;
    lmb_pk *value = NULL;
    char *out = NULL;
    size_t n = 0;
    LMB_TRY(read_line(m, &line));
    if (line.length < 2 || (line.bytes[0] != '\'' && line.bytes[0] != '"') ||
        line.bytes[line.length - 1] != line.bytes[0])
        return bad(m, "a string without quotes");
    LMB_TRY(take(m, line.length, &out));
    const size_t end = line.length - 1;
    for (size_t i = 1; i < end; i++) {
        int c = line.bytes[i];
        if (c == '\\') {
            size_t used = 0;
            c = byte_escape(line.bytes + i + 1, end - i - 1, &used);
            if (c < 0)
                return bad(m, "a malformed escape in a string");
            i += used;
        }
        out[n++] = (char)c;
    }
    LMB_TRY(push_new(m, row->kind, &value));
    value->u.text = (lmb_pk_text){out, n};
    return LMB_OK;
}

/* UNICODE of protocol 0: Latin-1 bytes with \uXXXX and \UXXXXXXXX. */
static lmb_status op_unicode_line(machine *m, const op *row)
{
    lmb_pk_text line;
    lmb_pk *value = NULL;
    char *out = NULL;
    size_t n = 0;
    LMB_TRY(read_line(m, &line));
    LMB_TRY(take(m, 2 * line.length + 1, &out));
    for (size_t i = 0; i < line.length;) {
        const char c = line.bytes[i++];
        int64_t code = (uint8_t)c;
        const size_t rest = line.length - i;
        if (c == '\\' && rest > 0 &&
            (line.bytes[i] == 'u' || line.bytes[i] == 'U')) {
            const size_t digits = line.bytes[i] == 'u' ? 4 : 8;
            code = hex_number(line.bytes + i + 1, rest - 1, digits);
            if (code < 0 || code > 0x10ffff)
                return bad(m, "a malformed escape in a string");
            i += 1 + digits;
        }
        n += put_utf8(out + n, (uint32_t)code);
    }
    LMB_TRY(push_new(m, row->kind, &value));
    value->u.text = (lmb_pk_text){out, n};
    return LMB_OK;
}

static lmb_status op_mark(machine *m, const op *row)
{
    (void)row;
    if (m->mark_count == MARKS_MAX)
        return bad(m, "more than 1000 nested marks");
    LMB_TRY(LMB_GROW(m->marks, m->mark_count, m->mark_capacity));
    m->marks[m->mark_count++] = m->count;
    return LMB_OK;
}

static lmb_status op_collect(machine *m, const op *row)
{
    size_t base = 0;
    LMB_TRY(pop_mark(m, &base));
    return collect(m, row->kind, base);
}

static lmb_status op_tuple(machine *m, const op *row)
{
    const size_t count = (size_t)row->width;
    LMB_TRY(need(m, count));
    return collect(m, LMB_PK_TUPLE, m->count - count);
}

static lmb_status op_pop(machine *m, const op *row)
{
    lmb_pk *value = NULL;
    (void)row;
    if (m->mark_count > 0 && m->count == floor_of(m)) {
        m->mark_count--;
        return LMB_OK;
    }
    return pop(m, &value);
}

static lmb_status op_pop_mark(machine *m, const op *row)
{
    (void)row;
    return pop_mark(m, &m->count);
}

static lmb_status op_dup(machine *m, const op *row)
{
    (void)row;
    LMB_TRY(need(m, 1));
    return push(m, m->stack[m->count - 1]);
}

/* Adds the values above `base` to the container below them. */
static lmb_status add_to(machine *m, lmb_pk_kind kind, size_t base)
{
    const size_t count = m->count - base;
    if (base <= floor_of(m) || m->stack[base - 1]->kind != kind)
        return bad(m, "adds values to something other than a list or dict");
    if (kind == LMB_PK_DICT && count % 2 != 0)
        return bad(m, "a dict of an odd number of values");
    LMB_TRY(list_add(m, &m->stack[base - 1]->u.list, m->stack + base, count));
    m->count = base;
    return LMB_OK;
}

static lmb_status op_add_one(machine *m, const op *row)
{
    LMB_TRY(need(m, (size_t)row->width));
    return add_to(m, row->kind, m->count - (size_t)row->width);
}

static lmb_status op_add_marked(machine *m, const op *row)
{
    size_t base = 0;
    LMB_TRY(pop_mark(m, &base));
    return add_to(m, row->kind, base);
}

/* The memo's index: a number of `width` bytes, or a line if that is 0. */
static lmb_status read_index(machine *m, const op *row, size_t *out)
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
            return bad(m, "not a number");
    }
    /* Picklers count up, an opcode for each: no index is above the bytes. */
    if (index > m->at)
        return bad(m, "the memo's index is out of range");
    *out = (size_t)index;
    return LMB_OK;
}

static lmb_status put(machine *m, size_t index)
{
    LMB_TRY(need(m, 1));
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

static lmb_status op_put(machine *m, const op *row)
{
    size_t index = 0;
    LMB_TRY(read_index(m, row, &index));
    return put(m, index);
}

static lmb_status op_memoize(machine *m, const op *row)
{
    (void)row;
    return put(m, m->memo_used);
}

static lmb_status op_get(machine *m, const op *row)
{
    size_t index = 0;
    LMB_TRY(read_index(m, row, &index));
    if (index >= m->memo_size || m->memo[index] == NULL)
        return bad(m, "the memo holds nothing there");
    return push(m, m->memo[index]);
}

static lmb_status op_proto(machine *m, const op *row)
{
    uint64_t version = 0;
    LMB_TRY(read_uint(m, (size_t)row->width, &version));
    if (version > 5)
        return LMB_FAIL(LMB_EUNSUPPORTED,
            "%s: pickle protocol %llu; 0 to 5 are read", m->name,
            (unsigned long long)version);
    return LMB_OK;
}

static lmb_status op_frame(machine *m, const op *row)
{
    uint64_t length = 0;
    LMB_TRY(read_uint(m, (size_t)row->width, &length));
    return length <= left(m) ? LMB_OK : bad(m, "the pickle ends early");
}

static lmb_status op_nothing(machine *m, const op *row)
{
    (void)m;
    (void)row;
    return LMB_OK;
}

static lmb_status op_stop(machine *m, const op *row)
{
    lmb_pk *value = NULL;
    (void)row;
    LMB_TRY(pop(m, &value));
    m->out->root = value;
    m->stopped = true;
    return LMB_OK;
}

/* --- globals -------------------------------------------------------------- */

static bool text_is(lmb_pk_text text, const char *word)
{
    return text.length == strlen(word) &&
        (text.length == 0 || memcmp(text.bytes, word, text.length) == 0);
}

static int shown(size_t length)
{
    return (int)(length < LINE_SHOWN ? length : LINE_SHOWN);
}

static lmb_status push_global(machine *m, lmb_pk_text module, lmb_pk_text name)
{
    lmb_pk *value = NULL;
    for (size_t i = 0; i < LMB_COUNT(globals); i++) {
        if (!text_is(module, globals[i].module) ||
            !text_is(name, globals[i].name))
            continue;
        LMB_TRY(push_new(m, LMB_PK_GLOBAL, &value));
        value->global_ = (int32_t)i;
        return LMB_OK;
    }
    return LMB_FAIL(LMB_EFORMAT,
        "%s: global '%.*s.%.*s' is not allowed in a weights file", m->name,
        shown(module.length), module.bytes, shown(name.length), name.bytes);
}

static lmb_status op_global(machine *m, const op *row)
{
    lmb_pk_text module, name;
    (void)row;
    LMB_TRY(read_line(m, &module));
    LMB_TRY(read_line(m, &name));
    return push_global(m, module, name);
}

static lmb_status op_stack_global(machine *m, const op *row)
{
    lmb_pk *module = NULL;
    lmb_pk *name = NULL;
    (void)row;
    LMB_TRY(pop(m, &name));
    LMB_TRY(pop(m, &module));
    if (module->kind != LMB_PK_STR || name->kind != LMB_PK_STR)
        return bad(m, "a global whose name is no text");
    return push_global(m, module->u.text, name->u.text);
}

static global_id id_of(const lmb_pk *value)
{
    return value->kind == LMB_PK_GLOBAL ? globals[value->global_].id : G_NONE;
}

/* --- calls: what the allowed globals make of their arguments -------------- */

static const lmb_pk *argument(const lmb_pk *args, size_t i, lmb_pk_kind kind)
{
    if (i >= args->u.list.count || args->u.list.items[i]->kind != kind)
        return NULL;
    return args->u.list.items[i];
}

static lmb_status bad_call(const machine *m, const lmb_pk *callee)
{
    return LMB_FAIL(LMB_EFORMAT,
        "%s: pickle, byte %zu: %s.%s with arguments it does not take", m->name,
        m->at - 1, globals[callee->global_].module,
        globals[callee->global_].name);
}

/* Numbers of a tuple into dims; false if they are not whole numbers >= 0 or
 * too many. */
static bool read_dims(const lmb_pk *tuple, int64_t dim[LMB_MAX_RANK])
{
    if (tuple->u.list.count > LMB_MAX_RANK)
        return false;
    for (size_t i = 0; i < tuple->u.list.count; i++) {
        const lmb_pk *number = tuple->u.list.items[i];
        if (number->kind != LMB_PK_INT || number->u.integer < 0)
            return false;
        dim[i] = number->u.integer;
    }
    return true;
}

/* The last element must lie inside the storage. */
static bool tensor_fits(const lmb_pk_tensor *t)
{
    const int64_t count = lmb_shape_count(&t->shape);
    if (count <= 0)
        return count == 0;
    int64_t last = t->offset;
    for (int i = 0; i < t->shape.rank; i++) {
        int64_t step = 0;
        if (!lmb_mul_i64(t->shape.dim[i] - 1, t->stride[i], &step) ||
            !lmb_add_i64(last, step, &last))
            return false;
    }
    return last < t->storage->count;
}

/* (storage, offset, size, stride, ...) */
static lmb_status make_tensor(
    machine *m, const lmb_pk *callee, const lmb_pk *args, lmb_pk *result)
{
    const lmb_pk *storage = argument(args, 0, LMB_PK_STORAGE);
    const lmb_pk *offset = argument(args, 1, LMB_PK_INT);
    const lmb_pk *size = argument(args, 2, LMB_PK_TUPLE);
    const lmb_pk *stride = argument(args, 3, LMB_PK_TUPLE);
    if (storage == NULL || offset == NULL || size == NULL || stride == NULL ||
        size->u.list.count != stride->u.list.count || offset->u.integer < 0)
        return bad_call(m, callee);
    if (size->u.list.count > LMB_MAX_RANK)
        return LMB_FAIL(LMB_EUNSUPPORTED,
            "%s: a tensor of %zu axes; at most %d are supported", m->name,
            size->u.list.count, LMB_MAX_RANK);
    lmb_pk_tensor *t = NULL;
    LMB_TRY(take(m, sizeof *t, &t));
    t->storage = storage->u.storage;
    t->offset = offset->u.integer;
    t->shape.rank = (int32_t)size->u.list.count;
    if (!read_dims(size, t->shape.dim) || !read_dims(stride, t->stride))
        return bad_call(m, callee);
    if (!tensor_fits(t))
        return LMB_FAIL(LMB_EFORMAT,
            "%s: a tensor of %s at %lld reaches outside its storage of %lld",
            m->name, lmb_shape_text(&t->shape), (long long)t->offset,
            (long long)t->storage->count);
    result->kind = LMB_PK_TENSOR;
    result->u.tensor = t;
    return LMB_OK;
}

/* (), or one list of (key, value) pairs, or a dict */
static lmb_status make_dict(
    machine *m, const lmb_pk *callee, const lmb_pk *args, lmb_pk *result)
{
    result->kind = LMB_PK_DICT;
    result->global_ = callee->global_;
    if (args->u.list.count == 0)
        return LMB_OK;
    const lmb_pk *pairs = args->u.list.items[0];
    if (args->u.list.count > 1 || pairs->kind != LMB_PK_LIST)
        return bad_call(m, callee);
    for (size_t i = 0; i < pairs->u.list.count; i++) {
        const lmb_pk *pair = pairs->u.list.items[i];
        if ((pair->kind != LMB_PK_LIST && pair->kind != LMB_PK_TUPLE) ||
            pair->u.list.count != 2)
            return bad_call(m, callee);
        LMB_TRY(list_add(m, &result->u.list, pair->u.list.items, 2));
    }
    return LMB_OK;
}

/* codecs.encode(text, "latin1"): how protocol 2 spells bytes. */
static lmb_status make_encoded(
    machine *m, const lmb_pk *callee, const lmb_pk *args, lmb_pk *result)
{
    const lmb_pk *text = argument(args, 0, LMB_PK_STR);
    char *out = NULL;
    size_t n = 0;
    if (text == NULL || args->u.list.count != 2 ||
        !lmb_pk_is(args->u.list.items[1], "latin1"))
        return bad_call(m, callee);
    const uint8_t *in = (const uint8_t *)text->u.text.bytes;
    const size_t length = text->u.text.length;
    LMB_TRY(take(m, length, &out));
    for (size_t i = 0; i < length; i++) {
        uint8_t c = in[i];
        if (c >= 0x80) {
            if ((c != 0xc2 && c != 0xc3) || i + 1 == length ||
                (in[i + 1] & 0xc0) != 0x80)
                return bad_call(m, callee);
            c = (uint8_t)(c << 6 | (in[++i] & 0x3f));
        }
        out[n++] = (char)c;
    }
    result->kind = LMB_PK_BYTES;
    result->u.text = (lmb_pk_text){out, n};
    return LMB_OK;
}

/* numpy.dtype("f4", align, copy): its byte order comes with BUILD. */
static lmb_status make_dtype(
    machine *m, const lmb_pk *callee, const lmb_pk *args, lmb_pk *result)
{
    if (args->u.list.count == 0 || !lmb_pk_is_text(args->u.list.items[0]))
        return bad_call(m, callee);
    result->kind = LMB_PK_DTYPE;
    result->u.dtype.code = args->u.list.items[0]->u.text;
    result->u.dtype.order = '=';
    return LMB_OK;
}

static bool numpy_type(const lmb_pk_dtype *dtype, lmb_dtype *out, bool *swapped)
{
    bool unused = false;
    *swapped = dtype->order == '>';
    return dtype->code.length == 2 &&
        lmb_npy_dtype(dtype->code.bytes, 2, out, &unused);
}

/* One element as a Python number. */
static void number_of(const lmb_tensor *t, lmb_pk *result)
{
    const lmb_dtype d = t->dtype;
    if (d == LMB_F16 || d == LMB_F32 || d == LMB_F64) {
        result->kind = LMB_PK_FLOAT;
        result->u.real = lmb_tensor_get(t, 0);
    } else {
        result->kind = d == LMB_BOOL ? LMB_PK_BOOL : LMB_PK_INT;
        result->u.integer = d == LMB_I64 ? *(const int64_t *)t->data
                                         : (int64_t)lmb_tensor_get(t, 0);
    }
}

/* (dtype, bytes): a NumPy number; of other types only the place is kept. */
static lmb_status make_scalar(
    machine *m, const lmb_pk *callee, const lmb_pk *args, lmb_pk *result)
{
    const lmb_pk *type = argument(args, 0, LMB_PK_DTYPE);
    lmb_dtype dtype = LMB_F32;
    bool swapped = false;
    _Alignas(8) uint8_t bytes[8] = {0};
    if (type == NULL || args->u.list.count != 2)
        return bad_call(m, callee);
    const lmb_pk *data = args->u.list.items[1];
    result->kind = LMB_PK_NONE;
    if (!numpy_type(&type->u.dtype, &dtype, &swapped))
        return LMB_OK;
    const size_t size = lmb_dtype_size(dtype);
    if (!lmb_pk_is_text(data) || data->u.text.length != size)
        return bad_call(m, callee);
    memcpy(bytes, data->u.text.bytes, size);
    if (swapped)
        lmb_swap_elements(bytes, 1, size);
    const lmb_tensor t = {.dtype = dtype, .data = bytes};
    number_of(&t, result);
    return LMB_OK;
}

static lmb_status check_array(const machine *m, const lmb_pk_array *a)
{
    lmb_dtype dtype = LMB_F32;
    bool swapped = false;
    int64_t bytes = 0;
    if (!numpy_type(&a->dtype, &dtype, &swapped))
        return LMB_OK; /* can stay unread; never becomes a tensor */
    if (!lmb_mul_i64(lmb_shape_count(&a->shape), (int64_t)lmb_dtype_size(dtype),
            &bytes) ||
        (uint64_t)bytes != a->data.length)
        return LMB_FAIL(LMB_EFORMAT,
            "%s: pickle: a NumPy array of %s %s with %zu bytes", m->name,
            lmb_dtype_name(dtype), lmb_shape_text(&a->shape), a->data.length);
    return LMB_OK;
}

/* Fills an array from (shape, dtype, data). */
static lmb_status set_array(machine *m, lmb_pk_array *a, const lmb_pk *shape,
    const lmb_pk *dtype, const lmb_pk *data)
{
    if (shape == NULL || dtype == NULL || !read_dims(shape, a->shape.dim))
        return bad(m, "a NumPy array with a malformed state");
    a->shape.rank = (int32_t)shape->u.list.count;
    a->dtype = dtype->u.dtype;
    if (lmb_pk_is_text(data))
        a->data = data->u.text;
    a->complete = true;
    return check_array(m, a);
}

static lmb_status make_array(
    machine *m, const lmb_pk *callee, const lmb_pk *args, lmb_pk *result)
{
    lmb_pk_array *a = NULL;
    LMB_TRY(take(m, sizeof *a, &a));
    result->kind = LMB_PK_ARRAY;
    result->u.array = a;
    if (globals[callee->global_].id == G_NUMPY_RECONSTRUCT)
        return LMB_OK; /* BUILD brings the rest */
    if (args->u.list.count != 4)
        return bad_call(m, callee);
    a->fortran = lmb_pk_is(args->u.list.items[3], "F");
    return set_array(m, a, argument(args, 2, LMB_PK_TUPLE),
        argument(args, 1, LMB_PK_DTYPE), args->u.list.items[0]);
}

/* The result is the first argument itself. */
static lmb_status push_first(machine *m, const lmb_pk *args)
{
    lmb_pk *value = NULL;
    if (args->u.list.count > 0)
        return push(m, args->u.list.items[0]);
    return push_new(m, LMB_PK_NONE, &value);
}

static lmb_status call(machine *m, const lmb_pk *callee, const lmb_pk *args)
{
    lmb_pk *result = NULL;
    const global_id id = id_of(callee);
    if (id == G_SEQUENCE || id == G_DEVICE || id == G_PARAMETER)
        return push_first(m, args);
    LMB_TRY(push_new(m, LMB_PK_NONE, &result));
    switch (id) {
    case G_ORDERED_DICT:
    case G_NAMESPACE:
        return make_dict(m, callee, args, result);
    case G_BYTES:
        result->kind = LMB_PK_BYTES;
        result->u.text = (lmb_pk_text){"", 0};
        return args->u.list.count == 0 ? LMB_OK : bad_call(m, callee);
    case G_ENCODE:
        return make_encoded(m, callee, args, result);
    case G_TENSOR:
        return make_tensor(m, callee, args, result);
    case G_NUMPY_RECONSTRUCT:
    case G_NUMPY_FROMBUFFER:
        return make_array(m, callee, args, result);
    case G_NUMPY_DTYPE:
        return make_dtype(m, callee, args, result);
    case G_NUMPY_SCALAR:
        return make_scalar(m, callee, args, result);
    default:
        return bad_call(m, callee);
    }
}

/* REDUCE and NEWOBJ: callee and arguments lie on the stack. */
static lmb_status op_call(machine *m, const op *row)
{
    lmb_pk *callee = NULL;
    lmb_pk *args = NULL;
    (void)row;
    LMB_TRY(pop(m, &args));
    LMB_TRY(pop(m, &callee));
    if (callee->kind != LMB_PK_GLOBAL || args->kind != LMB_PK_TUPLE)
        return bad(m, "calls something that is no global, or with no tuple");
    return call(m, callee, args);
}

/* (version, shape, dtype, is_fortran, data) */
static lmb_status build_array(machine *m, lmb_pk_array *a, const lmb_pk *state)
{
    if (state->kind != LMB_PK_TUPLE || state->u.list.count != 5 ||
        state->u.list.items[0]->kind != LMB_PK_INT)
        return bad(m, "a NumPy array with a malformed state");
    const lmb_pk *fortran = state->u.list.items[3];
    a->fortran =
        (fortran->kind == LMB_PK_BOOL || fortran->kind == LMB_PK_INT) &&
        fortran->u.integer != 0;
    return set_array(m, a, argument(state, 1, LMB_PK_TUPLE),
        argument(state, 2, LMB_PK_DTYPE), state->u.list.items[4]);
}

/* (version, byte order, ...) */
static lmb_status build_dtype(machine *m, lmb_pk_dtype *d, const lmb_pk *state)
{
    if (state->kind != LMB_PK_TUPLE || state->u.list.count < 2 ||
        !lmb_pk_is_text(state->u.list.items[1]) ||
        state->u.list.items[1]->u.text.length != 1)
        return bad(m, "a NumPy dtype with a malformed state");
    d->order = state->u.list.items[1]->u.text.bytes[0];
    return LMB_OK;
}

static lmb_status op_build(machine *m, const op *row)
{
    lmb_pk *state = NULL;
    (void)row;
    LMB_TRY(pop(m, &state));
    LMB_TRY(need(m, 1));
    lmb_pk *object = m->stack[m->count - 1];
    if (object->kind == LMB_PK_ARRAY)
        return build_array(m, object->u.array, state);
    if (object->kind == LMB_PK_DTYPE)
        return build_dtype(m, &object->u.dtype, state);
    if (object->kind != LMB_PK_DICT || state->kind != LMB_PK_DICT)
        return bad(m, "sets the state of something that has none");
    /* Attributes of an OrderedDict (torch's _metadata) mean nothing here;
     * those of a Namespace are its content. */
    if (globals[object->global_].id == G_NAMESPACE && object != state)
        return list_add(
            m, &object->u.list, state->u.list.items, state->u.list.count);
    return LMB_OK;
}

/* ("storage", type, key, location, count[, view]) */
static lmb_status op_persistent(machine *m, const op *row)
{
    lmb_pk *id = NULL;
    lmb_pk *value = NULL;
    lmb_pk_storage *s = NULL;
    (void)row;
    LMB_TRY(pop(m, &id));
    if (id->kind != LMB_PK_TUPLE || id->u.list.count < 5 ||
        !lmb_pk_is(id->u.list.items[0], "storage"))
        return bad(m, "a persistent object that is no tensor's storage");
    lmb_pk **item = id->u.list.items;
    if (id_of(item[1]) != G_STORAGE || !lmb_pk_is_text(item[2]) ||
        item[4]->kind != LMB_PK_INT || item[4]->u.integer < 0)
        return bad(m, "a malformed storage");
    if (id->u.list.count > 5 && item[5]->kind != LMB_PK_NONE)
        return LMB_FAIL(LMB_EUNSUPPORTED,
            "%s: a storage that is a view of another (torch before 0.4)",
            m->name);
    LMB_TRY(take(m, sizeof *s, &s));
    s->dtype = globals[item[1]->global_].dtype;
    s->key = item[2]->u.text;
    s->count = item[4]->u.integer;
    LMB_TRY(LMB_GROW(
        m->out->storages, m->out->storage_count, m->out->storage_capacity_));
    m->out->storages[m->out->storage_count++] = s;
    LMB_TRY(push_new(m, LMB_PK_STORAGE, &value));
    value->u.storage = s;
    return LMB_OK;
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

static lmb_status run(machine *m)
{
    while (!m->stopped) {
        if (left(m) == 0)
            return LMB_FAIL(
                LMB_EFORMAT, "%s: pickle ends without a STOP", m->name);
        m->opcode = m->bytes[m->at++];
        const op *row = &ops[m->opcode];
        if (row->run == NULL)
            return bad(m, "not an opcode of data");
        LMB_TRY(row->run(m, row));
    }
    return LMB_OK;
}

lmb_status lmb_pickle_parse(
    const void *bytes, size_t size, const char *name, lmb_pickle **out)
{
    machine m = {.name = name, .bytes = bytes, .size = size};
    lmb_status st = LMB_OK;
    LMB_GOTO(LMB_NEW(m.out, 1), st, done);
    LMB_GOTO(lmb_arena_new(&m.out->arena_), st, done);
    LMB_GOTO(run(&m), st, done);
    m.out->used = m.at;
    *out = m.out;
    m.out = NULL;
done:
    lmb_free(m.stack);
    lmb_free(m.marks);
    lmb_free(m.memo);
    lmb_pickle_free(m.out);
    return st;
}

void lmb_pickle_free(lmb_pickle *pickle)
{
    if (pickle == NULL)
        return;
    lmb_free(pickle->storages);
    lmb_arena_free(pickle->arena_);
    lmb_free(pickle);
}

/* --- reading the tree ----------------------------------------------------- */

bool lmb_pk_is_text(const lmb_pk *value)
{
    return value->kind == LMB_PK_STR || value->kind == LMB_PK_BYTES;
}

bool lmb_pk_is(const lmb_pk *value, const char *text)
{
    return lmb_pk_is_text(value) && text_is(value->u.text, text);
}

const lmb_pk *lmb_pk_get(const lmb_pk *dict, const char *key)
{
    if (dict->kind != LMB_PK_DICT)
        return NULL;
    for (size_t i = dict->u.list.count; i >= 2; i -= 2)
        if (lmb_pk_is(dict->u.list.items[i - 2], key))
            return dict->u.list.items[i - 1];
    return NULL;
}

lmb_status lmb_pk_array_tensor(
    const lmb_pk *value, const char *name, lmb_tensor **out)
{
    lmb_dtype dtype = LMB_F32;
    bool swapped = false;
    int64_t stride[LMB_MAX_RANK] = {0};
    lmb_tensor *t = NULL;
    if (value->kind != LMB_PK_ARRAY || !value->u.array->complete)
        return LMB_FAIL(LMB_EFORMAT, "%s: not a NumPy array", name);
    const lmb_pk_array *a = value->u.array;
    if (!numpy_type(&a->dtype, &dtype, &swapped))
        return LMB_FAIL(LMB_EUNSUPPORTED,
            "%s: a NumPy array of type '%.*s' is not read", name,
            shown(a->dtype.code.length), a->dtype.code.bytes);
    LMB_TRY(lmb_tensor_new(dtype, &a->shape, &t));
    lmb_shape_strides(&a->shape, stride);
    for (int i = 0; a->fortran && i < a->shape.rank; i++)
        stride[i] = i == 0 ? 1 : stride[i - 1] * a->shape.dim[i - 1];
    const int64_t count = lmb_tensor_count(t);
    if (count > 0)
        lmb_gather_raw(
            t->data, a->data.bytes, lmb_dtype_size(dtype), &a->shape, stride);
    if (swapped)
        lmb_swap_elements(t->data, count, lmb_dtype_size(dtype));
    lmb_normalize_bools(t);
    *out = t;
    return LMB_OK;
}
