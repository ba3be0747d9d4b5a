"""What `fastnn predict` and `fastnn info MODEL` make of a file: predictions, and the columns that are stored in it."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn.cli import contents, schema
from fastnn.errors import FileError
from tables import Capture, flats, lines, run, write

pytestmark = pytest.mark.usefixtures("in_folder", "by_reference")


# predicting


@pytest.mark.usefixtures("pandas")
def test_predictions_are_those_of_the_model(capsys: Capture) -> None:
    write("flats.csv", flats())
    assert run(capsys, "train", "flats.csv", "--target", "price", "--drop", "kind", "--epochs", "3")[0] == 0
    model = fastnn.models.load_model("flats.safetensors")
    cities = ["Bergen", "Oslo", "Å, the village"]
    X = [[row["size"], *(float(row["city"] == city) for city in cities), row["rooms"]] for row in flats()]
    expected = model.predict(np.asarray(X, np.float32))[:, 0]
    code, out, _ = run(capsys, "predict", "flats.safetensors", "flats.csv")
    assert code == 0 and np.array_equal(np.asarray(lines(out)[1:], np.float32)[:, 0], expected)
    assert json.loads(run(capsys, "predict", "flats.safetensors", "flats.csv", "--json")[1]) == {
        "model": "flats.safetensors",
        "data": "flats.csv",
        "rows": 60,
        "predictions": [float(str(value)) for value in expected],
    }
    assert (
        run(capsys, "predict", "flats.safetensors", "flats.csv", "--output", "out.csv")[1]
        == "60 predictions in out.csv\n"
    )
    assert Path("out.csv").read_text() == out
    assert run(capsys, "predict", "flats.safetensors", "flats.csv", "--output", "out.npz", "--json")[0] == 0
    assert np.array_equal(np.load("out.npz")["prediction"], expected)


@pytest.mark.usefixtures("pandas")
def test_probabilities(capsys: Capture) -> None:
    write("flats.csv", flats())
    assert run(capsys, "train", "flats.csv", "--target", "kind", "--epochs", "3")[0] == 0
    header, *rows = lines(run(capsys, "predict", "flats.safetensors", "flats.csv", "--probabilities")[1])
    assert header == ["prediction", "p_large", "p_small"]
    assert all(name == header[1 + int(float(small) > float(large))][2:] for name, large, small in rows)
    assert run(capsys, "predict", "flats.safetensors", "flats.csv", "--probabilities", "--output", "o.npz")[0] == 0
    with np.load("o.npz") as file:
        assert file["classes"].tolist() == ["large", "small"] and file["prediction"].tolist() == [
            row[0] for row in rows
        ]
        assert np.array_equal(file["probabilities"], np.asarray([row[1:] for row in rows], np.float32))


@pytest.mark.usefixtures("pandas")
@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"size": 1, "rooms": 2}], 'new.csv: lacks the column "city"; known: rooms, size'),
        (
            [{"size": 1, "rooms": 2, "city": "Oslo"}, {"size": 1, "rooms": 2, "city": "Rome"}],
            "the column \"city\" holds 'Rome' in data row 2, which was not among the texts trained on: 'Bergen', '",
        ),
        (
            [{"size": "big", "rooms": 2, "city": "Oslo"}],
            "the column \"size\" holds 'big' in data row 1, expected a number",
        ),
        (
            [{"size": "True", "rooms": 2, "city": "Oslo"}],
            "the column \"size\" holds 'True' in data row 1, expected a number",
        ),
        ([{"size": 1, "rooms": "", "city": "Oslo"}], 'missing values: 1 in "rooms"; remove such rows, or train with'),
    ],
)
def test_tables_that_do_not_fit(rows: list[dict[str, Any]], message: str, capsys: Capture) -> None:
    write("flats.csv", flats())
    assert run(capsys, "train", "flats.csv", "--target", "price", "--drop", "kind", "--epochs", "1")[0] == 0
    write("new.csv", rows)
    code, out, err = run(capsys, "predict", "flats.safetensors", "new.csv", "--output", "out.csv")
    assert (code, out) == (2, "") and err.startswith("fastnn predict: new.csv: ") and err.count("\n") == 1
    assert message in err and not Path("out.csv").exists()


@pytest.mark.usefixtures("pandas")
def test_classes_that_cannot_be_encoded_are_escaped(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    write("t.csv", [{"x": i % 7, "y": ("groß", "klein")[i % 2]} for i in range(20)])
    assert run(capsys, "train", "t.csv", "--target", "y", "--epochs", "1")[0] == 0
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        assert run(capsys, "predict", "t.safetensors", "t.csv", "--probabilities")[0] == 0
    stream.seek(0)
    assert stream.readline() == "prediction,p_gro\\xdf,p_klein\n"


def python_model(outputs: int = 2) -> fastnn.Sequential:
    model = fastnn.Sequential([fastnn.Input((3,)), fastnn.layers.Dense(outputs)])
    model.save("python.safetensors")
    return model


def test_a_model_made_in_python_gives_its_outputs(capsys: Capture) -> None:
    model, X = python_model(), np.arange(12.0).reshape(4, 3)
    np.savez("t.npz", X=X)
    header, *rows = lines(run(capsys, "predict", "python.safetensors", "t.npz")[1])
    assert header == ["prediction_0", "prediction_1"]
    assert np.array_equal(np.asarray(rows, np.float32), model.predict(X))
    code, _, err = run(capsys, "predict", "python.safetensors", "t.npz", "--probabilities")
    assert code == 2 and "python.safetensors: --probabilities is for classes" in err


@pytest.mark.usefixtures("pandas")
def test_a_table_for_a_model_made_in_python(capsys: Capture) -> None:
    model = python_model(1)
    write("t.csv", [{"a": i, "b": 2 * i, "c": -i} for i in range(4)])
    out = run(capsys, "predict", "python.safetensors", "t.csv")[1]
    expected = model.predict(np.arange(4)[:, None] * [[1, 2, -1]])
    assert np.array_equal(np.asarray(lines(out)[1:], np.float32), expected)
    write("t.csv", [{"a": 1}])
    code, _, err = run(capsys, "predict", "python.safetensors", "t.csv")
    assert code == 2 and "t.csv: 1 column; the network has 3 inputs without names" in err


def test_arrays_that_do_not_fit(capsys: Capture) -> None:
    python_model()
    for parts, message in (
        ({"Z": np.zeros((4, 2))}, "t.npz: expected an array X, or x_test; found Z"),
        ({"X": np.zeros((4, 2))}, "t.npz: rows have shape (2,), the network was trained on (3,)"),
        ({"X": np.array([[1, np.nan, 2]])}, 't.npz: missing values: 1 in "column 1"'),
        ({"X": np.array([[1, np.inf, 2]])}, "t.npz: X holds inf in row 0, column 1"),
    ):
        np.savez("t.npz", **parts)
        code, out, err = run(capsys, "predict", "python.safetensors", "t.npz")
        assert (code, out) == (2, "") and message in err


@pytest.mark.usefixtures("pandas")
def test_arrays_for_a_table_of_numbers_only(capsys: Capture) -> None:
    write("t.csv", [{"a": i, "b": 2 * i, "y": i / 2} for i in range(20)])
    assert run(capsys, "train", "t.csv", "--target", "y", "--epochs", "1")[0] == 0
    np.savez("t.npz", X=np.arange(20.0)[:, None] * [[1, 2]])
    assert run(capsys, "predict", "t.safetensors", "t.npz")[1] == run(capsys, "predict", "t.safetensors", "t.csv")[1]
    write("flats.csv", flats())
    assert run(capsys, "train", "flats.csv", "--target", "price", "--epochs", "1")[0] == 0
    code, _, err = run(capsys, "predict", "flats.safetensors", "t.npz")
    assert code == 2 and 't.npz: the network takes texts ("city"), which arrays do not hold; give a .csv file' in err


def test_wrong_outputs(capsys: Capture) -> None:
    python_model()
    for name, message in (("o.txt", "a name that ends in .csv or .npz"), ("no/o.csv", "a folder that exists")):
        code, _, err = run(capsys, "predict", "python.safetensors", "digits", "--output", name)
        assert code == 2 and f"--output {name}: expected" in err and message in err


def test_no_rows(capsys: Capture) -> None:
    python_model()
    np.savez("t.npz", X=np.empty((0, 3)))
    code, out, err = run(capsys, "predict", "python.safetensors", "t.npz")
    assert (code, out) == (2, "") and "t.npz: no rows to predict for" in err


@pytest.mark.usefixtures("pandas")
@pytest.mark.parametrize("target", ["price", "kind"])
def test_a_table_with_a_header_alone(target: str, capsys: Capture) -> None:
    write("flats.csv", flats())
    assert run(capsys, "train", "flats.csv", "--target", target, "--epochs", "1")[0] == 0
    header = Path("flats.csv").read_text(encoding="utf-8").splitlines()[0]
    for content in (header, f"{header}\n", f"\ufeff{header}\r\n\r\n"):
        Path("new.csv").write_text(content, encoding="utf-8")
        message = (2, "", "fastnn predict: new.csv: no rows to predict for\n")
        assert run(capsys, "predict", "flats.safetensors", "new.csv", "--output", "o.csv") == message
    assert run(capsys, "train", "new.csv", "--target", target)[2].count("\n") == 1


# where tables come from


def given(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard input with a content."""
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))


