#!/usr/bin/env bash
# try_install.sh SOURCE BUILD CC: installs the build into a folder of its own
# and uses it as a stranger would: through pkg-config and through CMake's
# find_package, shared and static, with examples/pcd_on_arrays.c.
set -eu
source=$1
build=$2
cc=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix
cmake --install "$build" --prefix "$prefix" >"$work/install.log"

want() # FILE: relative to the prefix
{
    [ -e "$prefix/$1" ] || {
        echo "not installed: $1"
        cat "$work/install.log"
        exit 1
    }
}
[ ! -f "$source/include/limbeck.h" ] || want include/limbeck.h
want share/man/man1/limbeck.1
want share/bash-completion/completions/limbeck
want share/zsh/site-functions/_limbeck
pc=$(dirname "$(find "$prefix" -name limbeck.pc)")
libdir=$(dirname "$pc")
want "${libdir#"$prefix"/}/liblimbeck.so"
want "${libdir#"$prefix"/}/liblimbeck.a"
if [ -x "$build/limbeck" ]; then
    want bin/limbeck
    "$prefix/bin/limbeck" version
fi
if grep -rlE "$source|$build" "$prefix" --include=*.cmake --include=*.pc; then
    echo "an installed file names the folder it was built in"
    exit 1
fi

example=$source/examples/pcd_on_arrays.c
if [ ! -f "$example" ]; then
    echo "skipped: no examples/pcd_on_arrays.c"
    exit 0
fi

# the tree may be moved
mv "$prefix" "$work/moved"
prefix=$work/moved
libdir=$prefix/${libdir#"$work/prefix/"}
export PKG_CONFIG_PATH=$libdir/pkgconfig LD_LIBRARY_PATH=$libdir
# shellcheck disable=SC2046 # lists of words
"$cc" -std=c17 -Wall -Wextra "$example" -o "$work/shared" \
    $(pkg-config --cflags --libs limbeck) -lm
"$work/shared" | tee "$work/shared.txt"
# shellcheck disable=SC2046
"$cc" -std=c17 "$example" -o "$work/static" $(pkg-config --cflags limbeck) \
    "$libdir/liblimbeck.a" \
    $(pkg-config --libs --static limbeck | sed 's/ *-llimbeck / /')
env -u LD_LIBRARY_PATH "$work/static" >"$work/static.txt"
cmp "$work/shared.txt" "$work/static.txt"

mkdir "$work/user"
cp "$example" "$work/user/main.c"
cat >"$work/user/CMakeLists.txt" <<'CMAKE'
cmake_minimum_required(VERSION 3.22)
project(user C)
find_package(limbeck 0.1 REQUIRED)
add_executable(with_shared main.c)
target_link_libraries(with_shared limbeck::limbeck m)
add_executable(with_static main.c)
target_link_libraries(with_static limbeck::limbeck_static m)
CMAKE
cmake -S "$work/user" -B "$work/user/build" -G Ninja \
    -DCMAKE_C_COMPILER="$cc" -DCMAKE_PREFIX_PATH="$prefix" \
    >"$work/user.log" 2>&1 && cmake --build "$work/user/build" \
    >>"$work/user.log" 2>&1 || {
    cat "$work/user.log"
    exit 1
}
for program in with_shared with_static; do
    "$work/user/build/$program" >"$work/$program.txt"
    cmp "$work/shared.txt" "$work/$program.txt"
done
