#!/usr/bin/env python3
"""Writes tests/golden/models/shufflenet_backbone.json: what FastestDet's
ShuffleNetV2 x0.5 computes on the weights of weights_rule.py in training mode:
its three outputs, and the gradients of their sum weighted by directions "out1",
"out2", "out3".

Needs torch and a checkout of dog-qiuqiu/FastestDet (made with torch 2.15 and
50473cd1).
Usage: tools/golden/shufflenet_backbone.py --fastestdet CHECKOUT
"""
import argparse
import os
import sys

import torch

import weights_rule
from models import fill, text_of

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                   "../../tests/golden/models/shufflenet_backbone.json")
SHAPE = (2, 3, 64, 96)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--fastestdet", required=True)
    sys.path.insert(0, parser.parse_args().fastestdet)
    from module.shufflenetv2 import ShuffleNetV2
    net = ShuffleNetV2([4, 8, 4], [-1, 24, 48, 96, 192], load_param=True)
    net = net.double()
    net.train()
    fill(net)
    outputs = net(torch.from_numpy(weights_rule.images(SHAPE)))
    loss = 0
    result = {"outputs": {}, "loss": 0, "grads": {}}
    for i, y in enumerate(outputs, 1):
        away = weights_rule.direction(f"out{i}", tuple(y.shape))
        loss = loss + (y * torch.from_numpy(away)).sum()
        result["outputs"][str(i)] = [list(y.shape), y.sum().item(),
                                     y.abs().sum().item()]
    loss.backward()
    result["loss"] = loss.item()
    for name, p in net.named_parameters():
        away = torch.from_numpy(weights_rule.direction(name, tuple(p.shape)))
        result["grads"][name] = [p.grad.norm().item(),
                                 (p.grad * away).sum().item()]
    with open(OUT, "w", encoding="utf-8") as file:
        file.write(text_of(result))


if __name__ == "__main__":
    main()
