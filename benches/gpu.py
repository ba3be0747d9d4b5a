"""The CUDA backend on the card of this machine: first its bits beside C, and only then its speed beside the peers.

A difference of one bit ends the run before anything is timed. On the emulated card the bits are compared and nothing is
timed: it says what is right, not how fast a card is.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

import gpu_child
from fastnn.benchmarks import networks

HERE = Path(__file__).parent

EXAMPLES = """\
  python benches/gpu.py --out benches/results/gpu.json      bits, then the table; under 10 minutes
  python benches/gpu.py --bits                              bits alone
  tests/cuda/run python benches/gpu.py --tiny               tries everything on the emulated card; measures nothing
"""
PACKAGES = ("numpy", "numba", "numba-cuda", "cuda-core", "cuda-bindings", "torch", "jax")
MOST = 200_000  # products of a case whose bits are compared


def main() -> int:
    made = argparse.ArgumentParser(
        description=__doc__, epilog="examples\n" + EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--bits", action="store_true", help="compare bits and measure nothing")
    made.add_argument("--tiny", action="store_true", help="next to no work: tries the program, measures nothing")
    made.add_argument("--seconds", type=float, default=2.0, metavar="X", help="of repeating, for each figure (2)")
    made.add_argument("--peers", default="torch,compile,jax", metavar="A,B", help='which peers (all); "" for none')
    made.add_argument("--out", type=Path, metavar="FILE", help="keeps what was measured as JSON")
    args = made.parse_args()

    from fastnn import backends

    reason = backends.available()["cuda"]
    if reason:
        print(f"there is nothing to measure: {reason}", file=sys.stderr)
        return 1
    from fastnn.backends.cuda.device import card

    found = card()
    report: dict[str, Any] = {"card": found.name, "arch": found.arch, "driver": ".".join(map(str, found.driver))}
    report |= {"clocks": _clocks(), "versions": _versions(), "python": platform.python_version(), "figures": []}
    print(f"{found.name}, {found.arch}, a driver for CUDA {report['driver']}; {', '.join(report['versions'])}")
    wrong = list(differences(tiny=args.tiny))
    report["bits"] = wrong or "those of c"
    for line in wrong:
        print(f"DIFFERENT: {line}")
    if not wrong:
        print("bits: those of c, for all that was tried")
        if found.emulated:
            print("the emulated card is no card: nothing is measured on it")
        elif not args.bits:
            report["figures"] = list(_measured(args))
            print(table(report["figures"]))
    if args.out is not None and not found.emulated:
        args.out.write_text(json.dumps(report, indent=1) + "\n")
    return 1 if wrong else 0


# --- bits -----------------------------------------------------------------------------------------------------------


def differences(tiny: bool) -> Iterator[str]:
    """What has other bits than C: operations, products of every tile, golden networks, the networks of the table."""
    sys.path.append(str(HERE.parent / "tests"))
    import cases
    import golden_nets
    from fastnn import backends
    from fastnn.core.operations import OPERATIONS

    cuda, c = backends.get("cuda"), backends.get("c")
    for dtype in ("float32",) if tiny else ("float32", "float64"):
        for name, operation in list(OPERATIONS.items())[:: 40 if tiny else 1]:
            for case in cases.cases(operation):
                if math.prod(case.sizes.values()) > MOST:
                    continue
                made = []
                for backend in (cuda, c):
                    buffers = cases.guarded(operation, case, dtype)
                    arrays = [buffers[argument.name].view for argument in operation.arguments]
                    backend.operations(dtype)[name](*arrays, *case.scalars)
                    made.append(arrays)
                if not all(same(*pair) for pair in zip(*made, strict=True)):
                    yield f"{name} {dtype} {case}"
        for M, N, K in () if tiny else ((128, 128, 257), (516, 640, 1000), (200, 333, 129), (2048, 1024, 520)):
            for form in ("nn", "tn", "nt"):
                if not same(gpu_child.product(cuda, form, M, N, K, dtype), gpu_child.product(c, form, M, N, K, dtype)):
                    yield f"gemm_{form} {dtype} {M} x {N} x {K}"
        if not tiny and golden_nets.digests(cuda, dtype) != golden_nets.digests(c, dtype):
            yield f"golden networks {dtype}"
    for network in networks.NETWORKS[: 1 if tiny else None]:
        steps = 2 if tiny else 10
        (losses, theta), (expected, right) = (gpu_child.trained(b, network, steps) for b in (cuda, c))
        if not same(theta, right) or not same(losses, expected):
            yield f"{steps} steps of {network.name}"


def same(a: Any, b: Any) -> bool:
    """Whether arrays have the same bits, but for those of NaN."""
    pairs = [np.where(np.isnan(array), np.array(np.nan, array.dtype), array) for array in (a, b)]
    return bool((pairs[0].view(f"i{a.itemsize}") == pairs[1].view(f"i{a.itemsize}")).all())


# --- speed ----------------------------------------------------------------------------------------------------------


def _measured(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row of figures for each work: fastnn and the peers, each in a fresh process."""
    peers = [name for name in args.peers.split(",") if name]
    seconds = 0.0 if args.tiny else args.seconds
    for side in (1024, 2048, 4096, 8192):
        work = {"kind": "product", "side": side, "seconds": seconds}
        yield _row(f"product {side}", "TFLOP/s", work, [name for name in peers if name == "torch"])
    for number, network in enumerate(networks.NETWORKS):
        work = {"kind": "training", "network": number, "seconds": seconds}
        yield _row(network.name, "samples/s", work, peers)


def _row(name: str, unit: str, work: dict[str, Any], peers: list[str]) -> dict[str, Any]:
    figures = {library: _child({**work, "library": library}) for library in ("fastnn", *peers)}
    return {"work": name, "unit": unit, **figures}


def _child(work: dict[str, Any]) -> float | str:
    """A figure; the last line of the error where there is none."""
    command = [sys.executable, str(HERE / "gpu_child.py"), json.dumps(work)]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        return "took more than 120 s"
    if run.returncode:
        return (run.stderr.strip().splitlines() or ["no output"])[-1][:200]
    return float(run.stdout.strip().splitlines()[-1])


def table(figures: list[dict[str, Any]]) -> str:
    """Markdown: each row beside its best peer."""
    libraries = list(dict.fromkeys(name for row in figures for name in row if name not in ("work", "unit")))
    lines = [f"| work | unit | {' | '.join(libraries)} | fastnn / best peer |", "| --- " * (len(libraries) + 3) + "|"]
    for row in figures:
        numbers = {name: row[name] for name in libraries if isinstance(row.get(name), float)}
        best = max((value for name, value in numbers.items() if name != "fastnn"), default=math.nan)
        cells = [f"{numbers[name]:.4g}" if name in numbers else "-" for name in libraries]
        share = f"{numbers['fastnn'] / best:.2f}" if "fastnn" in numbers and not math.isnan(best) else "-"
        lines.append(f"| {row['work']} | {row['unit']} | {' | '.join(cells)} | {share} |")
    notes = [
        f"{row['work']}, {name}: {row[name]}" for row in figures for name in libraries if isinstance(row.get(name), str)
    ]
    return "\n".join([*lines, *notes])


def _versions() -> list[str]:
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return found


def _clocks() -> str:
    """What nvidia-smi says of them; "" where it is not."""
    query = ["nvidia-smi", "--query-gpu=clocks.sm,clocks.mem,clocks.max.sm,power.limit", "--format=csv,noheader"]
    try:
        return subprocess.run(query, capture_output=True, text=True, timeout=20, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


if __name__ == "__main__":
    sys.exit(main())
