/* test_unpickle.c: pickles of CPython, of Python 2, and hostile ones. */
#include "io_test.h"

#include "io/unpickle.h"

#define PARSE(text, out) \
    lmb_pickle_parse((text), sizeof(text) - 1, "x.pkl", (out))
#define PARSE_OPAQUE(text, out) \
    lmb_pickle_parse_opaque((text), sizeof(text) - 1, "x.pkl", (out))

static void check_refused(
    const char *bytes, size_t size, lmb_status code, const char *part)
{
    lmb_pickle *p = NULL;
    CHECK_ERR(lmb_pickle_parse(bytes, size, "x.pkl", &p), code, part);
    assert_null(p);
    assert_non_null(strstr(lmb_last_error(), "x.pkl"));
}
#define CHECK_REFUSED(text, part) \
    check_refused((text), sizeof(text) - 1, LMB_EFORMAT, (part))

static double number(const lmb_pk *list, size_t i)
{
    const lmb_pk *v = list->u.list.items[i];
    return v->kind == LMB_PK_FLOAT ? v->u.real : (double)v->u.integer;
}

static void check_numbers(
    const lmb_pk *list, size_t count, const double *numbers)
{
    assert_non_null(list);
    assert_int_equal(list->u.list.count, count);
    for (size_t i = 0; i < count; i++)
        assert_true(number(list, i) == numbers[i]);
}

static void check_order(const lmb_pk *array)
{
    lmb_tensor *t = NULL;
    CHECK_OK(lmb_pk_array_tensor(array, "x", &t));
    assert_int_equal(t->dtype, LMB_I32);
    assert_true(lmb_shape_equal(&t->shape, &LMB_SHAPE(2, 3)));
    for (int i = 0; i < 6; i++)
        assert_true(lmb_tensor_get(t, i) == i);
    lmb_tensor_release(t);
}

static void check_cifar(const lmb_pk *root)
{
    lmb_tensor *t = NULL;
    CHECK_OK(lmb_pk_array_tensor(lmb_pk_get(root, "data"), "x", &t));
    assert_int_equal(t->dtype, LMB_U8);
    assert_true(lmb_shape_equal(&t->shape, &LMB_SHAPE(2, 12)));
    assert_true(lmb_tensor_get(t, 23) == 23);
    lmb_tensor_release(t);
    check_numbers(lmb_pk_get(root, "fine_labels"), 2, (double[]){3, 99});
    check_numbers(lmb_pk_get(root, "float"), 3, (double[]){1.5, -0.25, 1e300});
    check_numbers(lmb_pk_get(root, "wide"), 4,
        (double[]){255, 65535, -2147483648.0, 1099511627776.0});
    check_numbers(lmb_pk_get(root, "bools"), 2, (double[]){1, 0});
    check_numbers(lmb_pk_get(root, "scalars"), 3, (double[]){0.5, -5, 1});
    check_numbers(lmb_pk_get(root, "set"), 1, (double[]){1});
    assert_int_equal(lmb_pk_get(root, "big")->kind, LMB_PK_BIGINT);
    assert_int_equal(lmb_pk_get(root, "neg")->u.integer, -3);
    assert_int_equal(lmb_pk_get(root, "none")->kind, LMB_PK_NONE);
    const lmb_pk *names = lmb_pk_get(root, "filenames");
    assert_true(lmb_pk_is(names->u.list.items[0], "a.png"));
    assert_true(lmb_pk_is(names->u.list.items[1], "\xc3\xa9\xe2\x82\xac"));
    check_order(lmb_pk_get(root, "order"));
    CHECK_ERR(lmb_pk_array_tensor(lmb_pk_get(root, "words"), "f", &t),
        LMB_EUNSUPPORTED, "f: a NumPy array of type 'U1'");
    CHECK_ERR(lmb_pk_array_tensor(names, "f", &t), LMB_EFORMAT, "f: not a");
    assert_null(lmb_pk_get(root, "no such key"));
}

