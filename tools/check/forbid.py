#!/usr/bin/env python3
"""forbid.py [TOP]: words and habits that have no place in the sources.

Each rule has a title, the pattern, the folders it holds in, and the files
that may break it, each with its reason. Patterns are matched with comments and
strings blanked, unless the rule is about those.
"""
import re
import sys

from source import TOP, blank, files, finish, read

CODE = [".c", ".h", ".def"]
TEXT = CODE + [".py", ".sh", ".cmake", ".txt", ".md", ".awk", ".1", ".yaml",
               ".yml", ".in", ".json", "test", "demo", "run"]

# (title, pattern, folders, {file or folder: reason}, match in comments too?)
RULES = [
    ("heap calls belong to lmb_alloc and lmb_free",
     r"(?<![\w.>])(malloc|calloc|realloc|free|strdup|strndup|posix_memalign|"
     r"aligned_alloc|memalign|alloca)\s*\(",
     ["src"], {"src/base/mem.c": "the one home of the heap"}, False),
    ("the library neither prints nor exits",
     r"(?<![\w.>])(v?printf|puts|putchar|perror|exit|_exit|_Exit|quick_exit|"
     r"abort|assert|system|popen)\s*\(|\b(stdout|stderr)\b",
     ["src", "include"],
     {"src/cli/": "the program talks to people",
      "src/base/status.c": "a broken invariant of our own ends here"}, False),
    ("unsafe, locale-bound or hidden-state functions of libc",
     r"(?<![\w.>])(rand|srand|random|srandom|drand48|atoi|atol|atoll|atof|"
     r"strcpy|strcat|sprintf|vsprintf|strtok|gets|tmpnam|mktemp|localtime|"
     r"gmtime|ctime|asctime|setlocale)\s*\(", ["src", "include"], {}, False),
    ("vendor headers belong to src/backend",
     r"#\s*include\s*<(dnnl|omp\.h|cuda|cudnn|cublas|nccl|mpi\.h|immintrin)",
     ["src", "include", "tests", "examples"],
     {"src/backend/": "the one home of vendor calls",
      "tests/backend/": "and its tests"}, False),
    ("an error is born in LMB_FAIL, with its message",
     r"\breturn\s+\(?\s*LMB_E[A-Z]+\b", ["src"],
     {"src/base/status.c": "makes the messages"}, False),
    ("unfinished work needs an issue: TODO(#12)",
     r"\b(TODO|FIXME|XXX|HACK)\b(?!\(#\d+\))",
     ["src", "include", "tests", "tools", "cmake", "examples", "."],
     {"tools/check/forbid.py": "this rule"}, True),
]

# free(text); /* jansson's */ says whose memory it is.
VENDORS = re.compile(r"free\(.*/\* \w+'s \*/")

LAYOUT = [
    ("a tab", re.compile(r"\t")),
    ("a blank at the end", re.compile(r"[ \t\r]$")),
    ("over 100 columns", re.compile(r"^.{101}")),
]
LONG_LINES = (".md", ".json", ".txt", ".1")


def allowed(path, exceptions):
    return any(path == e or (e.endswith("/") and path.startswith(e))
               for e in exceptions)


def rule_faults(top, rule):
    title, pattern, folders, exceptions, everywhere = rule
    faults = []
    for path in files(top, folders, TEXT if everywhere else CODE):
        if allowed(path, exceptions):
            continue
        whole = read(top, path)
        text = whole if everywhere else blank(whole)
        lines = whole.split("\n")
        for match in re.finditer(pattern, text):
            line = text.count("\n", 0, match.start()) + 1
            found = " ".join(match.group(0).split())
            if found.startswith("free") and VENDORS.search(lines[line - 1]):
                continue
            faults.append(f"{path}:{line}: {found}: {title}")
    return faults


def layout_faults(top, path):
    text = read(top, path)
    faults = []
    table = False  # rows of tables may be long, where clang-format is off
    if text and not text.endswith("\n"):
        faults.append(f"{path}: the last line has no end")
    for number, line in enumerate(text.split("\n"), 1):
        if "clang-format o" in line:
            table = "clang-format off" in line
        for title, pattern in LAYOUT:
            if title.startswith("over") and (table or path.endswith(LONG_LINES)):
                continue
            if pattern.search(line):
                faults.append(f"{path}:{number}: {title}")
    return faults


def name_faults(top):
    """Only a method's own file, its rows and the program name a method."""
    faults = []
    names = set()
    for table in ("src/distill/methods.def", "src/model/models.def"):
        try:
            text = blank(read(top, table), strings=False)
        except FileNotFoundError:
            continue
        names |= set(re.findall(r"^LMB_[A-Z]+\((\w+)", text, re.M))
    for path in files(top, ["src"], [".c", ".h"]):
        if path.startswith(("src/distill/", "src/model/", "src/cli/")):
            continue
        text = blank(read(top, path), strings=False)
        for match in re.finditer(r'"(\w+)"', text):
            if match.group(1) in names and path not in NAMES_ALLOWED:
                line = text.count("\n", 0, match.start()) + 1
                faults.append(f"{path}:{line}: {match.group(0)}: names of methods "
                              "and models stand in their own files and rows")
    return faults


NAMES_ALLOWED = {}


def main():
    top = sys.argv[1] if len(sys.argv) > 1 else TOP
    faults = []
    for rule in RULES:
        faults += rule_faults(top, rule)
    texts = files(top, ["src", "include", "tests", "tools", "cmake", "docs",
                        "examples", ".ci", "."], TEXT)
    for path in sorted(set(texts)):
        faults += layout_faults(top, path)
    faults += name_faults(top)
    finish("forbid", faults, f"{len(RULES)} rules, {len(texts)} files")


main()
