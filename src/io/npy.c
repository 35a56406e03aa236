/* npy.c: NumPy's .npy files.
 *
 *   "\x93NUMPY" major minor header_length header data
 * header_length is 2 bytes little-endian in version 1.0 and 4 bytes later;
 * the header is a Python literal of exactly three keys:
 *   {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
 * padded with spaces and ended with a newline so that data starts at a
 * multiple of 64. Source: numpy/lib/format.py. */
#include "io/npy.h"

#include "base/file.h"
#include "base/str.h"
#include "io/raw.h"
#include "tensor/shape.h"

#include <string.h>

enum { MAGIC_SIZE = 6, PREFIX_V1 = 10, PREFIX_V2 = 12, NPY_ALIGN = 64 };
enum { HEADER_MAX = 1 << 20 };
static const char npy_magic[] = "\x93NUMPY";

static const struct {
    const char *code;
    lmb_dtype dtype;
} codes[] = {
    {"f4", LMB_F32},
    {"f8", LMB_F64},
    {"f2", LMB_F16},
    {"i1", LMB_I8},
    {"u1", LMB_U8},
    {"i2", LMB_I16},
    {"i4", LMB_I32},
    {"i8", LMB_I64},
    {"b1", LMB_BOOL},
};

typedef struct npy_header {
    lmb_dtype dtype;
    bool swapped, fortran;
    lmb_shape shape;
    bool has_descr, has_order, has_shape;
} npy_header;

/* What is left of the header text. */
typedef struct scanner {
    const char *at, *end;
    const char *name;
} scanner;

bool lmb_npy_dtype(
    const char *descr, size_t length, lmb_dtype *out, bool *swapped)
{
    *swapped = false;
    if (length == 3) {
        if (strchr("<>|=", descr[0]) == NULL || descr[0] == '\0')
            return false;
        *swapped = descr[0] == '>';
        descr++;
        length--;
    }
    for (size_t i = 0; length == 2 && i < LMB_COUNT(codes); i++)
        if (memcmp(descr, codes[i].code, 2) == 0) {
            *out = codes[i].dtype;
            return true;
        }
    return false;
}

static void skip_space(scanner *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n'))
        s->at++;
}

static bool accept(scanner *s, char c)
{
    skip_space(s);
    if (s->at >= s->end || *s->at != c)
        return false;
    s->at++;
    return true;
}

static bool accept_word(scanner *s, const char *word)
{
    const size_t n = strlen(word);
    if ((size_t)(s->end - s->at) < n || memcmp(s->at, word, n) != 0)
        return false;
    s->at += n;
    return true;
}

static lmb_status expect(scanner *s, char c)
{
    if (!accept(s, c))
        return LMB_FAIL(
            LMB_EFORMAT, "%s: .npy header: '%c' expected", s->name, c);
    return LMB_OK;
}

/* A quoted text without escapes. */
static lmb_status scan_text(scanner *s, const char **text, size_t *length)
{
    char quote = '\'';
    if (!accept(s, quote)) {
        quote = '"';
        LMB_TRY(expect(s, quote));
    }
    const char *start = s->at;
    while (s->at < s->end && *s->at != quote && *s->at != '\\')
        s->at++;
    *text = start;
    *length = (size_t)(s->at - start);
    return expect(s, quote);
}

static lmb_status scan_descr(scanner *s, npy_header *h)
{
    if (accept(s, '['))
        return LMB_FAIL(LMB_EUNSUPPORTED,
            "%s: .npy of a structured type; plain numbers are read", s->name);
    const char *text = NULL;
    size_t length = 0;
    LMB_TRY(scan_text(s, &text, &length));
    if (!lmb_npy_dtype(text, length, &h->dtype, &h->swapped))
        return LMB_FAIL(LMB_EUNSUPPORTED,
            "%s: .npy of type '%.*s'; f2 f4 f8 i1 u1 i2 i4 i8 b1 are read",
            s->name, (int)(length < 40 ? length : 40), text);
    h->has_descr = true;
    return LMB_OK;
}

