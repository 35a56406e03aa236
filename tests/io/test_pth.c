/* test_pth.c: torch.save's files, ours, a published one, and broken ones. */
#include "io_test.h"

#include "io/raw.h"
#include "io/weights.h"
#include "io/zip.h"

#include <zlib.h>

static void check_ramp(const lmb_weights *w, const char *name, lmb_dtype dtype,
    const lmb_shape *shape)
{
    const lmb_tensor *t = lmb_weights_find(w, name);
    assert_non_null(t);
    assert_int_equal(t->dtype, dtype);
    assert_true(lmb_shape_equal(&t->shape, shape));
    for (int64_t i = 0; i < lmb_tensor_count(t); i++)
        assert_true(lmb_tensor_get(t, i) == (double)i);
}

static void check_values(const lmb_weights *w, const char *name,
    const lmb_shape *shape, const double *values)
{
    const lmb_tensor *t = lmb_weights_find(w, name);
    assert_non_null(t);
    assert_true(lmb_shape_equal(&t->shape, shape));
    for (int64_t i = 0; i < lmb_tensor_count(t); i++)
        assert_true(lmb_tensor_get(t, i) == values[i]);
}

static void check_types(const char *file, const char *format)
{
    lmb_weights *w = NULL;
    CHECK_OK(lmb_weights_load(golden(file), &w));
    assert_string_equal(w->format, format);
    assert_null(w->unwrapped);
    assert_int_equal(w->count, 17);
    assert_int_equal(w->ignored, 0);
    assert_string_equal(w->items[0].name, "type.float32");
    const lmb_shape s = LMB_SHAPE(2, 3);
    check_ramp(w, "type.float32", LMB_F32, &s);
    check_ramp(w, "type.float64", LMB_F64, &s);
    check_ramp(w, "type.float16", LMB_F16, &s);
    check_ramp(w, "type.bfloat16", LMB_BF16, &s);
    check_ramp(w, "type.int8", LMB_I8, &s);
    check_ramp(w, "type.uint8", LMB_U8, &s);
    check_ramp(w, "type.int16", LMB_I16, &s);
    check_ramp(w, "type.int32", LMB_I32, &s);
    check_ramp(w, "type.int64", LMB_I64, &s);
    check_values(w, "type.bool", &s, (double[]){1, 0, 1, 0, 1, 0});
    check_values(w, "scalar", &LMB_SCALAR, (double[]){7});
    check_ramp(w, "empty", LMB_F32, &LMB_SHAPE(0, 4));
    check_ramp(w, "base", LMB_F32, &LMB_SHAPE(4, 6));
    double transposed[24];
    double expanded[18];
    for (int i = 0; i < 24; i++)
        transposed[i] = i % 4 * 6 + i / 4;
    for (int i = 0; i < 18; i++)
        expanded[i] = 12 + i % 6;
    check_values(w, "transposed", &LMB_SHAPE(6, 4), transposed);
    check_values(w, "slice", &LMB_SHAPE(2, 2), (double[]){8, 11, 14, 17});
    check_values(w, "expanded", &LMB_SHAPE(3, 6), expanded);
    check_values(
        w, "parameter", &LMB_SHAPE(6), (double[]){18, 19, 20, 21, 22, 23});
    lmb_weights_free(w);
}

static void reads_types_strides_and_shared_storages(void **state)
{
    (void)state;
    check_types("types.pth", "torch zip");
    check_types("types_legacy.pth", "torch legacy");
}

static void finds_the_model_in_a_checkpoint(void **state)
{
    (void)state;
    const char *files[] = {"checkpoint.pth", "checkpoint_legacy.pth"};
    for (int i = 0; i < 2; i++) {
        lmb_weights *w = NULL;
        CHECK_OK(lmb_weights_load(golden(files[i]), &w));
        assert_string_equal(w->unwrapped, "model, module.");
        assert_int_equal(w->ignored, 4);
        assert_int_equal(w->count, 6);
        check_ramp(w, "0.weight", LMB_F32, &LMB_SHAPE(4, 3, 3, 3));
        check_ramp(w, "1.weight", LMB_F32, &LMB_SHAPE(4));
        check_ramp(w, "1.running_var", LMB_F32, &LMB_SHAPE(4));
        check_values(w, "1.num_batches_tracked", &LMB_SCALAR, (double[]){1});
        lmb_weights_free(w);
    }
}

