/* run_config.c: the table of training options and their defaults. */
#include "train/run_config.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#define AT(field) offsetof(lmb_train_opts, field)

/* clang-format off */
const lmb_opt lmb_train_opts_table[] = {
    {"epochs", "passes over the training set", LMB_OPT_I64, AT(epochs), 240, 1, 100000, NULL, "SOLVER.EPOCHS"},
    {"batch", "images a step, all together", LMB_OPT_I64, AT(batch), 64, 1, 65536, NULL, "batch_size|SOLVER.BATCH_SIZE"},
    {"lr", "learning rate; 0: SGD 0.05, for MobileNetV2, ShuffleNets and Swin 0.01, other networks of ImageNet 0.025, AdamW 1e-3; detectors: SGD 0.01, Faster R-CNN 0.02, AdamW 1e-4, each times batch / 16", LMB_OPT_F64, AT(lr), 0, 0, 100, NULL, "SOLVER.LR"},
    {"momentum", "momentum of SGD", LMB_OPT_F64, AT(momentum), 0.9, 0, 1, NULL, "SOLVER.MOMENTUM"},
    {"weight_decay", "L2 penalty, on all parameters", LMB_OPT_F64, AT(weight_decay), 5e-4, 0, 10, NULL, "wd|SOLVER.WEIGHT_DECAY"},
    {"nesterov", "Nesterov momentum", LMB_OPT_BOOL, AT(nesterov), 0, 0, 1, NULL, NULL},
    {"optimizer", "update rule", LMB_OPT_ENUM, AT(optimizer), 0, 0, 0, "sgd|adamw", "SOLVER.TYPE"},
    {"beta1", "AdamW: decay of the mean", LMB_OPT_F64, AT(beta1), 0.9, 0, 0.999999, NULL, NULL},
    {"beta2", "AdamW: decay of the square", LMB_OPT_F64, AT(beta2), 0.999, 0, 0.99999999, NULL, NULL},
    {"eps", "AdamW: added to the root", LMB_OPT_F64, AT(eps), 1e-8, 0, 1, NULL, NULL},
    {"schedule", "how the learning rate falls", LMB_OPT_ENUM, AT(schedule), 0, 0, 0, "multistep|cosine|constant", NULL},
    {"decay_rate", "factor at each of decay_epochs", LMB_OPT_F64, AT(decay_rate), 0.1, 0, 1, NULL, "SOLVER.LR_DECAY_RATE"},
    {"min_lr", "end of the cosine", LMB_OPT_F64, AT(min_lr), 0, 0, 100, NULL, NULL},
    {"warmup_epochs", "linear warm-up of the learning rate; -1: none, for detectors 500 steps, a tenth of the run at most", LMB_OPT_F64, AT(warmup_epochs), -1, -1, 10000, NULL, NULL},
    {"clip_norm", "largest L2 norm of all gradients; 0: off", LMB_OPT_F64, AT(clip_norm), 0, 0, 1e9, NULL, NULL},
    {"ema", "decay of averaged student weights, evaluated and saved; 0: off", LMB_OPT_F64, AT(ema), 0, 0, 1, NULL, NULL},
    {"threads", "threads of the arithmetic; 0: all cores", LMB_OPT_I64, AT(threads), 0, 0, 1024, NULL, NULL},
    {"loader_threads", "threads that make batches; 0: none", LMB_OPT_I64, AT(loader_threads), 1, 0, 256, NULL, "workers|num_workers|DATASET.NUM_WORKERS"},
    {"seed", "of every random number", LMB_OPT_I64, AT(seed), 0, 0, 9e15, NULL, NULL},
    {"precision", "of activations; auto: bf16 where it is faster", LMB_OPT_ENUM, AT(precision), 0, 0, 0, "auto|f32|bf16", NULL},
    {"augment", "default: crop and flip; strong: RandAugment and Cutout too", LMB_OPT_ENUM, AT(augment), 0, 0, 0, "default|none|strong", NULL},
    {"val_split", "part of the training set held out to choose on", LMB_OPT_F64, AT(val_split), 0, 0, 0.9, NULL, NULL},
    {"fraction", "part of the training set to use", LMB_OPT_F64, AT(fraction), 1, 1e-6, 1, NULL, NULL},
    {"save_every", "steps between checkpoints; 0: at epochs only", LMB_OPT_I64, AT(save_every), 0, 0, 1e9, NULL, NULL},
    {"save_minutes", "minutes between checkpoints; 0: at epochs only", LMB_OPT_F64, AT(save_minutes), 5, 0, 1e6, NULL, NULL},
    {"eval_every", "epochs between evaluations", LMB_OPT_I64, AT(eval_every), 1, 1, 100000, NULL, NULL},
    {"eval_batch", "images a step of an evaluation; 0: 100, of detectors 8", LMB_OPT_I64, AT(eval_batch), 0, 0, 65536, NULL, NULL},
    {"log_every", "steps between lines where there is no terminal; 0: epochs only", LMB_OPT_I64, AT(log_every), 0, 0, 1e9, NULL, NULL},
    {"teacher_check", "images on which the teacher is tried first; 0: none", LMB_OPT_I64, AT(teacher_check), 1000, 0, 1e9, NULL, NULL},
    {"max_steps", "stop after so many steps; 0: off", LMB_OPT_I64, AT(max_steps), 0, 0, 1e12, NULL, NULL},
    {"inherit", "detectors: neck and heads begin as those of the first stage's teacher, where name and shape are the same", LMB_OPT_BOOL, AT(inherit), 0, 0, 1, NULL, NULL},
    {"stage_restart", "a new stage begins with a fresh optimiser, learning rate and connectors, and its methods' warm-ups and phases anew", LMB_OPT_BOOL, AT(stage_restart), 1, 0, 1, NULL, NULL},
    {"allow_reference", "run ops without a fast kernel on the slow reference", LMB_OPT_BOOL, AT(allow_reference), 0, 0, 1, NULL, NULL},
    {0},
};
/* clang-format on */

