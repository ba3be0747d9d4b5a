"""`fastnn info MODEL`: what is in a file of a network."""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import options
from .frames import some

if TYPE_CHECKING:
    from ..core.declaration import Declaration
    from ..layers import Layer

Report = dict[str, Any]  # JSON values by name

WIDTH, INDENT = 80, 12
SHOWN = 10  # of a list


def run(args: argparse.Namespace) -> int:
    """Print what the file holds."""
    report = describe(args.model)
    if args.json:
        options.print_json(report)
        return 0
    for name, text in _rows(report):
        options.answer(textwrap.fill(f"{name:{INDENT}}{text}", WIDTH, subsequent_indent=" " * INDENT) + "\n")
    return 0


def describe(path: str) -> Report:
    """What the file says, as JSON values.

    Raises:
        FileError: not a file of a network. OSError: it cannot be read.
    """
    from ..core.plan import Counter
    from ..models import load_model
    from . import schema

    model = load_model(path, backend="reference")
    trained = schema.of_model(path, model)
    counters = model.engine().state.counters
    inputs = [list(tensor.row) for tensor in model.inputs]
    each = model.loss if isinstance(model.loss, list) else [model.loss]
    losses = [None if loss is None else _config(loss) for loss in each]
    return {
        "file": path,
        "bytes": Path(path).stat().st_size,
        "dtype": model.dtype,
        "inputs": inputs[0] if len(inputs) == 1 else inputs,
        "layers": [_layer(layer) for layer in model.layers],
        "parameters": model.count_params(),
        "trainable_parameters": sum(int(weight.size) for weight in model.trainable_weights),
        "optimizer": None if model.optimizer is None else _config(model.optimizer),
        "loss": losses[0] if len(losses) == 1 else losses,
        "metrics": model.metrics_names,
        "epochs": int(counters[Counter.EPOCH]),
        "steps": int(counters[Counter.STEP]),
        "seed": int(counters[Counter.SEED]),
        "data": None if trained is None else trained.to_json(),
    }


def _layer(layer: Layer) -> Report:
    weights = layer.get_weights()
    return {
        **_config(layer),
        "weights": [list(weight.shape) for weight in weights],
        "parameters": sum(int(weight.size) for weight in weights),
    }


def _config(thing: Declaration) -> Report:
    return {"class": type(thing).__name__, "config": thing.get_config()}


def _rows(report: Report) -> list[tuple[str, str]]:
    frozen = report["parameters"] - report["trainable_parameters"]
    rows = [
        ("file", f"{report['file']}, {options.count(report['bytes'], 'byte')}"),
        (
            "parameters",
            f"{report['parameters']:,} {report['dtype']}" + (f", {frozen:,} of them not trained" if frozen else ""),
        ),
    ]
    for place, layer in enumerate(report["layers"]):
        rows.append((f"layer {place}", _layer_text(layer)))
    losses = report["loss"] if isinstance(report["loss"], list) else [report["loss"]]
    if names := [_name(loss) for loss in losses if loss is not None]:
        rows.append(("loss", ", ".join(names)))
    if report["optimizer"] is not None:
        rate = report["optimizer"]["config"].get("learning_rate")
        shown = f", learning rate {rate:g}" if isinstance(rate, float) else ""
        rows.append(("optimizer", f"{_name(report['optimizer'])}{shown}"))
    trained = f"{options.count(report['epochs'], 'epoch')}, {options.count(report['steps'], 'step')}"
    rows.append(("trained", f"{trained}, seed {report['seed']}"))
    if report["data"] is not None:
        rows += _data(report["data"])
    return rows


def _layer_text(layer: Report) -> str:
    config = layer["config"]
    parts = [f"{key} {config[key]:.6g}" for key in ("rate", "scale", "offset") if isinstance(config.get(key), float)]
    if "units" in config:
        parts.append(options.count(config["units"], "unit"))
    if isinstance(config.get("activation"), str):
        parts.append(config["activation"])
    if layer["parameters"]:
        parts.append(options.count(layer["parameters"], "parameter"))
    return f'{layer["class"]} "{config["name"]}"' + (f": {', '.join(parts)}" if parts else "")


def _name(thing: Report) -> str:
    return str(thing["config"].get("name") or thing["class"])


def _data(data: Report) -> list[tuple[str, str]]:
    columns = [
        column["name"] + (f" ({options.count(len(column['categories']), 'text')})" if "categories" in column else "")
        for column in data["columns"]
    ]
    classes = data["classes"]
    kind = (
        "a quantity" if classes is None else f"{len(classes):,} classes: {some([str(name) for name in classes], SHOWN)}"
    )
    rows = [("target", f"{data['target']}, {kind}")]
    if columns:
        rows.append(("columns", f"{len(columns)}: {some(columns, SHOWN)}"))
    rows.append(("missing", "an error" if data["fill"] is None else "become the mean of their column"))
    return rows