/* The style of a ResNet is told by mmdetection's configuration alone. */
static void a_caffe_style_is_noted(void **state)
{
    (void)state;
    lmb_weights *w = NULL;
    CHECK_OK(lmb_weights_load(golden("mmdetection.pth"), &w));
    check_ramp(w, "backbone.conv1.weight", LMB_F32, &LMB_SHAPE(2, 3));
    assert_string_equal(lmb_weights_meta_get(w, "resnet_style"), "caffe");
    lmb_weights_free(w);
    CHECK_OK(lmb_weights_load(golden("checkpoint.pth"), &w));
    assert_null(lmb_weights_meta_get(w, "resnet_style"));
    lmb_weights_free(w);
}

static void programs_are_refused(void **state)
{
    (void)state;
    lmb_weights *w = NULL;
    CHECK_ERR(lmb_weights_load(golden("module.pth"), &w), LMB_EFORMAT,
        "module.pth: global 'torch.nn.modules.linear.Linear' is not allowed in "
        "a weights file; of a whole model save model.state_dict()");
    CHECK_ERR(lmb_weights_load(golden("module_legacy.pth"), &w), LMB_EFORMAT,
        "module_legacy.pth: global 'mine.Net' is not allowed in a weights "
        "file; of a whole model save model.state_dict()");
    /* Not the Counter before it, nor the other dict of tensors. */
    CHECK_ERR(lmb_weights_load(golden("model_in_dict.pth"), &w), LMB_EFORMAT,
        "global 'mine.Net' is not allowed");
    CHECK_ERR(lmb_weights_load(golden("script.pth"), &w), LMB_EUNSUPPORTED,
        "script.pth: a TorchScript program");
    assert_null(w);
}

/* Objects of unknown classes beside the weights. */
static void the_rest_of_a_checkpoint_may_hold_anything(void **state)
{
    (void)state;
    lmb_weights *w = NULL;
    CHECK_OK(lmb_weights_load(golden("training.pth"), &w));
    assert_string_equal(w->unwrapped, "model");
    assert_int_equal(w->count, 2);
    assert_int_equal(w->ignored, 7);
    check_ramp(w, "weight", LMB_F32, &LMB_SHAPE(2, 3));
    check_ramp(w, "bias", LMB_F32, &LMB_SHAPE(2));
    lmb_weights_free(w);
}

/* A tensor that only an unknown class or function can make. */
static void no_tensor_is_left_out_in_silence(void **state)
{
    (void)state;
    static const struct {
        const char *file, *global;
    } cases[] = {
        {"subclass.pth", "torch._tensor._rebuild_from_type_v2"},
        {"sparse.pth", "torch._utils._rebuild_sparse_tensor"},
        {"complex.pth", "torch.ComplexFloatStorage"},
        {"packed.pth", "torch._utils._rebuild_qtensor"},
    };
    for (size_t i = 0; i < LMB_COUNT(cases); i++) {
        char message[200];
        lmb_weights *w = NULL;
        (void)snprintf(message, sizeof message,
            "%s: '0.weight' of the state dict: global '%s' is not allowed in "
            "a weights file; save plain tensors",
            cases[i].file, cases[i].global);
        CHECK_ERR(
            lmb_weights_load(golden(cases[i].file), &w), LMB_EFORMAT, message);
        assert_null(w);
    }
}

static lmb_weights *load_copy(const lmb_weights *w, const char *file)
{
    lmb_weights *back = NULL;
    const char *path = scratch(file);
    CHECK_OK(lmb_weights_save(path, w));
    CHECK_OK(lmb_weights_load(path, &back));
    assert_int_equal(unlink(path), 0);
    return back;
}

static void check_same(const lmb_weights *a, const lmb_weights *b)
{
    for (size_t i = 0; i < a->count; i++) {
        const lmb_tensor *x = a->items[i].tensor;
        const lmb_tensor *y = lmb_weights_find(b, a->items[i].name);
        assert_non_null(y);
        assert_int_equal(x->dtype, y->dtype);
        assert_true(lmb_shape_equal(&x->shape, &y->shape));
        assert_memory_equal(x->data, y->data,
            (size_t)lmb_tensor_count(x) * lmb_dtype_size(x->dtype));
    }
}

