/* voc_xml.h: one annotation file of Pascal VOC. */
#ifndef LMB_DATA_VOC_XML_H
#define LMB_DATA_VOC_XML_H

#include "base/base.h"

typedef struct lmb_voc_object {
    const char *name;
    double box[4]; /* xmin ymin xmax ymax as written */
    bool difficult;
    int line; /* where the object begins */
} lmb_voc_object;

typedef struct lmb_voc_file {
    const char *file_name; /* NULL: the file does not say */
    int32_t width, height; /* 0: the file does not say */
    lmb_voc_object *objects;
    int64_t count;
    size_t capacity;
} lmb_voc_file;

/* Reads <annotation> with <filename>, <size> and <object>s (name, difficult,
 * bndbox); all else is passed over, an object's <part>s too. Texts live in
 * `arena`. Document types are refused, so nothing expands. Errors: EFORMAT
 * names file, line and rule; ENOMEM. On success: lmb__voc_fini. */
lmb_status lmb__voc_parse(const void *bytes, size_t size, const char *name,
    lmb_arena *arena, lmb_voc_file *out) LMB_MUST_CHECK;
lmb_status lmb__voc_load(
    const char *path, lmb_arena *arena, lmb_voc_file *out) LMB_MUST_CHECK;
void lmb__voc_fini(lmb_voc_file *file);

#endif
