/* box.c: overlaps, codes and distances of boxes; formulas in box.h. */
#include "detect/box.h"

#include <math.h>

bool lmb_detect_finite(const lmb_box *box)
{
    return isfinite(box->x0) && isfinite(box->y0) && isfinite(box->x1) &&
        isfinite(box->y1);
}

float lmb_detect_iou(const lmb_box *a, const lmb_box *b)
{
    return lmb_detect_iou_of(a, lmb_detect_area(a), b, lmb_detect_area(b));
}

/* NaN stays NaN. */
static float clamp(float x, float most)
{
    return x < 0 ? 0 : x > most ? most : x;
}

lmb_box lmb_detect_clip(lmb_box box, double height, double width)
{
    const float w = (float)width, h = (float)height;
    return (lmb_box){
        clamp(box.x0, w), clamp(box.y0, h), clamp(box.x1, w), clamp(box.y1, h)};
}

void lmb_detect_encode(const double anchor[4], const double box[4],
    const double std[4], double delta[4])
{
    for (int i = 0; i < 2; i++) {
        const double size = anchor[i + 2] - anchor[i];
        const double to = box[i + 2] - box[i];
        const double from = (anchor[i] + anchor[i + 2]) / 2;
        delta[i] = ((box[i] + box[i + 2]) / 2 - from) / size / std[i];
        delta[i + 2] = log(to / size) / std[i + 2];
        if (size <= 0 || to <= 0) {
            delta[0] = delta[1] = delta[2] = delta[3] = 0;
            return;
        }
    }
}

void lmb_detect_decode(const double anchor[4], const double delta[4],
    const double std[4], double most, double box[4])
{
    for (int i = 0; i < 2; i++) {
        const double size = anchor[i + 2] - anchor[i];
        const double from = (anchor[i] + anchor[i + 2]) / 2;
        double grow = delta[i + 2] * std[i + 2];
        grow = grow > most ? most : grow < -most ? -most : grow;
        const double centre = from + size * (delta[i] * std[i]);
        const double half = size * exp(grow) / 2;
        box[i] = centre - half;
        box[i + 2] = centre + half;
    }
}

void lmb_detect_distances(
    const double point[2], const double box[4], double distance[4])
{
    for (int i = 0; i < 2; i++) {
        distance[i] = point[i] - box[i];
        distance[i + 2] = box[i + 2] - point[i];
    }
}

void lmb_detect_around(
    const double point[2], const double distance[4], double box[4])
{
    for (int i = 0; i < 2; i++) {
        box[i] = point[i] - distance[i];
        box[i + 2] = point[i] + distance[i + 2];
    }
}

static double area(const double b[4])
{
    return (b[2] - b[0]) * (b[3] - b[1]);
}

static double shared(const double a[4], const double b[4])
{
    const double w = fmin(a[2], b[2]) - fmax(a[0], b[0]);
    const double h = fmin(a[3], b[3]) - fmax(a[1], b[1]);
    return fmax(w, 0) * fmax(h, 0);
}

double lmb_detect_overlap(const double a[4], const double b[4])
{
    const double inter = shared(a, b);
    return inter / fmax(area(a) + area(b) - inter, 1e-6);
}

double lmb_detect_giou(const double a[4], const double b[4])
{
    const double inter = shared(a, b);
    const double all = fmax(area(a) + area(b) - inter, 1e-6);
    const double w = fmax(a[2], b[2]) - fmin(a[0], b[0]);
    const double h = fmax(a[3], b[3]) - fmin(a[1], b[1]);
    const double hull = fmax(fmax(w, 0) * fmax(h, 0), 1e-6);
    return inter / all - (hull - all) / hull;
}