static void written_files_read_back(void **state)
{
    (void)state;
    lmb_weights *w = NULL;
    CHECK_OK(lmb_weights_load(golden("types.pth"), &w));
    lmb_weights *plain = load_copy(w, "a.pt");
    assert_int_equal(plain->meta_count, 0);
    CHECK_OK(lmb_weights_meta_set(w, "model", "resnet20"));
    CHECK_OK(lmb_weights_meta_set(w, "classes", "a\n\"b\""));
    lmb_weights *zip = load_copy(w, "b.pth");
    lmb_weights *safe = load_copy(w, "b.safetensors");
    assert_int_equal(zip->count, w->count);
    check_same(w, plain);
    check_same(w, zip);
    check_same(w, safe);
    assert_string_equal(zip->items[3].name, w->items[3].name);
    assert_string_equal(lmb_weights_meta_get(zip, "classes"), "a\n\"b\"");
    assert_string_equal(lmb_weights_meta_get(safe, "classes"), "a\n\"b\"");
    lmb_weights_free(plain);
    lmb_weights_free(zip);
    lmb_weights_free(safe);
    lmb_weights_free(w);
}

static void published_resnet56_equals_its_safetensors(void **state)
{
    (void)state;
    const char *data = lmb_test_data();
    SKIP_WITHOUT_DATA(data);
    char pt[512];
    char safe[512];
    lmb_weights *a = NULL;
    lmb_weights *b = NULL;
    (void)snprintf(pt, sizeof pt,
        "%s/weights/cifar100/cifar100_resnet56-f2eff4c8.pt", data);
    (void)snprintf(safe, sizeof safe,
        "%s/weights/cifar100/cifar100_resnet56.safetensors", data);
    CHECK_OK(lmb_weights_load(pt, &a));
    CHECK_OK(lmb_weights_load(safe, &b));
    assert_int_equal(a->count, 344);
    check_same(b, a);
    int counters = 0;
    for (size_t i = 0; i < a->count; i++)
        counters += strstr(a->items[i].name, "num_batches") != NULL;
    assert_int_equal(a->count, b->count + (size_t)counters);
    lmb_weights_free(a);
    lmb_weights_free(b);
}

/* --- broken archives ------------------------------------------------------ */

typedef struct archive {
    uint8_t bytes[8192];
    size_t size, directory, count;
} archive;

static void put_bytes(archive *a, const void *bytes, size_t size)
{
    assert_true(a->size + size <= sizeof a->bytes);
    memcpy(a->bytes + a->size, bytes, size);
    a->size += size;
}

/* One member with its directory and, if asked for, zip64 fields. */
static void make_zip(archive *a, const char *name, uint16_t method,
    const void *packed, size_t packed_size, const void *data, size_t size,
    bool zip64)
{
    *a = (archive){0};
    uint8_t local[30] = "PK\3\4";
    uint8_t central[46] = "PK\1\2";
    uint8_t extra[28] = {1, 0, 24, 0};
    uint8_t end[22] = "PK\5\6";
    const uint32_t crc = (uint32_t)crc32(0, data, (unsigned)size);
    lmb_put_le16(local + 26, (uint16_t)strlen(name));
    put_bytes(a, local, sizeof local);
    put_bytes(a, name, strlen(name));
    put_bytes(a, packed, packed_size);
    a->directory = a->size;
    lmb_put_le16(central + 10, method);
    lmb_put_le32(central + 16, crc);
    lmb_put_le32(central + 20, zip64 ? UINT32_MAX : (uint32_t)packed_size);
    lmb_put_le32(central + 24, zip64 ? UINT32_MAX : (uint32_t)size);
    lmb_put_le16(central + 28, (uint16_t)strlen(name));
    lmb_put_le16(central + 30, zip64 ? sizeof extra : 0);
    lmb_put_le32(central + 42, zip64 ? UINT32_MAX : 0);
    lmb_put_le64(extra + 4, size);
    lmb_put_le64(extra + 12, packed_size);
    put_bytes(a, central, sizeof central);
    put_bytes(a, name, strlen(name));
    if (zip64)
        put_bytes(a, extra, sizeof extra);
    const size_t directory_end = a->size;
    if (zip64) {
        uint8_t end64[56] = "PK\6\6";
        uint8_t locator[20] = "PK\6\7";
        lmb_put_le64(end64 + 32, 1);
        lmb_put_le64(end64 + 40, a->size - a->directory);
        lmb_put_le64(end64 + 48, a->directory);
        lmb_put_le64(locator + 8, a->size);
        put_bytes(a, end64, sizeof end64);
        put_bytes(a, locator, sizeof locator);
    }
    lmb_put_le16(end + 10, zip64 ? UINT16_MAX : 1);
    lmb_put_le32(end + 12, (uint32_t)(directory_end - a->directory));
    lmb_put_le32(end + 16, (uint32_t)a->directory);
    put_bytes(a, end, sizeof end);
}

