"""Models as safetensors files: tensors, and the architecture as JSON in the metadata. Never pickle, never eval."""

from __future__ import annotations

import json
import os
import secrets
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import layers as layer_module
from . import losses, metrics, optimizers
from .declaration import serialize
from .errors import ArgumentError, FastnnError, FileError
from .formulas import OPTIMIZERS
from .plan import Counter, Opt

if TYPE_CHECKING:
    from .compiling import Engine
    from .models import Sequential

Array = npt.NDArray[Any]

FORMAT = "fastnn-1"


def save(model: Sequential, filepath: str | os.PathLike[str], overwrite: bool) -> None:
    """Writes a model; see `Sequential.save`."""
    path = Path(filepath)
    if not overwrite and path.exists():
        raise ArgumentError(f"save: {path} is there already; give another name, or overwrite=True")
    from safetensors.numpy import save as to_bytes

    engine = model.engine()
    description = {
        "model": {"class_name": "Sequential", "config": model.get_config()},
        "compile": _compile_config(model),
    }
    tensors = {name: np.ascontiguousarray(view) for name, view in _views(engine, model.compiled).items()}
    write_atomically(path, to_bytes(tensors, {"format": FORMAT, "fastnn": json.dumps(description)}))


def load(cls: type[Sequential], filepath: str | os.PathLike[str], compile: bool, backend: Any) -> Sequential:
    """A model of a file; see `models.load_model`."""
    path = Path(filepath)
    tensors, description = _read(path)
    try:
        model = model_from_config(cls, description["model"]["config"])
        told = description["compile"]
        if told is not None and compile:
            _compile(model, told, backend)
        engine = model.engine()
    except (KeyError, TypeError, AttributeError, FastnnError) as error:
        raise FileError(f"{path}: its description of the model is not valid: {error}") from None
    views = _views(engine, model.compiled)
    for name, view in views.items():
        tensor = tensors.get(name)
        if tensor is None:
            raise FileError(f'{path}: the tensor "{name}" is missing')
        if tensor.shape != view.shape or tensor.dtype != view.dtype:
            raise FileError(
                f'{path}: the tensor "{name}" is {tensor.dtype} {tensor.shape}, expected {view.dtype} {view.shape}'
            )
    extra = sorted(name for name in set(tensors) - set(views) if not (name.startswith("optimizer/") and not compile))
    if extra:
        raise FileError(f'{path}: the tensor "{extra[0]}" has no place in the model')
    for name, view in views.items():
        view[...] = tensors[name]
    model.seed = int(engine.state.counters[Counter.SEED])
    return model


def model_from_config(cls: type[Sequential], config: Mapping[str, Any]) -> Sequential:
    """A model of the layers of `Sequential.get_config()`.

    Raises:
        ArgumentError: an unknown layer, or arguments that it does not take.
    """
    model = cls(name=config["name"], trainable=config.get("trainable", True))
    if config["input_shape"] is not None:
        model.add(layer_module.Input(config["input_shape"]))
    for entry in config["layers"]:
        kind = layer_module.CLASSES.get(entry["class_name"])
        if kind is None:
            raise ArgumentError(f'unknown layer "{entry["class_name"]}"')
        model.add(kind.from_config(entry["config"]))
    return model


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file of which a reader, or a crash, sees the old content or the new one, never a part.

    Raises:
        OSError: it cannot be written; it names `path`.
    """
    with _naming(path):
        temporary = _temporary(path)
        try:
            with open(temporary, "xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        if hasattr(os, "O_DIRECTORY"):
            folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)  # the rename itself
            finally:
                os.close(folder)


def require_writable(path: Path) -> None:
    """Tries to make a file beside `path`, which `write_atomically` will do, and removes it.

    Raises:
        OSError: it cannot be made; it names `path`.
    """
    with _naming(path):
        temporary = _temporary(path)
        open(temporary, "xb").close()
        temporary.unlink()


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """An OSError of the system names `path`, not the temporary file."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise type(error)(error.errno, error.strerror, str(path)) from None


def _views(engine: Engine, compiled: bool) -> dict[str, Array]:
    """Every array of the state by its name in a file."""
    plan, state = engine.plan, engine.state
    views = {f"weights/{p.layer}/{p.name}": plan.layout.view(state.theta, p) for p in plan.layout.parameters}
    if compiled:
        slots = list(OPTIMIZERS.values())[plan.optimizer[Opt.CODE]].slots
        for slot, vector in zip(slots, state.slots, strict=True):
            for p in plan.layout.parameters:
                views[f"optimizer/{slot}/{p.layer}/{p.name}"] = plan.layout.view(vector, p)
        views["optimizer/scalars"] = state.scalars
    views["state/counters"] = state.counters
    return views


def _compile_config(model: Sequential) -> dict[str, Any] | None:
    told = model.recipe
    if told is None:
        return None
    return {
        "optimizer": {**serialize(told.optimizer), "excluded": list(told.optimizer.excluded)},
        "loss": serialize(told.loss),
        "metrics": [serialize(metric) for metric in told.metrics],
    }


def _compile(model: Sequential, told: Mapping[str, Any], backend: Any) -> None:
    optimizer = optimizers.get({key: told["optimizer"][key] for key in ("class_name", "config")})
    optimizer.exclude_from_weight_decay(var_names=told["optimizer"]["excluded"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the advice was given when it was made
        loss = None if told["loss"] is None else losses.get(told["loss"])
        model.compile(optimizer, loss, [metrics.get(m) for m in told["metrics"]], backend=backend)


def _read(path: Path) -> tuple[dict[str, Array], Any]:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise FileError(f"{path}: there is no such file")
    try:
        with safe_open(path, "numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise FileError(f"{path}: not a file of a fastnn model")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
        return tensors, json.loads(metadata["fastnn"])
    except (SafetensorError, KeyError, ValueError) as error:
        if isinstance(error, FastnnError):
            raise
        raise FileError(f"{path}: not a file of a fastnn model, or damaged: {error}") from None


__all__ = ["load", "save"]
