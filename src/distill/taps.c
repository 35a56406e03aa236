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

static void skip_blanks(const char **at)
{
    *at += strspn(*at, " \t");
}

/* Reads "teacher.NAME" (side 0) or "student.NAME" at *at and moves behind it;
 * NULL, and *at stays, if that is not there. */
static const char *read_tap(lmb_arena *arena, const char **at, int side)
{
    static const char *const sides[] = {"teacher.", "student."};
    const size_t skip = strlen(sides[side]);
    skip_blanks(at);
    if (strncmp(*at, sides[side], skip) != 0)
        return NULL;
    const char *name = *at + skip;
    const size_t n = strcspn(name, " \t-");
    if (n == 0)
        return NULL;
    *at = name + n;
    return lmb_arena_printf(arena, "%.*s", (int)n, name);
}

lmb_status lmb_pairing_parse(
    lmb_arena *arena, const char *line, lmb_pairing *out)
{
    const char *at = line;
    const char *names[2] = {NULL, NULL};
    int first = 0;
    names[0] = read_tap(arena, &at, 0);
    if (names[0] == NULL) {
        first = 1;
        names[1] = read_tap(arena, &at, 1);
    }
    skip_blanks(&at);
    if (names[first] != NULL && strncmp(at, "->", 2) == 0) {
        at += 2;
        names[1 - first] = read_tap(arena, &at, 1 - first);
        skip_blanks(&at);
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
