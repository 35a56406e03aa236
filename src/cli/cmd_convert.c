/* cmd_convert.c: limbeck convert: weights from one file format to another. */
#include "cli/open.h"

#include "data/lines.h"
#include "io/mapping.h"
#include "model/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const cli_flag flags[] = {
    {"rename", "SET",
        "other people's names into ours; with --model it is found out", NULL,
        NULL},
    {"size", "N", "input size to note down; of a detector, the long side", NULL,
        NULL},
    {"short-side", "N", "a detector's short side", NULL, NULL},
    {"channels", "ORDER", "order that the input is expected in: RGB, BGR", NULL,
        NULL},
    CLI_FLAG_MEAN,
    CLI_FLAG_STD,
    {"names", "FILE", "the classes' names to note down, one a line", NULL,
        NULL},
    {0},
};

static lmb_status rename_as_asked(const cli *c, lmb_weights *w)
{
    const char *name = cli_value(c, "rename");
    if (name == NULL)
        return LMB_OK;
    const lmb_rename_set *set = lmb_rename_find(name);
    lmb_str known = {0};
    if (set != NULL)
        return lmb_weights_rename(w, set->rules);
    for (const lmb_rename_set *s = lmb_rename_sets(); s->name != NULL; s++)
        lmb_str_printf(&known, "%s%s", known.length > 0 ? ", " : "", s->name);
    const lmb_status st =
        LMB_FAIL(LMB_EUSAGE, "limbeck convert: --rename '%s' is not one of %s",
            name, known.text != NULL ? known.text : "");
    lmb_str_fini(&known);
    return st;
}

/* The classes by any tensor that is shaped as a classifier: after renaming
 * its name is the model's; before, every set is tried. */
static lmb_status find_classes(
    lmb_weights *w, const char *path, const lmb_model *m, int *out)
{
    lmb_status st = lmb_weights_classes(w, path, m, out);
    const lmb_tensor *last = NULL;
    for (size_t i = 0; i < w->count; i++)
        if (w->items[i].tensor->shape.rank == 2)
            last = w->items[i].tensor;
    if (st == LMB_OK || last == NULL || last->shape.dim[0] > INT16_MAX)
        return st;
    *out = (int)last->shape.dim[0];
    return LMB_OK;
}

static lmb_status set_channels(const cli *c, lmb_weights_about *about)
{
    const char *order = cli_value(c, "channels");
    if (order == NULL)
        return LMB_OK;
    if (!lmb_str_equal_nocase(order, "RGB") &&
        !lmb_str_equal_nocase(order, "BGR"))
        return LMB_FAIL(LMB_EUSAGE,
            "limbeck convert: --channels '%s' is not RGB or BGR", order);
    (void)snprintf(about->channels, sizeof about->channels, "%s",
        lmb_str_equal_nocase(order, "BGR") ? "BGR" : "RGB");
    return LMB_OK;
}

static lmb_status set_sizes(const cli *c, lmb_weights_about *about)
{
    int64_t size = 0, short_side = 0;
    LMB_TRY(cli_i64(c, "size", 8, 4096, &size));
    LMB_TRY(cli_i64(c, "short-side", 8, 4096, &short_side));
    if (size > 0) {
        about->size = (int)size;
        about->short_side = 0;
    }
    if (short_side > 0)
        about->short_side = (int)short_side;
    if (about->short_side > about->size)
        return LMB_FAIL(LMB_EUSAGE,
            "limbeck convert: --short-side %d is more than --size, the long "
            "side, %d",
            about->short_side, about->size);
    return LMB_OK;
}

static bool notes_something(const cli *c)
{
    static const char *const noted[] = {
        "mean", "size", "short-side", "channels"};
    for (size_t i = 0; i < LMB_COUNT(noted); i++)
        if (cli_has(c, noted[i]))
            return true;
    return false;
}

static lmb_status set_about(
    const cli *c, const lmb_network *net, const char *path, lmb_weights *w)
{
    lmb_weights_about about = {0};
    bool has_mean = false, has_std = false;
    if (net->model != NULL)
        LMB_TRY(lmb_weights_set_classes(w, path, net->classes));
    LMB_TRY(lmb_weights_about_read(w, path, &about));
    lmb_status st = LMB_OK;
    LMB_GOTO(cli_three(c, "mean", about.mean, &has_mean), st, done);
    LMB_GOTO(cli_std(c, about.std, &has_std), st, done);
    LMB_GOTO(set_sizes(c, &about), st, done);
    LMB_GOTO(set_channels(c, &about), st, done);
    if (has_mean != has_std)
        LMB_GOTO(LMB_FAIL(LMB_EUSAGE,
                     "limbeck convert: --mean and --std go together"),
            st, done);
    about.has_norm = about.has_norm || has_mean;
    if (net->model != NULL)
        (void)snprintf(about.model, sizeof about.model, "%s", net->text);
    if (net->model != NULL || notes_something(c))
        LMB_GOTO(lmb_weights_about_write(&about, w), st, done);
done:
    lmb_weights_about_fini(&about);
    return st;
}

