/* cmd_loss.c: limbeck loss: a method's own term on arrays, and its gradient. */
#include "cli/cli.h"

#include "base/file.h"
#include "io/npy.h"
#include "io/weights.h"
#include "limbeck/loss.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_ARRAYS = 32, MOST_PARAMS = 128 };

static const cli_flag flags[] = {
    {"method", "NAME", "`limbeck list methods`", NULL, NULL},
    {"student", "[TAP=]FILE", "array of a tap; without TAP: logits (repeats)",
        NULL, NULL},
    {"teacher", "[TAP=]FILE", "the teacher's (repeats)", NULL, NULL},
    {"labels", "FILE", "class of each row, i32 or i64", NULL, NULL},
    {"boxes", "FILE",
        "ground truth [N, M, 4] or, with the class, [N, M, 5]: x0 y0 x1 y1",
        NULL, NULL},
    {"size", "HxW", "of the input that boxes lie in (default: from a tap pK)",
        NULL, NULL},
    {"stage", "N", "stage of a run with several teachers, from 1", NULL, NULL},
    {"step", "N", "training step, from 0: random masks depend on it", NULL,
        NULL},
    {"set", "KEY=VALUE", "an option of the method (repeats)", NULL, NULL},
    {"temperature", "T", "the same as --set temperature=T", "T|kd-T", NULL},
    {"map", "PAIR", "'teacher.f3 -> student.f2' (repeats)", NULL, NULL},
    {"grad", "[TAP=]FILE", "writes the gradient by a student's tap (repeats)",
        NULL, NULL},
    {"params", "FILE",
        "connectors: read if the file is there, else written (with --seed)",
        NULL, NULL},
    {"seed", "N", "of connectors that are not given", NULL, NULL},
    {0},
};

/* The arrays of one side. */
typedef struct side {
    lmb_loss_array array[MOST_ARRAYS];
    lmb_tensor *tensor[MOST_ARRAYS], *grad[MOST_ARRAYS];
    const char *grad_path[MOST_ARRAYS];
    int count;
} side;

typedef struct job {
    side student, teacher;
    lmb_tensor *labels, *boxes;
    int32_t *box_labels;
    const char *options[64], *map[64];
    lmb_weights *params;
    lmb_tensor *param_tensor[MOST_PARAMS];
    lmb_loss_array param[MOST_PARAMS];
    lmb_loss_inputs in;
} job;

static void side_fini(side *s)
{
    for (int i = 0; i < s->count; i++) {
        lmb_tensor_release(s->tensor[i]);
        lmb_tensor_release(s->grad[i]);
    }
}

static void job_fini(job *j)
{
    side_fini(&j->student);
    side_fini(&j->teacher);
    for (int i = 0; i < j->in.n_params; i++)
        lmb_tensor_release(j->param_tensor[i]);
    lmb_tensor_release(j->labels);
    lmb_tensor_release(j->boxes);
    lmb_free(j->box_labels);
    lmb_weights_free(j->params);
}

/* --- reading */

/* "f3=x.npy" into tap and file; a file alone is of the logits. */
static lmb_status split_tap(
    const cli *c, const char *text, const char **tap, const char **file)
{
    const char *equals = strchr(text, '=');
    *tap = "logits";
    *file = text;
    if (equals == NULL || memchr(text, '/', (size_t)(equals - text)) != NULL)
        return LMB_OK;
    char *name = lmb_arena_strdup(c->arena, text);
    if (name == NULL)
        return LMB_FAIL(LMB_ENOMEM, "out of memory: tap");
    name[equals - text] = '\0';
    *tap = name;
    *file = equals + 1;
    return LMB_OK;
}

static lmb_status read_side(const cli *c, const char *flag, side *s)
{
    for (size_t i = 0; i < c->n_given; i++) {
        const char *file = NULL;
        if (strcmp(c->given[i].flag->name, flag) != 0)
            continue;
        if (s->count == MOST_ARRAYS)
            return LMB_FAIL(LMB_EUSAGE, "limbeck loss: more than %d --%s",
                MOST_ARRAYS, flag);
        lmb_loss_array *a = &s->array[s->count];
        LMB_TRY(split_tap(c, c->given[i].value, &a->name, &file));
        for (int k = 0; k < s->count; k++)
            if (strcmp(s->array[k].name, a->name) == 0)
                return LMB_FAIL(LMB_EUSAGE,
                    "limbeck loss: --%s gives the tap %s twice", flag, a->name);
        LMB_TRY(lmb_npy_load(file, &s->tensor[s->count]));
        s->count++;
    }
    if (s->count == 0)
        return LMB_FAIL(LMB_EUSAGE, "limbeck loss: --%s FILE is missing", flag);
    return LMB_OK;
}