#undef AT
#define AT(field) offsetof(lmb_picture_opts, field)

/* clang-format off */
const lmb_opt lmb_picture_opts_table[] = {
    {"size", "side of the input, for image folders (0: 224); with boxes, the long side they are made to fit (0: 1333, or the largest picture if all are smaller)", LMB_OPT_I64, AT(size), 0, 0, 8192, NULL, "img_size|imgsz"},
    {"short_side", "and the short side; 0: 800, or less if size or all pictures are", LMB_OPT_I64, AT(short_side), 0, 0, 8192, NULL, NULL},
    {"short_least", "training: short sides drawn between this and short_side; 0: off", LMB_OPT_I64, AT(short_least), 0, 0, 8192, NULL, NULL},
    {"flip", "training: probability of a mirror image; -1: 0.5, of digits (idx) 0", LMB_OPT_F64, AT(flip), -1, -1, 1, NULL, NULL},
    {"jitter", "training: brightness, contrast and saturation change by so much", LMB_OPT_F64, AT(jitter), 0, 0, 1, NULL, NULL},
    {"hue", "training: and the hue", LMB_OPT_F64, AT(hue), 0, 0, 0.5, NULL, NULL},
    {"mosaic", "training: probability that four pictures are put together", LMB_OPT_F64, AT(mosaic), 0, 0, 1, NULL, NULL},
    {"max_sizes", "padded sizes of batches; each is a compiled plan", LMB_OPT_I64, AT(max_sizes), 4, 1, 8, NULL, NULL},
    {"max_boxes", "boxes of a picture that there is room for; 0: what the data need", LMB_OPT_I64, AT(max_boxes), 0, 0, 65536, NULL, NULL},
    {"label_by", "coco: a box's label is its category's position among the ids, the id, or the id less 1", LMB_OPT_ENUM, AT(label_by), 0, 0, 0, "position|id|id-1", NULL},
    {"filter_empty", "training: leave pictures without boxes out", LMB_OPT_BOOL, AT(filter_empty), 1, 0, 1, NULL, NULL},
    {0},
};
/* clang-format on */

lmb_status lmb_run_config_init(lmb_run_config *c)
{
    *c = (lmb_run_config){.ce_weight = NAN, .n_decays = -1};
    LMB_TRY(lmb_arena_new(&c->arena));
    lmb_opt_defaults(lmb_train_opts_table, &c->train);
    lmb_opt_defaults(lmb_picture_opts_table, &c->pictures);
    return LMB_OK;
}

void lmb_run_config_fini(lmb_run_config *c)
{
    lmb_arena_free(c->arena);
    *c = (lmb_run_config){0};
}

static const char *or_else(const char *text, const char *otherwise)
{
    return text != NULL ? text : otherwise;
}

const char *const lmb_term_schedules[] = {"constant", "linear", "cosine", NULL};

int lmb_term_schedule_find(const char *name)
{
    for (int i = 0; lmb_term_schedules[i] != NULL; i++)
        if (lmb_str_equal_nocase(lmb_term_schedules[i], name))
            return i;
    return -1;
}

bool lmb_says_frozen(const char *model)
{
    return strstr(model, "frozen_stages") != NULL ||
        strstr(model, "norm_eval") != NULL;
}

double lmb_term_warmup(
    const lmb_method_config *c, const lmb_method *m, bool detector)
{
    if (!isnan(c->warmup))
        return c->warmup;
    return detector ? 0 : m->warmup;
}

lmb_status lmb_run_config_data(
    const lmb_run_config *c, bool train, lmb_dataset **out)
{
    lmb_dataset *ds = NULL;
    const char *split = train ? or_else(c->train_split, "train")
                              : or_else(c->test_split, "test");
    const lmb_dataset_opts opts = {
        .classes = (int32_t)c->classes,
        .json = train ? c->train_json : c->test_json,
        .images = train ? c->train_images : c->test_images,
        .label_by = (lmb_label_by)c->pictures.label_by,
    };
    LMB_TRY(lmb_dataset_open(c->data, split, &opts, &ds));
    const bool cut = c->pictures.size > 0 && !lmb_dataset_is_detection(ds);
    const lmb_status st =
        cut ? lmb_dataset_set_input(ds, c->pictures.size) : LMB_OK;
    if (st == LMB_OK)
        *out = ds;
    else
        lmb_dataset_free(ds);
    return st;
}
