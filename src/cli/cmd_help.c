/* cmd_help.c: limbeck help [VERB | METHOD | config] */
#include "cli/cli.h"

#include <string.h>

static void add_options(lmb_str *out, const char *where, const char *const *row)
{
    if (row == NULL)
        return;
    lmb_str_printf(out, "\non %s, if not given:", where);
    for (; row[0] != NULL; row += 2)
        lmb_str_printf(out, " %s=%s", row[0], row[1]);
    lmb_str_add(out, "\n");
}

static lmb_status method_help(const lmb_method *m)
{
    lmb_str out = {0};
    lmb_str_printf(&out,
        "%s: %s\nsource: %s\n\nweight %g, beside cross-entropy with weight %g; "
        "warm-up over %g epochs\n\noptions (--set method.KEY=VALUE):\n",
        m->name, m->title, m->source, m->weight, m->ce_weight, m->warmup);
    lmb_opt_help(m->opts, &out);
    add_options(&out, "detectors", m->detector_options);
    add_options(&out, "two-stage detectors", m->two_stage_options);
    if (m->warmup > 0)
        lmb_str_add(&out, "\nwarm-up on detectors: none\n");
    if (m->two_stage_weight > 0)
        lmb_str_printf(
            &out, "\nweight of two-stage detectors: %g\n", m->two_stage_weight);
    return cli_put_str(&out);
}

static lmb_status config_help(void)
{
    lmb_str out = {0};
    lmb_str_add(&out,
        "Configuration files are YAML; keys are matched without case. A later\n"
        "file wins over an earlier one, --set KEY=VALUE and flags win over\n"
        "files, and of these the last on the command line wins.\n");
    lmb_str_printf(&out,
        "A run has at most %d methods, %d teachers and %d stages.\n\n",
        (int)LMB_MAX_METHODS, (int)LMB_MAX_TEACHERS, (int)LMB_MAX_STAGES);
    lmb_str_add(&out,
        "  _base_: FILE | [FILE, ...]   read first, relative to this file\n"
        "  student: NAME                also `model`\n"
        "  teachers:                    or `teacher: NAME` and "
        "`teacher_weights: FILE`\n"
        "    - model: NAME\n"
        "      weights: FILE\n"
        "      mean: [R, G, B]          of its input, if its file says "
        "nothing\n"
        "      std: [R, G, B]\n"
        "      input: X                 its input size, a factor on the "
        "student's\n"
        "  methods: [NAME, ...]         or, with options:\n"
        "    - name: NAME\n"
        "      weight: W\n"
        "      warmup: EPOCHS           of the run, or of each stage that "
        "begins "
        "anew\n"
        "      schedule: constant|linear|cosine   how the weight falls\n"
        "      map: ['teacher.f3 -> student.f2']\n"
        "      options: {KEY: VALUE}    `limbeck help METHOD` lists them\n"
        "  method.KEY: VALUE            of the one method; method.NAME.KEY of "
        "several\n"
        "  stages:                      several teachers in turn (default: "
        "each an equal part):\n"
        "    - teacher: N               from 0, or its model\n"
        "      until: EPOCH             its last; default: an equal part of "
        "the rest\n"
        "      lr: LR                   default: the run's\n"
        "      methods: [NAME, ...]     default: all\n"
        "  ce_weight: W                 of cross-entropy (the method's "
        "default), of a detector's\n"
        "                               own losses (1)\n"
        "  init: FILE                   weights to start from\n"
        "  out: RUN                     directory of the run\n"
        "  data: KIND:DIR               or, below it:\n"
        "    spec: KIND:DIR\n"
        "    train_split: NAME          test_split, classes\n"
        "    train.json: FILE           coco: files named outright; "
        "train.images,\n"
        "                               test.json, test.images\n");
    lmb_opt_help(lmb_picture_opts_table, &out);
    lmb_str_add(&out,
        "  train:                       keys, defaults and ranges:\n"
        "    cache: DIR                 of the teacher's logits: kept there, "
        "and read\n"
        "    decay_epochs: [E, E, ...]  after which the learning rate falls; "
        "of each stage that\n"
        "                               begins anew, if all are within it\n");
    lmb_opt_help(lmb_train_opts_table, &out);
    lmb_str_add(&out,
        "\nDetectors have other defaults: epochs 12, batch 8, weight_decay "
        "0.0001, clip_norm 35,\nteacher_check 100.\n"
        "mdistiller's files (DISTILLER, SOLVER, and a section for the "
        "method) are read as they are\nfor the methods that are here: KD, DKD, "
        "PCD, DIST, NKD, AT, FitNet, RKD, SP, and training\nalone; give "
        "--data, --out and, with a method, --teacher-weights.\n");
    return cli_put_str(&out);
}

static lmb_status unknown_topic(const char *word)
{
    const char *names[128];
    size_t n = 0;
    int count = 0;
    const cli_command *const *commands = cli_commands(&count);
    for (int i = 0; i < count && n < LMB_COUNT(names); i++)
        names[n++] = commands[i]->name;
    const lmb_method *const *methods = lmb_methods(&count);
    for (int i = 0; i < count && n < LMB_COUNT(names); i++)
        names[n++] = methods[i]->name;
    const char *near = lmb_str_nearest(word, names, n);
    return LMB_FAIL(LMB_EUSAGE,
        "limbeck help: '%s' is neither a verb nor a method%s%s%s", word,
        near != NULL ? "; did you mean " : "", near != NULL ? near : "",
        near != NULL ? "?" : "");
}

static lmb_status run(cli *c)
{
    if (c->n_words == 0) {
        if (c->json)
            return cli_help_json(c, NULL);
        cli_help_overview(stdout);
        return LMB_OK;
    }
    const cli_command *command = cli_command_find(c->words[0]);
    const lmb_method *method = lmb_method_find(c->words[0]);
    if (command != NULL && c->json)
        return cli_help_json(c, command);
    if (c->json)
        return LMB_FAIL(LMB_EUSAGE,
            "limbeck help: --json is for verbs (`limbeck list methods --json` "
            "has the methods)");
    if (command != NULL && strcmp(command->name, "config") != 0)
        return cli_help_command(c, command, stdout);
    if (method != NULL)
        return method_help(method);
    if (command == NULL)
        return unknown_topic(c->words[0]);
    LMB_TRY(cli_help_command(c, command, stdout));
    return config_help();
}

const cli_command cmd_help = {
    .name = "help",
    .usage = "[VERB | METHOD | config] [--json]",
    .title = "explains verbs, methods, configuration files",
    .max_words = 1,
    .run = run,
};
