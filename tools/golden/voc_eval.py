#!/usr/bin/env python3
"""Writes tests/metric/golden/voc_*: scenes with VOC's average precision.

Scenes as COCO files with "difficult" on some annotations (and "iscrowd" on a
few, which counts as difficult), and NAME.txt: for each category, then for the
mean, the AP by area and at eleven points, first with plain sides and then with
corners that belong to the box. The AP is computed here by definition, one
precision for each recall, and not by the steps of the C code.

Run with any Python 3.
"""
import json
import os
import random

here = os.path.dirname(os.path.abspath(__file__))
folder = os.path.join(here, "..", "..", "tests", "metric", "golden")


def iou(a, b, more):
    w = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0]) + more
    h = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1]) + more
    if w <= 0 or h <= 0:
        return 0.0
    both = w * h
    return both / ((a[2] + more) * (a[3] + more)
                   + (b[2] + more) * (b[3] + more) - both)


def verdicts(gt, dt, category, more):
    """(number of truths, [right?]) by falling score."""
    truths = [a for a in gt["annotations"] if a["category_id"] == category]
    hard = {a["id"] for a in truths if a["difficult"] or a["iscrowd"]}
    found = sorted((d for d in dt if d["category_id"] == category),
                   key=lambda d: (-d["score"], d["image_id"]))
    taken, right = set(), []
    for d in found:
        rivals = [(iou(d["bbox"], a["bbox"], more), a["id"]) for a in truths
                  if a["image_id"] == d["image_id"]]
        overlap, best = max(rivals, key=lambda p: p[0], default=(0, None))
        if overlap < 0.5:
            right.append(False)
        elif best not in hard:
            right.append(best not in taken)
            taken.add(best)
    return len(truths) - len(hard), right


def precisions(total, right):
    """[(recall, precision)] after each detection."""
    return [(sum(right[:i + 1]) / total, sum(right[:i + 1]) / (i + 1))
            for i in range(len(right))]


def area(total, right):
    """Each truth adds 1 / total times the best precision from there on."""
    curve, sum_ = precisions(total, right), 0.0
    for k in range(1, total + 1):
        sum_ += max((p for r, p in curve if r >= k / total), default=0.0)
    return sum_ / total


def eleven(total, right):
    curve = precisions(total, right)
    return sum(max((p for r, p in curve if r >= i * 0.1), default=0.0)
               for i in range(11)) / 11


def draw(r, categories, images):
    ids = sorted(r.sample(range(1, 900), images))
    annotations, found = [], []
    for i in range(images * 4):
        box = [r.randint(0, 200), r.randint(0, 200),
               r.randint(5, 90), r.randint(5, 90)]
        a = dict(id=i + 1, image_id=r.choice(ids[1:]), bbox=box,
                 category_id=r.choice(categories[1:]), iscrowd=0,
                 difficult=int(r.random() < 0.2))
        a["iscrowd"] = int(r.random() < 0.05)
        annotations.append(a)
        for _ in range(r.choice([0, 1, 1, 2])):
            moved = [v + r.randint(-8, 8) for v in box[:2]]
            moved += [max(1, v + r.randint(-8, 8)) for v in box[2:]]
            found.append(dict(image_id=a["image_id"], bbox=moved,
                              category_id=r.choice([a["category_id"]] * 9
                                                   + categories)))
    for rank, d in enumerate(r.sample(found, len(found))):
        d["score"] = round(1 - rank / len(found) / 1.01, 5)  # no ties
    gt = dict(images=[dict(id=i) for i in ids], annotations=annotations,
              categories=[dict(id=c, name=f"class {c}") for c in categories])
    return gt, found


def scene(name, seed, categories, images):
    gt, dt = draw(random.Random(seed), categories, images)
    path = os.path.join(folder, "voc_" + name)
    for end, value in (("_gt.json", gt), ("_dt.json", dt)):
        with open(path + end, "w", encoding="ascii") as f:
            json.dump(value, f)
            f.write("\n")
    rows = []
    for category in sorted(categories):
        row = []
        for more in (0, 1):
            total, right = verdicts(gt, dt, category, more)
            row += [m(total, right) if total else -1.0 for m in (area, eleven)]
        rows.append(row)
    defined = [row for row in rows if row[0] >= 0]
    rows.append([sum(column) / len(defined) for column in zip(*defined)])
    with open(path + ".txt", "w", encoding="ascii") as f:
        for row in rows:
            f.write(" ".join(map(repr, row)) + "\n")
    print(name, rows[-1])


os.makedirs(folder, exist_ok=True)
scene("few", 1, [3, 1, 9], 6)
scene("more", 2, [20, 4, 5, 6], 12)
