/* voc_xml.c: an annotation file of Pascal VOC, read with expat.
 *
 * The path of the open elements ("annotation/object/bndbox/xmin") is kept as
 * text, and the elements that count are rows of a table of such paths.
 * Format: the VOC development kit, section "Annotation". */
#include "data/voc_xml.h"
#include "base/file.h"
#include "base/str.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#include <expat.h>

enum { PATH_SIZE = 64, TEXT_SIZE = 512 };

typedef enum field {
    FILE_NAME,
    WIDTH,
    HEIGHT,
    NAME,
    DIFFICULT,
    XMIN,
    YMIN,
    XMAX,
    YMAX,
} field;

static const struct {
    const char *path;
    field field;
} fields[] = {
    {"annotation/filename", FILE_NAME},
    {"annotation/size/width", WIDTH},
    {"annotation/size/height", HEIGHT},
    {"annotation/object/name", NAME},
    {"annotation/object/difficult", DIFFICULT},
    {"annotation/object/bndbox/xmin", XMIN},
    {"annotation/object/bndbox/ymin", YMIN},
    {"annotation/object/bndbox/xmax", XMAX},
    {"annotation/object/bndbox/ymax", YMAX},
};

typedef struct reader {
    XML_Parser parser;
    const char *name;
    lmb_arena *arena;
    lmb_voc_file *out;
    lmb_status status;
    char path[PATH_SIZE];
    size_t length; /* of path */
    int64_t beyond; /* open elements that are not in path */
    bool seen; /* the root element */
    char text[TEXT_SIZE];
    size_t text_length;
    bool text_cut;
} reader;

static int line_of(const reader *r)
{
#if XML_MAJOR_VERSION > 2 || XML_MINOR_VERSION >= 9
    const uint64_t line = XML_GetCurrentLineNumber64(r->parser);
#else
    const uint64_t line = XML_GetCurrentLineNumber(r->parser);
#endif
    return line > INT_MAX ? INT_MAX : (int)line;
}

/* Remembers the first failure; expat is told to stop. */
static void note(reader *r, lmb_status st)
{
    if (st == LMB_OK || r->status != LMB_OK)
        return;
    r->status = st;
    (void)XML_StopParser(r->parser, XML_FALSE);
}

static bool at_path(const reader *r, const char *path)
{
    return r->beyond == 0 && strcmp(r->path, path) == 0;
}

/* --- elements ------------------------------------------------------------- */

static lmb_status open_object(reader *r)
{
    lmb_voc_file *f = r->out;
    LMB_TRY(LMB_GROW(f->objects, f->count, f->capacity));
    lmb_voc_object *o = &f->objects[f->count++];
    *o = (lmb_voc_object){.line = line_of(r)};
    for (int k = 0; k < 4; k++)
        o->box[k] = NAN;
    return LMB_OK;
}

static lmb_status close_object(const reader *r)
{
    static const char *const sides[] = {"xmin", "ymin", "xmax", "ymax"};
    const lmb_voc_object *o = &r->out->objects[r->out->count - 1];
    if (o->name == NULL)
        return LMB_FAIL(
            LMB_EFORMAT, "%s:%d: an object without a name", r->name, o->line);
    for (int k = 0; k < 4; k++)
        if (isnan(o->box[k]))
            return LMB_FAIL(LMB_EFORMAT, "%s:%d: object '%s' has no %s",
                r->name, o->line, o->name, sides[k]);
    return LMB_OK;
}

/* The element's text without blanks around it. */
static char *trimmed(reader *r)
{
    char *start = r->text;
    char *end = r->text + r->text_length;
    static const char blanks[] = " \t\r\n";
    while (end > start && strchr(blanks, end[-1]) != NULL)
        *--end = '\0';
    while (start < end && strchr(blanks, *start) != NULL)
        start++;
    return start;
}

static lmb_status keep_text(const reader *r, const char *text, const char **out)
{
    if (text[0] == '\0')
        return LMB_OK;
    *out = lmb_arena_strdup(r->arena, text);
    return *out != NULL ? LMB_OK
                        : LMB_FAIL(LMB_ENOMEM, "%s: out of memory", r->name);
}

static lmb_status take_number(const reader *r, const char *text, double *out)
{
    if (!lmb_parse_f64(text, out) || !isfinite(*out))
        return LMB_FAIL(LMB_EFORMAT, "%s:%d: %s '%s' is not a number", r->name,
            line_of(r), strrchr(r->path, '/') + 1, text);
    return LMB_OK;
}

static lmb_status take_side(const reader *r, const char *text, int32_t *out)
{
    double v = 0;
    LMB_TRY(take_number(r, text, &v));
    if (v < 0 || v > INT32_MAX || v != floor(v))
        return LMB_FAIL(LMB_EFORMAT, "%s:%d: %s '%s' is not a size", r->name,
            line_of(r), strrchr(r->path, '/') + 1, text);
    *out = (int32_t)v;
    return LMB_OK;
}

static lmb_status take_difficult(
    const reader *r, const char *text, lmb_voc_object *o)
{
    double v = 0;
    if (text[0] != '\0')
        LMB_TRY(take_number(r, text, &v));
    o->difficult = v != 0;
    return LMB_OK;
}

