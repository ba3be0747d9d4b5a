"""What of a model is in a file: weights, optimizer, counters, seed, architecture; `tensors.py` is the file itself."""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import backends, optimizers
from ..core.arrays import Array, require_fit
from ..core.declaration import Config, serialize
from ..core.files import path_of, write_atomically
from ..core.plan import Counter, OptimizerEntry, Parameter, Scalar
from ..core.steps import OPTIMIZERS
from ..errors import ArgumentError, ArgumentTypeError, FileError
from ..initializers import of_file
from . import cloning, compiling, tensors
from .compiling import Engine
from .model import TrainableModel
from .tensors import TensorFile

if TYPE_CHECKING:
    from ..backends.protocol import Backend


Names = Sequence[Sequence[str]]  # of each parameter in the order of the layout: its layer's and its own

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
STATE = {"optimizer/scalars": FLOATS[1:], "state/counters": (np.dtype(np.int64),)}


def save(model: TrainableModel, filepath: str | os.PathLike[str], overwrite: bool) -> None:
    """Writes a model; see `Sequential.save`."""
    path = _free_path("save", filepath, overwrite)
    with model.held("save"):
        description = {
            "model": cloning.description(model),
            "compile": _compile_config(model),
            "metadata": _checked_metadata(model.metadata),
        }
        _write(path, model, description)


def save_weights(model: TrainableModel, filepath: str | os.PathLike[str], overwrite: bool) -> None:
    """Writes what a model has learned; see `Sequential.save_weights`."""
    _write(_free_path("save_weights", filepath, overwrite), model, {})


def load(filepath: str | os.PathLike[str], compile: bool, backend: str | Backend | None) -> Any:
    """A model of a file; see `models.load_model`."""
    path = path_of("load_model", "filepath", filepath)
    backends.get(backend)  # a name that cannot be is refused before the file is blamed
    with tensors.opened(path) as file:
        if "model" not in file.description:
            raise FileError(f"{path}: it holds weights alone; build the model as it was, then call load_weights")
        try:
            with warnings.catch_warnings(), of_file():
                warnings.simplefilter("ignore", UserWarning)  # the advice was given when it was made
                model = _built(file, backend if compile else None)
                engine = model.engine()
        except FileError:
            raise
        except Exception as error:  # a description may be made up: whatever it leads to is the fault of the file
            raise FileError(f"{path}: its description of the model is not valid: {error}") from error
        views = _views(engine, model.compiled)
        for name in file.shapes:
            if name not in views and (compile or not name.startswith("optimizer/")):
                raise FileError(f'{path}: the tensor "{name}" has no place in the model')
        _fill(file, views)
    model.seed = int(engine.state.counters[Counter.SEED])
    return model


def load_weights(model: TrainableModel, filepath: str | os.PathLike[str]) -> None:
    """Reads a file into a model; see `Sequential.load_weights`."""
    path = path_of("load_weights", "filepath", filepath)
    with tensors.opened(path) as file, model.held("load_weights", writes=True) as engine:
        names = _matched(file, engine.plan.layout.parameters)
        views = _views(engine, model.compiled, names)
        if not _same_optimizer(model, file):
            views = {name: view for name, view in views.items() if name.startswith("weights/")}
        _fill(file, views)
    model.seed = int(engine.state.counters[Counter.SEED])


# writing


def _write(path: Path, model: TrainableModel, description: Mapping[str, object]) -> None:
    with model.held("save") as engine:  # another thread that trains it waits until its views are written
        known = {
            "parameters": [[p.layer, p.name] for p in engine.plan.layout.parameters],
            "optimizer": _optimizer(model),
        }
        write_atomically(path, *tensors.content(_views(engine, model.compiled), {**description, **known}))
    if path.suffix in (".keras", ".h5", ".hdf5"):
        warnings.warn(
            f"files have fastnn's own format under any name: Keras cannot read what is written as {path.suffix}",
            stacklevel=4,
        )


def _compile_config(model: TrainableModel) -> Config | None:
    recipe = model.recipe
    if recipe is None:
        return None
    numbers = range(len(recipe.losses))
    of_each: Config = {
        "loss": [serialize(loss) for loss in recipe.losses],
        "metrics": [[serialize(metric) for metric in recipe.of(number, False)] for number in numbers],
        "weighted_metrics": [[serialize(metric) for metric in recipe.of(number, True)] for number in numbers],
        "loss_weights": list(recipe.loss_weights),
    }
    if recipe.several:  # by name, in the order in which lists of results have them
        of_each["loss"] = {recipe.outputs[number]: of_each["loss"][number] for number in recipe.order}
    else:
        of_each = {name: one for name, (one,) in of_each.items() if name != "loss_weights" or one != 1.0}
    return {"optimizer": {**serialize(recipe.optimizer), "excluded": list(recipe.optimizer.excluded)}, **of_each}


def _checked_metadata(metadata: object) -> Config:
    if not isinstance(metadata, dict):
        raise ArgumentTypeError(f"save: model.metadata is {metadata!r}, expected a dict")
    for key, value in metadata.items():
        try:
            if not isinstance(key, str) or json.loads(json.dumps(value, allow_nan=False)) != value:
                raise TypeError("it does not come back as it is")
        except (TypeError, ValueError, RecursionError) as error:
            raise ArgumentTypeError(
                f"save: model.metadata[{key!r}] is no JSON value: {error}; give text, finite numbers, lists and dicts "
                "with text as keys"
            ) from None
    return metadata


# reading


