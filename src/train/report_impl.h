/* report_impl.h: what the files of the report share; not for others. */
#ifndef LMB_TRAIN_REPORT_IMPL_H
#define LMB_TRAIN_REPORT_IMPL_H

#include "base/str.h"

enum { LMB_REPORT_SERIES = 12 };

/* Points of one curve: x ascending. */
typedef struct lmb_curve {
    char name[64];
    double *x, *y;
    size_t count, capacity, y_capacity;
} lmb_curve;

typedef struct lmb_class_score {
    char name[64];
    double count, student, teacher; /* teacher: -1 if there was none */
} lmb_class_score;

/* A run directory, read. */
typedef struct lmb_report_run {
    const char *dir, *name; /* name: last part of the path */
    char *config, *manifest; /* texts; "" if there is none */
    char *identity; /* config without comments, seed and out */
    char student[64], teacher[64], methods[128], seed[32];
    lmb_curve loss[LMB_REPORT_SERIES], top1;
    int n_loss;
    double teacher_top1, last_top1, last_top5, best_top1, best_epoch,
        images_per_second;
    bool chosen_on_test;
    lmb_class_score *classes;
    size_t n_classes;
} lmb_report_run;

lmb_status lmb__report_read(
    const char *dir, lmb_report_run *out) LMB_MUST_CHECK;
void lmb__report_fini(lmb_report_run *run);

/* Text as HTML: & < > " are escaped. */
void lmb__html(lmb_str *out, const char *text);
/* A line chart with axes and a legend. */
void lmb__svg_lines(lmb_str *out, const char *title, const char *y_label, int n,
    const lmb_curve *const *curves, const char *const *names);
/* Bars of student minus teacher for each class, largest gain first. */
void lmb__svg_gaps(lmb_str *out, const lmb_report_run *run);

#endif
