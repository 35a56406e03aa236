/* run_stages.c: the stages of a run: which teacher teaches when, by which
 * methods, at which learning rate. Most runs have one. */
#include "train/run_impl.h"

#include "base/log.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- terms ---------------------------------------------------------------- */

static lmb_status check_needs(const lmb_run *run, const lmb_method *m)
{
    if ((m->needs & LMB_NEED_STRONG_VIEW) != 0 || m->predict != NULL)
        return LMB_FAIL(LMB_EUNSUPPORTED,
            "%s needs a second view or a head of its own, which the trainer "
            "does not offer yet",
            m->name);
    if ((m->needs & LMB_NEED_BOXES) != 0 && !lmb_task_is_detection(run->task))
        return LMB_FAIL(
            LMB_EINVAL, "%s needs boxes: it is for detectors", m->name);
    return LMB_OK;
}

lmb_status lmb_term_open(
    lmb_arena *arena, const lmb_method_config *c, bool detector, lmb_term *term)
{
    LMB_TRY(lmb_method_get(c->name, &term->method));
    LMB_TRY(lmb_method_new(
        term->method, c->n_options, c->key, c->value, &term->state));
    term->weight = isnan(c->weight) ? term->method->weight : c->weight;
    term->warmup = lmb_term_warmup(c, term->method, detector);
    term->schedule = c->schedule;
    for (int i = 0; i < c->n_map; i++)
        LMB_TRY(lmb_pairing_parse(arena, c->map[i], &term->map[term->n_map++]));
    return LMB_OK;
}

double lmb_task_weight(
    const lmb_run_config *c, const lmb_term *terms, int n_terms, bool detector)
{
    if (!isnan(c->ce_weight))
        return c->ce_weight;
    return n_terms == 0 || detector ? 1 : terms[0].method->ce_weight;
}

/* A store of its own, or that of the method in an earlier stage. */
static lmb_status open_store(lmb_run *run, lmb_stage *stage, int i)
{
    lmb_run_state *s = &run->state;
    lmb_term *term = &stage->terms[i];
    for (const lmb_stage *old = run->stages; old < stage; old++)
        for (int k = 0; k < old->n_terms; k++)
            if (!run->config->train.stage_restart &&
                old->terms[k].method == term->method) {
                stage->store[i] = old->store[k];
                term->params = old->terms[k].params;
                return LMB_OK;
            }
    LMB_TRY(lmb_params_new(LMB_F32, &term->params));
    stage->store[i] = s->n_stores;
    s->stores[s->n_stores++] = term->params;
    return LMB_OK;
}

static lmb_status open_terms(
    lmb_run *run, const lmb_stage_config *sc, lmb_stage *stage)
{
    const lmb_run_config *c = run->config;
    for (int i = 0; i < c->n_methods; i++) {
        if (sc != NULL && sc->has_methods && !sc->method[i])
            continue;
        const int n = stage->n_terms++;
        LMB_TRY(lmb_term_open(c->arena, &c->methods[i],
            lmb_task_is_detection(run->task), &stage->terms[n]));
        LMB_TRY(check_needs(run, stage->terms[n].method));
        LMB_TRY(open_store(run, stage, n));
        stage->config[n] = i;
    }
    stage->task_weight = lmb_task_weight(run->config, stage->terms,
        stage->n_terms, lmb_task_is_detection(run->task));
    return LMB_OK;
}

/* --- schedules ------------------------------------------------------------ */

/* The usual places of decays, as parts of the epochs: mdistiller's 150, 180,
 * 210 of 240 for classification, mmdetection's 8, 11 of 12 for detection. In
 * short runs two of them may fall on one epoch, which counts once. */
int lmb_usual_decays(bool detector, double epochs, double *out)
{
    static const double usual[2][3] = {
        {0.625, 0.75, 0.875}, {8.0 / 12, 11.0 / 12, 1}};
    const double *part = usual[detector];
    int n = 0;
    for (int i = 0; i < 3; i++) {
        const double at = floor(part[i] * epochs + 1e-9);
        if (at > 0 && at < epochs && (n == 0 || at > out[n - 1]))
            out[n++] = at;
    }
    return n;
}