static size_t deflated(const void *data, size_t size, uint8_t out[4096])
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -15, 8, 0), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)data;
    z.avail_in = (unsigned)size;
    z.next_out = out;
    z.avail_out = 4096;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    const size_t made = z.total_out;
    (void)deflateEnd(&z);
    return made;
}

static lmb_status read_first(const archive *a, char out[32])
{
    lmb_zip zip;
    lmb_status st = lmb_zip_open(a->bytes, a->size, "x.zip", &zip);
    if (st == LMB_OK)
        st = lmb_zip_read(&zip, &zip.entries[0]);
    if (st == LMB_OK)
        memcpy(out, zip.entries[0].data,
            zip.entries[0].size < 32 ? zip.entries[0].size : 32);
    lmb_zip_close(&zip);
    return st;
}

static void reads_stored_deflated_and_zip64(void **state)
{
    (void)state;
    static archive a;
    uint8_t packed[4096];
    char out[32] = "";
    char text[1000];
    memset(text, 'x', sizeof text);
    const size_t n = deflated(text, sizeof text, packed);
    for (int zip64 = 0; zip64 < 2; zip64++) {
        make_zip(&a, "a", 0, "hello", 5, "hello", 5, zip64 != 0);
        CHECK_OK(read_first(&a, out));
        assert_memory_equal(out, "hello", 5);
        make_zip(&a, "a", 8, packed, n, text, sizeof text, zip64 != 0);
        CHECK_OK(read_first(&a, out));
        assert_memory_equal(out, text, 32);
    }
    make_zip(&a, "a", 8, "\3\0", 2, "", 0, false);
    CHECK_OK(read_first(&a, out));
}

static void broken_archives_are_refused(void **state)
{
    (void)state;
    static archive a;
    uint8_t packed[4096];
    char out[32];
    const lmb_status bad = LMB_EFORMAT;
    make_zip(&a, "a", 0, "hello", 5, "hellO", 5, false);
    CHECK_ERR(read_first(&a, out), bad, "x.zip: zip entry 'a': its checksum");
    make_zip(&a, "a", 0, "hello", 5, "hello!", 6, false);
    CHECK_ERR(read_first(&a, out), bad, "two sizes");
    make_zip(&a, "a", 12, "hello", 5, "hello", 5, false);
    CHECK_ERR(read_first(&a, out), bad, "compression method");
    const size_t n = deflated("hello hello", 11, packed);
    make_zip(&a, "a", 8, packed, n, "hello hello!", 12, false);
    CHECK_ERR(read_first(&a, out), bad, "deflate");
    make_zip(&a, "a", 8, packed, n, "hello hell", 10, false);
    CHECK_ERR(read_first(&a, out), bad, "deflate");
    lmb_put_le32(a.bytes + a.directory + 24, 0x7fffffff);
    CHECK_ERR(read_first(&a, out), bad, "too much");
    make_zip(&a, "a", 0, "hello", 5, "hello", 5, false);
    lmb_put_le32(a.bytes + a.directory + 42, 3);
    CHECK_ERR(read_first(&a, out), bad, "header is not where");
    make_zip(&a, "a", 0, "hello", 5, "hello", 5, false);
    lmb_put_le32(a.bytes + a.directory + 20, 5000);
    CHECK_ERR(read_first(&a, out), bad, "beyond the file");
    make_zip(&a, "a", 0, "hello", 5, "hello", 5, false);
    a.bytes[a.directory + 8] = 1;
    CHECK_ERR(read_first(&a, out), bad, "encrypted");
    make_zip(&a, "a", 0, "hello", 5, "hello", 5, false);
    a.size--;
    CHECK_ERR(read_first(&a, out), bad, "cut off");
    make_zip(&a, "a", 0, "hello", 5, "hello", 5, false);
    lmb_put_le16(a.bytes + a.size - 12, 2);
    CHECK_ERR(read_first(&a, out), bad, "directory reaches");
    make_zip(&a, "a", 0, "hello", 5, "hello", 5, true);
    lmb_put_le64(a.bytes + a.size - 42 + 8, 1000000);
    CHECK_ERR(read_first(&a, out), bad, "zip64");
    make_zip(&a, "a", 0, "hello", 5, "hello", 5, false);
    lmb_weights *w = NULL;
    CHECK_ERR(lmb_weights_parse(a.bytes, a.size, "x.npz", &w), bad,
        "x.npz: a zip without data.pkl");
}

