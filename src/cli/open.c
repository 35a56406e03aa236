/* open.c: networks from weight files, for the commands that run them. */
#include "cli/open.h"

#include "train/build_info.h"

#include <math.h>
#include <string.h>

lmb_status cli_three(const cli *c, const char *name, double out[3], bool *given)
{
    const char *text = cli_value(c, name);
    *given = text != NULL;
    for (int i = 0; text != NULL && i < 3; i++) {
        char word[40];
        const size_t n = strcspn(text, ",");
        if (n >= sizeof word || (i < 2) != (text[n] == ','))
            goto wrong;
        memcpy(word, text, n);
        word[n] = '\0';
        if (!lmb_parse_f64(word, &out[i]) || !isfinite(out[i]))
            goto wrong;
        text += n + (text[n] == ',');
    }
    return LMB_OK;
wrong:
    return LMB_FAIL(LMB_EUSAGE,
        "limbeck %s: --%s: '%s' is not three numbers, R,G,B", c->command->name,
        name, cli_value(c, name));
}

lmb_status cli_std(const cli *c, double out[3], bool *given)
{
    LMB_TRY(cli_three(c, "std", out, given));
    for (int i = 0; i < 3 && *given; i++)
        if (out[i] <= 0)
            return LMB_FAIL(LMB_EUSAGE, "limbeck %s: --std: %g is not above 0",
                c->command->name, out[i]);
    return LMB_OK;
}

lmb_status cli_open_network(const cli *c, const char *model, const double *mean,
    const double *std, int size, lmb_network *out, lmb_weights_about *about)
{
    static const double zero[3] = {0, 0, 0}, one[3] = {1, 1, 1};
    double flag_mean[3], flag_std[3];
    bool has_mean = false, has_std = false;
    const char *weights = NULL;
    lmb_weights_about says = {0};
    lmb_network net = {0};
    LMB_TRY(cli_need(c, "weights", &weights));
    LMB_TRY(cli_three(c, "mean", flag_mean, &has_mean));
    LMB_TRY(cli_std(c, flag_std, &has_std));
    LMB_TRY(lmb_network_load(weights, model, has_mean ? flag_mean : NULL,
        has_std ? flag_std : NULL, mean != NULL ? mean : zero,
        std != NULL ? std : one, size, &net, &says));
    lmb_status st = LMB_OK;
    if (mean == NULL && !says.has_norm && !(has_mean && has_std))
        st = LMB_FAIL(LMB_EUSAGE,
            "%s does not say how its input is normalised: give --mean R,G,B "
            "and --std R,G,B (torchvision's: --mean 0.485,0.456,0.406 --std "
            "0.229,0.224,0.225)",
            weights);
    if (st != LMB_OK || about == NULL)
        lmb_weights_about_fini(&says);
    if (st != LMB_OK) {
        lmb_network_fini(&net);
        return st;
    }
    *out = net;
    if (about != NULL)
        *about = says;
    return LMB_OK;
}

lmb_status cli_bf16(const cli *c, const lmb_run_config *config, bool *out)
{
    const int asked = config->train.precision;
    lmb_build_info info;
    lmb_build_info_get(&info);
    *out = asked == LMB_PRECISION_BF16 ||
        (asked == LMB_PRECISION_AUTO && cli_value(c, "precision") != NULL &&
            info.bf16);
    if (*out && !info.has_bf16)
        return LMB_FAIL(LMB_EUNSUPPORTED,
            "precision bf16: this CPU has neither AVX512_BF16 nor AMX");
    return LMB_OK;
}
