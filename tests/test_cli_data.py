"""What `fastnn train` reads: arrays, tables, and what it makes of their columns."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn.cli import arrays, data, schema
from fastnn.core import random
from fastnn.errors import FastnnError
from tables import Capture, blobs, flats, lines, run, write


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FASTNN_BACKEND", "reference")


@pytest.fixture
def pandas() -> None:
    """Reading tables needs it."""
    pytest.importorskip("pandas")


# arrays to train on


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


# tables to train on


@pytest.mark.usefixtures("pandas")
def test_a_table_from_training_to_predictions(capsys: Capture) -> None:
    write("flats.csv", flats(), ";")
    options = ("--drop", "price", "--epochs", "40", "--lr", "0.01")
    code, out, _ = run(capsys, "train", "flats.csv", "--target", "kind", *options)
    assert code == 0
    assert out.startswith(
        'flats: 3 columns (5 inputs); target "kind": 2 classes\n48 rows to train on, 12 held out to test\n'
    )
    rows = [
        {key: row[key] for key in ("city", "extra", "rooms", "size")}
        for row in ({**row, "extra": "?"} for row in flats())
    ]
    write("new.csv", rows)  # another order, another separator, another column, no target
    code, out, err = run(capsys, "predict", "flats.safetensors", "new.csv")
    assert (code, err) == (0, "")
    answers = lines(out)
    assert answers[0] == ["prediction"] and len(answers) == 61
    assert np.mean([answer == [row["kind"]] for answer, row in zip(answers[1:], flats(), strict=True)]) > 0.9


@pytest.mark.usefixtures("pandas")
@pytest.mark.parametrize("separator", [";", "\t"])
def test_separators(separator: str) -> None:
    write("flats.csv", flats())
    expected = data.load("flats.csv", 0, target="kind")
    write("flats.csv", flats(), separator)
    got = data.load("flats.csv", 0, target="kind")
    assert got.schema.columns == expected.schema.columns
    assert np.array_equal(got.X, expected.X) and np.array_equal(got.y, expected.y)


@pytest.mark.usefixtures("pandas")
def test_texts_become_inputs_that_are_0_or_1(capsys: Capture) -> None:
    write("flats.csv", flats())
    table = data.load("flats.csv", 0, target="price", drop=["kind,rooms"])
    assert table.schema.columns == (("size", None), ("city", ("Bergen", "Oslo", "Å, the village")))
    assert table.X.dtype == np.float32 and table.y.dtype == np.float32
    assert np.array_equal(table.X[:, 1:].sum(axis=1), np.ones(48)) and set(table.X[:, 1:].flat) == {0.0, 1.0}
    assert (
        run(capsys, "train", "flats.csv", "--target", "price", "--drop", "kind", "--drop", "rooms", "--epochs", "1")[0]
        == 0
    )
    mean, variance = fastnn.models.load_model("flats.safetensors").layers[0].get_weights()
    assert mean[1:].tolist() == [0, 0, 0] and variance[1:].tolist() == [1, 1, 1]
    assert mean[0] == pytest.approx(table.X[:, 0].mean())


@pytest.mark.usefixtures("pandas")
def test_truth_values_are_texts(capsys: Capture) -> None:
    rows = [{"open": ("TRUE", "false", "true")[i % 3], "x": i, "y": i % 2} for i in range(30)]
    write("t.csv", [*rows, {"open": "", "x": 0, "y": 0}])
    assert data.load("t.csv", 0, target="y", impute=True).schema.columns[0] == ("open", ("TRUE", "false", "true"))
    write("t.csv", rows)
    assert data.load("t.csv", 0, target="y").schema.columns[0] == ("open", ("TRUE", "false", "true"))
    assert data.load("t.csv", 0, target="open").schema.classes == ("TRUE", "false", "true")
    assert run(capsys, "train", "t.csv", "--target", "y", "--epochs", "1")[0] == 0
    write("new.csv", [{"open": "true", "x": 1}, {"open": "true", "x": 2}])
    assert run(capsys, "predict", "t.safetensors", "new.csv")[0] == 0


@pytest.mark.usefixtures("pandas")
def test_a_category_that_looks_like_a_number(capsys: Capture) -> None:
    write("t.csv", [{"code": ("1", "02", "x")[i % 3], "x": i, "y": i % 2} for i in range(30)])
    assert run(capsys, "train", "t.csv", "--target", "y", "--epochs", "1")[0] == 0
    write("new.csv", [{"code": "1", "x": 1}, {"code": "02", "x": 2}])
    assert run(capsys, "predict", "t.safetensors", "new.csv")[0] == 0


@pytest.mark.usefixtures("pandas")
def test_missing_values_are_counted(capsys: Capture) -> None:
    rows = flats()
    rows[3]["size"] = rows[5]["size"] = rows[5]["city"] = ""
    write("flats.csv", rows)
    code, _, err = run(capsys, "train", "flats.csv", "--target", "price")
    assert code == 2 and err == (
        'fastnn train: flats.csv: missing values: 2 in "size", 1 in "city"; fill them with --impute mean, or remove '
        "such rows\n"
    )
    assert run(capsys, "train", "flats.csv", "--target", "price", "--impute", "mean", "--epochs", "1")[0] == 0
    fill = fastnn.models.load_model("flats.safetensors").metadata["data"]["fill"]
    table = data.load("flats.csv", 0, target="price", impute=True)
    assert table.schema.fill == tuple(fill) and sum(fill[1:4]) == pytest.approx(1)  # shares of the cities
    assert not np.isnan(table.X).any()
    assert run(capsys, "predict", "flats.safetensors", "flats.csv")[0] == 0
    write("whole.csv", flats())
    assert run(capsys, "train", "whole.csv", "--target", "price", "--epochs", "1")[0] == 0
    code, out, err = run(capsys, "predict", "whole.safetensors", "flats.csv")
    assert (code, out) == (2, "") and 'missing values: 2 in "size", 1 in "city"; remove such rows, or train' in err
    rows[0]["price"] = ""
    write("flats.csv", rows)
    code, _, err = run(capsys, "train", "flats.csv", "--target", "price", "--impute", "mean")
    assert code == 2 and 'the target "price" is missing in 1 row; remove them' in err


def edited(key: str, value: Any, place: int = 7) -> list[dict[str, Any]]:
    rows = flats()
    rows[place][key] = value
    return rows


@pytest.mark.usefixtures("pandas")
@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (flats(), (), "which column to predict? name it with --target; there are: size, city, rooms, kind, price"),
        (flats(), ("--target", "prize"), 'flats.csv: lacks the column "prize"; did you mean "price"?'),
        (flats(), ("--target", "price", "--drop", "sise,kind"), 'lacks the column "sise"; did you mean "size"?'),
        (flats(), ("--target", "price", "--drop", "a,b"), 'lacks the columns "a", "b"; known: size, city, rooms, kind'),
        (flats(), ("--target", "price", "--drop", "size,city,rooms,kind"), "60 rows and 0 columns beside the target"),
        (flats(1), ("--target", "price"), "1 row and 4 columns beside the target; expected at least 2 rows"),
        (
            [{**row, "city": f"city {i}"} for i, row in enumerate(flats())],
            ("--target", "price"),
            "the column \"city\" holds 60 different texts in 60 rows, such as 'city 0': a name or a key, not a category"
            '; leave it out with --drop "city"',
        ),
        ([{**row, "city": ""} for row in flats()], ("--target", "price"), 'the column "city" is empty; leave it out'),
        (
            edited("size", "inf"),
            ("--target", "price"),
            'the column "size" holds inf in data row 8, which float32 cannot',
        ),
        (edited("price", "1e40"), ("--target", "price"), "price holds 1e+40 in row 7; scale it down"),
        (flats(), ("--target", "price", "--task", "classes"), "price holds fractions"),
        (
            [{**row, "rooms": i} for i, row in enumerate(flats())],
            ("--target", "rooms", "--task", "classes"),
            "60 different integers in 60 rows; if it is a quantity, say --task regression",
        ),
    ],
)
def test_wrong_tables_are_named(rows: Any, options: tuple[str, ...], message: str, capsys: Capture) -> None:
    write("flats.csv", rows)
    code, out, err = run(capsys, "train", "flats.csv", *options)
    assert (code, out) == (2, "") and err.startswith("fastnn train: flats.csv: ") and err.count("\n") == 1
    assert message in err


@pytest.mark.usefixtures("pandas")
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty; expected a first line with the names of the columns"),
        (b"1,2,3\n4,5,6\n", "the first line holds '1,2,3', expected the names of the columns"),
        (b"a,b,a\n1,2,3\n", 'two columns are called "a"; give each a name of its own'),
        (b"\xff\xfea\x00", "not UTF-8 text; save the table as UTF-8"),
        (b"a,y\n1,2\n1,2,3\n", "cannot be read as a table: Expected 2 fields in line 3, saw 3"),
        (b"a,y\n1,2,3\n1,2,3\n", "rows have more fields than the 2 names in the first line"),
        (b'a,y\n1,"2\n', "cannot be read as a table: "),
    ],
)
def test_files_that_are_no_tables(content: bytes, message: str, capsys: Capture) -> None:
    Path("t.csv").write_bytes(content)
    code, out, err = run(capsys, "train", "t.csv", "--target", "y")
    assert (code, out) == (2, "") and err.startswith("fastnn train: t.csv: ") and err.count("\n") == 1
    assert message in err


def test_tables_need_pandas(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    write("flats.csv", flats())
    code, _, err = run(capsys, "train", "flats.csv", "--target", "price")
    assert (code, err) == (
        2,
        "fastnn train: reading .csv files needs pandas; install it in the checkout of fastnn with: pip install "
        '".[data]"\n',
    )


# what the values of a target say


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


# numbers in other notations


def column(name: str, values: Any, separator: str = ",") -> None:
    """A table t.csv with a column of values beside others."""
    write("t.csv", [{"x": i % 7, name: value, "kind": "ab"[i % 2]} for i, value in enumerate(values)], separator)


THOUSANDS = [900 + 137 * i for i in range(60)]


@pytest.mark.usefixtures("pandas")
@pytest.mark.parametrize("target", ["kind", "v"])
@pytest.mark.parametrize(
    ("values", "cell", "cure", "expected"),
    [
        (
            [f"{i}.5".replace(".", ",") for i in range(60)],
            "'0,5' in data row 1",
            "decimal commas; say --decimal ,",
            0.5,
        ),
        (
            [f"{i / 1000:.3f}".replace(".", ",") for i in THOUSANDS],
            "'0,900' in data row 1",
            "commas; say --decimal ,",
            0.9,
        ),
        ([f"{i:,}" for i in THOUSANDS], "'1,037' in data row 2", "then say --thousands ,", 900),
        ([f"{i * 1000:,}" for i in THOUSANDS], "'1,037,000' in data row 2", "set apart; say --thousands ,", 900_000),
        ([f"{i:,}" for i in THOUSANDS], "'1,037' in data row 2", "decimal commas, then say --decimal ,", 900),
        ([f"{i:,}".replace(",", " ") for i in THOUSANDS], "'1 037' in data row 2", "say --thousands ' '", 900),
        ([f"{i:,}".replace(",", "'") for i in THOUSANDS], '"1\'037" in data row 2', 'say --thousands "\'"', 900),
        (
            [f"{i:,}".replace(",", ".") + ",5" for i in THOUSANDS],
            "'1.037,5' in data row 2",
            "say --decimal , --thousands .",
            900.5,
        ),
        (
            [f"{i:,}".replace(",", "\u00a0") for i in THOUSANDS],
            "'1\\xa0037' in data row 2",
            "take them out of the",
            None,
        ),
        ([f"{i}%" for i in THOUSANDS], "'900%' in data row 1", "percent signs; take them out of the file", None),
        ([f"${i}" for i in THOUSANDS], "'$900' in data row 1", "currency signs; take them out of the file", None),
        ([f"\u2212{i}" for i in THOUSANDS], "'\u2212900' in data row 1", "minus signs other than -", None),
    ],
)
def test_numbers_in_other_notations(
    values: Any, cell: str, cure: str, expected: float | None, target: str, capsys: Capture
) -> None:
    column("v", values, ";")
    code, out, err = run(capsys, "train", "t.csv", "--target", target)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f'fastnn train: t.csv: the column "v" holds {cell}: ') and cure in err
    if expected is not None and target == "kind":
        options = shlex.split(err.rpartition(" say ")[2])
        assert run(capsys, "train", "t.csv", "--target", "kind", "--epochs", "1", *options)[0] == 0
        model = fastnn.models.load_model("t.safetensors")
        table = data.load("t.csv", target="kind", notation=schema.of_model("t", model).notation)  # type: ignore[union-attr]
        assert expected in np.concatenate([table.X, table.X_test])[:, 1]
        assert len(lines(run(capsys, "predict", "t.safetensors", "t.csv")[1])) == 61  # it knows how to read the table


@pytest.mark.usefixtures("pandas")
@pytest.mark.parametrize("target", ["kind", "v"])
@pytest.mark.parametrize("word", ["?", "#DIV/0!", "unknown", "it's"])
def test_a_word_among_numbers(word: str, target: str, capsys: Capture) -> None:
    column("v", [word if i in (8, 9) else i % 30 for i in range(60)])
    code, out, err = run(capsys, "train", "t.csv", "--target", target)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f'fastnn train: t.csv: the column "v" holds {word!r} in data row 9 beside numbers; ')
    options = shlex.split(err.partition(" say ")[2].partition(", else")[0])
    assert options == ["--na", word]
    code, _, err = run(capsys, "train", "t.csv", "--target", target, *options)
    assert code == 2 and ("2 in" if target == "kind" else "is missing in 2 rows") in err
    if target == "kind":
        assert run(capsys, "train", "t.csv", "--target", target, *options, "--impute", "mean", "--epochs", "1")[0] == 0
        assert run(capsys, "predict", "t.safetensors", "t.csv")[0] == 0
        code, _, err = run(capsys, "predict", "t.safetensors", "t.csv", "--na", "none")
        assert (
            code == 2
            and f"{word!r} in data row 9, expected a number; if it stands for a missing value, say --na" in err
        )


@pytest.mark.usefixtures("pandas")
def test_categories_with_numbers_among_them(capsys: Capture) -> None:
    column("v", [("0", "1", "2", "3+")[i % 4] for i in range(60)])
    code, _, err = run(capsys, "train", "t.csv", "--target", "kind", "--epochs", "1")
    assert code == 0 and "holds '3+' in data row 4 beside numbers and is taken as 4 texts; if it is a missing" in err
    column("v", ["?" if i % 3 else i % 4 for i in range(60)])  # most are missing, and the others few
    code, _, err = run(capsys, "train", "t.csv", "--target", "kind")
    assert code == 2 and "holds '?' in data row 2 beside numbers; if it stands for a missing value, say --na '?'" in err
    column("v", [("1st", "2nd", "crew", "?")[i % 4] for i in range(60)])
    assert run(capsys, "train", "t.csv", "--target", "kind", "--epochs", "1")[::2] == (0, "")


@pytest.mark.usefixtures("pandas")
def test_numbers_that_begin_with_zero_are_texts(capsys: Capture) -> None:
    column("v", [("02139", "94305", "10001")[i % 3] if i else "" for i in range(60)])
    columns = data.load("t.csv", target="kind", impute=True).schema.columns
    assert columns == (("x", None), ("v", ("02139", "10001", "94305")))
    column("v", ["00.5" if i else "1e-05" for i in range(60)])
    assert data.load("t.csv", target="kind").schema.columns == (("x", None), ("v", None))
    column("v", [("01", "02")[i % 2] for i in range(60)])
    assert data.load("t.csv", target="v").schema.classes == ("01", "02")
    assert run(capsys, "train", "t.csv", "--target", "v", "--epochs", "1")[0] == 0
    assert set(run(capsys, "predict", "t.safetensors", "t.csv")[1].split()) <= {"prediction", "01", "02"}


# row numbers


@pytest.mark.usefixtures("pandas")
@pytest.mark.parametrize(
    ("name", "values", "told"),
    [
        ("Id", range(1, 61), True),
        ("v", range(60), True),
        ("v", range(60, 0, -1), True),
        ("Nr.", [i + i // 9 for i in range(60)], True),
        ("CustomerID", [1000 + 37 * i % 97 for i in range(60)], True),
        ("ID", [1000 + 37 * i % 97 for i in range(60)], True),
        ("Row Number", [1000 + 37 * i % 97 for i in range(60)], True),
        ("paid", [1000 + 37 * i % 97 for i in range(60)], False),
        ("v", [1000 + 37 * i % 97 for i in range(60)], False),
        ("v", [i * i for i in range(60)], False),
        ("v", [i + 0.5 for i in range(60)], False),
        ("room number", [i % 9 for i in range(60)], False),
    ],
)
def test_row_numbers_are_named(name: str, values: Any, told: bool, capsys: Capture) -> None:
    column(name, values)
    code, _, err = run(capsys, "train", "t.csv", "--target", "kind", "--epochs", "1")
    assert (code, f'"{name}" numbers the rows, which says nothing of new ones; ' in err) == (0, told)
    if told:
        options = shlex.split(err.partition("leave it out with ")[2])
        assert run(capsys, "train", "t.csv", "--target", "kind", "--epochs", "1", *options)[::2] == (0, "")


def test_row_numbers_of_arrays() -> None:
    np.savez("t.npz", X=np.stack([np.sin(np.arange(60.0)), np.arange(60)], axis=1), y=np.arange(60) % 2)
    (note,) = data.load("t.npz").notes()
    assert note == '"column 1" numbers the rows, which says nothing of new ones; leave it out when you write the file'


# what must not be written over


@pytest.mark.usefixtures("pandas")
def test_what_is_read_is_not_written(capsys: Capture) -> None:
    write("t.csv", flats())
    train = ("train", "t.csv", "--target", "kind", "--epochs", "1")
    assert run(capsys, *train)[0] == run(capsys, *train)[0] == 0  # an old file is replaced
    Path("folder").mkdir()
    Path("link.csv").symlink_to("t.csv")
    Path("other.csv").symlink_to("t.safetensors")
    os.link("t.csv", "hard.csv")
    before = Path("t.csv").read_bytes(), Path("t.safetensors").read_bytes()
    for name in ("t.csv", "folder/../t.csv", str(Path("t.csv").resolve()), "link.csv", "hard.csv"):
        message = ": that is t.csv, which is read; name another file\n"
        assert run(capsys, *train, "--out", name) == (2, "", f"fastnn train: --out {name}{message}")
        predict = ("predict", "t.safetensors", "t.csv", "--output", name)
        assert run(capsys, *predict) == (2, "", f"fastnn predict: --output {name}{message}")
    assert run(capsys, "train", "link.csv", "--target", "kind", "--out", "t.csv")[0] == 2
    code, _, err = run(capsys, "predict", "t.safetensors", "t.csv", "--output", "other.csv")
    assert code == 2 and "other.csv: that is t.safetensors, which is read" in err
    np.savez("n.npz", X=blobs()[0], y=blobs()[1])
    Path("n.npz").rename("n.safetensors")
    assert run(capsys, "train", "n.safetensors")[0] == 2  # the file that it would write without --out
    assert before == (Path("t.csv").read_bytes(), Path("t.safetensors").read_bytes())


def test_notations_are_for_tables(capsys: Capture) -> None:
    np.savez("t.npz", X=X4, y=Y4)
    for command in (("train", "t.npz"), ("train", "digits")):
        code, _, err = run(capsys, *command, "--na", "?")
        assert code == 2 and "--na, --decimal and --thousands are for .csv files" in err
    code, _, err = run(capsys, "train", "t.npz", "--decimal", ",", "--thousands", ",")
    assert code == 2 and "--decimal and --thousands are both ','" in err