/* A detector's is for batches of 16 and shrinks with the batch: heads without
 * norms do not survive more. AdamW's steps have a size of their own, which is
 * no network's: 1e-3, of detectors 1e-4 (mmdetection's). */
double lmb_usual_lr(const lmb_train_opts *t, const lmb_model *m)
{
    const bool detector = m->postprocess != NULL;
    const double usual = detector ? 1e-4 : 1e-3;
    const double lr = t->optimizer == LMB_OPTIM_ADAMW ? usual : m->default_lr;
    return detector ? lr * (double)t->batch / 16 : lr;
}

static double warmup_epochs(const lmb_run *run)
{
    const lmb_train_opts *t = &run->config->train;
    if (t->warmup_epochs >= 0 || !lmb_task_is_detection(run->task))
        return fmax(t->warmup_epochs, 0);
    const double steps = (double)lmb_loader_steps(run->loader);
    return fmin(500 / steps, (double)t->epochs / 10);
}

static int64_t length(const lmb_stage *s)
{
    return s->last - s->first + 1;
}

/* The first stage that does not hold all of the user's decays, counted from its
 * begin; NULL: each does, or there are none. */
static const lmb_stage *beyond_decays(const lmb_run *run)
{
    const lmb_run_config *c = run->config;
    if (c->train.schedule != LMB_SCHEDULE_MULTISTEP || c->n_decays <= 0)
        return NULL;
    for (int i = 0; i < run->n_stages; i++)
        if (c->decay_epochs[c->n_decays - 1] >= (double)length(&run->stages[i]))
            return &run->stages[i];
    return NULL;
}

static void warn_of_decays(const lmb_run *run, const lmb_stage *s)
{
    const lmb_run_config *c = run->config;
    if (run->n_stages > 1)
        lmb_log_line(LMB_LOG_WARNING,
            "decay_epochs: %g is not within the %lld epochs of stage %d: they "
            "count over the whole run, and the learning rate does not begin "
            "anew with a stage",
            c->decay_epochs[c->n_decays - 1], (long long)length(s),
            (int)(s - run->stages) + 1);
}

static void set_schedule(lmb_run *run, lmb_stage *stage, double lr, bool own)
{
    const lmb_run_config *c = run->config;
    const lmb_train_opts *t = &c->train;
    lmb_schedule *s = &stage->schedule;
    const double usual =
        t->lr > 0 ? t->lr : lmb_usual_lr(t, run->student.model);
    *s = (lmb_schedule){
        .kind = (lmb_schedule_kind)t->schedule,
        .lr = isnan(lr) ? usual : lr,
        .decay_rate = t->decay_rate,
        .min_lr = t->min_lr,
        .epochs = own ? (double)length(stage) : (double)t->epochs,
        .warmup_epochs = warmup_epochs(run),
        .warmup_start = 0.001,
    };
    stage->schedule_first = own ? stage->first : 1;
    for (int i = 0; i < c->n_decays; i++)
        s->decay_epochs[s->n_decays++] = c->decay_epochs[i];
    if (c->n_decays < 0)
        s->n_decays = lmb_usual_decays(
            lmb_task_is_detection(run->task), s->epochs, s->decay_epochs);
}

/* Of each stage its own, unless the stages go on with the run's, or the user's
 * decays are those of a whole run. */
static void set_schedules(lmb_run *run)
{
    const lmb_run_config *c = run->config;
    const lmb_stage *beyond =
        c->train.stage_restart ? beyond_decays(run) : NULL;
    if (beyond != NULL)
        warn_of_decays(run, beyond);
    for (int i = 0; i < run->n_stages; i++)
        set_schedule(run, &run->stages[i],
            c->n_stages > 0 ? c->stages[i].lr : NAN,
            c->train.stage_restart && beyond == NULL);
}

/* --- the plan of stages --------------------------------------------------- */

/* One for each teacher; with one teacher as many as the methods ask for. */
static int default_stages(const lmb_run *run)
{
    const lmb_stage *first = &run->stages[0];
    int n = 1;
    if (run->n_teachers > 1)
        return run->n_teachers;
    for (int i = 0; i < first->n_terms; i++) {
        const lmb_term *t = &first->terms[i];
        const int wanted =
            t->method->stages != NULL ? t->method->stages(t->state) : 1;
        n = wanted > n ? wanted : n;
    }
    return n < LMB_MAX_STAGES ? n : LMB_MAX_STAGES;
}

