"""Training throughput on graphs of layers beside JAX and PyTorch: whole epochs of the same work, in samples a second.

Wide and deep, a residual net, an agent's two heads, and entity embeddings, measured as in peers.py.
"""

from __future__ import annotations

import common
from fastnn.benchmarks import figures
from fastnn.benchmarks.figures import Result, summary
from fastnn.benchmarks.processes import count
from graph_networks import GRAPHS
from output import Output

PEERS = {"jax": "JAX scan", "torch": "PyTorch", "compile": "PyTorch compile"}
EXAMPLES = """\
  python benches/graphs.py                              all, with 1 and 2 threads: about 15 minutes
  python benches/graphs.py --graphs 2,4 --threads 1     a part of it
  python benches/graphs.py --peers jax --rounds 1       fewer peers
  python benches/graphs.py --tiny                       tries every peer, measures nothing"""


def main() -> None:
    """Measure and print."""
    made = common.parser(__doc__, EXAMPLES, PEERS)
    rows = "; ".join(f"{number} {name}" for number, name in enumerate(GRAPHS, 1))
    made.add_argument_group("which graphs").add_argument(
        "--graphs", type=common.whole_numbers, default=[*range(1, 1 + len(GRAPHS))], metavar="N,N", help=f"{rows} (all)"
    )
    args = common.parse(made, PEERS)
    if max(args.graphs) > len(GRAPHS):
        made.error(f"--graphs: there are {len(GRAPHS)}")
    columns, session = common.libraries(args, PEERS), common.session_of(args)
    about = "Whole epochs with Adam of networks that are no stacks, the best epoch of all rounds."
    out = Output(session, args, "Graphs of layers", about)
    jobs = {
        name: {"graph": name, "tiny": args.tiny, "seconds": args.seconds, "epochs": 1 if args.tiny else 3}
        for name in (list(GRAPHS)[number - 1] for number in args.graphs)
    }
    runs = out.runs(common.run(session, args, "graphs_child.py", columns, jobs))
    results = {key: summary(found) for key, found in runs.items()}
    for threads in args.threads:
        head = [
            "graph, batch",
            *(c.name for c in columns),
            *figures.best_heads(columns),
            "mean loss of the first epoch",
        ]
        lines = []
        for name in jobs:
            row: dict[str, Result] = {
                c.name: results[key] for c in columns if (key := (name, c.name, threads)) in results
            }
            times = {c.name: row[c.name].epoch if c.name in row else None for c in columns}
            cells = [figures.digits(GRAPHS[name].rows / t.best) if t else "-" for t in times.values()]
            losses = ", ".join(f"{result.loss:.3f}" for result in row.values())
            lines.append([name, *cells, *figures.best_cells(columns, times), losses])
        out.table(f"{count(threads)}, samples/s", head, lines)
    out.end()


if __name__ == "__main__":
    main()
