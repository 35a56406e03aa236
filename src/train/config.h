/* config.h: a run's configuration as text: keys, values and where each came
 * from, merged from files, --set and flags; then resolved to lmb_run_config.
 *
 * Keys are dotted and matched without case; every spelling is stored under one
 * name ("SOLVER.LR", "lr" and "train.lr" are "train.lr"), and a later value
 * replaces an earlier one. A list replaces the whole earlier list. */
#ifndef LMB_TRAIN_CONFIG_H
#define LMB_TRAIN_CONFIG_H

#include "train/run_config.h"

typedef struct lmb_config_entry {
    const char *key; /* "train.lr", "methods.0.options.alpha" */
    const char *value; /* a list of scalars is "a, b, c" */
    const char *origin; /* "run.yaml:12", "--lr" */
    int place; /* lmb_config.place when it was set */
    const struct lmb_config_entry *replaced; /* of this key, or NULL */
} lmb_config_entry;

typedef struct lmb_config {
    lmb_arena *arena;
    lmb_config_entry *entries;
    size_t count, capacity;
    /* Each file is a place of its own, and so is what is set behind it, as the
     * command line: numbered from 1 as they come. */
    int place;
} lmb_config;

lmb_status lmb_config_init(lmb_config *c) LMB_MUST_CHECK;
void lmb_config_fini(lmb_config *c);

/* Adds the keys of a YAML file, after those of the files that its `_base_`
 * names (relative to it). mdistiller's files are read as they are.
 * Errors: ENOTFOUND; EFORMAT for broken YAML; EUSAGE for an unknown key or a
 * bad value, with file, line and the nearest name. */
lmb_status lmb_config_load(lmb_config *c, const char *path) LMB_MUST_CHECK;
/* The same from memory; `name` stands in the messages. */
lmb_status lmb_config_parse(lmb_config *c, const void *bytes, size_t size,
    const char *name) LMB_MUST_CHECK;
/* One key. Errors: EUSAGE starts with the origin. */
lmb_status lmb_config_set(lmb_config *c, const char *key, const char *value,
    const char *origin) LMB_MUST_CHECK;
/* "a.b=c", or "method.alpha=4". */
lmb_status lmb_config_assign(
    lmb_config *c, const char *assignment, const char *origin) LMB_MUST_CHECK;
/* The entry in force (a canonical key), or NULL. */
const lmb_config_entry *lmb_config_find(const lmb_config *c, const char *key);

/* Typed values; *out was made by lmb_run_config_init, and its texts are
 * copied. Errors: EUSAGE names the origin of the value at fault. */
lmb_status lmb_config_resolve(
    const lmb_config *c, lmb_run_config *out) LMB_MUST_CHECK;

/* The whole configuration as YAML that reads back to the same run; with
 * `origins` (may be NULL) a comment says where each value came from. */
lmb_status lmb_config_dump(const lmb_run_config *run, const lmb_config *origins,
    lmb_str *out) LMB_MUST_CHECK;
/* The text of a run's config.yaml: the dump with paths that hold in any folder.
 * EUSAGE names the key of a value that is not UTF-8, which YAML must be. */
lmb_status lmb_config_text(const lmb_run_config *run, const lmb_config *origins,
    lmb_str *out) LMB_MUST_CHECK;
/* It is written to DIR/config.yaml. */
lmb_status lmb_config_save(const lmb_run_config *run, const lmb_config *origins,
    const char *dir) LMB_MUST_CHECK;

/* Whether the run of `b` is that of `a`, apart from what does not change its
 * numbers (logging, saving, loader threads) and from other ways to say the same
 * (a default that is spelt out, another path to a file). Data and weights may
 * lie elsewhere if the run of b->out has saved a state, which knows them by a
 * hash. EUSAGE names the first key that differs, and both values. */
lmb_status lmb_config_same_run(
    const lmb_run_config *a, const lmb_run_config *b) LMB_MUST_CHECK;

#endif
