# shellcheck shell=bash
# Set-up shared by demo.sh and test.sh: messages, and installing what is missing on Debian and Ubuntu. On macOS the
# missing thing is named with the command that brings it, because Homebrew asks questions of its own.

say() { printf '%s\n' "$*" >&2; }

fail() { # SENTENCE [HINT]
    say "error: $1"
    [ -z "${2:-}" ] || say "  hint: $2"
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

is_macos() { [ "$(uname -s)" = Darwin ]; }

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif have sudo; then
        sudo "$@"
    else
        say "error: installing packages needs root, and sudo is not there. As root:  $*"
        return 1
    fi
}

# install_packages NAME...: Debian packages, those that are missing only. Says so and fails elsewhere.
install_packages() {
    local missing=() name log
    have apt-get || {
        say "notice: only Debian and Ubuntu are set up by themselves; wanted here: $*"
        return 1
    }
    for name in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
    done
    [ "${#missing[@]}" != 0 ] || return 0
    say "installing: ${missing[*]}"
    log=$(mktemp)
    if ! { as_root apt-get update -q && as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends "${missing[@]}"; } </dev/null >"$log" 2>&1; then
        tail -n 15 "$log" >&2
        rm -f "$log"
        say "notice: could not install ${missing[*]}"
        return 1
    fi
    rm -f "$log"
}

need_rust() {
    # A shell started before Rust was installed does not have it on its path.
    if ! have cargo && [ -x "${HOME:-}/.cargo/bin/cargo" ]; then
        PATH=$HOME/.cargo/bin:$PATH
    fi
    have cargo || fail "Rust is not installed" "https://rustup.rs, then run this again"
}

# A C compiler that can also link: the engine is C, and cargo links with it.
need_c_compiler() {
    if is_macos; then
        xcode-select -p >/dev/null 2>&1 || fail "there is no C compiler" "xcode-select --install, then run this again"
    elif ! have cc || ! echo 'int main(void) { return 0; }' | cc -x c - -o /dev/null 2>/dev/null; then
        install_packages gcc libc6-dev || fail "there is no C compiler" "install gcc and the C library's headers"
    fi
}

# What the microphone is reached through on Linux; other systems bring it.
need_sound_library() {
    if is_macos || pkg-config --exists alsa 2>/dev/null; then return; fi
    install_packages pkg-config libasound2-dev ||
        fail "the headers of ALSA are not installed" "install pkg-config and libasound2-dev (alsa-lib-devel, alsa-lib)"
}
