"""What `fastnn warmup` measured of a card, as `auto` reads it: by hand-made files, without a card."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fastnn import backends
from fastnn.backends import card_speeds
from fastnn.backends.card_speeds import Measured, flops_of
from support import load

SPEEDS = {"float32": [(flops_of(1_000, 32), 0.5), (flops_of(100_000, 64), 4.0)]}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache that is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    card_speeds.read.cache_clear()
    yield tmp_path
    card_speeds.read.cache_clear()


def test_the_speed_is_that_of_the_largest_network_that_is_no_larger() -> None:
    measured = Measured("NVIDIA H200", "13.0", 2.0, SPEEDS)
    found = [
        measured.speed("float32", flops_of(*size))
        for size in ((1_000, 31), (1_000, 32), (99_999, 64), (100_000, 64), (10**7, 512))
    ]
    assert found == [0.0, 0.5, 0.5, 4.0, 4.0]
    assert measured.speed("float64", flops_of(10**7, 512)) == 0.0


def test_what_is_kept_is_read() -> None:
    assert card_speeds.read() is None
    measured = Measured("NVIDIA H200", "13.0", 2.0, SPEEDS)
    path = card_speeds.write(measured)
    assert path is not None and card_speeds.read() == measured


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("13.0", "13.0\n"),
        ("loading 2.000", "loading nan"),
        ("4.0000", "inf"),
        ("4.0000", "-1"),
        ("c ", "c 1 "),
        ("d", ""),
    ],
)
def test_a_damaged_file_is_no_file(old: str, new: str) -> None:
    path = card_speeds.write(Measured("NVIDIA H200", "13.0", 2.0, SPEEDS))
    assert path is not None
    path.write_text(path.read_text().replace(old, new))
    card_speeds.read.cache_clear()
    assert card_speeds.read() is None


def test_other_sources_have_other_speeds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert card_speeds.write(Measured("NVIDIA H200", "13.0", 2.0, SPEEDS))
    monkeypatch.setattr(card_speeds, "_key", lambda: "other")
    card_speeds.read.cache_clear()
    assert card_speeds.read() is None


def test_without_the_card_auto_does_what_it_did(monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks for the card only where a network of such a size was measured faster."""
    load("c")
    before = backends.choice("float32", 100_000, batch=64)
    assert card_speeds.write(Measured("NVIDIA H200", "13.0", 2.0, SPEEDS))
    asked: list[str] = []

    def reason(name: str) -> str:
        asked.append(name)
        return "" if name == "c" else "there is none"

    monkeypatch.setattr(backends, "_reason", reason)
    assert backends.choice("float32", 100_000, batch=64).name == "c" and "cuda" in asked
    asked.clear()
    for parameters, batch in ((100_000, 0), (1_000, 64), (None, 64)):
        assert backends.choice("float32", parameters, batch=batch).name == "c"
    assert "cuda" not in asked
    assert before.name in ("c", "numba")
