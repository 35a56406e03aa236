/* ops_table.c: the table of all ops. */
#include "op/ops.h"

#include <string.h>

static const lmb_op *const table[] = {
#define LMB_OP(name, file) &lmb_op_##name,
#include "op/ops.def"
#undef LMB_OP
};

const lmb_op *const *lmb_ops(int *count)
{
    *count = (int)LMB_COUNT(table);
    return table;
}

const lmb_op *lmb_op_find(const char *name)
{
    for (size_t i = 0; i < LMB_COUNT(table); i++)
        if (strcmp(table[i]->name, name) == 0)
            return table[i];
    return NULL;
}