static lmb_status take_field(reader *r, field which)
{
    lmb_voc_file *f = r->out;
    const char *text = trimmed(r);
    lmb_voc_object *o = f->count > 0 ? &f->objects[f->count - 1] : NULL;
    if (r->text_cut)
        return LMB_FAIL(LMB_EFORMAT, "%s:%d: %s is longer than %d bytes",
            r->name, line_of(r), r->path, TEXT_SIZE - 1);
    switch (which) {
    case FILE_NAME:
        return keep_text(r, text, &f->file_name);
    case WIDTH:
        return take_side(r, text, &f->width);
    case HEIGHT:
        return take_side(r, text, &f->height);
    case NAME:
        return keep_text(r, text, &o->name);
    case DIFFICULT:
        return take_difficult(r, text, o);
    default:
        return take_number(r, text, &o->box[which - XMIN]);
    }
}

/* --- what expat calls ----------------------------------------------------- */

static void on_start(void *user, const XML_Char *name, const XML_Char **unused)
{
    reader *r = user;
    (void)unused;
    if (r->status != LMB_OK)
        return;
    const size_t n = strlen(name);
    const size_t need = n + (r->length > 0 ? 1 : 0);
    if (!r->seen && strcmp(name, "annotation") != 0)
        note(r,
            LMB_FAIL(LMB_EFORMAT, "%s:%d: <%.40s> in place of <annotation>",
                r->name, line_of(r), name));
    r->seen = true;
    r->text_length = 0;
    r->text[0] = '\0';
    r->text_cut = false;
    if (r->beyond > 0 || r->length + need >= PATH_SIZE) {
        r->beyond++;
        return;
    }
    if (r->length > 0)
        r->path[r->length++] = '/';
    memcpy(r->path + r->length, name, n + 1);
    r->length += n;
    if (at_path(r, "annotation/object"))
        note(r, open_object(r));
}

static void leave(reader *r)
{
    if (r->beyond > 0) {
        r->beyond--;
        return;
    }
    const char *slash = strrchr(r->path, '/');
    r->length = slash != NULL ? (size_t)(slash - r->path) : 0;
    r->path[r->length] = '\0';
}

static void on_end(void *user, const XML_Char *unused)
{
    reader *r = user;
    (void)unused;
    if (r->status != LMB_OK)
        return;
    for (size_t i = 0; i < LMB_COUNT(fields); i++)
        if (at_path(r, fields[i].path))
            note(r, take_field(r, fields[i].field));
    if (at_path(r, "annotation/object") && r->status == LMB_OK)
        note(r, close_object(r));
    r->text_length = 0;
    r->text[0] = '\0';
    leave(r);
}

static void on_text(void *user, const XML_Char *text, int length)
{
    reader *r = user;
    const size_t room = TEXT_SIZE - 1 - r->text_length;
    size_t n = (size_t)length;
    if (n > room) {
        n = room;
        r->text_cut = true;
    }
    memcpy(r->text + r->text_length, text, n);
    r->text_length += n;
    r->text[r->text_length] = '\0';
}

static void on_doctype(void *user, const XML_Char *name, const XML_Char *system,
    const XML_Char *public, int subset)
{
    reader *r = user;
    (void)name;
    (void)system;
    (void)public;
    (void)subset;
    note(r,
        LMB_FAIL(LMB_EFORMAT, "%s:%d: a document type is refused", r->name,
            line_of(r)));
}

/* --- reading -------------------------------------------------------------- */

static lmb_status run(reader *r, const void *bytes, size_t size)
{
    if (size > INT_MAX)
        return LMB_FAIL(
            LMB_EFORMAT, "%s: %zu bytes are too many", r->name, size);
    XML_SetUserData(r->parser, r);
    XML_SetElementHandler(r->parser, on_start, on_end);
    XML_SetCharacterDataHandler(r->parser, on_text);
    XML_SetStartDoctypeDeclHandler(r->parser, on_doctype);
    const enum XML_Status parsed =
        XML_Parse(r->parser, size > 0 ? bytes : "", (int)size, XML_TRUE);
    if (r->status != LMB_OK)
        return r->status;
    if (parsed != XML_STATUS_OK)
        return LMB_FAIL(LMB_EFORMAT, "%s:%d: XML: %s", r->name, line_of(r),
            XML_ErrorString(XML_GetErrorCode(r->parser)));
    return LMB_OK;
}

lmb_status lmb__voc_parse(const void *bytes, size_t size, const char *name,
    lmb_arena *arena, lmb_voc_file *out)
{
    reader r = {.name = name, .arena = arena, .out = out};
    *out = (lmb_voc_file){0};
    r.parser = XML_ParserCreate(NULL);
    if (r.parser == NULL)
        return LMB_FAIL(LMB_ENOMEM, "%s: out of memory: XML", name);
    const lmb_status st = run(&r, bytes, size);
    XML_ParserFree(r.parser);
    if (st != LMB_OK)
        lmb__voc_fini(out);
    return st;
}

lmb_status lmb__voc_load(const char *path, lmb_arena *arena, lmb_voc_file *out)
{
    lmb_file file = {0};
    *out = (lmb_voc_file){0};
    LMB_TRY(lmb_file_open(path, &file));
    const lmb_status st =
        lmb__voc_parse(file.bytes, file.size, path, arena, out);
    lmb_file_close(&file);
    return st;
}

void lmb__voc_fini(lmb_voc_file *file)
{
    lmb_free(file->objects);
    *file = (lmb_voc_file){0};
}
