#!/usr/bin/env bash
# The tests that reach C with the library under AddressSanitizer and UndefinedBehaviorSanitizer, in an environment without
# Numba: so it also shows that everything works there. Each file runs on one instruction set: the sanitizers see all of
# the portable one, but no masked loads and stores. PYTHON chooses the interpreter, CC the compiler. `sanitize_c.sh` looks
# for races with ThreadSanitizer.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
git clone --quiet "$root" "$scratch/checkout"  # a build of its own
cd "$scratch/checkout"

"${PYTHON:-python3}" -m venv "$scratch/venv"
# shellcheck disable=SC1091
source "$scratch/venv/bin/activate"
python - > "$scratch/requirements.txt" <<'END'
import tomllib

with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)["project"]
extras = project["optional-dependencies"]
wanted = [*project["dependencies"], *extras["test"], *extras["data"]]
print(*(name for name in wanted if not name.startswith(("numba", project["name"]))), sep="\n")
END
pip install --quiet -r "$scratch/requirements.txt"
# What comes last on the command line holds: the optimisation of a release would take minutes to compile.
printf '#!/bin/sh\nexec %s "$@" -O1 -g1 -fsanitize=address,undefined -fno-sanitize-recover=all\n' "${CC:-gcc}" > "$scratch/cc"
chmod +x "$scratch/cc"
CC="$scratch/cc" pip install --quiet --no-deps .

# Python itself is not instrumented: its runtime is loaded first, and what Python never frees is no leak.
export LD_PRELOAD ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 PYTHONMALLOC=malloc
export CI=true FASTNN_REQUIRE=c FASTNN_TEST_ONLY=c
LD_PRELOAD=$("${CC:-gcc}" -print-file-name=libasan.so)

on() {
    local level=$1 chosen=$2
    shift 2
    printf -- '-- %s: %s\n' "$level" "$*"
    FASTNN_CPU=$level pytest -q -k "$chosen" "${@/#/tests/test_}"
}

on portable "" operations.py steps.py
on avx2 "" gemm.py
# On the best that the processor has.
on "" "not float64" programs.py large_layers.py prepared.py c.py training.py