/* Two directory records for one member: data twice as long as the file. */
static void overlapping_entries_are_refused(void **state)
{
    (void)state;
    static archive a;
    char out[32];
    make_zip(&a, "a", 0, "hello", 5, "hello", 5, false);
    uint8_t record[47];
    memcpy(record, a.bytes + a.directory, 47);
    uint8_t end[22];
    memcpy(end, a.bytes + a.size - 22, 22);
    a.size -= 22;
    record[46] = 'b';
    put_bytes(&a, record, 47);
    lmb_put_le16(end + 10, 2);
    lmb_put_le32(end + 12, 94);
    put_bytes(&a, end, 22);
    CHECK_ERR(read_first(&a, out), LMB_EFORMAT, "overlaps");
}

static lmb_status parse_object(const char *object, size_t size)
{
    static archive a;
    lmb_weights *w = NULL;
    make_zip(&a, "archive/data.pkl", 0, object, size, object, size, false);
    const lmb_status st = lmb_weights_parse(a.bytes, a.size, "x.pth", &w);
    lmb_weights_free(w);
    return st;
}
#define OBJECT(text) parse_object((text), sizeof(text) - 1)
#define TENSOR(count, dims) \
    "ctorch._utils\n_rebuild_tensor_v2\n((X\7\0\0\0storagectorch\n" \
    "FloatStorage\nX\1\0\0\0" \
    "0X\3\0\0\0cpuK" count "tQK\0" dims "\x89NtR"

static void objects_without_a_state_dict_are_named(void **state)
{
    (void)state;
    CHECK_ERR(OBJECT("N."), LMB_EFORMAT, "x.pth: the object saved is no dict");
    CHECK_ERR(OBJECT("}(X\1\0\0\0aK\1X\5\0\0\0modelK\2u."), LMB_EFORMAT,
        "no state dict of tensors found; it holds: a, model");
    CHECK_ERR(OBJECT("}."), LMB_EFORMAT, "it holds: nothing");
    /* A dict that holds itself. */
    CHECK_ERR(OBJECT("}q\0X\5\0\0\0modelh\0s."), LMB_EFORMAT, "nested");
    CHECK_ERR(OBJECT("}X\1\0\0\0w" TENSOR("\1", "K\1\x85K\1\x85") "s."),
        LMB_EFORMAT, "x.pth: storage '0' is missing");
    CHECK_ERR(
        OBJECT("}X\1\0\0\0w" TENSOR("\1", "\x8a\5\0\0\0\0\1\x85K\0\x85") "s."),
        LMB_EFORMAT, "far more bytes than the file");
    CHECK_ERR(OBJECT("}X\2\0\0\0w\0" TENSOR("\1", "K\1\x85K\1\x85") "s."),
        LMB_EFORMAT, "a NUL");
}

#define EVIL "cos\nsystem\n(U\6exit 1tR"
#define KEY(letter) "X\1\0\0\0" letter
#define MISSING "x.pth: storage '0' is missing" /* the tensor was found */

/* A name is not called wherever it stands; without weights it is an error,
 * beside them it is not. */
