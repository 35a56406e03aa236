#!/usr/bin/python3
"""methods.py: what the published implementations of the methods compute.

    tools/golden/methods.py --mdistiller DIR --dist DIR --cls-kd DIR \\
        --lskd DIR --pcd DIR > tests/golden/methods.json

Each DIR is a checkout of the method's public repository (megvii-research/
mdistiller, hunto/DIST_KD, yzd-v/cls_KD, sunshangquan/
logit-standardization-KD, lijiayan401/PCD). Their functions run unchanged in
float64 (torch 1.13) on small seeded inputs; values and gradients are written.
Cases without weights: the term alone, weight 1.
"""
import argparse
import importlib
import importlib.util
import json
import os
import sys
import types
import warnings

import torch

SEED = 20250530
TENSORS = {}
CASES = []


def package(name, folder):
    """A package over `folder` whose own __init__ is not run."""
    module = types.ModuleType(name)
    module.__path__ = [folder]
    sys.modules[name] = module
    return name


def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def numbers(tensor):
    return [float(v) for v in tensor.detach().reshape(-1)]


def gradient(value):
    """Zeros for a tap that the method does not read."""
    grad = value.grad
    return numbers(torch.zeros_like(value) if grad is None else grad)


def tensor(name, *shape, scale=1.0, relu=False):
    value = scale * torch.randn(*shape)
    if relu:
        value = value.relu()
    TENSORS[name] = value
    return value


def case(method, options, student, teacher, compute, labels=False, params=None):
    """student, teacher: {tap: tensor name}; compute(taps_s, taps_t)."""
    s = {k: TENSORS[v].clone().requires_grad_() for k, v in student.items()}
    t = {k: TENSORS[v] for k, v in teacher.items()}
    value = compute(s, t)
    value = value.sum()
    value.backward()
    row = {
        "method": method,
        "options": options,
        "student": student,
        "teacher": teacher,
        "labels": labels,
        "value": float(value),
        "grad": {k: gradient(v) for k, v in s.items()},
    }
    if params:
        row["params"] = {
            name: {"shape": list(p.shape), "data": numbers(p),
                   "grad": numbers(p.grad)}
            for name, p in params.items()
        }
    CASES.append(row)


def logit_cases(args, y):
    logits = ({"logits": "zs"}, {"logits": "zt"})
    md = package("md", os.path.join(args.mdistiller, "mdistiller/distillers"))
    ls = package("ls", os.path.join(args.lskd, "mdistiller/distillers"))
    kd = importlib.import_module(md + ".KD").kd_loss
    dkd = importlib.import_module(md + ".DKD").dkd_loss
    ls_kd = importlib.import_module(ls + ".KD").kd_loss
    ls_dkd = importlib.import_module(ls + ".DKD").dkd_loss

    for temp in (4.0, 1.0):
        case("kd", [f"temperature={temp}"], *logits,
             lambda s, t, T=temp: kd(s["logits"], t["logits"], T))
    case("kd", ["T=2", "standardize=true"], *logits,
         lambda s, t: ls_kd(s["logits"], t["logits"], 2.0, True))
    for beta, temp in ((8.0, 4.0), (0.5, 1.0)):
        case("dkd", [f"beta={beta}", f"DKD.T={temp}"], *logits,
             lambda s, t, b=beta, T=temp: dkd(
                 s["logits"], t["logits"], y, 1.0, b, T), labels=True)
    case("dkd", ["alpha=9", "beta=18", "temperature=2", "standardize=true"],
         *logits, lambda s, t: ls_dkd(
             s["logits"], t["logits"], y, 9.0, 18.0, 2.0, True), labels=True)
    dist_cases(args, logits)
    nkd_cases(args, logits, y)
    pcd_cases(args, logits)


def dist_cases(args, logits):
    path = os.path.join(args.dist, "segmentation/losses/dist_kd.py")
    dist = load("dist_kd", path).DIST
    for temp, beta, gamma in ((1.0, 1.0, 1.0), (4.0, 2.0, 0.5)):
        case("dist", [f"tau={temp}", f"beta={beta}", f"gamma={gamma}"],
             *logits, lambda s, t, T=temp, f=dist(beta, gamma): T * T * f(
                 s["logits"] / T, t["logits"] / T))


