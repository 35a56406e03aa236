#!/usr/bin/env python3
"""detectors.py: what detectors compute: torchvision's, and mmdet_layout.py's.

Usage: detectors.py [--out tests/golden/models] [NAME...]

Weights and images from weights_rule.py, batch norms in evaluation (of
torchvision's RetinaNet and Faster R-CNN with eps 0, as for their published
weights), 7 classes, 2 images of 64 x 96 pixels whose pictures fill SIZES of
them. One JSON file a detector:

  outputs   name -> [shape, sum, sum of absolute values, 48 of its elements at
            even distances], of what the head gives in double precision
  losses    name -> value, for the boxes of `truth`
  grads     parameter -> [2-norm, dot product with direction] of the losses' sum
  post      detections of each image, [x0, y0, x1, y1, score, label], from head
            outputs made by the rule in single precision: `post_rule` says
            [name, shape, low, high] of each
"""
import argparse
import json
import os

import torch
import torchvision.models.detection as tv
from torch import nn
from torchvision.models.detection.faster_rcnn import (
    FastRCNNPredictor, TwoMLPHead)
from torchvision.models.detection.image_list import ImageList

import mmdet_layout
import weights_rule

CLASSES = 7
HIDDEN = 64  # width of the RoI head: 1024 would take a minute in the test
HEIGHT, WIDTH = 64, 96
SIZES = [(60, 96), (64, 83)]
TRUTH = [
    [[3.5, 5.25, 40.5, 44.75, 1], [50.0, 10.5, 90.25, 58.0, 4],
     [20.25, 30.5, 33.75, 41.25, 6]],
    [[8.25, 2.5, 70.5, 61.75, 3], [44.5, 33.25, 60.75, 52.5, 2]],
]


def rule_weights(model, eps=0.0):
    for name, value in model.state_dict().items():
        if value.dtype.is_floating_point:
            value.copy_(torch.from_numpy(
                weights_rule.parameter(name, tuple(value.shape))))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = eps
    return model.eval()


def images():
    return torch.from_numpy(weights_rule.images((2, 3, HEIGHT, WIDTH)))


def image_list(x):
    return ImageList(x, SIZES)


def targets(shift=0, dtype=torch.float64):
    return [{"boxes": torch.tensor([b[:4] for b in boxes], dtype=dtype),
             "labels": torch.tensor([b[4] + shift for b in boxes])}
            for boxes in TRUTH]


def summary(value):
    flat = value.detach().double().reshape(-1)
    at = [i * (len(flat) - 1) // 47 for i in range(48)]
    return [list(value.shape), float(flat.sum()), float(flat.abs().sum()),
            [float(v) for v in flat[at]]]


def wanted(name):
    """Heads, pyramid and a few layers of the backbone: files stay small."""
    if not name.startswith("backbone.") or ".fpn." in name:
        return True
    return any(part in name for part in
               ("layer2.0.", "layer4.1.", "layer3.5.bn3"))


def gradients(model, losses):
    model.zero_grad()
    sum(losses.values()).backward()
    grads = {}
    for name, p in model.named_parameters():
        if not wanted(name) or p.grad is None:
            continue
        direction = torch.from_numpy(
            weights_rule.direction(name, tuple(p.shape)))
        grads[name] = [float(p.grad.norm()), float((p.grad * direction).sum())]
    return grads


def rule_outputs(rule):
    return {name: torch.from_numpy(
        weights_rule.uniform("post/" + name, shape, low, high)).float()
        for name, shape, low, high in rule}


def detections(found):
    return [[[*map(float, box), float(score), int(label)]
             for box, score, label in zip(d["boxes"], d["scores"], d["labels"])]
            for d in found]


def dense(model, rule, loss_args):
    """A one-stage detector: heads, losses, and what is cut out of `rule`."""
    x = images()
    features = list(model.backbone(x).values())
    outputs = model.head(features)
    anchors = model.anchor_generator(image_list(x), features)
    places = [f.shape[2] * f.shape[3] for f in features]
    losses = model.compute_loss(
        targets(), outputs, anchors, *([places] if loss_args else []))
    golden = {
        "outputs": {k: summary(v) for k, v in outputs.items()},
        "losses": {k: float(v.detach()) for k, v in losses.items()},
        "grads": gradients(model, losses),
        "post_rule": rule,
    }
    made = rule_outputs(rule)
    each = len(anchors[0]) // sum(places)
    split = [p * each for p in places]
    model.float()
    anchors = model.anchor_generator(
        image_list(x.float()), [f.float() for f in features])
    golden["post"] = detections(model.postprocess_detections(
        {k: list(v.split(split, dim=1)) for k, v in made.items()},
        [list(a.split(split)) for a in anchors], SIZES))
    return golden


def retinanet():
    model = rule_weights(tv.retinanet_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=CLASSES,
        detections_per_img=100).double())
    rule = [("cls_logits", (2, 1161, CLASSES), -9.0, 1.5),
            ("bbox_regression", (2, 1161, 4), -0.6, 0.6)]
    return dense(model, rule, False)


