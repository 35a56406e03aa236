/* json_stream.c: the cursor of json_stream.h: objects, lists and values. */
#include "io/json_impl.h"

#include "io/json_number.h"

#include <string.h>

/* --- objects and lists */

static lmb_status enter(lmb_json *j, char open, char close, const char *what)
{
    LMB_TRY(lmb__json_space(j));
    if (*j->at != open)
        return lmb__json_expected(j, what);
    if (j->depth == LMB_JSON_DEPTH)
        return lmb_json_bad(j, "more than %d levels", LMB_JSON_DEPTH);
    j->at++;
    j->level[j->depth++] = (lmb_json_level){close, true};
    return LMB_OK;
}

lmb_status lmb_json_object(lmb_json *j)
{
    return enter(j, '{', '}', "an object");
}

lmb_status lmb_json_list(lmb_json *j)
{
    return enter(j, '[', ']', "a list");
}

/* Moves to the next member of the innermost object or list, or leaves it. */
static lmb_status member(lmb_json *j, bool *more)
{
    LMB_ASSERT(j->depth > 0);
    lmb_json_level *l = &j->level[j->depth - 1];
    LMB_TRY(lmb__json_space(j));
    *more = *j->at != l->close;
    if (!*more) {
        j->at++;
        j->depth--;
        return LMB_OK;
    }
    if (!l->first) {
        if (*j->at != ',')
            return lmb__json_expected(
                j, l->close == '}' ? "',' or '}'" : "',' or ']'");
        j->at++;
        LMB_TRY(lmb__json_space(j));
    }
    l->first = false;
    return LMB_OK;
}

lmb_status lmb_json_item(lmb_json *j, bool *more)
{
    LMB_ASSERT(j->depth > 0 && j->level[j->depth - 1].close == ']');
    return member(j, more);
}

static lmb_status key(lmb_json *j, bool keep, bool *more)
{
    LMB_TRY(member(j, more));
    if (!*more)
        return LMB_OK;
    LMB_TRY(lmb__json_string(j, keep));
    LMB_TRY(lmb__json_space(j));
    if (*j->at != ':')
        return lmb__json_expected(j, "':'");
    j->at++;
    return LMB_OK;
}

lmb_status lmb_json_key(lmb_json *j, const char **out)
{
    LMB_ASSERT(j->depth > 0 && j->level[j->depth - 1].close == '}');
    bool more = false;
    *out = NULL;
    LMB_TRY(key(j, true, &more));
    *out = more ? j->text.text : NULL;
    return LMB_OK;
}

/* --- values */

lmb_status lmb_json_peek(lmb_json *j, lmb_json_kind *out)
{
    LMB_TRY(lmb__json_space(j));
    switch (*j->at) {
    case '{':
        *out = LMB_JSON_OBJECT;
        return LMB_OK;
    case '[':
        *out = LMB_JSON_LIST;
        return LMB_OK;
    case '"':
        *out = LMB_JSON_TEXT;
        return LMB_OK;
    case 't':
    case 'f':
        *out = LMB_JSON_BOOL;
        return LMB_OK;
    case 'n':
        *out = LMB_JSON_NULL;
        return LMB_OK;
    default:
        if (*j->at != '-' && (*j->at < '0' || *j->at > '9'))
            return lmb__json_expected(j, "a value");
        *out = LMB_JSON_NUMBER;
        return LMB_OK;
    }
}

static lmb_status number(lmb_json *j, lmb_json_number_text *n)
{
    LMB_TRY(lmb__json_space(j));
    LMB_TRY(lmb__json_need(j, LMB_JSON_NUMBER_MAX + 1));
    const bool good = lmb_json_number_scan(j->at, n);
    if (good && n->length <= LMB_JSON_NUMBER_MAX)
        return LMB_OK;
    if (n->length > LMB_JSON_NUMBER_MAX)
        return lmb_json_bad(
            j, "a number of more than %d characters", LMB_JSON_NUMBER_MAX);
    j->at += n->length;
    return lmb__json_expected(j, n->length > 0 ? "a digit" : "a number");
}

lmb_status lmb_json_f64(lmb_json *j, double *out)
{
    lmb_json_number_text n;
    LMB_TRY(number(j, &n));
    if (!lmb_json_number_f64(j->at, &n, out))
        return lmb_json_bad(j, "a number beyond the range of doubles");
    j->at += n.length;
    return LMB_OK;
}

lmb_status lmb_json_i64(lmb_json *j, int64_t *out)
{
    lmb_json_number_text n;
    LMB_TRY(number(j, &n));
    if (!lmb_json_number_i64(j->at, &n, out))
        return lmb_json_bad(j, "not a whole number of 64 bits: %.*s",
            n.length < 40 ? (int)n.length : 40, j->at);
    j->at += n.length;
    return LMB_OK;
}

static lmb_status literal(lmb_json *j, const char *word, const char *what)
{
    const size_t length = strlen(word);
    LMB_TRY(lmb__json_need(j, (ptrdiff_t)length));
    if (strncmp(j->at, word, length) != 0)
        return lmb__json_expected(j, what);
    j->at += length;
    return LMB_OK;
}

lmb_status lmb_json_bool(lmb_json *j, bool *out)
{
    LMB_TRY(lmb__json_space(j));
    *out = *j->at == 't';
    return literal(j, *out ? "true" : "false", "true or false");
}

lmb_status lmb_json_null(lmb_json *j)
{
    LMB_TRY(lmb__json_space(j));
    return literal(j, "null", "null");
}

lmb_status lmb_json_text(lmb_json *j, const char **out)
{
    LMB_TRY(lmb__json_space(j));
    LMB_TRY(lmb__json_string(j, true));
    *out = j->text.text;
    return LMB_OK;
}

/* A value, but of an object or a list only its beginning. */
static lmb_status skip_head(lmb_json *j)
{
    lmb_json_kind kind = LMB_JSON_NULL;
    lmb_json_number_text n;
    bool flag = false;
    LMB_TRY(lmb_json_peek(j, &kind));
    switch (kind) {
    case LMB_JSON_OBJECT:
        return lmb_json_object(j);
    case LMB_JSON_LIST:
        return lmb_json_list(j);
    case LMB_JSON_TEXT:
        return lmb__json_string(j, false);
    case LMB_JSON_NUMBER:
        LMB_TRY(number(j, &n));
        j->at += n.length;
        return LMB_OK;
    case LMB_JSON_BOOL:
        return lmb_json_bool(j, &flag);
    default:
        return lmb_json_null(j);
    }
}

lmb_status lmb_json_skip(lmb_json *j)
{
    const int outside = j->depth;
    LMB_TRY(skip_head(j));
    while (j->depth > outside) {
        bool more = false;
        if (j->level[j->depth - 1].close == '}')
            LMB_TRY(key(j, false, &more));
        else
            LMB_TRY(member(j, &more));
        if (more)
            LMB_TRY(skip_head(j));
    }
    return LMB_OK;
}

lmb_status lmb_json_end(lmb_json *j)
{
    LMB_TRY(lmb__json_space(j));
    return j->at == j->end
        ? LMB_OK
        : lmb__json_expected(j, "the end of the file behind the value");
}
