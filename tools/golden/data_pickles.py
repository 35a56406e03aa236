#!/usr/bin/env python3
"""Writes tests/data/golden/cifar_*.pickle: the Python form of CIFAR, small.

Three records each; record i has label 2 i + 1 and pixel byte j = 5 i + j mod
256. cifar_bytes has bytes keys and protocol 2 as Python 2 wrote the originals,
cifar_str text keys and the highest protocol. Rows are repeats, so that they
pack well, but pickles do not pack: 9 kB each.

Run with Debian 12's /usr/bin/python3 (numpy 1.24).
"""
import os
import pickle

import numpy as np

here = os.path.dirname(os.path.abspath(__file__))
folder = os.path.join(here, "..", "..", "tests", "data", "golden")
n = 3
data = (np.arange(3072)[None] + 5 * np.arange(n)[:, None]).astype(np.uint8)
labels = [2 * i + 1 for i in range(n)]
for name, key, protocol in [("cifar_bytes", str.encode, 2),
                            ("cifar_str", str, pickle.HIGHEST_PROTOCOL)]:
    content = {key("data"): data, key("fine_labels"): labels,
               key("labels"): labels, key("batch_label"): key("made up"),
               key("filenames"): [key("a.png")] * n}
    with open(os.path.join(folder, name + ".pickle"), "wb") as f:
        pickle.dump(content, f, protocol)
