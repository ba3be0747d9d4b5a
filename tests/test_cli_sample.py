"""`fastnn sample`, and the table that ships."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from tables import run

# Fisher (1936), table II: the means of the four lengths, in cm.
MEANS = {
    "setosa": (5.006, 3.428, 1.462, 0.246),
    "versicolor": (5.936, 2.770, 4.260, 1.326),
    "virginica": (6.588, 2.974, 5.552, 2.026),
}

pytestmark = pytest.mark.usefixtures("in_folder")


def test_iris_is_fishers(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "sample", "iris")
    assert code == 0 and out.startswith("iris.csv: 150 flowers")
    with open("iris.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for species, means in MEANS.items():
        lengths = [[float(row[name]) for name in list(row)[:4]] for row in rows if row["species"] == species]
        assert len(lengths) == 50
        assert np.allclose(np.mean(lengths, axis=0), means, rtol=0, atol=1e-12)
    assert "Creative Commons" in Path("iris.LICENSE.txt").read_text()


def test_iris_is_scikit_learns(capsys: pytest.CaptureFixture[str]) -> None:
    found = pytest.importorskip("sklearn.datasets").load_iris()
    run(capsys, "sample", "iris")
    with open("iris.csv", encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    assert np.array_equal([[float(cell) for cell in row[:4]] for row in rows], found.data)
    assert [row[4] for row in rows] == list(found.target_names[found.target])


def test_nothing_of_others_is_written_over(capsys: pytest.CaptureFixture[str]) -> None:
    Path("iris.csv").write_text("mine\n")
    code, _, err = run(capsys, "sample", "iris")
    assert code == 2 and err.startswith("fastnn sample: iris.csv: is there already, with other contents")
    assert Path("iris.csv").read_text() == "mine\n" and not Path("iris.LICENSE.txt").exists()
    Path("other").mkdir()
    for _ in range(2):
        assert run(capsys, "sample", "iris", "--folder", "other")[0] == 0
    assert run(capsys, "sample", "iris", "--folder", "nowhere")[0] == 2
