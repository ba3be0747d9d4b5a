"""Files that are damaged, foreign or made up: one clear error, no memory, nothing executed."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save, save_file

import fastnn
from fastnn.engine import tensors
from fastnn.errors import FileError
from parts import Parts, blank, good_file, trained

MEMORY = 2**24  # bytes that refusing a file may take


def refused(path: Path, content: bytes, message: str) -> None:
    """Both ways of reading a file raise the error, take no memory, and leave a model as it was."""
    path.write_bytes(content)
    model = blank()
    before = model.get_weights()
    tracemalloc.start()
    try:
        with pytest.raises(FileError, match=message) as caught:
            fastnn.load_model(path, backend="reference")
        assert str(caught.value).startswith(str(path))
        try:
            model.load_weights(path)
        except FileError:
            assert all((a == b).all() for a, b in zip(model.get_weights(), before, strict=True))
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()


def test_the_parts_make_a_good_file(tmp_path: Path) -> None:
    path = tmp_path / "model"
    parts = Parts(good_file())
    parts.reshape("weights/dense/bias", 8)
    path.write_bytes(parts.content())
    assert fastnn.load_model(path, backend="reference").metadata == {"classes": ["a", "b", "c"]}


def test_a_file_is_what_safetensors_writes() -> None:
    arrays: dict[str, np.ndarray[Any, Any]] = {
        "b": np.arange(6, dtype=np.float32).reshape(2, 3),
        "a\u00e9": np.zeros((0, 4), np.float32),
        "c": np.arange(3, dtype=np.int64),
        "d": np.array([0.5]),
        "a": np.arange(5, dtype=np.float32)[::2],
    }
    written = b"".join(tensors.content(arrays, {"text": "\u00e9"}))
    metadata = {"format": tensors.FORMAT, "fastnn": json.dumps({"text": "\u00e9"})}
    theirs = save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, metadata)
    ends = [8 + int.from_bytes(content[:8], "little") for content in (written, theirs)]
    headers = [json.loads(content[8:end]) for content, end in zip((written, theirs), ends, strict=True)]
    assert headers[0] == headers[1] and list(headers[0])[1:] == list(headers[1])[1:]
    assert written[ends[0] :] == theirs[ends[1] :] and ends[0] % 8 == 0


def test_saving_takes_no_copy_of_the_weights(tmp_path: Path) -> None:
    model = fastnn.Sequential([fastnn.Input((512,)), fastnn.layers.Dense(4096, kernel_initializer="zeros")])
    model.compile("adam", "mse", backend="reference")
    size = 3 * 4 * model.count_params()
    model.engine()
    tracemalloc.start()
    try:
        model.save(tmp_path / "model")
        saved = tracemalloc.get_traced_memory()[1]
        model.load_weights(tmp_path / "model")
        loaded = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert saved < size / 20 and loaded < size / 2


def drop(name: str) -> Any:
    return lambda parts: (parts.resize(name, 0), parts.header.pop(name))


def described(**changes: Any) -> Any:
    return lambda parts: parts.description.update(changes)


def dense(**changes: Any) -> Any:
    return lambda parts: parts.layers[0].update(changes)


def filled(name: str, value: float, dtype: str = "float32") -> Any:
    return lambda parts: parts.array(name, dtype).__setitem__(-1, value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop("weights/dense/bias"), 'the tensor "weights/dense/bias" is missing'),
        (drop("weights/batch_normalization/moving_mean"), 'moving_mean" is missing'),
        (drop("optimizer/momentum/dense/bias"), 'the tensor "optimizer/momentum/dense/bias" is missing'),
        (drop("state/counters"), 'the tensor "state/counters" is missing'),
        (lambda p: p.reshape("weights/dense/bias", 9), r"is float32 \(9,\), expected float32 \(8,\)"),
        (lambda p: p.reshape("weights/dense/kernel", 8, 4), r"\(8, 4\), expected float32 \(4, 8\)"),
        (lambda p: p.header["weights/dense/bias"].update(dtype="I32"), "is I32"),
        (lambda p: p.header["weights/dense/bias"].update(dtype="BF16", shape=[16]), "is BF16"),
        (
            lambda p: p.header.update(extra={"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}),
            '"extra" has no place',
        ),
        (lambda p: p.header.pop("__metadata__"), "a safetensors file, but not of a fastnn model"),
        (lambda p: p.header["__metadata__"].update(format="pt"), "a safetensors file, but not of a fastnn model"),
        (filled("optimizer/scalars", np.nan, "float64"), '"optimizer/scalars" is '),
        (filled("optimizer/scalars", -1.0, "float64"), '"optimizer/scalars" is '),
        (filled("state/counters", -1, "int64"), '"state/counters" is '),
        (described(model={}), "its description of the model is not valid"),
        (described(model=None), "its description of the model is not valid"),
        (described(compile={}), "its description of the model is not valid: 'optimizer'"),
        (described(metadata=[]), "its description of the model is not valid: metadata is "),
        (lambda p: p.description["model"]["config"].update(layers=[]), "its description of the model is not valid"),
        (lambda p: p.description["model"]["config"].update(input_shape=None), "its description of the model"),
        (lambda p: p.description["model"]["config"]["layers"][0].update(class_name="Danse"), 'unknown layer "Danse"'),
        (lambda p: p.description["model"]["config"]["layers"][0].update(class_name=[]), "unhashable"),
        (lambda p: p.description["compile"]["optimizer"].update(class_name="Eve"), 'unknown name "Eve"'),
        (dense(units=-8), "units is -8"),
        (dense(units="8"), "units is str '8'"),
        (dense(units=9), r'"weights/dense/kernel" is float32 \(4, 8\), expected float32 \(4, 9\)'),
        (dense(shell="rm"), 'unknown argument "shell"'),
        (dense(name="a/b"), "expected text without a slash"),
        # what would take all memory, and more than there is
        (dense(units=10**9), r"expected float32 \(4, 1000000000\)"),
        (dense(units=10**30), "weights/dense/kernel|not valid"),
        (
            lambda p: p.description["model"]["config"].update(input_shape=[10**12]),
            r"expected float32 \(1000000000000, 8\)",
        ),
        (lambda p: p.description["model"]["config"].update(input_shape=[10**6] * 6), "weights/dense/kernel|not valid"),
        (lambda p: p.header["weights/dense/kernel"].update(shape=[10**6, 10**9]), "or damaged"),
        (lambda p: p.header["weights/dense/kernel"].update(data_offsets=[0, 2**60]), "or damaged"),
    ],
)
def test_made_up_files(change: Any, message: str, tmp_path: Path) -> None:
    parts = Parts(good_file())
    change(parts)
    refused(tmp_path / "model", parts.content(), message)


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ("{", "its description of the model is no JSON"),
        ("[]", "its description of the model is no JSON object"),
        ("[" * 100_000, "its description of the model is no JSON"),
        ('{"model": ' + "9" * 5000 + "}", "its description of the model is no JSON"),
        ('{"model": {"config": NaN}}', "its description of the model is not valid"),
    ],
)
def test_descriptions_that_are_none(description: str, message: str, tmp_path: Path) -> None:
    refused(tmp_path / "model", Parts(good_file()).content(description), message)


def test_a_description_that_never_ends(tmp_path: Path) -> None:
    parts = Parts(good_file())
    parts.header["__metadata__"]["padding"] = " " * tensors.HEADER_LIMIT
    refused(tmp_path / "model", parts.content(), "its header has [0-9,]+ bytes, expected at most 16,777,216")


class Bomb:
    def __reduce__(self) -> Any:
        return os.mkdir, (str(Path(os.environ["FASTNN_TEST_FOLDER"]) / "executed"),)


def zipped(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "{}")
    return file.getvalue()


def npy() -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a file of a fastnn model, or damaged"),
        (b"hello", "not a file of a fastnn model, or damaged"),
        (b"\0" * 9, "not a file of a fastnn model, or damaged"),
        (b"\xff" * 100, "not a file of a fastnn model, or damaged"),
        (struct.pack("<Q", 2**63) + b"{}", "not a file of a fastnn model, or damaged"),
        (struct.pack("<Q", 2) + b"{}", "a safetensors file, but not of a fastnn model"),
        (
            zipped("metadata.json", "config.json", "model.weights.h5"),
            "a zip archive, such as Keras writes under .keras",
        ),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 100, "an HDF5 file, such as Keras writes under .h5"),
        (npy(), "a NumPy array, not a file of a fastnn model; load it with the library that wrote it"),
    ],
)
def test_foreign_files(content: bytes, message: str, tmp_path: Path) -> None:
    refused(tmp_path / "model.keras", content, message)


def test_nothing_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTNN_TEST_FOLDER", str(tmp_path))
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        refused(tmp_path / "model", pickle.dumps(Bomb(), protocol), "a pickle, which is never executed")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_files_of_others(tmp_path: Path) -> None:
    path = tmp_path / "model"
    for metadata in (None, {"format": "pt"}, {"format": tensors.FORMAT}):
        save_file({"a": np.zeros(3)}, path, metadata)
        with pytest.raises(FileError, match="a safetensors file, but not of a fastnn model"):
            fastnn.load_model(path)
    for load in (fastnn.load_model, trained().load_weights):
        with pytest.raises(FileError, match="absent: there is no such file"):
            load(tmp_path / "absent")
        with pytest.raises(FileError, match="it is not a file"):
            load(tmp_path)