def fcos():
    model = rule_weights(tv.fcos_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=CLASSES).double(), 1e-5)
    rule = [("cls_logits", (2, 129, CLASSES), -6.0, 3.0),
            ("bbox_regression", (2, 129, 4), 0.0, 3.0),
            ("bbox_ctrness", (2, 129, 1), -2.0, 3.0)]
    return dense(model, rule, True)


ROIS = [[0, 2.5, 3.0, 44.0, 50.5], [0, 50.0, 10.0, 61.5, 19.0],
        [0, 0.0, 0.0, 96.0, 60.0], [1, 10.25, 5.5, 70.5, 60.0],
        [1, 44.0, 33.0, 60.0, 52.0], [1, 80.0, 1.0, 83.0, 63.5]]


def background_last(logits, offsets):
    return (torch.cat([logits[:, 1:], logits[:, :1]], 1), offsets[:, 4:])


def region_head(model, features, rois):
    boxes = [torch.tensor([r[1:] for r in rois if r[0] == n],
                          dtype=torch.float64) for n in range(2)]
    pooled = model.roi_heads.box_roi_pool(features, boxes, SIZES)
    return model.roi_heads.box_predictor(model.roi_heads.box_head(pooled))


def rule_regions(count):
    """Regions of each image, their logits and offsets, in single precision."""
    made = rule_outputs([("corner", (count, 2), 0.0, 55.0),
                         ("side", (count, 2), 3.0, 40.0)])
    rule = [("logits", (count, CLASSES + 1), -2.0, 3.0),
            ("offsets", (count, 4 * CLASSES), -1.5, 1.5)]
    boxes = torch.cat([made["corner"], made["corner"] + made["side"]], 1)
    return boxes, rule, rule_outputs(rule)


def faster_rcnn():
    """Samplers so large that nothing is left out: no draw, no chance."""
    model = tv.fasterrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=CLASSES + 1,
        rpn_batch_size_per_image=8192, box_batch_size_per_image=4096,
        rpn_pre_nms_top_n_train=64, rpn_post_nms_top_n_train=64)
    model.roi_heads.box_head = TwoMLPHead(256 * 7 * 7, HIDDEN)
    model.roi_heads.box_predictor = FastRCNNPredictor(HIDDEN, CLASSES + 1)
    model = rule_weights(model.double())
    with torch.no_grad():  # no proposal is clamped
        for p in model.rpn.head.bbox_pred.parameters():
            p /= 4
    model.rpn.train()
    model.roi_heads.train()
    x = images()
    features = model.backbone(x)
    logits, offsets = background_last(*region_head(model, features, ROIS))
    proposals, losses = model.rpn(image_list(x), features, targets(1))
    _, more = model.roi_heads(features, proposals, SIZES, targets(1))
    losses = {**losses, "loss_classifier": more["loss_classifier"],
              "loss_box_reg": more["loss_box_reg"]}
    golden = {
        "rois": ROIS,
        "outputs": {"logits": summary(logits), "offsets": summary(offsets)},
        "losses": {k: float(v.detach()) for k, v in losses.items()},
        "grads": gradients(model, losses),
    }
    boxes, rule, made = rule_regions(80)
    first = torch.cat([made["logits"][:, -1:], made["logits"][:, :-1]], 1)
    offsets = torch.cat([torch.zeros(80, 4), made["offsets"]], 1)
    found = model.roi_heads.postprocess_detections(
        first, offsets, [boxes[:40], boxes[40:]], SIZES)
    golden["post_rule"] = rule
    golden["post"] = detections(
        [{"boxes": box, "scores": score, "labels": label - 1}
         for box, score, label in zip(*found)])
    return golden


def mmdet(name):
    def run():
        model, losses_of = mmdet_layout.make(name, CLASSES)
        model = rule_weights(model.double(), 1e-5)
        outputs, losses = losses_of(model, images(), targets(), CLASSES)
        return {"outputs": {k: summary(v) for k, v in outputs.items()},
                "losses": {k: float(v.detach()) for k, v in losses.items()},
                "grads": gradients(model, losses)}
    return run


ALL = {
    "retinanet_r18_fpn": mmdet("retinanet"),
    "fcos_r18_fpn": mmdet("fcos"),
    "gfl_r18_fpn": mmdet("gfl"),
    "retinanet_resnet50_fpn": retinanet,
    "fcos_resnet50_fpn": fcos,
    "fasterrcnn_resnet50_fpn": faster_rcnn,
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", default="tests/golden/models")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for name in args.names or ALL:
        golden = {"classes": CLASSES, "height": HEIGHT, "width": WIDTH,
                  "sizes": SIZES, "truth": TRUTH, **ALL[name]()}
        with open(os.path.join(args.out, name + ".json"), "w") as f:
            json.dump(golden, f, indent=0)
            f.write("\n")
        print(name, golden["losses"])


if __name__ == "__main__":
    main()