static lmb_status scan_dim(scanner *s, int64_t *out)
{
    int64_t value = 0;
    const char *start = s->at;
    while (s->at < s->end && *s->at >= '0' && *s->at <= '9') {
        if (!lmb_mul_i64(value, 10, &value) ||
            !lmb_add_i64(value, *s->at - '0', &value))
            return LMB_FAIL(
                LMB_EFORMAT, "%s: .npy dimension is too large", s->name);
        s->at++;
    }
    if (s->at == start)
        return LMB_FAIL(LMB_EFORMAT,
            "%s: .npy shape holds something other than whole numbers >= 0",
            s->name);
    (void)accept_word(s, "L"); /* Python 2 wrote long integers so */
    *out = value;
    return LMB_OK;
}

static lmb_status scan_shape(scanner *s, npy_header *h)
{
    LMB_TRY(expect(s, '('));
    h->shape = LMB_SCALAR;
    while (!accept(s, ')')) {
        int64_t dim = 0;
        LMB_TRY(scan_dim(s, &dim));
        if (h->shape.rank == LMB_MAX_RANK)
            return LMB_FAIL(LMB_EUNSUPPORTED, "%s: .npy of more than %d axes",
                s->name, LMB_MAX_RANK);
        h->shape.dim[h->shape.rank++] = dim;
        if (!accept(s, ',')) {
            LMB_TRY(expect(s, ')'));
            break;
        }
    }
    h->has_shape = true;
    return LMB_OK;
}

static lmb_status scan_order(scanner *s, npy_header *h)
{
    skip_space(s);
    h->fortran = accept_word(s, "True");
    if (!h->fortran && !accept_word(s, "False"))
        return LMB_FAIL(LMB_EFORMAT,
            "%s: .npy fortran_order is neither True nor False", s->name);
    h->has_order = true;
    return LMB_OK;
}

static bool key_is(const char *text, size_t length, const char *key)
{
    return length == strlen(key) && memcmp(text, key, length) == 0;
}

static lmb_status scan_header(scanner *s, npy_header *h)
{
    LMB_TRY(expect(s, '{'));
    while (!accept(s, '}')) {
        const char *key = NULL;
        size_t length = 0;
        LMB_TRY(scan_text(s, &key, &length));
        LMB_TRY(expect(s, ':'));
        if (key_is(key, length, "descr"))
            LMB_TRY(scan_descr(s, h));
        else if (key_is(key, length, "shape"))
            LMB_TRY(scan_shape(s, h));
        else if (key_is(key, length, "fortran_order"))
            LMB_TRY(scan_order(s, h));
        else
            return LMB_FAIL(LMB_EFORMAT, "%s: .npy header: unknown key '%.*s'",
                s->name, (int)(length < 40 ? length : 40), key);
        if (!accept(s, ',')) {
            LMB_TRY(expect(s, '}'));
            break;
        }
    }
    if (!h->has_descr || !h->has_shape || !h->has_order)
        return LMB_FAIL(LMB_EFORMAT,
            "%s: .npy header lacks descr, fortran_order or shape", s->name);
    return LMB_OK;
}

/* Finds the header's text and where the data starts. */
static lmb_status split_file(const uint8_t *bytes, size_t size,
    const char *name, scanner *header, size_t *data_at)
{
    if (size < PREFIX_V1 || memcmp(bytes, npy_magic, MAGIC_SIZE) != 0)
        return LMB_FAIL(LMB_EFORMAT, "%s: not a .npy file", name);
    const int major = bytes[6];
    if (major < 1 || major > 3)
        return LMB_FAIL(LMB_EUNSUPPORTED,
            "%s: .npy version %d; 1, 2 and 3 are read", name, major);
    const size_t prefix = major == 1 ? PREFIX_V1 : PREFIX_V2;
    if (size < prefix)
        return LMB_FAIL(LMB_EFORMAT, "%s: .npy file ends in its header", name);
    const size_t length =
        major == 1 ? lmb_le16(bytes + 8) : lmb_le32(bytes + 8);
    if (length > size - prefix || length > HEADER_MAX)
        return LMB_FAIL(LMB_EFORMAT,
            "%s: .npy header of %zu bytes in a file of %zu", name, length,
            size);
    header->name = name;
    header->at = (const char *)bytes + prefix;
    header->end = header->at + length;
    *data_at = prefix + length;
    return LMB_OK;
}