/* Epochs of stage i: up to `until`, or an equal part of what is left. */
static lmb_status set_epochs(lmb_run *run, int i)
{
    const lmb_run_config *c = run->config;
    const int64_t epochs = c->train.epochs;
    lmb_stage *s = &run->stages[i];
    s->first = i == 0 ? 1 : run->stages[i - 1].last + 1;
    const int64_t left = epochs - s->first + 1;
    const double until = c->n_stages > 0 ? c->stages[i].until : NAN;
    s->last = isnan(until) ? s->first - 1 + left / (run->n_stages - i)
                           : (int64_t)until;
    if (i == run->n_stages - 1 && isnan(until))
        s->last = epochs;
    if (c->n_stages == 0 && epochs < run->n_stages)
        return LMB_FAIL(LMB_EINVAL,
            "the run has %d stages and %lld epoch%s: each stage needs an epoch",
            run->n_stages, (long long)epochs, epochs == 1 ? "" : "s");
    if (s->last < s->first || s->last > epochs)
        return LMB_FAIL(LMB_EINVAL,
            "stage %d would run from epoch %lld to %lld of %lld: each stage "
            "needs an epoch (stages.%d.until)",
            i + 1, (long long)s->first, (long long)s->last, (long long)epochs,
            i);
    if (i == run->n_stages - 1 && s->last != epochs)
        return LMB_FAIL(LMB_EINVAL,
            "the last stage ends at epoch %lld, the run at %lld",
            (long long)s->last, (long long)epochs);
    return LMB_OK;
}

lmb_status lmb_run_stage_teacher(const lmb_run *run, int i, int *out)
{
    const lmb_run_config *c = run->config;
    int k = run->n_teachers == 1 ? 0 : i;
    if (c->n_stages > 0)
        k = c->stages[i].teacher;
    *out = run->n_teachers > 0 ? k : -1;
    if (run->n_teachers > 0 && k >= run->n_teachers)
        return LMB_FAIL(LMB_EINVAL,
            "stages.%d.teacher: there is no teacher %d (they are 0 .. %d)", i,
            k, run->n_teachers - 1);
    return LMB_OK;
}

static lmb_status set_teacher(lmb_run *run, int i)
{
    lmb_stage *s = &run->stages[i];
    LMB_TRY(lmb_run_stage_teacher(run, i, &s->teacher_index));
    if (s->teacher_index >= 0)
        s->teacher = &run->teachers[s->teacher_index];
    return LMB_OK;
}

/* Warm-ups and phases begin anew where the optimiser does. */
static void set_clocks(const lmb_run *run, lmb_stage *s)
{
    const bool anew = run->config->train.stage_restart;
    for (int i = 0; i < s->n_terms; i++) {
        s->terms[i].before = anew ? s->first - 1 : 0;
        s->terms[i].epochs = anew ? length(s) : run->config->train.epochs;
    }
}

/* The term of method i of the config; NULL if the stage has not got it. */
static const lmb_term *find_term(const lmb_stage *s, int i)
{
    for (int k = 0; k < s->n_terms; k++)
        if (s->config[k] == i)
            return &s->terms[k];
    return NULL;
}

/* Method i of the config: *last from 1, 0 if no stage has it. */
static const lmb_term *last_term(const lmb_run *run, int i, int *last)
{
    for (*last = run->n_stages; *last > 0; --*last) {
        const lmb_term *t = find_term(&run->stages[*last - 1], i);
        if (t != NULL)
            return t;
    }
    return NULL;
}

/* Phases come in turn: how many of a stage's epochs are of another one than the
 * epoch before, *phase, with this term. */
static int count_phases(const lmb_stage *s, const lmb_term *t, int *phase)
{
    int n = 0;
    for (int64_t epoch = s->first; epoch <= s->last; epoch++) {
        const int now = lmb_term_phase(t, epoch);
        n += now != *phase;
        *phase = now;
    }
    return n;
}

