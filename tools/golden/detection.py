#!/usr/bin/env python3
"""detection.py: what the public detectors compute of boxes and losses.

    tools/golden/detection.py --mmdet DIR > tests/golden/detection.json

DIR holds the package mmdet (3.3.0; an unpacked wheel serves). Its assigners,
losses, coder and anchors, and torchvision's, run unchanged on small seeded
inputs: decisions (assignment, suppression) in float32, in which the detectors
make them, values and gradients of losses in float64. Coordinates of decisions
are multiples of 1/16, so that ties occur; those of ATSS, whose choice among
equal distances is not defined, are not.
"""
import argparse
import importlib
import json
import sys
import types

import torch
import torchvision
from torchvision.models.detection import _utils as tv_utils
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.retinanet import RetinaNet
from torchvision.models.detection.rpn import RegionProposalNetwork
from torchvision.ops import batched_nms, box_iou, sigmoid_focal_loss

OUT = {}
INF = 1e8


class Registry:
    """Decorates with nothing; builds the one calculator that is asked for."""

    def register_module(self, *args, **kwargs):
        return lambda thing: thing

    def build(self, config):
        overlaps = importlib.import_module("mmdet.structures.bbox.bbox_overlaps")
        return lambda a, b, mode="iou": overlaps.bbox_overlaps(a, b, mode)


class Holder(types.SimpleNamespace):
    def __contains__(self, name):
        return hasattr(self, name)

    def __len__(self):
        return len(self.bboxes)


def stub(name, **members):
    module = types.ModuleType(name)
    module.__dict__.update(members)
    sys.modules[name] = module
    return module


def prepare(folder):
    """Packages whose own __init__ would load far more are left empty."""
    for name in ["mmdet", "mmdet.models", "mmdet.models.losses",
                 "mmdet.models.task_modules", "mmdet.models.dense_heads",
                 "mmdet.models.task_modules.assigners",
                 "mmdet.models.task_modules.prior_generators",
                 "mmdet.models.task_modules.coders",
                 "mmdet.structures", "mmdet.structures.bbox"]:
        stub(name).__path__ = [folder + "/" + name.replace(".", "/")]
    registry = Registry()
    stub("mmdet.registry", TASK_UTILS=registry, MODELS=registry)
    stub("mmdet.utils", ConfigType=dict, InstanceList=list, MultiConfig=dict,
         OptInstanceList=list, RangeType=tuple, reduce_mean=None,
         util_mixins=types.SimpleNamespace(NiceRepr=object))
    stub("mmengine"), stub("mmcv")
    stub("mmengine.structures", InstanceData=Holder)
    stub("mmengine.utils", is_tuple_of=None)
    stub("mmcv.cnn", Scale=None)
    stub("mmdet.models.layers", NormedConv2d=None)
    stub("mmdet.models.utils", multi_apply=None)
    stub("mmdet.models.dense_heads.anchor_free_head", AnchorFreeHead=object)
    boxes = sys.modules["mmdet.structures.bbox"]
    boxes.BaseBoxes = boxes.HorizontalBoxes = type("Boxes", (), {})
    boxes.get_box_tensor = lambda b: b


def load(name):
    return importlib.import_module("mmdet." + name)


def numbers(values):
    """The shortest decimals that give the same float32 or float64."""
    if isinstance(values, torch.Tensor):
        values = values.detach().reshape(-1).numpy()
    return [int(v) if float(v).is_integer() else float(str(v)) for v in values]


def record(name, **arrays):
    OUT[name] = {key: numbers(value) for key, value in arrays.items()}


def boxes(n, extent, step=16.0, least=1.0):
    """n boxes on a grid of 1 / step (0: anywhere) within `extent`."""
    size = least + torch.rand(n, 2) ** 2 * extent * 0.7
    low = torch.rand(n, 2) * (extent - size).clamp(min=0)
    corners = torch.cat([low, low + size], 1)
    return (corners * step).round() / step if step else corners


def overlaps():
    fn = load("structures.bbox.bbox_overlaps").bbox_overlaps
    a, b = boxes(12, 30), boxes(12, 30)
    b[0], b[1, :2] = a[0], a[1, :2]
    record("iou", a=a, b=b, iou=box_iou(a, b).diagonal())
    for mode in ["iou", "giou"]:
        x, y = (t.double().requires_grad_() for t in (a, b))
        value = fn(x, y, mode=mode, is_aligned=True)
        weight = torch.linspace(0.5, 2, 12, dtype=torch.float64)
        (value * weight).sum().backward()
        record(mode + "_loss", a=a, b=b, value=value, weight=weight,
               da=x.grad, db=y.grad)


