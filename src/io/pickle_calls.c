/* pickle_calls.c: what a pickle may name, and what becomes of it.
 *
 * GLOBAL looks a name up in globals[]; REDUCE, NEWOBJ and BUILD know what
 * those few make of their arguments, and a persistent id is a storage of
 * torch's. Any other name is refused, or opaque if the caller allows that: it
 * stands for itself and for all that is made of it, and swallows arguments,
 * states and items. That is as safe, for a name is only ever compared with
 * those of the table; there is no code here that could import or call it.
 * Sources: torch/_utils.py, torch/serialization.py; __reduce__ of numpy's
 * ndarray, dtype and scalars. */
#include "io/pickle_machine.h"
#include "io/raw.h"
#include "tensor/shape.h"

#include <string.h>

enum { NAME_SHOWN = 80 };

typedef enum global_id {
    G_NONE,
    G_ORDERED_DICT,
    G_NAMESPACE,
    G_SEQUENCE, /* a container made of its one argument */
    G_BYTES,
    G_ENCODE,
    G_DEVICE,
    G_TORCH_DTYPE,
    G_STORAGE,
    G_TENSOR,
    G_PARAMETER,
    G_NUMPY_RECONSTRUCT,
    G_NUMPY_FROMBUFFER,
    G_NUMPY_ARRAY,
    G_NUMPY_DTYPE,
    G_NUMPY_SCALAR,
} global_id;

static const struct {
    const char *module, *name;
    global_id id;
    lmb_dtype dtype; /* of a G_STORAGE */
} globals[] = {
    {"collections", "OrderedDict", G_ORDERED_DICT, 0},
    {"argparse", "Namespace", G_NAMESPACE, 0},
    {"builtins", "set", G_SEQUENCE, 0},
    {"__builtin__", "set", G_SEQUENCE, 0},
    {"builtins", "frozenset", G_SEQUENCE, 0},
    {"__builtin__", "frozenset", G_SEQUENCE, 0},
    {"torch", "Size", G_SEQUENCE, 0},
    {"builtins", "bytes", G_BYTES, 0},
    {"__builtin__", "bytes", G_BYTES, 0},
    {"_codecs", "encode", G_ENCODE, 0},
    {"torch", "device", G_DEVICE, 0},
    {"torch", "float32", G_TORCH_DTYPE, 0},
    {"torch", "float64", G_TORCH_DTYPE, 0},
    {"torch", "float16", G_TORCH_DTYPE, 0},
    {"torch", "bfloat16", G_TORCH_DTYPE, 0},
    {"torch", "int64", G_TORCH_DTYPE, 0},
    {"torch._utils", "_rebuild_tensor", G_TENSOR, 0},
    {"torch._utils", "_rebuild_tensor_v2", G_TENSOR, 0},
    {"torch._utils", "_rebuild_parameter", G_PARAMETER, 0},
    {"torch._utils", "_rebuild_parameter_with_state", G_PARAMETER, 0},
    {"torch", "FloatStorage", G_STORAGE, LMB_F32},
    {"torch", "DoubleStorage", G_STORAGE, LMB_F64},
    {"torch", "HalfStorage", G_STORAGE, LMB_F16},
    {"torch", "BFloat16Storage", G_STORAGE, LMB_BF16},
    {"torch", "CharStorage", G_STORAGE, LMB_I8},
    {"torch", "ByteStorage", G_STORAGE, LMB_U8},
    {"torch", "ShortStorage", G_STORAGE, LMB_I16},
    {"torch", "IntStorage", G_STORAGE, LMB_I32},
    {"torch", "LongStorage", G_STORAGE, LMB_I64},
    {"torch", "BoolStorage", G_STORAGE, LMB_BOOL},
    {"numpy", "ndarray", G_NUMPY_ARRAY, 0},
    {"numpy", "dtype", G_NUMPY_DTYPE, 0},
    {"numpy.core.multiarray", "_reconstruct", G_NUMPY_RECONSTRUCT, 0},
    {"numpy._core.multiarray", "_reconstruct", G_NUMPY_RECONSTRUCT, 0},
    {"numpy.core.multiarray", "scalar", G_NUMPY_SCALAR, 0},
    {"numpy._core.multiarray", "scalar", G_NUMPY_SCALAR, 0},
    {"numpy.core.numeric", "_frombuffer", G_NUMPY_FROMBUFFER, 0},
    {"numpy._core.numeric", "_frombuffer", G_NUMPY_FROMBUFFER, 0},
};

