/* stream.h: reads plain, .gz and .xz bytes alike, front to back.
 *
 * The first bytes decide the format, not the name. */
#ifndef LMB_DATA_STREAM_H
#define LMB_DATA_STREAM_H

#include "base/base.h"

typedef struct lmb_stream lmb_stream;

/* Do the bytes begin as .gz or .xz do? */
bool lmb_stream_is_packed(const void *bytes, size_t size);
lmb_status lmb_stream_open(const char *path, lmb_stream **out) LMB_MUST_CHECK;
/* Over bytes that outlive the stream; `name` (copied) is for messages. */
lmb_status lmb_stream_open_memory(const void *bytes, size_t size,
    const char *name, lmb_stream **out) LMB_MUST_CHECK;
void lmb_stream_close(lmb_stream *stream); /* accepts NULL */
/* Fills `dst`; *got < size only at the end of the data. EFORMAT for damaged
 * or cut compressed data. */
lmb_status lmb_stream_read(
    lmb_stream *stream, void *dst, size_t size, size_t *got) LMB_MUST_CHECK;
/* Like read, but fewer than `size` bytes are EFORMAT. */
lmb_status lmb_stream_read_all(
    lmb_stream *stream, void *dst, size_t size) LMB_MUST_CHECK;
const char *lmb_stream_name(const lmb_stream *stream);

#endif
