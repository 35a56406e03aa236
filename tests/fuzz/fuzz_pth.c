/* fuzz_pth.c: any bytes as a file of torch.save, and as the object inside
 * one, in an archive whose checksums are right. */
#include "io/pth.h"
#include "io/raw.h"

#include <zlib.h>

#include <string.h>

enum { FILES = 3, STORAGE = 256, ARCHIVE_MAX = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct archive {
    uint8_t bytes[ARCHIVE_MAX];
    size_t size;
} archive;

static void put(archive *a, const void *bytes, size_t size)
{
    if (size > 0)
        memcpy(a->bytes + a->size, bytes, size);
    a->size += size;
}

/* A local header with its data, or a record of the directory. */
static void put_entry(archive *a, const char *name, const uint8_t *data,
    size_t size, const size_t *header)
{
    uint8_t local[30] = "PK\3\4";
    uint8_t central[46] = "PK\1\2";
    uint8_t *common = header == NULL ? local + 14 : central + 16;
    lmb_put_le32(common, (uint32_t)crc32(0, data, (unsigned)size));
    lmb_put_le32(common + 4, (uint32_t)size);
    lmb_put_le32(common + 8, (uint32_t)size);
    lmb_put_le16(common + 12, (uint16_t)strlen(name));
    if (header != NULL) {
        lmb_put_le32(central + 42, (uint32_t)*header);
        put(a, central, sizeof central);
        put(a, name, strlen(name));
    } else {
        put(a, local, sizeof local);
        put(a, name, strlen(name));
        put(a, data, size);
    }
}

static void wrap(archive *a, const uint8_t *data, size_t size)
{
    static const uint8_t zeros[STORAGE];
    static const char *const names[FILES] = {
        "a/data.pkl", "a/data/0", "a/data/1"};
    const uint8_t *const contents[FILES] = {data, zeros, zeros};
    const size_t sizes[FILES] = {size, STORAGE, STORAGE};
    size_t headers[FILES];
    uint8_t end[22] = "PK\5\6";
    a->size = 0;
    for (int i = 0; i < FILES; i++) {
        headers[i] = a->size;
        put_entry(a, names[i], contents[i], sizes[i], NULL);
    }
    const size_t start = a->size;
    for (int i = 0; i < FILES; i++)
        put_entry(a, names[i], contents[i], sizes[i], &headers[i]);
    lmb_put_le16(end + 10, FILES);
    lmb_put_le32(end + 12, (uint32_t)(a->size - start));
    lmb_put_le32(end + 16, (uint32_t)start);
    put(a, end, sizeof end);
}

static void parse(const uint8_t *data, size_t size)
{
    lmb_weights *w = NULL;
    if (lmb_weights_parse(data, size, "fuzz.pth", &w) == LMB_OK)
        lmb_weights_free(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static archive a;
    static const uint8_t none[1];
    parse(data, size);
    if (size < ARCHIVE_MAX / 2) {
        wrap(&a, size > 0 ? data : none, size);
        parse(a.bytes, a.size);
    }
    return 0;
}
