"""Settings, utilities and the registry of backends."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn import backends, config, layers, utils
from fastnn.backends.protocol import Backend
from fastnn.errors import ArgumentError, ArgumentTypeError, BackendError
from support import load


def test_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FASTNN_NUM_THREADS", raising=False)
    assert fastnn.get_num_threads() == config.available_cores() >= 1
    monkeypatch.setenv("FASTNN_NUM_THREADS", "3")
    assert fastnn.get_num_threads() == 3
    fastnn.set_num_threads(2)
    assert fastnn.get_num_threads() == 2
    fastnn.set_num_threads(None)
    assert fastnn.get_num_threads() == 3
    for wrong in ("0", "many", "-1"):
        monkeypatch.setenv("FASTNN_NUM_THREADS", wrong)
        with pytest.raises(ArgumentError, match="FASTNN_NUM_THREADS is"):
            fastnn.get_num_threads()
    for value in (0, -1, True):
        with pytest.raises(ArgumentError):
            fastnn.set_num_threads(value)
    with pytest.raises(ArgumentTypeError):
        fastnn.set_num_threads("2")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000"}, 8),
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu.max": "garbage"}, 8),
        ({"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000"}, 8),
        ({"cpu.cfs_quota_us": "400000", "cpu.cfs_period_us": "100000"}, 4),
    ],
)
def test_cgroup_quota(files: dict[str, str], cores: int, tmp_path: Path) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content + "\n")
    assert min(8, config._quota(tmp_path, 8)) == cores


def test_cores_by_affinity() -> None:
    mine = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(mine)})
        assert config.available_cores() == 1
    finally:
        os.sched_setaffinity(0, mine)


def test_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("FASTNN_DATA", raising=False)
    assert config.data_folder() is None
    monkeypatch.setenv("FASTNN_DATA", str(tmp_path))
    assert config.data_folder() == tmp_path
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert config.cache_folder() == tmp_path / "cache" / "fastnn"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert config.cache_folder() == tmp_path / ".cache" / "fastnn"

    def homeless() -> Path:
        raise RuntimeError("no home")

    monkeypatch.setattr(Path, "home", homeless)
    assert config.cache_folder() is None


def test_floatx() -> None:
    assert config.floatx() == "float32"
    try:
        for value in ("float64", np.float64, np.dtype("float64")):
            config.set_floatx(value)
            assert layers.Dense(1).dtype == "float64"
            config.set_floatx("float32")
    finally:
        config.set_floatx("float32")
    with pytest.raises(ArgumentError, match="expected"):
        config.set_floatx("float16")
    assert fastnn.backend.epsilon() == 1e-7
    assert fastnn.backend.floatx() == "float32"
    fastnn.backend.clear_session()


def test_to_categorical() -> None:
    assert utils.to_categorical([0, 2]).tolist() == [[1, 0, 0], [0, 0, 1]]
    assert utils.to_categorical(np.array([[1], [0]]), 2).tolist() == [[0, 1], [1, 0]]
    assert utils.to_categorical(np.zeros((2, 3), int), num_classes=4).shape == (2, 3, 4)
    for wrong, message in (([0, 3], "0 to 2"), ([-1, 0], "runs from -1"), ([0.5], "whole class numbers")):
        with pytest.raises(ArgumentError, match=message):
            utils.to_categorical(wrong, 3)


def test_normalize() -> None:
    np.testing.assert_allclose(utils.normalize([[3, 4], [0, 0]]), [[0.6, 0.8], [0.0, 0.0]])
    np.testing.assert_allclose(utils.normalize([[1, 3]], order=1), [[0.25, 0.75]])


def test_set_random_seed_seeds_all() -> None:
    import random

    utils.set_random_seed(3)
    first = (random.random(), np.random.rand())
    utils.set_random_seed(3)
    assert first == (random.random(), np.random.rand())
    config.set_seed(None)
    for wrong in (-1, 2**32):
        with pytest.raises(ArgumentError, match="seed is"):
            utils.set_random_seed(wrong)


def test_available_backends() -> None:
    found = backends.available()
    assert list(found) == ["numba", "c", "cuda", "reference"]
    assert found["reference"] == ""
    assert found["c"] == "" or "not built" in found["c"]


def test_get_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FASTNN_BACKEND", raising=False)
    assert backends.get("reference").name == "reference"
    one = load("reference")
    assert backends.get(one) is one
    load("numba")
    monkeypatch.setenv("FASTNN_BACKEND", "reference")
    assert backends.get().name == "reference"
    assert backends.get("numba").name == "numba"
    monkeypatch.setenv("FASTNN_BACKEND", "nunba")
    with pytest.raises(ArgumentError, match='FASTNN_BACKEND: unknown name "nunba"; did you mean "numba"'):
        backends.get("auto")
    if backends.available()["cuda"]:
        with pytest.raises(
            BackendError, match=r'"cuda" is not available: .*(pip install|driver|card).*; available: .*reference'
        ):
            backends.get("cuda")
    with pytest.raises(ArgumentTypeError):
        backends.get(3)  # type: ignore[arg-type]


def test_two_backends_side_by_side() -> None:
    made: list[Backend] = [load("reference"), load("numba")]
    models = [fastnn.Sequential([layers.Dense(1, input_dim=2, kernel_initializer="ones")]) for _ in made]
    for model, backend in zip(models, made, strict=True):
        model.compile("sgd", "mse", backend=backend)
    assert [model.backend for model in models] == ["reference", "numba"]
    assert [model.predict([[1, 2]], verbose=0).item() for model in models] == [3.0, 3.0]
