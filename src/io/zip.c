/* zip.c: the part of the zip format that torch files use.
 *
 * Read from the end: end record (with its zip64 twin), central directory,
 * then each entry's local header, from which only the data's place is taken.
 * Methods: stored and deflated. Source: PKWARE's APPNOTE.TXT 6.3. */
#include "io/zip.h"

#include "base/file.h"
#include "io/raw.h"

#include <zlib.h>

#include <stdlib.h>
#include <string.h>

enum {
    LOCAL_SIZE = 30,
    CENTRAL_SIZE = 46,
    END_SIZE = 22,
    LOCATOR_SIZE = 20,
    END64_SIZE = 56,
    COMMENT_MAX = 65535,
    NAME_SHOWN = 80,
    MEMBER_ALIGN = 64,
    DEFLATE_RATIO = 1032, /* the most that deflate can reach */
};
/* All inflated entries may take this, and 16 times the file on top. */
static const size_t inflated_floor = (size_t)256 << 20;

static lmb_status bad(const lmb_zip *zip, const char *rule)
{
    return LMB_FAIL(LMB_EFORMAT, "%s: zip: %s", zip->name_, rule);
}

static lmb_status bad_entry(
    const lmb_zip *zip, const lmb_zip_entry *e, const char *rule)
{
    const size_t n = e->name_length < NAME_SHOWN ? e->name_length : NAME_SHOWN;
    return LMB_FAIL(LMB_EFORMAT, "%s: zip entry '%.*s': %s", zip->name_, (int)n,
        e->name, rule);
}

static bool has_mark(const uint8_t *p, const char *mark)
{
    return memcmp(p, mark, 4) == 0;
}

/* The directory's place and count, from the end record or its twin. */
static lmb_status find_directory(
    const lmb_zip *zip, uint64_t *count, uint64_t *size, uint64_t *offset)
{
    const uint8_t *bytes = zip->bytes_;
    if (zip->size_ < END_SIZE)
        return bad(zip, "the file is too short");
    size_t at = zip->size_ - END_SIZE;
    const size_t least = at > COMMENT_MAX ? at - COMMENT_MAX : 0;
    while (!has_mark(bytes + at, "PK\5\6") ||
        lmb_le16(bytes + at + 20) != zip->size_ - at - END_SIZE) {
        if (at == least)
            return bad(zip, "no end record; is the file cut off?");
        at--;
    }
    *count = lmb_le16(bytes + at + 10);
    *size = lmb_le32(bytes + at + 12);
    *offset = lmb_le32(bytes + at + 16);
    if (at < LOCATOR_SIZE || !has_mark(bytes + at - LOCATOR_SIZE, "PK\6\7"))
        return LMB_OK;
    const uint64_t twin = lmb_le64(bytes + at - LOCATOR_SIZE + 8);
    if (twin > zip->size_ || zip->size_ - twin < END64_SIZE ||
        !has_mark(bytes + twin, "PK\6\6"))
        return bad(zip, "the zip64 end record is not where it should be");
    *count = lmb_le64(bytes + twin + 32);
    *size = lmb_le64(bytes + twin + 40);
    *offset = lmb_le64(bytes + twin + 48);
    return LMB_OK;
}

/* Fields that read 0xffffffff stand in the zip64 extra field, in this order. */
static lmb_status read_extra(
    const lmb_zip *zip, lmb_zip_entry *e, const uint8_t *extra, size_t length)
{
    size_t *const fields[] = {&e->size, &e->packed_, &e->header_};
    while (length >= 4) {
        const size_t size = lmb_le16(extra + 2);
        if (size > length - 4)
            return bad_entry(zip, e, "malformed extra field");
        if (lmb_le16(extra) == 1) {
            size_t used = 0;
            for (size_t i = 0; i < LMB_COUNT(fields); i++) {
                if (*fields[i] != UINT32_MAX)
                    continue;
                if (used + 8 > size)
                    return bad_entry(zip, e, "zip64 field is too short");
                *fields[i] = lmb_le64(extra + 4 + used);
                used += 8;
            }
            return LMB_OK;
        }
        extra += 4 + size;
        length -= 4 + size;
    }
    return LMB_OK;
}

