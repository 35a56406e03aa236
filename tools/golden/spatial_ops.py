#!/usr/bin/python3
"""Writes tests/golden/spatial_ops.txt: the spatial ops as PyTorch computes
them in float64, values and gradients of sum(ramp * y).

Needs Debian 12's python3-torch (1.13.1). Nothing is random: element i of
input k is ((37 i + 101 k + 11) 7919 mod 1009) / 504.5 - 1, distinct within an
input; the weights of the loss are input 9. A record of the file is
"case array count" and then the numbers; d0, d1, .. are gradients to the inputs.
Usage: tools/golden/spatial_ops.py
"""
import os

import torch
import torch.nn.functional as F

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                   "../../tests/golden/spatial_ops.txt")


def ramp(k, shape):
    count = 1
    for dim in shape:
        count *= dim
    assert count <= 1009
    values = [((37 * i + 101 * k + 11) * 7919 % 1009) / 504.5 - 1
              for i in range(count)]
    return torch.tensor(values, dtype=torch.float64).reshape(shape)


def conv(stride, pad, dilation, groups):
    return lambda x, w, b=None: F.conv2d(x, w, b, stride, pad, dilation, groups)


def conv_transpose(stride, pad, dilation, groups):
    return lambda x, w, b=None: F.conv_transpose2d(
        x, w, b, stride, pad, 0, groups, dilation)


running_mean = torch.zeros(2, dtype=torch.float64)
running_var = torch.ones(2, dtype=torch.float64)


def norm_train(x, gamma, beta):
    return F.batch_norm(x, running_mean, running_var, gamma, beta, True, 0.1,
                        1e-5)


def norm_rows(x, gamma, beta):
    return F.batch_norm(x, None, None, gamma, beta, True, 0.1, 1e-3)


def norm_infer(x, gamma, beta):
    return F.batch_norm(x, ramp(3, [3]), 1.5 + ramp(4, [3]), gamma, beta, False,
                        0.1, 1e-5)


def shuffle(x):
    """torch.channel_shuffle(x, 3), which has no gradient."""
    n, c, h, w = x.shape
    y = x.reshape(n, 3, c // 3, h, w).transpose(1, 2).reshape(x.shape)
    assert torch.equal(y, torch.channel_shuffle(x.detach(), 3))
    return y


def adaptive(h, w):
    return lambda x: F.adaptive_avg_pool2d(x, (h, w))


def resize(h, w, mode):
    corners = {"align_corners": False} if mode == "bilinear" else {}
    return lambda x: F.interpolate(x, size=(h, w), mode=mode, **corners)


CASES = [
    ("conv2d", conv((2, 1), 1, 1, 1), [2, 2, 5, 4], [3, 2, 3, 3], [3]),
    ("conv2d_dilated", conv(1, (1, 2), (2, 1), 2), [1, 4, 4, 5], [4, 2, 2, 3]),
    ("conv2d_depthwise", conv(2, 1, 1, 3), [2, 3, 4, 4], [3, 1, 3, 3]),
    ("transpose", conv_transpose((2, 3), (1, 0), 1, 1),
     [2, 3, 3, 2], [3, 2, 3, 2], [2]),
    ("transpose_groups", conv_transpose(1, 0, (1, 2), 2),
     [1, 4, 2, 3], [4, 1, 2, 2]),
    ("batch_norm_train", norm_train, [3, 2, 2, 3], [2], [2]),
    ("batch_norm_rows", norm_rows, [5, 3], [3], [3]),
    ("batch_norm_infer", norm_infer, [2, 3, 2, 2], [3], [3]),
    ("max_pool", lambda x: F.max_pool2d(x, (3, 2), (2, 2), (1, 1)),
     [1, 2, 6, 5]),
    ("avg_pool", lambda x: F.avg_pool2d(x, (3, 2), (2, 2), (1, 1)),
     [1, 2, 6, 5]),
    ("avg_pool_inside",
     lambda x: F.avg_pool2d(x, (3, 2), (2, 2), (1, 1),
                            count_include_pad=False), [1, 2, 6, 5]),
    ("adaptive_down", adaptive(3, 4), [1, 2, 5, 7]),
    ("adaptive_mixed", adaptive(6, 4), [1, 2, 5, 7]),
    ("global_avg_pool", lambda x: F.adaptive_avg_pool2d(x, 1).flatten(1),
     [2, 3, 3, 4]),
    ("shuffle", shuffle, [1, 6, 1, 2]),
    ("nearest", resize(7, 3, "nearest"), [1, 2, 4, 5]),
    ("nearest_wide", resize(1, 22, "nearest"), [1, 1, 1, 26]),
    ("bilinear", resize(7, 3, "bilinear"), [1, 2, 4, 5]),
    ("bilinear_wide", resize(3, 9, "bilinear"), [1, 2, 4, 5]),
]


def write(out, case, array, tensor):
    values = tensor.detach().reshape(-1).tolist()
    out.write(f"{case} {array} {len(values)}\n")
    for i in range(0, len(values), 4):
        out.write(" ".join(repr(v) for v in values[i:i + 4]) + "\n")


def main():
    with open(OUT, "w", encoding="ascii") as out:
        for name, function, *shapes in CASES:
            inputs = [ramp(k, s).requires_grad_() for k, s in enumerate(shapes)]
            y = function(*inputs)
            grads = torch.autograd.grad((y * ramp(9, y.shape)).sum(), inputs)
            write(out, name, "y", y)
            for k, grad in enumerate(grads):
                write(out, name, f"d{k}", grad)
        write(out, "running", "mean", running_mean)
        write(out, "running", "var", running_var)


if __name__ == "__main__":
    main()