static bool all_f64(const side *s)
{
    for (int i = 0; i < s->count; i++)
        if (s->tensor[i]->dtype != LMB_F64)
            return false;
    return true;
}

static lmb_status convert(lmb_tensor **t, lmb_dtype dtype)
{
    lmb_tensor *other = NULL;
    if ((*t)->dtype == dtype)
        return LMB_OK;
    LMB_TRY(lmb_tensor_convert(*t, dtype, &other));
    lmb_tensor_release(*t);
    *t = other;
    return LMB_OK;
}

static lmb_status convert_side(side *s, lmb_dtype dtype)
{
    for (int i = 0; i < s->count; i++) {
        LMB_TRY(convert(&s->tensor[i], dtype));
        s->array[i].shape = s->tensor[i]->shape;
        s->array[i].data = s->tensor[i]->data;
    }
    return LMB_OK;
}

static lmb_status read_labels(const cli *c, job *j)
{
    const char *path = cli_value(c, "labels");
    if (path == NULL)
        return LMB_OK;
    LMB_TRY(lmb_npy_load(path, &j->labels));
    if (j->labels->dtype != LMB_I32 && j->labels->dtype != LMB_I64)
        return LMB_FAIL(LMB_EFORMAT, "%s: labels are i32 or i64, not %s", path,
            lmb_dtype_name(j->labels->dtype));
    LMB_TRY(convert(&j->labels, LMB_I32));
    j->in.labels = j->labels->data;
    j->in.n_labels = lmb_tensor_count(j->labels);
    return LMB_OK;
}

/* [N, M, 5] into boxes [N, M, 4] and classes, both f64 on the way. */
static lmb_status split_classes(const char *path, job *j)
{
    lmb_tensor *four = NULL;
    lmb_shape shape = j->boxes->shape;
    const int64_t n = shape.dim[0] * shape.dim[1];
    shape.dim[2] = 4;
    LMB_TRY(LMB_NEW(j->box_labels, n));
    LMB_TRY(lmb_tensor_new(LMB_F64, &shape, &four));
    const double *from = j->boxes->data;
    double *to = four->data;
    lmb_status st = LMB_OK;
    for (int64_t i = 0; i < n && st == LMB_OK; i++) {
        const double label = from[5 * i + 4];
        memcpy(to + 4 * i, from + 5 * i, 4 * sizeof *to);
        if (!(label >= -1 && label < 1e6) || label != (double)(int32_t)label)
            st = LMB_FAIL(LMB_EFORMAT, "%s: class %g of row %lld", path, label,
                (long long)i);
        else
            j->box_labels[i] = (int32_t)label;
    }
    lmb_tensor_release(j->boxes);
    j->boxes = four;
    return st;
}

static lmb_status read_boxes(const cli *c, job *j)
{
    const char *path = cli_value(c, "boxes");
    if (path == NULL)
        return LMB_OK;
    LMB_TRY(lmb_npy_load(path, &j->boxes));
    const lmb_shape *shape = &j->boxes->shape;
    if (shape->rank != 3 || shape->dim[2] < 4 || shape->dim[2] > 5 ||
        shape->dim[0] != j->student.tensor[0]->shape.dim[0])
        return LMB_FAIL(LMB_ESHAPE,
            "%s: boxes are [images, boxes, 4 or 5] of %lld images, not %s",
            path, (long long)j->student.tensor[0]->shape.dim[0],
            lmb_shape_text(shape));
    if (shape->dim[2] == 5) {
        LMB_TRY(convert(&j->boxes, LMB_F64));
        LMB_TRY(split_classes(path, j));
    }
    LMB_TRY(convert(&j->boxes, j->in.dtype));
    j->in.boxes = j->boxes->data;
    j->in.most_boxes = j->boxes->shape.dim[1];
    j->in.box_labels = j->box_labels;
    return LMB_OK;
}

/* "800x1344", or "800" for a square. */
static lmb_status read_size(const cli *c, job *j)
{
    const char *text = cli_value(c, "size");
    char *end = NULL;
    if (text == NULL)
        return LMB_OK;
    const long h = strtol(text, &end, 10);
    const long w = *end == 'x' ? strtol(end + 1, &end, 10) : h;
    if (*end != '\0' || h < 1 || w < 1 || h > 1 << 20 || w > 1 << 20)
        return LMB_FAIL(LMB_EUSAGE,
            "limbeck loss: --size %s: height and width read 800x1344", text);
    j->in.input_size[0] = h;
    j->in.input_size[1] = w;
    return LMB_OK;
}

