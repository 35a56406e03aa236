/* fuzz_yolo_txt.c: any bytes as a label file of the YOLO kind. */
#include "data/yolo_txt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lmb_yolo_rows rows = {0};
    const lmb_status st = lmb__yolo_parse(data, size, "fuzz.txt", 3, &rows);
    for (int64_t k = 0; st == LMB_OK && k < rows.count; k++)
        LMB_ASSERT(rows.rows[k].label >= 0 && rows.rows[k].label < 3);
    lmb__yolo_fini(&rows);
    return 0;
}
