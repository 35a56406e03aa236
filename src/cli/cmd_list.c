/* cmd_list.c: limbeck list models | methods | datasets | ops | taps MODEL */
#include "cli/cli.h"

#include "data/data.h"
#include "model/model.h"
#include "op/ops.h"

#include <string.h>

/* --- models */

static lmb_status model_row(
    const lmb_model *m, bool json, bool first, lmb_str *out)
{
    lmb_model_info info;
    LMB_TRY(lmb_model_describe(m, 0, 0, &info));
    if (json)
        lmb_str_printf(out,
            "%s\n{\"name\": \"%s\", \"task\": \"%s\", \"parameters\": %lld, "
            "\"macs\": %lld, \"classes\": %d, \"size\": %d}",
            first ? "" : ",", m->name, m->task, (long long)info.parameters,
            (long long)info.macs, m->default_classes, m->default_size);
    else
        lmb_str_printf(out, "%-24s %-15s %12lld %14lld  %4d classes, %d px\n",
            m->name, m->task, (long long)info.parameters, (long long)info.macs,
            m->default_classes, m->default_size);
    return LMB_OK;
}

static lmb_status list_models(bool json, lmb_str *out)
{
    int count = 0;
    const lmb_model *const *all = lmb_models(&count);
    if (json)
        lmb_str_add(out, "[");
    else
        lmb_str_printf(out, "%-24s %-15s %12s %14s\n", "name", "task",
            "parameters", "macs");
    for (int i = 0; i < count; i++)
        LMB_TRY(model_row(all[i], json, i == 0, out));
    lmb_str_add(out, json ? "\n]\n" : "");
    return LMB_OK;
}

/* --- methods */

static void option_json(const lmb_opt *row, bool first, lmb_str *out)
{
    static const char *const types[] = {
        "", "number", "integer", "boolean", "choice"};
    lmb_str_add(out, first ? "" : ", ");
    lmb_str_printf(out,
        "{\"name\": \"%s\", \"type\": \"%s\", \"help\": ", row->name,
        types[row->type]);
    lmb_str_json(out, row->help);
    lmb_str_add(out, ", \"default\": ");
    lmb_str_json_number(out, row->def);
    if (row->choices != NULL) {
        lmb_str_add(out, ", \"choices\": ");
        lmb_str_json(out, row->choices);
    } else if (row->type != LMB_OPT_BOOL) {
        lmb_str_add(out, ", \"low\": ");
        lmb_str_json_number(out, row->low);
        lmb_str_add(out, ", \"high\": ");
        lmb_str_json_number(out, row->high);
    }
    lmb_str_add(out, "}");
}

static void method_json(const lmb_method *m, bool first, lmb_str *out)
{
    lmb_str_printf(
        out, "%s\n{\"name\": \"%s\", \"title\": ", first ? "" : ",", m->name);
    lmb_str_json(out, m->title);
    lmb_str_add(out, ", \"source\": ");
    lmb_str_json(out, m->source);
    lmb_str_printf(out,
        ", \"weight\": %g, \"ce_weight\": %g, \"warmup\": %g, \"options\": [",
        m->weight, m->ce_weight, m->warmup);
    for (const lmb_opt *o = m->opts; o != NULL && o->name != NULL; o++)
        option_json(o, o == m->opts, out);
    lmb_str_add(out, "]}");
}

static void list_methods(bool json, lmb_str *out)
{
    int count = 0;
    const lmb_method *const *all = lmb_methods(&count);
    lmb_str_add(out, json ? "[" : "");
    for (int i = 0; i < count; i++) {
        if (json)
            method_json(all[i], i == 0, out);
        else
            lmb_str_printf(out, "%-10s %s\n           %s\n", all[i]->name,
                all[i]->title, all[i]->source);
    }
    lmb_str_add(
        out, json ? "\n]\n" : "\n`limbeck help METHOD` lists options\n");
}

/* --- data sets, ops, taps */

