"""mmdet_layout.py: detectors in mmdetection's layout, in plain PyTorch.

Written from the papers and the names of mmdetection's parameters, with loops
where it takes short cuts, as a second opinion for the tests: RetinaNet
(arXiv:1708.02002), FCOS (arXiv:1904.01355), GFL (arXiv:2006.04388) on
ResNet-18, 64 channels in the pyramid, towers of two convolutions.
Each returns head outputs and losses for a batch; detectors.py writes them down.
"""
import torch
import torchvision
from torch import nn
from torch.nn import functional as F
from torchvision.ops import (box_iou, generalized_box_iou_loss,
                             sigmoid_focal_loss)

CHANNELS, CONVS, BINS = 64, 2, 17
STRIDES = [8, 16, 32, 64, 128]


def conv(inputs, outputs, kernel, stride=1, bias=True):
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=bias)


def wrapped(*args, norm=False):
    parts = {"conv": conv(*args, bias=not norm)}
    if norm:
        parts["gn"] = nn.GroupNorm(32, CHANNELS)
    return nn.ModuleDict(parts)


class Body(nn.Module):
    def __init__(self):
        super().__init__()
        body = torchvision.models.resnet18()
        for name in ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4"):
            setattr(self, name, getattr(body, name))

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        c2 = self.layer1(x)
        c3 = self.layer2(c2)
        c4 = self.layer3(c3)
        return [c3, c4, self.layer4(c4)]


class Neck(nn.Module):
    """extra: "c5" (on the input), "p5", or "relu" (p5, ReLU before p7)."""

    def __init__(self, extra):
        super().__init__()
        self.extra = extra
        self.lateral_convs = nn.ModuleList(
            wrapped(c, CHANNELS, 1) for c in (128, 256, 512))
        self.fpn_convs = nn.ModuleList(wrapped(c, CHANNELS, 3, s) for c, s in (
            (CHANNELS, 1), (CHANNELS, 1), (CHANNELS, 1),
            (512 if extra == "c5" else CHANNELS, 2), (CHANNELS, 2)))

    def forward(self, c):
        m = [layer["conv"](x) for layer, x in zip(self.lateral_convs, c)]
        for i in (1, 0):
            m[i] = m[i] + F.interpolate(m[i + 1], size=m[i].shape[2:])
        p = [self.fpn_convs[i]["conv"](m[i]) for i in range(3)]
        p6 = self.fpn_convs[3]["conv"](c[2] if self.extra == "c5" else p[2])
        p7 = F.relu(p6) if self.extra == "relu" else p6
        return p + [p6, self.fpn_convs[4]["conv"](p7)]


class Scale(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))


class Head(nn.Module):
    """predictors: name -> (tower, channels)."""

    def __init__(self, norm, predictors, scaled):
        super().__init__()
        for tower in ("cls_convs", "reg_convs"):
            setattr(self, tower, nn.ModuleList(
                wrapped(CHANNELS, CHANNELS, 3, norm=norm)
                for _ in range(CONVS)))
        for name, (_, outputs) in predictors.items():
            setattr(self, name, conv(CHANNELS, outputs, 3))
        self.predictors, self.scaled = predictors, scaled
        if scaled:
            self.scales = nn.ModuleList(Scale() for _ in STRIDES)

    def tower(self, name, x):
        for layer in getattr(self, name):
            x = layer["conv"](x)
            x = F.relu(layer["gn"](x) if "gn" in layer else x)
        return x

    def forward(self, p, widths):
        """name -> [N, A, width] over all levels."""
        flat = {name: [] for name in self.predictors}
        for i, x in enumerate(p):
            towers = {t: self.tower(t, x) for t in ("cls_convs", "reg_convs")}
            for name, (tower, _) in self.predictors.items():
                y = getattr(self, name)(towers[tower])
                if name == self.scaled:
                    y = y * self.scales[i].scale
                flat[name].append(y.permute(0, 2, 3, 1).reshape(
                    len(y), -1, widths[name]))
        return {name: torch.cat(maps, 1) for name, maps in flat.items()}


class Detector(nn.Module):
    def __init__(self, extra, norm, predictors, scaled=None):
        super().__init__()
        self.backbone, self.neck = Body(), Neck(extra)
        self.bbox_head = Head(norm, predictors, scaled)

    def forward(self, x, widths):
        p = self.neck(self.backbone(x))
        self.sides = [f.shape[2:] for f in p]
        return self.bbox_head(p, widths)


# --- places -----------------------------------------------------------------

