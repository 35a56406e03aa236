#!/usr/bin/env bash
# symbols.sh LIBRARY.so: it exports lmb_* and nothing else, and all that the
# public headers declare.
set -u
library=${1:?the shared library}
top=${2:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
[ -f "$library" ] || { echo "$library: no such file"; exit 1; }
exported=$(nm -D --defined-only "$library" | awk '{ print $NF }' |
    sed 's/@.*//' | sort -u)
foreign=$(printf '%s\n' "$exported" | grep -v '^lmb_[a-z0-9]' |
    grep -vxE '|_init|_fini|__bss_start|_edata|_end|__(a|t|ub)san.*')
bad=0
if [ -n "$foreign" ]; then
    printf 'exported, and not named lmb_*:\n%s\n' "$foreign"
    bad=1
fi
declared=$(cat "$top"/include/*.h "$top"/include/limbeck/*.h 2>/dev/null |
    sed '/^ *#/d' | tr '\n' ' ' | grep -oE 'LMB_API[^;{]*' |
    sed -nE 's/^[^(]*[ *](lmb_[a-z0-9_]+)\(.*/\1/p' | sort -u)
missing=$(comm -13 <(printf '%s\n' "$exported") <(printf '%s\n' "$declared") |
    sed '/^$/d')
if [ -n "$missing" ]; then
    printf 'declared in a public header, and not exported:\n%s\n' "$missing"
    bad=1
fi
echo "symbols: $(printf '%s\n' "$exported" | grep -c .) exported," \
    "$(printf '%s\n' "$declared" | grep -c .) declared"
exit $bad