static lmb_status check_reached(const lmb_term *t, int reached, int stage)
{
    const int phases = lmb_method_phases(t->method, t->state);
    char where[32] = "";
    if (stage > 0)
        (void)snprintf(where, sizeof where, " of stage %d", stage);
    if (reached >= phases)
        return LMB_OK;
    return LMB_FAIL(LMB_EINVAL,
        "%s: %lld epochs%s with a warm-up of %g reach %d of %d phases: each "
        "needs an epoch (epochs, method.warmup)",
        t->method->name, (long long)t->epochs, where, t->warmup, reached,
        phases);
}

/* Every phase of method i needs an epoch: in each stage with it, if stages
 * begin anew, else in all of them together. */
static lmb_status check_phases(const lmb_run *run, int i)
{
    const bool anew = run->config->train.stage_restart;
    const lmb_term *last = NULL;
    int reached = 0, phase = -1;
    for (int k = 0; k < run->n_stages; k++) {
        const lmb_term *t = find_term(&run->stages[k], i);
        if (t == NULL)
            continue;
        if (anew) {
            reached = 0;
            phase = -1;
        }
        reached += count_phases(&run->stages[k], t, &phase);
        if (anew)
            LMB_TRY(check_reached(t, reached, run->n_stages > 1 ? k + 1 : 0));
        last = t;
    }
    return last != NULL && !anew ? check_reached(last, reached, 0) : LMB_OK;
}

static lmb_status check_stages(const lmb_run *run)
{
    for (int i = 0; i < run->config->n_methods; i++) {
        int last = 0;
        const lmb_term *t = last_term(run, i, &last);
        if (t == NULL)
            return LMB_FAIL(LMB_EINVAL, "stages: none has the method %s",
                run->config->methods[i].name);
        if (t->method->check_stages != NULL)
            LMB_TRY(t->method->check_stages(t->state, run->n_stages, last));
        LMB_TRY(check_phases(run, i));
    }
    return LMB_OK;
}

lmb_status lmb_run_open_stages(lmb_run *run)
{
    const lmb_run_config *c = run->config;
    const bool listed = c->n_stages > 0;
    run->state.stores[0] = run->student.params;
    run->state.n_stores = 1;
    run->n_stages = 1;
    run->stage = run->stages;
    LMB_TRY(open_terms(run, listed ? &c->stages[0] : NULL, run->stages));
    const int n = listed ? c->n_stages : default_stages(run);
    for (int i = 1; i < n; i++) {
        run->n_stages = i + 1;
        LMB_TRY(
            open_terms(run, listed ? &c->stages[i] : NULL, &run->stages[i]));
    }
    for (int i = 0; i < n; i++) {
        LMB_TRY(set_teacher(run, i));
        LMB_TRY(set_epochs(run, i));
        set_clocks(run, &run->stages[i]);
    }
    set_schedules(run);
    return check_stages(run);
}

lmb_stage *lmb_run_stage_at(lmb_run *run, int64_t epoch)
{
    int i = 0;
    while (i < run->n_stages - 1 && epoch > run->stages[i].last)
        i++;
    return &run->stages[i];
}

/* --- connectors ----------------------------------------------------------- */

/* The last batch of an epoch may be one that a network cannot be trained on:
 * one picture, and a batch norm over maps of one place. Better now than after
 * all other steps of the epoch. */
static lmb_status declare_rest(lmb_run *run, const int64_t size[3])
{
    const int64_t rest = lmb_run_epoch_images(run) % run->config->train.batch;
    if (rest == 0 || rest == size[0])
        return LMB_OK;
    const int64_t last[3] = {rest, size[1], size[2]};
    const lmb_step_spec spec = lmb_run_step_spec(run, last);
    const lmb_status st = lmb_train_step_declare(&spec, NULL);
    return st == LMB_OK
        ? LMB_OK
        : lmb__wrap(st,
              "the last batch of an epoch has %lld pictures (another --batch "
              "or --fraction changes that)",
              (long long)rest);
}

