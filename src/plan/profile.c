/* profile.c: where the time of a plan goes, and what its limit is. */
#include "plan/plan_impl.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static lmb_plan_time *row_of(
    lmb_plan_time *rows, int max, int *n, const char *name)
{
    for (int i = 0; i < *n; i++)
        if (strcmp(rows[i].op, name) == 0)
            return &rows[i];
    if (*n == max)
        return &rows[max - 1];
    rows[*n] = (lmb_plan_time){.op = name};
    return &rows[(*n)++];
}

static int by_time(const void *a, const void *b)
{
    const lmb_plan_time *x = a;
    const lmb_plan_time *y = b;
    return x->seconds < y->seconds ? 1 : x->seconds > y->seconds ? -1 : 0;
}

lmb_status lmb_plan_profile(
    lmb_plan *plan, int runs, int max, lmb_plan_time *out, int *n)
{
    *n = 0;
    for (int r = 0; r < runs; r++) {
        LMB_TRY(lmb_plan_prepare(plan));
        for (size_t i = 0; i < plan->steps.count; i++) {
            lmb_step *step = plan->steps.items[i];
            const double start = lmb_clock_now();
            LMB_TRY(lmb_plan_step(plan, step));
            lmb_plan_time *row = row_of(out, max, n, step->name);
            row->seconds += (lmb_clock_now() - start) / runs;
            row->count += r == 0;
        }
    }
    qsort(out, (size_t)*n, sizeof *out, by_time);
    return LMB_OK;
}

/* --- the limit */

/* The best of several runs on zeroed memory of its own. */
static lmb_status time_conv(const lmb_dnn_conv_spec *spec, double *seconds)
{
    lmb_dnn_conv_spec free_choice = *spec;
    free_choice.block_x = free_choice.block_y = LMB_DNN_ANY;
    /* A residual must have a known layout; it is no part of the limit. */
    free_choice.residual = free_choice.in_place = false;
    lmb_dnn_conv *conv = NULL;
    LMB_TRY(lmb_dnn_conv_new(&free_choice, &conv));
    const size_t w = lmb_dnn_conv_weights_size(conv) + 64;
    const size_t s = lmb_dnn_conv_scratch_size(conv) + 64;
    const size_t pad_x = lmb_dnn_conv_x_size(conv) + 64;
    const size_t pad_y = lmb_dnn_conv_y_size(conv) + 64;
    char *memory = lmb_alloc(pad_x + pad_y + w + s + 65536, 1);
    lmb_status st =
        memory != NULL ? LMB_OK : LMB_FAIL(LMB_ENOMEM, "out of memory: limit");
    *seconds = 1e30;
    for (int r = 0; r < 7 && st == LMB_OK; r++) {
        const lmb_dnn_conv_args args = {
            .x = memory,
            .y = memory + (pad_x + 63) / 64 * 64,
            .weights = memory + (pad_x + pad_y + 127) / 64 * 64,
            .bias = memory + (pad_x + pad_y + w + 191) / 64 * 64 + s,
            .scratch = memory + (pad_x + pad_y + w + 191) / 64 * 64,
        };
        const double start = lmb_clock_now();
        st = lmb_dnn_conv_run(conv, &args);
        const double t = lmb_clock_now() - start;
        if (r > 0 && t < *seconds)
            *seconds = t;
    }
    lmb_free(memory);
    lmb_dnn_conv_free(conv);
    return st;
}

static bool same_spec(const lmb_dnn_conv_spec *a, const lmb_dnn_conv_spec *b)
{
    return a->kind == b->kind && memcmp(a->x, b->x, sizeof a->x) == 0 &&
        memcmp(a->y, b->y, sizeof a->y) == 0 &&
        memcmp(a->kernel, b->kernel, sizeof a->kernel) == 0 &&
        memcmp(a->attr.stride, b->attr.stride, sizeof a->attr.stride) == 0 &&
        memcmp(a->attr.pad, b->attr.pad, sizeof a->attr.pad) == 0 &&
        a->attr.groups == b->attr.groups && a->dtype == b->dtype &&
        a->bias == b->bias && a->relu == b->relu;
}

/* By oneDNN or by a kernel of ours. */
static bool is_convolution(const lmb_step *step)
{
    return step->spec.kernel[0] > 0;
}

/* A product by itself, on what the last run left: it has one layout only. */
static lmb_status time_matmul(lmb_plan *plan, lmb_step *step, double *seconds)
{
    *seconds = 1e30;
    for (int r = 0; r < 7; r++) {
        const double start = lmb_clock_now();
        LMB_TRY(lmb_plan_step(plan, step));
        const double t = lmb_clock_now() - start;
        if (r > 0 && t < *seconds)
            *seconds = t;
    }
    return LMB_OK;
}

lmb_status lmb_plan_limit(lmb_plan *plan, double *seconds)
{
    double *known = NULL;
    LMB_TRY(LMB_NEW(known, plan->steps.count + 1));
    lmb_status st = LMB_OK;
    *seconds = 0;
    for (size_t i = 0; i < plan->steps.count && st == LMB_OK; i++) {
        lmb_step *step = plan->steps.items[i];
        if (step->kind == LMB_STEP_MATMUL) {
            st = time_matmul(plan, step, &known[i]);
            *seconds += known[i];
        }
        if (!is_convolution(step))
            continue;
        size_t j = 0;
        while (j < i &&
            (!is_convolution(plan->steps.items[j]) ||
                !same_spec(&plan->steps.items[j]->spec, &step->spec)))
            j++;
        if (j < i)
            known[i] = known[j];
        else
            st = time_conv(&step->spec, &known[i]);
        *seconds += known[i];
    }
    lmb_free(known);
    return st;
}
