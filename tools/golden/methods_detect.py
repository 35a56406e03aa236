#!/usr/bin/python3
"""methods_detect.py: what published detection distillers compute.

    tools/golden/methods_detect.py --mgd DIR --fgd DIR --mmrazor DIR \\
        > tests/golden/methods_detect.json

Each DIR is a checkout of the method's public repository (yzd-v/MGD,
yzd-v/FGD, open-mmlab/mmrazor). Their classes run unchanged in float64 (torch
1.13) on small seeded inputs; values and gradients are written as by
methods.py. What the classes import of mmcv and the like is replaced by
stand-ins that do nothing or the obvious. MGD's random mask comes from the
generator of src/base/rng.c, so that both sides hide the same places.
"""
import argparse
import importlib
import json
import os
import sys
import types
import warnings

import torch

from methods import CASES, SEED, TENSORS, case, load, numbers, package
from methods import rows, tensor

RECORDS = {}
WORD = (1 << 64) - 1
STREAM_MASK = 9
BOXES = {
    "size": [32, 48],
    "most": 4,
    # Overlapping, tiny, touching the border, on cell borders; then padding.
    "data": [3.5, 2.25, 30.0, 19.5, 20.0, 8.0, 48.0, 32.0,
             17.0, 5.0, 18.5, 6.5, 0.0, 0.0, 0.0, 0.0,
             0.0, 0.0, 48.0, 32.0, 8.0, 16.0, 24.0, 24.0,
             0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
}


# --- random numbers of src/base/rng.c --------------------------------------

def mix(x):
    x = (x + 0x9E3779B97F4A7C15) & WORD
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & WORD
    return x ^ (x >> 31)


def philox(counter, key):
    c, k = list(counter), list(key)
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & 0xFFFFFFFF,
             (p0 >> 32) ^ c[3] ^ k[1], p0 & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def uniforms(count, seed, stream, a, b):
    key = mix(mix(seed) ^ stream)
    high = mix(mix(key ^ a) ^ b)
    words = []
    for block in range((count + 1) // 2):
        words += philox([block, b & 0xFFFFFFFF, high & 0xFFFFFFFF, high >> 32],
                        [key & 0xFFFFFFFF, key >> 32])
    pairs = zip(words[0::2], words[1::2])
    return [((h >> 5) << 26 | (l >> 6)) * 2.0 ** -53 for h, l in pairs][:count]


class MaskDraws:
    """Stands in for torch.rand: one level after the other, of step 0."""

    def __init__(self):
        self.level = 0

    def __call__(self, shape):
        count = 1
        for n in shape:
            count *= n
        values = uniforms(count, 0, STREAM_MASK, 0, self.level)
        self.level += 1
        return torch.tensor(values, dtype=torch.float64).reshape(shape)


# --- stand-ins --------------------------------------------------------------

def module(name, **members):
    made = types.ModuleType(name)
    for key, value in members.items():
        setattr(made, key, value)
    sys.modules[name] = made
    return made


class Registry:
    def register_module(self, *_args, **_kwargs):
        return lambda cls: cls


def distillation_class(name, folder, file):
    """FeatureLoss of MGD's or FGD's tree: it imports `..builder`."""
    package(name, folder)
    package(name + ".losses", os.path.join(folder, "losses"))
    module(name + ".builder", DISTILL_LOSSES=Registry())
    module("mmcv")
    module("mmcv.cnn", constant_init=lambda *a, **k: None,
           kaiming_init=lambda *a, **k: None)
    path = os.path.join(folder, "losses", file)
    return load(f"{name}.losses.{file[:-3]}", path).FeatureLoss


def shuffle(net):
    """Weights that are all used: the release starts some at zero."""
    for p in net.parameters():
        torch.nn.init.normal_(p, 0.1, 0.4)
    return net


# --- cases -------------------------------------------------------------------

def pkd_cases(args):
    module("mmrazor")
    module("mmrazor.registry", MODELS=Registry())
    folder = os.path.join(args.mmrazor, "mmrazor/models/losses")
    pkd = load("pkd_loss", os.path.join(folder, "pkd_loss.py")).PKDLoss()
    both = ({"p3": "s3", "p4": "s4"}, {"p3": "t3", "p4": "t4"})
    case("pkd", [], *both, lambda s, t: pkd(
        (s["p3"], s["p4"]), (t["p3"], t["p4"])))
    case("pkd", [], {"p3": "s4"}, {"p3": "t3"},
         lambda s, t: pkd(s["p3"], t["p3"]))


def cwd_cases(args):
    folder = os.path.join(args.mmrazor, "mmrazor/models/losses")
    cwd = load("cwd", os.path.join(folder, "cwd.py")).ChannelWiseDivergence
    for tau in (1.0, 4.0):
        case("cwd", [f"tau={tau}"], {"p3": "s3", "p4": "s4"},
             {"p3": "t3", "p4": "t4"}, lambda s, t, f=cwd(tau): f(
                 s["p3"], t["p3"]) + f(s["p4"], t["p4"]))


def truth():
    """The boxes of each image, without padding."""
    all_boxes = torch.tensor(BOXES["data"]).reshape(-1, BOXES["most"], 4)
    return [rows[(rows[:, 2] > rows[:, 0]).nonzero().squeeze(1)]
            for rows in all_boxes]


def fgd_cases(args):
    cls = distillation_class(
        "fgd", os.path.join(args.fgd, "mmdet/distillation"), "fgd.py")
    metas = [{"img_shape": (*BOXES["size"], 3)}] * 2
    for weights, temp, student in (
            ((1e-3, 5e-4, 5e-4, 5e-6), 0.5, "s3"),
            ((0.3, 0.2, 0.1, 0.05), 0.8, "n3")):
        channels = TENSORS[student].shape[1]
        net = shuffle(cls(channels, 3, "x", temp, *weights))
        names = ("alpha_fgd", "beta_fgd", "gamma_fgd", "lambda_fgd", "temp")
        options = [f"{n}={v}" for n, v in zip(names, (*weights, temp))]
        case("fgd", options, {"p3": student}, {"p3": "t3"},
             lambda s, t, f=net: f(s["p3"], t["p3"], truth(), metas),
             params=named(net))
        CASES[-1]["boxes"] = BOXES
        for name, p in CASES[-1]["params"].items():
            if ".1." in name:
                p["shape"] = p["shape"][:1]


def mgd_cases(args):
    cls = distillation_class(
        "mgd", os.path.join(args.mgd, "det/mmdet/distillation"), "mgd.py")
    net = shuffle(cls(3, 3, "x", 2e-5, 0.65))
    wide = shuffle(cls(2, 3, "x", 5e-7, 0.45))
    torch.rand = MaskDraws()
    case("mgd", ["alpha=2e-5", "ratio=0.65"], {"p3": "s3"}, {"p3": "t3"},
         lambda s, t: net(s["p3"], t["p3"]), params=named(net))
    torch.rand = MaskDraws()
    case("mgd", ["alpha=5e-7", "ratio=0.45"], {"p3": "n3"}, {"p3": "t3"},
         lambda s, t: wide(s["p3"], t["p3"]), params=named(wide))


def reviewkd_cases(args):
    path = os.path.join(args.reviewkd, "Detection/model/kd_trans.py")
    code = load("kd_trans", path)
    net = code.ReviewKD([2, 3], [3, 2], 2)
    shuffle(net)
    params = {}
    for name, p in net.named_parameters():
        _, at, rest = name.split(".", 2)
        params[f"level{1 - int(at)}.{rest}"] = p
    case("reviewkd", ["mid=2"], {"p3": "a3", "p4": "a4"},
         {"p3": "b3", "p4": "b4"}, lambda s, t: code.hcl(
             net([s["p3"], s["p4"]]), [t["p3"], t["p4"]]), params=params)


def inside(height, width, stride):
    """Places whose centre is inside a box: [N, H W] of 0 and 1."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5)
    x, y = stride * x.reshape(-1, 1), stride * y.reshape(-1, 1)
    return torch.stack([
        ((x >= b[:, 0]) & (y >= b[:, 1]) & (x < b[:, 2]) & (y < b[:, 3])).any(1)
        for b in truth()]).to(torch.float64)


def ld_cases(args):
    module("mmcv", jit=lambda **_k: lambda f: f)
    folder = os.path.join(args.ld, "mmdet/models")
    package("ld", folder)
    package("ld.losses", os.path.join(folder, "losses"))
    module("ld.builder", LOSSES=Registry())
    code = importlib.import_module("ld.losses.kd_loss")

    def sides(x):
        return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1] // 4)

    def value(s, t, temp, main, valuable):
        """As loss_single: 4 and 16 divide the sums over a GPU's pictures."""
        kl = code.KnowledgeDistillationKLDivLoss(T=temp)
        total = 0
        for level in (3, 4):
            cls, box = s[f"cls.p{level}"], s[f"box.p{level}"]
            score = cls.detach().sigmoid().max(dim=1)[0].reshape(2, -1)
            regions = [(score * main(level, box), 4.0)]
            if valuable:
                regions.append((s[f"valuable.p{level}"].detach(), 16.0))
            for weight, divisor in regions:
                each = weight.reshape(-1, 1).expand(-1, 4).reshape(-1)
                total = total + kl(sides(box), sides(t[f"box.p{level}"]),
                                   weight=each, avg_factor=divisor)
        return total

    teacher = {f"box.p{k}": f"tbox{k}" for k in (3, 4)}
    student = {f"{n}.p{k}": f"{n}{k}" for n in ("box", "cls") for k in (3, 4)}
    case("ld", ["temperature=10", "region=boxes"], student, teacher,
         lambda s, t: value(s, t, 10, lambda k, box: inside(
             *box.shape[2:], 2 ** k), False))
    CASES[-1]["boxes"] = BOXES
    of_assigner = {f"{n}.p{k}": f"{n}{k}" for n in ("positive", "valuable")
                   for k in (3, 4)}
    for k, places in ((3, 24), (4, 6)):
        TENSORS[f"positive{k}"] = (torch.rand(2, places) < 0.3).double()
        TENSORS[f"valuable{k}"] = torch.rand(2, places).sub(0.6).clamp(min=0)
    case("ld", ["temperature=10"], {**student, **of_assigner}, teacher,
         lambda s, t: value(
             s, t, 10, lambda k, box: s[f"positive.p{k}"].detach(), True))
    for name in of_assigner:
        del CASES[-1]["grad"][name]
    CASES[-1]["boxes"] = BOXES


def ld_region(args):
    """The valuable region of anchors of 8 strides on three levels."""
    module("mmdet")
    for name in ("core", "core.bbox", "core.bbox.assigners",
                 "core.bbox.iou_calculators"):
        package("mmdet." + name, os.path.join(args.ld, "mmdet",
                                              name.replace(".", "/")))
    module("mmdet.core.bbox.builder", BBOX_ASSIGNERS=Registry())
    module("mmdet.core.bbox.assigners.assign_result", AssignResult=None)
    module("mmdet.core.bbox.assigners.base_assigner", BaseAssigner=object)
    module("mmdet.core.bbox.iou_calculators.builder",
           IOU_CALCULATORS=Registry())
    overlaps = importlib.import_module(
        "mmdet.core.bbox.iou_calculators.iou2d_calculator").bbox_overlaps
    sys.modules["mmdet.core.bbox.iou_calculators"].build_iou_calculator = (
        lambda config: lambda a, b, mode="iou": overlaps(a, b, mode))
    assigner = importlib.import_module(
        "mmdet.core.bbox.assigners.atss_assigner").ATSSAssigner(9)
    anchors = []
    for stride, side in ((8, 8), (16, 4), (32, 2)):
        y, x = torch.meshgrid(torch.arange(side), torch.arange(side))
        centre = stride * torch.stack([x, y, x, y], -1).reshape(-1, 4)
        anchors.append(centre + 4 * stride * torch.tensor([-1, -1, 1, 1]))
    size = 3 + torch.rand(9, 2) ** 2 * 45
    low = torch.rand(9, 2) * (64 - size)
    boxes = torch.cat([low, low + size], 1).float()
    region = assigner.get_vlr_region(
        torch.cat(anchors).float(), [len(a) for a in anchors], boxes)
    return {"truth": numbers(boxes), "region": numbers(region)}


def crosskd_detector(args):
    """The class of GFL detectors, and the module of its losses."""
    folder = os.path.join(args.crosskd, "mmdet/models")
    nothing = dict.fromkeys(
        ("SampleList", "InstanceList", "OptInstanceList", "reduce_mean",
         "multi_apply", "unpack_gt_instances"), object)
    for name in ("mmdet", "mmdet.structures", "mmdet.utils"):
        module(name, **nothing)
    module("mmdet.registry", MODELS=Registry())
    package("cross", folder)
    package("cross.losses", os.path.join(folder, "losses"))
    package("cross.detectors", os.path.join(folder, "detectors"))
    module("cross.utils", **nothing)
    module("cross.detectors.crosskd_single_stage",
           CrossKDSingleStageDetector=object)
    return (importlib.import_module("cross.detectors.crosskd_gfl")
            .CrossKDGFL, importlib.import_module("cross.losses.kd_loss"))


def crosskd_cases(args):
    """One level; the rest of the teacher's head is ReLU and a 1x1
    convolution. The class part is divided as the box part is."""
    detector, losses = crosskd_detector(args)
    for side in ("sc", "sb", "tc", "tb"):
        tensor(side, 2, 3, 3, 4, scale=1.5)
    tensor("wc", 2, 3, 1, 1)
    tensor("wb", 8, 3, 1, 1)
    conv = torch.nn.functional.conv2d
    self = types.SimpleNamespace(
        bbox_head=types.SimpleNamespace(cls_out_channels=2, reg_max=1),
        loss_cls_kd=losses.KDQualityFocalLoss(),
        loss_reg_kd=losses.KnowledgeDistillationKLDivLoss(
            class_reduction="sum", T=1, loss_weight=4.0))

    def value(s, t):
        outs = []
        for feat, weight in (("cls.feat.p3", "wc"), ("box.feat.p3", "wb")):
            crossed = detector.align_scale(None, s[feat], t[feat]).relu()
            outs.append((conv(t[feat].relu(), TENSORS[weight]),
                         conv(crossed, TENSORS[weight])))
        score = outs[0][0].sigmoid().max(dim=1)[0].sum()
        cls, box, weight = detector.pred_mimicking_loss_single(
            self, outs[0][0], outs[1][0], outs[0][1], outs[1][1],
            torch.ones(2 * 3 * 4), avg_factor=score.item())
        return cls + box / weight

    case("crosskd", ["box=bins"],
         {"cls.feat.p3": "sc", "box.feat.p3": "sb"},
         {"cls.feat.p3": "tc", "box.feat.p3": "tb"}, value)


def named(net):
    return {"level0." + k: p for k, p in net.named_parameters()}


def pyramid(args):
    for side in "st":
        tensor(side + "3", 2, 3, 4, 6)
        tensor(side + "4", 2, 3, 2, 3)
    tensor("n3", 2, 2, 4, 6)
    pkd_cases(args)
    mgd_cases(args)
    cwd_cases(args)
    fgd_cases(args)


def heads(args):
    tensor("a3", 2, 2, 6, 6)
    tensor("a4", 2, 3, 3, 3)
    tensor("b3", 2, 3, 6, 6)
    tensor("b4", 2, 2, 3, 3)
    for k, (h, w) in ((3, (4, 6)), (4, (2, 3))):
        tensor(f"box{k}", 2, 8, h, w, scale=2.0)
        tensor(f"tbox{k}", 2, 8, h, w, scale=2.0)
        tensor(f"cls{k}", 2, 2, h, w, scale=2.0)
    reviewkd_cases(args)
    ld_cases(args)
    RECORDS["valuable"] = ld_region(args)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("mgd", "fgd", "mmrazor", "reviewkd", "ld", "crosskd"):
        parser.add_argument("--" + name)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(SEED)
    if args.mgd and args.fgd and args.mmrazor:
        pyramid(args)
    elif args.reviewkd and args.ld:
        heads(args)
    elif args.crosskd:
        crosskd_cases(args)
    else:
        parser.error("the checkouts of one of the files are needed")

    arrays = [json.dumps({"name": k, "shape": list(v.shape),
                          "data": numbers(v)}) for k, v in TENSORS.items()]
    print("{")
    print(f'"seed": {SEED}, "torch": "{torch.__version__}",')
    print('"tolerance": {"f64": 1e-9, "f32": 1e-5}, "labels": [],')
    for name, record in RECORDS.items():
        print(f'"{name}": {json.dumps(record)},')
    print(rows("arrays", arrays))
    print(rows("cases", [json.dumps(c) for c in CASES], last=True))
    print("}")


if __name__ == "__main__":
    main()
