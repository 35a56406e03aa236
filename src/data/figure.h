/* figure.h: what generated pictures are drawn with: textured outlines, bars
 * and discs; the own of shapes.c and scenes.c.
 *
 * Only + - * / sqrt and floor are used, so every machine draws the same. */
#ifndef LMB_DATA_FIGURE_H
#define LMB_DATA_FIGURE_H

#include "base/rng.h"

#include <stdbool.h>

enum { LMB_OUTLINES = 10, LMB_PATTERNS = 5, LMB_TEXTURES = 2 * LMB_PATTERNS };

typedef struct lmb_colour {
    double c[3];
} lmb_colour;

/* Turn, then scale: a picture point in the units of the thing drawn. */
typedef struct lmb_frame {
    double x, y, cos, sin, inverse;
} lmb_frame;

/* A bar or a disc of one colour. */
typedef struct lmb_blob {
    lmb_frame at;
    bool round;
    double width; /* of the bar, its half length is 1 */
    lmb_colour fill;
} lmb_blob;

/* An outline filled with a texture: a pattern of two inks, either a light and
 * a dark one of the same hue or complementary hues. */
typedef struct lmb_figure {
    int outline, pattern;
    lmb_frame body, texture;
    double frequency, phase[2];
    lmb_colour ink[2];
} lmb_figure;

extern const char *const lmb__outline_names[LMB_OUTLINES];
extern const char *const lmb__texture_names[LMB_TEXTURES];

double lmb__between(lmb_rng *rng, double low, double high);
/* Any hue, not grey. */
lmb_colour lmb__draw_strong(lmb_rng *rng);
lmb_colour lmb__draw_any(lmb_rng *rng);
/* Anywhere in a square picture; radius low .. high. */
lmb_blob lmb__draw_blob(lmb_rng *rng, double side, double low, double high);
bool lmb__in_blob(const lmb_blob *b, double x, double y);
/* outline 0 .. 9, texture 0 .. 9: pattern texture mod 5, of one hue below 5. */
lmb_figure lmb__draw_figure(
    lmb_rng *rng, int outline, int texture, double x, double y, double radius);
bool lmb__in_figure(const lmb_figure *f, double x, double y);
/* The colour of a point in the figure. */
lmb_colour lmb__figure_at(const lmb_figure *f, double x, double y);
/* Bilinear between nodes x nodes values that span a square picture. */
double lmb__slow_noise(
    const double *grid, int nodes, double side, double x, double y);

/* Light and noise of a picture. */
typedef struct lmb_light {
    double light, lift, noise;
} lmb_light;
lmb_light lmb__draw_light(lmb_rng *rng);
/* The byte values of a pixel of this colour. */
void lmb__develop(
    const lmb_light *light, const lmb_colour *at, lmb_rng *rng, uint8_t *rgb);

#endif
