"""Files with random changes: read as a model that works, or refused with a FileError; nothing else."""

from __future__ import annotations

import copy
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastnn
from fastnn.errors import FileError
from parts import Parts, blank, good_file
from support import examples


def readable(path: Path) -> None:
    """A file is read as a model that works, or is refused with a FileError; so are its weights."""
    try:
        model = fastnn.load_model(path, backend="reference")
    except FileError:
        pass
    else:
        with np.errstate(all="ignore"):
            row = np.zeros([size or 1 for size in model.input_shape])
            assert model.predict(row, verbose=0).shape[0] == 1
    other = blank()
    try:
        other.load_weights(path)
    except FileError:
        return
    assert all(np.isfinite(w).all() for w in other.get_weights())


@settings(max_examples=examples(150))
@given(data=st.data())
def test_changed_bytes(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    content = bytearray(good_file())
    edge = 8 + struct.unpack("<Q", content[:8])[0]
    for _ in range(data.draw(st.integers(1, 4), "changes")):
        place = data.draw(
            st.one_of(st.integers(0, 20), st.integers(0, edge), st.integers(0, len(content) - 1)), "place"
        )
        kind = data.draw(st.sampled_from(["change", "cut", "insert", "flip"]), "kind")
        place = min(place, len(content) - 1)
        if kind == "cut":
            del content[place : place + data.draw(st.integers(1, 64), "length")]
        elif kind == "insert":
            content[place:place] = data.draw(st.binary(min_size=1, max_size=16), "inserted")
        elif kind == "flip":
            content[place] ^= 1 << data.draw(st.integers(0, 7), "bit")
        else:
            content[place] = data.draw(st.integers(0, 255), "byte")
        if not content:
            break
    path = tmp_path_factory.getbasetemp() / "changed"
    path.write_bytes(content)
    readable(path)


@settings(max_examples=examples(40))
@given(length=st.integers(0, 10_000))
def test_cut_files(length: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "cut"
    path.write_bytes(good_file()[:length])
    if length < len(good_file()):
        with pytest.raises(FileError, match="not a file of a fastnn model, or damaged"):
            fastnn.load_model(path)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container of a JSON value with each of its keys."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [(value, key) for key, _ in items]
    return found + [place for child, key in found for place in places(child[key])]


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 20),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=4),
    st.sampled_from(["Dense", "relu", "softmax", "Normalization", "Adam", "float64", "float16", "mse", "accuracy"]),
)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
)


@settings(max_examples=examples(200))
@given(data=st.data())
def test_changed_descriptions(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    parts = Parts(good_file())
    tree = {"header": parts.header, "description": parts.description}
    for _ in range(data.draw(st.integers(1, 2), "changes")):
        found = places(tree)
        container, key = found[data.draw(st.integers(2, len(found) - 1), "place")]
        kind = data.draw(st.sampled_from(["change", "remove", "copy"]), "kind")
        if kind == "remove":
            del container[key]
        elif kind == "copy":
            other, name = found[data.draw(st.integers(2, len(found) - 1), "from")]
            container[key] = copy.deepcopy(other[name])
        else:
            container[key] = data.draw(json_values, "value")
    path = tmp_path_factory.getbasetemp() / "described"
    metadata = parts.header.get("__metadata__")
    path.write_bytes(parts.content() if isinstance(metadata, dict) else good_file())
    readable(path)
