/* fuzz_image.c: any bytes as a JPEG or PNG; small pictures are also resized,
 * from a part that the bytes choose. */
#include "data/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SMALL = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t out[9 * 5 * 3];
    lmb_scratch scratch = {0};
    lmb_image image = {0};
    lmb_status st = lmb_image_decode(data, size, "fuzz", &scratch, &image);
    if (st == LMB_OK && (int64_t)image.height * image.width < SMALL) {
        const lmb_rect part = {data[size / 2] % image.height,
            data[size / 3] % image.width, 1 + data[size / 4] % 8,
            1 + data[size / 5] % 8};
        st = lmb_image_resize(&image, NULL, 9, 5, &scratch, out);
        if (st == LMB_OK)
            st = lmb_image_resize(&image, &part, 9, 5, &scratch, out);
    }
    lmb_scratch_fini(&scratch);
    return 0;
}
