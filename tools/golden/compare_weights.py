#!/usr/bin/python3
"""Compares files of weights bit for bit, as PyTorch sees them.

Usage: tools/golden/compare_weights.py A B [C...]
Each is .pth/.pt (read by torch.load) or .safetensors (read here); all must
hold the same names, types, shapes and bits. For checking what `limbeck
convert` writes. Needs python3-torch and python3-numpy.
"""
import json
import struct
import sys
import torch

TYPES = {"F32": torch.float32, "F64": torch.float64, "F16": torch.float16,
         "BF16": torch.bfloat16, "I8": torch.int8, "U8": torch.uint8,
         "I16": torch.int16, "I32": torch.int32, "I64": torch.int64,
         "BOOL": torch.bool}


def safetensors(path):
    with open(path, "rb") as stream:
        length, = struct.unpack("<Q", stream.read(8))
        header = json.loads(stream.read(length))
        data = bytearray(stream.read())
    out = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        dtype = TYPES[entry["dtype"]]
        flat = torch.frombuffer(data, dtype=dtype, offset=begin, count=(
            end - begin) // torch.empty(0, dtype=dtype).element_size()) \
            if end > begin else torch.empty(0, dtype=dtype)
        out[name] = flat.reshape(entry["shape"])
    return out


def load(path):
    if path.endswith(".safetensors"):
        return safetensors(path)
    return torch.load(path, map_location="cpu")


def bits(tensor):
    size = tensor.element_size()
    flat = tensor.detach().contiguous().reshape(-1)
    if tensor.dtype == torch.bool:
        return flat.to(torch.uint8)
    return flat.view({1: torch.uint8, 2: torch.int16, 4: torch.int32,
                      8: torch.int64}[size])


def main():
    first = load(sys.argv[1])
    for path in sys.argv[2:]:
        other = load(path)
        assert set(first) == set(other), set(first) ^ set(other)
        for name, a in first.items():
            b = other[name]
            assert a.dtype == b.dtype and a.shape == b.shape, name
            assert torch.equal(bits(a), bits(b)), name
        print("%s: %s, %d tensors, the same as %s" % (
            path, type(other).__name__, len(other), sys.argv[1]))


if __name__ == "__main__":
    main()
