#!/usr/bin/env bash
# The C sources without a warning from gcc or clang. Installs a compiler that is missing where it can: as root, with apt-get.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 "$root/csrc/generate.py" "$scratch"

for compiler in gcc clang; do
    if ! command -v $compiler >/dev/null; then
        apt-get -qq update && apt-get -qq install -y --no-install-recommends $compiler >/dev/null
    fi
    # Optimised, since some warnings come from the analysis of the flow.
    printf '%s\n' "$root"/csrc/*.c | xargs -P "$(nproc)" -I '{}' \
        $compiler -std=c11 -O1 -ffp-contract=off -fno-math-errno -Wall -Wextra -Wconversion -Werror \
        -I"$root/csrc" -I"$scratch" -c '{}' -o /dev/null
    echo "$($compiler --version | head -1): no warnings"
done