static void reads_every_protocol(void **state)
{
    (void)state;
    for (int protocol = 0; protocol < 6; protocol++) {
        char name[32];
        lmb_file file = {0};
        lmb_pickle *p = NULL;
        (void)snprintf(name, sizeof name, "cifar_p%d.pkl", protocol);
        CHECK_OK(lmb_file_open(golden(name), &file));
        CHECK_OK(lmb_pickle_parse(file.bytes, file.size, name, &p));
        assert_int_equal(p->used, file.size);
        check_cifar(p->root);
        lmb_pickle_free(p);
        lmb_file_close(&file);
    }
}

/* cPickle of Python 2 wrote its str as BINSTRING and counted its memo from
 * 1: the layout of the published CIFAR files. */
static void reads_python_2(void **state)
{
    (void)state;
    lmb_pickle *p = NULL;
    lmb_tensor *t = NULL;
    CHECK_OK(PARSE("\x80\x02}q\x01(U\x04"
                   "dataq\x02"
                   "cnumpy.core.multiarray\n_reconstruct\nq\x03"
                   "cnumpy\nndarray\nq\x04K\x00\x85U\x01"
                   "b\x87Rq\x05(K\x01K\x02K\x02\x86"
                   "cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87Rq\x07"
                   "(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
                   "\x89U\x04\x01\x02\xfe\xfftbU\x06labels]q\x08(K\x01M\xff"
                   "\xffJ\x02\x00\x00\x80"
                   "eu.trailing",
        &p));
    CHECK_OK(lmb_pk_array_tensor(lmb_pk_get(p->root, "data"), "x", &t));
    assert_true(lmb_shape_equal(&t->shape, &LMB_SHAPE(2, 2)));
    assert_true(lmb_tensor_get(t, 3) == 255);
    lmb_tensor_release(t);
    check_numbers(
        lmb_pk_get(p->root, "labels"), 3, (double[]){1, 65535, -2147483646.0});
    lmb_pickle_free(p);
    CHECK_OK(PARSE("(dp1\nS'a\\'\\x41\\101\\n\\\\'\np2\nI01\nsS\"b\"\n"
                   "(lp3\nF2.5\naL12L\nag1\nas.",
        &p));
    assert_int_equal(lmb_pk_get(p->root, "a'AA\n\\")->kind, LMB_PK_BOOL);
    const lmb_pk *b = lmb_pk_get(p->root, "b");
    assert_true(number(b, 0) == 2.5 && number(b, 1) == 12);
    assert_ptr_equal(b->u.list.items[2], p->root); /* it holds itself */
    lmb_pickle_free(p);
    CHECK_OK(PARSE("K\x01K\x02"
                   "02(K\x03"
                   "0(N10\x86.",
        &p));
    check_numbers(p->root, 2, (double[]){1, 1});
    lmb_pickle_free(p);
}

static void check_opaque(const char *bytes, size_t size, const char *name)
{
    lmb_pickle *p = NULL;
    CHECK_ERR(
        lmb_pickle_parse(bytes, size, "x.pkl", &p), LMB_EFORMAT, "is not all");
    CHECK_OK(lmb_pickle_parse_opaque(bytes, size, "x.pkl", &p));
    const lmb_pk *opaque = lmb_pk_opaque_in(p->root);
    assert_non_null(opaque);
    assert_int_equal(opaque->kind, LMB_PK_OPAQUE);
    assert_int_equal(opaque->u.text.length, strlen(name));
    assert_memory_equal(opaque->u.text.bytes, name, strlen(name));
    assert_non_null(p->opaque);
    lmb_pickle_free(p);
}
#define CHECK_OPAQUE(text, name) check_opaque((text), sizeof(text) - 1, (name))

static void check_opaque_refused(
    const char *bytes, size_t size, const char *part)
{
    lmb_pickle *p = NULL;
    CHECK_ERR(
        lmb_pickle_parse_opaque(bytes, size, "x.pkl", &p), LMB_EFORMAT, part);
    assert_null(p);
}
#define CHECK_OPAQUE_REFUSED(text, part) \
    check_opaque_refused((text), sizeof(text) - 1, (part))