/* Reads the directory record at p; *used is its length. */
static lmb_status read_record(const lmb_zip *zip, const uint8_t *p, size_t left,
    lmb_zip_entry *e, size_t *used)
{
    if (left < CENTRAL_SIZE || !has_mark(p, "PK\1\2"))
        return bad(zip, "malformed directory");
    const size_t name = lmb_le16(p + 28);
    const size_t extra = lmb_le16(p + 30);
    const size_t comment = lmb_le16(p + 32);
    *used = CENTRAL_SIZE + name + extra + comment;
    if (*used > left)
        return bad(zip, "the directory ends early");
    e->name = (const char *)p + CENTRAL_SIZE;
    e->name_length = name;
    e->flags_ = lmb_le16(p + 8);
    e->method_ = lmb_le16(p + 10);
    e->crc_ = lmb_le32(p + 16);
    e->packed_ = lmb_le32(p + 20);
    e->size = lmb_le32(p + 24);
    e->header_ = lmb_le32(p + 42);
    return read_extra(zip, e, p + CENTRAL_SIZE + name, extra);
}

static int by_header(const void *a, const void *b)
{
    const size_t x = ((const lmb_zip_entry *)a)->header_;
    const size_t y = ((const lmb_zip_entry *)b)->header_;
    return (x > y) - (x < y);
}

static int by_name(const void *a, const void *b)
{
    const lmb_zip_entry *x = a;
    const lmb_zip_entry *y = b;
    const size_t n =
        x->name_length < y->name_length ? x->name_length : y->name_length;
    const int order = n > 0 ? memcmp(x->name, y->name, n) : 0;
    if (order != 0)
        return order;
    return (x->name_length > y->name_length) -
        (x->name_length < y->name_length);
}

/* Where the entry's data starts; its local header must be sound. */
static lmb_status data_place(
    const lmb_zip *zip, const lmb_zip_entry *e, size_t *out)
{
    const uint8_t *p = zip->bytes_ + e->header_;
    if (e->header_ > zip->size_ || zip->size_ - e->header_ < LOCAL_SIZE ||
        !has_mark(p, "PK\3\4"))
        return bad_entry(zip, e, "its header is not where it should be");
    const size_t before =
        LOCAL_SIZE + (size_t)lmb_le16(p + 26) + lmb_le16(p + 28);
    const size_t rest = zip->size_ - e->header_;
    if (before > rest || e->packed_ > rest - before)
        return bad_entry(zip, e, "its data reach beyond the file");
    *out = e->header_ + before;
    return LMB_OK;
}

/* Overlapping entries are how small files claim to be large. */
static lmb_status check_entries(lmb_zip *zip)
{
    size_t end = 0;
    if (zip->count > 0)
        qsort(zip->entries, zip->count, sizeof *zip->entries, by_header);
    for (size_t i = 0; i < zip->count; i++) {
        const lmb_zip_entry *e = &zip->entries[i];
        size_t at = 0;
        LMB_TRY(data_place(zip, e, &at));
        if (e->header_ < end)
            return bad_entry(zip, e, "it overlaps another entry");
        end = at + e->packed_;
    }
    if (zip->count > 0)
        qsort(zip->entries, zip->count, sizeof *zip->entries, by_name);
    for (size_t i = 1; i < zip->count; i++)
        if (by_name(&zip->entries[i - 1], &zip->entries[i]) == 0)
            return bad_entry(zip, &zip->entries[i], "its name is there twice");
    return LMB_OK;
}

lmb_status lmb_zip_open(
    const void *bytes, size_t size, const char *name, lmb_zip *out)
{
    uint64_t count = 0;
    uint64_t length = 0;
    uint64_t offset = 0;
    *out = (lmb_zip){.name_ = name, .bytes_ = bytes, .size_ = size};
    LMB_TRY(find_directory(out, &count, &length, &offset));
    if (offset > size || length > size - offset ||
        count > length / CENTRAL_SIZE)
        return bad(out, "the directory reaches beyond the file");
    LMB_TRY(LMB_NEW(out->entries, count));
    const uint8_t *p = out->bytes_ + offset;
    size_t left = (size_t)length;
    for (uint64_t i = 0; i < count; i++) {
        size_t used = 0;
        LMB_TRY(read_record(out, p, left, &out->entries[i], &used));
        p += used;
        left -= used;
    }
    out->count = (size_t)count;
    return check_entries(out);
}

