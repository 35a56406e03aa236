#!/usr/bin/env python3
"""Writes tests/golden/models/swin_backbone.json: what mmdetection's Swin
backbone computes on the weights of weights_rule.py, small and at an odd image
size, without stochastic depth: its outputs, and the gradients of their sum
weighted by directions "out0", "out1", ..

Needs torch, mmengine, mmcv-lite and a checkout of mmdetection 3 (made with
torch 2.15, mmcv-lite 2.2 and 3.0.0rc6). Modules that the backbone does not use
are left out by stand-ins for the packages.
Usage: tools/golden/swin_backbone.py --mmdetection CHECKOUT
"""
import argparse
import importlib
import os
import sys
import types
from typing import Any

from mmengine.registry import MODELS

import backbone_golden


def import_backbone(checkout):
    def package(name, **values):
        module = types.ModuleType(name)
        module.__path__ = [os.path.join(checkout, *name.split("."))]
        vars(module).update(values)
        sys.modules[name] = module
        return module

    package("mmdet")
    package("mmdet.registry", MODELS=MODELS)
    package("mmdet.utils", OptConfigType=Any, OptMultiConfig=Any)
    package("mmdet.models")
    package("mmdet.models.backbones")
    layers = package("mmdet.models.layers")
    package("mmdet.models.layers.transformer")
    parts = importlib.import_module("mmdet.models.layers.transformer.utils")
    layers.PatchEmbed, layers.PatchMerging = (parts.PatchEmbed,
                                              parts.PatchMerging)
    return importlib.import_module("mmdet.models.backbones.swin")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mmdetection", required=True)
    swin = import_backbone(parser.parse_args().mmdetection)
    net = swin.SwinTransformer(embed_dims=8, depths=(2, 1, 3, 2),
                               num_heads=(1, 2, 4, 4), window_size=5,
                               out_indices=(1, 2, 3), drop_path_rate=0.0)
    backbone_golden.write(net, (2, 3, 61, 110), "swin_backbone.json")


if __name__ == "__main__":
    main()
