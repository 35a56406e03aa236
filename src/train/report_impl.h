/* report_impl.h: what the files of the report share; not for others. */
#ifndef LMB_TRAIN_REPORT_IMPL_H
#define LMB_TRAIN_REPORT_IMPL_H

#include "base/str.h"
#include "data/image.h"
#include "metric/coco_eval.h"
#include "metric/confusion.h"
#include "train/box_files.h"
#include "train/scores.h"

/* Curves of losses; of scores: the first ones of the task. */
enum { LMB_REPORT_SERIES = 12, LMB_REPORT_SCORES = 3 };

/* Points of one curve: x ascending. */
typedef struct lmb_curve {
    char name[64];
    double *x, *y;
    size_t count, capacity, y_capacity;
} lmb_curve;

/* student, teacher: images that are right; of detectors AP times count, so
 * that both are shares of it. teacher: -1 if there was none. Names need not
 * differ: the index is what a class is known by. */
typedef struct lmb_class_score {
    const char *name; /* in the run's arena */
    int64_t index; /* in the data set */
    double count, student, teacher;
} lmb_class_score;

/* What a network found on the test split, and its numbers; zero: no files. */
typedef struct lmb_report_boxes {
    bool there;
    lmb_box_files files;
    lmb_coco_scores scores;
} lmb_report_boxes;

/* A run directory, read. */
typedef struct lmb_report_run {
    lmb_arena *arena;
    const char *dir, *name; /* name: last part of the path */
    char *config, *manifest; /* texts; "" if there is none */
    char *identity; /* config without comments, seed and out */
    char student[160], teacher[640], methods[128], seed[32];
    const lmb_task *task;
    lmb_curve loss[LMB_REPORT_SERIES], score[LMB_REPORT_SCORES];
    int n_loss;
    double last[LMB_MAX_SCORES], best[LMB_MAX_SCORES]; /* best: by the first */
    double teacher_score, best_epoch, images_per_second;
    bool chosen_on_test;
    bool finished; /* classes.json is there, which the end of a run writes */
    lmb_class_score *classes;
    size_t n_classes;
    /* Detection, once lmb__report_read_boxes was called. */
    lmb_report_boxes student_boxes, teacher_boxes;
    lmb_confusion confusion; /* of the student, at LMB_REPORT_SCORE */
} lmb_report_run;

/* Detections of less are not drawn and not confused. */
#define LMB_REPORT_SCORE 0.3

lmb_status lmb__report_read(
    const char *dir, lmb_report_run *out) LMB_MUST_CHECK;
void lmb__report_fini(lmb_report_run *run);
/* Reads truth and detections of a detector's finished run, and scores them. */
lmb_status lmb__report_read_boxes(lmb_report_run *run) LMB_MUST_CHECK;

/* Text as HTML: & < > " are escaped, and what is no UTF-8 is marked. */
void lmb__html(lmb_str *out, const char *text);
/* The page up to <body>. */
void lmb__html_head(lmb_str *out, const char *title);
/* The colour of series i, as "#rrggbb". */
const char *lmb__svg_color(int i);
typedef struct lmb_chart {
    const char *title, *x_label, *y_label;
    bool unit; /* both axes are 0 .. 1 */
} lmb_chart;
/* A line chart with axes and a legend. */
void lmb__svg_lines(lmb_str *out, const lmb_chart *chart, int n,
    const lmb_curve *const *curves, const char *const *names);
/* Names of series with their colours, <figcaption>. */
void lmb__svg_legend(lmb_str *out, int n, const char *const *names);
/* Bars of student minus teacher for each class, largest gain first. */
void lmb__svg_gaps(lmb_str *out, const lmb_report_run *run);

/* --- detection (report_detect.c, report_samples.c) ------------------------ */

/* The numbers of all runs as a JSON list. */
lmb_status lmb__report_json(
    lmb_str *out, int n, const lmb_report_run *runs) LMB_MUST_CHECK;

bool lmb__report_detects(const lmb_report_run *run);
/* Each class's AP of teachers and runs side by side; PR curves of all. */
lmb_status lmb__report_compare(
    lmb_str *out, int n, const lmb_report_run *runs) LMB_MUST_CHECK;
/* What the student takes for what. */
void lmb__svg_confusion(lmb_str *out, const lmb_report_run *run);
/* PR curves by class, what is taken for what. */
lmb_status lmb__report_detail(
    lmb_str *out, const lmb_report_run *run) LMB_MUST_CHECK;
/* Sample pictures: truth, student, teacher. */
lmb_status lmb__report_samples(
    lmb_str *out, const lmb_report_run *run) LMB_MUST_CHECK;
/* <img> of a JPEG made of the picture. */
lmb_status lmb__html_image(
    lmb_str *out, const lmb_image *image, const char *title) LMB_MUST_CHECK;

#endif
