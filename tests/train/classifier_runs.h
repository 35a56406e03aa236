/* classifier_runs.h: a folder with a small set of pictures and a teacher for
 * them that need know nothing. */
#ifndef LMB_TEST_CLASSIFIER_RUNS_H
#define LMB_TEST_CLASSIFIER_RUNS_H

#include "program.h"

#include "train/network.h"

/* "idx:ROOT/data" and "ROOT/teacher.safetensors". */
static char data[2 * PROGRAM_PATH], teacher[2 * PROGRAM_PATH];

/* Of a group's setup; `images` to train on. */
static inline int classifier_folder(void **state, uint32_t images)
{
    const lmb_model *model = NULL;
    lmb_network net = {0};
    if (program_folder(state) != 0)
        return 1;
    write_data(images);
    (void)snprintf(data, sizeof data, "idx:%s", in_folder("data"));
    (void)snprintf(
        teacher, sizeof teacher, "%s", in_folder("teacher.safetensors"));
    CHECK_OK(lmb_model_get("resnet8", &model));
    CHECK_OK(lmb_network_new(model, 4, 16, LMB_F32, &net));
    lmb_params_init(net.params, 3);
    CHECK_OK(lmb_network_save(&net, NULL, 16, 0, teacher));
    lmb_network_fini(&net);
    return 0;
}

#endif
