/* run_batch.c: a batch of a run: the compiled step that it takes, the update
 * behind it, and the sums of the epoch. */
#include "train/run_cache.h"
#include "train/run_impl.h"

#include "backend/cpu/cpu_optim.h"

#include <math.h>
#include <string.h>

/* --- plans ---------------------------------------------------------------- */

static void drop_steps(lmb_run *run)
{
    for (int i = 0; i < run->n_steps; i++)
        lmb_train_step_free(run->steps[i]);
    run->n_steps = 0;
    run->last_step = NULL;
}

/* What a step does not use has no gradient, whatever it had in the last. */
static void clear_gradients(lmb_run *run)
{
    for (int i = 0; i < run->state.n_stores; i++) {
        lmb_params *store = run->state.stores[i];
        if (lmb_params_grads(store) != NULL)
            memset(lmb_params_grads(store), 0,
                (size_t)lmb_params_data_size(store) * sizeof(float));
    }
}

void lmb_run_enter_epoch(lmb_run *run, int64_t epoch)
{
    lmb_stage *stage = lmb_run_stage_at(run, epoch);
    bool changed = stage != run->stage;
    run->stage = stage;
    for (int i = 0; i < run->stage->n_terms; i++) {
        const int phase = lmb_term_phase(&run->stage->terms[i], epoch);
        changed = changed || phase != run->phase[i];
        run->phase[i] = phase;
    }
    if (changed)
        drop_steps(run);
}

/* The student's size times the teacher's factor, in whole strides. */
static void set_teacher_size(const lmb_run *run, lmb_step_spec *spec)
{
    const int k = run->stage->teacher_index;
    const double factor = k < 0 ? 0 : run->config->teachers[k].input;
    const int32_t pad = spec->teacher != NULL ? spec->teacher->model->pad : 0;
    const int64_t size[2] = {spec->height, spec->width};
    for (int i = 0; i < 2 && factor > 0; i++)
        spec->teacher_size[i] = lmb_teacher_side(size[i], factor, pad);
}

lmb_step_spec lmb_run_step_spec(const lmb_run *run, const int64_t size[3])
{
    const lmb_stage *stage = run->stage;
    lmb_step_spec spec = {
        .batch = size[0],
        .height = size[1],
        .width = size[2],
        .boxes = lmb_loader_max_boxes(run->loader),
        .samples = lmb_dataset_count(run->opened),
        .student = &run->student,
        .teacher = stage->teacher,
        .terms = stage->terms,
        .n_terms = stage->n_terms,
        .task_weight = stage->task_weight,
        .stage = (int)(stage - run->stages),
        .bf16 = run->bf16,
        .allow_reference = run->config->train.allow_reference,
        .teacher_logits = lmb_run_cache_use(run),
        .workspace = run->workspace,
    };
    memcpy(spec.phase, run->phase, sizeof spec.phase);
    set_teacher_size(run, &spec);
    return spec;
}

lmb_status lmb_run_step_for(
    lmb_run *run, const int64_t size[3], lmb_train_step **out)
{
    for (int i = 0; i < run->n_steps; i++) {
        const lmb_step_spec *s = &run->steps[i]->spec;
        if (s->batch == size[0] && s->height == size[1] &&
            s->width == size[2] &&
            s->teacher_logits == lmb_run_cache_use(run)) {
            *out = run->steps[i];
            return LMB_OK;
        }
    }
    if (run->n_steps == LMB_MAX_STEPS)
        drop_steps(run);
    const lmb_step_spec spec = lmb_run_step_spec(run, size);
    LMB_TRY(lmb_train_step_new(&spec, &run->steps[run->n_steps]));
    *out = run->steps[run->n_steps++];
    return LMB_OK;
}

/* --- one step ------------------------------------------------------------- */

static lmb_status non_finite(
    lmb_run *run, lmb_train_step *step, const char *what, double value)
{
    char where[256];
    LMB_TRY(lmb_plan_find_nonfinite(step->plan, where, sizeof where));
    return LMB_FAIL(LMB_ENUMERIC,
        "%s is %s at epoch %lld, step %lld: first non-finite value from %s; "
        "the last good checkpoint is kept",
        what, isnan(value) ? "NaN" : "infinite", (long long)run->state.epoch,
        (long long)run->state.step, where[0] != '\0' ? where : "the update");
}

