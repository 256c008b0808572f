#!/usr/bin/env bash
# Builds diy-typeless and lets it transcribe speech that ships with the repository, with the small model that ships
# with it too: nothing is downloaded but Rust crates. Sets up what is missing on Debian, Ubuntu and macOS.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib/setup.sh
. scripts/lib/setup.sh

readonly MODEL=tests/data/tiny-qwen3-asr
readonly SPEECH=tests/data/speech
# A voice the model never heard, a stereo file at 44.1 kHz, Mandarin, and one it gets slightly wrong.
readonly FILES="short_unseen_001.flac stereo44k_002.flac mandarin_001.flac short_seen_002.flac"

# manifest FILE FIELD: from the manifest beside the speech, which has one field per line.
manifest() {
    awk -v file="\"$1\"" -v field="\"$2\":" '
        $1 == "\"file\":" { here = index($0, file) > 0 }
        here && $1 == field {
            sub(/^[^:]*: */, ""); sub(/,$/, ""); gsub(/^"|"$/, ""); gsub(/\\"/, "\""); print; exit
        }' "$SPEECH/manifest.json"
}

need_rust
need_c_compiler

say "Building (the first time takes a minute or two) ..."
cargo build --quiet --release --package diy-typeless-cli

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then dim=$'\033[2m' bold=$'\033[1m' plain=$'\033[0m'; else dim='' bold='' plain=''; fi
errors=$(mktemp)
trap 'rm -f "$errors"' EXIT
for file in $FILES; do
    if ! heard=$(cargo run --quiet --release --package diy-typeless-cli --bin diy-typeless -- \
        transcribe --local-asr "$MODEL" "$SPEECH/$file" 2>"$errors"); then
        cat "$errors" >&2
        fail "$SPEECH/$file could not be transcribed"
    fi
    [ -n "$heard" ] || fail "$SPEECH/$file gave no text"
    printf '\n%s%s%s, %s seconds\n' "$dim" "$file" "$plain" "$(manifest "$file" seconds)"
    printf '  said   %s\n' "$(manifest "$file" reference)"
    printf '  heard  %s%s%s\n' "$bold" "$heard" "$plain"
done
cat <<TEXT

That was the small model of this repository: 6 MB, some 670 words. For everything else get a real one:
  ./download_model.sh --model small
TEXT
