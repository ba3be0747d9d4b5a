"""Training throughput of fastnn beside its peers: whole epochs of the same work, in samples a second.

Each measurement is a fresh process on the cores it may use. A round visits every library, with each number of threads,
before the next round begins, so that a slow minute of the machine hits all of them. What a process needs before its
first usual epoch, which is compilation and first use, stands in a table of its own, beside the first epoch's loss: the
same work gives nearly the same loss, but that each library shuffles in its own way.

The floor of a network is the time of its flops at the fma peak, plus the time of the optimizer's bytes (theta and its
slots, read and written) at the bandwidth; both are measured by fastnn/benchmarks/limits.py in the same rounds.
"""

from __future__ import annotations

import common
from fastnn.benchmarks import figures, networks
from fastnn.benchmarks.figures import Result, Spread, floor, summary
from fastnn.benchmarks.networks import PEERS, Network
from fastnn.benchmarks.processes import LIMITS, Library, Runs, count
from output import Output

EXAMPLES = """\
  python benches/peers.py                                    all, with 1 and 2 threads: about 45 minutes
  python benches/peers.py --networks 1,3 --threads 1         a part of it
  python benches/peers.py --peers jax,torch --rounds 2       fewer peers
  python benches/peers.py --network 784-256-10 --batch 1000  a network of your own
  python benches/peers.py --activation tanh --loss mean_squared_error --optimizer sgd
  python benches/peers.py --peer-python ~/peers/bin/python   the peers live in another environment
  python benches/peers.py --backends c --peers "" --cold     what the first use costs
  python benches/peers.py --tiny                             tries every peer, measures nothing"""


Key = tuple[str, str, int]  # network, library, threads


def speeds(
    out: Output,
    threads: int,
    rows: list[Network],
    slots: int,
    columns: list[Library],
    runs: Runs,
    results: dict[Key, Result],
) -> None:
    """Samples/s, the ratios to the best peer, the share of the floor that fastnn reaches, what threads gain."""
    own = [c for c in columns if c.own]
    gains = threads > 1 and any(key[2] == 1 for key in results)
    head = ["network, batch", *(c.name for c in columns), *figures.best_heads(columns)]
    head += [f"{c.name}, share of the floor" for c in own]
    head += [f"{c.name}, {threads} threads / 1, median" for c in own if gains]
    lines = []
    for network in rows:

        def times(threads: int, network: Network = network) -> dict[str, Spread | None]:
            row = {c.name: results.get((network.name, c.name, threads)) for c in columns}
            return {name: result.epoch if result else None for name, result in row.items()}

        here, alone = times(threads), times(1)
        line = [network.name, *(figures.digits(network.rows / r.best) if r else "-" for r in here.values())]
        line += figures.best_cells(columns, here)
        limits = runs.get((network.name, LIMITS, threads), [])
        line += figures.share_cells(columns, here, floor(network, slots, limits))
        line += [figures.threads_gain(alone[c.name], here[c.name]) for c in own if gains]
        lines.append(line)
    out.table(f"{count(threads)}, samples/s", head, lines)


def first_uses(
    out: Output, threads: int, rows: list[Network], columns: list[Library], results: dict[Key, Result]
) -> None:
    """Seconds before the first usual epoch, and the loss of the first epoch."""
    lines = []
    for network in rows:
        row = [results.get((network.name, c.name, threads)) for c in columns]
        lines.append([network.name, *("-" if r is None else f"{r.first:.1f} ({r.loss:.3f})" for r in row)])
    title = f"First use with {count(threads)}, s (mean loss of the first epoch)"
    out.table(title, ["network, batch", *(c.name for c in columns)], lines)


def main() -> None:
    """Measure and print."""
    made = common.parser(__doc__, EXAMPLES, PEERS)
    common.add_network_options(made)
    trained = made.add_argument_group("what is trained")
    trained.add_argument("--activation", choices=networks.ACTIVATIONS, default="relu", help="of hidden layers (relu)")
    trained.add_argument("--loss", choices=networks.LOSSES, default=networks.CLASSES, help=f"({networks.CLASSES})")
    trained.add_argument("--optimizer", choices=networks.OPTIMIZERS, default="adam", help="(adam)")
    args = common.parse(made, PEERS)
    task = {"activation": args.activation, "loss": args.loss, "optimizer": args.optimizer}
    rows = common.chosen_networks(made, args)
    columns = common.libraries(args, PEERS)
    session = common.session_of(args)
    about = (
        f"Whole epochs with {args.optimizer}, {args.loss}, {args.activation}, float32, the best epoch of all rounds."
    )
    out = Output(session, args, "Training", about)
    runs: Runs = {}
    for network in rows:
        job = network._asdict() | task | {"seconds": args.seconds, "epochs": 1 if args.tiny else 3}
        limits = common.limits_job(args, sizes=[network.parameters])
        runs |= out.runs(common.run(session, args, "training", columns, {network.name: job}, limits))
    results = {key: summary(found) for key, found in runs.items() if key[1] != LIMITS}
    for threads in args.threads:
        speeds(out, threads, rows, networks.OPTIMIZERS[args.optimizer], columns, runs, results)
    for threads in args.threads:
        first_uses(out, threads, rows, columns, results)
    out.end()


if __name__ == "__main__":
    main()