void lmb_zip_close(lmb_zip *zip)
{
    for (size_t i = 0; i < zip->count; i++)
        lmb_free(zip->entries[i].owned_);
    lmb_free(zip->entries);
    *zip = (lmb_zip){0};
}

lmb_zip_entry *lmb_zip_find(const lmb_zip *zip, const char *name, size_t length)
{
    const lmb_zip_entry key = {.name = name, .name_length = length};
    if (zip->count == 0)
        return NULL;
    return bsearch(&key, zip->entries, zip->count, sizeof key, by_name);
}

static void *zlib_alloc(void *user, unsigned count, unsigned size)
{
    (void)user;
    return lmb_alloc(count, size);
}

static void zlib_free(void *user, void *block)
{
    (void)user;
    lmb_free(block);
}

static unsigned chunk_of(size_t left)
{
    return left < (1u << 30) ? (unsigned)left : 1u << 30;
}

/* Raw deflate data that must fill `out` exactly. */
static lmb_status inflate_all(
    const lmb_zip *zip, const lmb_zip_entry *e, const uint8_t *in, uint8_t *out)
{
    z_stream z = {.zalloc = zlib_alloc, .zfree = zlib_free};
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
        return LMB_FAIL(LMB_ENOMEM, "%s: out of memory: inflate", zip->name_);
    size_t taken = 0;
    size_t made = 0;
    int code = Z_OK;
    while (code == Z_OK) {
        const unsigned give = chunk_of(e->packed_ - taken);
        const unsigned room = chunk_of(e->size - made);
        z.next_in = (Bytef *)(uintptr_t)(in + taken);
        z.avail_in = give;
        z.next_out = out + made;
        z.avail_out = room;
        code = inflate(&z, Z_NO_FLUSH);
        taken += give - z.avail_in;
        made += room - z.avail_out;
    }
    (void)inflateEnd(&z);
    if (code == Z_MEM_ERROR)
        return LMB_FAIL(LMB_ENOMEM, "%s: out of memory: inflate", zip->name_);
    if (code != Z_STREAM_END || made != e->size)
        return bad_entry(zip, e, "malformed deflate data");
    return LMB_OK;
}

static lmb_status read_deflated(
    lmb_zip *zip, lmb_zip_entry *e, const uint8_t *in)
{
    const size_t limit = inflated_floor + 16 * zip->size_;
    if (e->size / DEFLATE_RATIO > e->packed_ || e->size > limit ||
        zip->inflated_ > limit - e->size)
        return bad_entry(zip, e, "it claims to inflate to too much");
    LMB_TRY(LMB_NEW(e->owned_, e->size));
    zip->inflated_ += e->size;
    return inflate_all(zip, e, in, e->owned_);
}

static uint32_t crc_of(const uint8_t *bytes, size_t size)
{
    uLong crc = crc32(0, NULL, 0);
    for (size_t at = 0; at < size;) {
        const unsigned n = chunk_of(size - at);
        crc = crc32(crc, bytes + at, n);
        at += n;
    }
    return (uint32_t)crc;
}

lmb_status lmb_zip_read(lmb_zip *zip, lmb_zip_entry *entry)
{
    size_t at = 0;
    if (entry->data != NULL)
        return LMB_OK;
    LMB_TRY(data_place(zip, entry, &at));
    const uint8_t *data = zip->bytes_ + at;
    if ((entry->flags_ & 1) != 0)
        return bad_entry(zip, entry, "it is encrypted");
    if (entry->method_ == 8) {
        LMB_TRY(read_deflated(zip, entry, data));
        data = entry->owned_;
    } else if (entry->method_ != 0) {
        return bad_entry(zip, entry, "its compression method is not known");
    } else if (entry->packed_ != entry->size) {
        return bad_entry(zip, entry, "stored data of two sizes");
    }
    if (crc_of(data, entry->size) != entry->crc_)
        return bad_entry(zip, entry, "its checksum is wrong");
    entry->data = data;
    return LMB_OK;
}

/* --- writing */

