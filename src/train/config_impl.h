/* config_impl.h: what the files of config share; not for others. */
#ifndef LMB_TRAIN_CONFIG_IMPL_H
#define LMB_TRAIN_CONFIG_IMPL_H

#include "train/config.h"

typedef struct lmb_config_key {
    const char *name, *aliases; /* "a|b" or NULL */
} lmb_config_key;

/* The keys that are not rows of an option table; ended by {NULL}. */
const lmb_config_key *lmb__config_keys(void);
/* Is `word` one of "a|b|c", in any case? */
bool lmb__config_among(const char *list, const char *word);
/* Is the network that is trained a detector? */
bool lmb__config_detects(const lmb_run_config *run);
/* Paths in place of those that count from the working folder; in its arena. */
lmb_status lmb__config_absolute(lmb_run_config *run) LMB_MUST_CHECK;
/* Does a text name several networks? */
bool lmb__config_is_model_list(const char *text);
/* Drops a canonical key and everything below it. */
void lmb__config_erase(lmb_config *c, const char *key);
/* Puts the origin before a message; wrong values become wrong usage. */
lmb_status lmb__config_at(const char *origin, lmb_status st);

#endif
