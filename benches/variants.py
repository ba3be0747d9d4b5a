"""What the options of training cost fastnn: each variant beside the bare training of the same network, in one run.

Bare is what peers.py measures: Adam, softmax cross-entropy, float32. Rows of validation come on top of those that are
trained on, a tenth of them, so samples/s always counts trained rows. `all four` is dropout, sample weights, metrics and
validation together.
"""

from __future__ import annotations

from typing import Any

import common
from fastnn.benchmarks import figures
from fastnn.benchmarks.processes import count
from output import Output

BARE = "bare"
DROPOUT: dict[str, Any] = {"dropout": 0.2}
WEIGHTS: dict[str, Any] = {"weights": True}
METRICS: dict[str, Any] = {"metrics": ["accuracy"]}
VALIDATION: dict[str, Any] = {"validation": True}


def _sgd(**config: Any) -> dict[str, Any]:
    return {"optimizer": {"class_name": "SGD", "config": config}}


VARIANTS: dict[str, dict[str, Any]] = {
    BARE: {},
    "float64": {"dtype": "float64"},
    "dropout": DROPOUT,
    "weights": WEIGHTS,
    "metrics": METRICS,
    "validation": VALIDATION,
    "all four": DROPOUT | WEIGHTS | METRICS | VALIDATION,
    "sgd": {"optimizer": "sgd"},
    "momentum": _sgd(momentum=0.9),
    "nesterov": _sgd(momentum=0.9, nesterov=True),
    "rmsprop": {"optimizer": "rmsprop"},
    "adagrad": {"optimizer": "adagrad"},
    "adamw": {"optimizer": "adamw"},
    "mean_squared_error": {"loss": "mean_squared_error"},
    "mean_absolute_error": {"loss": "mean_absolute_error"},
    "huber": {"loss": "huber"},
    "binary_crossentropy": {"loss": "binary_crossentropy"},
}
EXAMPLES = """\
  python benches/variants.py                                      all, on the third network
  python benches/variants.py --variants "float64,all four"        what the goals name
  python benches/variants.py --networks 1,6 --variants sgd,adamw  other networks
  python benches/variants.py --tiny                               tries every variant, measures nothing"""


def main() -> None:
    """Measure and print."""
    made = common.parser(__doc__, EXAMPLES, {})
    common.add_network_options(made, 3)
    made.add_argument(
        "--variants", default=",".join(VARIANTS), metavar="A,B", help=f"which of {', '.join(VARIANTS)} (all)"
    )
    args = common.parse(made, {})
    chosen = [BARE, *(name for name in args.variants.split(",") if name and name != BARE)]
    unknown = [name for name in chosen if name not in VARIANTS]
    if unknown:
        made.error(f"--variants: unknown {', '.join(unknown)}; known: {', '.join(VARIANTS)}")
    columns = common.own_libraries(args)
    session = common.session_of(args)
    about = "Each variant beside the bare training of the same network: Adam, softmax crossentropy, float32."
    out = Output(session, args, "What options of training cost", about)
    for network in common.chosen_networks(made, args):
        whole = network._asdict() | {"seconds": args.seconds, "epochs": 1 if args.tiny else 3}
        jobs = {name: whole | VARIANTS[name] for name in chosen}
        runs = out.runs(common.run(session, args, "training", columns, jobs))
        for threads in args.threads:
            head = ["variant", *(c.name for c in columns), *(f"{c.name} / bare, best (median)" for c in columns)]
            lines = []
            for name in chosen:
                row = [figures.pooled(runs.get((name, c.name, threads), []), "epochs") for c in columns]
                bare = [figures.pooled(runs.get((BARE, c.name, threads), []), "epochs") for c in columns]
                line = [name, *(figures.digits(network.rows / r.best) if r else "-" for r in row)]
                lines.append(line + [figures.ratio(r, [b]) for r, b in zip(row, bare, strict=True)])
            out.table(f"{network.name}: {count(threads)}, samples/s", head, lines)
    out.end()


if __name__ == "__main__":
    main()