static void other_globals_are_refused_or_only_named(void **state)
{
    (void)state;
    CHECK_REFUSED("cos\nsystem\n(S'true'\ntR.",
        "x.pkl: global 'os.system' is not allowed in a file of data");
    CHECK_REFUSED("}K\1ctorch\nload\ns.", "global 'torch.load' is not");
    CHECK_OPAQUE("cos\nsystem\n(S'exit 1'\ntR.", "os.system");
    CHECK_OPAQUE("\x80\x04\x8c\x08"
                 "builtins\x8c\x04"
                 "eval\x93.",
        "builtins.eval");
    CHECK_OPAQUE("ctorch\nload\n.", "torch.load");
    CHECK_OPAQUE("ctorch.storage\n_load_from_bytes\n.",
        "torch.storage._load_from_bytes");
    CHECK_OPAQUE("cos.path\nsystem\n.", "os.path.system");
    CHECK_OPAQUE("c\n\n.", ".");
    char name[300] = "c";
    memset(name + 1, 'm', 299);
    memcpy(name + 199, "\nf\n.", 4);
    name[203] = '.';
    char cut[83];
    memset(cut, 'm', 80);
    memcpy(cut + 80, ".f", 3);
    check_opaque(name, 204, cut);
    CHECK_REFUSED("(ios\nsystem\n.", "not an opcode of data");
    CHECK_REFUSED("\x82\x01.", "not an opcode of data");
    CHECK_REFUSED("Pid\n.", "not an opcode of data");
}

static void opaque_values_swallow_what_they_are_given(void **state)
{
    (void)state;
    lmb_pickle *p = NULL;
    /* NEWOBJ, BUILD, SETITEM, SETITEMS, APPEND, APPENDS, ADDITEMS, a call of
     * what a call gave */
    CHECK_OPAQUE("cm\nA\n)\x81}b.", "m.A");
    CHECK_OPAQUE(
        "cm\nA\n)R(K\1K\2tbK\1K\2s(K\1K\2uK\1a(K\1e(K\1\x90)R.", "m.A");
    CHECK_OPAQUE_REFUSED("cm\nA\n(K\1u.", "odd number");
    CHECK_OPAQUE_REFUSED("cm\nA\nNR.", "no tuple");
    CHECK_OPAQUE_REFUSED("cm\nA\n(a.", "too few values");
    /* The first one named, and one in what holds it at any depth. */
    CHECK_OK(PARSE_OPAQUE("cm\nA\n0}(K\1]cm\nB\n\x85"
                          "aK\2NuK\1\x86.",
        &p));
    assert_memory_equal(p->opaque->u.text.bytes, "m.A", 3);
    assert_memory_equal(lmb_pk_opaque_in(p->root)->u.text.bytes, "m.B", 3);
    assert_null(lmb_pk_opaque_in(p->root->u.list.items[1]));
    lmb_pickle_free(p);
    /* A list that holds itself, before and after one. */
    CHECK_OPAQUE("]q\0(cm\nA\nh\0e.", "m.A");
    CHECK_OK(PARSE_OPAQUE("]q\0cm\nA\nah\0a]q\1(h\0h\1eh\0\x86.", &p));
    assert_non_null(lmb_pk_opaque_in(p->root));
    lmb_pickle_free(p);
    CHECK_OK(PARSE_OPAQUE("]q\0(h\0cm\nA\ne.", &p));
    assert_true(p->root->opaque);
    assert_null(lmb_pk_opaque_in(p->root));
    lmb_pickle_free(p);
    /* It swallows itself. */
    CHECK_OPAQUE("cm\nA\nq\0(h\0h\0uh\0ah\0b.", "m.A");
}

/* What we know is unknown, too, if it is made of what we do not know. */
static void opaque_parts_make_opaque_values(void **state)
{
    (void)state;
    CHECK_OPAQUE("ctorch._utils\n_rebuild_tensor_v2\n((X\7\0\0\0storagectorch\n"
                 "QInt8Storage\nX\1\0\0\0"
                 "0X\3\0\0\0cpuK\1tQK\0K\1\x85K\1\x85\x89NtR.",
        "torch.QInt8Storage");
    CHECK_OPAQUE(
        "ctorch._utils\n_rebuild_parameter\n(cm\nf\n)R\x88NtR.", "m.f");
    CHECK_OPAQUE("ccollections\nOrderedDict\ncm\nf\n\x85R.", "m.f");
    CHECK_OPAQUE("ccollections\nOrderedDict\n]]K\1acm\nf\naa\x85R.", "m.f");
    CHECK_OPAQUE("cargparse\nNamespace\n)\x81}K\1cm\nf\nsb.", "m.f");
    CHECK_OPAQUE("cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n"
                 "K\0\x85U\1btR(K\1K\2\x85"
                 "cml_dtypes\nbfloat16\n\x89U\4abcdtb.",
        "ml_dtypes.bfloat16");
    CHECK_OPAQUE("(X\6\0\0\0modulecmy\nNet\nX\4\0\0\0a.pyX\0\0\0\0tQ)"
                 "\x81}b.",
        "my.Net");
    CHECK_OPAQUE_REFUSED("(X\6\0\0\0moduleK\1tQ.", "persistent");
}

