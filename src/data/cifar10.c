/* cifar10.c: CIFAR-10, 50,000 + 10,000 pictures, 10 classes. */
#include "data/cifar.h"

static const char *const names[10] = {
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
};

static const lmb_cifar_form form = {
    .binary_dir = "cifar-10-batches-bin",
    .python_dir = "cifar-10-batches-py",
    .train = {"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4",
        "data_batch_5"},
    .test = {"test_batch"},
    .label_key = "labels",
    .names_file = "batches.meta.txt",
    .names = names,
    .classes = 10,
    .label_bytes = 1,
    .mean = {0.4914, 0.4822, 0.4465},
    .std = {0.2470, 0.2435, 0.2616},
};

static lmb_status open_split(const char *dir, lmb_split split,
    const lmb_dataset_opts *opts, lmb_dataset *ds)
{
    (void)opts;
    return lmb__cifar_open(&form, dir, split, ds);
}

extern const lmb_dataset_row lmb_dataset_cifar10;
const lmb_dataset_row lmb_dataset_cifar10 = {
    .name = "cifar10",
    .help = "CIFAR-10: binary files (.bin, .xz, .gz) or Python pickles",
    .needs_dir = true,
    .open = open_split,
};
