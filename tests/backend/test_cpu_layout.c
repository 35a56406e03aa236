/* test_cpu_layout.c: conversions between the forms of a value, every level
 * against plain loops. */
#include "lmb_test.h"

#include "backend/cpu/cpu.h"
#include "backend/cpu/cpu_layout.h"
#include "base/rng.h"

enum { GUARD = 32 };

static size_t element_size(lmb_layout_form form)
{
    return form.bf16 ? 2 : 4;
}

static float get(const void *data, lmb_layout_form form, int64_t i)
{
    return form.bf16 ? lmb_bf16_to_f32(((const uint16_t *)data)[i])
                     : ((const float *)data)[i];
}

static void put(void *data, lmb_layout_form form, int64_t i, float x)
{
    if (form.bf16)
        ((uint16_t *)data)[i] = lmb_f32_to_bf16(x);
    else
        ((float *)data)[i] = x;
}

static int64_t place(
    const lmb_layout *l, lmb_layout_form form, int64_t n, int64_t c, int64_t s)
{
    const int64_t group = n * (l->channels / form.block) + c / form.block;
    return (group * l->area + s) * form.block + c % form.block;
}

static void convert_and_check(const lmb_layout *l)
{
    const int64_t count = l->images * l->channels * l->area;
    const size_t end = (size_t)count * element_size(l->to);
    char *from = NULL, *to = NULL, *want = NULL;
    CHECK_OK(LMB_NEW(from, (size_t)count * 4));
    CHECK_OK(LMB_NEW(to, end + GUARD));
    CHECK_OK(LMB_NEW(want, end + GUARD));
    memset(to, 0x5a, end + GUARD);
    memset(want, 0x5a, end + GUARD);
    lmb_rng rng = lmb_rng_make(5, LMB_STREAM_TEST, 0, 0);
    for (int64_t i = 0; i < count; i++)
        put(from, l->from, i, (float)lmb_rng_normal(&rng));
    for (int64_t n = 0; n < l->images; n++)
        for (int64_t c = 0; c < l->channels; c++)
            for (int64_t s = 0; s < l->area; s++)
                put(want, l->to, place(l, l->to, n, c, s),
                    get(from, l->from, place(l, l->from, n, c, s)));
    lmb_cpu_layout()(l, from, to);
    assert_memory_equal(to, want, end + GUARD);
    lmb_free(from);
    lmb_free(to);
    lmb_free(want);
}

static void convert_level(void)
{
    static const int64_t sizes[][3] = {{1, 1, 1}, {2, 3, 5}, {1, 16, 16},
        {3, 17, 49}, {2, 64, 100}, {1, 33, 1}, {2, 20, 1024}};
    for (size_t k = 0; k < LMB_COUNT(sizes); k++)
        for (int pair = 0; pair < 36; pair++) {
            const int64_t channels = sizes[k][1];
            const int64_t blocks[] = {1, channels, channels % 8 ? 1 : 8};
            const lmb_layout l = {
                .from = {blocks[pair / 2 % 3], pair % 2 == 1},
                .to = {blocks[pair / 12], pair / 6 % 2 == 1},
                .images = sizes[k][0],
                .channels = channels,
                .area = sizes[k][2],
            };
            convert_and_check(&l);
        }
}

static void forms_hold_the_same_value(void **state)
{
    (void)state;
    for (int i = 0; i < lmb_cpu_level_count(); i++) {
        CHECK_OK(lmb_cpu_set_level(lmb_cpu_level_at(i)));
        convert_level();
    }
    CHECK_OK(lmb_cpu_set_level(NULL));
}

LMB_TEST_MAIN(cmocka_unit_test(forms_hold_the_same_value))