def places(sides, offset):
    """Centres [A, 2] x y, strides [A] and the number of each level."""
    centres, strides = [], []
    for (rows, columns), stride in zip(sides, STRIDES):
        for y in range(rows):
            for x in range(columns):
                centres.append([(x + offset) * stride, (y + offset) * stride])
                strides.append(stride)
    return (torch.tensor(centres, dtype=torch.float64),
            torch.tensor(strides, dtype=torch.float64),
            [int(r * c) for r, c in sides])


def square(centres, half):
    return torch.cat([centres - half[:, None], centres + half[:, None]], 1)


def distances(centres, boxes):
    return torch.cat([centres - boxes[:, :2], boxes[:, 2:] - centres], 1)


def around(centres, d):
    return torch.cat([centres - d[:, :2], centres + d[:, 2:]], 1)


# --- assignment: index of a box for each place, -1 background, -2 ignored ----

def by_iou(anchors, boxes):
    iou = box_iou(boxes.float(), anchors.float())  # ties are those of f32
    best, match = iou.max(0)
    match = torch.where(best >= 0.5, match,
                        torch.where(best < 0.4, torch.tensor(-1),
                                    torch.tensor(-2)))
    for t in range(len(boxes)):
        match[iou[t] == iou[t].max()] = t
    return match


def by_points(centres, strides, boxes):
    match = torch.full((len(centres),), -1)
    for i, (c, stride) in enumerate(zip(centres, strides)):
        least = float("inf")
        low = -1 if stride == 8 else 4 * stride
        high = 1e8 if stride == 128 else 8 * stride
        for t, b in enumerate(boxes):
            d = distances(c[None], b[None])[0]
            area = (b[2] - b[0]) * (b[3] - b[1])
            if d.min() > 0 and low <= d.max() <= high and area < least:
                least, match[i] = area, t
    return match


def by_atss(anchors, counts, boxes):
    iou = box_iou(boxes, anchors)
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2
    match = torch.full((len(anchors),), -1)
    best = torch.full((len(anchors),), -1.0, dtype=torch.float64)
    for t, b in enumerate(boxes):
        middle = (b[:2] + b[2:]) / 2
        far = (centres - middle).pow(2).sum(1).sqrt()
        chosen, first = [], 0
        for n in counts:
            nearest = far[first:first + n].topk(min(9, n), largest=False)[1]
            chosen += (nearest + first).tolist()
            first += n
        least = iou[t, chosen].mean() + iou[t, chosen].std()
        for i in chosen:
            inside = distances(centres[i][None], b[None]).min() > 0.01
            if iou[t, i] >= least and inside and iou[t, i] > best[i]:
                best[i], match[i] = iou[t, i], t
    return match


def labels_of(match, target, classes):
    """One-hot [A, C], and which rows count."""
    hot = torch.zeros(len(match), classes, dtype=torch.float64)
    for i, t in enumerate(match):
        if t >= 0:
            hot[i, target["labels"][t]] = 1
    return hot, match != -2


# --- the detectors ----------------------------------------------------------

def retinanet(model, x, targets, classes):
    out = model(x, {"retina_cls": classes, "retina_reg": 4})
    base = [4 * 2 ** (k / 3) for k in range(3)]
    anchors = []
    for (rows, columns), stride in zip(model.sides, STRIDES):
        for y in range(rows):
            for x0 in range(columns):
                for ratio in (0.5, 1.0, 2.0):
                    for size in base:
                        w = stride * size / ratio ** 0.5 / 2
                        h = stride * size * ratio ** 0.5 / 2
                        anchors.append([x0 * stride - w, y * stride - h,
                                        x0 * stride + w, y * stride + h])
    anchors = torch.tensor(anchors, dtype=torch.float64)
    cls = box = 0
    positives = 0
    for n, target in enumerate(targets):
        match = by_iou(anchors, target["boxes"])
        hot, counts = labels_of(match, target, classes)
        cls = cls + sigmoid_focal_loss(
            out["retina_cls"][n][counts], hot[counts], reduction="sum")
        at = match >= 0
        positives += int(at.sum())
        b, a = target["boxes"][match[at]], anchors[at]
        size, sizes = b[:, 2:] - b[:, :2], a[:, 2:] - a[:, :2]
        delta = torch.cat([((b[:, :2] + b[:, 2:]) - (a[:, :2] + a[:, 2:]))
                           / 2 / sizes, (size / sizes).log()], 1)
        box = box + (out["retina_reg"][n][at] - delta).abs().sum()
    return out, {"cls": cls / positives, "box": box / positives}


