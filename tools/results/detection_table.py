#!/usr/bin/env python3
"""A table of detectors on a split: mean and deviation over seeds of AP, AP50
and AP75 of the last and the best epoch, and of AP of the last one a 95 %
interval over images (bootstrap, the seeds' detections together).

  detection_table.py --limbeck PROGRAM --data coco:DIR --split test \\
      [--draws 400] NAME=RUN[,RUN...] ...

RUN is a run directory: student.safetensors is the last epoch,
best.safetensors the best one. Scores are pycocotools' on the files that
`limbeck eval --save` writes. Needs numpy and pycocotools.
"""
import argparse
import contextlib
import io
import json
import os
import subprocess
import tempfile

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def quiet(function, *args):
    with contextlib.redirect_stdout(io.StringIO()):
        return function(*args)


def detect(args, weights, target):
    subprocess.run([args.limbeck, "eval", "--weights", weights, "--data",
                    args.data, "--split", args.split, "--save", target,
                    "--threads", "1", "--quiet"], check=True,
                   stdout=subprocess.DEVNULL)


def evaluate(truth, path):
    if not json.load(open(path, encoding="utf-8")):
        return None
    e = COCOeval(truth, quiet(truth.loadRes, path), "bbox")
    quiet(e.evaluate)
    return e


def scores(e, images=None):
    """AP, AP50, AP75 of these images (places in the list; with repeats)."""
    if e is None:
        return np.zeros(3)
    p = e.params
    if images is not None:
        n = len(p.imgIds)
        grid = np.empty(len(e.evalImgs), dtype=object)
        grid[:] = e.evalImgs
        grid = grid.reshape(len(p.catIds), len(p.areaRng), n)[:, :, images]
        kept, e.evalImgs = e.evalImgs, list(grid.reshape(-1))
    quiet(e.accumulate)
    if images is not None:
        e.evalImgs = kept
    precision = e.eval["precision"][:, :, :, 0, -1]

    def mean(v):
        v = v[v > -1]
        return v.mean() if v.size else 0.0
    return np.array([mean(precision), mean(precision[0]), mean(precision[5])])


def interval(evals, count):
    """Of the mean over seeds, the same images for each."""
    rng = np.random.default_rng(0)
    n = len(evals[0].params.imgIds)
    draws = []
    for _ in range(count):
        images = rng.integers(0, n, n)
        draws.append(np.mean([scores(e, images)[0] for e in evals]))
    return np.percentile(draws, [2.5, 97.5])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--limbeck", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--split", default="test")
    parser.add_argument("--draws", type=int, default=400)
    parser.add_argument("rows", nargs="+")
    args = parser.parse_args()
    root = args.data.split(":", 1)[1]
    truth = quiet(COCO, os.path.join(root, f"instances_{args.split}.json"))
    print("| | runs | last AP | AP50 | AP75 | best AP | AP50 | AP75 "
          "| 95 % of last AP |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---|")
    for row in args.rows:
        name, runs = row.split("=", 1)
        runs = runs.split(",")
        cells = []
        with tempfile.TemporaryDirectory() as folder:
            for file in ("student", "best"):
                evals = []
                for i, run in enumerate(runs):
                    out = os.path.join(folder, f"{file}{i}.json")
                    detect(args, os.path.join(run, file + ".safetensors"), out)
                    evals.append(evaluate(truth, out))
                all_scores = np.array([scores(e) for e in evals]) * 100
                for k in range(3):
                    cells.append(f"{all_scores[:, k].mean():.2f}" + (
                        f" ± {all_scores[:, k].std(ddof=1):.2f}"
                        if len(runs) > 1 and k == 0 else ""))
                if file == "student":
                    low, high = 100 * interval(evals, args.draws)
        print(f"| {name} | {len(runs)} | {' | '.join(cells)} "
              f"| {low:.1f} .. {high:.1f} |", flush=True)


if __name__ == "__main__":
    main()