static int shown(size_t length)
{
    return (int)(length < NAME_SHOWN ? length : NAME_SHOWN);
}

/* The name is cut, so that a long one used often takes no memory to speak of
 * beyond the input's. */
static lmb_status push_opaque(
    lmb_pk_machine *m, lmb_pk_text module, lmb_pk_text name)
{
    const size_t before = (size_t)shown(module.length);
    const size_t after = (size_t)shown(name.length);
    lmb_pk *value = NULL;
    char *text = NULL;
    LMB_TRY(lmb__pk_take(m, before + 1 + after, &text));
    memcpy(text, module.bytes, before);
    text[before] = '.';
    memcpy(text + before + 1, name.bytes, after);
    LMB_TRY(lmb__pk_push_new(m, LMB_PK_OPAQUE, &value));
    value->opaque = true;
    value->u.text = (lmb_pk_text){text, before + 1 + after};
    if (m->out->opaque == NULL)
        m->out->opaque = value;
    return LMB_OK;
}

lmb_status lmb__pk_global(
    lmb_pk_machine *m, lmb_pk_text module, lmb_pk_text name)
{
    lmb_pk *value = NULL;
    for (size_t i = 0; i < LMB_COUNT(globals); i++) {
        if (!lmb__pk_text_is(module, globals[i].module) ||
            !lmb__pk_text_is(name, globals[i].name))
            continue;
        LMB_TRY(lmb__pk_push_new(m, LMB_PK_GLOBAL, &value));
        value->global_ = (int16_t)i;
        return LMB_OK;
    }
    if (m->any_global)
        return push_opaque(m, module, name);
    return LMB_FAIL(LMB_EFORMAT,
        "%s: global '%.*s.%.*s' is not allowed in a file of data", m->name,
        shown(module.length), module.bytes, shown(name.length), name.bytes);
}

static global_id id_of(const lmb_pk *value)
{
    return value->kind == LMB_PK_GLOBAL ? globals[value->global_].id : G_NONE;
}

static const lmb_pk *argument(const lmb_pk *args, size_t i, lmb_pk_kind kind)
{
    if (i >= args->u.list.count || args->u.list.items[i]->kind != kind)
        return NULL;
    return args->u.list.items[i];
}

static lmb_status bad_call(const lmb_pk_machine *m, const lmb_pk *callee)
{
    return LMB_FAIL(LMB_EFORMAT,
        "%s: pickle, byte %zu: %s.%s with arguments it does not take", m->name,
        m->at - 1, globals[callee->global_].module,
        globals[callee->global_].name);
}

/* Numbers of a tuple into dims; false if they are not whole numbers >= 0 or
 * too many. */
static bool read_dims(const lmb_pk *tuple, int64_t dim[LMB_MAX_RANK])
{
    if (tuple->u.list.count > LMB_MAX_RANK)
        return false;
    for (size_t i = 0; i < tuple->u.list.count; i++) {
        const lmb_pk *number = tuple->u.list.items[i];
        if (number->kind != LMB_PK_INT || number->u.integer < 0)
            return false;
        dim[i] = number->u.integer;
    }
    return true;
}

/* The last element must lie inside the storage. */
static bool tensor_fits(const lmb_pk_tensor *t)
{
    const int64_t count = lmb_shape_count(&t->shape);
    if (count <= 0)
        return count == 0;
    int64_t last = t->offset;
    for (int i = 0; i < t->shape.rank; i++) {
        int64_t step = 0;
        if (!lmb_mul_i64(t->shape.dim[i] - 1, t->stride[i], &step) ||
            !lmb_add_i64(last, step, &last))
            return false;
    }
    return last < t->storage->count;
}

