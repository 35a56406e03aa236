/* weights.h: named tensors and text metadata, whatever file they came from. */
#ifndef LMB_IO_WEIGHTS_H
#define LMB_IO_WEIGHTS_H

#include "base/base.h"
#include "limbeck/tensor.h"

typedef struct lmb_weight {
    const char *name; /* UTF-8, unique in its list */
    lmb_tensor *tensor;
} lmb_weight;

typedef struct lmb_weights_entry {
    const char *key, *value;
} lmb_weights_entry;

/* Read-only for users; changed by the functions below. */
typedef struct lmb_weights {
    lmb_weight *items; /* in the file's order */
    size_t count;
    lmb_weights_entry *meta;
    size_t meta_count;
    /* What the reader found, for `inspect`; NULL and 0 for a new list. */
    const char *format; /* "safetensors", "torch zip", "torch legacy" */
    const char *unwrapped; /* e.g. "state_dict, module."; NULL if nothing */
    int64_t ignored; /* entries not tensors, or not the network's */
    /* private */
    size_t capacity_, meta_capacity_, table_size_;
    uint32_t *table_;
    lmb_arena *text_;
} lmb_weights;

lmb_status lmb_weights_new(lmb_weights **out) LMB_MUST_CHECK;
void lmb_weights_free(lmb_weights *w); /* accepts NULL */
/* Appends a tensor (retained) under a copy of `name`. EFORMAT if the name is
 * empty, not UTF-8 or there already. */
lmb_status lmb_weights_add(
    lmb_weights *w, const char *name, lmb_tensor *tensor) LMB_MUST_CHECK;
/* The tensor (borrowed) or NULL. */
lmb_tensor *lmb_weights_find(const lmb_weights *w, const char *name);
/* Sets or replaces; both are copied and must be UTF-8. */
lmb_status lmb_weights_meta_set(
    lmb_weights *w, const char *key, const char *value) LMB_MUST_CHECK;
const char *lmb_weights_meta_get(const lmb_weights *w, const char *key);
/* Takes it out, if it is there. */
void lmb_weights_meta_remove(lmb_weights *w, const char *key);
/* Elements of all tensors. */
int64_t lmb_weights_elements(const lmb_weights *w);

/* Reads a file of any format we know, told apart by content: safetensors,
 * torch.save's zip and its older form. Names come without what wrapper modules
 * put before them (weights_unwrap.h). *out is owned by the caller and unchanged
 * on failure. Errors name the file. */
lmb_status lmb_weights_load(const char *path, lmb_weights **out) LMB_MUST_CHECK;
/* The same from memory; `name` stands in the messages. */
lmb_status lmb_weights_parse(const void *bytes, size_t size, const char *name,
    lmb_weights **out) LMB_MUST_CHECK;
/* Writes the format that the name ends in (.safetensors, .pth, .pt), whole or
 * not at all. */
lmb_status lmb_weights_save(
    const char *path, const lmb_weights *w) LMB_MUST_CHECK;

#endif