@pytest.mark.usefixtures("pandas")
@pytest.mark.parametrize("packer", [gzip, bz2, lzma])
def test_packed_tables(packer: Any, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    ending = {gzip: "gz", bz2: "bz2", lzma: "xz"}[packer]
    write("flats.csv", flats())
    content = packer.compress(Path("flats.csv").read_bytes())
    train = ("--target", "kind", "--epochs", "1")
    assert run(capsys, "train", "flats.csv", *train, "--out", "plain.safetensors")[0] == 0
    Path(f"flats.csv.{ending}").write_bytes(content)
    assert run(capsys, "train", f"flats.csv.{ending}", *train)[1].startswith("flats: 4 columns")
    expected = run(capsys, "predict", "plain.safetensors", "flats.csv")
    assert run(capsys, "predict", "flats.safetensors", f"flats.csv.{ending}") == expected
    given(content, monkeypatch)
    assert run(capsys, "predict", "flats.safetensors", "-") == expected
    Path(f"cut.csv.{ending}").write_bytes(content[: len(content) // 2])
    code, out, err = run(capsys, "train", f"cut.csv.{ending}", *train)
    assert (code, out, err.count("\n")) == (2, "", 1) and f"cut.csv.{ending}: cannot be unpacked: " in err


@pytest.mark.usefixtures("pandas")
@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_standard_input(name: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    write("flats.csv", flats())
    content, train = Path("flats.csv").read_bytes(), ("train", name, "--target", "kind", "--epochs", "1")
    given(content, monkeypatch)
    code, out, _ = run(capsys, *train)
    assert code == 0 and out.startswith("stdin: 4 columns") and "saved stdin.safetensors" in out
    expected = run(capsys, "predict", "stdin.safetensors", "flats.csv")
    given(content, monkeypatch)
    assert run(capsys, "predict", "stdin.safetensors", name) == expected
    np.savez("t.npz", X=np.ones((4, 2)), y=np.arange(4) % 2)
    for wrong, message in (
        (b"", "empty; expected a first line"),
        (Path("t.npz").read_bytes(), "an archive, which is not"),
    ):
        given(wrong, monkeypatch)
        code, _, err = run(capsys, *train)
        assert code == 2 and err.startswith(f"fastnn train: /dev/stdin: {message}")
    monkeypatch.setattr(sys, "stdin", None)
    assert "standard input is closed" in run(capsys, *train)[2]


@pytest.mark.usefixtures("pandas")
@pytest.mark.skipif(not os.path.exists("/dev/fd"), reason="descriptors have no names here")
def test_descriptors(capsys: Capture) -> None:
    """A pipe, as <(...) gives it, and a file without an ending."""
    write("flats.csv", flats())
    assert run(capsys, "train", "flats.csv", "--target", "kind", "--epochs", "1")[0] == 0
    expected = run(capsys, "predict", "flats.safetensors", "flats.csv")
    reader, writer = os.pipe()
    os.write(writer, Path("flats.csv").read_bytes())
    os.close(writer)
    assert run(capsys, "predict", "flats.safetensors", f"/dev/fd/{reader}") == expected
    os.close(reader)
    with open("flats.csv", "rb") as file:
        assert run(capsys, "predict", "flats.safetensors", f"/dev/fd/{file.fileno()}") == expected
        code, _, err = run(capsys, "train", f"/dev/fd/{file.fileno()}", "--target", "kind", "--out", "flats.csv")
        assert code == 2 and "--out flats.csv: that is /dev/fd/" in err


def test_values_that_json_does_not_have(capsys: Capture) -> None:
    model = python_model(1)
    model.set_weights([np.full((3, 1), 3e38), np.zeros(1)])
    model.save("python.safetensors")
    np.savez("t.npz", X=np.ones((1, 3)))
    assert json.loads(run(capsys, "predict", "python.safetensors", "t.npz", "--json")[1])["predictions"] == [None]
    assert run(capsys, "predict", "python.safetensors", "t.npz")[1] == "prediction\ninf\n"


# the schema in a file


def test_the_schema_survives() -> None:
    one = schema.Schema("y", (schema.Column("a"), schema.Column("b", ("x", "z"))), ("no", "yes"), (1.5, 0.25, 0.75))
    model = fastnn.Sequential([fastnn.Input((3,)), fastnn.layers.Dense(2)])
    assert schema.of_model("m", model) is None
    model.metadata[schema.KEY] = one.to_json()
    model.save("m.safetensors")
    assert schema.of_model("m", fastnn.models.load_model("m.safetensors")) == one


@pytest.mark.parametrize(
    "change",
    [
        {"columns": None},
        {"columns": [{"name": "a"}]},
        {"columns": [{"name": 3}] * 3},
        {"columns": [{"name": "a", "categories": "xyz"}]},
        {"columns": [{"name": "a", "categories": [1, 2, 3]}]},
        {"classes": ["one"] * 5},
        {"classes": [1.5, 2.5]},
        {"classes": "ab"},
        {"classes": ["one"]},
        {"classes": [1, 2**63]},
        {"fill": [1.0]},
        {"fill": ["x"] * 3},
        {"target": None},
        {"notation": {"na": "?", "decimal": ".", "thousands": ""}},
        {"notation": {"na": [], "decimal": "", "thousands": ""}},
        {"notation": {"na": [], "decimal": ".", "thousands": ", "}},
    ],
)
def test_a_schema_that_was_tampered_with(change: dict[str, Any], capsys: Capture) -> None:
    model = python_model()
    sound = schema.Schema("y", (), ("no", "yes"), (1.0, 2.0, 3.0)).to_json()
    lacking = {key: value for key, value in sound.items() if key not in change}
    wrong: list[Any] = [{**sound, **change}, [], None]
    if "notation" not in change:  # which files of the first versions lack
        wrong.append(lacking)
    for value in wrong:
        model.metadata[schema.KEY] = value
        with pytest.raises(FileError, match="python: its description of the data is not valid: "):
            schema.of_model("python", model)
    model.metadata[schema.KEY] = {**sound, **change}
    model.save("python.safetensors")
    np.savez("t.npz", X=np.ones((1, 3)))
    for command in (("predict", "python.safetensors", "t.npz"), ("info", "python.safetensors")):
        code, out, err = run(capsys, *command)
        assert (code, out, err.count("\n")) == (2, "", 1) and "not valid" in err


# what is in a file


@pytest.mark.usefixtures("pandas")
def test_info_of_a_table(capsys: Capture) -> None:
    write("flats.csv", flats())
    options = ("--epochs", "3", "--batch", "16", "--dropout", "0.2", "--layers", "8", "--seed", "9", "--lr", "0.02")
    assert run(capsys, "train", "flats.csv", "--target", "kind", *options)[0] == 0
    code, out, _ = run(capsys, "info", "flats.safetensors")
    assert code == 0 and out == (
        f"file        flats.safetensors, {os.path.getsize('flats.safetensors'):,} bytes\n"
        "parameters  86 float32, 12 of them not trained\n"
        'layer 0     Normalization "normalization": 12 parameters\n'
        'layer 1     Dense "dense": 8 units, relu, 56 parameters\n'
        'layer 2     Dropout "dropout": rate 0.2\n'
        'layer 3     Dense "dense_1": 2 units, softmax, 18 parameters\n'
        "loss        sparse_categorical_crossentropy\n"
        "optimizer   adam, learning rate 0.02\n"
        "trained     3 epochs, 9 steps, seed 9\n"
        "target      kind, 2 classes: large, small\n"
        "columns     4: size, city (3 texts), rooms, price\n"
        "missing     an error\n"
    )
    report = json.loads(run(capsys, "info", "flats.safetensors", "--json")[1])
    assert report["data"]["columns"][1] == {"name": "city", "categories": ["Bergen", "Oslo", "Å, the village"]}
    assert (report["epochs"], report["steps"], report["seed"], report["inputs"]) == (3, 9, 9, [6])
    assert report["optimizer"]["class"] == "Adam" and set(report["metrics"]) == {"loss", "accuracy"}
    assert [layer["weights"] for layer in report["layers"]] == [[[6], [6]], [[6, 8], [8]], [], [[8, 2], [2]]]


def test_info_of_a_model_made_in_python(capsys: Capture) -> None:
    python_model()
    code, out, _ = run(capsys, "info", "python.safetensors")
    assert code == 0 and [line[:11].strip() for line in out.splitlines()] == [
        "file",
        "parameters",
        "layer 0",
        "trained",
    ]
    report = json.loads(run(capsys, "info", "python.safetensors", "--json")[1])
    assert report["optimizer"] is None and report["loss"] is None and report["data"] is None


def test_long_lists_are_cut_and_wrapped(capsys: Capture) -> None:
    model = fastnn.Sequential([fastnn.Input((30,)), fastnn.layers.Dense(1)])
    names = tuple(schema.Column(f"a long name of a column, number {i}") for i in range(30))
    model.metadata[schema.KEY] = schema.Schema("y", names).to_json()
    model.save("m.safetensors")
    out = run(capsys, "info", "m.safetensors")[1]
    assert "and 20 more" in out and max(map(len, out.splitlines())) <= contents.WIDTH


def test_info_of_a_model_of_several_inputs_and_outputs(capsys: Capture) -> None:
    a, b = fastnn.Input((4,)), fastnn.Input((2,))
    both = fastnn.layers.concatenate([a, b])
    model = fastnn.Model([a, b], [fastnn.layers.Dense(1)(both), fastnn.layers.Dense(3)(both)])
    model.compile("sgd", ["mse", "mae"])
    model.save("several.safetensors")
    assert "loss        mean_squared_error, mean_absolute_error\n" in run(capsys, "info", "several.safetensors")[1]
    report = json.loads(run(capsys, "info", "several.safetensors", "--json")[1])
    assert report["inputs"] == [[4], [2]]
    assert [loss["class"] for loss in report["loss"]] == ["MeanSquaredError", "MeanAbsoluteError"]
    np.savez("t.npz", X=np.zeros((4, 6)))
    code, _, err = run(capsys, "predict", "several.safetensors", "t.npz")
    assert code == 2 and "several.safetensors: the network has 2 inputs and 2 outputs" in err


def test_info_of_other_files(capsys: Capture) -> None:
    Path("t.safetensors").write_text("hello")
    for name, message in (("absent", "there is no such file"), ("t.safetensors", "not a file of a fastnn model")):
        code, out, err = run(capsys, "info", name)
        assert (code, out, err.count("\n")) == (2, "", 1) and message in err
