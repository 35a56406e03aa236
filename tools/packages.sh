# packages.sh: the Debian packages that limbeck needs, and how to get them.
# Sourced by ./test, ./demo and .ci/run. An entry a|b means that either will
# do; the first one that the distribution knows is installed.

packages_build="build-essential cmake ninja-build pkg-config|pkgconf
    libdnnl-dev libjpeg62-turbo-dev|libjpeg-dev libpng-dev libyaml-dev
    libjansson-dev libexpat1-dev zlib1g-dev liblzma-dev
    libcurl4-openssl-dev|libcurl4-gnutls-dev"
packages_test="libcmocka-dev"
packages_check="git python3 clang libclang-rt-dev clang-format-14|clang-format
    cppcheck"

# have_package A|B...: is one of them installed?
have_package()
{
    local name
    for name in ${1//|/ }; do
        case $(dpkg-query -W -f='${Status}' "$name" 2>/dev/null) in
        *" installed") return 0 ;;
        esac
    done
    return 1
}

# choose_package A|B...: prints the first one that apt could install.
choose_package()
{
    local name
    for name in ${1//|/ }; do
        if apt-cache show "$name" >/dev/null 2>&1; then
            printf '%s\n' "$name"
            return
        fi
    done
    printf '%s\n' "${1%%|*}"
}

# as_root COMMAND...
as_root()
{
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        echo "this needs root or sudo: $*" >&2
        return 1
    fi
}

apt_quiet()
{
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq \
        -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 \
        -o Acquire::Retries=3 "$@" </dev/null
}

# need_packages ENTRY...: installs what is missing; says what it does. Where
# there is no apt it says what is needed and leaves the verdict to CMake.
need_packages()
{
    local entry missing=() names=() log
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "no apt-get here; needed are (Debian's names): $*"
        return 0
    fi
    for entry in "$@"; do
        have_package "$entry" || missing+=("$entry")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    echo "fetching Debian's package lists"
    log=$(mktemp)
    apt_quiet update >"$log" 2>&1 || tail -n 5 "$log"
    for entry in "${missing[@]}"; do
        names+=("$(choose_package "$entry")")
    done
    echo "installing ${names[*]}"
    if ! apt_quiet install -y --no-install-recommends "${names[@]}" \
        >"$log" 2>&1; then
        tail -n 20 "$log"
        rm -f "$log"
        echo "not installed: ${names[*]}" >&2
        return 1
    fi
    rm -f "$log"
}
