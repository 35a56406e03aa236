/* event.c: TensorBoard's event files: protocol buffers in checked records.
 *
 *   u64 length, u32 mask(crc32c(length)), data, u32 mask(crc32c(data))
 *   mask(c) = (c >> 15 | c << 17) + 0xa282ead8
 * data is an Event {1: double wall_time, 2: int64 step, 3: file_version or
 * 5: Summary {1: Value {1: tag, 2: float simple_value or 4: Image {1: height,
 * 2: width, 3: colorspace, 4: encoded bytes}}}}. The first record is the
 * version "brain.Event:2". Sources: tensorflow/core/util/event.proto,
 * framework/summary.proto, lib/io/record_writer.cc. */
#include "io/event.h"

#include "base/file.h"
#include "base/str.h"
#include "io/digest.h"
#include "io/raw.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { HEAD = 12, TAIL = 4, RGB = 3 };
static const char version_text[] = "brain.Event:2";

struct lmb_event {
    FILE *stream;
    char *path;
};

/* --- protocol buffers */

enum { WIRE_VARINT, WIRE_64, WIRE_BYTES, WIRE_32 = 5 };

static void put_varint(lmb_str *out, uint64_t value)
{
    uint8_t bytes[10];
    size_t n = 0;
    for (; value >= 0x80; value >>= 7)
        bytes[n++] = (uint8_t)(value | 0x80);
    bytes[n++] = (uint8_t)value;
    lmb_str_add_bytes(out, bytes, n);
}

static void put_key(lmb_str *out, unsigned field, unsigned wire)
{
    put_varint(out, field << 3 | wire);
}

static void put_number(lmb_str *out, unsigned field, uint64_t value)
{
    put_key(out, field, WIRE_VARINT);
    put_varint(out, value);
}

static void put_double(lmb_str *out, unsigned field, double value)
{
    put_key(out, field, WIRE_64);
    lmb_str_add_bytes(out, &value, sizeof value);
}

static void put_float(lmb_str *out, unsigned field, float value)
{
    put_key(out, field, WIRE_32);
    lmb_str_add_bytes(out, &value, sizeof value);
}

static void put_bytes(
    lmb_str *out, unsigned field, const void *bytes, size_t size)
{
    put_key(out, field, WIRE_BYTES);
    put_varint(out, size);
    lmb_str_add_bytes(out, bytes, size);
}

/* One field of a message. */
typedef struct field {
    unsigned number, wire;
    uint64_t value; /* a number, or the length of the bytes */
    const uint8_t *bytes;
} field;

/* What is left of a message. */
typedef struct message {
    const uint8_t *at, *end;
} message;

static bool get_varint(message *m, uint64_t *out)
{
    *out = 0;
    for (unsigned shift = 0; shift < 64 && m->at < m->end; shift += 7) {
        const uint8_t byte = *m->at++;
        *out |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0)
            return true;
    }
    return false;
}

/* false at the end of the message, and where it is malformed. */
static bool next_field(message *m, field *out)
{
    uint64_t key = 0;
    *out = (field){0};
    if (!get_varint(m, &key) || key >> 3 > UINT32_MAX)
        return false;
    out->number = (unsigned)(key >> 3);
    out->wire = (unsigned)(key & 7);
    if (out->wire == WIRE_VARINT)
        return get_varint(m, &out->value);
    if (out->wire == WIRE_BYTES && !get_varint(m, &out->value))
        return false;
    if (out->wire == WIRE_64)
        out->value = 8;
    else if (out->wire == WIRE_32)
        out->value = 4;
    else if (out->wire != WIRE_BYTES)
        return false;
    if (out->value > (uint64_t)(m->end - m->at))
        return false;
    out->bytes = m->at;
    m->at += out->value;
    return true;
}

static message inside(const field *f)
{
    return (message){f->bytes, f->bytes + f->value};
}

/* --- records */