def coder():
    weights = (10.0, 10.0, 5.0, 5.0)
    box_coder = tv_utils.BoxCoder(weights)
    anchor, box = boxes(8, 60).double(), boxes(8, 60).double()
    delta = box_coder.encode_single(box, anchor)
    far = 3 * torch.randn(8, 4, dtype=torch.float64)
    far[:, 2:].clamp_(min=-20)
    record("coder", anchor=anchor, box=box, delta=delta, far=far,
           decoded=box_coder.decode_single(far, anchor))
    module = load("models.task_modules.coders.delta_xywh_bbox_coder")
    std = [0.1, 0.1, 0.2, 0.2]
    x = (8 * torch.randn(8, 4, dtype=torch.float64)).requires_grad_()
    y = module.delta2bbox(anchor, x, stds=std)
    weight = torch.randn(8, 4, dtype=torch.float64)
    (y * weight).sum().backward()
    record("coder_mmdet", anchor=anchor, box=box,
           delta=module.bbox2delta(anchor, box, stds=std),
           far=x, decoded=y, weight=weight, grad=x.grad)


def generator(octave, per_octave, ratios, strides):
    module = load("models.task_modules.prior_generators.anchor_generator")
    return module.AnchorGenerator(
        strides, ratios, octave_base_scale=octave, scales_per_octave=per_octave)


def anchors():
    made = generator(4, 3, [0.5, 1.0, 2.0], [8, 16])
    record("anchors", anchors=torch.cat(made.grid_priors([(2, 3), (1, 2)],
                                                         device="cpu")))
    sizes = ((32, 40.0), (64, 80.0))
    tv = AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * 2)
    images = ImageList(torch.zeros(1, 3, 20, 30), [(20, 30)])
    levels = [torch.zeros(1, 1, 2, 3), torch.zeros(1, 1, 1, 2)]
    record("anchors_torchvision", anchors=tv(images, levels)[0])


def truth(n, extent, step):
    box = boxes(n, extent, step, 3.0)
    if step:
        box[1] = box[0]  # a crowd of equal boxes, and an aligned one
        box[2] = torch.tensor([8.0, 8.0, 40.0, 40.0])
    return box, torch.arange(n) % 3


def max_iou():
    priors = torch.cat(generator(4, 1, [0.5, 1.0, 2.0], [8, 16]).grid_priors(
        [(8, 8), (4, 4)], device="cpu"))
    module = load("models.task_modules.assigners.max_iou_assigner")
    box, label = truth(7, 64, 16.0)
    for name, options in {
            "retinanet": dict(pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0),
            "rpn": dict(pos_iou_thr=0.7, neg_iou_thr=0.3, min_pos_iou=0.3),
            "roi": dict(pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0.5,
                        match_low_quality=False)}.items():
        found = module.MaxIoUAssigner(**options).assign(
            Holder(priors=priors), Holder(bboxes=box, labels=label))
        record("max_iou_" + name, match=found.gt_inds)
    low = tv_utils.Matcher(0.5, 0.4, allow_low_quality_matches=True)
    record("matcher_low", match=low(box_iou(box, priors)))
    matcher = tv_utils.Matcher(0.5, 0.4)
    record("max_iou", anchors=priors, truth=box)
    record("matcher", match=matcher(box_iou(box, priors)))


def atss():
    priors = generator(8, 1, [1.0], [8, 16, 32]).grid_priors(
        [(8, 8), (4, 4), (2, 2)], device="cpu")
    module = load("models.task_modules.assigners.atss_assigner")
    box, label = truth(9, 64, 0)
    found = module.ATSSAssigner(9).assign(
        Holder(priors=torch.cat(priors)), [len(p) for p in priors],
        Holder(bboxes=box, labels=label))
    record("atss", truth=box, match=found.gt_inds)


def points():
    head = load("models.dense_heads.fcos_head").FCOSHead
    strides, sizes = [8, 16, 32], [(8, 8), (4, 4), (2, 2)]
    ranges = [(-1, 16), (16, 32), (32, INF)]
    place = [torch.stack([(torch.arange(w).repeat(h) + 0.5) * s,
                          (torch.arange(h).repeat_interleave(w) + 0.5) * s], 1)
             for (h, w), s in zip(sizes, strides)]
    box, _ = truth(9, 64, 16.0)
    for name, radius in {"": 0, "_centre": 1.5}.items():
        fake = types.SimpleNamespace(
            num_classes=100, center_sampling=radius > 0, strides=strides,
            center_sample_radius=radius, norm_on_bbox=False)
        label, _ = head._get_targets_single(
            fake, Holder(bboxes=box, labels=torch.arange(9)),
            torch.cat(place),
            torch.cat([torch.tensor(r).expand(len(p), 2).float()
                       for r, p in zip(ranges, place)]),
            [len(p) for p in place])
        record("points" + name, truth=box, label=label)


def suppression():
    box = boxes(60, 40, 2.0, 8.0)
    score = (torch.rand(60) * 10).round() / 16
    label = torch.randint(0, 3, (60,))
    record("nms", box=box, score=score, label=label,
           kept=batched_nms(box, score, label, 0.4))


