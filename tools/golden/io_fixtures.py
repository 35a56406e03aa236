#!/usr/bin/python3
"""Writes the fixtures of tests/io/golden (under 64 kB in all).

Needs Debian 12's python3-torch (1.13.1) and python3-numpy (1.24). Nothing is
random: every array is a ramp. Usage: tools/golden/io_fixtures.py
"""
import os
import numpy as np

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


if __name__ == "__main__":
    os.makedirs(OUT, exist_ok=True)
    npy()
