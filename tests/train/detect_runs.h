/* detect_runs.h: runs of tiny detectors on generated scenes, which lie in the
 * test's folder as a data set of COCO with sparse, descending image ids. */
#ifndef LMB_TEST_DETECT_RUNS_H
#define LMB_TEST_DETECT_RUNS_H

#include "program.h"

#include "data/data.h"
#include "io/coco_json.h"

enum { SCENE_CLASSES = 2, SCENE_SIDE = 64 };

/* Networks of a few thousand parameters. */
#define TINY(name, width) \
    name ":width=" width ",fpn_channels=32,head_convs=1,frozen_stages=-1," \
         "norm_eval=false"
#define TINY_STUDENT TINY("retinanet_r18_fpn", "0.0625")
#define TINY_TEACHER TINY("retinanet_r18_fpn", "0.125")
#define TINY_REGIONS(width) \
    "faster_rcnn_r18_fpn:width=" width ",fpn_channels=32,frozen_stages=-1," \
    "norm_eval=false,head_width=32,rpn_samples=32,proposals=40,rois=16"
#define TINY_REGIONS_STUDENT TINY_REGIONS("0.0625")
/* Of arithmetic, for the same bits everywhere; one thread each. */
#define TINY_FLAGS \
    "--threads 1 --precision f32 --size 64 --batch 4 --eval-batch 8 " \
    "--loader-threads 0 --allow-reference --seed 5 "

static inline int64_t scene_id(int64_t i)
{
    return 1000 - 7 * i;
}

static inline void add_scene(lmb_coco *coco, const lmb_dataset *ds, int64_t i)
{
    lmb_ground_truth t;
    CHECK_OK(lmb_dataset_truth(ds, i, &t));
    for (int64_t k = 0; k < t.count; k++) {
        const float *b = t.boxes + 4 * k;
        lmb_coco_annotation *a = &coco->annotations[coco->n_annotations++];
        *a = (lmb_coco_annotation){
            .id = coco->n_annotations,
            .box = {b[0], b[1], (double)b[2] - b[0], (double)b[3] - b[1]},
            .area = t.area[k],
            .image = (int32_t)i,
            .category = t.labels[k],
        };
    }
}

static inline void write_scene(
    const char *dir, const lmb_dataset *ds, int64_t i, lmb_coco_image *out)
{
    static char names[256][16];
    char path[6 * PROGRAM_PATH];
    lmb_scratch scratch = {0};
    lmb_image image;
    assert_true(i < 256);
    (void)snprintf(names[i], sizeof names[i], "%03d.png", (int)i);
    (void)snprintf(path, sizeof path, "%s/%s", dir, names[i]);
    CHECK_OK(lmb_dataset_image(ds, i, &scratch, &image));
    CHECK_OK(lmb_image_save_png(path, &image));
    *out = (lmb_coco_image){
        .id = scene_id(i),
        .file_name = names[i],
        .width = image.width,
        .height = image.height,
    };
    lmb_scratch_fini(&scratch);
}

/* DIR/SPLIT/NNN.png and DIR/instances_SPLIT.json. */
static inline void write_scenes_split(
    const char *dir, const char *split, int64_t count, int32_t classes)
{
    char path[4 * PROGRAM_PATH];
    lmb_dataset *ds = NULL;
    const lmb_dataset_opts opts = {.train_count = count,
        .test_count = count,
        .classes = classes,
        .side = SCENE_SIDE};
    CHECK_OK(lmb_dataset_open("scenes", split, &opts, &ds));
    lmb_coco_image images[256];
    lmb_coco_annotation annotations[256 * 8];
    lmb_coco_category categories[16];
    lmb_coco coco = {
        images, categories, annotations, count, classes, 0, NULL, NULL, NULL};
    for (int32_t k = 0; k < classes; k++)
        categories[k] =
            (lmb_coco_category){10 + 3 * k, lmb_dataset_class_names(ds)[k]};
    (void)snprintf(path, sizeof path, "%s/%s", dir, split);
    assert_int_equal(mkdir(path, 0777), 0);
    for (int64_t i = 0; i < count; i++) {
        write_scene(path, ds, i, &images[i]);
        add_scene(&coco, ds, i);
    }
    (void)snprintf(path, sizeof path, "%s/instances_%s.json", dir, split);
    CHECK_OK(lmb_coco_save(path, &coco));
    lmb_dataset_free(ds);
}

/* "ROOT/name" with that many pictures to train on, and to try. */
static inline void write_scenes(
    const char *name, int64_t train, int64_t test, int32_t classes)
{
    const char *dir = in_folder("%s", name);
    assert_int_equal(mkdir(dir, 0777), 0);
    write_scenes_split(dir, "train", train, classes);
    write_scenes_split(dir, "val", test, classes);
}

/* A number of a file of JSON, "key": 1.5; NaN if there is no such key. */
static inline double json_number(const char *text, const char *key)
{
    char quoted[64];
    (void)snprintf(quoted, sizeof quoted, "\"%s\": ", key);
    const char *at = strstr(text, quoted);
    return at != NULL ? strtod(at + strlen(quoted), NULL) : NAN;
}

#endif
