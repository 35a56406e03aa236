/* cmd_bench.c: limbeck bench step: images per second of a training step, the
 * limit that its convolutions set, and where the rest goes. */
#include "cli/cli.h"

#include "train/bench.h"

#include <string.h>

static const cli_flag flags[] = {
    {"steps", "N", "steps to time (20)", NULL, NULL},
    {"size", "PX", "height and width of the images (the model's)", NULL, NULL},
    {0},
};

static void add_json(lmb_str *out, const lmb_bench_result *r)
{
    lmb_str_add(out, "{\"images_per_second\": ");
    lmb_str_json_number(out, r->images_per_second);
    lmb_str_add(out, ", \"limit_images_per_second\": ");
    lmb_str_json_number(out, r->limit_images_per_second);
    lmb_str_add(out, ", \"limit_ratio\": ");
    lmb_str_json_number(out, r->limit_ratio);
    lmb_str_printf(out,
        ", \"peak_memory_bytes\": %lld, \"plan_bytes\": %lld, "
        "\"precision\": \"%s\", \"threads\": %d, \"compile_seconds\": ",
        (long long)r->peak_memory_bytes, (long long)r->plan_bytes,
        r->bf16 ? "bf16" : "f32", r->threads);
    lmb_str_json_number(out, r->compile_seconds);
    lmb_str_add(out, ", \"profile\": [");
    for (int i = 0; i < r->n_rows; i++) {
        lmb_str_printf(out,
            "%s{\"op\": \"%s\", \"steps\": %d, \"ms\": ", i > 0 ? ", " : "",
            r->rows[i].op, r->rows[i].count);
        lmb_str_json_number(out, r->rows[i].seconds * 1e3);
        lmb_str_add(out, "}");
    }
    lmb_str_add(out, "]}\n");
}

static void add_plain(lmb_str *out, const lmb_bench_result *r)
{
    lmb_str_printf(out,
        "images/s        %8.4g   (%s, %d thread%s, median step)\n"
        "limit images/s  %8.4g   (its convolutions and products alone)\n"
        "ratio           %8.3f\n"
        "peak memory     %8.1f MB (activations and packed weights %.1f)\n"
        "compile         %8.2f s\n\n",
        r->images_per_second, r->bf16 ? "bf16" : "f32", r->threads,
        r->threads == 1 ? "" : "s", r->limit_images_per_second, r->limit_ratio,
        (double)r->peak_memory_bytes / 1e6, (double)r->plan_bytes / 1e6,
        r->compile_seconds);
    lmb_str_printf(out, "%-26s %6s %9s %6s\n", "op", "steps", "ms", "%");
    for (int i = 0; i < r->n_rows; i++)
        lmb_str_printf(out, "%-26s %6d %9.3f %6.1f\n", r->rows[i].op,
            r->rows[i].count, r->rows[i].seconds * 1e3,
            100 * r->rows[i].seconds / r->profile_seconds);
}

static lmb_status check_pair(const lmb_run_config *run)
{
    if (run->n_methods > 0 && run->n_teachers == 0)
        return LMB_FAIL(LMB_EUSAGE,
            "limbeck bench: --method %s needs a teacher: --teacher NAME",
            run->methods[0].name);
    if (run->n_methods == 0 && run->n_teachers > 0)
        return LMB_FAIL(LMB_EUSAGE,
            "limbeck bench: --teacher teaches by a method: --method NAME");
    return LMB_OK;
}

static lmb_status run(cli *c)
{
    lmb_config config = {0};
    lmb_run_config run_config = {0};
    lmb_bench_result result;
    lmb_str out = {0};
    lmb_status st = LMB_OK;
    int64_t steps = 20;
    int64_t size = 0;
    LMB_TRY(cli_need_words(c, 1, "step"));
    if (strcmp(c->words[0], "step") != 0)
        return LMB_FAIL(
            LMB_EUSAGE, "bench '%s': there is only `bench step`", c->words[0]);
    LMB_TRY(cli_i64(c, "steps", 1, 1000000, &steps));
    LMB_TRY(cli_i64(c, "size", 8, 4096, &size));
    LMB_GOTO(lmb_config_init(&config), st, done);
    LMB_GOTO(lmb_run_config_init(&run_config), st, done);
    LMB_GOTO(cli_run_config(c, &config, &run_config), st, done);
    LMB_GOTO(check_pair(&run_config), st, done);
    LMB_GOTO(lmb_bench_step(&run_config, steps, size, &result), st, done);
    if (c->json)
        add_json(&out, &result);
    else
        add_plain(&out, &result);
    st = cli_put_str(&out);
done:
    lmb_run_config_fini(&run_config);
    lmb_config_fini(&config);
    return st;
}

const cli_command cmd_bench = {
    .name = "bench",
    .usage = "step --student NAME [--teacher NAME --method NAME] [flags]",
    .title = "speed of a training step, its limit, and where the time goes",
    .flags = flags,
    .config =
        "config|set|model|student|teacher|method|temperature|classes|batch|"
        "precision|threads|allow-reference",
    .max_words = 1,
    .run = run,
};
