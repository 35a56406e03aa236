#!/usr/bin/env python3
"""rows.py [TOP]: do tables, files, tests and documents agree?

A row of a .def file has its source, its test and its line in a table of the
documents; a source in such a folder without a row is a stray, unless it is
named here as a helper. Base names of sources are unique in the whole tree.
"""
import os
import re
import sys

from source import TOP, blank, files, finish, read

# A row reads LMB_X(name) or LMB_X(name, file): `file` says which argument
# names the source. Helpers are the sources of the folder that are no row.
TABLES = [
    {"def": "src/distill/methods.def", "file": 0, "docs": "docs/methods.md",
     "helpers": {"methods"}},
    {"def": "src/model/models.def", "file": 1, "docs": "docs/models.md",
     "helpers": {"models"}},
    {"def": "src/op/ops.def", "file": 1, "docs": None,
     "helpers": {"ops"}},
    {"def": "src/data/datasets.def", "file": 0, "docs": "docs/data.md",
     "helpers": {"datasets"}},
    {"def": "src/optim/optims.def", "file": 0, "docs": None,
     "helpers": {"optims"}},
    {"def": "src/cli/commands.def", "file": 0, "docs": None, "prefix": "cmd_",
     "test": None, "helpers": {"main"}},
]


def rows_of(text):
    for match in re.finditer(r"^LMB_[A-Z]+\(([^)]*)\)", blank(text, False), re.M):
        yield [word.strip().strip('"') for word in match.group(1).split(",")]


def documented(text, name):
    """Does a table of the text have a row for the name?"""
    return re.search(r"^\|\s*`?" + re.escape(name) + r"`?\s*\|", text, re.M)


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
    sources = set(table["helpers"])
    names = set()
    for row in rows_of(read(top, path)):
        name = row[0]
        source = table.get("prefix", "") + row[min(table["file"], len(row) - 1)]
        count[0] += 1
        if name in names:
            faults.append(f"{path}: {name}: a second row of this name")
        names.add(name)
        first = source not in sources
        sources.add(source)
        if first and not os.path.exists(os.path.join(top, folder, source + ".c")):
            faults.append(f"{path}: {name}: no {folder}/{source}.c")
        test = f"tests/{module}/test_{source}.c"
        if first and table.get("test", 1) and not os.path.exists(
                os.path.join(top, test)):
            faults.append(f"{path}: {name}: no {test}")
        if docs and not documented(docs, name):
            faults.append(f"{path}: {name}: no row in {table['docs']}")
    for entry in sorted(os.listdir(os.path.join(top, folder))):
        base, end = os.path.splitext(entry)
        if end == ".c" and base not in sources:
            faults.append(f"{folder}/{entry}: no row in {path}")
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
