"""What a card should take for the rows of gpu.py, from the counts of its machine code: a prediction to be held against
the first run on a card, not a measurement. Every assumption is printed.

Of a product: the model by which the backend divides it (`Division.clocks` of `tiles.py`). Products of few rows or
columns, which have a kernel of their own, count as tiles. Of a small chain: its phases one after another, each as long
as its chain of dependent products, or as the instructions that all its threads issue; in one block, or dealt to those
of a grid, whose loads are of a cache and whose barriers go through the second one. Of larger networks: a kernel costs
what it takes to start in a graph, or the time of its products, or that of its bytes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from fastnn.benchmarks import networks
from fastnn.core.plan import Plan

EXAMPLES = """\
  python benches/cuda_model.py                                            an H200
  python benches/cuda_model.py --measured benches/results/gpu.json        beside what was measured
"""
THREADS = 256  # of a block that trains a chain
SHARED_BYTES = 227 * 1024  # that it may have


def main() -> None:
    made = argparse.ArgumentParser(
        description=__doc__, epilog="examples\n" + EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--multiprocessors", type=int, default=132, help="of the card (132: H200)")
    made.add_argument("--clock", type=float, default=1.98, help="GHz (1.98)")
    made.add_argument("--bandwidth", type=float, default=4.8e3, help="GB/s of memory (4800)")
    made.add_argument("--launch", type=float, default=1.5, help="us of a kernel in a graph (1.5)")
    made.add_argument("--latency", type=float, default=30.0, help="clocks of a shared load and its fma, dependent (30)")
    made.add_argument("--barrier", type=float, default=40.0, help="clocks of a barrier of a block (40)")
    made.add_argument("--cache-latency", type=float, default=60.0, help="the same of a load by the L1 cache (60)")
    made.add_argument("--grid-barrier", type=float, default=2500.0, help="clocks of a barrier of a grid (2500)")
    made.add_argument("--measured", type=Path, metavar="FILE", help="what gpu.py wrote")
    made.add_argument("--tiny", action="store_true", help="the same: nothing here takes long")
    args = made.parse_args()
    for name, value in vars(args).items():
        if name not in ("measured", "tiny"):
            print(f"assumed: {name.replace('_', ' ')} {value:g}")
    found = {}
    if args.measured:
        rows = json.loads(args.measured.read_text())["figures"]
        found = {row["work"]: row["fastnn"] for row in rows if isinstance(row["fastnn"], float)}
    print("\n| work | unit | predicted | measured | measured / predicted |\n| --- | --- | --- | --- | --- |")
    for work, unit, value in predictions(args):
        measured = found.get(work)
        cells = (f"{measured:.4g}", f"{measured / value:.2f}") if measured else ("-", "-")
        print(f"| {work} | {unit} | {value:.4g} | {' | '.join(cells)} |")


def predictions(args: argparse.Namespace) -> Iterator[tuple[str, str, float]]:
    """The work, its unit, and what is predicted."""
    for side in (1024, 2048, 4096, 8192):
        yield f"product {side}", "TFLOP/s", 2.0 * side**3 / product_seconds(args, side, side, side) / 1e12
    for network in networks.NETWORKS:
        found = chain_seconds(args, network), grid_seconds(args, network), operations_seconds(args, network)
        step = next(seconds for seconds in found if seconds is not None)
        yield network.name, "samples/s", network.batch / step


def product_seconds(args: argparse.Namespace, M: int, N: int, K: int) -> float:
    """Of the division that the backend takes, by its own model."""
    from fastnn.backends.cuda.tiles import RAGGED, Division, choose

    division = choose("float32", "nn", M, N, K, True, args.multiprocessors) or Division(RAGGED, 1)
    return float(division.clocks(M, N, K, 4, args.multiprocessors) / (args.clock * 1e9))


def chain_seconds(args: argparse.Namespace, network: networks.Network) -> float | None:
    """Of a step of a network that one block trains; None where it does not fit its shared memory."""
    from fastnn.backends.cuda.chains import chain

    made = chain(plan_of(network), network.batch, -1)
    if made is None or made.elements * 4 > SHARED_BYTES:
        return None
    return phases_seconds(args, network, 1, args.latency, args.barrier)


def grid_seconds(args: argparse.Namespace, network: networks.Network) -> float | None:
    """Of a step of a network that the blocks of a grid train; None where operations are launched one by one."""
    from fastnn.backends.cuda.chains import GRID_FLOPS, chain

    made = chain(plan_of(network), network.batch, -1)
    if made is None or made.flops > GRID_FLOPS:
        return None
    blocks = min(args.multiprocessors, -(-made.most // THREADS))
    return phases_seconds(args, network, blocks, args.cache_latency, args.grid_barrier)


def phases_seconds(
    args: argparse.Namespace, network: networks.Network, blocks: int, latency: float, barrier: float
) -> float:
    """Of the phases of a step, whose elements are dealt to all threads, and a barrier after each."""
    clocks = 0.0
    for fan_in, fan_out in pairwise(network.widths):
        for elements, depth in (
            (network.batch * fan_out, fan_in),
            (network.batch * fan_in, fan_out),
            ((fan_in + 1) * fan_out, network.batch),
        ):
            turns = -(-elements // (THREADS * blocks))
            clocks += max(turns * depth * 4 * THREADS / 32 / 4, turns * depth * latency / 2) + barrier
    # The loss; totals in row order, by one thread.
    clocks += network.batch / (THREADS / 16 * blocks) * 600 + network.batch * latency
    return float(clocks / (args.clock * 1e9))


def operations_seconds(args: argparse.Namespace, network: networks.Network) -> float:
    """Of a step that is a graph of kernels."""
    seconds, launch = 0.0, args.launch * 1e-6
    for number, (fan_in, fan_out) in enumerate(pairwise(network.widths)):
        B = network.batch
        shapes = [(B, fan_out, fan_in), (fan_in, fan_out, B)] + ([(B, fan_in, fan_out)] if number else [])
        for shape in shapes:
            seconds += max(launch, product_seconds(args, *shape))
        parameters = (fan_in + 1) * fan_out
        seconds += max(launch, 7 * 4 * parameters / (args.bandwidth * 1e9))  # theta, m, v read and written, g read
        seconds += 2 * launch  # the bias's gradient and step; the relu and its slope are the products'
    return float(seconds + 8 * launch)  # rows, the loss, totals, the step's number


def plan_of(network: networks.Network) -> Plan:
    """Lowered, with Adam."""
    from fastnn.core.lowering import Lowering
    from fastnn.core.specs import LossSpec, OptimizerSpec

    lowering = Lowering("float32", network.widths[0])
    for number, width in enumerate(network.widths[1:]):
        lowering.dense(f"dense_{number}", width)
        lowering.activation("relu" if number < len(network.widths) - 2 else "softmax")
        lowering.next_layer()
    return lowering.finish(LossSpec(networks.CLASSES), (), OptimizerSpec("adam", (0.9, 0.999, 1e-7)))


if __name__ == "__main__":
    main()