def fcos(model, x, targets, classes):
    out = model(x, {"conv_cls": classes, "conv_reg": 4, "conv_centerness": 1})
    out["conv_reg"] = out["conv_reg"].exp()
    centres, strides, _ = places(model.sides, 0.5)
    cls = box = ctr = weights = 0
    positives = 0
    for n, target in enumerate(targets):
        match = by_points(centres, strides, target["boxes"])
        hot, _ = labels_of(match, target, classes)
        cls = cls + sigmoid_focal_loss(out["conv_cls"][n], hot, reduction="sum")
        at = match >= 0
        positives += int(at.sum())
        b = target["boxes"][match[at]]
        d = distances(centres[at], b)
        side = [d[:, [0, 2]], d[:, [1, 3]]]
        c = (side[0].min(1)[0] / side[0].max(1)[0] *
             side[1].min(1)[0] / side[1].max(1)[0]).sqrt()
        found = around(centres[at], out["conv_reg"][n][at])
        iou = torch.stack([box_iou(f[None], t[None])[0, 0]
                           for f, t in zip(found, b)])
        box = box - (iou.clamp(min=1e-6).log() * c).sum()
        weights = weights + c.sum()
        ctr = ctr + F.binary_cross_entropy_with_logits(
            out["conv_centerness"][n][at][:, 0], c, reduction="sum")
    return out, {"cls": cls / positives, "box": box / weights,
                 "ctr": ctr / positives}


def quality_focal(logits, hot, quality):
    target = hot * quality[:, None]
    return (F.binary_cross_entropy_with_logits(logits, target,
                                               reduction="none")
            * (logits.sigmoid() - target).abs() ** 2).sum()


def bin_loss(logits, d):
    """[P, 4, 17], distances in strides [P, 4] -> mean over sides [P]."""
    d = d.clamp(0, BINS - 1 - 0.1)
    low = d.floor()
    log_p = logits.log_softmax(2)
    near = [log_p.gather(2, (low + i).long()[..., None])[..., 0]
            for i in (0, 1)]
    return -((low + 1 - d) * near[0] + (d - low) * near[1]).sum(1) / 4


def gfl(model, x, targets, classes):
    out = model(x, {"gfl_cls": classes, "gfl_reg": 4 * BINS})
    centres, strides, counts = places(model.sides, 0)
    anchors = square(centres, 4 * strides)
    bins = out["gfl_reg"].reshape(len(x), -1, 4, BINS)
    mean = (bins.softmax(3) * torch.arange(BINS)).sum(3)
    pixels = mean * strides[:, None]
    cls = box = dfl = weights = 0
    positives = 0
    for n, target in enumerate(targets):
        match = by_atss(anchors, counts, target["boxes"])
        hot, _ = labels_of(match, target, classes)
        at = match >= 0
        positives += int(at.sum())
        b = target["boxes"][match[at]]
        found = around(centres[at], pixels[n][at])
        w = out["gfl_cls"][n].detach().sigmoid().max(1)[0][at]
        quality = torch.zeros(len(match), dtype=torch.float64)
        quality[at] = torch.stack(
            [box_iou(f[None], t[None])[0, 0]
             for f, t in zip(found.detach(), b)])
        cls = cls + quality_focal(out["gfl_cls"][n], hot, quality)
        box = box + (generalized_box_iou_loss(found, b, eps=0) * w).sum()
        dfl = dfl + (bin_loss(bins[n][at],
                              distances(centres[at], b)
                              / strides[at][:, None]) * w).sum()
        weights = weights + w.sum()
    out = {"gfl_cls": out["gfl_cls"], "pixels": pixels}
    weights = weights.clamp(min=1)
    return out, {"cls": cls / positives, "box": 2 * box / weights,
                 "dfl": 0.25 * dfl / weights}


def make(name, classes):
    """The model and the function that runs it."""
    if name == "retinanet":
        return Detector("c5", False, {
            "retina_cls": ("cls_convs", 9 * classes),
            "retina_reg": ("reg_convs", 36)}), retinanet
    if name == "fcos":
        return Detector("relu", True, {
            "conv_cls": ("cls_convs", classes), "conv_reg": ("reg_convs", 4),
            "conv_centerness": ("cls_convs", 1)}, "conv_reg"), fcos
    return Detector("p5", True, {
        "gfl_cls": ("cls_convs", classes),
        "gfl_reg": ("reg_convs", 4 * BINS)}, "gfl_reg"), gfl
