/* fuzz_json_stream.c: any bytes as JSON: walked and skipped alike. */
#include "io/json_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static lmb_status walk(lmb_json *j);

static lmb_status walk_members(lmb_json *j, bool object)
{
    for (;;) {
        const char *key = NULL;
        bool more = false;
        if (object)
            LMB_TRY(lmb_json_key(j, &key));
        else
            LMB_TRY(lmb_json_item(j, &more));
        if (!more && key == NULL)
            return LMB_OK;
        LMB_TRY(walk(j));
    }
}

static lmb_status walk(lmb_json *j)
{
    lmb_json_kind kind = LMB_JSON_NULL;
    const char *text = NULL;
    double number = 0;
    bool flag = false;
    LMB_TRY(lmb_json_peek(j, &kind));
    switch (kind) {
    case LMB_JSON_OBJECT:
        LMB_TRY(lmb_json_object(j));
        return walk_members(j, true);
    case LMB_JSON_LIST:
        LMB_TRY(lmb_json_list(j));
        return walk_members(j, false);
    case LMB_JSON_TEXT:
        return lmb_json_text(j, &text);
    case LMB_JSON_NUMBER:
        return lmb_json_f64(j, &number);
    case LMB_JSON_BOOL:
        return lmb_json_bool(j, &flag);
    default:
        return lmb_json_null(j);
    }
}

static lmb_status read_all(
    const uint8_t *data, size_t size, lmb_status (*read)(lmb_json *j))
{
    lmb_json *j = NULL;
    LMB_TRY(lmb_json_open_memory(data, size, "fuzz.json", &j));
    lmb_status st = read(j);
    if (st == LMB_OK)
        st = lmb_json_end(j);
    lmb_json_close(j);
    return st;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const lmb_status walked = read_all(data, size, walk);
    const lmb_status skipped = read_all(data, size, lmb_json_skip);
    /* What can be read can be skipped. */
    LMB_ASSERT(walked != LMB_OK || skipped == LMB_OK);
    return 0;
}
