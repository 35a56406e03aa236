/* taps.c: finding and pairing taps. */
#include "distill/method.h"

#include <stdio.h>
#include <string.h>

const lmb_tap *lmb_taps_find(const lmb_taps *taps, const char *name)
{
    for (int i = 0; name != NULL && i < taps->count; i++)
        if (strcmp(taps->taps[i].name, name) == 0)
            return &taps->taps[i];
    return NULL;
}

lmb_status lmb_pairs_add(
    lmb_pairs *pairs, const char *student, const char *teacher)
{
    if (pairs->count == LMB_MAX_PAIRS)
        return LMB_FAIL(
            LMB_EINVAL, "more than %d pairs of taps", (int)LMB_MAX_PAIRS);
    pairs->pair[pairs->count++] =
        (lmb_pairing){.teacher = teacher, .student = student};
    return LMB_OK;
}

/* The name after "teacher." or "student." at `at`, to the next blank. */
static const char *tap_name(
    lmb_arena *arena, const char *at, const char *side, size_t *length)
{
    const size_t skip = strlen(side);
    if (strncmp(at, side, skip) != 0)
        return NULL;
    const size_t n = strcspn(at + skip, " \t-");
    *length = skip + n;
    return n > 0 ? lmb_arena_printf(arena, "%.*s", (int)n, at + skip) : NULL;
}

static const char *skip_blanks(const char *at)
{
    return at + strspn(at, " \t");
}

lmb_status lmb_pairing_parse(
    lmb_arena *arena, const char *line, lmb_pairing *out)
{
    static const char *const sides[] = {"teacher.", "student."};
    const char *at = skip_blanks(line);
    const int first = strncmp(at, sides[0], strlen(sides[0])) == 0 ? 0 : 1;
    const char *names[2] = {NULL, NULL};
    size_t length = 0;
    names[first] = tap_name(arena, at, sides[first], &length);
    if (names[first] != NULL) {
        at = skip_blanks(at + length);
        if (strncmp(at, "->", 2) == 0) {
            at = skip_blanks(at + 2);
            names[1 - first] = tap_name(arena, at, sides[1 - first], &length);
            at = skip_blanks(at + length);
        }
    }
    if (names[0] == NULL || names[1] == NULL || *at != '\0')
        return LMB_FAIL(LMB_EINVAL,
            "map '%s': a line reads 'teacher.TAP -> student.TAP'", line);
    *out = (lmb_pairing){.teacher = names[0], .student = names[1]};
    return LMB_OK;
}

lmb_status lmb_pairs_add_same(lmb_pairs *pairs, const char *name,
    const lmb_taps *student, const lmb_taps *teacher)
{
    const lmb_tap *s = lmb_taps_find(student, name);
    const lmb_tap *t = lmb_taps_find(teacher, name);
    /* A missing one keeps its name: lmb_method_pairs then says who lacks it. */
    return lmb_pairs_add(
        pairs, s != NULL ? s->name : name, t != NULL ? t->name : name);
}

int lmb_taps_levels(const lmb_taps *taps, const char *stem)
{
    int count = 0;
    for (char name[16];; count++) {
        (void)snprintf(name, sizeof name, "%s%d", stem, count);
        if (lmb_taps_find(taps, name) == NULL)
            return count;
    }
}

/* One side of a pair; false if it is missing. */
static bool side_of(const lmb_build *b, const lmb_taps *taps, const char *side,
    int i, const char *name, lmb_tap *out)
{
    const lmb_tap *tap = lmb_taps_find(taps, name);
    if (tap != NULL) {
        *out = *tap;
        return true;
    }
    lmb_graph_fail(b->g,
        LMB_FAIL(LMB_ENOTFOUND, "%s: pair %d of taps has no %s side '%s'",
            b->method, i, side, name != NULL ? name : ""));
    return false;
}

bool lmb_build_pair(
    const lmb_build *b, int i, lmb_tap *student, lmb_tap *teacher)
{
    if (i >= b->pairs.count) {
        lmb_graph_fail(b->g,
            LMB_FAIL(LMB_EINVAL, "%s: needs %d pairs of taps, the map has %d",
                b->method, i + 1, b->pairs.count));
        return false;
    }
    const lmb_pairing *pair = &b->pairs.pair[i];
    if (student != NULL &&
        !side_of(b, b->student, "student", i, pair->student, student))
        return false;
    if (teacher == NULL)
        return true;
    if (!side_of(b, b->teacher, "teacher", i, pair->teacher, teacher))
        return false;
    teacher->value = lmb_stop_gradient(b->g, teacher->value);
    return true;
}
