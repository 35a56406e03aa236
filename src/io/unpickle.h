/* unpickle.h: Python pickles read as data, never as a program.
 *
 * Only plain values, torch tensors and NumPy arrays can come out of it. Any
 * other class or function that a pickle names is refused by that name, or, if
 * the caller so wishes, a mere word to us, whatever it is, os.system too: what
 * it would have made is one opaque value. So a checkpoint can be read for its
 * weights though its other parts hold objects that we know nothing of; whether
 * an opaque value matters is for the caller to say. Nothing is ever imported or
 * called, nothing recurses, and memory is bounded by the input. */
#ifndef LMB_IO_UNPICKLE_H
#define LMB_IO_UNPICKLE_H

#include "base/base.h"
#include "limbeck/tensor.h"

typedef enum lmb_pk_kind {
    LMB_PK_NONE,
    LMB_PK_BOOL, /* integer */
    LMB_PK_INT, /* integer */
    LMB_PK_BIGINT, /* text: two's complement, little-endian */
    LMB_PK_FLOAT, /* real */
    LMB_PK_STR, /* text, as it stands in the file: not always UTF-8 */
    LMB_PK_BYTES, /* text; also Python 2's str */
    LMB_PK_LIST, /* list; sets too */
    LMB_PK_TUPLE, /* list */
    LMB_PK_DICT, /* list: key, value, key, value; a Namespace too */
    LMB_PK_STORAGE, /* storage */
    LMB_PK_TENSOR, /* tensor */
    LMB_PK_ARRAY, /* array: NumPy's */
    LMB_PK_DTYPE, /* dtype: NumPy's */
    LMB_PK_GLOBAL, /* an allowed class or function, not called */
    LMB_PK_OPAQUE, /* text: the name of any other; also all it would make */
} lmb_pk_kind;

typedef struct lmb_pk lmb_pk;

typedef struct lmb_pk_text {
    const char *bytes; /* not terminated */
    size_t length;
} lmb_pk_text;

typedef struct lmb_pk_list {
    lmb_pk **items;
    size_t count, capacity;
} lmb_pk_list;

typedef struct lmb_pk_storage {
    lmb_pk_text key;
    int64_t count; /* elements, as the pickle claims */
    lmb_dtype dtype;
} lmb_pk_storage;

/* Every element lies inside the storage's claimed count. */
typedef struct lmb_pk_tensor {
    const lmb_pk_storage *storage;
    int64_t offset; /* elements */
    lmb_shape shape;
    int64_t stride[LMB_MAX_RANK]; /* elements, >= 0 */
} lmb_pk_tensor;

typedef struct lmb_pk_dtype {
    lmb_pk_text code; /* "f4" */
    char order; /* '<', '>', '|' or '=' */
} lmb_pk_dtype;

typedef struct lmb_pk_array {
    lmb_pk_dtype dtype;
    lmb_shape shape;
    bool fortran, complete;
    lmb_pk_text data;
} lmb_pk_array;

struct lmb_pk {
    lmb_pk_kind kind;
    int16_t global_; /* private */
    bool opaque; /* is an opaque value, or had one put in, at any depth */
    union {
        int64_t integer;
        double real;
        lmb_pk_text text;
        lmb_pk_list list;
        lmb_pk_storage *storage;
        lmb_pk_tensor *tensor;
        lmb_pk_array *array;
        lmb_pk_dtype dtype;
    } u;
};

/* A parsed pickle; owns its values, which point into the bytes parsed. The
 * tree may share nodes and even hold itself: walk it to a bounded depth. */
typedef struct lmb_pickle {
    const lmb_pk *root;
    const lmb_pk *opaque; /* the first opaque value named, or NULL */
    const lmb_pk_storage **storages; /* in order of appearance */
    size_t storage_count;
    size_t used; /* bytes read, up to and with the STOP */
    /* private */
    size_t storage_capacity_, memory_;
    lmb_arena *arena_;
} lmb_pickle;

/* Parses the one pickle that `bytes` starts with, protocols 0 to 5; `bytes`
 * must outlive it. `name` stands in the messages. Errors: EFORMAT malformed,
 * not allowed or over a limit; EUNSUPPORTED; ENOMEM. */
lmb_status lmb_pickle_parse(const void *bytes, size_t size, const char *name,
    lmb_pickle **out) LMB_MUST_CHECK;
/* The same, but any global is allowed and those we do not know are opaque. */
lmb_status lmb_pickle_parse_opaque(const void *bytes, size_t size,
    const char *name, lmb_pickle **out) LMB_MUST_CHECK;
void lmb_pickle_free(lmb_pickle *pickle); /* accepts NULL */

/* A str or bytes equal to `text`. */
bool lmb_pk_is(const lmb_pk *value, const char *text);
bool lmb_pk_is_text(const lmb_pk *value);
/* The value under a text key (the last one, as in Python), or NULL; NULL too
 * if `dict` is no dict. */
const lmb_pk *lmb_pk_get(const lmb_pk *dict, const char *key);
/* The first opaque value in a value with `opaque` set; NULL if there is none,
 * or only at the end of a long or endless way. */
const lmb_pk *lmb_pk_opaque_in(const lmb_pk *value);
/* A new tensor with a NumPy array's elements, row-major. EUNSUPPORTED for
 * element types that lmb_npy_load does not read. */
lmb_status lmb_pk_array_tensor(
    const lmb_pk *value, const char *name, lmb_tensor **out) LMB_MUST_CHECK;

#endif
