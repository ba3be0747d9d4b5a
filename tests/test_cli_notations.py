"""Tables whose numbers are written in other ways, and columns that number the rows."""

from __future__ import annotations

import shlex
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn.cli import data, schema
from tables import Capture, lines, run, write

pytestmark = pytest.mark.usefixtures("in_folder", "by_reference")


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
        ([f"EUR {i}" for i in THOUSANDS], "'EUR 900' in data row 1", "currency signs; take them out of the file", None),
        ([f"{i} kg" for i in THOUSANDS], "'900 kg' in data row 1", "units behind numbers; take them out of the", None),
        ([f"{i / 10}m²" for i in THOUSANDS], "'90.0m²' in data row 1", "units behind numbers; take them out", None),
        ([f"{i}{'kM'[i % 2]}" for i in THOUSANDS], "'900k' in data row 1", "units behind numbers; take them", None),
        ([i if i % 2 else f"{i}°C" for i in THOUSANDS], "'900°C' in data row 1", "units behind numbers; take", None),
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


def test_notations_are_for_tables(capsys: Capture) -> None:
    np.savez("t.npz", X=np.zeros((4, 2)), y=np.array([0, 1, 0, 1]))
    for command in (("train", "t.npz"), ("train", "digits")):
        code, _, err = run(capsys, *command, "--na", "?")
        assert code == 2 and "--na, --decimal and --thousands are for .csv files" in err
    code, _, err = run(capsys, "train", "t.npz", "--decimal", ",", "--thousands", ",")
    assert code == 2 and "--decimal and --thousands are both ','" in err


@pytest.mark.usefixtures("pandas")
@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            [f"{i % 4} doors" for i in range(60)],
            "\"v\" holds '0 doors' in data row 1, a number with a unit, and is taken",
        ),
        ([f"{2 + 2 * (i % 2)}WD" for i in range(60)], ""),  # two drives
        ([f"{i % 9}th" for i in range(60)], ""),  # an order
        ([f"{i % 3} {['Elm', 'Oak', 'Ash', 'Fir'][i % 4]} St" for i in range(60)], ""),  # addresses
        ([f"{i % 4}{'ABCDE'[i % 5]}" for i in range(60)], ""),  # seats
    ],
)
def test_few_numbers_with_units_are_texts(values: Any, said: str, capsys: Capture) -> None:
    column("v", values)
    code, out, err = run(capsys, "train", "t.csv", "--target", "kind", "--epochs", "1")
    assert code == 0 and ("a number with a unit" in out + err) == bool(said) and said in out + err


FEW, MANY = [i % 6 for i in range(60)], list(range(60))


@pytest.mark.usefixtures("pandas")
@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            [f"2024-0{i + 1}-15" for i in FEW],
            "\"v\" holds dates or times, such as '2024-01-15': each is a category",
        ),
        ([f"{i + 1}.{1 + i % 12}.2024" for i in FEW], "such as '1.1.2024'"),
        ([f"{1 + i % 12}/{10 + i}/99" for i in FEW], "such as '1/10/99'"),
        ([f"{3 + i} March 2021" if i else "n/a" for i in FEW], "such as '4 March 2021'"),
        ([f"Jan {1 + i}, 2020 9:30 PM" for i in FEW], "such as 'Jan 1, 2020 9:30 PM'"),
        ([f"2024-01-01T0{i}:30:00.25Z" for i in FEW], "such as '2024-01-01T00:30:00.25Z'"),
        ([f"{i}:45" for i in FEW], "such as '0:45'"),
        ([f"2024-W{10 + i}" for i in FEW], "such as '2024-W10'"),
        ([20240101 + i % 30 + 100 * (i // 30) for i in MANY], '"v" holds dates written as whole numbers'),
        ([f"{i}-13-2024" for i in FEW], ""),
        ([f"1.{i}.12b" for i in FEW], ""),
        (["May", "June", "Mon", "Q1", "2-3", "4:5"] * 10, ""),
        ([20249901 + i for i in MANY], ""),
        ([20240101 + i for i in FEW], ""),
    ],
)
def test_dates_are_named(values: Any, said: str) -> None:
    """As they are taken as categories, or as numbers."""
    column("v", values)
    told = "".join(data.load("t.csv", target="kind", impute=True).found)
    assert ("holds dates" in told) == bool(said) and said in told
    assert not said or told.endswith("into columns of numbers, or leave it out with --drop v")


@pytest.mark.usefixtures("pandas")
def test_many_dates_are_refused(capsys: Capture) -> None:
    column("day of sale", [f"{2000 + i}-01-31" for i in MANY])
    code, _, err = run(capsys, "train", "t.csv", "--target", "kind")
    assert code == 2 and "t.csv: the column \"day of sale\" holds dates or times, such as '2000-01-31'" in err
    assert "put what matters of them" in err and "--drop 'day of sale'" in err
