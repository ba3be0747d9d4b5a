"""What `fastnn train` and `fastnn evaluate` say of a network, `fastnn plot`, and when trainings stop."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn.cli import main, options
from fastnn.cli.scores import ClassScores, QuantityScores
from tables import Capture, blobs, flats, run, write

pytestmark = pytest.mark.usefixtures("in_folder")


def train(capsys: Capture, *arguments: str) -> str:
    code, out, err = run(capsys, "train", *arguments, "--layers", "8")
    assert code == 0, err
    return out


def test_scores_of_classes() -> None:
    scores = ClassScores(("cat", "dog", "emu"), np.array([[6, 2, 0], [1, 1, 0], [0, 0, 0]]))
    assert scores.accuracy == 0.7 and scores.guess == ("cat", 0.8)
    cat, dog, emu = scores.by_class()
    assert (cat["precision"], cat["recall"], cat["f1"], cat["rows"]) == (6 / 7, 0.75, 0.8, 8)
    assert (dog["precision"], dog["recall"]) == (1 / 3, 0.5) and emu["precision"] is None and emu["f1"] is None
    assert scores.lines() == [
        "true \\ predicted   cat   dog  emu  recall",
        "cat                  6     2    0    0.75",
        "dog                  1     1    0    0.50",
        "emu                  0     0    0       -",
        "precision         0.86  0.33    -",
    ]


def test_scores_of_many_classes() -> None:
    """What is hardest and what is confused most, instead of a matrix that no terminal holds."""
    matrix = np.diag(np.full(30, 10))
    matrix[3, 7], matrix[3, 3] = 6, 4
    lines = ClassScores(tuple(range(30)), matrix).lines()
    assert lines[1].split() == ["3", "1.00", "0.40", "10"] and lines[-1].split() == ["3", "7", "6"] and len(lines) == 9


def test_scores_of_quantities() -> None:
    y = np.array([1.0, 2.0, 3.0, 4.0])
    scores = QuantityScores("price", y, y + np.array([1.0, -1.0, 1.0, 3.0]))
    assert (scores.mae, scores.rmse, scores.guess) == (1.5, np.sqrt(3.0), 1.0) and scores.r2 == 1 - 3 / 1.25
    assert scores.lines() == [
        'errors in "price": half of the rows within 1, nine tenths within 2.4, the largest 3; rmse 1.732'
    ]


@pytest.mark.parametrize(
    ("train_right", "test_right", "word"), [(99, 80, "overfitting"), (95, 92, ""), (52, 50, "hardly")]
)
def test_a_word_where_train_and_test_part(train_right: int, test_right: int, word: str) -> None:
    """And none where they differ by chance."""

    def scores(right: int, rows: int) -> ClassScores:
        half = rows // 2
        wrong = round(half * (1 - right / 100))
        return ClassScores((0, 1), np.array([[half - wrong, wrong], [wrong, half - wrong]]))

    said = scores(test_right, 400).parted(scores(train_right, 1600))
    assert word in said and bool(said) == bool(word)
    rng = np.random.default_rng(0)
    y, noise = rng.normal(size=400), rng.normal(size=400)
    shares = {"overfitting": (0.05, 0.3), "": (0.3, 0.31), "hardly": (1.0, 1.0)}[word]
    known, new = (QuantityScores("y", y, y + share * noise * (1.5 if share == 1.0 else 1.0)) for share in shares)
    said = new.parted(known)
    assert word in said and bool(said) == bool(word)


def test_training_says_all_of_it(capsys: Capture) -> None:
    write("flats.csv", flats(200))
    out = train(capsys, "flats.csv", "--target", "price", "--drop", "kind", "--epochs", "30", "--lr", "0.01")
    assert re.search(
        r"\ntest r2 \S+ · mae \S+ · always guessing the mean gives mae \S+\ntrain r2 \S+ · mae \S+\n"
        r'errors in "price": half of the rows within \S+, .*\n(hardly.*\n)?saved flats',
        out,
    ), out
    out = train(capsys, "flats.csv", "--target", "kind", "--drop", "price", "--epochs", "3", "--json")
    result = json.loads(out)
    assert result["scores"]["guess"]["class"] in ("small", "large") and len(result["scores"]["confusion"]) == 2
    assert {one["class"] for one in result["train_scores"]["by_class"]} == {"small", "large"}
    model = fastnn.load_model("flats.safetensors")
    assert len(model.metadata["history"]["loss"]) == 3


def test_files_stop_by_themselves(capsys: Capture) -> None:
    """Unless --epochs or --patience 0 says otherwise; the known sets train for 20 epochs."""
    X, y = blobs(200)
    labels = np.where(np.arange(200) % 5 == 0, (y + 1) % 3, y)  # a fifth is wrong: soon learnt by heart
    np.savez("noisy.npz", X=X, y=labels)
    result = json.loads(train(capsys, "noisy.npz", "--lr", "0.05", "--json"))
    assert 10 < result["epochs"] < 200 and result["rows"]["validation"] == 16
    result = json.loads(train(capsys, "noisy.npz", "--epochs", "12", "--json"))
    assert result["epochs"] == 12 and result["rows"]["validation"] == 0
    np.savez("few.npz", X=X[:9], y=y[:9])  # too few to put any aside
    assert json.loads(train(capsys, "few.npz", "--json"))["rows"]["validation"] == 0
    result = json.loads(train(capsys, "noisy.npz", "--patience", "0", "--json"))
    assert result["epochs"] == 20 and result["rows"]["validation"] == 0


def test_a_curve_on_terminals(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    np.savez("blobs.npz", X=blobs()[0], y=blobs()[1])
    options = ("train", "blobs.npz", "--epochs", "3")
    monkeypatch.setenv("TERM", "xterm")
    for more, there in (((), True), (("--no-plot",), False)):
        stream = Terminal()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", stream)
            assert main((*options, *more)) == 0
        assert ("* loss\n" in stream.getvalue()) == there
    assert "* loss" not in run(capsys, *options)[1]


def test_evaluate(capsys: Capture) -> None:
    """Of the rows that were held out it says what the training said; tables with other columns and orders serve."""
    rows = flats(200)
    write("flats.csv", rows)
    train(capsys, "flats.csv", "--target", "kind", "--drop", "price", "--epochs", "5")
    code, out, _ = run(capsys, "evaluate", "flats.safetensors", "flats.csv")
    assert code == 0 and re.match(r"200 rows: accuracy \S+ · always guessing 'large' gives 0\.\d+\ntrue", out)
    other = [dict(reversed(row.items())) for row in rows]
    write("other.csv", other, ";")
    assert run(capsys, "evaluate", "flats.safetensors", "other.csv")[1] == out
    result = json.loads(run(capsys, "evaluate", "flats.safetensors", "flats.csv", "--json")[1])
    assert result["rows"] == 200 and sum(map(sum, result["confusion"])) == 200
    model = fastnn.load_model("flats.safetensors")
    right = np.trace(np.array(result["confusion"])) / 200
    assert result["accuracy"] == right and model.metadata["data"]["target"] == "kind"


def test_evaluate_arrays(capsys: Capture) -> None:
    X, y = blobs()
    np.savez("split.npz", x_train=X, y_train=y, x_test=X[:30], y_test=y[:30])
    out = train(capsys, "split.npz", "--epochs", "9")
    evaluated = run(capsys, "evaluate", "split.safetensors", "split.npz")[1]
    assert evaluated.partition(": ")[2].splitlines()[0] == out.partition("\ntest ")[2].splitlines()[0]
    np.savez("line.npz", X=X, y=X.sum(axis=1))
    train(capsys, "line.npz", "--epochs", "3")
    code, out, _ = run(capsys, "evaluate", "line.safetensors", "line.npz")
    assert code == 0 and out.startswith("90 rows: r2 ") and 'errors in "y": half' in out


def test_evaluate_refuses(capsys: Capture) -> None:
    rows = flats(60)
    write("flats.csv", rows)
    train(capsys, "flats.csv", "--target", "kind", "--drop", "price", "--epochs", "1")
    write("huge.csv", [row | {"kind": "huge"} for row in rows])
    write("without.csv", [{key: value for key, value in row.items() if key != "kind"} for row in rows])
    fastnn.Sequential([fastnn.Input((4,)), fastnn.layers.Dense(1)]).save("bare.safetensors")
    for model, data, message in (
        ("flats", "huge.csv", "holds 'huge', which was not among the classes trained on: 'large', 'small'"),
        ("flats", "without.csv", 'lacks the column "kind"'),
        ("bare", "flats.csv", "`fastnn train` has not made it"),
    ):
        code, out, err = run(capsys, "evaluate", f"{model}.safetensors", data)
        assert (code, out) == (2, "") and message in err and err.count("\n") == 1


def test_plot(capsys: Capture) -> None:
    pytest.importorskip("matplotlib")
    write("flats.csv", flats(60))
    train(capsys, "flats.csv", "--target", "kind", "--drop", "price", "--epochs", "3")
    drawn: list[tuple[str, ...]] = [
        ("activations", "relu", "--out", "a.svg"),
        ("curves", "flats.safetensors"),
        ("weights", "flats.safetensors", "--out", "w.pdf"),
        ("confusion", "flats.safetensors", "flats.csv"),
        ("health", "flats.safetensors", "flats.csv"),
    ]
    for arguments in drawn:
        code, out, err = run(capsys, "plot", *arguments)
        assert (code, err) == (0, "") and Path(out.rpartition("saved ")[2].strip()).stat().st_size > 1000
        assert out.startswith("healthy: " if arguments[0] == "health" else "saved ")
    refused: list[tuple[tuple[str, ...], str]] = [
        (("predictions", "flats.safetensors", "flats.csv"), "it predicts classes; draw confusion"),
        (("curves",), "curves: got 0 names, expected one file"),
        (("weights", "flats.safetensors", "--out", "w.gif"), "'w.gif', expected a name in .png"),
        (("pie", "flats.safetensors"), "invalid choice: 'pie'"),
    ]
    for arguments, message in refused:
        code, out, err = run(capsys, "plot", *arguments)
        assert (code, out) == (2, "") and message in err


def test_report(capsys: Capture) -> None:
    """One page without a link to anywhere."""
    pytest.importorskip("matplotlib")
    write("flats.csv", flats(60))
    # A figure for each panel, which a phone sets below each other: the outcome, loss and accuracy, four of health with
    # their legend, weights of two layers; of a quantity the loss alone.
    for target, drop, pictures in (("kind", "price", 1 + 2 + 5 + 2), ("price", "kind", 1 + 1 + 5 + 2)):
        out = train(capsys, "flats.csv", "--target", target, "--drop", drop, "--epochs", "3", "--report", "r.html")
        page = Path("r.html").read_text()
        assert out.endswith("report r.html\n") and page.count("<svg") == pictures and "always guessing" in page
        assert "#000000" not in page and page.count('<svg fill="currentColor"') == pictures  # black on dark paper
        links = {link for link in re.findall(r'(?:src|href)="([^"]*)"', page) if not link.startswith(("#", "data:"))}
        assert not links
    assert run(capsys, "train", "flats.csv", "--target", "kind", "--report", "r.txt")[0] == 2


def test_a_report_without_matplotlib(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said before the training."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, out, err = run(capsys, "train", "digits", "--report", "r.html")
    assert (code, out) == (2, "") and "pictures need matplotlib" in err


def test_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets what it has room for in place of a matrix."""
    scores = ClassScores(tuple(range(10)), 9 * np.eye(10, dtype=np.int64) + 1)
    for columns, first in ((84, "true \\ predicted "), (80, "true \\ pred. "), (40, "hardest classes ")):
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setattr(options, "is_terminal", lambda stream: True)
        assert (lines := scores.lines())[0].startswith(first) and max(map(len, lines)) <= columns
