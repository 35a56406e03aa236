/* open.h: what --weights, --model, --mean, --std and --size say together, for
 * the commands that run a network. */
#ifndef LMB_CLI_OPEN_H
#define LMB_CLI_OPEN_H

#include "cli/cli.h"
#include "train/network.h"

/* Rows for a command's table of flags. */
#define CLI_FLAG_WEIGHTS \
    { \
        "weights", "FILE", "safetensors or torch file", "w", NULL \
    }
#define CLI_FLAG_MEAN \
    { \
        "mean", "R,G,B", \
            "of the input, pixels in 0 .. 1 (default: the file's)", NULL, NULL \
    }
#define CLI_FLAG_STD \
    { \
        "std", "R,G,B", "and its deviation", NULL, NULL \
    }

/* Three numbers; *given tells whether the flag was there. */
lmb_status cli_three(
    const cli *c, const char *name, double out[3], bool *given) LMB_MUST_CHECK;
/* --std, each above 0. */
lmb_status cli_std(const cli *c, double out[3], bool *given) LMB_MUST_CHECK;
/* Loads --weights as --model (NULL: what the file says). mean and std are the
 * defaults where neither flags nor file say; NULL: then it is EUSAGE. *about
 * is owned by the caller (may be NULL). */
lmb_status cli_open_network(const cli *c, const char *model, const double *mean,
    const double *std, int size, lmb_network *out,
    lmb_weights_about *about) LMB_MUST_CHECK;
/* The precision that flags or configuration ask for; f32 where none does.
 * EUSAGE, EUNSUPPORTED. */
lmb_status cli_bf16(
    const cli *c, const lmb_run_config *config, bool *out) LMB_MUST_CHECK;

#endif