def postprocess():
    """RetinaNet's, of two levels; no box is clipped to nothing: torchvision
    keeps those, mmdetection and we do not."""
    made = generator(4, 1, [0.5, 1.0, 2.0], [8, 16])
    priors = made.grid_priors([(4, 4), (2, 2)], device="cpu")
    logits = [2 * torch.randn(1, len(p), 3) - 1 for p in priors]
    deltas = [0.1 * torch.randn(1, len(p), 4) for p in priors]
    fake = types.SimpleNamespace(
        score_thresh=0.05, topk_candidates=40, nms_thresh=0.5,
        detections_per_img=20, box_coder=tv_utils.BoxCoder((1.0,) * 4))
    found = RetinaNet.postprocess_detections(
        fake, {"cls_logits": logits, "bbox_regression": deltas}, [priors],
        [(30, 32)])[0]
    record("postprocess", anchors=torch.cat(priors),
           logits=torch.cat(logits, 1), deltas=torch.cat(deltas, 1),
           boxes=found["boxes"], scores=found["scores"],
           labels=found["labels"])


def proposals():
    made = generator(4, 1, [0.5, 1.0, 2.0], [8, 16])
    priors = made.grid_priors([(4, 4), (2, 2)], device="cpu")
    sizes = [len(p) for p in priors]
    logits = torch.randn(2, sum(sizes))
    deltas = 0.3 * torch.randn(2, sum(sizes), 4)
    box_coder = tv_utils.BoxCoder((1.0,) * 4)
    decoded = torch.stack([box_coder.decode_single(d, torch.cat(priors))
                           for d in deltas])
    fake = types.SimpleNamespace(
        min_size=2.0, score_thresh=0.0, nms_thresh=0.6,
        post_nms_top_n=lambda: 15, pre_nms_top_n=lambda: 20)
    fake._get_top_n_idx = types.MethodType(
        RegionProposalNetwork._get_top_n_idx, fake)
    found, scores = RegionProposalNetwork.filter_proposals(
        fake, decoded, logits, [(30, 32), (24, 20)], sizes)
    record("proposals", logits=logits, deltas=deltas,
           count=[len(f) for f in found], boxes=torch.cat(found),
           scores=torch.cat(scores))


def losses():
    torch.manual_seed(5)
    label = torch.tensor([0, 4, 2, 4, 4, 1, 3, 4])  # 4: background
    hot = torch.nn.functional.one_hot(label, 5)[:, :4].double()
    weight = torch.tensor([1.0, 0.5, 0.0, 2.0, 1.0, 0.25, 1.0, 3.0])
    quality = torch.rand(8, dtype=torch.float64)
    gfl = load("models.losses.gfocal_loss")

    def case(name, x, fn, **given):
        x = x.double().requires_grad_()
        value = fn(x)
        value.sum().backward()
        record(name, x=x, value=value, grad=x.grad, **given)

    x = 2 * torch.randn(8, 4)
    case("focal", x, lambda v: sigmoid_focal_loss(
        v, hot, 0.25, 2.0, "sum"), label=label)
    case("focal_other", x, lambda v: sigmoid_focal_loss(
        v, hot, 0.6, 1.5, "sum"), label=label)
    for name, beta in {"quality": 2.0, "quality_other": 1.5}.items():
        case(name, x, lambda v: gfl.quality_focal_loss(
            v, (label, quality), beta=beta, reduction="sum"),
            label=label, quality=quality)
    target = torch.tensor([0.0, 1.25, 7.5, 14.99, 3.0, 9.9, 15.5, 0.01],
                          dtype=torch.float64)
    case("distribution", torch.randn(8, 17), lambda v:
         gfl.distribution_focal_loss(v, target, weight.double(),
                                     reduction="sum"),
         target=target, weight=weight)
    for name, beta in {"smooth_l1": 1 / 9, "l1": 0.0}.items():
        case(name, torch.randn(20) / 4, lambda v:
             torch.nn.functional.smooth_l1_loss(
                 v, torch.zeros_like(v), reduction="none", beta=beta))
    case("cross_entropy", x, lambda v: torch.nn.functional.cross_entropy(
        v, torch.where(label == 4, -100, label), reduction="none"),
        label=torch.where(label == 4, -1, label))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mmdet", required=True)
    prepare(parser.parse_args().mmdet)
    torch.manual_seed(20250530)
    for part in [overlaps, coder, anchors, max_iou, atss, points, suppression,
                 postprocess, proposals, losses]:
        part()
    OUT["made_with"] = {"torch": torch.__version__,
                        "torchvision": torchvision.__version__}
    rows = (f"{json.dumps(name)}: {json.dumps(case)}"
            for name, case in OUT.items())
    print("{\n" + ",\n".join(rows) + "\n}")


main()