/* (storage, offset, size, stride, ...) */
static lmb_status make_tensor(
    lmb_pk_machine *m, const lmb_pk *callee, const lmb_pk *args, lmb_pk *result)
{
    const lmb_pk *storage = argument(args, 0, LMB_PK_STORAGE);
    const lmb_pk *offset = argument(args, 1, LMB_PK_INT);
    const lmb_pk *size = argument(args, 2, LMB_PK_TUPLE);
    const lmb_pk *stride = argument(args, 3, LMB_PK_TUPLE);
    if (storage == NULL || offset == NULL || size == NULL || stride == NULL ||
        size->u.list.count != stride->u.list.count || offset->u.integer < 0)
        return bad_call(m, callee);
    if (size->u.list.count > LMB_MAX_RANK)
        return LMB_FAIL(LMB_EUNSUPPORTED,
            "%s: a tensor of %zu axes; at most %d are supported", m->name,
            size->u.list.count, LMB_MAX_RANK);
    lmb_pk_tensor *t = NULL;
    LMB_TRY(lmb__pk_take(m, sizeof *t, &t));
    t->storage = storage->u.storage;
    t->offset = offset->u.integer;
    t->shape.rank = (int32_t)size->u.list.count;
    if (!read_dims(size, t->shape.dim) || !read_dims(stride, t->stride))
        return bad_call(m, callee);
    if (!tensor_fits(t))
        return LMB_FAIL(LMB_EFORMAT,
            "%s: a tensor of %s at %lld reaches outside its storage of %lld",
            m->name, lmb_shape_text(&t->shape), (long long)t->offset,
            (long long)t->storage->count);
    result->kind = LMB_PK_TENSOR;
    result->u.tensor = t;
    return LMB_OK;
}

/* (), or one list of (key, value) pairs, or a dict */
static lmb_status make_dict(
    lmb_pk_machine *m, const lmb_pk *callee, const lmb_pk *args, lmb_pk *result)
{
    result->kind = LMB_PK_DICT;
    result->global_ = callee->global_;
    if (args->u.list.count == 0)
        return LMB_OK;
    const lmb_pk *pairs = args->u.list.items[0];
    if (args->u.list.count > 1 || pairs->kind != LMB_PK_LIST)
        return bad_call(m, callee);
    for (size_t i = 0; i < pairs->u.list.count; i++) {
        const lmb_pk *pair = pairs->u.list.items[i];
        if ((pair->kind != LMB_PK_LIST && pair->kind != LMB_PK_TUPLE) ||
            pair->u.list.count != 2)
            return bad_call(m, callee);
        LMB_TRY(lmb__pk_list_add(m, result, pair->u.list.items, 2));
    }
    return LMB_OK;
}

/* codecs.encode(text, "latin1"): how protocol 2 spells bytes. */
static lmb_status make_encoded(
    lmb_pk_machine *m, const lmb_pk *callee, const lmb_pk *args, lmb_pk *result)
{
    const lmb_pk *text = argument(args, 0, LMB_PK_STR);
    char *out = NULL;
    size_t n = 0;
    if (text == NULL || args->u.list.count != 2 ||
        !lmb_pk_is(args->u.list.items[1], "latin1"))
        return bad_call(m, callee);
    const uint8_t *in = (const uint8_t *)text->u.text.bytes;
    const size_t length = text->u.text.length;
    LMB_TRY(lmb__pk_take(m, length, &out));
    for (size_t i = 0; i < length; i++) {
        uint8_t c = in[i];
        if (c >= 0x80) {
            if ((c != 0xc2 && c != 0xc3) || i + 1 == length ||
                (in[i + 1] & 0xc0) != 0x80)
                return bad_call(m, callee);
            c = (uint8_t)(c << 6 | (in[++i] & 0x3f));
        }
        out[n++] = (char)c;
    }
    result->kind = LMB_PK_BYTES;
    result->u.text = (lmb_pk_text){out, n};
    return LMB_OK;
}