/* One item of a list of names with a line of help. */
static void named(lmb_str *out, bool json, bool first, const char *name,
    const char *key, const char *text)
{
    if (!json) {
        lmb_str_printf(out, "%-22s %s\n", name, text);
        return;
    }
    lmb_str_add(out, first ? "\n{\"name\": " : ",\n{\"name\": ");
    lmb_str_json(out, name);
    lmb_str_printf(out, ", \"%s\": ", key);
    lmb_str_json(out, text);
    lmb_str_add(out, "}");
}

static void list_datasets(bool json, lmb_str *out)
{
    lmb_str_add(out, json ? "[" : "");
    for (int i = 0; lmb_dataset_row_name(i) != NULL; i++)
        named(out, json, i == 0, lmb_dataset_row_name(i), "help",
            lmb_dataset_row_help(i));
    lmb_str_add(out, json ? "\n]\n" : "");
}

static void list_ops(bool json, lmb_str *out)
{
    int count = 0;
    const lmb_op *const *all = lmb_ops(&count);
    lmb_str_add(out, json ? "[" : "");
    for (int i = 0; i < count; i++)
        named(out, json, i == 0, all[i]->name, "gradient",
            all[i]->grad != NULL      ? "has a gradient"
                : all[i]->no_gradient ? "gradient is zero"
                                      : "no gradient");
    lmb_str_add(out, json ? "\n]\n" : "");
}

/* A shape is text as it is an array of JSON: "[1, 64, 32, 32]". */
static void tap_row(const char *name, const lmb_shape *shape, bool json,
    bool first, lmb_str *out)
{
    if (!json) {
        lmb_str_printf(out, "%-22s %s\n", name, lmb_shape_text(shape));
        return;
    }
    lmb_str_add(out, first ? "\n{\"name\": " : ",\n{\"name\": ");
    lmb_str_json(out, name);
    lmb_str_printf(out, ", \"shape\": %s}", lmb_shape_text(shape));
}

static lmb_status list_taps(const char *name, bool json, lmb_str *out)
{
    lmb_model_spec spec;
    lmb_model_info info;
    LMB_TRY(lmb_model_spec_parse(name, &spec));
    LMB_TRY(lmb_model_spec_describe(&spec, 0, 0, &info));
    lmb_str_add(out, json ? "[" : "");
    for (int i = 0; i < info.n_taps; i++)
        tap_row(info.taps[i].name, &info.taps[i].shape, json, i == 0, out);
    lmb_str_add(out, json ? "\n]\n" : "");
    return LMB_OK;
}

static lmb_status list(const cli *c, lmb_str *out)
{
    static const char *const kinds[] = {
        "models", "methods", "datasets", "ops", "taps"};
    const char *kind = c->words[0];
    if (c->n_words == 2 && strcmp(kind, "taps") != 0)
        return LMB_FAIL(LMB_EUSAGE,
            "limbeck list: '%s' is one argument too many", c->words[1]);
    if (strcmp(kind, "models") == 0)
        return list_models(c->json, out);
    if (strcmp(kind, "methods") == 0)
        list_methods(c->json, out);
    else if (strcmp(kind, "datasets") == 0)
        list_datasets(c->json, out);
    else if (strcmp(kind, "ops") == 0)
        list_ops(c->json, out);
    else if (strcmp(kind, "taps") == 0) {
        LMB_TRY(cli_need_words(c, 2, "MODEL is"));
        return list_taps(c->words[1], c->json, out);
    } else {
        const char *near = lmb_str_nearest(kind, kinds, LMB_COUNT(kinds));
        return LMB_FAIL(LMB_EUSAGE, "limbeck list: unknown list '%s'%s%s%s",
            kind, near != NULL ? "; did you mean '" : "; see `limbeck ",
            near != NULL ? near : "help list", near != NULL ? "'?" : "`");
    }
    return LMB_OK;
}

static lmb_status run(cli *c)
{
    lmb_str out = {0};
    LMB_TRY(cli_need_words(c, 1, "what to list is"));
    const lmb_status st = list(c, &out);
    if (st != LMB_OK) {
        lmb_str_fini(&out);
        return st;
    }
    return cli_put_str(&out);
}

const cli_command cmd_list = {
    .name = "list",
    .usage = "models | methods | datasets | ops | taps MODEL",
    .title = "what there is to choose from",
    .max_words = 2,
    .run = run,
};
