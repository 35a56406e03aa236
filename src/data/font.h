/* font.h: letters for pictures: a bitmap font of 5 x 9 pixels. */
#ifndef LMB_DATA_FONT_H
#define LMB_DATA_FONT_H

#include <stdbool.h>
#include <stdint.h>

/* Pixels of a letter and of its place: one more to the right. Two of the rows
 * are below the line. */
enum { LMB_FONT_WIDTH = 5, LMB_FONT_HEIGHT = 9, LMB_FONT_ADVANCE = 6 };

/* The next code point of UTF-8 text, and moves on; bytes that are no UTF-8
 * give 0xFFFD, the end 0. */
uint32_t lmb_font_next(const char **text);
/* Is there ink at row y, column x of a letter? Others than ASCII's are drawn as
 * an empty frame. */
bool lmb_font_ink(uint32_t letter, int y, int x);

#endif
