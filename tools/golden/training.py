#!/usr/bin/env python3
"""training.py: what training computes, by PyTorch, from published definitions.

Usage: training.py --mdistiller DIR [--out tests/golden/training] [NAME...]

DIR is a checkout of mdistiller (https://github.com/megvii-research/mdistiller);
its networks are imported and its distillation loss, nothing else of it. Weights
and images come from weights_rule.py: the student's parameters by their names,
the teacher's by "teacher/" and their names, the images of batch k by
"images/k", rounded to single precision; 100 classes, label of image n of batch
k = (7 n + 31 k) mod 100. SGD as mdistiller: momentum 0.9, weight decay 5e-4 on
everything.
One JSON file each:

  exact_kd, exact_pcd_paper, exact_pcd_release: resnet56 -> resnet20 in double
  precision, batch 4, learning rate 0.05
    losses   of each step: [total, cross-entropy's part, the method's part]
    grads    of the first step: parameter -> [2-norm, dot product with its
             direction]
    weights  after the last step: parameter or buffer -> the same of its values
  steps_NAME: KD in single precision, the teacher a second network of the same
  kind, learning rate 0.01. At 0.05 rounding grows so fast that PyTorch with and
  without oneDNN differ by 6e-4 after seven steps of resnet20.
    first    number of the first batch: the first of which no ReLU and no max
             pool is so near to going the other way that rounding could flip it
             (a single one moves gradients by up to 1 %), or the best of 100
             (ShuffleV1 and V2: of 300)
    margin   how near the nearest is, in deviations of single precision from
             double in its channel
    count    images of the first batch that the three following are of: 4, or 2
             for ShuffleV1, V2; among the ReLUs of more one is always too near
    loss     of the first step
    grads    of the first step: as above
    running  buffer -> the same of its values after the first step
    losses   of ten steps, batch 16, with oneDNN (torch.backends.mkldnn) on
    spread   largest difference up to each step of runs with oneDNN on and off
             and, for light networks, each of them with the weights as they are
             and three times with their last bit shaken
  bf16: taps of the student's first batch of 8, with PyTorch's automatic bf16
  ("autocast"; batch norm and everything between layers in bf16, too) against
  single precision: mode -> tap -> 2-norm of the difference / 2-norm

Wide ResNets of mdistiller make their taps before ReLU with second calls of
three batch norms, which moves these running statistics twice a step. Nobody
reads those taps here, and `running` is as if they had not been made.
"""
import argparse
import json
import os
import sys
import types

import torch
from torch.nn import functional as F

import models
import weights_rule

CLASSES = 100
STEADY = ("resnet20", "resnet8x4", "wrn_16_2", "vgg8")
LIGHT = ("MobileNetV2", "ShuffleV1", "ShuffleV2")


def network(name, prefix, dtype):
    net = models.SMALL[name](CLASSES).to(dtype)
    for key, value in net.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            value.copy_(torch.from_numpy(weights_rule.parameter(
                prefix + key, tuple(value.shape))))
    return net


def batch_of(step, count, dtype):
    images = weights_rule.uniform(
        f"images/{step}", (count, 3, 32, 32), -2.0, 2.0)
    labels = [(7 * n + 31 * step) % CLASSES for n in range(count)]
    return torch.from_numpy(images).float().to(dtype), torch.tensor(labels)


def call_once(net):
    """Undoes what second calls of a batch norm do to its statistics. Returns
    the function that says that a new step begins."""
    seen = set()
    kept = {}

    def before(layer, _):
        if layer in seen:
            kept[layer] = {k: b.clone() for k, b in layer.named_buffers()}

    def after(layer, _, __):
        for key, value in kept.pop(layer, {}).items():
            getattr(layer, key).data.copy_(value)
        seen.add(layer)

    for layer in net.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.register_forward_pre_hook(before)
            layer.register_forward_hook(after)
    return seen.clear


