/* fuzz_cifar.c: any bytes as a CIFAR file: the first one chooses 10 or 100
 * classes and records or a pickle. (Compressed data: fuzz_stream.) */
#include "data/cifar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static lmb_status read_records(
    const lmb_cifar_form *form, const void *data, size_t size, lmb_dataset *ds)
{
    lmb_stream *in = NULL;
    LMB_TRY(lmb_stream_open_memory(data, size, "fuzz.bin", &in));
    const lmb_status st = lmb__cifar_read(form, in, ds);
    lmb_stream_close(in);
    return st;
}

static bool is_packed(const uint8_t *data, size_t size)
{
    return size > 0 && (data[0] == 0xfd || data[0] == 0x1f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const lmb_cifar_form forms[2] = {
        {.label_key = "labels", .classes = 10, .label_bytes = 1},
        {.label_key = "fine_labels", .classes = 100, .label_bytes = 2}};
    lmb_dataset *ds = NULL;
    if (size == 0 || lmb__dataset_new("fuzz", &ds) != LMB_OK)
        return 0;
    const lmb_cifar_form *form = &forms[data[0] & 1];
    ds->height = ds->width = LMB_CIFAR_SIDE;
    lmb_status st = LMB_OK;
    if ((data[0] & 2) != 0)
        st = lmb__cifar_read_pickle(form, data + 1, size - 1, "fuzz", ds);
    else if (!is_packed(data + 1, size - 1))
        st = read_records(form, data + 1, size - 1, ds);
    if (st == LMB_OK && ds->count > 0)
        lmb__dataset_hash_memory(ds);
    lmb_dataset_free(ds);
    return 0;
}
