#!/usr/bin/env bash
# Trains the network of tests/c/smoke.c on every instruction set with two threads: under AddressSanitizer and
# UndefinedBehaviorSanitizer, then under ThreadSanitizer; or under those that are named. CC chooses the compiler. Prints a
# line for each run, and fails where a sanitizer finds something: most of it on the portable level, since masked loads and
# stores are not instrumented. `sanitize_suite.sh` runs the test suite so.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 "$root/csrc/generate.py" "$scratch/generated"

[ $# -gt 0 ] || set -- address,undefined thread
for sanitizers in "$@"; do
    mkdir "$scratch/$sanitizers"
    # shellcheck disable=SC2016
    printf '%s\n' "$root/tests/c/smoke.c" "$root"/csrc/*.c | xargs -P "$(nproc)" -I '{}' sh -c '"$@" -c "{}" -o "$(basename "{}").o"' \
        sh env -C "$scratch/$sanitizers" "${CC:-cc}" -std=c11 -O1 -g1 -ffp-contract=off -fno-math-errno \
        -fsanitize=$sanitizers -fno-sanitize-recover=all -I"$root/csrc" -I"$scratch/generated"
    "${CC:-cc}" -fsanitize=$sanitizers "$scratch/$sanitizers"/*.o -pthread -lm -o "$scratch/smoke"
    for level in avx512 avx2 portable; do
        printf '%s: ' "$sanitizers"
        # Without random addresses: ThreadSanitizer's map has no room for some.
        FASTNN_CPU=$level setarch -R "$scratch/smoke" 2
    done
done
