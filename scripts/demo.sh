#!/usr/bin/env bash
# Builds diy-typeless and dictates to it: speech that ships with the repository is played at real speed into `record`, with the
# small model that ships too, and the file that was saved is shown beside what was said. Nothing is downloaded but Rust
# crates. Sets up what is missing on Debian, Ubuntu and macOS. Enter or Ctrl-C ends a recording early.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib/setup.sh
. scripts/lib/setup.sh

readonly MODEL=tests/data/tiny-qwen3-asr
readonly SPEECH=tests/data/speech
# A voice the model never heard, and Mandarin.
readonly FILES="short_unseen_001.flac mandarin_001.flac"

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
need_sound_library

say "Building (the first time takes a minute or two) ..."
cargo build --quiet --release --package diy-typeless-cli

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then dim=$'\033[2m' bold=$'\033[1m' plain=$'\033[0m'; else dim='' bold='' plain=''; fi
recordings=$(mktemp -d)
trap 'rm -rf "$recordings"' EXIT
# A Ctrl-C is for the recording; the comparison still comes.
trap : INT
for file in $FILES; do
    printf '\n%s$ diy-typeless record --local-asr %s --input %s%s\n' "$dim" "$MODEL" "$SPEECH/$file" "$plain"
    code=0
    cargo run --quiet --release --package diy-typeless-cli --bin diy-typeless -- \
        record --local-asr "$MODEL" --input "$SPEECH/$file" --output-dir "$recordings/${file%.*}" || code=$?
    [ "$code" = 0 ] || fail "$SPEECH/$file gave no text (exit code $code)"
    saved=$(cat "$recordings/${file%.*}"/recording_*.txt)
    printf '  said   %s\n' "$(manifest "$file" reference)"
    printf '  saved  %s%s%s\n' "$bold" "$saved" "$plain"
done
cat <<TEXT

That was the small model of this repository: 6 MB, some 670 words. For everything else get a real one, and speak:
  ./download_model.sh --model small
  diy-typeless record
TEXT
