#!/usr/bin/env bash
# The C library on machines that are not this one, without Python there. For 64-bit ARM it is cross-compiled and run by
# qemu; for musl it is linked statically; both must give the losses of tests/c/smoke.c that this machine's compiler gives
# and the bits of the reference for the networks of tests/golden_nets.py, with one thread and two. mingw compiles it for
# Windows without a warning, and a 32-bit compiler is told why it cannot. Installs what is missing where it can: as root,
# with apt-get. PYTHON is an interpreter with fastnn.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

declare -A packages=(
    [aarch64-linux-gnu-gcc]='gcc-aarch64-linux-gnu libc6-dev-arm64-cross' [qemu-aarch64]=qemu-user [musl-gcc]=musl-tools
    [x86_64-w64-mingw32-gcc]=gcc-mingw-w64-x86-64
)
missing=()
for tool in "${!packages[@]}"; do
    command -v "$tool" >/dev/null || read -ra missing <<<"${missing[*]} ${packages[$tool]}"
done
if [ ${#missing[@]} -gt 0 ]; then
    apt-get -qq update && apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null
fi

python3 "$root/csrc/generate.py" "$scratch/generated"
PYTHONSAFEPATH=1 "${PYTHON:-python3}" "$root/tests/scripts/golden_images.py" "$scratch/golden.bin"

# build NAME COMPILER FLAGS...: smoke and golden in a folder of that name, without a warning.
build() {
    local name=$1 compiler=$2
    shift 2
    mkdir "$scratch/$name"
    printf '%s\n' "$root"/tests/c/{smoke,golden}.c "$root"/csrc/*.c | (cd "$scratch/$name" && xargs -P "$(nproc)" -I '{}' \
        "$compiler" -std=c11 -O1 -ffp-contract=off -fno-math-errno -Wall -Wextra -Wconversion -Werror "$@" \
        -I"$root/csrc" -I"$scratch/generated" -c '{}')
    for main in smoke golden; do
        mv "$scratch/$name/$main.o" "$scratch/$name.$main.o"
    done
    for main in smoke golden; do
        "$compiler" "$@" "$scratch/$name.$main.o" "$scratch/$name"/*.o -lm -o "$scratch/$name/$main"
    done
}

# check NAME LAUNCHER...: both run, and the losses are those of this machine.
check() {
    local name=$1 threads
    shift
    for threads in 1 2; do
        "$@" "$scratch/$name/smoke" $threads > "$scratch/$name/losses"
        diff <(cut -d' ' -f2- "$scratch/$name/losses") "$scratch/losses" >&2
        printf '%s, threads %s: the losses of this machine; ' "$name" $threads
        "$@" "$scratch/$name/golden" "$scratch/golden.bin" $threads
    done
}

build here "${CC:-gcc}" -pthread
"$scratch/here/smoke" | cut -d' ' -f2- > "$scratch/losses"

build arm64 aarch64-linux-gnu-gcc -static -pthread
check arm64 qemu-aarch64

build musl musl-gcc -static -pthread
for level in avx512 avx2 portable; do  # one that the processor lacks is its best
    FASTNN_CPU=$level check musl env
done

build windows x86_64-w64-mingw32-gcc
echo 'windows: compiled and linked, not run'

for source in "$root"/csrc/*.c; do
    if "${CC:-gcc}" -m32 -fsyntax-only -I"$root/csrc" -I"$scratch/generated" "$source" 2> "$scratch/said" ||
        ! grep -q 'fastnn needs a 64-bit machine' "$scratch/said"; then
        echo "32 bits: $source is not refused" >&2
        exit 1
    fi
done
echo '32 bits: refused'
