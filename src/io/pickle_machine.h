/* pickle_machine.h: what the files of the unpickler share; private to io. */
#ifndef LMB_IO_PICKLE_MACHINE_H
#define LMB_IO_PICKLE_MACHINE_H

#include "io/unpickle.h"

/* A stack of values with marks on it, a memo, and the bytes still to run. */
typedef struct lmb_pk_machine {
    const char *name; /* of the file */
    const uint8_t *bytes;
    size_t size, at;
    lmb_pickle *out;
    lmb_pk **stack;
    size_t count, capacity;
    size_t *marks;
    size_t mark_count, mark_capacity;
    lmb_pk **memo;
    size_t memo_size; /* slots; unset ones are NULL */
    size_t memo_used; /* values put: the index of the next MEMOIZE */
    bool stopped;
    bool any_global; /* unknown ones are opaque, not refused */
    uint8_t opcode;
} lmb_pk_machine;

/* An error at the opcode that runs now. */
lmb_status lmb__pk_bad(
    const lmb_pk_machine *m, const char *rule) LMB_MUST_CHECK;
/* *(void **)block = zeroed arena memory, within the budget. */
lmb_status lmb__pk_take(
    lmb_pk_machine *m, size_t size, void *block) LMB_MUST_CHECK;
lmb_status lmb__pk_push(lmb_pk_machine *m, lmb_pk *value) LMB_MUST_CHECK;
lmb_status lmb__pk_push_new(
    lmb_pk_machine *m, lmb_pk_kind kind, lmb_pk **out) LMB_MUST_CHECK;
/* Values from here up belong to the last mark. */
size_t lmb__pk_floor(const lmb_pk_machine *m);
/* There must be `count` values above the last mark. */
lmb_status lmb__pk_need(const lmb_pk_machine *m, size_t count) LMB_MUST_CHECK;
lmb_status lmb__pk_pop(lmb_pk_machine *m, lmb_pk **out) LMB_MUST_CHECK;
/* Adds to a list, tuple or dict. */
lmb_status lmb__pk_list_add(lmb_pk_machine *m, lmb_pk *container,
    lmb_pk **items, size_t count) LMB_MUST_CHECK;

/* pickle_calls.c: the names we know, and what comes of them and of others. */
lmb_status lmb__pk_global(
    lmb_pk_machine *m, lmb_pk_text module, lmb_pk_text name) LMB_MUST_CHECK;
lmb_status lmb__pk_call(lmb_pk_machine *m) LMB_MUST_CHECK;
lmb_status lmb__pk_build(lmb_pk_machine *m) LMB_MUST_CHECK;
lmb_status lmb__pk_persistent(lmb_pk_machine *m) LMB_MUST_CHECK;

/* pickle_value.c */
bool lmb__pk_text_is(lmb_pk_text text, const char *word);
/* The element type of a NumPy dtype; false if it is not one we read. */
bool lmb__pk_numpy_type(
    const lmb_pk_dtype *dtype, lmb_dtype *out, bool *swapped);

#endif
