/* commands.c: the table of commands. */
#include "cli/cli.h"
#include "cli/cli_impl.h"

#define LMB_COMMAND(name) extern const cli_command cmd_##name;
#include "cli/commands.def"
#undef LMB_COMMAND

static const cli_command *const table[] = {
#define LMB_COMMAND(name) &cmd_##name,
#include "cli/commands.def"
#undef LMB_COMMAND
};

const cli_command *const *cli_commands(int *count)
{
    *count = (int)LMB_COUNT(table);
    return table;
}

const cli_command *cli_command_find(const char *name)
{
    for (size_t i = 0; i < LMB_COUNT(table); i++)
        if (cli_among(table[i]->name, name) ||
            cli_among(table[i]->aliases, name))
            return table[i];
    return NULL;
}
