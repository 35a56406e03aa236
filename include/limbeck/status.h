/* status.h: status codes and the message of the last error.
 *
 * Every function that can fail returns an lmb_status. When it is not LMB_OK,
 * a one-line message for people is kept per thread until the next failure. */
#ifndef LIMBECK_STATUS_H
#define LIMBECK_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define LMB_MUST_CHECK __attribute__((warn_unused_result))
#define LMB_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define LMB_API __attribute__((visibility("default")))
#else
#define LMB_MUST_CHECK
#define LMB_PRINTF(f, a)
#define LMB_API
#endif

/* Numbers are part of the ABI: rows are added at the end, never renumbered. */
#define LMB_STATUS_LIST(X) \
    X(OK, 0, "no error") \
    X(ENOMEM, 1, "out of memory") \
    X(EINVAL, 2, "invalid argument") \
    X(ESHAPE, 3, "shapes do not fit") \
    X(EUNSUPPORTED, 4, "not supported") \
    X(EIO, 5, "input or output error") \
    X(EFORMAT, 6, "malformed data") \
    X(ENOTFOUND, 7, "not found") \
    X(EDEVICE, 8, "device or vendor library error") \
    X(ENUMERIC, 9, "non-finite number") \
    X(EINTERRUPTED, 10, "interrupted") \
    X(EUSAGE, 11, "wrong usage")

typedef enum lmb_status {
#define LMB_STATUS_ENUM(name, number, text) LMB_##name = number,
    LMB_STATUS_LIST(LMB_STATUS_ENUM)
#undef LMB_STATUS_ENUM
} lmb_status;

/** The text of a status code; never NULL, static storage. */
LMB_API const char *lmb_status_text(lmb_status status);

/** The message of this thread's last failure: one line, never NULL; valid
 *  until the next failing call on the same thread. */
LMB_API const char *lmb_last_error(void);

/** Where the last failure came from, one "file:line" per frame (for bug
 *  reports); empty if nothing failed. */
LMB_API const char *lmb_last_trace(void);

#ifdef __cplusplus
}
#endif
#endif
