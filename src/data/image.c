/* image.c: scratch memory, and which decoder reads a picture. */
#include "data/image.h"
#include "base/file.h"
#include "data/codec.h"

#include <string.h>

lmb_status lmb_scratch_get(
    lmb_scratch *scratch, int slot, size_t size, void **out)
{
    LMB_ASSERT(slot >= 0 && slot < LMB_SCRATCH_SLOTS);
    if (scratch->slot_[slot].bytes == NULL ||
        scratch->slot_[slot].capacity < size) {
        void *bytes = lmb_alloc(size, 1);
        if (bytes == NULL)
            return LMB_FAIL(
                LMB_ENOMEM, "out of memory: %zu bytes of scratch", size);
        lmb_free(scratch->slot_[slot].bytes);
        scratch->slot_[slot].bytes = bytes;
        scratch->slot_[slot].capacity = size;
    }
    *out = scratch->slot_[slot].bytes;
    return LMB_OK;
}

void lmb_scratch_fini(lmb_scratch *scratch)
{
    for (int i = 0; i < LMB_SCRATCH_SLOTS; i++)
        lmb_free(scratch->slot_[i].bytes);
    *scratch = (lmb_scratch){0};
}

lmb_status lmb__image_check(const char *name, int64_t height, int64_t width,
    size_t size, int64_t pixels_per_byte)
{
    if (height < 1 || width < 1 || height > LMB_IMAGE_MAX_SIDE ||
        width > LMB_IMAGE_MAX_SIDE || height * width > LMB_IMAGE_MAX_PIXELS)
        return LMB_FAIL(LMB_EUNSUPPORTED,
            "%s: a picture of %lld x %lld pixels is beyond the limits", name,
            (long long)width, (long long)height);
    if ((size_t)(height * width / pixels_per_byte) > size)
        return LMB_FAIL(LMB_EFORMAT,
            "%s: %zu bytes cannot hold %lld x %lld pixels", name, size,
            (long long)width, (long long)height);
    return LMB_OK;
}

lmb_status lmb_image_decode(const void *bytes, size_t size, const char *name,
    lmb_scratch *scratch, lmb_image *out)
{
    if (size >= 3 && memcmp(bytes, "\xff\xd8\xff", 3) == 0)
        return lmb__jpeg_decode(bytes, size, name, scratch, out);
    if (size >= 8 && memcmp(bytes, "\x89PNG\r\n\x1a\n", 8) == 0)
        return lmb__png_decode(bytes, size, name, scratch, out);
    return LMB_FAIL(LMB_EFORMAT, "%s: neither JPEG nor PNG", name);
}

lmb_status lmb_image_load(
    const char *path, lmb_scratch *scratch, lmb_image *out)
{
    lmb_file file = {0};
    LMB_TRY(lmb_file_open(path, &file));
    const lmb_status st =
        lmb_image_decode(file.bytes, file.size, path, scratch, out);
    lmb_file_close(&file);
    return st;
}
