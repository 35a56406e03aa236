/* fuzz_voc_xml.c: any bytes as an annotation file of Pascal VOC. */
#include "data/voc_xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lmb_arena *arena = NULL;
    lmb_voc_file file = {0};
    if (lmb_arena_new(&arena) != LMB_OK)
        return 0;
    const lmb_status st = lmb__voc_parse(data, size, "fuzz.xml", arena, &file);
    for (int64_t k = 0; st == LMB_OK && k < file.count; k++)
        LMB_ASSERT(file.objects[k].name != NULL);
    lmb__voc_fini(&file);
    lmb_arena_free(arena);
    return 0;
}
