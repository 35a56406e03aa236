/* fuzz_stream.c: any bytes as a plain, .gz or .xz file, read in odd pieces,
 * at most 4 MiB of it. */
#include "data/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t piece[12345];
    lmb_stream *in = NULL;
    if (lmb_stream_open_memory(data, size, "fuzz", &in) != LMB_OK)
        return 0;
    size_t got = sizeof piece;
    for (size_t all = 0; got == sizeof piece && all < (4u << 20); all += got)
        if (lmb_stream_read(in, piece, sizeof piece, &got) != LMB_OK)
            break;
    lmb_stream_close(in);
    return 0;
}
