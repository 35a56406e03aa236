#!/usr/bin/python3
"""Writes the fixtures of tests/io/golden (under 64 kB in all) and the seeds
of the fuzz targets of io.

Needs Debian 12's python3-torch (1.13.1) and python3-numpy (1.24). Nothing is
random: every array is a ramp. Usage: tools/golden/io_fixtures.py
"""
import argparse
import collections
import json
import os
import pathlib
import pickle
import struct
import sys
import types
import zipfile
import numpy as np
import torch

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                   "../../tests/io/golden")


def path(name):
    return os.path.join(OUT, name)


def save_npy(name, array, version=(1, 0)):
    with open(path(name), "wb") as stream:
        np.lib.format.write_array(stream, array, version)


def npy():
    ramp = np.arange(24).reshape(2, 3, 4)
    for code in "f4 f8 f2 i1 i2 i4 i8".split():
        save_npy(code + ".npy", (ramp - 5).astype("<" + code))
    save_npy("u1.npy", ramp.astype("u1"))
    save_npy("b1.npy", ramp % 3 == 0)
    save_npy("f4_fortran.npy", np.asfortranarray((ramp - 5).astype("<f4")))
    save_npy("f8_big.npy", (ramp - 5).astype(">f8"))
    save_npy("i2_big_fortran.npy",
             np.asfortranarray((ramp - 5).astype(">i2")))
    save_npy("f4_v2.npy", (ramp - 5).astype("<f4"), (2, 0))
    save_npy("f4_v3.npy", (ramp - 5).astype("<f4"), (3, 0))
    save_npy("scalar.npy", np.array(2.5))
    save_npy("empty.npy", np.zeros((0, 3), "<f4"))


TYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16,
         torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64]


def ramp(dtype, *shape):
    return torch.arange(int(np.prod(shape))).reshape(shape).to(dtype)


def tensors():
    """Every type, and every way in which tensors share or skip elements."""
    out = collections.OrderedDict()
    for dtype in TYPES:
        out["type." + str(dtype).split(".")[1]] = ramp(dtype, 2, 3)
    out["type.bool"] = ramp(torch.int64, 2, 3) % 2 == 0
    out["scalar"] = torch.tensor(7)
    out["empty"] = torch.zeros(0, 4)
    base = ramp(torch.float32, 4, 6)
    out["base"] = base
    out["transposed"] = base.t()
    out["slice"] = base[1:3, 2:6:3]
    out["expanded"] = base[2:3].expand(3, 6)
    out["parameter"] = torch.nn.Parameter(base[3])
    return out


def checkpoint():
    """What training scripts save: the model under a name, data-parallel."""
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, bias=False),
                                torch.nn.BatchNorm2d(4))
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(ramp(torch.float32, *p.shape))
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    model(torch.ones(2, 3, 3, 3)).sum().backward()
    optimizer.step()
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(ramp(torch.float32, *p.shape))
    state = torch.nn.DataParallel(model).state_dict()
    for name in "running_mean", "running_var":
        state["module.1." + name].copy_(ramp(torch.float32, 4))
    return {"epoch": 240, "model": state, "best_acc": np.float64(72.5),
            "optimizer": optimizer.state_dict(),
            "opt": argparse.Namespace(lr=0.1, dataset="cifar100")}


class HistoryBuffer:
    """Stands for mmengine's: an object of a class that we do not know."""

    def __init__(self):
        self.history = np.arange(3.0)
        self.methods = {"mean": HistoryBuffer.mean}

    def mean(self):
        return self.history.mean()


def as_if_of(module, kind):
    """Makes pickle write `kind` as a class of that module."""
    parts = module.split(".")
    for i in range(len(parts)):
        name = ".".join(parts[:i + 1])
        sys.modules.setdefault(name, types.ModuleType(name))
    setattr(sys.modules[module], kind.__name__, kind)
    for member in (kind, *vars(kind).values()):
        if hasattr(member, "__module__"):
            member.__module__ = module


def training():
    """A checkpoint of torchvision's detection reference, with what mmengine's
    and others hold beside the weights."""
    as_if_of("mmengine.logging.history_buffer", HistoryBuffer)
    model = torch.nn.Linear(3, 2)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(ramp(torch.float32, *p.shape))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [16, 22])
    shared = {"loss": HistoryBuffer()}
    shared["again"] = [shared, shared["loss"]]
    counts = collections.defaultdict(list)
    counts["a"].append(torch.ones(2))
    return {"message_hub": shared, "counts": counts,
            "model": model.state_dict(), "optimizer": optimizer.state_dict(),
            "lr_scheduler": scheduler.state_dict(), "epoch": 25,
            "spectrum": torch.ones(2, dtype=torch.complex64),
            "args": argparse.Namespace(output_dir=pathlib.PosixPath("/tmp"))}


class Marked(torch.Tensor):
    pass


class Net(torch.nn.Linear):
    pass