static lmb_status read_progress(const cli *c, job *j)
{
    int64_t stage = 1;
    LMB_TRY(cli_i64(c, "stage", 1, 1000, &stage));
    LMB_TRY(cli_i64(c, "step", 0, (int64_t)1 << 52, &j->in.step));
    j->in.stage = (int)stage - 1;
    return LMB_OK;
}

/* "method.kd.temperature=4" and "method.temperature=4" without their heads. */
static const char *bare_option(const char *text, const char *method)
{
    const size_t n = strlen(method);
    if (strncmp(text, "method.", 7) == 0)
        text += 7;
    if (strlen(text) > n && text[n] == '.' && strncmp(text, method, n) == 0)
        text += n + 1;
    return text;
}

/* The text of an option that a flag sets; *out NULL: it sets none. */
static lmb_status option_of(
    const cli *c, const cli_given *g, const char *method, const char **out)
{
    *out = NULL;
    if (strcmp(g->flag->name, "set") == 0)
        *out = bare_option(g->value, method);
    if (strcmp(g->flag->name, "temperature") != 0)
        return LMB_OK;
    *out = lmb_arena_printf(c->arena, "temperature=%s", g->value);
    return *out != NULL ? LMB_OK
                        : LMB_FAIL(LMB_ENOMEM, "out of memory: option");
}

static lmb_status read_texts(const cli *c, const char *method, job *j)
{
    const size_t most = LMB_COUNT(j->options);
    for (size_t i = 0; i < c->n_given; i++) {
        const cli_given *g = &c->given[i];
        const char *option = NULL;
        LMB_TRY(option_of(c, g, method, &option));
        int *n = option != NULL ? &j->in.n_options : &j->in.n_map;
        if (option == NULL && strcmp(g->flag->name, "map") != 0)
            continue;
        if ((size_t)*n == most)
            return LMB_FAIL(
                LMB_EUSAGE, "limbeck loss: more than %zu %s", most, g->spelled);
        (option != NULL ? j->options : j->map)[(*n)++] =
            option != NULL ? option : g->value;
    }
    j->in.options = j->options;
    j->in.map = j->map;
    return LMB_OK;
}

/* --- connectors */

static lmb_status read_params(const cli *c, job *j)
{
    const char *path = cli_value(c, "params");
    if (path == NULL || !lmb_path_exists(path))
        return LMB_OK;
    LMB_TRY(lmb_weights_load(path, &j->params));
    if (j->params->count > MOST_PARAMS)
        return LMB_FAIL(
            LMB_EUNSUPPORTED, "%s: more than %d parameters", path, MOST_PARAMS);
    for (size_t i = 0; i < j->params->count; i++) {
        lmb_tensor **t = &j->param_tensor[i];
        LMB_TRY(lmb_tensor_convert(j->params->items[i].tensor, j->in.dtype, t));
        j->in.n_params = (int)i + 1;
        j->param[i] = (lmb_loss_array){.name = j->params->items[i].name,
            .shape = (*t)->shape,
            .data = (*t)->data};
    }
    j->in.params = j->param;
    return LMB_OK;
}

typedef struct writer {
    lmb_weights *weights;
    lmb_dtype dtype;
    lmb_status status;
} writer;

static void write_param(void *user, const char *name, const lmb_shape *shape,
    int trainable, const void *data)
{
    writer *w = user;
    lmb_tensor *t = NULL;
    (void)trainable;
    if (w->status != LMB_OK)
        return;
    w->status = lmb_tensor_new(w->dtype, shape, &t);
    if (w->status == LMB_OK) {
        memcpy(t->data, data,
            (size_t)lmb_tensor_count(t) * lmb_dtype_size(w->dtype));
        w->status = lmb_weights_add(w->weights, name, t);
    }
    lmb_tensor_release(t);
}

static lmb_status save_params(const cli *c, const job *j, const lmb_loss *loss)
{
    const char *path = cli_value(c, "params");
    writer w = {.dtype = j->in.dtype, .status = LMB_OK};
    if (path == NULL || j->params != NULL)
        return LMB_OK;
    LMB_TRY(lmb_weights_new(&w.weights));
    lmb_status st = lmb_loss_params(loss, write_param, &w);
    if (st == LMB_OK)
        st = w.status;
    if (st == LMB_OK)
        st = lmb_weights_save(path, w.weights);
    lmb_weights_free(w.weights);
    return st;
}

/* --- gradients */

