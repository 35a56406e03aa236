/* json_number.h: the numbers of JSON, exactly. */
#ifndef LMB_IO_JSON_NUMBER_H
#define LMB_IO_JSON_NUMBER_H

#include "base/base.h"

enum { LMB_JSON_NUMBER_MAX = 1023 }; /* characters of one number */

typedef struct lmb_json_number_text {
    size_t length; /* characters */
    bool negative;
    bool whole; /* neither fraction nor exponent */
    int64_t digits; /* if there are over 19, without leading zeros */
    uint64_t mantissa; /* all digits as one number, up to 19 of them */
    int64_t exponent; /* value = mantissa * 10^exponent */
} lmb_json_number_text;

/* Reads the number that `text` begins with; a character that belongs to no
 * number must end it. False if it is none by the grammar of RFC 8259: `length`
 * is then where it goes wrong. */
bool lmb_json_number_scan(const char *text, lmb_json_number_text *out);
/* The nearest double, ties to even; false if it is beyond all of them. The
 * locale has no say. `text` is what was scanned, LMB_JSON_NUMBER_MAX at most.
 */
bool lmb_json_number_f64(
    const char *text, const lmb_json_number_text *n, double *out);
/* False if it is not a whole number of 64 bits. "1e3" and "2.0" are whole. */
bool lmb_json_number_i64(
    const char *text, const lmb_json_number_text *n, int64_t *out);

#endif