/* The stores that learn now: the student's, then those of the stage's terms;
 * returns how many. Others keep what they have. */
static int active_stores(const lmb_run *run, int out[1 + LMB_MAX_TERMS])
{
    out[0] = 0;
    for (int i = 0; i < run->stage->n_terms; i++)
        out[1 + i] = run->stage->store[i];
    return 1 + run->stage->n_terms;
}

double lmb_run_lr(const lmb_run *run, int64_t step_in_epoch)
{
    const lmb_stage *stage = run->stage;
    return lmb_schedule_lr(&stage->schedule,
        run->state.epoch - stage->schedule_first + 1, step_in_epoch,
        lmb_loader_steps(run->loader));
}

static void move_average(lmb_run *run)
{
    lmb_run_state *s = &run->state;
    if (s->ema == NULL)
        return;
    lmb_cpu_optim()->average(run->config->train.ema,
        lmb_params_data_size(s->stores[0]), lmb_params_data(s->stores[0]),
        s->ema);
    memcpy(s->ema_buffers, lmb_params_buffers(s->stores[0]),
        (size_t)lmb_params_buffers_size(s->stores[0]) * sizeof(float));
}

static lmb_status update(lmb_run *run, lmb_train_step *step)
{
    lmb_run_state *s = &run->state;
    int active[1 + LMB_MAX_TERMS];
    const int n = active_stores(run, active);
    double square = 0;
    for (int i = 0; i < n; i++)
        square += lmb_optim_grad_square(s->stores[active[i]]);
    const double norm = sqrt(square);
    if (!isfinite(norm))
        return non_finite(run, step, "the norm of the gradients", norm);
    const double clip = run->config->train.clip_norm;
    const double scale = clip > 0 && norm > clip ? clip / norm : 1;
    const double lr = lmb_run_lr(run, s->step_in_epoch);
    for (int i = 0; i < n; i++)
        lmb_optim_step(s->optims[active[i]], lr, scale);
    move_average(run);
    return LMB_OK;
}

lmb_status lmb_run_batch(lmb_run *run)
{
    lmb_run_state *s = &run->state;
    lmb_batch batch;
    lmb_train_step *step = NULL;
    LMB_TRY(lmb_loader_next(run->loader, &batch));
    LMB_TRY(lmb_run_cache_find(run, &batch));
    const int64_t *dim = batch.views[0]->shape.dim;
    const int64_t size[3] = {batch.count, dim[2], dim[3]};
    LMB_TRY(lmb_run_step_for(run, size, &step));
    const lmb_step_at at = {
        .epoch = s->epoch,
        .step = s->step,
        .epoch_part = (double)s->epoch - 1 +
            (double)s->step_in_epoch / (double)lmb_loader_steps(run->loader),
        .epochs = (double)run->config->train.epochs,
        .seed = (uint64_t)run->config->train.seed,
    };
    lmb_step_result r;
    if (step != run->last_step)
        clear_gradients(run);
    run->last_step = step;
    LMB_TRY(lmb_run_cache_give(run, step));
    const lmb_status st = lmb_train_step_run(step, &batch, &at, &r);
    if (st == LMB_ENUMERIC) /* boxes cannot be made of what is not finite */
        return non_finite(run, step, "the network's output", NAN);
    LMB_TRY(st);
    if (!isfinite(r.loss))
        return non_finite(run, step, "the loss", r.loss);
    LMB_TRY(lmb_run_cache_keep(run, step, &batch));
    LMB_TRY(update(run, step));
    const double n = (double)batch.count;
    s->sum_loss += r.loss * n;
    for (int i = 0; i < step->n_parts; i++)
        s->sum_part[i] += r.part[i] * n;
    for (int i = 0; i < run->stage->n_terms; i++)
        s->sum_term[i] += r.term[i] * n;
    s->sum_images += batch.count;
    s->sum_correct += r.correct;
    s->step++;
    s->step_in_epoch++;
    run->trained_images += batch.count;
    return LMB_OK;
}
