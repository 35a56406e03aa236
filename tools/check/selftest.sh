#!/usr/bin/env bash
# selftest.sh: each check must find the faults of a tree made for it, and
# pass the same tree without them.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
bad=0

sound_tree()
{
    rm -rf "${tree:?}"/*
    mkdir -p "$tree"/{docs,include/limbeck,src/base,src/graph,src/distill} \
        "$tree"/tests/distill
    printf 'base :\ngraph : base\ndistill : base graph\n' \
        >"$tree/docs/layers.txt"
    printf '| method | formula |\n|---|---|\n| `kd` | KL |\n' \
        >"$tree/docs/methods.md"
    echo '#define LMB_API __attribute__((visibility("default")))
LMB_API int lmb_one(int a,
    int b);' >"$tree/include/limbeck/one.h"
    echo '#include "limbeck/one.h"' >"$tree/include/limbeck.h"
    echo 'int lmb_base(void);' >"$tree/src/base/base.h"
    echo '#include "base/base.h"
/* malloc(1); TODO(#12) is fine, "exit(1)" too */
const char *lmb_words(void);
const char *lmb_words(void)
{
    return "printf(x) and /* free(y) */";
}' >"$tree/src/graph/node.c"
    echo 'LMB_METHOD(kd)' >"$tree/src/distill/methods.def"
    echo '#include "limbeck.h"' >"$tree/src/distill/kd.c"
    echo '#include "distill/kd.h"' >"$tree/tests/distill/test_kd.c"
}

passes() # COMMAND...
{
    local out
    if ! out=$("$@" 2>&1); then
        echo "selftest: a sound tree was refused: $* : $out"
        bad=1
    fi
}

finds() # TEXT COMMAND...
{
    local out text=$1
    shift
    if out=$("$@" 2>&1); then
        echo "selftest: not found: $text ($*)"
        bad=1
    elif ! grep -qF -- "$text" <<<"$out"; then
        echo "selftest: found something else than: $text"
        echo "$out"
        bad=1
    fi
    sound_tree
}

layers="python3 $here/layers.py $tree"
forbid="python3 $here/forbid.py $tree"
rows="python3 $here/rows.py $tree"
headers="bash $here/headers.sh $tree"
sound_tree
for check in "$layers" "$forbid" "$rows" "$headers"; do
    passes $check
done

echo '#include "graph/ir.h"' >>"$tree/src/base/base.h"
finds 'base may not include graph' $layers
echo '#include "../base/base.h"' >>"$tree/src/graph/node.c"
finds 'without ..' $layers
echo '#include "dtype.h"' >>"$tree/src/graph/node.c"
finds 'not beside this file' $layers
echo 'base : distill' >>"$tree/docs/layers.txt"
finds 'cycle' $layers
mkdir "$tree/src/new" && echo >"$tree/src/new/x.c"
finds 'no line for new' $layers
echo '#include "base/base.h"' >>"$tree/include/limbeck.h"
finds 'a public header includes' $layers

while IFS='|' read -r code title; do
    printf '%b\n' "$code" >>"$tree/src/graph/node.c"
    finds "$title" $forbid
done <<'CASES'
void *p = malloc(3);|heap calls
int q = (free (p), 1);|heap calls
void f(void) { exit(1); }|neither prints nor exits
void f(void) { fprintf(stderr, ""); }|neither prints nor exits
int r = rand();|hidden-state
int r = atoi(s);|hidden-state
#include <dnnl.h>|vendor headers
int g(void) { return LMB_EINVAL; }|an error is born
/* \x54ODO: later */|needs an issue
\tint tab;|a tab
int blank;\x20|a blank at the end
int k = find("kd");|names of methods
CASES
printf '/* %099d */\n' 0 >>"$tree/src/graph/node.c"
finds 'over 100' $forbid
printf 'int end;' >>"$tree/src/graph/node.c"
finds 'the last line has no end' $forbid

rm "$tree/src/distill/kd.c"
finds 'no src/distill/kd.c' $rows
rm "$tree/tests/distill/test_kd.c"
finds 'no tests/distill/test_kd.c' $rows
echo >"$tree/docs/methods.md"
finds 'no row in docs/methods.md' $rows
echo 'const lmb_method lmb_method_stray = {0};' >"$tree/src/distill/stray.c"
finds 'stray.c: stray: no row' $rows
echo >"$tree/src/base/node.c"
finds 'more than one file of this name' $rows
echo 'LMB_METHOD(kd)' >>"$tree/src/distill/methods.def"
finds 'a second row' $rows

echo 'size_t lmb_size(void);' >>"$tree/src/base/base.h"
finds 'src/base/base.h does not compile alone' $headers
echo 'int lmb_this(int class);' >>"$tree/include/limbeck.h"
finds 'does not compile as C++' $headers

library() # SOURCE
{
    echo "$1" | ${CC:-cc} -shared -fPIC -x c - -o "$tree/lib.so"
}
symbols="bash $here/symbols.sh $tree/lib.so $tree"
library 'int lmb_one(int a, int b) { return a + b; }'
passes $symbols
library 'int lmb_one(int a, int b) { return a + b; } int helper(void) { return 1; }'
finds 'helper' $symbols
library 'int lmb_two(void) { return 1; }'
finds 'lmb_one' $symbols

# What ./test counts: a case that never reports has failed.
log()
{
    printf '1/1 Testing: t\n1/1 Test: t\nCommand: "t"\nOutput:\n----\n'
    printf '%s\n' "$@"
    printf 'End testing: now\n'
}
counts() # EXPECTED REQUIRE_DATA LINES...
{
    local expected=$1 require=$2 out
    shift 2
    out=$(log "$@" | awk -v require_data="$require" \
        -f "$here/../count_tests.awk" | tail -n 1)
    if [ "$out" != "$expected" ]; then
        echo "selftest: counted '$out', not '$expected'"
        bad=1
    fi
}
end='<end of output>'
counts '2 passed, 0 failed, 0 skipped' 0 1..2 'ok 1 - a' words 'ok 2 - b' \
    "$end" 'Test Passed.'
counts '1 passed, 1 failed, 0 skipped' 0 1..2 'ok 1 - a' 'not ok 2 - b' \
    "$end" 'Test Failed.'
counts '1 passed, 2 failed, 0 skipped' 0 1..3 'ok 1 - a' "$end" 'Test Failed.'
counts '1 passed, 1 failed, 0 skipped' 0 1..1 'ok 1 - a' "$end" 'Test Failed.'
counts '0 passed, 0 failed, 1 skipped' 0 1..1 \
    'skipped: LIMBECK_DATA is not set' 'not ok 1 # SKIP a' "$end" 'Test Passed.'
counts '0 passed, 1 failed, 0 skipped' 1 1..1 \
    'skipped: LIMBECK_DATA is not set' 'not ok 1 # SKIP a' "$end" 'Test Passed.'
counts '0 passed, 0 failed, 1 skipped' 1 1..1 'skipped: no bf16 here' \
    'ok 1 # SKIP a' "$end" 'Test Passed.'
counts '0 passed, 0 failed, 1 skipped' 0 'skipped: no example' "$end" \
    'Test Passed.'
counts '1 passed, 0 failed, 0 skipped' 0 'all well' "$end" 'Test Passed.'

[ $bad -eq 0 ] && echo "selftest: the checks find what they are for"
exit $bad
