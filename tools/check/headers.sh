#!/usr/bin/env bash
# headers.sh [TOP]: does every header compile alone, and the public ones as
# C++ too? CC names the compiler. Headers of src/backend/onednn need oneDNN.
set -u
top=${1:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
cd "$top" || exit 1
cc=${CC:-cc}
cxx=${CXX:-c++}
flags="-std=c17 -fsyntax-only -D_POSIX_C_SOURCE=200809L -Iinclude -Isrc
    -Wall -Wextra -Wpedantic -Wundef -Werror -Wno-psabi"
bad=0
count=0
report=$(mktemp)
trap 'rm -f "$report"' EXIT
while IFS= read -r header; do
    count=$((count + 1))
    name=${header#include/}
    name=${name#src/}
    # shellcheck disable=SC2086 # a list of words
    if ! echo "#include \"$name\"" |
        $cc $flags -x c - >"$report" 2>&1; then
        echo "$header does not compile alone:"
        grep -m 3 -E 'error|warning' "$report"
        bad=$((bad + 1))
    fi
done < <(find include src -name '*.h' | sort)
if [ -f include/limbeck.h ] && command -v "$cxx" >/dev/null 2>&1; then
    count=$((count + 1))
    if ! echo '#include "limbeck.h"' | "$cxx" -std=c++17 -fsyntax-only \
        -Iinclude -Wall -Wextra -Werror -x c++ - >"$report" 2>&1; then
        echo "include/limbeck.h does not compile as C++:"
        grep -m 3 -E 'error|warning' "$report"
        bad=$((bad + 1))
    fi
fi
echo "headers: $count checked, $bad faults"
[ $bad -eq 0 ]
