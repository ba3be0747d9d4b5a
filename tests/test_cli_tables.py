"""What `fastnn train` makes of the columns of tables, and what it must not write over."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn.cli import data
from tables import Capture, blobs, flats, lines, run, write

pytestmark = pytest.mark.usefixtures("in_folder", "by_reference")


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
