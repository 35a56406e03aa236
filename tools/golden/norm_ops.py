#!/usr/bin/env python3
"""Writes tests/golden/norm_ops.txt: normalisations, GELU, roll and RoIAlign as
PyTorch and torchvision compute them in float64, values and gradients of
sum(ramp * y).

Needs torch and torchvision (made with 2.15 and 0.29). Inputs and the format
are those of spatial_ops.py: element i of input k is ((37 i + 101 k + 11) 7919
mod 1009) / 504.5 - 1, the weights of the loss are input 9; d0, d1, .. are
gradients. RoIs are written too ("case rois 20").
Usage: tools/golden/norm_ops.py
"""
import os

import torch
import torch.nn.functional as F
from torchvision.ops import MultiScaleRoIAlign, roi_align

from spatial_ops import ramp, write

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                   "../../tests/golden/norm_ops.txt")

# Image, x0, y0, x1, y1 on two images of 24 x 28: small, large, over the
# borders, thin.
ROIS = torch.tensor([[0, 3.3, 2.1, 12.8, 9.4], [1, -6.5, 1.25, 27.5, 26.75],
                     [1, 5.7, 11.2, 6.1, 22.9], [0, 15.1, 9.9, 31.3, 20.2]],
                    dtype=torch.float64)


def group_norm(groups, eps):
    return lambda x, gamma, beta: F.group_norm(x, groups, gamma, beta, eps)


def layer_norm(eps):
    return lambda x, gamma, beta: F.layer_norm(x, x.shape[-1:], gamma, beta,
                                               eps)


def one_level(samples, aligned):
    return lambda x: roi_align(x, ROIS, 2, 0.25, samples, aligned)


def levels_by_torchvision(samples):
    pool = MultiScaleRoIAlign(["a", "b"], 2, samples, canonical_scale=16,
                              canonical_level=3)
    rows = [(ROIS[:, 0] == image).nonzero()[:, 0] for image in range(2)]
    back = torch.cat(rows).argsort()

    def run(a, b):
        y = pool({"a": a, "b": b}, [ROIS[r, 1:] for r in rows],
                 [(24, 28)] * 2)
        return y[back]
    return run


def levels_by_mmdetection(samples):
    """floor(log2(scale / finest + 1e-6)) as in its SingleRoIExtractor, which
    runs mmcv's roi_align; torchvision's with aligned=True is the same."""
    def run(*levels):
        w, h = ROIS[:, 3] - ROIS[:, 1], ROIS[:, 4] - ROIS[:, 2]
        level = torch.floor(torch.log2(torch.sqrt(w * h) / 8 + 1e-6))
        level = level.clamp(0, len(levels) - 1).long()
        y = levels[0].new_zeros(len(ROIS), 2, 2, 2)
        for k, x in enumerate(levels):
            rows = (level == k).nonzero()[:, 0]
            y = y.index_copy(0, rows, roi_align(
                x, ROIS[rows], 2, 1 / (4 << k), samples, True))
        return y
    return run


FINE, COARSE = [2, 2, 6, 7], [2, 2, 3, 4]
CASES = [
    ("group_norm", group_norm(2, 1e-5), [2, 6, 3, 2], [6], [6]),
    ("group_norm_one", group_norm(1, 1e-3), [2, 4, 2, 3], [4], [4]),
    ("group_norm_each", group_norm(3, 1e-5), [3, 3, 4, 2], [3], [3]),
    ("layer_norm", layer_norm(1e-5), [3, 2, 7], [7], [7]),
    ("layer_norm_rows", layer_norm(1e-6), [5, 4], [4], [4]),
    ("gelu", F.gelu, [4, 50]),
    ("gelu_wide", lambda x: F.gelu(x * 8), [4, 50]),
    ("roll", lambda x: torch.roll(x, (-2, 1), (1, 2)), [2, 5, 3]),
    ("roi_one", one_level(2, True), FINE),
    ("roi_one_pixels", one_level(0, True), FINE),
    ("roi_one_old", one_level(2, False), FINE),
    ("roi_one_old_pixels", one_level(0, False), FINE),
    ("roi_torchvision", levels_by_torchvision(2), FINE, COARSE),
    ("roi_mmdetection", levels_by_mmdetection(0), FINE, COARSE),
]


def main():
    with open(OUT, "w", encoding="ascii") as out:
        for name, function, *shapes in CASES:
            inputs = [ramp(k, s).requires_grad_() for k, s in enumerate(shapes)]
            y = function(*inputs)
            grads = torch.autograd.grad((y * ramp(9, y.shape)).sum(), inputs)
            write(out, name, "y", y)
            for k, grad in enumerate(grads):
                write(out, name, f"d{k}", grad)
        write(out, "roi", "rois", ROIS)


if __name__ == "__main__":
    main()
