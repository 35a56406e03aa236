/* pcd_on_arrays.c: PCD on the caller's own logits: value and gradient.
 *
 *   cc pcd_on_arrays.c $(pkg-config --cflags --libs limbeck) -o pcd_on_arrays
 *
 * This is all that a training loop in another language needs: hand over the
 * logits of both networks, add the gradient to the student's. */
#include <limbeck.h>
#include <stdio.h>

enum { SAMPLES = 2, CLASSES = 7 };

static const double teacher[SAMPLES * CLASSES] = {
    5.0, 1.0, -2.0, 0.5, 3.0, -1.0, 0.0, 0.2, -0.4, 4.0, 1.5, -3.0, 2.5, 0.7};
static const double student[SAMPLES * CLASSES] = {
    2.0, 1.5, -1.0, 0.0, 3.5, 0.5, -0.5, 1.0, 0.1, 1.0, 2.0, -1.0, 0.5, 0.2};

int main(void)
{
    double gradient[SAMPLES * CLASSES];
    const lmb_shape shape = {2, {SAMPLES, CLASSES}};
    const lmb_loss_array s = {"logits", shape, student, gradient};
    const lmb_loss_array t = {"logits", shape, teacher, NULL};
    const char *const options[] = {"temperature=4", "stages=3"};
    const lmb_loss_inputs in = {
        .dtype = LMB_F64, /* LMB_F32 runs the fast kernels */
        .n_student = 1,
        .n_teacher = 1,
        .student = &s,
        .teacher = &t,
        .n_options = 2,
        .options = options,
    };
    double value = 0;
    if (lmb_loss_eval("pcd", &in, &value) != LMB_OK) {
        fprintf(stderr, "pcd: %s\n", lmb_last_error());
        return 1;
    }
    printf("limbeck %s: pcd = %.10f\n", lmb_version(), value);
    for (int i = 0; i < SAMPLES * CLASSES; i++)
        printf(
            "%+.10f%c", gradient[i], i % CLASSES == CLASSES - 1 ? '\n' : ' ');
    return 0;
}
