#!/usr/bin/env python3
"""Writes tests/metric/golden/coco_*: scenes and what pycocotools says of them.

For each scene NAME_gt.json (instances), NAME_dt.json (results) and NAME.txt:
the twelve numbers, then for each category AP, AP50, AP75, APs, APm, APl and
AR100, then its precision and scores at IoU 0.5. Scenes are drawn at random
with all that makes evaluation hard: sparse ids out of order, images without
boxes, crowds, scores and overlaps that tie, areas on the borders of small and
large, empty boxes, more than 100 detections of a class in an image, classes
that nobody labelled or found, and an annotation with the id 0.

Run with pycocotools 2.0.x and numpy.
"""
import contextlib
import io
import json
import os
import random

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

here = os.path.dirname(os.path.abspath(__file__))
folder = os.path.join(here, "..", "..", "tests", "metric", "golden")


def side(r):
    """A length: small, medium or large, often on a border."""
    return r.choice([r.randint(1, 31), 32, r.randint(33, 95), 96,
                     r.randint(97, 200), r.random() * 150])


def draw_box(r):
    return [round(v, 2) for v in
            (r.random() * 300, r.random() * 300, side(r), side(r))]


def shift(r, box):
    """A box near another: the same, moved by a fraction, or resized."""
    x, y, w, h = box
    kind = r.randrange(5)
    if kind == 0:
        return list(box)
    if kind == 1:
        return [x + w / 3, y, w, h]  # IoU 0.5
    if kind == 2:
        return [x, y, w, h * r.choice([0.5, 0.75, 0.8, 0.95])]
    return [round(x + r.gauss(0, w / 8), 2), round(y + r.gauss(0, h / 8), 2),
            round(w * r.uniform(0.7, 1.4), 2), round(h * r.uniform(0.7, 1.4), 2)]


def instances(r, images, categories, per_image, first_id, unlabelled):
    ids = r.sample(range(1, 5000), images)
    annotations = []
    for image in ids[1:]:  # the first has no box
        for _ in range(r.randint(0, per_image)):
            box = draw_box(r)
            area = box[2] * box[3]
            annotations.append(dict(
                id=first_id + len(annotations), image_id=image,
                category_id=r.choice(categories[unlabelled:]), bbox=box,
                area=r.choice([area, round(area * 0.6, 3), 1024, 9216.0]),
                iscrowd=int(r.random() < 0.15)))
    for a in annotations:  # one category has crowds alone
        if a["category_id"] == categories[unlabelled]:
            a["iscrowd"] = 1
    r.shuffle(annotations)
    return dict(
        images=[dict(id=i, width=500, height=500, file_name=f"{i}.jpg")
                for i in ids],
        annotations=annotations,
        categories=[dict(id=c, name=f"class {c}") for c in categories])


def results(r, gt, categories, many, unfound):
    found = []

    def add(image, category, box):
        found.append(dict(image_id=image, category_id=category, bbox=box,
                          score=r.choice([round(r.random(), 1), r.random()])))

    for a in gt["annotations"]:
        if a["category_id"] == unfound:
            continue
        for _ in range(r.choice([0, 1, 1, 2])):
            add(a["image_id"], a["category_id"], shift(r, a["bbox"]))
    ids = [image["id"] for image in gt["images"]]
    for _ in range(len(found) // 2):
        category = r.choice([c for c in categories if c != unfound])
        add(r.choice(ids), category, draw_box(r))
    busy = max(gt["annotations"], key=lambda a: -a["iscrowd"])
    for _ in range(many):
        add(busy["image_id"], busy["category_id"], shift(r, busy["bbox"]))
    add(ids[0], categories[-1], [10, 10, 0, 0])
    add(ids[1], categories[-1], [10, 10, -5, 8])
    r.shuffle(found)
    return found


def evaluate(gt_file, dt_file):
    with contextlib.redirect_stdout(io.StringIO()):
        gt = COCO(gt_file)
        e = COCOeval(gt, gt.loadRes(dt_file), "bbox")
        e.evaluate()
        e.accumulate()
        e.summarize()
    return e


def mean(values):
    defined = values[values > -1]
    return float(np.mean(defined)) if defined.size else -1.0


def write_expected(path, e):
    names = "AP AP50 AP75 APs APm APl AR1 AR10 AR100 ARs ARm ARl".split()
    precision, recall = e.eval["precision"], e.eval["recall"]
    scores = e.eval["scores"]
    with open(path, "w", encoding="ascii") as f:
        for name, value in zip(names, e.stats):
            f.write(f"{name} {float(value)!r}\n")
        for k, category in enumerate(e.params.catIds):
            p = precision[:, :, k, :, 2]
            row = [mean(p[:, :, 0]), mean(p[0, :, 0]), mean(p[5, :, 0]),
                   mean(p[:, :, 1]), mean(p[:, :, 2]), mean(p[:, :, 3]),
                   mean(recall[:, k, 0, 2])]
            f.write(f"class {category} " + " ".join(map(repr, row)) + "\n")
            for curve in (precision[0, :, k, 0, 2], scores[0, :, k, 0, 2]):
                f.write(" ".join(f"{v:.12g}" for v in curve) + "\n")


def scene(name, seed, images, categories, per_image, many=0, first_id=1,
          unlabelled=1):
    r = random.Random(seed)
    gt = instances(r, images, categories, per_image, first_id, unlabelled)
    dt = results(r, gt, categories, many, categories[-2])
    path = os.path.join(folder, "coco_" + name)
    for end, value in (("_gt.json", gt), ("_dt.json", dt)):
        with open(path + end, "w", encoding="ascii") as f:
            json.dump(value, f)
            f.write("\n")
    e = evaluate(path + "_gt.json", path + "_dt.json")
    write_expected(path + ".txt", e)
    print(name, len(gt["annotations"]), len(dt), [f"{v:.3f}" for v in e.stats])


os.makedirs(folder, exist_ok=True)
scene("mixed", 1, 14, [90, 1, 18, 7, 5], 8)
scene("ties", 2, 10, [3, 2, 44, 10], 10)
scene("many", 3, 6, [8, 2, 4], 6, many=160)
scene("zero", 4, 8, [1, 2, 3, 4], 6, first_id=0)
scene("sparse", 5, 12, [1, 100, 1000, 10000, 100000], 3, unlabelled=2)