/* Copies the elements into a tensor already of the right size. */
static void fill(lmb_tensor *t, const npy_header *h, const uint8_t *data)
{
    const size_t size = lmb_dtype_size(h->dtype);
    const int64_t count = lmb_tensor_count(t);
    int64_t stride[LMB_MAX_RANK] = {0};
    if (h->fortran) {
        int64_t s = 1;
        for (int i = 0; i < h->shape.rank; i++) {
            stride[i] = s;
            s *= h->shape.dim[i];
        }
    } else {
        lmb_shape_strides(&h->shape, stride);
    }
    if (count > 0)
        lmb_gather_raw(t->data, data, size, &h->shape, stride);
    if (h->swapped)
        lmb_swap_elements(t->data, count, size);
    lmb_normalize_bools(t);
}

lmb_status lmb_npy_parse(
    const void *bytes, size_t size, const char *name, lmb_tensor **out)
{
    scanner s = {0};
    npy_header h = {0};
    size_t data_at = 0;
    LMB_TRY(split_file(bytes, size, name, &s, &data_at));
    LMB_TRY(scan_header(&s, &h));
    int64_t need = lmb_shape_count(&h.shape);
    if (need < 0 ||
        !lmb_mul_i64(need, (int64_t)lmb_dtype_size(h.dtype), &need) ||
        (uint64_t)need != size - data_at)
        return LMB_FAIL(LMB_EFORMAT, "%s: .npy of %s %s with %zu bytes of data",
            name, lmb_dtype_name(h.dtype), lmb_shape_text(&h.shape),
            size - data_at);
    lmb_tensor *t = NULL;
    LMB_TRY(lmb_tensor_new(h.dtype, &h.shape, &t));
    fill(t, &h, (const uint8_t *)bytes + data_at);
    *out = t;
    return LMB_OK;
}

lmb_status lmb_npy_load(const char *path, lmb_tensor **out)
{
    lmb_file file = {0};
    LMB_TRY(lmb_file_open(path, &file));
    const lmb_status st = lmb_npy_parse(file.bytes, file.size, path, out);
    lmb_file_close(&file);
    return st;
}

static const char *code_of(lmb_dtype dtype)
{
    for (size_t i = 0; i < LMB_COUNT(codes); i++)
        if (codes[i].dtype == dtype)
            return codes[i].code;
    return NULL;
}

/* The whole file up to the data. */
static void print_header(const lmb_tensor *t, const char *code, lmb_str *out)
{
    lmb_str_printf(out, "{'descr': '%c%s', 'fortran_order': False, 'shape': (",
        lmb_dtype_size(t->dtype) == 1 ? '|' : '<', code);
    for (int i = 0; i < t->shape.rank; i++)
        lmb_str_printf(out, "%s%lld%s", i > 0 ? " " : "",
            (long long)t->shape.dim[i],
            i + 1 < t->shape.rank || t->shape.rank == 1 ? "," : "");
    lmb_str_add(out, "), }");
    while ((PREFIX_V1 + out->length + 1) % NPY_ALIGN != 0 && !out->failed)
        lmb_str_add(out, " ");
    lmb_str_add(out, "\n");
}

lmb_status lmb_npy_save(const char *path, const lmb_tensor *tensor)
{
    const char *code = code_of(tensor->dtype);
    if (code == NULL)
        return LMB_FAIL(LMB_EUNSUPPORTED, "%s: NumPy has no type for %s", path,
            lmb_dtype_name(tensor->dtype));
    lmb_str header = {0};
    lmb_writer w = {0};
    lmb_status st = LMB_OK;
    uint8_t prefix[PREFIX_V1] = {0};
    print_header(tensor, code, &header);
    LMB_GOTO(lmb_str_status(&header), st, done);
    memcpy(prefix, npy_magic, MAGIC_SIZE);
    prefix[6] = 1;
    lmb_put_le16(prefix + 8, (uint16_t)header.length);
    LMB_GOTO(lmb_writer_open(path, &w), st, done);
    LMB_GOTO(lmb_writer_write(&w, prefix, sizeof prefix), st, done);
    LMB_GOTO(lmb_writer_write(&w, header.text, header.length), st, done);
    LMB_GOTO(
        lmb_writer_write(&w, tensor->data,
            (size_t)lmb_tensor_count(tensor) * lmb_dtype_size(tensor->dtype)),
        st, done);
    LMB_GOTO(lmb_writer_commit(&w), st, done);
done:
    lmb_writer_abort(&w);
    lmb_str_fini(&header);
    return st;
}