# --- losses -------------------------------------------------------------------


def kd_parts(checkout):
    """mdistiller's distillation loss with its weights."""
    path = os.path.join(checkout, "mdistiller", "distillers", "KD.py")
    base = types.ModuleType("golden_distillers._base")
    base.Distiller = torch.nn.Module
    package = types.ModuleType("golden_distillers")
    package.__path__ = []
    sys.modules.update({"golden_distillers": package, base.__name__: base})
    module = types.ModuleType("golden_distillers.KD")
    module.__package__ = "golden_distillers"
    with open(path, encoding="utf-8") as file:
        exec(compile(file.read(), path, "exec"), module.__dict__)

    def parts(student, teacher, labels):
        return (0.1 * F.cross_entropy(student, labels),
                0.9 * module.kd_loss(student, teacher, 4.0))
    return parts


def groups_of(order, count):
    """`count` groups of equal size along an order; the last takes the rest."""
    size = len(order) // count
    return [order[j * size:(j + 1) * size if j + 1 < count else len(order)]
            for j in range(count)]


def pcd_paper(student, teacher, stages=3, heat=4.0):
    """arXiv:2505.24310, group by group and sample by sample: classes ranked by
    |t - s|; groups of the stages from fine to coarse and back; in a group p and
    q are softmaxes, and the term is (1 - cos(p, q)) T^2 KL(p || q)."""
    total = 0
    for s, t in zip(student, teacher):
        order = torch.argsort((t - s).detach().abs(), descending=True)
        counts = list(range(stages, 0, -1)) + list(range(1, stages + 1))
        for count in counts:
            for group in groups_of(order, count):
                p = torch.softmax(t[group] / heat, 0)
                q = torch.softmax(s[group] / heat, 0)
                cos = (p @ q) / (p @ p).sqrt() / (q @ q).sqrt()
                kl = (p * (p.log() - q.log())).sum()
                total = total + (1 - cos) * heat ** 2 * kl
    return total / len(student)


def pcd_release(student, teacher, stages=3, heat=4.0):
    """What the published program trains with: 2 stages times all classes in one
    group, weight 1 - cos(p, log q), and weight and divergence averaged over the
    batch each by itself."""
    weights, terms = [], []
    for s, t in zip(student, teacher):
        p = torch.softmax(t / heat, 0)
        log_q = torch.log_softmax(s / heat, 0)
        cos = (p @ log_q) / (p @ p).sqrt() / (log_q @ log_q).sqrt()
        weights.append(1 - cos)
        terms.append(heat ** 2 * (p * (p.log() - log_q)).sum())
    return 2 * stages * torch.stack(weights).mean() * torch.stack(terms).mean()


def pcd_parts(term):
    """Epoch 5 of a warm-up of 20."""
    return lambda student, teacher, labels: (
        F.cross_entropy(student, labels), 5 / 20 * term(student, teacher))


# --- training -----------------------------------------------------------------


def sums(values):
    """name -> [2-norm, dot product with the name's direction]"""
    def pair(name, value):
        value = value.detach().double()
        away = weights_rule.direction(name, tuple(value.shape))
        return [float(value.norm()),
                float((value * torch.from_numpy(away)).sum())]
    return {name: pair(name, value) for name, value in values.items()}


class Run:
    def __init__(self, student, teacher, parts, lr, dtype):
        self.student = network(student, "", dtype).train()
        self.teacher = network(teacher, "teacher/", dtype).eval()
        self.new_step = call_once(self.student)
        self.parts = parts
        self.dtype = dtype
        self.update = torch.optim.SGD(self.student.parameters(), lr=lr,
                                      momentum=0.9, weight_decay=5e-4)

    def step(self, number, count):
        images, labels = batch_of(number, count, self.dtype)
        self.new_step()
        with torch.no_grad():
            teacher = self.teacher(images)[0]
        parts = self.parts(self.student(images)[0], teacher, labels)
        self.update.zero_grad()
        sum(parts).backward()
        grads = {name: p.grad.clone()
                 for name, p in self.student.named_parameters()}
        self.update.step()
        return [float(sum(parts)), *map(float, parts)], grads

    def buffers(self):
        return {name: value for name, value in self.student.named_buffers()
                if not name.endswith("num_batches_tracked")}


