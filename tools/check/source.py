"""source.py: what the checks share: finding files, blanking out comments."""
import os
import re
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SKIP = {".git", "build", "out", "runs", "__pycache__", "fixtures", "corpus",
        "golden_data"}


def files(top, folders, suffixes):
    """Paths relative to top, sorted; '.' means the files right in top."""
    found = []
    for folder in folders:
        start = os.path.join(top, folder)
        for where, below, names in os.walk(start):
            below[:] = [] if folder == "." else sorted(
                d for d in below if d not in SKIP)
            for name in names:
                if name.endswith(tuple(suffixes)):
                    path = os.path.join(where, name)
                    found.append(os.path.relpath(path, top))
    return sorted(found)


def read(top, path):
    with open(os.path.join(top, path), encoding="utf-8",
              errors="surrogateescape", newline="") as f:
        return f.read()


# A comment, a string or a character constant of C, whichever starts first.
TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'',
                   re.S)


def blank(text, strings=True):
    """C text with comments (and strings) blanked, lines and columns kept."""
    def spaces(match):
        token = match.group(0)
        if token[0] in "\"'":
            if not strings:
                return token
            return token[0] + " " * (len(token) - 2) + token[0]
        return re.sub(r"[^\n]", " ", token)
    return TOKEN.sub(spaces, text)


def finish(name, faults, checked):
    """Prints what was found; the exit status."""
    for fault in faults:
        print(fault)
    print(f"{name}: {checked}, {len(faults)} faults")
    sys.exit(1 if faults else 0)
