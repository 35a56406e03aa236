#!/usr/bin/env python3
"""models.py: what the networks compute, from their published definitions.

Usage: models.py --mdistiller DIR [--out tests/golden/models] [NAME...]
       models.py --mdistiller DIR --choose [NAME...]

--choose looks for images that keep gradients away from decisions by rounding
(near_ties.py) and prints what belongs into IMAGES below.

DIR is a checkout of mdistiller (https://github.com/megvii-research/mdistiller);
its folder mdistiller/models is imported, nothing else of it. PyTorch in double
precision, weights from weights_rule.py, 10 classes; the ImageNet networks see
images of 64 pixels and so pool over whatever is left. One JSON file a network:

  parameters, macs, convs   of the whole network at its usual classes and size
  images                    which set of images (see near_ties.py); 0 if absent
  logits                    evaluation, batch 2
  taps                      evaluation: name -> [shape of one image, sum,
                            sum of absolute values]
  loss                      cross-entropy in training mode, batch 4, label of
                            image n = 3 n mod 10
  grads                     parameter -> [2-norm, dot product with direction]
  running                   buffer -> sum after its layer's first call in that
                            step
  running_pre               the same after the step, where wrn.py calls a layer a
                            second time for its list of taps before ReLU
"""
import argparse
import contextlib
import importlib
import io
import json
import os
import sys
import types

import torch
from torch import nn

import near_ties
import weights_rule

CLASSES = 10
# Sets of images that --choose found, where the first one will not do. The deep
# networks have none, their limits are wide (tests/model/model_check.h); for
# vgg19 64 sets were not enough.
IMAGES = {"wrn_16_2": 3, "wrn_16_4": 5, "MobileNetV2": 12, "mobilenet_v1": 59,
          "resnet18": 1, "vgg11": 3, "vgg13": 5, "vgg16": 61}


def wrn(depth, width):
    return lambda c: cifar("wrn").WideResNet(depth, c, width)


def cifar(name):
    return importlib.import_module("mdistiller.models.cifar." + name)


def imagenet(name):
    return importlib.import_module("mdistiller.models.imagenet." + name)


def resnet(name):
    return lambda c: getattr(cifar("resnet"), name)(num_classes=c)


def wide(name):
    return lambda c: getattr(cifar("resnetv2"), name)(num_classes=c)


def vgg(name):
    return lambda c: getattr(cifar("vgg"), name)(num_classes=c)


def big(name):
    def make(classes):
        net = getattr(imagenet("resnet"), name)(num_classes=classes)
        net.avgpool = nn.AdaptiveAvgPool2d(1)
        net.relu.inplace = False  # or it changes the stem before it is kept
        return net
    return make


def mobilenet_v1(classes):
    net = imagenet("mobilenetv1").MobileNetV1()
    net.model[14] = nn.AdaptiveAvgPool2d(1)
    net.fc = nn.Linear(1024, classes)
    return net


def mobilenet_v2(classes):
    with contextlib.redirect_stdout(io.StringIO()):
        return cifar("mobilenetv2").mobile_half(classes)


SMALL = {name: resnet(name) for name in (
    "resnet8 resnet14 resnet20 resnet32 resnet44 resnet56 resnet110 resnet8x4 "
    "resnet32x4").split()}
SMALL.update({"cifar_resnet18": wide("ResNet18"),
              "cifar_resnet50": wide("ResNet50")})
SMALL.update({f"wrn_{d}_{w}": wrn(d, w) for d, w in (
    (16, 1), (16, 2), (16, 4), (28, 2), (28, 4), (40, 1), (40, 2), (40, 4))})
SMALL.update({f"vgg{n}": vgg(f"vgg{n}_bn") for n in (8, 11, 13, 16, 19)})
SMALL.update({
    "MobileNetV2": mobilenet_v2,
    "ShuffleV1": lambda c: cifar("ShuffleNetv1").ShuffleV1(num_classes=c),
    "ShuffleV2": lambda c: cifar("ShuffleNetv2").ShuffleV2(num_classes=c),
})
LARGE = {f"resnet{n}": big(f"resnet{n}") for n in (18, 34, 50, 101)}
LARGE["mobilenet_v1"] = mobilenet_v1


def count(make, classes, size):
    """Parameters, multiply-adds and convolutions at the usual size."""
    net = make(classes).eval()
    total = [0, 0]

    def conv_hook(layer, _, out):
        total[0] += out.numel() * layer.weight[0].numel()
        total[1] += 1

    def linear_hook(layer, _, out):
        total[0] += out.numel() * layer.in_features

    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(conv_hook)
        elif isinstance(layer, nn.Linear):
            layer.register_forward_hook(linear_hook)
    with torch.no_grad():
        net(torch.zeros(1, 3, size, size))
    return {"parameters": sum(p.numel() for p in net.parameters()),
            "macs": total[0], "convs": total[1]}


