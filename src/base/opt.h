/* opt.h: options as tables: name, help, place, type, default, range.
 *
 * Command line, config files, help texts and range errors all come from the
 * row; no option is parsed anywhere else. */
#ifndef LMB_BASE_OPT_H
#define LMB_BASE_OPT_H

#include "base/base.h"
#include "base/str.h"

typedef enum lmb_opt_type {
    LMB_OPT_F64 = 1, /* double */
    LMB_OPT_I64, /* int64_t */
    LMB_OPT_BOOL, /* bool: true/false/on/off/yes/no/1/0 */
    LMB_OPT_ENUM, /* int32_t: index into `choices` */
} lmb_opt_type;

typedef struct lmb_opt {
    const char *name; /* lower_snake; NULL ends the table */
    const char *help; /* one line, no full stop */
    lmb_opt_type type;
    size_t offset; /* of the field in the state struct */
    double def; /* default; for an enum the index of the choice */
    double low, high;
    const char *choices; /* "a|b|c" for LMB_OPT_ENUM */
    const char *aliases; /* other spellings, "KD.TEMPERATURE|tau"; or NULL */
} lmb_opt;

/* Writes the defaults of every row into `state`. */
void lmb_opt_defaults(const lmb_opt *table, void *state);
/* The row named `name` (any case, aliases too), or NULL. */
const lmb_opt *lmb_opt_find(const lmb_opt *table, const char *name);
/* Parses and checks `value` and stores it. EINVAL names scope, option, value
 * and rule; an unknown name names the nearest row. `scope` is e.g. "pcd". */
lmb_status lmb_opt_set(const lmb_opt *table, void *state, const char *scope,
    const char *name, const char *value) LMB_MUST_CHECK;
/* The value stored now, as text that lmb_opt_set would read. */
void lmb_opt_print(const lmb_opt *row, const void *state, lmb_str *out);
/* "temperature=4 (0.001 .. 1000): softmax temperature" lines for help. */
void lmb_opt_help(const lmb_opt *table, lmb_str *out);

#endif