/* The first stage's are declared by its step, which is needed anyway. */
static lmb_status declare(lmb_run *run, lmb_stage *stage, const int64_t size[3])
{
    lmb_train_step *first = NULL;
    lmb_run_enter_epoch(run, stage->first);
    if (stage == run->stages) {
        LMB_TRY(lmb_run_step_for(run, size, &first));
        if (first->pairs.text != NULL)
            lmb_str_add(&stage->pairs, first->pairs.text);
        LMB_TRY(lmb_str_status(&stage->pairs));
    } else {
        const lmb_step_spec spec = lmb_run_step_spec(run, size);
        LMB_TRY(lmb_train_step_declare(&spec, &stage->pairs));
    }
    return declare_rest(run, size);
}

void lmb_run_usual_size(const lmb_run *run, int64_t size[3])
{
    const int64_t count = lmb_run_epoch_images(run);
    const int64_t batch = run->config->train.batch;
    int32_t sizes[LMB_MAX_SIZES][2];
    const bool boxes = lmb_loader_sizes(run->loader, sizes) > 0;
    size[0] = batch < count ? batch : count;
    size[1] = boxes ? sizes[0][0] : run->train_transform.height;
    size[2] = boxes ? sizes[0][1] : run->train_transform.width;
}

lmb_status lmb_run_open_connectors(lmb_run *run)
{
    int64_t size[3];
    lmb_run_usual_size(run, size);
    const uint64_t seed = (uint64_t)run->config->train.seed;
    for (int i = run->n_stages - 1; i >= 0; i--) {
        const lmb_status st = declare(run, &run->stages[i], size);
        if (st == LMB_ESHAPE && !run->config->train.stage_restart)
            return lmb__wrap(st,
                "--stage-restart=false keeps the methods' own parts, for which "
                "the teachers of all stages need the same channels");
        LMB_TRY(st);
    }
    for (int i = 1; i < run->state.n_stores; i++) {
        LMB_TRY(lmb_params_seal(run->state.stores[i]));
        lmb_params_init(run->state.stores[i], seed + (uint64_t)i - 1);
    }
    return LMB_OK;
}

void lmb_run_fini_stages(lmb_run *run)
{
    for (int k = 0; k < run->n_stages; k++) {
        for (int i = 0; i < run->stages[k].n_terms; i++) {
            lmb_term *t = &run->stages[k].terms[i];
            if (t->method != NULL)
                lmb_method_free(t->method, t->state);
        }
        lmb_str_fini(&run->stages[k].pairs);
    }
    for (int i = 1; i < run->state.n_stores; i++)
        lmb_params_free(run->state.stores[i]);
}

/* --- what must be equal on resume ----------------------------------------- */

/* By values, however they were given: config.yaml spells all of them. */
static void hash_term(
    lmb_str *out, const lmb_term *term, const lmb_method_config *c)
{
    const lmb_opt *row = term->method->opts;
    lmb_str_printf(
        out, "%s %a %a\n", term->method->name, term->weight, term->warmup);
    if (term->schedule != LMB_TERM_CONSTANT)
        lmb_str_printf(out, "%s\n", lmb_term_schedules[term->schedule]);
    for (; row != NULL && row->name != NULL; row++) {
        lmb_str_printf(out, "%s=", row->name);
        lmb_opt_print(row, term->state, out);
    }
    for (int k = 0; k < c->n_map; k++)
        lmb_str_printf(out, "%s\n", c->map[k]);
}

lmb_status lmb_run_hash_stages(const lmb_run *run, lmb_str *out)
{
    if (run->n_stages > 1)
        lmb_str_printf(
            out, "restart %d\n", (int)run->config->train.stage_restart);
    for (int k = 0; k < run->n_stages; k++) {
        const lmb_stage *stage = &run->stages[k];
        const lmb_schedule *s = &stage->schedule;
        lmb_str_printf(out, "%d %lld %lld %a %d %a %a %a %a %lld\n",
            stage->teacher_index, (long long)stage->first,
            (long long)stage->last, stage->task_weight, (int)s->kind, s->lr,
            s->decay_rate, s->min_lr, s->warmup_epochs,
            (long long)stage->schedule_first);
        for (int i = 0; i < s->n_decays; i++)
            lmb_str_printf(out, "%a\n", s->decay_epochs[i]);
        for (int i = 0; i < stage->n_terms; i++)
            hash_term(
                out, &stage->terms[i], &run->config->methods[stage->config[i]]);
    }
    return lmb_str_status(out);
}
