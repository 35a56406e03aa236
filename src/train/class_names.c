/* class_names.c: class names of weights against those of the data. */
#include "train/class_names.h"

#include "base/log.h"

#include <ctype.h>
#include <string.h>

static int letter(char c)
{
    return c == '_' || c == '-' ? ' ' : tolower((unsigned char)c);
}

static bool same_name(const char *a, const char *b)
{
    while (*a != '\0' && letter(*a) == letter(*b)) {
        a++;
        b++;
    }
    return *a == '\0' && *b == '\0';
}

static bool is_name(const char *text)
{
    return text != NULL && text[0] != '\0' && strcmp(text, "N/A") != 0;
}

/* Has b, where the two differ, the name of a[i]? */
static bool is_elsewhere(
    const char *const *a, const char *const *b, int32_t n, int32_t i)
{
    for (int32_t k = 0; k < n; k++)
        if (k != i && is_name(b[k]) && same_name(a[i], b[k]) &&
            !(is_name(a[k]) && same_name(a[k], b[k])))
            return true;
    return false;
}

lmb_names_gap lmb_names_compare(
    const char *const *a, const char *const *b, int32_t n)
{
    lmb_names_gap gap = {.first = -1, .moved = -1};
    for (int32_t i = 0; i < n; i++) {
        if (!is_name(a[i]) || !is_name(b[i]))
            continue;
        gap.known++;
        if (same_name(a[i], b[i]))
            continue;
        gap.differ++;
        if (gap.first < 0)
            gap.first = i;
        if (gap.moved < 0 && is_elsewhere(a, b, n, i))
            gap.moved = i;
    }
    return gap;
}

lmb_status lmb_check_class_names(const char *path,
    const lmb_weights_about *about, const lmb_dataset *data, bool tolerant)
{
    const int32_t n = lmb_dataset_classes(data);
    const char *const *b = lmb_dataset_class_names(data);
    if (about->class_names == NULL || b == NULL || about->classes != n)
        return LMB_OK;
    const char *const *a = (const char *const *)about->class_names;
    const lmb_names_gap gap = lmb_names_compare(a, b, n);
    const int32_t k = gap.moved >= 0 ? gap.moved : gap.first;
    if (gap.moved >= 0 && !tolerant)
        return LMB_FAIL(LMB_EFORMAT,
            "%s: class %d is '%s' there and '%s' in the data: are its classes "
            "in another order? (--force goes on)",
            path, (int)k, a[k], b[k]);
    if (gap.moved >= 0)
        lmb_log_line(LMB_LOG_WARNING,
            "%s: class %d is '%s' there and '%s' in the data: are its classes "
            "in another order?",
            path, (int)k, a[k], b[k]);
    else if (gap.differ > 0)
        lmb_log_line(LMB_LOG_WARNING,
            "%s: %d of its %d class names are not the data's, the first is "
            "class %d, '%s' there and '%s' in the data",
            path, (int)gap.differ, (int)gap.known, (int)k, a[k], b[k]);
    return LMB_OK;
}