/* numpy.dtype("f4", align, copy): its byte order comes with BUILD. */
static lmb_status make_dtype(
    lmb_pk_machine *m, const lmb_pk *callee, const lmb_pk *args, lmb_pk *result)
{
    if (args->u.list.count == 0 || !lmb_pk_is_text(args->u.list.items[0]))
        return bad_call(m, callee);
    result->kind = LMB_PK_DTYPE;
    result->u.dtype.code = args->u.list.items[0]->u.text;
    result->u.dtype.order = '=';
    return LMB_OK;
}

/* One element as a Python number. */
static void number_of(const lmb_tensor *t, lmb_pk *result)
{
    const lmb_dtype d = t->dtype;
    if (d == LMB_F16 || d == LMB_F32 || d == LMB_F64) {
        result->kind = LMB_PK_FLOAT;
        result->u.real = lmb_tensor_get(t, 0);
    } else {
        result->kind = d == LMB_BOOL ? LMB_PK_BOOL : LMB_PK_INT;
        result->u.integer = d == LMB_I64 ? *(const int64_t *)t->data
                                         : (int64_t)lmb_tensor_get(t, 0);
    }
}

/* (dtype, bytes): a NumPy number; of other types only the place is kept. */
static lmb_status make_scalar(
    lmb_pk_machine *m, const lmb_pk *callee, const lmb_pk *args, lmb_pk *result)
{
    const lmb_pk *type = argument(args, 0, LMB_PK_DTYPE);
    lmb_dtype dtype = LMB_F32;
    bool swapped = false;
    _Alignas(8) uint8_t bytes[8] = {0};
    if (type == NULL || args->u.list.count != 2)
        return bad_call(m, callee);
    const lmb_pk *data = args->u.list.items[1];
    result->kind = LMB_PK_NONE;
    if (!lmb__pk_numpy_type(&type->u.dtype, &dtype, &swapped))
        return LMB_OK;
    const size_t size = lmb_dtype_size(dtype);
    if (!lmb_pk_is_text(data) || data->u.text.length != size)
        return bad_call(m, callee);
    memcpy(bytes, data->u.text.bytes, size);
    if (swapped)
        lmb_swap_elements(bytes, 1, size);
    const lmb_tensor t = {.dtype = dtype, .data = bytes};
    number_of(&t, result);
    return LMB_OK;
}

static lmb_status check_array(const lmb_pk_machine *m, const lmb_pk_array *a)
{
    lmb_dtype dtype = LMB_F32;
    bool swapped = false;
    int64_t bytes = 0;
    if (!lmb__pk_numpy_type(&a->dtype, &dtype, &swapped))
        return LMB_OK; /* can stay unread; never becomes a tensor */
    if (!lmb_mul_i64(lmb_shape_count(&a->shape), (int64_t)lmb_dtype_size(dtype),
            &bytes) ||
        (uint64_t)bytes != a->data.length)
        return LMB_FAIL(LMB_EFORMAT,
            "%s: pickle: a NumPy array of %s %s with %zu bytes", m->name,
            lmb_dtype_name(dtype), lmb_shape_text(&a->shape), a->data.length);
    return LMB_OK;
}

/* Fills an array from (shape, dtype, data). */
static lmb_status set_array(lmb_pk_machine *m, lmb_pk_array *a,
    const lmb_pk *shape, const lmb_pk *dtype, const lmb_pk *data)
{
    if (shape == NULL || dtype == NULL || !read_dims(shape, a->shape.dim))
        return lmb__pk_bad(m, "a NumPy array with a malformed state");
    a->shape.rank = (int32_t)shape->u.list.count;
    a->dtype = dtype->u.dtype;
    if (lmb_pk_is_text(data))
        a->data = data->u.text;
    a->complete = true;
    return check_array(m, a);
}

static lmb_status make_array(
    lmb_pk_machine *m, const lmb_pk *callee, const lmb_pk *args, lmb_pk *result)
{
    lmb_pk_array *a = NULL;
    LMB_TRY(lmb__pk_take(m, sizeof *a, &a));
    result->kind = LMB_PK_ARRAY;
    result->u.array = a;
    if (globals[callee->global_].id == G_NUMPY_RECONSTRUCT)
        return LMB_OK; /* BUILD brings the rest */
    if (args->u.list.count != 4)
        return bad_call(m, callee);
    a->fortran = lmb_pk_is(args->u.list.items[3], "F");
    return set_array(m, a, argument(args, 2, LMB_PK_TUPLE),
        argument(args, 1, LMB_PK_DTYPE), args->u.list.items[0]);
}

