"""weights_rule.py: weights, inputs and directions that need no file.

Element i of the array called `name` is a pure function of (name, i), the same
here and in tests/golden_weights.h: SplitMix64 of the name's FNV-1a hash plus
i + 1 steps, its upper 53 bits as a number u in [0, 1), then low + (high - low) u.
SplitMix64: Steele, Lea and Flood 2014, doi:10.1145/2660193.2660195.
"""
import numpy as np

STEP = np.uint64(0x9E3779B97F4A7C15)
MUL1 = np.uint64(0xBF58476D1CE4E5B9)
MUL2 = np.uint64(0x94D049BB133111EB)


def fnv1a(name):
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = ((value ^ byte) * 0x100000001B3) % (1 << 64)
    return np.uint64(value)


def uniform(name, shape, low, high):
    """Array of float64 in [low, high)."""
    count = int(np.prod(shape, dtype=np.int64))
    with np.errstate(over="ignore"):
        z = fnv1a(name) + np.arange(1, count + 1, dtype=np.uint64) * STEP
        z = (z ^ (z >> np.uint64(30))) * MUL1
        z = (z ^ (z >> np.uint64(27))) * MUL2
        z = z ^ (z >> np.uint64(31))
    u = (z >> np.uint64(11)).astype(np.float64) * 2.0 ** -53
    return (low + (high - low) * u).reshape(shape)


def parameter(name, shape):
    """Weights +-sqrt(3 / fan_in), so that sums keep their size; batch norm's
    gamma and variance in [0.5, 1.5), everything else in [-0.5, 0.5)."""
    if len(shape) > 1:
        bound = np.sqrt(3.0 / np.prod(shape[1:], dtype=np.float64))
        return uniform(name, shape, -bound, bound)
    if name.endswith("running_var") or name.endswith("weight"):
        return uniform(name, shape, 0.5, 1.5)
    return uniform(name, shape, -0.5, 0.5)


def images(shape, number=0):
    """Image set `number`."""
    name = f"images/{number}" if number > 0 else "images"
    return uniform(name, shape, -2.0, 2.0)


def direction(name, shape):
    return uniform("direction/" + name, shape, -1.0, 1.0)
