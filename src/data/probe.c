/* probe.c: the size of a JPEG or PNG picture from its header alone.
 *
 * JPEG (ITU T.81, annex B): segments FF marker length until a start of frame
 * (FFC0 .. FFCF but for C4, C8, CC), which holds precision, height, width.
 * PNG: the first chunk is IHDR with width and height at bytes 16 and 20. */
#include "base/file.h"
#include "data/codec.h"

#include <string.h>

static int64_t big_endian(const uint8_t *p, int bytes)
{
    int64_t v = 0;
    for (int i = 0; i < bytes; i++)
        v = v << 8 | p[i];
    return v;
}

static bool is_frame(uint8_t marker)
{
    return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 &&
        marker != 0xc8 && marker != 0xcc;
}

/* Markers without a segment behind them, and fill bytes. */
static bool is_bare(uint8_t marker)
{
    return marker == 0x01 || (marker >= 0xd0 && marker <= 0xd8);
}

static bool jpeg_size(
    const uint8_t *p, size_t size, int64_t *height, int64_t *width)
{
    size_t at = 2;
    while (size >= 9 && at <= size - 9) {
        if (p[at] != 0xff)
            return false;
        const uint8_t marker = p[at + 1];
        if (marker == 0xff || is_bare(marker)) {
            at += marker == 0xff ? 1 : 2;
            continue;
        }
        if (is_frame(marker)) {
            *height = big_endian(p + at + 5, 2);
            *width = big_endian(p + at + 7, 2);
            return true;
        }
        const int64_t length = big_endian(p + at + 2, 2);
        if (length < 2 || marker == 0xd9 || marker == 0xda)
            return false;
        at += 2 + (size_t)length;
    }
    return false;
}

static bool find_size(
    const uint8_t *p, size_t size, int64_t *height, int64_t *width)
{
    if (size >= 3 && memcmp(p, "\xff\xd8\xff", 3) == 0)
        return jpeg_size(p, size, height, width);
    if (size < 24 || memcmp(p, "\x89PNG\r\n\x1a\n", 8) != 0)
        return false;
    *width = big_endian(p + 16, 4);
    *height = big_endian(p + 20, 4);
    return true;
}

lmb_status lmb_image_probe(
    const char *path, int32_t *height_out, int32_t *width_out)
{
    lmb_file file = {0};
    int64_t height = 0;
    int64_t width = 0;
    LMB_TRY(lmb_file_open(path, &file));
    const bool found = find_size(file.bytes, file.size, &height, &width);
    lmb_file_close(&file);
    if (!found)
        return LMB_FAIL(
            LMB_EFORMAT, "%s: no size of a JPEG or PNG picture in it", path);
    LMB_TRY(lmb__image_check(path, height, width, SIZE_MAX, 1));
    *height_out = (int32_t)height;
    *width_out = (int32_t)width;
    return LMB_OK;
}