/* The result is the first argument itself. */
static lmb_status push_first(lmb_pk_machine *m, const lmb_pk *args)
{
    lmb_pk *value = NULL;
    if (args->u.list.count > 0)
        return lmb__pk_push(m, args->u.list.items[0]);
    return lmb__pk_push_new(m, LMB_PK_NONE, &value);
}

static lmb_status call(
    lmb_pk_machine *m, const lmb_pk *callee, const lmb_pk *args)
{
    lmb_pk *result = NULL;
    const global_id id = id_of(callee);
    if (id == G_SEQUENCE || id == G_DEVICE || id == G_PARAMETER)
        return push_first(m, args);
    LMB_TRY(lmb__pk_push_new(m, LMB_PK_NONE, &result));
    switch (id) {
    case G_ORDERED_DICT:
    case G_NAMESPACE:
        return make_dict(m, callee, args, result);
    case G_BYTES:
        result->kind = LMB_PK_BYTES;
        result->u.text = (lmb_pk_text){"", 0};
        return args->u.list.count == 0 ? LMB_OK : bad_call(m, callee);
    case G_ENCODE:
        return make_encoded(m, callee, args, result);
    case G_TENSOR:
        return make_tensor(m, callee, args, result);
    case G_NUMPY_RECONSTRUCT:
    case G_NUMPY_FROMBUFFER:
        return make_array(m, callee, args, result);
    case G_NUMPY_DTYPE:
        return make_dtype(m, callee, args, result);
    case G_NUMPY_SCALAR:
        return make_scalar(m, callee, args, result);
    default:
        return bad_call(m, callee);
    }
}

/* What makes a call's result opaque: its callee, or an argument that a callee
 * we know cannot do without (a tensor's storage). NULL if nothing. */
static lmb_pk *opaque_part(lmb_pk *callee, const lmb_pk *args)
{
    if (callee->kind == LMB_PK_OPAQUE)
        return callee;
    for (size_t i = 0; i < args->u.list.count; i++)
        if (args->u.list.items[i]->kind == LMB_PK_OPAQUE)
            return args->u.list.items[i];
    return NULL;
}

/* REDUCE and NEWOBJ: callee and arguments lie on the stack. */
lmb_status lmb__pk_call(lmb_pk_machine *m)
{
    lmb_pk *callee = NULL;
    lmb_pk *args = NULL;
    LMB_TRY(lmb__pk_pop(m, &args));
    LMB_TRY(lmb__pk_pop(m, &callee));
    const bool known = callee->kind == LMB_PK_GLOBAL;
    if ((!known && callee->kind != LMB_PK_OPAQUE) || args->kind != LMB_PK_TUPLE)
        return lmb__pk_bad(
            m, "calls something that is no global, or with no tuple");
    lmb_pk *opaque = opaque_part(callee, args);
    return opaque != NULL ? lmb__pk_push(m, opaque) : call(m, callee, args);
}

/* (version, shape, dtype, is_fortran, data); without its dtype an array is as
 * unknown as that. */
static lmb_status build_array(
    lmb_pk_machine *m, lmb_pk *array, const lmb_pk *state)
{
    lmb_pk_array *a = array->u.array;
    const lmb_pk *opaque =
        state->kind == LMB_PK_TUPLE ? argument(state, 2, LMB_PK_OPAQUE) : NULL;
    if (opaque != NULL) {
        *array = *opaque;
        return LMB_OK;
    }
    if (state->kind != LMB_PK_TUPLE || state->u.list.count != 5 ||
        state->u.list.items[0]->kind != LMB_PK_INT)
        return lmb__pk_bad(m, "a NumPy array with a malformed state");
    const lmb_pk *fortran = state->u.list.items[3];
    a->fortran =
        (fortran->kind == LMB_PK_BOOL || fortran->kind == LMB_PK_INT) &&
        fortran->u.integer != 0;
    return set_array(m, a, argument(state, 1, LMB_PK_TUPLE),
        argument(state, 2, LMB_PK_DTYPE), state->u.list.items[4]);
}