def exact(parts, steps):
    run = Run("resnet20", "resnet56", parts, 0.05, torch.float64)
    results = [run.step(k, 4) for k in range(steps)]
    values = {**dict(run.student.named_parameters()), **run.buffers()}
    return {"student": "resnet20", "teacher": "resnet56", "batch": 4,
            "lr": 0.05,
            "losses": [losses for losses, _ in results],
            "grads": sums(results[0][1]), "weights": sums(values)}


def decisions(net, images):
    """The inputs of a network's ReLUs, and of its max pools the first minus the
    second of each window, with both signs: where one changes its sign,
    gradients jump."""
    relu, pool = F.relu, F.max_pool2d
    seen = []

    def watched_relu(x, *args, **kwargs):
        seen.append(x.double())
        return relu(x)

    def watched_pool(x, size, *args, **kwargs):
        windows = x.unfold(2, size, size).unfold(3, size, size).flatten(-2)
        best = windows.double().topk(2, -1)[0]
        gap = best[..., 0] - best[..., 1]
        seen.append(torch.cat((gap, -gap)))
        return pool(x, size, *args, **kwargs)

    F.relu, F.max_pool2d = watched_relu, watched_pool
    try:
        with torch.no_grad():
            net(images)
    finally:
        F.relu, F.max_pool2d = relu, pool
    return seen


def margin_of(exact, single):
    """Of decisions in double and single precision, channel by channel. Without
    exact zeros, which are zeros in any precision, and channels that are never
    negative: means of what a ReLU made."""
    margins = []
    for x, y in zip(exact, single):
        x, y = (v.transpose(0, 1).flatten(1) for v in (x, y))
        signed = (x < 0).any(1)
        x, y = x[signed], y[signed]
        error = (x - y).square().mean(1, keepdim=True).sqrt()
        far = (x.abs() / error)[x != 0]
        if len(far) > 0:
            margins.append(float(far.min()))
    return min(margins)


def choose_batch(name, count, candidates, wanted=4.0):
    """(margin, number)."""
    exact_net = network(name, "", torch.float64).train()
    net = network(name, "", torch.float32).train()
    best = (0.0, 0)
    for k in range(candidates):
        images, _ = batch_of(k, count, torch.float32)
        exact = decisions(exact_net, images.double())
        margin = margin_of(exact, decisions(net, images))
        with torch.backends.mkldnn.flags(enabled=False):
            other = decisions(net, images)
        flips = sum(int(((x > 0) != (y > 0)).sum())
                    for x, y in zip(exact, other))
        best = max(best, (margin if flips == 0 else 0.0, k))
        if best[0] >= wanted:
            break
    return best


def first_step(name, parts, first, dtype, onednn, count):
    with torch.backends.mkldnn.flags(enabled=onednn):
        run = Run(name, name, parts, 0.01, dtype)
        losses, grads = run.step(first, count)
    return losses[0], grads, run.buffers()


def shake(net, number):
    """Weights times 1 + up to 2^-23, for number > 0."""
    for name, p in net.named_parameters():
        part = weights_rule.uniform(f"shake/{number}/{name}", tuple(p.shape),
                                    -2.0 ** -23, 2.0 ** -23)
        p.data.mul_(torch.from_numpy(1 + (number > 0) * part))


def ten_steps(name, parts, first, onednn, number):
    with torch.backends.mkldnn.flags(enabled=onednn):
        run = Run(name, name, parts, 0.01, torch.float32)
        shake(run.student, number)
        return [run.step(first + k, 16)[0][0] for k in range(10)]


