#!/usr/bin/env python3
"""layers.py [TOP]: does every file include only what docs/layers.txt allows?

docs/layers.txt: a line 'module : modules' says what src/module may include
beside itself. '#include "mod/x.h"' from src/<mod2>/ needs mod in mod2's line;
limbeck.h and limbeck/*.h are open to all. The rule itself must have no cycle.
"""
import os
import re
import sys

from source import TOP, blank, files, finish, read

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"\n]+)"', re.M)


def read_rules(top):
    rules = {}
    for line in read(top, "docs/layers.txt").splitlines():
        line = line.split("#")[0].strip()
        if line:
            module, _, may = line.partition(":")
            rules[module.strip()] = set(may.split())
    return rules


def rule_faults(rules):
    faults = []
    done = set()
    while True:
        ready = {m for m in rules if m not in done and rules[m] <= done}
        if not ready:
            break
        done |= ready
    for module in sorted(set(rules) - done):
        faults.append(f"docs/layers.txt: {module} is in a cycle or uses a "
                      f"module that has no line: {' '.join(sorted(rules[module] - done))}")
    return faults


def file_faults(top, path, rules):
    parts = path.replace(os.sep, "/").split("/")
    module = parts[1]
    if len(parts) < 3:
        return [f"{path}: lies in no module"]
    if module not in rules:
        return [f"{path}: docs/layers.txt has no line for {module}"]
    faults = []
    text = blank(read(top, path), strings=False)
    for match in INCLUDE.finditer(text):
        target = match.group(1)
        line = text.count("\n", 0, match.start()) + 1
        where = f"{path}:{line}"
        used = target.split("/")[0]
        if ".." in target.split("/"):
            faults.append(f"{where}: {target}: name it from src/, without ..")
        elif target == "limbeck.h" or used == "limbeck":
            home = os.path.join(top, "include", target)
            if not os.path.exists(home):
                faults.append(f"{where}: {target}: no such header")
        elif "/" not in target:
            near = os.path.join(top, os.path.dirname(path), target)
            if not os.path.exists(near):
                faults.append(f"{where}: {target}: not beside this file")
        elif used not in rules:
            faults.append(f"{where}: {target}: {used} is no module")
        elif used != module and used not in rules[module]:
            faults.append(f"{where}: {target}: {module} may not include {used}")
    return faults


def main():
    top = sys.argv[1] if len(sys.argv) > 1 else TOP
    rules = read_rules(top)
    faults = rule_faults(rules)
    sources = files(top, ["src"], [".c", ".h", ".def"])
    for path in sources:
        faults += file_faults(top, path, rules)
    for path in files(top, ["include"], [".h"]):
        for match in INCLUDE.finditer(blank(read(top, path), strings=False)):
            if not match.group(1).startswith("limbeck/"):
                faults.append(f"{path}: a public header includes {match.group(1)}")
    finish("layers", faults, f"{len(sources)} files, {len(rules)} modules")


main()