static lmb_status ask_gradients(const cli *c, side *s)
{
    for (size_t i = 0; i < c->n_given; i++) {
        const char *tap = NULL, *file = NULL;
        if (strcmp(c->given[i].flag->name, "grad") != 0)
            continue;
        LMB_TRY(split_tap(c, c->given[i].value, &tap, &file));
        int k = 0;
        while (k < s->count && strcmp(s->array[k].name, tap) != 0)
            k++;
        if (k == s->count)
            return LMB_FAIL(LMB_EUSAGE,
                "limbeck loss: --grad %s: the student has no array '%s'",
                c->given[i].value, tap);
        if (s->grad[k] == NULL)
            LMB_TRY(lmb_tensor_new(
                s->tensor[k]->dtype, &s->tensor[k]->shape, &s->grad[k]));
        s->array[k].grad = s->grad[k]->data;
        s->grad_path[k] = file;
    }
    return LMB_OK;
}

static lmb_status save_gradients(const side *s)
{
    for (int i = 0; i < s->count; i++)
        if (s->grad[i] != NULL)
            LMB_TRY(lmb_npy_save(s->grad_path[i], s->grad[i]));
    return LMB_OK;
}

/* --- the command */

static lmb_status read_job(const cli *c, const char *method, job *j)
{
    int64_t seed = 0;
    LMB_TRY(read_side(c, "student", &j->student));
    LMB_TRY(read_side(c, "teacher", &j->teacher));
    const bool exact = all_f64(&j->student) && all_f64(&j->teacher);
    j->in.dtype = exact ? LMB_F64 : LMB_F32;
    LMB_TRY(convert_side(&j->student, j->in.dtype));
    LMB_TRY(convert_side(&j->teacher, j->in.dtype));
    j->in.n_student = j->student.count;
    j->in.student = j->student.array;
    j->in.n_teacher = j->teacher.count;
    j->in.teacher = j->teacher.array;
    LMB_TRY(read_labels(c, j));
    LMB_TRY(read_boxes(c, j));
    LMB_TRY(read_size(c, j));
    LMB_TRY(read_progress(c, j));
    LMB_TRY(read_texts(c, method, j));
    LMB_TRY(cli_i64(c, "seed", 0, (int64_t)1 << 52, &seed));
    j->in.seed = (uint64_t)seed;
    LMB_TRY(read_params(c, j));
    return ask_gradients(c, &j->student);
}

/* The library names inputs; here they are flags. Of maps (rank 4) a method
 * takes its labels from boxes. */
static lmb_status check_needs(const lmb_method *method, const job *j)
{
    const bool maps =
        j->student.count > 0 && j->student.array[0].shape.rank == 4;
    if ((method->needs & LMB_NEED_LABELS) != 0 && !maps && j->labels == NULL)
        return LMB_FAIL(LMB_EINVAL,
            "%s needs labels: --labels FILE, the class of each row",
            method->name);
    if ((method->needs & LMB_NEED_BOXES) != 0 && j->boxes == NULL)
        return LMB_FAIL(LMB_EINVAL,
            "%s needs boxes: --boxes FILE, [images, boxes, 4]", method->name);
    return LMB_OK;
}

static lmb_status print(const cli *c, double value)
{
    lmb_str out = {0};
    lmb_str_add(&out, c->json ? "{\"loss\": " : "");
    lmb_str_json_number(&out, value);
    lmb_str_add(&out, c->json ? "}\n" : "\n");
    return cli_put_str(&out);
}

static lmb_status run(cli *c)
{
    job *j = NULL;
    lmb_loss *loss = NULL;
    const char *name = NULL;
    const lmb_method *method = NULL;
    double value = 0;
    lmb_status st = LMB_OK;
    LMB_TRY(cli_need(c, "method", &name));
    LMB_TRY(lmb_method_get(name, &method));
    LMB_TRY(LMB_NEW(j, 1));
    LMB_GOTO(read_job(c, method->name, j), st, done);
    LMB_GOTO(check_needs(method, j), st, done);
    LMB_GOTO(lmb_loss_new(method->name, &j->in, &loss), st, done);
    LMB_GOTO(lmb_loss_run(loss, &j->in, &value), st, done);
    LMB_GOTO(save_gradients(&j->student), st, done);
    LMB_GOTO(save_params(c, j, loss), st, done);
    LMB_GOTO(print(c, value), st, done);
done:
    lmb_loss_free(loss);
    job_fini(j);
    lmb_free(j);
    return st;
}

const cli_command cmd_loss = {
    .name = "loss",
    .usage = "--method NAME --student zs.npy --teacher zt.npy "
             "[--labels y.npy] [--grad g.npy]",
    .title = "a method's term on arrays, and its gradient",
    .text = "The value is the method's own term with weight 1 and no warm-up, "
            "the mean over the\nbatch. Arrays of f64 run the exact reference.",
    .flags = flags,
    .run = run,
};
