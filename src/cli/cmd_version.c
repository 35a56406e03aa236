/* cmd_version.c: limbeck version */
#include "cli/cli.h"

#include "train/build_info.h"

static lmb_status run(cli *c)
{
    lmb_str out = {0};
    lmb_build_info info;
    lmb_build_info_get(&info);
    if (c->json)
        lmb_str_printf(&out,
            "{\"version\": \"%s\", \"compiler\": \"%s\", \"cpu_level\": "
            "\"%s\", \"dnn\": \"%s\", \"bf16\": %s}\n",
            info.version, info.compiler, info.cpu_level, info.dnn,
            info.bf16 ? "true" : "false");
    else
        lmb_str_printf(&out,
            "limbeck %s\ncompiler  %s\nlibrary   %s\nkernels   %s%s\n",
            info.version, info.compiler, info.dnn, info.cpu_level,
            info.bf16 ? ", bf16" : "");
    return cli_put_str(&out);
}

const cli_command cmd_version = {
    .name = "version",
    .usage = "[--json]",
    .title = "the program's version and those of its libraries",
    .run = run,
};
