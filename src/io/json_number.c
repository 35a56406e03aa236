/* json_number.c: decimal text to the nearest double.
 *
 * A number of at most 19 digits is w * 10^e with w in 64 bits. If w has at
 * most 53 bits and |e| <= 22, both are exact doubles and one operation rounds
 * once (W. D. Clinger, How to read floating point numbers accurately, 1990).
 * Else, for |e| <= 19, 128-bit integers give 64 or more leading bits of the
 * result and whether anything is left below them, and the conversion rounds.
 * What remains is rare and goes to strtod, without a decimal point, which is
 * all that a locale could change. */
#include "io/json_number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__extension__ typedef unsigned __int128 u128;

enum { EXACT_POWER = 22, WIDE_POWER = 19, WIDE_DIGITS = 19, FAR = 100000 };

static const double exact_powers[EXACT_POWER + 1] = {1e0, 1e1, 1e2, 1e3, 1e4,
    1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17,
    1e18, 1e19, 1e20, 1e21, 1e22};

/* --- scanning */

static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline const char *scan_digits(const char *p, uint64_t *mantissa)
{
    uint64_t m = *mantissa;
    for (; is_digit(*p); p++)
        m = m * 10 + (uint64_t)(*p - '0');
    *mantissa = m;
    return p;
}

/* Digits behind leading zeros; only long numbers have to know. */
static int64_t significant(const char *text, int64_t digits)
{
    if (digits <= WIDE_DIGITS)
        return digits;
    for (; *text == '-' || *text == '0' || *text == '.'; text++)
        digits -= *text == '0';
    return digits;
}

static bool scan_exponent(const char **at, int64_t *exponent)
{
    const char *p = *at + 1;
    const bool negative = *p == '-';
    int64_t value = 0;
    p += *p == '-' || *p == '+';
    *at = p;
    if (!is_digit(*p))
        return false;
    for (; is_digit(*p); p++)
        if (value < FAR)
            value = value * 10 + (*p - '0');
    *exponent += negative ? -value : value;
    *at = p;
    return true;
}

bool lmb_json_number_scan(const char *text, lmb_json_number_text *out)
{
    const bool negative = *text == '-';
    const char *first = text + (negative ? 1 : 0), *p = first;
    uint64_t mantissa = 0;
    int64_t exponent = 0;
    p = *p == '0' ? p + 1 : scan_digits(p, &mantissa);
    int64_t digits = p - first;
    bool whole = true, good = digits > 0 && !is_digit(*p); /* not "01" */
    if (good && *p == '.') {
        whole = false;
        first = p + 1;
        p = scan_digits(first, &mantissa);
        exponent = first - p;
        digits += p - first;
        good = p > first;
    }
    if (good && (*p == 'e' || *p == 'E')) {
        whole = false;
        good = scan_exponent(&p, &exponent);
    }
    *out = (lmb_json_number_text){.length = (size_t)(p - text),
        .negative = negative,
        .whole = whole,
        .digits = significant(text, digits),
        .mantissa = mantissa,
        .exponent = exponent};
    return good;
}

/* --- converting */

static uint64_t power_of_ten(int64_t e)
{
    uint64_t p = 1;
    for (; e > 0; e--)
        p *= 10;
    return p;
}

/* w * 10^e for w > 0 and |e| <= WIDE_POWER. The quotient has 64 bits or more,
 * so its lowest bit is far below the one that rounding looks at and can stand
 * for the remainder. */
static double wide(uint64_t w, int64_t e)
{
    if (e >= 0)
        return (double)((u128)w * power_of_ten(e));
    const uint64_t p = power_of_ten(-e);
    const int shift = 64 + __builtin_clzll(w);
    const u128 numerator = (u128)w << shift;
    const u128 quotient = numerator / p;
    const bool rest = quotient * p != numerator;
    return ldexp((double)(quotient | (rest ? 1 : 0)), -shift);
}

static double by_strtod(const char *text, const lmb_json_number_text *n)
{
    char digits[LMB_JSON_NUMBER_MAX + 32];
    size_t count = 0;
    for (size_t i = 0; i < n->length && count < LMB_JSON_NUMBER_MAX; i++) {
        if (text[i] == 'e' || text[i] == 'E')
            break;
        if (is_digit(text[i]))
            digits[count++] = text[i];
    }
    (void)snprintf(
        digits + count, sizeof digits - count, "e%lld", (long long)n->exponent);
    return strtod(digits, NULL);
}

static double magnitude(const char *text, const lmb_json_number_text *n)
{
    const uint64_t w = n->mantissa;
    const int64_t e = n->exponent;
    if (n->digits > WIDE_DIGITS)
        return by_strtod(text, n);
    if (w == 0)
        return 0;
    if (w <= (uint64_t)1 << 53 && e >= -EXACT_POWER && e <= EXACT_POWER)
        return e < 0 ? (double)w / exact_powers[-e]
                     : (double)w * exact_powers[e];
    if (e >= -WIDE_POWER && e <= WIDE_POWER)
        return wide(w, e);
    return by_strtod(text, n);
}

bool lmb_json_number_f64(
    const char *text, const lmb_json_number_text *n, double *out)
{
    const double value = magnitude(text, n);
    *out = n->negative ? -value : value;
    return isfinite(value);
}

bool lmb_json_number_i64(
    const char *text, const lmb_json_number_text *n, int64_t *out)
{
    if (n->whole && n->digits <= WIDE_DIGITS) {
        const uint64_t most = (uint64_t)INT64_MAX + (n->negative ? 1 : 0);
        *out = (int64_t)(n->negative ? 0 - n->mantissa : n->mantissa);
        return n->mantissa <= most;
    }
    double value = 0;
    if (!lmb_json_number_f64(text, n, &value) || value != floor(value) ||
        fabs(value) > 9007199254740992.0)
        return false;
    *out = (int64_t)value;
    return true;
}
