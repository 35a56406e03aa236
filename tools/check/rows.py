#!/usr/bin/env python3
"""rows.py [TOP]: do tables, files, tests and documents agree?

A row of a .def file has its source, its test and its line in a table of the
documents; a source that defines such an object without a row is a stray. Base
names of sources are unique in the whole tree.
"""
import os
import re
import sys

from source import TOP, blank, files, finish, read

# A row reads LMB_X(name) or LMB_X(name, file): `file` says which argument
# names the source. `object` is what such a source defines, under the name of
# its row; other sources of the folder are helpers. `tests` names the test of a
# row whose source shares one.
TABLES = [
    {"def": "src/distill/methods.def", "file": 0, "docs": "docs/methods.md",
     "object": "lmb_method"},
    {"def": "src/model/models.def", "file": 1, "docs": "docs/models.md",
     "object": "lmb_model"},
    {"def": "src/op/ops.def", "file": 1, "docs": "docs/ops.md",
     "object": "lmb_op"},
    {"def": "src/data/datasets.def", "file": 0, "docs": "docs/data.md",
     "object": "lmb_dataset", "tests": {"cifar10": "cifar", "cifar100": "cifar"}},
    {"def": "src/cli/commands.def", "file": 0, "docs": "docs/man/limbeck.1",
     "object": "cmd", "prefix": "cmd_", "tests": None},
]


def rows_of(text):
    for match in re.finditer(r"^LMB_[A-Z]+\(([^)]*)\)", blank(text, False), re.M):
        yield [word.strip().strip('"') for word in match.group(1).split(",")]


def documented(text, name):
    """Does a table of the text, or a list of the man page, have the name?"""
    row = r"^(\|\s*`?|\.It Cm )" + re.escape(name) + r"\b"
    return re.search(row, text, re.M)


def table_faults(top, table, count):
    path = table["def"]
    folder = os.path.dirname(path)
    module = os.path.basename(folder)
    if not os.path.exists(os.path.join(top, path)):
        return []
    faults = []
    docs = ""
    if table["docs"]:
        try:
            docs = read(top, table["docs"])
        except FileNotFoundError:
            faults.append(f"{table['docs']}: missing; {path} has rows")
    sources = set()
    names = set()
    for row in rows_of(read(top, path)):
        name = row[0]
        source = table.get("prefix", "") + row[min(table["file"], len(row) - 1)]
        count[0] += 1
        if name in names:
            faults.append(f"{path}: {name}: a second row of this name")
        names.add(name)
        if docs and not documented(docs, name):
            faults.append(f"{path}: {name}: no row in {table['docs']}")
        if source in sources:
            continue
        sources.add(source)
        if not os.path.exists(os.path.join(top, folder, source + ".c")):
            faults.append(f"{path}: {name}: no {folder}/{source}.c")
        tests = table.get("tests", {})
        if tests is not None:
            test = f"tests/{module}/test_{tests.get(source, source)}.c"
            if not os.path.exists(os.path.join(top, test)):
                faults.append(f"{path}: {name}: no {test}")
    return faults + stray_faults(top, table, folder, names)


def stray_faults(top, table, folder, names):
    """Sources that define such an object and have no row for it."""
    faults = []
    defines = re.compile(r"^const \w+ " + table["object"] + r"_(\w+) =", re.M)
    for path in files(top, [folder], [".c"]):
        for match in defines.finditer(blank(read(top, path))):
            if match.group(1) not in names:
                faults.append(f"{path}: {match.group(1)}: no row in {table['def']}")
    return faults


def twin_faults(top):
    homes = {}
    faults = []
    for path in files(top, ["src", "tests"], [".c"]):
        homes.setdefault(os.path.basename(path), []).append(path)
    for name, paths in sorted(homes.items()):
        if len(paths) > 1:
            faults.append(f"{name}: more than one file of this name: {' '.join(paths)}")
    return faults


def main():
    top = sys.argv[1] if len(sys.argv) > 1 else TOP
    count = [0]
    faults = []
    for table in TABLES:
        faults += table_faults(top, table, count)
    faults += twin_faults(top)
    finish("rows", faults, f"{count[0]} rows")


main()
