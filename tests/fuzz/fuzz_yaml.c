/* fuzz_yaml.c: configuration files from anywhere: parse, resolve, dump. */
#include "train/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static lmb_status try_config(
    const uint8_t *data, size_t size, lmb_config *config, lmb_run_config *run)
{
    LMB_TRY(lmb_config_init(config));
    LMB_TRY(lmb_run_config_init(run));
    /* A base would read files that the corpus does not have. */
    LMB_TRY(lmb_config_parse(config, data, size, "fuzz.yaml"));
    return lmb_config_resolve(config, run);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lmb_config config = {0};
    lmb_run_config run = {0};
    lmb_str out = {0};
    if (size > 1 << 16)
        return 0;
    lmb_status st = try_config(data, size, &config, &run);
    if (st == LMB_OK)
        st = lmb_config_dump(&run, &config, &out);
    (void)st;
    lmb_str_fini(&out);
    lmb_run_config_fini(&run);
    lmb_config_fini(&config);
    return 0;
}