typedef struct zip_writer {
    const char *path;
    lmb_writer out;
    uint64_t at;
    uint32_t *headers; /* where each member's local header is */
    uint32_t *crcs;
} zip_writer;

static lmb_status put(zip_writer *z, const void *bytes, size_t size)
{
    z->at += size;
    if (z->at >= UINT32_MAX)
        return LMB_FAIL(LMB_EUNSUPPORTED,
            "%s: a zip of 4 GiB or more; write .safetensors instead", z->path);
    return lmb_writer_write(&z->out, bytes, size);
}

/* What the local and the central header have in common, 26 bytes. */
static void common_header(
    uint8_t *p, const lmb_zip_member *member, uint32_t crc)
{
    lmb_put_le32(p + 10, crc);
    lmb_put_le32(p + 14, (uint32_t)member->size);
    lmb_put_le32(p + 18, (uint32_t)member->size);
    lmb_put_le16(p + 22, (uint16_t)strlen(member->name));
    lmb_put_le16(p, 20); /* version needed: 2.0 */
    lmb_put_le16(p + 8, 0x0021); /* dated 1980-01-01 */
}

/* The local header; its extra field pads the data to a multiple of 64. */
static lmb_status put_member(
    zip_writer *z, const lmb_zip_member *member, size_t index)
{
    uint8_t header[LOCAL_SIZE] = "PK\3\4";
    uint8_t extra[4 + MEMBER_ALIGN] = "FB";
    const size_t name = strlen(member->name);
    const size_t end = (size_t)z->at + LOCAL_SIZE + name + 4;
    const size_t padding = (MEMBER_ALIGN - end % MEMBER_ALIGN) % MEMBER_ALIGN;
    if (member->size >= UINT32_MAX)
        return put(z, NULL, member->size); /* refuses */
    z->crcs[index] = crc_of(member->data, member->size);
    z->headers[index] = (uint32_t)z->at;
    common_header(header + 4, member, z->crcs[index]);
    lmb_put_le16(header + 28, (uint16_t)(4 + padding));
    lmb_put_le16(extra + 2, (uint16_t)padding);
    LMB_TRY(put(z, header, sizeof header));
    LMB_TRY(put(z, member->name, name));
    LMB_TRY(put(z, extra, 4 + padding));
    return put(z, member->data, member->size);
}

static lmb_status put_directory(
    zip_writer *z, const lmb_zip_member *members, size_t count)
{
    const uint64_t start = z->at;
    for (size_t i = 0; i < count; i++) {
        uint8_t record[CENTRAL_SIZE] = "PK\1\2\x14";
        common_header(record + 6, &members[i], z->crcs[i]);
        lmb_put_le32(record + 42, z->headers[i]);
        LMB_TRY(put(z, record, sizeof record));
        LMB_TRY(put(z, members[i].name, strlen(members[i].name)));
    }
    uint8_t end[END_SIZE] = "PK\5\6";
    lmb_put_le16(end + 8, (uint16_t)count);
    lmb_put_le16(end + 10, (uint16_t)count);
    lmb_put_le32(end + 12, (uint32_t)(z->at - start));
    lmb_put_le32(end + 16, (uint32_t)start);
    return put(z, end, sizeof end);
}

lmb_status lmb_zip_save(
    const char *path, const lmb_zip_member *members, size_t count)
{
    zip_writer z = {.path = path};
    lmb_status st = LMB_OK;
    if (count >= UINT16_MAX)
        return LMB_FAIL(LMB_EUNSUPPORTED,
            "%s: a zip of %zu entries; write .safetensors instead", path,
            count);
    LMB_GOTO(LMB_NEW(z.headers, count), st, done);
    LMB_GOTO(LMB_NEW(z.crcs, count), st, done);
    LMB_GOTO(lmb_writer_open(path, &z.out), st, done);
    for (size_t i = 0; i < count; i++)
        LMB_GOTO(put_member(&z, &members[i], i), st, done);
    LMB_GOTO(put_directory(&z, members, count), st, done);
    LMB_GOTO(lmb_writer_commit(&z.out), st, done);
done:
    lmb_writer_abort(&z.out);
    lmb_free(z.headers);
    lmb_free(z.crcs);
    return st;
}
