/* fuzz_idx.c: any bytes as a pair of IDX files: the first two say where the
 * labels end and the pictures begin. (Compressed data: fuzz_stream.) */
#include "data/idx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static lmb_status read_pair(
    const uint8_t *data, size_t size, size_t cut, lmb_dataset *ds)
{
    lmb_stream *images = NULL;
    lmb_stream *labels = NULL;
    lmb_status st = LMB_OK;
    LMB_GOTO(lmb_stream_open_memory(data, cut, "labels", &labels), st, done);
    LMB_GOTO(lmb_stream_open_memory(data + cut, size - cut, "images", &images),
        st, done);
    LMB_GOTO(lmb__idx_read(images, labels, ds), st, done);
    lmb__dataset_hash_memory(ds);
done:
    lmb_stream_close(images);
    lmb_stream_close(labels);
    return st;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lmb_dataset *ds = NULL;
    if (size < 4 || lmb__dataset_new("fuzz", &ds) != LMB_OK)
        return 0;
    const size_t cut = (data[0] | (size_t)data[1] << 8) % (size - 2);
    const bool packed = data[2] != 0 || data[2 + cut] != 0;
    const lmb_status st =
        packed ? LMB_OK : read_pair(data + 2, size - 2, cut, ds);
    (void)st; /* an error is as good as a data set */
    lmb_dataset_free(ds);
    return 0;
}
