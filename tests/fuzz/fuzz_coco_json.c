/* fuzz_coco_json.c: any bytes as instances and as results of COCO. */
#include "io/coco_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_indexes(const lmb_coco *c)
{
    int64_t total = 0;
    for (int64_t i = 0; i < c->n_annotations; i++) {
        const lmb_coco_annotation *a = &c->annotations[i];
        LMB_ASSERT(a->image >= 0 && a->image < c->n_images);
        LMB_ASSERT(a->category >= 0 && a->category < c->n_categories);
    }
    for (int64_t i = 0; i < c->n_images; i++) {
        total += c->images[i].count;
        LMB_ASSERT(lmb_coco_find_image(c, c->images[i].id) == i);
    }
    LMB_ASSERT(total == c->n_annotations);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lmb_coco coco;
    lmb_coco_results results;
    if (lmb_coco_parse(data, size, "fuzz.json", &coco) == LMB_OK)
        check_indexes(&coco);
    lmb_coco_fini(&coco);
    const lmb_status st =
        lmb_coco_results_parse(data, size, "fuzz.json", &results);
    LMB_ASSERT(st == LMB_OK || results.items == NULL);
    lmb_coco_results_fini(&results);
    return 0;
}
