/* k_layout.c: conversions between the forms of a rank-4 value.
 *
 * A form of the larger block is [area][pieces] where the other one is
 * [pieces][area], a piece being one smaller block: matrices to transpose. Those
 * of single elements (plain is one side) go tile by tile, so that both sides
 * are read and written in whole vectors. */
#include "backend/cpu/cpu_layout.h"
#include "backend/cpu/kernel_util.h"

enum { TILE = 16, CHUNK = 16384 };

/* The matrix that lies at element `at` of both arrays: [rows][columns] in
 * `from`, [columns][rows] in `to`. */
typedef struct matrix {
    const void *from;
    void *to;
    int64_t at, rows, columns;
} matrix;

K_INLINE void transpose_tile(
    const matrix *x, int64_t row, int64_t column, bool from_half, bool to_half)
{
    const int64_t rows = k_min(TILE, x->rows - row);
    const int64_t columns = k_min(TILE, x->columns - column);
    float tile[TILE][TILE] = {{0}}, turned[TILE][TILE];
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c += VL) {
            const int64_t i = x->at + (row + r) * x->columns + column + c;
            v_store(tile[r], c, false,
                v_load_n(x->from, i, k_min(VL, columns - c), from_half));
        }
    for (int c = 0; c < TILE; c++)
        for (int r = 0; r < TILE; r++)
            turned[c][r] = tile[r][c];
    for (int64_t c = 0; c < columns; c++)
        for (int64_t r = 0; r < rows; r += VL) {
            const int64_t i = x->at + (column + c) * x->rows + row + r;
            v_store_n(x->to, i, k_min(VL, rows - r), to_half,
                v_load(turned[c], r, false));
        }
}

K_INLINE void transpose(const lmb_layout *l, const void *from, void *to,
    bool from_half, bool to_half)
{
    const bool untie = l->from.block > l->to.block;
    const int64_t block = k_max(l->from.block, l->to.block);
    const int64_t rows = untie ? l->area : block;
    const int64_t columns = untie ? block : l->area;
    const int64_t bands = k_ceil_div(rows, TILE);
    const int64_t matrices = l->images * l->channels / block;
    K_PARALLEL_FOR(matrices * rows * columns)
    for (int64_t b = 0; b < matrices * bands; b++) {
        const matrix x = {from, to, b / bands * rows * columns, rows, columns};
        for (int64_t column = 0; column < columns; column += TILE)
            transpose_tile(&x, b % bands * TILE, column, from_half, to_half);
    }
}

/* The same for pieces of more than one element, a row of the result at a time.
 */
K_INLINE void transpose_pieces(const lmb_layout *l, const void *from, void *to,
    bool from_half, bool to_half)
{
    const bool untie = l->from.block > l->to.block;
    const int64_t block = k_max(l->from.block, l->to.block);
    const int64_t piece = k_min(l->from.block, l->to.block);
    const int64_t rows = untie ? block / piece : l->area; /* of the result */
    const int64_t columns = untie ? l->area : block / piece;
    const int64_t matrices = l->images * l->channels / block;
    K_PARALLEL_FOR(matrices * rows * columns * piece)
    for (int64_t b = 0; b < matrices * rows; b++) {
        const int64_t base = b / rows * rows * columns, row = b % rows;
        for (int64_t c = 0; c < columns; c++)
            for (int64_t j = 0; j < piece; j += VL) {
                const int64_t m = k_min(VL, piece - j);
                v_store_n(to, (b * columns + c) * piece + j, m, to_half,
                    v_load_n(from, (base + c * rows + row) * piece + j, m,
                        from_half));
            }
    }
}

K_INLINE void copy(const lmb_layout *l, const void *from, void *to,
    bool from_half, bool to_half)
{
    const int64_t n = l->images * l->channels * l->area;
    K_PARALLEL_FOR(n)
    for (int64_t b = 0; b < k_ceil_div(n, CHUNK); b++) {
        const int64_t end = k_min(n, (b + 1) * CHUNK);
        for (int64_t i = b * CHUNK; i < end; i += VL) {
            const int64_t m = k_min(VL, end - i);
            v_store_n(to, i, m, to_half, v_load_n(from, i, m, from_half));
        }
    }
}

K_INLINE void convert(const lmb_layout *l, const void *from, void *to,
    bool from_half, bool to_half)
{
    if (l->from.block == l->to.block)
        copy(l, from, to, from_half, to_half);
    else if (k_min(l->from.block, l->to.block) == 1)
        transpose(l, from, to, from_half, to_half);
    else
        transpose_pieces(l, from, to, from_half, to_half);
}

static void layout(const lmb_layout *l, const void *from, void *to)
{
    if (l->from.bf16 && l->to.bf16)
        convert(l, from, to, true, true);
    else if (l->from.bf16)
        convert(l, from, to, true, false);
    else if (l->to.bf16)
        convert(l, from, to, false, true);
    else
        convert(l, from, to, false, false);
}

extern lmb_layout_fn *const LMB_KERNEL_TABLE(k_layout);
lmb_layout_fn *const LMB_KERNEL_TABLE(k_layout) = layout;
