#!/usr/bin/env bash
# Speed, memory and latency on this machine, as in benches/README.md: builds, makes a full-size 0.6B model with generated weights
# (1.9 GB, once) and measures it and the small model.
#
#   benches/run.sh [DIRECTORY]   where full-size models are kept; default: target/fullsize
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib/setup.sh
. scripts/lib/setup.sh

models=${1:-target/fullsize}
need_rust
need_c_compiler
if [ ! -f "$models/0.6b/model.safetensors" ]; then
    have python3 || install_packages python3 python3-venv
    python3 -m venv "$models/venv" || { install_packages python3-venv && python3 -m venv "$models/venv"; }
    "$models/venv/bin/pip" install --quiet --disable-pip-version-check numpy
    say "making $models/0.6b ..."
    "$models/venv/bin/python" benches/fullsize.py --size 0.6b --out "$models/0.6b.part" >&2
    mv "$models/0.6b.part" "$models/0.6b"
fi
bench() { cargo bench --quiet --features files --bench engine -- "$@"; }

date -u +%Y-%m-%d
git rev-parse --short HEAD 2>/dev/null || true
printf '\n## Whole clips as one segment, 0.6B\n\n'
bench offline "$models/0.6b" 5 15 30 60
printf '\n## Live, 0.6B\n\n'
bench live "$models/0.6b"
printf '\n## Live, the small model\n\n'
bench live tests/data/tiny-qwen3-asr
printf '\n## An hour of speech, the small model\n\n'
bench soak tests/data/tiny-qwen3-asr 60
printf '\n## Several segments, and cancelling, 0.6B\n\n'
bench segments "$models/0.6b"
bench cancel "$models/0.6b"
