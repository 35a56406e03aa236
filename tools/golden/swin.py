#!/usr/bin/env python3
"""Writes tests/golden/models/swin_t.json and swin_s.json: what torchvision's
Swin transformers compute on the weights of weights_rule.py, without stochastic
depth. Format and checks as models.py.

Needs torch and torchvision (made with 2.15 and 0.29). Multiply-adds are half
of what torch.utils.flop_counter counts: convolutions and products, those of
the attention too.
Usage: tools/golden/swin.py
"""
import os

import torch
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import SwinTransformer

from models import golden, text_of

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                   "../../tests/golden/models")
DEPTHS = {"swin_t": [2, 2, 6, 2], "swin_s": [2, 2, 18, 2]}


class Swin(SwinTransformer):
    """Also gives what models.py compares."""
    def __init__(self, depths, classes):
        super().__init__([4, 4], 96, depths, [3, 6, 12, 24], [7, 7],
                         stochastic_depth_prob=0.0, num_classes=classes)

    def forward(self, x):
        feats = []
        for i, layer in enumerate(self.features):
            x = layer(x)
            if i == 0 or i % 2 == 1:
                feats.append(x.permute(0, 3, 1, 2))
        pooled = self.flatten(self.avgpool(self.permute(self.norm(x))))
        return self.head(pooled), {"feats": feats, "pooled_feat": pooled}


def count(depths):
    net = Swin(depths, 1000).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as flops:
        net(torch.zeros(1, 3, 224, 224))
    return {"parameters": sum(p.numel() for p in net.parameters()),
            "macs": flops.get_total_flops() // 2, "convs": 1}


def main():
    for name, depths in DEPTHS.items():
        result = {"model": name, "torch": torch.__version__.split("+")[0]}
        result.update(count(depths))
        result.update(golden(lambda classes, d=depths: Swin(d, classes), 64))
        with open(os.path.join(OUT, name + ".json"), "w",
                  encoding="utf-8") as file:
            file.write(text_of(result))
        print(name, result["parameters"], result["macs"],
              f"{result['loss']:.6f}", flush=True)


if __name__ == "__main__":
    main()
