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
import sys

import backbone_golden


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--fastestdet", required=True)
    sys.path.insert(0, parser.parse_args().fastestdet)
    from module.shufflenetv2 import ShuffleNetV2
    net = ShuffleNetV2([4, 8, 4], [-1, 24, 48, 96, 192], load_param=True)
    backbone_golden.write(net, (2, 3, 64, 96), "shufflenet_backbone.json")


if __name__ == "__main__":
    main()
