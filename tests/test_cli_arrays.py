"""What `fastnn train` reads of arrays: what they may be, what is held out, and what a target is taken for."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn.cli import arrays, data
from fastnn.core import random
from fastnn.errors import FastnnError
from tables import Capture, blobs, lines, run

pytestmark = pytest.mark.usefixtures("in_folder", "by_reference")


def test_a_fifth_is_held_out_by_seed() -> None:
    X, y = blobs(100)
    np.savez("t.npz", X=X, y=y)
    one, again, other = data.load("t.npz", 1), data.load("t.npz", 1), data.load("t.npz", 2)
    assert (len(one.X), len(one.X_test), one.X_val) == (80, 20, None)
    assert np.array_equal(one.X_test, again.X_test) and not np.array_equal(one.y_test, other.y_test)
    with_validation = data.load("t.npz", 1, validation=True)
    assert with_validation.X_val is not None and with_validation.y_val is not None
    assert np.array_equal(with_validation.X_test, one.X_test)
    assert np.array_equal(np.concatenate([with_validation.X_val, with_validation.X]), one.X)
    assert (len(with_validation.y_val), len(with_validation.y)) == (8, 72)


@pytest.mark.parametrize("letter", ["x", "X"])
def test_mnist_archive(letter: str, capsys: Capture) -> None:
    images = np.arange(12 * 6, dtype=np.uint8).reshape(12, 2, 3) * 3
    labels = np.arange(12, dtype=np.uint8) % 4
    parts = {
        f"{letter}_train": images[:10],
        "y_train": labels[:10],
        f"{letter}_test": images[10:],
        "y_test": labels[10:],
    }
    np.savez("mnist.npz", **parts)  # type: ignore[arg-type]
    table = data.load("mnist.npz", 0)
    assert (table.X.shape, table.X_test.shape, table.schema.classes) == ((10, 2, 3), (2, 2, 3), (0, 1, 2, 3))
    assert table.scaling == "pixels" and table.schema.target == "y_train" and np.array_equal(table.X, images[:10])
    assert run(capsys, "train", "mnist.npz", "--epochs", "1")[0] == 0
    model = fastnn.models.load_model("mnist.safetensors")
    assert [type(layer).__name__ for layer in model.layers[:2]] == ["Flatten", "Rescaling"]
    assert model.layers[1].get_config()["scale"] == 1 / 255
    assert np.array_equal(
        lines(run(capsys, "predict", "mnist.safetensors", "mnist.npz")[1])[1:],
        lines("\n".join(str(number) for number in model.predict(images[10:]).argmax(axis=1))),
    )
    np.savez("mnist.npz", **{key: parts[key] for key in list(parts)[:2]})  # type: ignore[arg-type]
    assert (len(data.load("mnist.npz", 0).X), len(data.load("mnist.npz", 0).X_test)) == (8, 2)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_known_sets(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = np.zeros((30, 4, 4), np.uint8), (np.arange(30) % 10).astype(np.uint8)
    monkeypatch.setattr(f"fastnn.datasets.{name}.load_data", lambda: ((X[:20], y[:20]), (X[20:], y[20:])))
    table = data.load(name, 0)
    assert (len(table.X), len(table.X_test), table.outputs, table.name) == (20, 10, 10, name)
    assert arrays.inputs(name).shape == (10, 4, 4) and arrays.inputs("digits").shape == (1797, 64)


def test_a_target_of_another_name(capsys: Capture) -> None:
    np.savez("t.npz", X=blobs()[0], y=blobs()[1], weight=blobs()[0][:, 0])
    assert data.load("t.npz", target="weight").schema.target == "weight"
    code, _, err = run(capsys, "train", "t.npz", "--target", "wait")
    assert (code, err) == (2, 'fastnn train: t.npz: expected arrays X and "wait"; found X, weight, y\n')


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (np.array([3, 7, 3, 9] * 5), (3, 7, 9)),
        (np.array([-1, 1, 1, -1] * 5), (-1, 1)),
        (np.array([True, False] * 10), (False, True)),
        (np.array(["no", "yes"] * 10), ("no", "yes")),
    ],
)
def test_classes_keep_their_names(y: Any, classes: tuple[Any, ...], capsys: Capture) -> None:
    X = np.arange(20.0)[:, None] % len(classes)
    np.savez("t.npz", X=X, y=y)
    table = data.load("t.npz", 0)
    assert table.schema.classes == classes and table.outputs == len(classes)
    assert np.array_equal(
        np.asarray(classes)[table.y_test], y[random.permutation(0, 0, 20, random.Purpose.HOLD_OUT)[:4]]
    )
    assert run(capsys, "train", "t.npz", "--epochs", "1")[0] == 0
    code, out, _ = run(capsys, "predict", "t.safetensors", "t.npz", "--probabilities", "--json")
    result = json.loads(out)
    assert code == 0 and result["classes"] == list(classes) and set(result["predictions"]) <= set(classes)
    best = np.asarray(result["probabilities"]).argmax(axis=1)
    assert [classes[place] for place in best] == result["predictions"]


X4, Y4 = np.zeros((4, 2)), np.array([0, 1, 0, 1])
HOLES = np.where(np.arange(8).reshape(4, 2) % 3 == 0, np.nan, 1.0)
WRONG_FILES: list[tuple[dict[str, Any], str]] = [
    ({"X": X4}, "expected arrays X and y, or x_train and y_train; found X"),
    ({"y": Y4}, 'expected arrays X and "y"; found y'),
    ({"X": X4, "y": Y4[:3]}, "X has 4 rows and y has 3"),
    ({"X": X4[:0], "y": Y4[:0]}, "expected at least 2 rows"),
    ({"X": X4[:, 0], "y": Y4}, "X is float64 of shape (4,)"),
    ({"X": X4.astype(str), "y": Y4}, "expected numbers"),
    ({"X": X4, "y": np.zeros(4, complex)}, "y is complex128 of shape (4,), expected shape (rows,)"),
    ({"X": X4, "y": Y4 * 0}, "y is 0 in all rows; expected at least 2 classes"),
    (
        {"x_train": X4, "y_train": Y4, "x_test": X4, "y_test": Y4 / 2},
        "is int64, of the test rows float64; expected the",
    ),
    ({"x_train": X4, "y_train": Y4, "x_test": X4, "y_test": Y4.astype(str)}, "is int64, of the test rows <U21"),
    ({"X": np.zeros((80, 1)), "y": np.arange(80).astype(str)}, "80 different texts in 80 rows; expected classes"),
    ({"X": X4, "y": np.stack([Y4, Y4], 1)}, "expected one class a row"),
    ({"X": HOLES, "y": Y4}, 'missing values: 2 in "column 0", 1 in "column 1"; fill them with --impute mean'),
    ({"X": X4, "y": np.array([0, 1, np.nan, 1])}, "y holds nan in row 2; remove or fill"),
    ({"X": X4, "y": np.array([0, 1, 1e39, 1])}, "y holds 1e+39 in row 2; scale it down"),
    (
        {"X": np.array([[0.0], [0], [0], [1e308]]) * [[1, 1]], "y": Y4},
        "X holds 1e+308 in row 3, column 0; scale it down",
    ),
    ({"X": np.array([[0.0], [0], [0], [1e30]]) * [[1, 1]], "y": Y4}, 'values in "column 0" are too large to scale'),
    ({"x_train": X4, "y_train": Y4, "x_test": X4 + np.inf, "y_test": Y4}, "x_test holds inf in row 0, column 0"),
    (
        {"x_train": X4, "y_train": Y4, "x_test": X4[:, :1], "y_test": Y4},
        "rows of x_train have shape (2,), of x_test (1,)",
    ),
    ({"X": np.array([[{}], [{}]]), "y": Y4[:2]}, "cannot be read"),
    ({"X": X4[:2], "y": Y4[:2] * 0.5}, "2 rows; expected at least 3"),
]


@pytest.mark.parametrize(("parts", "message"), WRONG_FILES, ids=[m for _, m in WRONG_FILES])
def test_wrong_arrays_are_named(parts: dict[str, Any], message: str, capsys: Capture) -> None:
    np.savez("t.npz", **parts)
    code, out, err = run(capsys, "train", "t.npz", "--patience", "2")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1 and err.startswith("fastnn train: t.npz: ") and message in err


def test_files_that_are_no_archives(capsys: Capture) -> None:
    Path("text.npz").write_text("hello")
    np.savez("cut.npz", X=X4, y=Y4)
    Path("cut.npz").write_bytes(Path("cut.npz").read_bytes()[:-40])
    np.save("array.npy", X4)
    for name, message in (
        ("absent.npz", "no such file; DATA is digits, mnist, fashion_mnist or the path of a .csv or .npz file"),
        ("text.npz", "not an .npz file"),
        ("cut.npz", "not an .npz file"),
        ("array.npy", "not an .npz file"),
        (".", "no such file"),
    ):
        code, _, err = run(capsys, "train", name)
        assert code == 2 and err.count("\n") == 1 and message in err
    with pytest.raises(FastnnError, match="no such file"):
        data.load("absent.npz", 0)


def test_task(capsys: Capture) -> None:
    X = np.arange(60.0)[:, None]
    values = X[:, 0]
    np.savez(
        "t.npz", X=X, y=np.arange(60), half=values / 2, whole=values % 3, text=values.astype(str), huge=values * 1e30
    )
    assert data.load("t.npz", task="regression").y.dtype == np.float32
    assert data.load("t.npz", target="whole", task="classes").schema.classes == (0, 1, 2)
    for target, task, message in (
        (
            "half",
            "classes",
            "t.npz: half holds fractions, NaN or too large numbers; expected whole ones for --task classes",
        ),
        (
            "huge",
            "classes",
            "t.npz: huge holds fractions, NaN or too large numbers; expected whole ones for --task classes",
        ),
        ("text", "regression", "t.npz: text holds texts; expected numbers for --task regression"),
    ):
        code, _, err = run(capsys, "train", "t.npz", "--target", target, "--task", task)
        assert code == 2 and message in err


def test_columns_are_standardised_in_the_model(capsys: Capture) -> None:
    X, y = blobs(100)
    X[:, 2] = 3.0
    np.savez("t.npz", X=X, y=y)
    assert run(capsys, "train", "t.npz", "--epochs", "1", "--layers", "0")[0] == 0
    training = data.load("t.npz", 0).X
    mean, variance = fastnn.models.load_model("t.safetensors").layers[0].get_weights()
    np.testing.assert_allclose(mean, training.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(variance, training.var(axis=0), rtol=1e-5)


def test_columns_that_float32_hardly_sees(capsys: Capture) -> None:
    X, y = blobs(100)
    X[:, 1] = 1.7e9 + X[:, 1] / 1e4
    X[:, 2] *= 1e-12
    np.savez("t.npz", X=X, y=y)
    code, out, err = run(capsys, "train", "t.npz", "--epochs", "1", "--json")
    assert code == 0 and err.count("\n") == 1 and json.loads(out)["notes"][0] in err
    assert re.search(r'differences in "column 1" \(1\.7e\+09, give or take .*\), "column 2" \(', err)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_impute_arrays(dtype: Any, capsys: Capture) -> None:
    X, y = blobs(100)
    X[::7, 1] = np.nan
    np.savez("t.npz", X=X.astype(dtype), y=y)
    table = data.load("t.npz", 0, impute=True)
    known = data.load("t.npz", 0, impute=True).schema.fill
    assert known is not None and not np.isnan(table.X).any() and not np.isnan(table.X_test).any()
    assert run(capsys, "train", "t.npz", "--epochs", "1", "--impute", "mean")[0] == 0
    model = fastnn.models.load_model("t.safetensors")
    filled = np.where(np.isnan(X), known, X.astype(dtype))
    expected = model.predict(filled.astype(dtype)).argmax(axis=1).tolist()
    assert json.loads(run(capsys, "predict", "t.safetensors", "t.npz", "--json")[1])["predictions"] == expected


def test_impute_needs_something_to_go_by(capsys: Capture) -> None:
    X, y = blobs(20)
    X[:, 3] = np.nan
    np.savez("t.npz", X=X, y=y)
    code, _, err = run(capsys, "train", "t.npz", "--impute", "mean")
    assert code == 2 and '"column 3" has no value in any training row; leave it out' in err


def bell(n: int) -> Any:
    """Integers as ages, scores and counts are: n of them, those in the middle more often."""
    return np.rint(40 + 12 * np.sqrt(-2 * np.log((np.arange(n) + 0.5) / n)) * np.cos(2.4 * np.arange(n))).astype(int)


@pytest.mark.parametrize(
    ("y", "classes", "told"),
    [
        (
            bell(214),
            False,
            '"y" holds 57 different integers and is taken as a quantity; if they are classes, say --task c',
        ),
        (
            np.arange(18, 98).repeat(9),
            False,
            '"y" holds 80 different integers and is taken as a quantity',
        ),  # not from 1 on
        (np.arange(80), False, '"y" holds 80 different integers and is taken as a quantity'),  # each once
        (np.arange(30).repeat(np.arange(30) ** 2), False, "taken as a quantity"),  # uneven
        (
            np.arange(100).repeat(20),
            True,
            '"y" holds 100 different integers and is taken as classes; if they are a quan',
        ),
        (np.arange(300) % 6 + 3, True, '"y" holds 6 different integers and is taken as classes'),
        (np.arange(60) % 10, True, ""),
        (np.arange(60) % 2 * 255, True, ""),
        (np.array([1000, 5000, 20_000] * 4), False, "taken as a quantity"),
        (
            np.arange(60) % 3 * 1.0,
            False,
            "3 different integers, written with decimals, and is taken as a quantity; if they",
        ),
        (np.arange(60) * 1.0, False, ""),
    ],
)
def test_the_values_of_a_target_decide(y: Any, classes: bool, told: str) -> None:
    np.savez("t.npz", X=np.sin(np.arange(2.0 * len(y))).reshape(-1, 2), y=y)
    table = data.load("t.npz")
    assert (table.schema.classes is not None) == classes
    assert len(table.notes()) == bool(told) and told in "".join(table.notes())
    assert ("; --task regression takes it as a quantity\n" in table.describe()) == classes
    if classes or y.dtype.kind == "i":
        other = data.load("t.npz", task="regression")
        assert other.schema.classes is None and not other.notes() and "--task" not in other.describe()