static lmb_status note_names(
    const char *path, const lmb_lines *lines, lmb_weights *w)
{
    const char *classes = lmb_weights_meta_get(w, "classes");
    lmb_str text = {0};
    if (classes == NULL)
        return LMB_FAIL(LMB_EUSAGE,
            "limbeck convert: --names needs --model, to know the classes");
    if (lines->count != strtoll(classes, NULL, 10))
        return LMB_FAIL(LMB_EFORMAT, "%s: %lld names for %s classes", path,
            (long long)lines->count, classes);
    for (int64_t i = 0; i < lines->count; i++)
        lmb_str_printf(&text, "%s%s", i > 0 ? "\n" : "", lines->text[i]);
    lmb_status st = lmb_str_status(&text);
    if (st == LMB_OK)
        st = lmb_weights_meta_set(w, "class_names", text.text);
    lmb_str_fini(&text);
    return st;
}

static lmb_status set_names(const cli *c, lmb_weights *w)
{
    const char *path = cli_value(c, "names");
    lmb_lines lines = {0};
    if (path == NULL)
        return LMB_OK;
    lmb_status st = lmb__lines_load(path, c->arena, &lines);
    if (st == LMB_OK)
        st = note_names(path, &lines, w);
    lmb__lines_fini(&lines);
    return st;
}

static lmb_status check_model(
    const lmb_model_spec *m, const char *path, lmb_weights *w, lmb_network *net)
{
    int classes = 0;
    LMB_TRY(find_classes(w, path, m->model, &classes));
    LMB_TRY(lmb_network_make(m, classes, m->model->default_size, LMB_F32, net));
    LMB_TRY(lmb_weights_use_names_of(net->params, w));
    return lmb_weights_to_params(w, path, net->params);
}

static lmb_status print(const cli *c, const char *path, const lmb_weights *w)
{
    lmb_str out = {0};
    cli_note(c, "%s: %zu tensors, %lld elements", path, w->count,
        (long long)lmb_weights_elements(w));
    if (!c->json)
        return LMB_OK;
    lmb_str_add(&out, "{\"file\": ");
    lmb_str_json(&out, path);
    lmb_str_printf(&out, ", \"tensors\": %zu, \"elements\": %lld}\n", w->count,
        (long long)lmb_weights_elements(w));
    return cli_put_str(&out);
}

static lmb_status convert(const cli *c, const lmb_run_config *config)
{
    lmb_weights *w = NULL;
    lmb_network net = {0};
    lmb_status st = LMB_OK;
    LMB_TRY(cli_need_words(c, 2, "IN and OUT are"));
    lmb_model_spec m;
    if (config->student != NULL)
        LMB_TRY(lmb_model_spec_parse(config->student, &m));
    LMB_GOTO(lmb_weights_load(c->words[0], &w), st, done);
    LMB_GOTO(rename_as_asked(c, w), st, done);
    if (config->student != NULL)
        LMB_GOTO(check_model(&m, c->words[0], w, &net), st, done);
    LMB_GOTO(set_about(c, &net, c->words[0], w), st, done);
    LMB_GOTO(set_names(c, w), st, done);
    LMB_GOTO(lmb_weights_save(c->words[1], w), st, done);
    LMB_GOTO(print(c, c->words[1], w), st, done);
done:
    lmb_network_fini(&net);
    lmb_weights_free(w);
    return st;
}

static lmb_status run(cli *c)
{
    return cli_with_config(c, convert);
}

const cli_command cmd_convert = {
    .name = "convert",
    .usage = "IN OUT.{safetensors,pth} [--model NAME] [flags]",
    .title = "weights from one file format to another",
    .text = "With --model the names and shapes are checked, names of other "
            "sources are turned\ninto the model's, and what `predict` needs "
            "is noted in the file. Names of classes\nthat a replaced head no "
            "longer fits are left out.",
    .flags = flags,
    .config = "model",
    .max_words = 2,
    .run = run,
};