static void hostile_names_are_never_called(void **state)
{
    (void)state;
    CHECK_ERR(OBJECT(EVIL "."), LMB_EFORMAT,
        "x.pth: global 'os.system' is not allowed in a weights file");
    CHECK_ERR(OBJECT("}" KEY("a") EVIL "s."), LMB_EFORMAT, "'os.system'");
    CHECK_ERR(OBJECT(EVIL "}" KEY("a") "K\1s\x86."), LMB_EFORMAT, "os.system");
    CHECK_ERR(OBJECT("}X\5\0\0\0model" EVIL "s."), LMB_EFORMAT,
        "save model.state_dict()");
    CHECK_ERR(OBJECT("}(" KEY("a") EVIL KEY("b") "}" KEY("w")
                      TENSOR("\1", "K\1\x85K\1\x85") "su."),
        LMB_EFORMAT, MISSING);
    CHECK_ERR(
        OBJECT("}(" KEY("a") EVIL KEY("w") TENSOR("\1", "K\1\x85K\1\x85") "u."),
        LMB_EFORMAT,
        "x.pth: 'a' of the state dict: global 'os.system' is not allowed");
    CHECK_ERR(OBJECT("}(" KEY("a") "}" KEY("b") "]" EVIL "as" KEY("w")
                      TENSOR("\1", "K\1\x85K\1\x85") "u."),
        LMB_EFORMAT, "'a' of the state dict: global 'os.system'");
}

static void cut_files_are_refused(void **state)
{
    (void)state;
    const char *files[] = {"types.pth", "types_legacy.pth"};
    for (int i = 0; i < 2; i++) {
        lmb_file file = {0};
        CHECK_OK(lmb_file_open(golden(files[i]), &file));
        for (size_t n = 0; n < file.size; n++) {
            lmb_weights *w = NULL;
            assert_int_not_equal(
                lmb_weights_parse(file.bytes, n, "cut.pth", &w), LMB_OK);
            assert_null(w);
        }
        lmb_file_close(&file);
    }
}

static void out_of_memory_leaves_nothing(void **state)
{
    (void)state;
    const char *path = scratch("oom.pth");
    lmb_weights *w = NULL;
    CHECK_OOM_SWEEP(lmb_weights_load(golden("checkpoint_legacy.pth"), &w),
        lmb_weights_free(w));
    CHECK_OOM_SWEEP(
        lmb_weights_load(golden("checkpoint.pth"), &w), lmb_weights_free(w));
    CHECK_OOM_SWEEP(
        lmb_weights_load(golden("training.pth"), &w), lmb_weights_free(w));
    CHECK_OOM_SWEEP(lmb_weights_load(golden("types.pth"), &w), (void)0);
    CHECK_OK(lmb_weights_meta_set(w, "a", "b"));
    CHECK_OOM_SWEEP(lmb_weights_save(path, w), lmb_weights_free(w));
    CHECK_OOM_SWEEP(lmb_weights_load(path, &w), lmb_weights_free(w));
    assert_int_equal(unlink(path), 0);
    static archive a;
    uint8_t packed[4096];
    char out[32];
    const size_t n = deflated("hello hello", 11, packed);
    make_zip(&a, "a", 8, packed, n, "hello hello", 11, false);
    CHECK_OOM_SWEEP(read_first(&a, out), (void)0);
}

LMB_TEST_MAIN(cmocka_unit_test(reads_types_strides_and_shared_storages),
    cmocka_unit_test(finds_the_model_in_a_checkpoint),
    cmocka_unit_test(a_caffe_style_is_noted),
    cmocka_unit_test(programs_are_refused),
    cmocka_unit_test(the_rest_of_a_checkpoint_may_hold_anything),
    cmocka_unit_test(no_tensor_is_left_out_in_silence),
    cmocka_unit_test(written_files_read_back),
    cmocka_unit_test(published_resnet56_equals_its_safetensors),
    cmocka_unit_test(reads_stored_deflated_and_zip64),
    cmocka_unit_test(broken_archives_are_refused),
    cmocka_unit_test(overlapping_entries_are_refused),
    cmocka_unit_test(objects_without_a_state_dict_are_named),
    cmocka_unit_test(hostile_names_are_never_called),
    cmocka_unit_test(cut_files_are_refused),
    cmocka_unit_test(out_of_memory_leaves_nothing))