def odd_state(tensor):
    """A state dict with one entry that only a function we do not know can
    make."""
    return {"epoch": 1, "model": collections.OrderedDict(
        [("0.bias", ramp(torch.float32, 2)), ("0.weight", tensor)])}


def of_mmdetection():
    """The parts of an mmdetection checkpoint that are looked at."""
    return {"meta": {"epoch": 12, "config": "model = dict(\n    backbone=dict("
                     "\n        type='ResNet', style='caffe'))\n"},
            "state_dict": collections.OrderedDict(
                [("backbone.conv1.weight", ramp(torch.float32, 2, 3))])}


def objects():
    torch.save(training(), path("training.pth"))
    torch.save(of_mmdetection(), path("mmdetection.pth"))
    as_if_of("mine", Net)
    as_if_of("mine", Marked)
    torch.save(Net(2, 2), path("module_legacy.pth"),
               _use_new_zipfile_serialization=False)
    torch.save({"epoch": collections.Counter(a=1), "model": Net(2, 2),
                "ema": {"weight": torch.ones(2)}}, path("model_in_dict.pth"))
    tensor = ramp(torch.float32, 2, 3)
    torch.save(odd_state(tensor.as_subclass(Marked)), path("subclass.pth"))
    torch.save(odd_state(tensor.to_sparse()), path("sparse.pth"))
    torch.save(odd_state(tensor.to(torch.complex64)), path("complex.pth"))
    torch.save(odd_state((torch.quantize_per_tensor(
        tensor, 0.5, 0, torch.qint8), None)), path("packed.pth"))


def torch_files():
    objects()
    torch.save(tensors(), path("types.pth"))
    torch.save(tensors(), path("types_legacy.pth"),
               _use_new_zipfile_serialization=False)
    torch.save(checkpoint(), path("checkpoint.pth"))
    torch.save(checkpoint(), path("checkpoint_legacy.pth"),
               _use_new_zipfile_serialization=False)
    torch.save(torch.nn.Linear(2, 2), path("module.pth"))
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)),
                   path("script.pth"))


def pickles():
    """The shape of CIFAR's Python files, in every protocol."""
    data = {b"data": np.arange(24, dtype=np.uint8).reshape(2, 12),
            b"fine_labels": [3, 99], b"filenames": [b"a.png", "\u00e9\u20ac"],
            "float": [1.5, -0.25, 1e300], "big": 2 ** 70, "neg": -3,
            "wide": [255, 65535, -2 ** 31, 2 ** 40], "none": None,
            "bools": (True, False), "scalars": [np.float32(0.5),
                                                np.int64(-5), np.bool_(True)],
            "order": np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3)),
            "words": np.array(["a", "b"]), "set": {1}}
    for protocol in range(6):
        with open(path("cifar_p%d.pkl" % protocol), "wb") as stream:
            pickle.dump(data, stream, protocol)


def safetensors(entries, metadata):
    """(name, dtype, shape, bytes of data) in order."""
    header, data = {"__metadata__": metadata}, b""
    for name, dtype, shape, size in entries:
        header[name] = {"dtype": dtype, "shape": shape,
                        "data_offsets": [len(data), len(data) + size]}
        data += bytes(range(size))
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def seeds():
    corpus = os.path.join(OUT, "../../fuzz/corpus")

    def seed(target, name, content):
        folder = os.path.join(corpus, target)
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, name), "wb") as stream:
            stream.write(content)

    def golden(name):
        with open(path(name), "rb") as stream:
            return stream.read()

    for name in ("b1", "f4_v2", "i2_big_fortran", "scalar", "empty"):
        seed("npy", name + ".npy", golden(name + ".npy"))
    seed("safetensors", "two", safetensors(
        [("a.weight", "F32", [2, 3], 24), ("b", "BOOL", [3], 3)],
        {"model": "x"}))
    seed("safetensors", "types", safetensors(
        [(t, t, [2], 2 * n) for t, n in (
            ("F64", 8), ("I64", 8), ("F16", 2), ("BF16", 2), ("I8", 1),
            ("U8", 1), ("I16", 2), ("I32", 4))] +
        [("scalar", "F32", [], 4), ("none", "F32", [0], 0)], {}))
    for name in ("checkpoint.pth", "checkpoint_legacy.pth",
                 "module_legacy.pth", "types_legacy.pth"):
        seed("pth", name, golden(name))
    for name in ("checkpoint", "training", "types"):
        with zipfile.ZipFile(path(name + ".pth")) as archive:
            content = archive.read(name + "/data.pkl")
        seed("pth", name + ".pkl", content)
        if name != "training":  # objects that unpickle refuses
            seed("unpickle", name + ".pkl", content)
    for protocol in 0, 2, 5:
        name = "cifar_p%d.pkl" % protocol
        seed("unpickle", name, golden(name))


if __name__ == "__main__":
    os.makedirs(OUT, exist_ok=True)
    npy()
    torch_files()
    pickles()
    seeds()
