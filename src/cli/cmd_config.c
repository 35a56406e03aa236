/* cmd_config.c: limbeck config show: the merged configuration and where each
 * value comes from. */
#include "cli/cli.h"
#include "cli/cli_impl.h"

#include "io/yaml.h"

#include <math.h>
#include <string.h>

/* A scalar as JSON has it: YAML's 1, true and null without quotes. */
static void add_scalar(lmb_str *out, const lmb_yaml *v)
{
    double number = 0;
    if (v->null)
        lmb_str_add(out, "null");
    else if (strcmp(v->text, "true") == 0 || strcmp(v->text, "false") == 0)
        lmb_str_add(out, v->text);
    else if (lmb_parse_f64(v->text, &number) && isfinite(number))
        lmb_str_json_number(out, number);
    else
        lmb_str_json(out, v->text);
}

static void add_value(lmb_str *out, const lmb_yaml *v)
{
    const bool map = v->kind == LMB_YAML_MAP;
    if (v->kind == LMB_YAML_SCALAR) {
        add_scalar(out, v);
        return;
    }
    lmb_str_add(out, map ? "{" : "[");
    for (const lmb_yaml *k = v->first; k != NULL; k = k->next) {
        lmb_str_add(out, k != v->first ? ", " : "");
        if (map)
            lmb_str_json(out, k->key);
        lmb_str_add(out, map ? ": " : "");
        add_value(out, k);
    }
    lmb_str_add(out, map ? "}" : "]");
}

/* Without the origins, which JSON has no comments for. */
static lmb_status put_json(const cli *c, const lmb_str *yaml)
{
    const lmb_yaml *root = NULL;
    lmb_str out = {0};
    LMB_TRY(lmb_yaml_parse(
        yaml->text, yaml->length, "config show", c->arena, &root));
    add_value(&out, root);
    lmb_str_add(&out, "\n");
    return cli_put_str(&out);
}

static lmb_status show(const cli *c)
{
    lmb_config config = {0};
    lmb_run_config run = {0};
    lmb_str out = {0};
    lmb_status st = LMB_OK;
    LMB_GOTO(lmb_config_init(&config), st, done);
    LMB_GOTO(lmb_run_config_init(&run), st, done);
    for (size_t i = 1; i < c->n_words; i++)
        LMB_GOTO(lmb_config_load(&config, c->words[i]), st, done);
    LMB_GOTO(cli_run_config(c, &config, &run), st, done);
    LMB_GOTO(lmb_config_dump(&run, &config, &out), st, done);
    LMB_GOTO(c->json ? put_json(c, &out) : cli_put(out.text), st, done);
done:
    lmb_str_fini(&out);
    lmb_run_config_fini(&run);
    lmb_config_fini(&config);
    return st;
}

static lmb_status run(cli *c)
{
    LMB_TRY(cli_need_words(c, 1, "'show' is"));
    if (strcmp(c->words[0], "show") != 0)
        return LMB_FAIL(LMB_EUSAGE,
            "limbeck config: '%s' is not known; it is `config show`",
            c->words[0]);
    return show(c);
}

const cli_command cmd_config = {
    .name = "config",
    .usage = "show [FILE...] [flags]",
    .title = "the configuration that files and flags make, with origins",
    .config = "*",
    .max_words = 32,
    .run = run,
};
