/* fetch.c: addresses and checksums of public data sets.
 *
 * The MD5 sums are those that torchvision publishes (datasets/cifar.py,
 * datasets/mnist.py). */
#include "data/fetch.h"

#include "base/file.h"
#include "base/str.h"
#include "io/tar.h"

#include <string.h>

#define MOST_BYTES ((int64_t)2 << 30)

static const lmb_fetch_source sources[] = {
    {"cifar10", "60,000 pictures of 10 classes, 32x32 (163 MiB)",
        {"https://www.cs.toronto.edu/~kriz/",
            "https://cave.cs.toronto.edu/kriz/"},
        {{"cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a"}}, true},
    {"cifar100", "60,000 pictures of 100 classes, 32x32 (161 MiB)",
        {"https://www.cs.toronto.edu/~kriz/",
            "https://cave.cs.toronto.edu/kriz/"},
        {{"cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85"}},
        true},
    {"mnist", "70,000 handwritten digits, 28x28 (11 MiB)",
        {"https://ossci-datasets.s3.amazonaws.com/mnist/", NULL},
        {{"train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873"},
            {"train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432"},
            {"t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3"},
            {"t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c"}},
        false},
    {"fashion-mnist", "70,000 pictures of clothes, 28x28 (30 MiB)",
        {"http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/", NULL},
        {{"train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"},
            {"train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe"},
            {"t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79"},
            {"t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310"}},
        false},
};

const char *lmb_fetch_name(int i)
{
    return i >= 0 && i < (int)LMB_COUNT(sources) ? sources[i].name : NULL;
}

const char *lmb_fetch_help(int i)
{
    return i >= 0 && i < (int)LMB_COUNT(sources) ? sources[i].help : NULL;
}

static lmb_status find_source(const char *name, const lmb_fetch_source **out)
{
    const char *names[LMB_COUNT(sources)];
    for (size_t i = 0; i < LMB_COUNT(sources); i++) {
        names[i] = sources[i].name;
        if (lmb_str_equal_nocase(names[i], name)) {
            *out = &sources[i];
            return LMB_OK;
        }
    }
    const char *near = lmb_str_nearest(name, names, LMB_COUNT(sources));
    if (near != NULL)
        return LMB_FAIL(LMB_EUSAGE,
            "data get: '%s' is not known; did you mean '%s'?", name, near);
    return LMB_FAIL(LMB_EUSAGE,
        "data get: '%s' is not known; it knows cifar10, cifar100, mnist, "
        "fashion-mnist",
        name);
}

static lmb_status get_from(const char *base, const char *file, const char *md5,
    const char *target, lmb_http_progress *progress, void *user)
{
    lmb_str url = {0};
    const size_t n = strlen(base);
    lmb_str_printf(
        &url, "%s%s%s", base, n > 0 && base[n - 1] == '/' ? "" : "/", file);
    lmb_status st = lmb_str_status(&url);
    if (st == LMB_OK)
        st = lmb_http_get(url.text, target, md5, progress, user);
    lmb_str_fini(&url);
    return st;
}

/* From the first address that has it. */
static lmb_status get_file(const lmb_fetch_source *s, int i, const char *target,
    const char *base, lmb_http_progress *progress, void *user)
{
    const char *file = s->file[i].name, *md5 = s->file[i].md5;
    if (base != NULL)
        return get_from(base, file, md5, target, progress, user);
    lmb_status st = get_from(s->base[0], file, md5, target, progress, user);
    if ((st == LMB_ENOTFOUND || st == LMB_EIO) && s->base[1] != NULL)
        st = get_from(s->base[1], file, md5, target, progress, user);
    return st;
}

lmb_status lmb__fetch(const lmb_fetch_source *s, const char *dir,
    const char *base, lmb_http_progress *progress, void *user)
{
    LMB_TRY(lmb_make_dirs(dir));
    for (int i = 0; i < LMB_FETCH_FILES && s->file[i].name != NULL; i++) {
        lmb_str target = {0};
        lmb_str_printf(&target, "%s/%s", dir, s->file[i].name);
        lmb_status st = lmb_str_status(&target);
        if (st == LMB_OK)
            st = get_file(s, i, target.text, base, progress, user);
        if (st == LMB_OK && s->archive)
            st = lmb_tar_unpack(target.text, dir, MOST_BYTES);
        lmb_str_fini(&target);
        LMB_TRY(st);
    }
    return LMB_OK;
}

lmb_status lmb_fetch(const char *name, const char *dir, const char *base,
    lmb_http_progress *progress, void *user)
{
    const lmb_fetch_source *s = NULL;
    LMB_TRY(find_source(name, &s));
    return lmb__fetch(s, dir, base, progress, user);
}