def spread_of(runs):
    apart = [max(step) - min(step) for step in zip(*runs)]
    return [max(apart[:k + 1]) for k in range(len(apart))]


def steps_and_spread(name, parts, first):
    shakes = 4 if name in LIGHT else 1
    runs = [ten_steps(name, parts, first, onednn, number)
            for onednn in (True, False) for number in range(shakes)]
    spread = spread_of(runs)
    print(name, "spread", *(f"{s / l:.1e}" for s, l in zip(spread, runs[0])))
    return {"losses": runs[0], "spread": spread}


def steps_of(name, parts):
    count, candidates = (2, 300) if name[:7] == "Shuffle" else (4, 100)
    margin, first = choose_batch(name, count, candidates)
    single, double = torch.float32, torch.float64
    loss, grads, running = first_step(name, parts, first, single, True, count)
    largest = max(float(g.norm()) for g in grads.values())
    for onednn, dtype in (False, single), (False, double):
        other = first_step(name, parts, first, dtype, onednn, count)[1]
        away = {k: float((v - other[k]).norm() / v.norm())
                for k, v in grads.items() if v.norm() > 1e-4 * largest}
        print(name, "gradients against", dtype, "without oneDNN:",
              *(f"{k} {away[k]:.2g}"
                for k in sorted(away, key=away.get)[-3:]), flush=True)
    return {"model": name, "first": first, "margin": margin, "count": count,
            "loss": loss, "batch": 16, "lr": 0.01,
            **steps_and_spread(name, parts, first),
            "grads": sums(grads), "running": sums(running)}


# --- bf16 ---------------------------------------------------------------------


def taps_of(name, training, half):
    net = network(name, "", torch.float32).train(training)
    images, _ = batch_of(0, 8, torch.float32)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=half):
        logits, feats = net(images)
    taps = {f"f{i}": v for i, v in enumerate(feats["feats"])}
    return {**taps, "pooled": feats["pooled_feat"], "logits": logits}


def half_errors():
    result = {}
    for name in ("resnet20", "vgg8", "ShuffleV2"):
        for mode in ("eval", "train"):
            full, half = (taps_of(name, mode == "train", h)
                          for h in (False, True))
            result[f"{name} {mode}"] = {
                k: float((half[k].float() - v).norm() / v.norm())
                for k, v in full.items()}
    return result


def number(value):
    if isinstance(value, list):
        return "[" + ", ".join(number(v) for v in value) + "]"
    return f"{value:.15g}" if isinstance(value, float) else json.dumps(value)


def text_of(result):
    """One line an entry, 15 digits."""
    lines = []
    for key, value in result.items():
        if isinstance(value, dict):
            rows = [f"{json.dumps(k)}: {number(v)}" for k, v in value.items()]
            text = "{\n" + ",\n".join(rows) + "\n}"
        else:
            text = number(value)
        lines.append(f"{json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mdistiller", required=True)
    parser.add_argument("--out", default="tests/golden/training")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    models.import_models(args.mdistiller)
    torch.set_num_threads(1)
    kd = kd_parts(args.mdistiller)
    jobs = {"exact_kd": lambda: exact(kd, 3),
            "exact_pcd_paper": lambda: exact(pcd_parts(pcd_paper), 1),
            "exact_pcd_release": lambda: exact(pcd_parts(pcd_release), 1)}
    jobs["bf16"] = half_errors
    for name in STEADY + LIGHT:
        jobs["steps_" + name] = lambda name=name: steps_of(name, kd)
    os.makedirs(args.out, exist_ok=True)
    for name in args.names or jobs:
        result = {"torch": torch.__version__, **jobs[name]()}
        with open(os.path.join(args.out, name + ".json"), "w",
                  encoding="utf-8") as file:
            file.write(text_of(result))
        print(name, "done", flush=True)


if __name__ == "__main__":
    main()