def _built(file: TensorFile, backend: str | Backend | None) -> Any:
    """The model of a file, compiled where a backend is given; nothing of its size exists before its tensors match."""
    entry = file.description
    if entry["model"]["class_name"] not in cloning.KINDS:
        raise TypeError(f"{entry['model']['class_name']!r} is no model")
    model = cloning.described(entry["model"])
    model.metadata = entry.get("metadata", {})
    if not isinstance(model.metadata, dict):
        raise TypeError(f"metadata is {model.metadata!r}, expected an object")
    plan, _ = compiling.lower(model.flat_graph(), model.dtype)  # shapes without arrays
    for p in plan.layout.parameters:
        file.require(f"weights/{p.layer}/{p.name}", p.shape, np.dtype(model.dtype))
    arguments = entry["compile"]
    if arguments is not None and backend is not None:
        optimizer = optimizers.get({key: arguments["optimizer"][key] for key in ("class_name", "config")})
        optimizer.exclude_from_weight_decay(var_names=arguments["optimizer"]["excluded"])
        of_each = {name: arguments.get(name) for name in ("metrics", "weighted_metrics", "loss_weights")}
        model.compile(optimizer, arguments["loss"], **of_each, backend=backend)
    return model


def _matched(file: TensorFile, wanted: Sequence[Parameter]) -> Names:
    """The names in a file of the parameters of a model, which correspond by their order.

    Raises:
        FileError: another number of them, or another kind or shape.
    """
    names = file.description.get("parameters")
    if not isinstance(names, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in names):
        raise FileError(f"{file.path}: its description does not name its weights")
    advice = "build the model as the one that was saved"
    for pair, p in zip(names, wanted, strict=False):
        name = "weights/{}/{}".format(*pair)
        there = file.shapes.get(name, ("", None))[1]
        if pair[1] != p.name or there != p.shape:
            raise FileError(
                f'{file.path}: "{pair[0]}/{pair[1]}" has shape {there}, but in its place the model has '
                f'"{p.layer}/{p.name}" of shape {p.shape}; {advice}'
            )
        file.require(name, p.shape, *FLOATS)
    if len(names) != len(wanted):
        first = "/".join(map(str, names[len(wanted)] if len(names) > len(wanted) else wanted[len(names)][:2]))
        more = "the model has no place for" if len(names) > len(wanted) else "it does not hold"
        raise FileError(f'{file.path}: {more} "{first}"; {advice}')
    return names


def _same_optimizer(model: TrainableModel, file: TensorFile) -> bool:
    """Whether a file has the state of the kind of optimizer that the model is compiled with."""
    saved, here = file.description.get("optimizer"), _optimizer(model)
    if saved is None or here is None:
        return False
    if saved != here:
        warnings.warn(
            f"{file.path}: its optimizer is {saved}, the model is compiled with {here}; the weights alone are read",
            stacklevel=4,
        )
    return bool(saved == here)


def _fill(file: TensorFile, views: Mapping[str, Array]) -> None:
    """Reads tensors into views: all of them, or none where one is wrong. Each is read twice, so that never more than
    one of them is in memory beside the views.

    Raises:
        FileError: a tensor is missing, has another shape or dtype, or holds what it cannot hold.
    """
    diverged = []
    with np.errstate(over="ignore"):
        for name, view in views.items():
            file.require(name, view.shape, *(STATE.get(name) or FLOATS))
            array = file.read(name)
            try:
                require_fit(array, view.dtype, f'{file.path}: the tensor "{name}"')
            except ArgumentError as error:
                raise FileError(str(error)) from None
            if not np.isfinite(array).all():
                diverged.append(name)
            _check_state(file, name, array)
        for name, view in views.items():
            view[...] = file.read(name)
    if diverged:
        warnings.warn(
            f'{file.path}: NaN or infinity in {len(diverged)} of its tensors, the first is "{diverged[0]}": what was '
            "saved had diverged",
            UserWarning,
            stacklevel=4,
        )


def _check_state(file: TensorFile, name: str, array: Array) -> None:
    wrong = False
    if name == "optimizer/scalars":
        products = array[Scalar.PRODUCTS :]
        of_range = (products >= 0.0).all() and (products <= 1.0).all()
        wrong = not (0.0 <= array[Scalar.LEARNING_RATE] < math.inf and of_range)
    elif name == "state/counters":
        wrong = bool((array < 0).any())
    if wrong:
        raise FileError(f'{file.path}: the tensor "{name}" is {array.tolist()}')


# both


def _optimizer(model: TrainableModel) -> str | None:
    """The name of the optimizer's formula, which decides what state it has; None where the model is not compiled."""
    return list(OPTIMIZERS)[model.engine().plan.optimizer[OptimizerEntry.CODE]] if model.compiled else None


def _views(engine: Engine, compiled: bool, names: Names | None = None) -> dict[str, Array]:
    """Every array of the state by its name in a file whose parameters are called `names`."""
    plan, state = engine.plan, engine.state
    parameters = plan.layout.parameters
    paths = {p: "{}/{}".format(*pair) for p, pair in zip(parameters, names or [p[:2] for p in parameters], strict=True)}
    views = {f"weights/{paths[p]}": state.view(p) for p in parameters}
    if compiled:
        slots = list(OPTIMIZERS.values())[plan.optimizer[OptimizerEntry.CODE]].slots
        for slot, vector in zip(slots, state.slots, strict=True):
            for p in plan.layout.of("theta"):
                views[f"optimizer/{slot}/{paths[p]}"] = plan.layout.view(vector, p)
        views["optimizer/scalars"] = state.scalars
    views["state/counters"] = state.counters
    return views


def _free_path(where: str, filepath: object, overwrite: bool) -> Path:
    path = path_of(where, "filepath", filepath)
    if not overwrite and path.exists():
        raise ArgumentError(f"{where}: {path} is there already; give another name, or overwrite=True")
    return path


__all__ = ["load", "load_weights", "save", "save_weights"]
