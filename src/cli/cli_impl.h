/* cli_impl.h: what the files behind cli.h share. */
#ifndef LMB_CLI_CLI_IMPL_H
#define LMB_CLI_CLI_IMPL_H

#include "cli/cli.h"

/* Flags of every command; ended by {0}. */
const cli_flag *cli_common_flags(void);
/* Is `name` one of "a|b"? Dashes and underscores alike; letters exactly. */
bool cli_among(const char *list, const char *name);
/* --config files alone, and what comes after them. */
lmb_status cli_config_files(const cli *c, lmb_config *config) LMB_MUST_CHECK;
lmb_status cli_config_overrides(
    const cli *c, lmb_config *config) LMB_MUST_CHECK;

#endif