def fill(net):
    state = net.state_dict()
    for name, value in state.items():
        if value.is_floating_point():
            value.copy_(torch.from_numpy(
                weights_rule.parameter(name, tuple(value.shape))))


def taps_of(logits, feats):
    taps = {f"f{i}": v for i, v in enumerate(feats["feats"])}
    taps.update({f"pre{i}": v
                 for i, v in enumerate(feats.get("preact_feats", []))})
    taps["pooled"] = feats["pooled_feat"]
    taps["logits"] = logits
    return {name: [list(v.shape[1:]), float(v.sum()), float(v.abs().sum())]
            for name, v in taps.items()}


def inputs(batch, size, number):
    return torch.from_numpy(
        weights_rule.images((batch, 3, size, size), number))


def watch_buffers(net):
    """A dict that fills with the sums of running statistics."""
    sums = {}

    def hook_of(name):
        def hook(layer, _, __):
            for key in ("running_mean", "running_var"):
                sums.setdefault(f"{name}.{key}",
                                float(getattr(layer, key).sum()))
        return hook

    for name, layer in net.named_modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.register_forward_hook(hook_of(name))
    return sums


def filled(make):
    net = make(CLASSES).double()
    fill(net)
    return net


def golden(make, size, number=0):
    net = filled(make)
    net.eval()
    with torch.no_grad():
        logits, feats = net(inputs(2, size, number))
    result = {"size": size, "classes": CLASSES}
    if number > 0:
        result["images"] = number
    result["logits"] = logits.flatten().tolist()
    result["taps"] = taps_of(logits, feats)
    net.train()
    first_call = watch_buffers(net)
    labels = torch.tensor([3 * n % CLASSES for n in range(4)])
    loss = nn.functional.cross_entropy(net(inputs(4, size, number))[0], labels)
    loss.backward()
    result["loss"] = float(loss)
    result["grads"] = {}
    for name, p in net.named_parameters():
        away = torch.from_numpy(
            weights_rule.direction(name, tuple(p.shape)))
        result["grads"][name] = [float(p.grad.norm()),
                                 float((p.grad * away).sum())]
    result["running"] = first_call
    last = {name: float(b.sum()) for name, b in net.named_buffers()}
    result["running_pre"] = {name: last[name] for name in first_call
                             if last[name] != first_call[name]}
    return result


def text_of(result):
    """One line an entry, 12 digits: enough to compare, short to keep."""
    def number(value):
        if isinstance(value, list):
            return "[" + ", ".join(number(v) for v in value) + "]"
        return json.dumps(value) if isinstance(value, (int, str)) \
            else f"{value:.12g}"

    lines = []
    for key, value in result.items():
        if isinstance(value, dict):
            rows = [f"{json.dumps(k)}: {number(v)}" for k, v in value.items()]
            value = "{\n" + ",\n".join(rows) + "\n}"
        else:
            value = number(value)
        lines.append(f"{json.dumps(key)}: {value}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def import_models(checkout):
    """The package without its __init__, which wants the whole of mdistiller."""
    for name in ("mdistiller", "mdistiller.models", "mdistiller.models.cifar",
                 "mdistiller.models.imagenet"):
        module = types.ModuleType(name)
        module.__path__ = [os.path.join(checkout, *name.split("."))]
        sys.modules[name] = module


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mdistiller", required=True)
    parser.add_argument("--out", default="tests/golden/models")
    parser.add_argument("--choose", action="store_true")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    import_models(args.mdistiller)
    os.makedirs(args.out, exist_ok=True)
    torch.set_num_threads(2)
    for name in args.names or list(SMALL) + list(LARGE):
        make = SMALL.get(name) or LARGE[name]
        large = name in LARGE
        size = 64 if large else 32
        if args.choose:
            print(name, "set %d, margin %.2f" % near_ties.choose(
                lambda m=make: filled(m), (4, 3, size, size)), flush=True)
            continue
        result = {"model": name, "torch": torch.__version__}
        result.update(count(make, *((1000, 224) if large else (100, 32))))
        result.update(golden(make, size, IMAGES.get(name, 0)))
        with open(os.path.join(args.out, name + ".json"), "w",
                  encoding="utf-8") as file:
            file.write(text_of(result))
        print(name, result["parameters"], result["macs"], result["convs"],
              f"{result['loss']:.6f}", flush=True)


if __name__ == "__main__":
    main()