/* (version, byte order, ...) */
static lmb_status build_dtype(
    lmb_pk_machine *m, lmb_pk_dtype *d, const lmb_pk *state)
{
    if (state->kind != LMB_PK_TUPLE || state->u.list.count < 2 ||
        !lmb_pk_is_text(state->u.list.items[1]) ||
        state->u.list.items[1]->u.text.length != 1)
        return lmb__pk_bad(m, "a NumPy dtype with a malformed state");
    d->order = state->u.list.items[1]->u.text.bytes[0];
    return LMB_OK;
}

lmb_status lmb__pk_build(lmb_pk_machine *m)
{
    lmb_pk *state = NULL;
    LMB_TRY(lmb__pk_pop(m, &state));
    LMB_TRY(lmb__pk_need(m, 1));
    lmb_pk *object = m->stack[m->count - 1];
    if (object->kind == LMB_PK_OPAQUE)
        return LMB_OK;
    if (object->kind == LMB_PK_ARRAY)
        return build_array(m, object, state);
    if (object->kind == LMB_PK_DTYPE)
        return build_dtype(m, &object->u.dtype, state);
    if (object->kind != LMB_PK_DICT || state->kind != LMB_PK_DICT)
        return lmb__pk_bad(m, "sets the state of something that has none");
    /* Attributes of an OrderedDict (torch's _metadata) mean nothing here;
     * those of a Namespace are its content. */
    if (globals[object->global_].id == G_NAMESPACE && object != state)
        return lmb__pk_list_add(
            m, object, state->u.list.items, state->u.list.count);
    return LMB_OK;
}

/* ("module", class, file, source): how torch before 1.6 names a network's
 * class; the class, or NULL if `id` is something else. */
static lmb_pk *module_class(const lmb_pk *id)
{
    if (id->kind != LMB_PK_TUPLE || id->u.list.count < 2 ||
        !lmb_pk_is(id->u.list.items[0], "module") ||
        id->u.list.items[1]->kind != LMB_PK_OPAQUE)
        return NULL;
    return id->u.list.items[1];
}

/* ("storage", type, key, location, count[, view]); a type that we do not know
 * makes the storage opaque, and so its tensors. */
lmb_status lmb__pk_persistent(lmb_pk_machine *m)
{
    lmb_pk *id = NULL;
    lmb_pk *value = NULL;
    lmb_pk_storage *s = NULL;
    LMB_TRY(lmb__pk_pop(m, &id));
    if (module_class(id) != NULL)
        return lmb__pk_push(m, module_class(id));
    if (id->kind != LMB_PK_TUPLE || id->u.list.count < 5 ||
        !lmb_pk_is(id->u.list.items[0], "storage"))
        return lmb__pk_bad(
            m, "a persistent object that is no tensor's storage");
    lmb_pk **item = id->u.list.items;
    if (item[1]->kind == LMB_PK_OPAQUE)
        return lmb__pk_push(m, item[1]);
    if (id_of(item[1]) != G_STORAGE || !lmb_pk_is_text(item[2]) ||
        item[4]->kind != LMB_PK_INT || item[4]->u.integer < 0)
        return lmb__pk_bad(m, "a malformed storage");
    if (id->u.list.count > 5 && item[5]->kind != LMB_PK_NONE)
        return LMB_FAIL(LMB_EUNSUPPORTED,
            "%s: a storage that is a view of another (torch before 0.4)",
            m->name);
    LMB_TRY(lmb__pk_take(m, sizeof *s, &s));
    s->dtype = globals[item[1]->global_].dtype;
    s->key = item[2]->u.text;
    s->count = item[4]->u.integer;
    LMB_TRY(LMB_GROW(
        m->out->storages, m->out->storage_count, m->out->storage_capacity_));
    m->out->storages[m->out->storage_count++] = s;
    LMB_TRY(lmb__pk_push_new(m, LMB_PK_STORAGE, &value));
    value->u.storage = s;
    return LMB_OK;
}