static void malformed_pickles_are_refused(void **state)
{
    (void)state;
    CHECK_REFUSED("", "ends without a STOP");
    CHECK_REFUSED("N", "ends without a STOP");
    CHECK_REFUSED(".", "too few values");
    CHECK_REFUSED("(.", "too few values");
    CHECK_REFUSED("N(.", "too few values");
    CHECK_REFUSED("t.", "no mark");
    CHECK_REFUSED("(Nd.", "odd number");
    CHECK_REFUSED("NNa.", "other than a list");
    CHECK_REFUSED("](Nu.", "other than a list");
    CHECK_REFUSED("}(Nu.", "odd number");
    CHECK_REFUSED("NN(a.", "too few values");
    CHECK_REFUSED("h\x01.", "memo holds nothing");
    CHECK_REFUSED("Nr\xff\xff\xff\x7f.", "out of range");
    CHECK_REFUSED("Np99999999999999999999\n.", "out of range");
    CHECK_REFUSED("NpX\n.", "not a number");
    CHECK_REFUSED("X\xff\xff\xff\xff"
                  "a.",
        "ends early");
    CHECK_REFUSED("\x8e\xff\xff\xff\xff\xff\xff\xff\xff"
                  "a.",
        "ends early");
    CHECK_REFUSED("\x95\x09\0\0\0\0\0\0\0N.", "ends early");
    CHECK_REFUSED("\x8a\x05\x01\x02.", "ends early");
    CHECK_REFUSED("I12", "ends early");
    CHECK_REFUSED("I1x\n.", "not a whole number");
    CHECK_REFUSED("Fx\n.", "not a number");
    CHECK_REFUSED("S'a\n.", "without quotes");
    CHECK_REFUSED("S'a\\'\n.", "escape");
    CHECK_REFUSED("S'\\x4'\n.", "escape");
    CHECK_REFUSED("V\\u12\n.", "escape");
    CHECK_REFUSED("NNR.", "no global");
    CHECK_REFUSED("]Nb.", "state");
    CHECK_REFUSED("NQ.", "persistent");
    check_refused("\x80\x06N.", 4, LMB_EUNSUPPORTED, "protocol 6");
    char marks[2000];
    memset(marks, '(', sizeof marks);
    check_refused(marks, sizeof marks, LMB_EFORMAT, "1000 nested marks");
}

#define STORAGE(type, count) \
    "(X\7\0\0\0storagectorch\n" type "\nX\1\0\0\0" \
    "0X\3\0\0\0cpuK" count "tQ"
#define REBUILD "ctorch._utils\n_rebuild_tensor_v2\n("

