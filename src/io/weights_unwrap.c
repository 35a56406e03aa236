/* weights_unwrap.c: a network's own names out of those of its wrappers.
 *
 * A wrapper module puts its attribute's name before every name of the network:
 *   module.     torch's DataParallel, DistributedDataParallel, AveragedModel
 *   _orig_mod.  torch.compile
 *   model.      a LightningModule, by custom
 *   student.    mdistiller's distillers, and Lightning's by custom
 * A word is taken off only if all names have it, for it may be the network's
 * own: our mobilenet_v1 has names with "model." and with "fc.". But two kinds
 * of wrapper hold tensors besides the network's, and these are dropped:
 * AveragedModel counts in `n_averaged`, and a distiller has the teacher and
 * often connectors as well. Sources: torch/optim/swa_utils.py;
 * mdistiller/engine/trainer.py and distillers/_base.py. */
#include "io/weights_unwrap.h"

#include "base/str.h"
#include "io/mapping.h"

#include <string.h>

/* More wrappers in each other than anyone has; bounds a hostile file's work. */
enum { WRAPPERS_MAX = 8 };

typedef struct wrapper {
    const char *word;
    const char *count; /* a scalar of its own, or NULL */
    bool beside; /* it may hold other modules than the network */
    lmb_rename_rule rules[3]; /* take the word off, drop the rest */
} wrapper;

static const wrapper wrappers[] = {
    {"module.", "n_averaged", false, {{"module.**", "**"}, {"**", NULL}}},
    {"_orig_mod.", NULL, false, {{"_orig_mod.**", "**"}, {"**", NULL}}},
    {"model.", NULL, false, {{"model.**", "**"}, {"**", NULL}}},
    {"student.", NULL, true, {{"student.**", "**"}, {"**", NULL}}},
};

/* A tensor of the wrapper's own, which may be dropped. */
static bool is_beside(const wrapper *x, const lmb_weight *item)
{
    if (x->beside)
        return true;
    return x->count != NULL && strcmp(item->name, x->count) == 0 &&
        item->tensor->shape.rank == 0;
}

/* How many tensors are of the module that `x` wraps; 0 if `x` is not there. */
static size_t count_inside(const lmb_weights *w, const wrapper *x)
{
    const size_t n = strlen(x->word);
    size_t inside = 0;
    for (size_t i = 0; i < w->count; i++) {
        const char *name = w->items[i].name;
        const bool begins = strncmp(name, x->word, n) == 0;
        if (begins ? name[n] == '\0' : !is_beside(x, &w->items[i]))
            return 0;
        inside += begins ? 1 : 0;
    }
    return inside;
}

static lmb_status note(lmb_weights *w, const char *word)
{
    const char *way = w->unwrapped != NULL
        ? lmb_arena_printf(w->text_, "%s, %s", w->unwrapped, word)
        : word;
    if (way == NULL)
        return LMB_FAIL(LMB_ENOMEM, "out of memory: weights");
    w->unwrapped = way;
    return LMB_OK;
}

static lmb_status take_off(lmb_weights *w, const wrapper *x, size_t inside)
{
    const int64_t dropped = (int64_t)(w->count - inside);
    LMB_TRY(lmb_weights_rename(w, x->rules));
    w->ignored += dropped;
    return note(w, x->word);
}

lmb_status lmb__weights_unwrap(lmb_weights *w)
{
    for (int taken = 0; taken < WRAPPERS_MAX; taken++) {
        const wrapper *x = NULL;
        size_t inside = 0;
        for (size_t k = 0; k < LMB_COUNT(wrappers) && inside == 0; k++) {
            x = &wrappers[k];
            inside = count_inside(w, x);
        }
        if (inside == 0)
            return LMB_OK;
        LMB_TRY(take_off(w, x, inside));
    }
    return LMB_OK;
}
