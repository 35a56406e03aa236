#!/usr/bin/env python3
"""Images per second of a detector's training step in torchvision, to be read
beside `limbeck bench step`.

  torch_detect_step.py [--detector retinanet|fasterrcnn] [--student resnet18]
        [--teacher resnet50] [--size 320] [--batch 2] [--precision f32|bf16]
        [--layout nchw|nhwc] [--compile] [--steps 10] [--threads 2]

The student's own losses on 8 boxes an image, plus, with a teacher, PKD on the
pyramid's levels P3 to P6 (the teacher's backbone and pyramid alone run, without
gradients); SGD with momentum. Backbones train whole, batch norms are frozen, as
torchvision has them by default. bf16 is autocast. Prints one line of JSON.
"""
import argparse
import json
import resource
import time

import torch
from torchvision.models.detection import FasterRCNN, RetinaNet
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.image_list import ImageList
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool, LastLevelP6P7


def backbone(name, detector):
    kind = {"weights": None} if "weights" in resnet_fpn_backbone.__code__.co_varnames \
        else {"pretrained": False}
    if detector == "retinanet":
        return resnet_fpn_backbone(backbone_name=name, trainable_layers=5,
                                   returned_layers=[2, 3, 4],
                                   extra_blocks=LastLevelP6P7(256, 256), **kind)
    return resnet_fpn_backbone(backbone_name=name, trainable_layers=5,
                               extra_blocks=LastLevelMaxPool(), **kind)


def standardise(x):
    x = x.float()
    mean = x.mean(dim=(0, 2, 3), keepdim=True)
    return (x - mean) / (x.std(dim=(0, 2, 3), keepdim=True) + 1e-6)


def made_up_boxes(batch, size, classes):
    torch.manual_seed(0)
    out = []
    for _ in range(batch):
        side = (0.1 + 0.5 * torch.rand(8, 2)) * size
        corner = torch.rand(8, 2) * (size - side)
        out.append({"boxes": torch.cat([corner, corner + side], 1),
                    "labels": torch.arange(8) % (classes - 1) + 1})
    return out


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--detector", default="retinanet")
    p.add_argument("--student", default="resnet18")
    p.add_argument("--teacher")
    p.add_argument("--size", type=int, default=320)
    p.add_argument("--batch", type=int, default=2)
    p.add_argument("--precision", default="f32")
    p.add_argument("--layout", default="nchw")
    p.add_argument("--compile", action="store_true")
    p.add_argument("--steps", type=int, default=10)
    p.add_argument("--threads", type=int, default=2)
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    form = torch.channels_last if a.layout == "nhwc" else torch.contiguous_format
    classes = 81
    make = RetinaNet if a.detector == "retinanet" else FasterRCNN
    net = make(backbone(a.student, a.detector), num_classes=classes).train()
    net = net.to(memory_format=form)
    teacher = None
    if a.teacher:
        teacher = backbone(a.teacher, a.detector).eval().to(memory_format=form)
    body = torch.compile(net.backbone) if a.compile else net.backbone
    teach = torch.compile(teacher) if a.compile and teacher else teacher
    sgd = torch.optim.SGD([q for q in net.parameters() if q.requires_grad],
                          lr=1e-6, momentum=0.9, weight_decay=1e-4)
    x = torch.randn(a.batch, 3, a.size, a.size).to(memory_format=form)
    targets = made_up_boxes(a.batch, a.size, classes)
    images = ImageList(x, [(a.size, a.size)] * a.batch)

    def losses(levels):
        features = list(levels.values())
        if a.detector == "retinanet":
            heads = net.head(features)
            heads = {k: v.float() for k, v in heads.items()}
            anchors = net.anchor_generator(images, features)
            return net.compute_loss(targets, heads, anchors)
        proposals, rpn = net.rpn(images, levels, targets)
        _, roi = net.roi_heads(levels, proposals, images.image_sizes, targets)
        return {**rpn, **roi}

    def step():
        sgd.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=a.precision == "bf16"):
            levels = body(x)
            loss = sum(losses(levels).values())
            if teach is not None:
                with torch.no_grad():
                    wanted = teach(x)
        if teach is not None:
            for s, t in list(zip(levels.values(), wanted.values()))[:4]:
                loss = loss + 10 * 0.5 * (standardise(s) - standardise(t)).square().mean()
        loss.backward()
        sgd.step()

    times = []
    for _ in range(a.steps + 1 + a.steps // 3):
        began = time.perf_counter()
        step()
        times.append(time.perf_counter() - began)
    times = sorted(times[-a.steps:])
    print(json.dumps({
        "torch": torch.__version__,
        "images_per_second": a.batch / times[len(times) // 2],
        "peak_memory_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }))


if __name__ == "__main__":
    main()