static void tensors_stay_inside_their_storage(void **state)
{
    (void)state;
    lmb_pickle *p = NULL;
    CHECK_OK(PARSE(REBUILD STORAGE("FloatStorage", "\x06") "K\0K\2K\3\x86K\3K"
                                                           "\1\x86tR.",
        &p));
    const lmb_pk_tensor *t = p->root->u.tensor;
    assert_int_equal(p->root->kind, LMB_PK_TENSOR);
    assert_true(lmb_shape_equal(&t->shape, &LMB_SHAPE(2, 3)));
    assert_int_equal(t->stride[0], 3);
    assert_int_equal(p->storage_count, 1);
    lmb_pickle_free(p);
    CHECK_REFUSED(REBUILD STORAGE("FloatStorage", "\x05") "K\0K\2K\3\x86K\3K"
                                                          "\1\x86tR.",
        "a tensor of [2, 3] at 0 reaches outside its storage of 5");
    CHECK_REFUSED(REBUILD STORAGE("FloatStorage", "\x06") "K\1K\2K\3\x86K\3K"
                                                          "\1\x86tR.",
        "reaches outside");
    CHECK_REFUSED(REBUILD STORAGE("FloatStorage", "\x06") "K\0K\2\x85J\xff\xff"
                                                          "\xff\xff\x85tR.",
        "arguments");
    CHECK_REFUSED(REBUILD STORAGE("FloatStorage", "\x06") "K\0K\2\x85)tR.",
        "torch._utils._rebuild_tensor_v2 with arguments");
    CHECK_REFUSED(REBUILD STORAGE("FloatStorage",
                      "\x06") "K\0\x8a\x08\0\0\0\0\0\0\0\x40\x85\x8a\x08\0\0\0"
                              "\0\0\0\0\x40\x85tR.",
        "reaches outside");
    CHECK_REFUSED(REBUILD "NK\0))tR.", "arguments");
    CHECK_REFUSED(STORAGE("Size", "\x06") ".", "malformed storage");
    CHECK_REFUSED("ctorch\nFloatStorage\n)R.", "torch.FloatStorage with");
    CHECK_REFUSED("cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\nU\2f4\x85R"
                  "U\1a\x86R.",
        "scalar with arguments");
    CHECK_REFUSED("cnumpy.core.numeric\n_frombuffer\n(U\1acnumpy\ndtype\nU\2"
                  "f4\x85RK\1\x85U\1CtR.",
        "a NumPy array of F32 [1] with 1 bytes");
    check_refused(REBUILD STORAGE("FloatStorage",
                      "\x06") "K\0(K\1K\1K\1K\1K\1K\1K\1t(K\1K\1K\1K\1K\1K\1K"
                              "\1ttR.",
        sizeof(REBUILD STORAGE("FloatStorage",
            "\x06") "K\0(K\1K\1K\1K\1K\1K\1K\1t(K\1K\1K\1K\1K\1K\1K\1ttR.") -
            1,
        LMB_EUNSUPPORTED, "7 axes");
}

/* A list copied again and again must run into the budget, not the machine. */
static void memory_is_bounded(void **state)
{
    (void)state;
    enum { ITEMS = 2000, COPIES = 20000 };
    char *bytes = lmb_alloc(16 + 6 * ITEMS + 40 + 8 * COPIES, 1);
    size_t n = 0;
    assert_non_null(bytes);
    bytes[n++] = ']';
    bytes[n++] = '(';
    for (int i = 0; i < ITEMS; i++) {
        memcpy(bytes + n, "NN\x86", 3);
        n += 3;
    }
    static const char head[] = "eq\0ccollections\nOrderedDict\nq\1";
    memcpy(bytes + n, head, sizeof head - 1);
    n += sizeof head - 1;
    for (int i = 0; i < COPIES; i++) {
        memcpy(bytes + n, "h\1h\0\x85R", 6);
        n += 6;
    }
    check_refused(bytes, n, LMB_EFORMAT, "bytes of memory allowed");
    lmb_free(bytes);
}

static void out_of_memory_leaves_nothing(void **state)
{
    (void)state;
    for (int protocol = 0; protocol < 6; protocol += 2) {
        char name[32];
        lmb_file file = {0};
        lmb_pickle *p = NULL;
        (void)snprintf(name, sizeof name, "cifar_p%d.pkl", protocol);
        CHECK_OK(lmb_file_open(golden(name), &file));
        CHECK_OOM_SWEEP(lmb_pickle_parse(file.bytes, file.size, name, &p),
            lmb_pickle_free(p));
        lmb_file_close(&file);
    }
}

LMB_TEST_MAIN(cmocka_unit_test(reads_every_protocol),
    cmocka_unit_test(reads_python_2),
    cmocka_unit_test(other_globals_are_refused_or_only_named),
    cmocka_unit_test(opaque_values_swallow_what_they_are_given),
    cmocka_unit_test(opaque_parts_make_opaque_values),
    cmocka_unit_test(malformed_pickles_are_refused),
    cmocka_unit_test(tensors_stay_inside_their_storage),
    cmocka_unit_test(memory_is_bounded),
    cmocka_unit_test(out_of_memory_leaves_nothing))