def nkd_cases(args, logits, y):
    registry = types.ModuleType("mmcls.registry")
    registry.MODELS = types.SimpleNamespace(
        register_module=lambda: lambda cls: cls)
    sys.modules["mmcls"] = types.ModuleType("mmcls")
    sys.modules["mmcls.registry"] = registry
    nkd = load("nkd", os.path.join(
        args.cls_kd, "mmcls/models/dis_losses/nkd.py")).NKDLoss
    for temp, gamma in ((1.0, 1.5), (3.0, 3.5)):
        case("nkd", [f"temperature={temp}", f"gamma={gamma}"], *logits,
             lambda s, t, f=nkd("nkd", True, temp, gamma): f(
                 s["logits"], t["logits"], y), labels=True)


def pcd_cases(args, logits):
    pc = package("pc", os.path.join(args.pcd, "mdistiller/distillers"))
    pcd = importlib.import_module(pc + ".PCD").PCD_loss
    for stages, temp, alpha, stand in (
            (3, 4.0, 1.0, False), (5, 1.0, 0.5, False), (2, 2.0, 1.0, True)):
        case("pcd", ["preset=release", f"PCD.STEPS={stages}", f"PCD.T={temp}",
                     f"PCD.ALPHA={alpha}", f"LOGIT_STAND={stand}"], *logits,
             lambda s, t, S=stages, T=temp, a=alpha, ls=stand: pcd(
                 s["logits"], t["logits"], T, a, ls, S).mean())


def feature_cases(args):
    common = importlib.import_module("md._common")
    at = importlib.import_module("md.AT").at_loss
    sp = importlib.import_module("md.SP").sp_loss
    rkd = importlib.import_module("md.RKD").rkd_loss

    for name, student, teacher in (
            ("half", "f_2x6", "f_3x3"), ("double", "f_3x3", "f_2x6"),
            ("equal", "g_3x3", "f_3x3"), ("valid", "h_2x4", "f_3x3")):
        reg = common.ConvReg(TENSORS[student].shape, TENSORS[teacher].shape)
        torch.nn.init.normal_(reg.bn.weight, 1.0, 0.2)
        torch.nn.init.normal_(reg.bn.bias, 0.0, 0.3)
        params = {"conv_reg." + k: p for k, p in reg.named_parameters()}
        case("fitnet", [], {"f2": student}, {"f2": teacher},
             lambda s, t, r=reg: torch.nn.functional.mse_loss(
                 r(s["f2"]), t["f2"]), params=params)
    for p in (2, 3):
        case("at", [f"p={p}"], {"f0": "g_3x3", "f1": "f_2x6", "f2": "g_3x3"},
             {"f0": "f_3x3", "f1": "f_3x3", "f2": "f_2x6"},
             lambda s, t, q=p: at([s["f1"], s["f2"]], [t["f1"], t["f2"]], q))
    case("sp", [], {"f0": "f_2x6", "f1": "g_3x3"},
         {"f0": "g_3x3", "f1": "f_2x6", "f2": "f_3x3"},
         lambda s, t: sp([s["f1"]], [t["f2"]]))
    for squared in (False, True):
        case("rkd", [f"RKD.PDIST.SQUARED={squared}"], {"pooled": "ps"},
             {"pooled": "pt"}, lambda s, t, q=squared: rkd(
                 s["pooled"], t["pooled"], q, 1e-12, 25, 50))


def rows(name, items, last=False):
    """One line for each item."""
    body = ",\n".join(items)
    return f'"{name}": [\n{body}\n]' + ("" if last else ",")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("mdistiller", "dist", "cls-kd", "lskd", "pcd"):
        parser.add_argument("--" + name, required=True)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(SEED)
    tensor("zs", 4, 10, scale=2.0)
    tensor("zt", 4, 10, scale=3.0)
    tensor("f_2x6", 3, 2, 6, 6)
    tensor("f_3x3", 3, 3, 3, 3, relu=True)
    tensor("g_3x3", 3, 2, 3, 3)
    tensor("h_2x4", 3, 2, 4, 4)
    tensor("ps", 4, 5, relu=True)
    tensor("pt", 4, 7, relu=True)
    labels = [3, 0, 9, 5]
    logit_cases(args, torch.tensor(labels))
    feature_cases(args)

    arrays = [json.dumps({"name": k, "shape": list(v.shape),
                          "data": numbers(v)}) for k, v in TENSORS.items()]
    print("{")
    print(f'"seed": {SEED}, "torch": "{torch.__version__}",')
    print(f'"tolerance": {{"f64": 1e-9, "f32": 1e-5}}, "labels": {labels},')
    print(rows("arrays", arrays))
    print(rows("cases", [json.dumps(c) for c in CASES], last=True))
    print("}")


if __name__ == "__main__":
    main()