static uint32_t masked_crc(const void *bytes, size_t size)
{
    const uint32_t crc = lmb_crc32c(0, bytes, size);
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

/* The record at the front of `left` bytes; false if it is not whole and
 * sound. */
static bool sound_record(
    const uint8_t *p, size_t left, message *data, size_t *size)
{
    if (left < HEAD + TAIL || masked_crc(p, 8) != lmb_le32(p + 8))
        return false;
    const uint64_t length = lmb_le64(p);
    if (length > left - HEAD - TAIL)
        return false;
    data->at = p + HEAD;
    data->end = data->at + length;
    *size = HEAD + (size_t)length + TAIL;
    return masked_crc(data->at, (size_t)length) == lmb_le32(data->end);
}

static bool is_version(message data)
{
    field f;
    while (next_field(&data, &f))
        if (f.number == 3 && f.wire == WIRE_BYTES &&
            f.value == sizeof version_text - 1 &&
            memcmp(f.bytes, version_text, sizeof version_text - 1) == 0)
            return true;
    return false;
}

static int64_t step_of(message data)
{
    field f;
    while (next_field(&data, &f))
        if (f.number == 2 && f.wire == WIRE_VARINT)
            return (int64_t)f.value;
    return 0;
}

static lmb_status check_is_event_file(const char *path, const lmb_file *file)
{
    message data;
    size_t size = 0;
    if (!sound_record(file->bytes, file->size, &data, &size) ||
        !is_version(data))
        return LMB_FAIL(LMB_EFORMAT, "%s: not an event file", path);
    return LMB_OK;
}

static lmb_status write_record(lmb_event *e, const lmb_str *data)
{
    uint8_t head[HEAD];
    uint8_t tail[TAIL];
    LMB_TRY(lmb_str_status(data));
    lmb_put_le64(head, data->length);
    lmb_put_le32(head + 8, masked_crc(head, 8));
    lmb_put_le32(tail, masked_crc(data->text, data->length));
    if (fwrite(head, 1, HEAD, e->stream) != HEAD ||
        fwrite(data->text, 1, data->length, e->stream) != data->length ||
        fwrite(tail, 1, TAIL, e->stream) != TAIL)
        return LMB_FAIL(LMB_EIO, "%s: %s", e->path, strerror(errno));
    return LMB_OK;
}

/* --- writing */

static lmb_status write_version(lmb_event *e, double wall_time)
{
    lmb_str event = {0};
    put_double(&event, 1, wall_time);
    put_bytes(&event, 3, version_text, sizeof version_text - 1);
    const lmb_status st = write_record(e, &event);
    lmb_str_fini(&event);
    return st;
}

/* An Event around one Value. */
static lmb_status write_value(
    lmb_event *e, int64_t step, double wall_time, const lmb_str *value)
{
    lmb_str event = {0};
    lmb_str summary = {0};
    lmb_status st = LMB_OK;
    if (step < 0)
        return LMB_FAIL(
            LMB_EINVAL, "%s: step %lld is negative", e->path, (long long)step);
    LMB_TRY(lmb_str_status(value));
    put_bytes(&summary, 1, value->text, value->length);
    LMB_GOTO(lmb_str_status(&summary), st, done);
    put_double(&event, 1, wall_time);
    put_number(&event, 2, (uint64_t)step);
    put_bytes(&event, 5, summary.text, summary.length);
    st = write_record(e, &event);
done:
    lmb_str_fini(&summary);
    lmb_str_fini(&event);
    return st;
}

lmb_status lmb_event_scalar(
    lmb_event *e, int64_t step, double wall_time, const char *tag, double value)
{
    lmb_str text = {0};
    put_bytes(&text, 1, tag, strlen(tag));
    put_float(&text, 2, (float)value);
    const lmb_status st = write_value(e, step, wall_time, &text);
    lmb_str_fini(&text);
    return st;
}

lmb_status lmb_event_png(lmb_event *e, int64_t step, double wall_time,
    const char *tag, int width, int height, const void *png, size_t size)
{
    lmb_str text = {0};
    lmb_str image = {0};
    lmb_status st = LMB_OK;
    put_number(&image, 1, (uint64_t)height);
    put_number(&image, 2, (uint64_t)width);
    put_number(&image, 3, RGB);
    put_bytes(&image, 4, png, size);
    LMB_GOTO(lmb_str_status(&image), st, done);
    put_bytes(&text, 1, tag, strlen(tag));
    put_bytes(&text, 4, image.text, image.length);
    st = write_value(e, step, wall_time, &text);
done:
    lmb_str_fini(&image);
    lmb_str_fini(&text);
    return st;
}

/* --- files */

/* Rewrites the file with its sound records of steps <= `step` only. */
static lmb_status keep_until(
    const char *path, const lmb_file *file, int64_t step)
{
    lmb_str kept = {0};
    size_t at = 0;
    size_t size = 0;
    message data;
    lmb_status st = check_is_event_file(path, file);
    if (st != LMB_OK)
        return st;
    for (; sound_record(file->bytes + at, file->size - at, &data, &size);
         at += size)
        if (step_of(data) <= step)
            lmb_str_add_bytes(&kept, file->bytes + at, size);
    st = lmb_str_status(&kept);
    if (st == LMB_OK && kept.length != file->size)
        st = lmb_file_write(path, kept.text, kept.length);
    lmb_str_fini(&kept);
    return st;
}

lmb_status lmb_event_truncate(const char *path, int64_t step)
{
    lmb_file file = {0};
    if (!lmb_path_exists(path))
        return LMB_OK;
    LMB_TRY(lmb_file_open(path, &file));
    const lmb_status st =
        file.size == 0 ? LMB_OK : keep_until(path, &file, step);
    lmb_file_close(&file);
    return st;
}

lmb_status lmb_event_open(const char *path, double wall_time, lmb_event **out)
{
    lmb_event *e = NULL;
    lmb_status st = LMB_OK;
    lmb_file before = {0};
    LMB_TRY(lmb_event_truncate(path, INT64_MAX));
    if (lmb_path_exists(path))
        LMB_TRY(lmb_file_open(path, &before));
    const bool is_new = before.size == 0;
    lmb_file_close(&before);
    LMB_TRY(LMB_NEW(e, 1));
    e->path = lmb_strdup(path);
    if (e->path == NULL)
        LMB_GOTO(LMB_FAIL(LMB_ENOMEM, "out of memory: event file"), st, failed);
    e->stream = fopen(path, "ab");
    if (e->stream == NULL)
        LMB_GOTO(
            LMB_FAIL(LMB_EIO, "%s: %s", path, strerror(errno)), st, failed);
    if (is_new)
        LMB_GOTO(write_version(e, wall_time), st, failed);
    LMB_GOTO(lmb_event_flush(e), st, failed);
    *out = e;
    return LMB_OK;
failed:
    if (e->stream != NULL)
        (void)fclose(e->stream);
    lmb_free(e->path);
    lmb_free(e);
    return st;
}

lmb_status lmb_event_flush(lmb_event *e)
{
    if (fflush(e->stream) != 0)
        return LMB_FAIL(LMB_EIO, "%s: %s", e->path, strerror(errno));
    return LMB_OK;
}

lmb_status lmb_event_close(lmb_event *e)
{
    if (e == NULL)
        return LMB_OK;
    lmb_status st = lmb_event_flush(e);
    if (st == LMB_OK && fsync(fileno(e->stream)) != 0)
        st = LMB_FAIL(LMB_EIO, "%s: %s", e->path, strerror(errno));
    if (fclose(e->stream) != 0 && st == LMB_OK)
        st = LMB_FAIL(LMB_EIO, "%s: %s", e->path, strerror(errno));
    lmb_free(e->path);
    lmb_free(e);
    return st;
}

/* --- reading */

enum { TAG_MAX = 1024 };

typedef struct scalar {
    char tag[TAG_MAX];
    float value;
    bool found;
} scalar;

static void read_value(message m, scalar *out)
{
    field f;
    while (next_field(&m, &f)) {
        if (f.number == 1 && f.wire == WIRE_BYTES && f.value < TAG_MAX) {
            memcpy(out->tag, f.bytes, (size_t)f.value);
            out->tag[f.value] = '\0';
        } else if (f.number == 2 && f.wire == WIRE_32) {
            memcpy(&out->value, f.bytes, sizeof out->value);
            out->found = true;
        }
    }
}

static void read_event(message m, lmb_event_row *row, void *user)
{
    const int64_t step = step_of(m);
    double wall_time = 0;
    field f;
    field v;
    while (next_field(&m, &f)) {
        if (f.number == 1 && f.wire == WIRE_64)
            memcpy(&wall_time, f.bytes, sizeof wall_time);
        if (f.number != 5 || f.wire != WIRE_BYTES)
            continue;
        message summary = inside(&f);
        while (next_field(&summary, &v)) {
            scalar s = {.found = false};
            if (v.number == 1 && v.wire == WIRE_BYTES)
                read_value(inside(&v), &s);
            if (s.found)
                row(user, step, wall_time, s.tag, (double)s.value);
        }
    }
}

lmb_status lmb_event_scalars(const char *path, lmb_event_row *row, void *user)
{
    lmb_file file = {0};
    size_t at = 0;
    size_t size = 0;
    message data;
    LMB_TRY(lmb_file_open(path, &file));
    const lmb_status st = check_is_event_file(path, &file);
    for (; st == LMB_OK &&
         sound_record(file.bytes + at, file.size - at, &data, &size);
         at += size)
        read_event(data, row, user);
    lmb_file_close(&file);
    return st;
}
